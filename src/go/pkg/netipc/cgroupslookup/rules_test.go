package cgroupslookup_test

import (
	"errors"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// An encoder writes nothing that its decoder would reject (spec section 10.4).
func TestLabelsThatMayNotBeAreNotWritten(t *testing.T) {
	for is, item := range map[string]cgroupslookup.Item{
		"of an unknown path":       {Status: cgroupslookup.StatusUnknownPermanent, Path: "/", Labels: make([]payload.Label, 1)},
		"more than can be counted": {Path: "/", Labels: make([]payload.Label, 1<<16)},
	} {
		response := cgroupslookup.Response{Items: []cgroupslookup.Item{item}}
		var refused *payload.FieldError
		if _, err := response.Encode(make([]byte, 1<<22)); !errors.As(err, &refused) || refused.Field != "labels" {
			t.Errorf("%s: %v", is, err)
		}
	}
}
