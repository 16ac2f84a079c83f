package sys

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Accepting clients.
//
// # When descriptors run out
//
// accept then fails and leaves the client in the backlog, where it would hang. So the listener keeps
// one descriptor in reserve. When the process has no other, it gives up the reserve and accepts one
// client as an overflow: that one is to be told (BUSY), and closed; the next accept takes the reserve
// back before anybody else gets the place. While it cannot, accepting says ExhaustedError, and the
// caller waits for a while.

// Listener is an endpoint that listens, and owns its name. One goroutine may accept at a time.
type Listener struct {
	refs  refs
	fd    int
	file  *os.File
	claim *claim

	accepting parker
	accepted  int
	acceptErr error

	// reserve guards the descriptor kept for the client that comes when there is no other; -1 when it
	// was given up.
	reserveMu sync.Mutex
	reserve   int
}

// Bind takes the endpoint path and listens on it.
//
// Beside it stand {service}.lock, which stays, and for a moment {service}.tmp. A socket whose server is
// dead is replaced, after 150 ms of asking (spec section 6); nothing else is ever removed. Of any number
// of processes and goroutines that bind one name at once, at most one succeeds, and one does if nothing
// foreign is in the way.
func Bind(path string, options *BindOptions) (*Listener, error) {
	reserve, exhausted := spareDescriptor()
	if exhausted != nil {
		return nil, exhausted
	}
	socket, taken, err := takeName(path, options)
	if err != nil {
		_ = unix.Close(reserve)
		return nil, err
	}
	file, err := pollable(socket, path)
	if err != nil {
		taken.release()
		_ = unix.Close(socket)
		_ = unix.Close(reserve)
		return nil, err
	}
	return newListener(socket, file, taken, reserve)
}

// newListener listens with what it is given, and gives it back where that fails.
func newListener(socket int, file *os.File, taken *claim, reserve int) (*Listener, error) {
	l := &Listener{fd: socket, file: file, claim: taken, reserve: reserve}
	l.accepting.attempt = l.attempt
	if err := l.accepting.init(l.file); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// Accept accepts one client; waits for one as long as wait says. The errors are ErrAborted, ErrTimedOut,
// ErrClosed, ExhaustedError and SysError.
func (l *Listener) Accept(wait *Wait) (Accepted, error) {
	if !l.refs.enter() {
		return Accepted{}, ErrClosed
	}
	defer l.leave()
	l.accepted, l.acceptErr = -1, nil
	if wait.Ended() {
		return Accepted{}, ErrAborted
	}
	if err := l.restoreReserve(); err != nil {
		return Accepted{}, &ExhaustedError{Err: err}
	}
	if !l.attempt(0) {
		if err := l.accepting.park(wait); err != nil {
			if l.refs.closed() {
				err = ErrClosed
			}
			return Accepted{}, err
		}
	}
	overflow := false
	if l.acceptErr == unix.EMFILE || l.acceptErr == unix.ENFILE {
		overflow = l.acceptWithReserve()
	}
	if l.acceptErr != nil {
		return Accepted{}, acceptError(l.acceptErr)
	}
	channel, err := newPacketChannel(l.accepted)
	if err != nil {
		return Accepted{}, err
	}
	// A session takes two more descriptors to wait with; who does not get them is told like who got the last.
	if err := channel.openParkers(); err != nil && !overflow {
		overflow = true
	}
	return Accepted{Channel: channel, Overflow: overflow}, nil
}

// attempt accepts without blocking; false when nobody is there.
func (l *Listener) attempt(uintptr) bool {
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch err {
		case nil:
			l.accepted, l.acceptErr = fd, nil
			return true
		case unix.EAGAIN:
			return false
		case unix.EINTR, unix.ECONNABORTED:
			// A client that left again before its turn: the next, please.
		case unix.EINVAL:
			l.acceptErr = ErrClosed
			return true
		default:
			l.acceptErr = err
			return true
		}
	}
}

// acceptWithReserve gives up the reserve and accepts one client in its place.
func (l *Listener) acceptWithReserve() bool {
	l.reserveMu.Lock()
	defer l.reserveMu.Unlock()
	if l.reserve < 0 {
		return false
	}
	_ = unix.Close(l.reserve)
	l.reserve = -1
	l.acceptErr = unix.EMFILE
	return l.attempt(0) && l.acceptErr == nil
}

// restoreReserve takes the reserve back if it was given up.
func (l *Listener) restoreReserve() *SysError {
	l.reserveMu.Lock()
	defer l.reserveMu.Unlock()
	if l.reserve >= 0 {
		return nil
	}
	reserve, err := spareDescriptor()
	if err != nil {
		return err
	}
	l.reserve = reserve
	return nil
}

// Close removes the endpoint's name, if it is still this listener's, and refuses the clients in its
// backlog; an Accept that waits returns. Channels that it accepted live on.
func (l *Listener) Close() error {
	if !l.refs.enter() {
		return nil
	}
	defer l.leave()
	if first, _ := l.refs.close(); first {
		// The name is gone before the socket stops answering.
		l.claim.release()
		// Shutting a listening socket down wakes nobody who sleeps on it.
		_ = unix.Shutdown(l.fd, unix.SHUT_RDWR)
		l.accepting.kick()
	}
	return nil
}

func (l *Listener) leave() {
	if !l.refs.leave() {
		return
	}
	_ = l.file.Close()
	l.reserveMu.Lock()
	defer l.reserveMu.Unlock()
	if l.reserve >= 0 {
		_ = unix.Close(l.reserve)
		l.reserve = -1
	}
}

func acceptError(err error) error {
	if err == ErrClosed {
		return err
	}
	system := refused("accept a client", err)
	switch system.Code {
	case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS:
		return &ExhaustedError{Err: system}
	}
	return system
}

// spareDescriptor: any descriptor will do; this kind needs neither a file nor a name.
func spareDescriptor() (int, *SysError) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return -1, refused("keep a descriptor in reserve", err)
	}
	return fd, nil
}
