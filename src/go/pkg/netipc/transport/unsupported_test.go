//go:build !linux && !windows

package transport

import (
	"errors"
	"testing"
)

func TestThisPlatformSaysThatItHasNoTransport(t *testing.T) {
	endpoint, err := NewEndpoint("run", "svc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Connect(endpoint, &Proposal{}, Wait{}); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	if _, err := Listen(endpoint, &ListenerConfig{}); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}
