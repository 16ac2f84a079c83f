//go:build linux || windows

package sys

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestPacketsKeepTheirBoundariesWhateverTheirLength(t *testing.T) {
	a, b := channels(t)
	most, err := a.MaxPacketSize()
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, most+1)
	for _, length := range []int{1, 32, joinedBytes, joinedBytes + 1, most - 40, most} {
		packet := bytes.Repeat([]byte{byte(length)}, length)
		head := min(length, 32)
		if err := a.Send(packet[:head], packet[head:], within(soon)); err != nil {
			t.Fatal(length, err)
		}
		n, err := b.Recv(buffer, within(soon))
		if err != nil || !bytes.Equal(buffer[:n], packet) {
			t.Fatalf("%d bytes became %d, %v", length, n, err)
		}
	}
	var tooLong *PacketTooLongError
	err = a.Send(buffer[:1], make([]byte, most), within(soon))
	if !errors.As(err, &tooLong) || tooLong.Len != most+1 || tooLong.Max != most {
		t.Fatalf("one byte too many: %v", err)
	}
}

func TestALongPacketIsConsumedAndShowsItsLength(t *testing.T) {
	a, b := channels(t)
	_, _ = a.TrySend(make([]byte, 100), nil)
	_, _ = a.TrySend(make([]byte, 3), nil)
	buffer := make([]byte, 10)
	if n, err := b.Recv(buffer, within(soon)); n != 100 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := b.TryRecv(buffer); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := b.TryRecv(buffer); n != 0 || err != nil {
		t.Fatal(n, err)
	}
}

func TestWhatWasSentBeforeACloseComesBeforeIt(t *testing.T) {
	a, b := channels(t)
	// Unread at the closing end, which makes a reset.
	if _, err := b.TrySend([]byte("unread"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.TrySend([]byte("last words"), nil); err != nil {
		t.Fatal(err)
	}
	_ = a.Close()
	buffer := make([]byte, 100)
	n, err := b.Recv(buffer, within(soon))
	if err != nil || string(buffer[:n]) != "last words" {
		t.Fatal(string(buffer[:n]), err)
	}
	if _, err := b.Recv(buffer, within(soon)); err != ErrClosed {
		t.Fatal(err)
	}
	if err := b.Send([]byte("x"), nil, within(soon)); err != ErrPeerGone {
		t.Fatal(err)
	}
	if gone, err := b.PeerGone(); !gone || err != nil {
		t.Fatal(gone, err)
	}
}

// waits are the calls that wait, on a channel whose peer neither sends nor reads.
var waits = map[string]func(*PacketChannel, *Wait) error{
	"receive": func(c *PacketChannel, wait *Wait) error {
		_, err := c.Recv(make([]byte, 10), wait)
		return err
	},
	"wait to receive": func(c *PacketChannel, wait *Wait) error { return c.WaitReadable(wait) },
	"send": func(c *PacketChannel, wait *Wait) error {
		packet := make([]byte, 10_000)
		for {
			if err := c.Send(packet, nil, wait); err != nil {
				return err
			}
		}
	},
}

func TestEveryWaitEndsAtItsDeadline(t *testing.T) {
	for name, wait := range waits {
		a, _ := channels(t)
		for _, spin := range []time.Duration{NeverSpin, 0} {
			a.SpinAtMost(spin)
			start := time.Now()
			if err := wait(a, within(60*time.Millisecond)); err != ErrTimedOut {
				t.Fatal(name, err)
			}
			if took := time.Since(start); took < 60*time.Millisecond || took > 2*time.Second {
				t.Fatalf("%s took %v", name, took)
			}
			if err := wait(a, within(0)); err != ErrTimedOut {
				t.Fatal(name, err)
			}
		}
	}
}

func TestEveryWaitEndsOnAbortAndGoesOnWhenCleared(t *testing.T) {
	for name, wait := range waits {
		a, _ := channels(t)
		a.SpinAtMost(0)
		var abort Abort
		for range 20 {
			done := make(chan error)
			go func() { done <- wait(a, &Wait{Abort: &abort, Deadline: After(soon)}) }()
			abort.Trigger()
			if err := <-done; err != ErrAborted {
				t.Fatal(name, err)
			}
			if err := wait(a, &Wait{Abort: &abort}); err != ErrAborted {
				t.Fatal(name, "not sticky:", err)
			}
			abort.Clear()
			if err := wait(a, &Wait{Abort: &abort, Deadline: After(time.Millisecond)}); err != ErrTimedOut {
				t.Fatal(name, err)
			}
		}
	}
}

func TestEveryWaitEndsWhenItsContextDoes(t *testing.T) {
	for name, wait := range waits {
		a, _ := channels(t)
		cancel := make(chan struct{})
		done := make(chan error)
		go func() { done <- wait(a, &Wait{Done: cancel}) }()
		close(cancel)
		if err := <-done; err != ErrAborted {
			t.Fatal(name, err)
		}
	}
}

func TestEveryWaitEndsWhenItsOwnSideCloses(t *testing.T) {
	for name, wait := range waits {
		for range 20 {
			a, _ := channels(t)
			var closers sync.WaitGroup
			done := make(chan error)
			go func() { done <- wait(a, within(soon)) }()
			for range 3 {
				closers.Add(1)
				go func() {
					defer closers.Done()
					_ = a.Close()
				}()
			}
			if err := <-done; err != ErrClosed && err != ErrPeerGone {
				t.Fatal(name, err)
			}
			closers.Wait()
			if err := wait(a, within(soon)); err != ErrClosed {
				t.Fatal(name, err)
			}
		}
	}
}

func TestClosingGivesTheDescriptorsBack(t *testing.T) {
	before := openDescriptors(t)
	for range 50 {
		a, b := channels(t)
		_, _ = a.Close(), b.Close()
	}
	if after := openDescriptors(t); after > before {
		t.Fatalf("%d descriptors became %d", before, after)
	}
}

func TestAPacketEndsEachKindOfSleep(t *testing.T) {
	a, b := channels(t)
	b.SpinAtMost(NeverSpin)
	buffer := make([]byte, 10)
	for _, sleep := range []int64{0, 1, int64(longSleep)} {
		for range 100 {
			b.waiting.sleep = sleep
			done := make(chan error)
			go func() {
				n, err := b.Recv(buffer, within(soon))
				if err == nil && n != 3 {
					err = errors.New("another packet")
				}
				done <- err
			}()
			if err := a.Send([]byte("abc"), nil, within(soon)); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(sleep, err)
			}
		}
	}
}

func TestSendingAndReceivingAllocateNothing(t *testing.T) {
	a, b := channels(t)
	b.SpinAtMost(0)
	head, body, buffer := make([]byte, 32), make([]byte, 4000), make([]byte, 5000)
	var abort Abort
	wait := &Wait{Deadline: After(soon), Abort: &abort}
	for _, length := range []int{0, 8, 4000} {
		allocated := testing.AllocsPerRun(200, func() {
			if err := a.Send(head, body[:length], wait); err != nil {
				t.Error(err)
			}
			if n, err := b.Recv(buffer, wait); n != 32+length || err != nil {
				t.Error(n, err)
			}
		})
		if allocated != 0 {
			t.Fatalf("%v allocations for %d bytes", allocated, length)
		}
	}
	// Asleep, too.
	allocated := testing.AllocsPerRun(20, func() {
		if _, err := b.Recv(buffer, &Wait{Deadline: After(time.Millisecond), Abort: &abort}); err != ErrTimedOut {
			t.Error(err)
		}
	})
	if allocated != 0 {
		t.Fatalf("%v allocations for a sleep", allocated)
	}
}

// As it does when the process stood still while the packet came: a HELLO, say.
func TestAPacketThatIsThereComesBeforeADeadlineThatHasPassed(t *testing.T) {
	a, b := channels(t)
	b.SpinAtMost(0)
	buffer := make([]byte, 10)
	for range 20 {
		if err := a.Send([]byte("in time"), nil, &Wait{}); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Recv(buffer, &Wait{Deadline: After(0)}); n != len("in time") || err != nil {
			t.Fatal(n, err)
		}
		if _, err := b.Recv(buffer, &Wait{Deadline: After(0)}); err != ErrTimedOut {
			t.Fatal(err)
		}
	}
}

func TestAWakeUpOfAnEarlierAbortDoesNotEndALaterWait(t *testing.T) {
	a, b := channels(t)
	var abort Abort
	var w sync.WaitGroup
	stop := make(chan struct{})
	w.Add(1)
	go func() {
		defer w.Done()
		for {
			select {
			case <-stop:
				return
			default:
				abort.Trigger()
				abort.Clear()
			}
		}
	}()
	buffer := make([]byte, 10)
	for range 300 {
		_, _ = a.Recv(buffer, &Wait{Abort: &abort, Deadline: After(200 * time.Microsecond)})
	}
	close(stop)
	w.Wait()
	if err := b.Send([]byte("y"), nil, within(soon)); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Recv(buffer, within(soon)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	start := time.Now()
	if _, err := a.Recv(buffer, within(30*time.Millisecond)); err != ErrTimedOut {
		t.Fatal(err)
	}
	if time.Since(start) < 30*time.Millisecond {
		t.Fatal("it did not wait")
	}
}
