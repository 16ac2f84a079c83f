package sys

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// parker puts the one goroutine that waits for a descriptor to sleep with Go's poller, where it costs no
// thread, until that is ready, the wait's time is up, or an abort wakes it.
//
// The poller has one timer a descriptor. Setting it for each sleep would cost more than the sleep's own
// bookkeeping, so it is left as it is while it fires early enough: it may then fire once for nobody,
// or too early for this wait, which looks at its own deadline and sets it anew.
type parker struct {
	// file is what the poller knows of; nil until somebody parks, or is about to.
	file  *os.File
	timer func(time.Time) error
	sleep func(func(fd uintptr) bool) error
	// attempt tries the system call; true when there is nothing more to wait for.
	attempt func(fd uintptr) bool
	node    waiter

	// mu orders an abort's wake against this side's setting of the timer.
	mu     sync.Mutex
	kicked bool
	// armed is when the poller's timer fires; zero for never.
	armed Deadline
}

// longAgo makes the poller's timer fire at once.
var longAgo = time.Unix(1, 0)

// pollerMade: the runtime has its poller.
var pollerMade atomic.Bool

// pollerPossible: with the first descriptor that it is to watch, the runtime makes a poller of its own (a set,
// and an event to wake it), and ends the whole process where it cannot. So it is seen first whether it can;
// nothing shows whether it has one already, but that we gave it something to watch.
func pollerPossible() error {
	if pollerMade.Load() {
		return nil
	}
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return refused("make a set of sockets", err)
	}
	defer unix.Close(set)
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return refused("make an event", err)
	}
	return unix.Close(event)
}

// pollable makes a descriptor that does not block one that Go's poller watches.
func pollable(fd int, name string) (*os.File, error) {
	if err := pollerPossible(); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	pollerMade.Store(true)
	return file, nil
}

// init takes a descriptor that becomes readable, and does not block.
func (p *parker) init(file *os.File) error {
	raw, err := file.SyscallConn()
	if err == nil {
		// Fails where the poller refused the descriptor.
		err = file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return &SysError{Operation: "poll a descriptor", Code: unix.EPERM}
	}
	p.file, p.timer, p.sleep = file, file.SetReadDeadline, raw.Read
	p.node.wake = p.kick
	return nil
}

// socketParker parks who waits for a socket. The poller does not know of the socket itself, or each packet
// would wake one of its threads, also where somebody looks for that packet or sleeps in a receive: a thread
// more for the CPU that both peers want, and as long on it as the call. It knows of a set (epoll) that has
// the socket, and tells of it only while somebody parks.
type socketParker struct {
	parker
	// set is the set's descriptor; listed: it tells of the socket.
	set    int
	listed bool
}

// open makes the set, the first time. Not for two goroutines at once: for the one that waits with it.
func (p *socketParker) open() error {
	if p.file != nil {
		return nil
	}
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(set, true)
	}
	if err != nil {
		return refused("make a set of sockets", err)
	}
	file, err := pollable(set, "netipc")
	if err != nil {
		_ = unix.Close(set)
		return err
	}
	if err := p.init(file); err != nil {
		_ = file.Close()
		return err
	}
	p.set, p.listed = set, false
	return nil
}

// list has the set tell of these events of the socket. What there is already it may not tell of: try once
// more, before sleeping.
func (p *socketParker) list(socket int, events uint32) error {
	if p.listed {
		return nil
	}
	if err := p.open(); err != nil {
		return err
	}
	event := unix.EpollEvent{Events: events, Fd: int32(socket)}
	if err := unix.EpollCtl(p.set, unix.EPOLL_CTL_ADD, socket, &event); err != nil {
		return refused("wait for a socket", err)
	}
	p.listed = true
	return nil
}

// unlist is for before waits of other kinds.
func (p *socketParker) unlist(socket int) {
	if p.listed {
		// It is there, so nothing can go wrong.
		_ = unix.EpollCtl(p.set, unix.EPOLL_CTL_DEL, socket, nil)
		p.listed = false
	}
}

func (p *socketParker) close() {
	if p.file != nil {
		_ = p.file.Close()
	}
}

// park sleeps until attempt is true. The errors are ErrAborted, ErrTimedOut and ErrClosed; readiness
// that came before an error is not looked at.
func (p *parker) park(wait *Wait) error {
	if wait.Abort != nil {
		wait.Abort.add(&p.node)
		defer p.leave(wait.Abort)
	}
	for {
		if wait.Ended() {
			return ErrAborted
		}
		if !p.arm(wait.slice()) {
			return ErrAborted
		}
		err := p.sleep(p.attempt)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return ErrClosed
		case wait.Ended():
			return ErrAborted
		case wait.Deadline.HasPassed():
			return ErrTimedOut
		}
	}
}

// arm sets the poller's timer if it would fire too late, or has fired. False when an abort came.
func (p *parker) arm(until Deadline) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kicked {
		return false
	}
	keeps := !p.armed.IsNever() && !p.armed.HasPassed() && p.armed.Earlier(until) == p.armed
	if keeps || p.armed.IsNever() && until.IsNever() {
		return true
	}
	// One that cannot be set shows as a sleep that ends at once, with its own error.
	_ = p.timer(until.time())
	p.armed = until
	return true
}

// kick wakes the sleeper, from another goroutine. There is none where init failed.
func (p *parker) kick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kicked = true
	if p.timer != nil {
		_ = p.timer(longAgo)
	}
}

// leave takes the sleeper off the handle's list, and forgets the abort that may have woken it.
func (p *parker) leave(abort *Abort) {
	abort.remove(&p.node)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kicked {
		p.kicked = false
		p.armed = Deadline{}
		_ = p.timer(time.Time{})
	}
}

// time is the deadline as Go's poller takes it: the zero time for never.
func (d Deadline) time() time.Time {
	left, ends := d.Remaining()
	if !ends {
		return time.Time{}
	}
	return time.Now().Add(left)
}
