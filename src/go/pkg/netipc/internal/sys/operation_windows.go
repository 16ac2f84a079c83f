package sys

import (
	"math"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// operation is one overlapped operation at a time. The system writes into its record, and reads or fills its
// bytes, until it has ended: so this struct keeps both, lies on the heap, and is kept itself while it is
// pending. An operation that is not wanted any more is cancelled, and the cancelling waited for, which takes no
// peer's doing.
//
// Who waits for it sleeps in one of two ways:
//
//	told    the completion port's goroutine says that it may have ended: no thread. Servers.
//	event   in the kernel, with the thread: nobody else has to run for it. Clients, for as long as a call waits.
type operation struct {
	record windows.Overlapped
	// moved is where the system writes how much was moved by an operation that ended at once.
	moved uint32
	bytes []byte

	told chan struct{}

	// handles are the event that is set when the operation has ended, and the one that ends the wait earlier.
	handles [2]windows.Handle
	node    waiter
}

const (
	endedEvent = iota
	interruptEvent
)

// initTold makes it one whose end the completion port tells of.
func (o *operation) initTold() { o.told = make(chan struct{}, 1) }

// initEvents makes it one whose end an event tells of.
func (o *operation) initEvents() error {
	for i := range o.handles {
		// The operation's stays set until the next begins; the other until somebody is woken.
		manual := uint32(0)
		if i == endedEvent {
			manual = 1
		}
		event, err := windows.CreateEvent(nil, manual, 0, nil)
		if err != nil {
			return refused("create an event", err)
		}
		o.handles[i] = event
	}
	o.node.wake = func() { _ = windows.SetEvent(o.handles[interruptEvent]) }
	return nil
}

func (o *operation) closeEvents() {
	for _, event := range o.handles {
		closeHandle(event)
	}
}

// begin begins an operation that works on bytes: true if it has ended already, and result tells how.
func (o *operation) begin(
	bytes []byte, file windows.Handle, start func(*operation, windows.Handle) error,
) (ended bool, errno syscall.Errno) {
	o.bytes, o.moved = bytes, 0
	o.record = windows.Overlapped{HEvent: o.handles[endedEvent]}
	switch err := start(o, file); err {
	case nil, windows.ERROR_MORE_DATA:
		// The front of a message was read.
		return true, o.result()
	case windows.ERROR_IO_PENDING:
		return false, 0
	default:
		// It has not begun; the call may have marked the record all the same.
		o.record.Internal, o.bytes = 0, nil
		errno, ok := err.(syscall.Errno)
		if !ok {
			errno = windows.ERROR_GEN_FAILURE
		}
		return true, errno
	}
}

// isPending: the system has it.
func (o *operation) isPending() bool {
	// It is written last, when the operation ends.
	return atomic.LoadUintptr(&o.record.Internal) == uintptr(windows.STATUS_PENDING)
}

// result is how an operation that has ended did; how much it moved is in moved. Its bytes are the caller's again.
func (o *operation) result() (errno syscall.Errno) {
	o.bytes = nil
	o.moved, errno = resultOf(&o.record)
	return errno
}

// hint is for the completion port's goroutine.
func (o *operation) hint() {
	select {
	case o.told <- struct{}{}:
	default:
	}
}

// await waits until it has ended, as long as wait says. The errors are ErrAborted, ErrTimedOut and SysError:
// it is still pending then.
func (o *operation) await(wait *Wait) error {
	if o.told != nil {
		for o.isPending() {
			if _, err := ReceiveFrom(o.told, wait); err != nil {
				return err
			}
		}
		return nil
	}
	wait.Abort.add(&o.node)
	defer wait.Abort.remove(&o.node)
	for o.isPending() {
		switch {
		case wait.Ended():
			return ErrAborted
		case wait.Deadline.HasPassed():
			return ErrTimedOut
		}
		if errno := waitAny(o.handles[:], milliseconds(wait.slice())); errno != 0 {
			return refused("wait for a pipe", errno)
		}
	}
	return nil
}

// untilEnded waits for one that ends by itself soon: it was cancelled, or has nobody to wait for.
func (o *operation) untilEnded() {
	for o.isPending() {
		if o.told != nil {
			<-o.told
			continue
		}
		if errno := waitAny(o.handles[:1], windows.INFINITE); errno != 0 {
			// The record must not go while the system may write to it, and there is no way to know.
			panic("netipc: the system does not let this process wait for its own event: " + errno.Error())
		}
	}
}

// milliseconds is what is left of a deadline, as the system counts it, rounded up.
func milliseconds(deadline Deadline) uint32 {
	left, ends := deadline.Remaining()
	if !ends {
		return windows.INFINITE
	}
	rounded := (left + time.Millisecond - 1) / time.Millisecond
	return uint32(min(rounded, math.MaxUint32-1))
}
