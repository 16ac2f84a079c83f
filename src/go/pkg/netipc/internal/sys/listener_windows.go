package sys

import (
	"errors"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/windows"
)

// Accepting clients: instances of a pipe.
//
//	listening ── a client connects ──▶ connected ── Accept ──▶ a channel
//	    ▲                                  │
//	    └──── another instance, at once ◀──┘
//
// An instance is for one client. Whoever connects is taken in by the system, whether or not the server is
// looking, and its place is taken by another instance at once, by the goroutine of the completion port: so a
// client finds one listening until as many wait to be accepted as may.

// listeningInstances listen at once, so that clients that come at the same moment each find one.
const listeningInstances = 4

// Listener is an endpoint that listens, and owns its name. One goroutine may accept at a time.
//
// While a channel lives that it accepted, the name is not free: the system counts that as an instance of the
// same pipe.
type Listener struct {
	name     *uint16
	security *windows.SecurityAttributes
	backlog  int
	// arrivals has a token when there may be something to accept.
	arrivals chan struct{}

	// making: who makes an instance keeps whoever closes from returning before there is none. Taken before mu.
	making    sync.Mutex
	mu        sync.Mutex
	listening []*PacketChannel
	connected []*PacketChannel
	// failure is why the last instance could not be made.
	failure error
	closed  bool
}

// Bind takes the name path and listens on it. The errors are those of a path, InUseError where there is such
// a pipe already, and SysError.
func Bind(path string, options *BindOptions) (*Listener, error) {
	name, err := pipeName(path)
	if err != nil {
		return nil, err
	}
	attributes, err := security()
	if err != nil {
		return nil, err
	}
	l := &Listener{name: name, security: attributes, backlog: int(options.Backlog), arrivals: make(chan struct{}, 1)}
	if l.backlog == 0 {
		l.backlog = DefaultBacklog
	}
	first, err := l.instance(windows.FILE_FLAG_FIRST_PIPE_INSTANCE)
	switch {
	case err == windows.ERROR_ACCESS_DENIED, err == windows.ERROR_PIPE_BUSY:
		// So says the system where the name is taken; the name's own owner is denied nothing.
		return nil, &InUseError{Path: path, By: HolderLiveServer}
	case err != nil:
		return nil, refused("listen on the endpoint", err)
	}
	if err := l.listenWith(first); err != nil {
		return nil, err
	}
	l.listen()
	return l, nil
}

// instance makes an instance of the pipe.
func (l *Listener) instance(moreFlags uint32) (windows.Handle, error) {
	const mode = windows.PIPE_TYPE_MESSAGE | windows.PIPE_READMODE_MESSAGE | windows.PIPE_WAIT |
		windows.PIPE_REJECT_REMOTE_CLIENTS
	return windows.CreateNamedPipe(l.name, windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED|moreFlags, mode,
		windows.PIPE_UNLIMITED_INSTANCES, maxPacketBytes, maxPacketBytes, 0, l.security)
}

// listen sees to it that as many instances listen as should.
func (l *Listener) listen() {
	for l.makeAnother() {
	}
}

// makeAnother makes an instance that listens, where there should be one more: false where not, or where none is made.
func (l *Listener) makeAnother() bool {
	l.making.Lock()
	defer l.making.Unlock()
	if !l.wantsAnother() {
		return false
	}
	file, err := l.instance(0)
	if err != nil {
		err = refused("listen on the endpoint", err)
	} else {
		err = l.listenWith(file)
	}
	l.mu.Lock()
	l.failure = err
	l.mu.Unlock()
	return err == nil
}

func (l *Listener) wantsAnother() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	listening := len(l.listening)
	return !l.closed && listening < listeningInstances && listening+len(l.connected) < l.backlog
}

// listenWith has an instance wait for a client. Making is locked, but for the first.
func (l *Listener) listenWith(file windows.Handle) error {
	c, err := newServerChannel(file, l)
	if err != nil {
		return err
	}
	l.mu.Lock()
	closed := l.closed
	if !closed {
		// Before it begins, so that who arrives at once finds it.
		l.listening = append(l.listening, c)
	}
	l.mu.Unlock()
	if closed {
		return c.Close()
	}
	// Whoever calls this makes the next: not from here, or clients that come in a flood, and a system that refuses
	// again and again, would decide how deep the stack gets.
	if ended, errno := c.begin(&c.recv, nil, beginConnect); ended && !l.arrived(c, errno) {
		return refused("listen on the endpoint", errno)
	}
	return nil
}

func beginConnect(o *operation, file windows.Handle) error {
	return windows.ConnectNamedPipe(file, &o.record)
}

// arrived: an instance has a client, or never will: false then. The first who tells counts.
func (l *Listener) arrived(c *PacketChannel, errno syscall.Errno) bool {
	l.mu.Lock()
	at := slices.Index(l.listening, c)
	if at < 0 {
		// Told before, and perhaps accepted; or the listener is closed, and has closed it.
		l.mu.Unlock()
		return true
	}
	l.listening = slices.Delete(l.listening, at, at+1)
	c.door.Store(nil)
	// One that has left again may have said something before.
	isThere := errno == 0 || errno == windows.ERROR_PIPE_CONNECTED || errno == windows.ERROR_NO_DATA
	if isThere {
		l.connected = append(l.connected, c)
	}
	l.tell()
	l.mu.Unlock()
	if !isThere {
		_ = c.Close()
	}
	return isThere
}

// tell wakes who accepts. The lock is held.
func (l *Listener) tell() {
	if l.closed {
		return
	}
	select {
	case l.arrivals <- struct{}{}:
	default:
	}
}

// Accept accepts one client; waits for one as long as wait says. The errors are ErrAborted, ErrTimedOut,
// ErrClosed, ExhaustedError and SysError.
func (l *Listener) Accept(wait *Wait) (Accepted, error) {
	if wait.Ended() {
		return Accepted{}, ErrAborted
	}
	for {
		c, err := l.take()
		if err != nil {
			return Accepted{}, err
		}
		// There may be room for another, or again.
		l.listen()
		if c != nil {
			return Accepted{Channel: c}, nil
		}
		if err := l.stuck(); err != nil {
			return Accepted{}, err
		}
		if _, err := ReceiveFrom(l.arrivals, wait); err != nil {
			return Accepted{}, err
		}
	}
}

// take takes the client who has waited longest; nil if there is none.
func (l *Listener) take() (*PacketChannel, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, ErrClosed
	case len(l.connected) == 0:
		return nil, nil
	}
	c := l.connected[0]
	l.connected = slices.Delete(l.connected, 0, 1)
	return c, nil
}

// stuck is why nobody can connect any more, if so.
func (l *Listener) stuck() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure == nil || len(l.listening)+len(l.connected) > 0 {
		return nil
	}
	var system *SysError
	if errors.As(l.failure, &system) {
		switch system.Code {
		case windows.ERROR_NO_SYSTEM_RESOURCES, windows.ERROR_NOT_ENOUGH_MEMORY, windows.ERROR_NOT_ENOUGH_QUOTA:
			return &ExhaustedError{Err: system}
		}
	}
	return l.failure
}

// Close gives the name back and refuses the clients that were not accepted; an Accept that waits returns.
// Channels that it accepted live on.
func (l *Listener) Close() error {
	l.closeAll()
	// One that is being made finds the listener closed, and goes at once.
	l.making.Lock()
	defer l.making.Unlock()
	return nil
}

// closeAll closes the instances that nobody has accepted, and keeps others from being made.
func (l *Listener) closeAll() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	gone := slices.Concat(l.listening, l.connected)
	l.listening, l.connected = nil, nil
	close(l.arrivals)
	l.mu.Unlock()
	for _, c := range gone {
		_ = c.Close()
	}
}
