package sys

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
)

var names atomic.Uint64

// newName is the name of a pipe of its own for each test.
func newName() string { return fmt.Sprintf(`\\.\pipe\netipc-test-%d-%d`, os.Getpid(), names.Add(1)) }

// channels are both ends of a connection, the client's first.
func channels(t testing.TB) (a, b *PacketChannel) {
	t.Helper()
	name := newName()
	listener := bound(t, name)
	a, err := Connect(name, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept(within(soon))
	if err != nil {
		t.Fatal(err)
	}
	b = accepted.Channel
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	_ = listener.Close()
	return a, b
}

// openDescriptors are the handles that this process has.
func openDescriptors(t testing.TB) int {
	t.Helper()
	count, err := handleCount()
	if err != nil {
		t.Fatal(err)
	}
	return count
}
