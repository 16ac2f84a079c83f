//go:build linux || windows

package sys

import (
	"testing"
	"time"
)

// soon is a deadline that only a hang misses.
const soon = 20 * time.Second

func within(timeout time.Duration) *Wait { return &Wait{Deadline: After(timeout)} }

func bound(t testing.TB, path string) *Listener {
	t.Helper()
	listener, err := Bind(path, &BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}
