package transport

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// exhaustedPause is how long nobody is accepted after the system had no descriptor or memory for one
// more. Nothing tells when it has again.
const exhaustedPause = 100 * time.Millisecond

// Listener is the server's side of an endpoint: clients come in, sessions come out.
//
//	socket ── acceptor ──▶ pending ── HELLO ──▶ negotiate ── region ── HELLO_ACK ──▶ Accept
//	                          │                    └ refusal ──▶ drained, closed
//	                          └ deadline, or too many: closed
//
// One goroutine accepts, and each connection has a goroutine of its own until it is a session: a client
// that says nothing delays nobody. The listener keeps no session and does not count those that live;
// whether one more may be made, ListenerConfig.Reserve says.
type Listener struct {
	socket   *sys.Listener
	rules    rules
	counters handshakeCounters
	lastID   atomic.Uint64

	pendings pendings
	sessions chan *Session
	closed   chan struct{}
	closing  sync.Once
	running  sync.WaitGroup
}

// Listen takes the endpoint and listens on it. A socket whose server died is replaced, a live server's
// never (spec section 6).
//
// The errors are [InUseError], [ErrNoDirectory], [BindDeniedError], [NoHardLinksError], [SysError] and
// [ErrUnsupported].
func Listen(endpoint Endpoint, config *ListenerConfig) (*Listener, error) {
	options := config.bindOptions()
	socket, err := sys.Bind(endpoint.socket, &options)
	if err != nil {
		return nil, err
	}
	l := &Listener{
		socket:   socket,
		sessions: make(chan *Session),
		closed:   make(chan struct{}),
	}
	l.rules.init(endpoint, config)
	l.rules.regions.removeStale()
	l.pendings.init(config.MaxPendingHandshakes)
	l.running.Add(1)
	go l.acceptAll()
	return l, nil
}

// Accept waits for the next session as long as wait says. Any number of goroutines may. The errors are
// [ErrAborted], [ErrTimedOut], and [ErrClosed] once the listener is closed.
func (l *Listener) Accept(wait Wait) (*Session, error) {
	return sys.ReceiveFrom(l.sessions, &wait)
}

// ResponseLimit is the limit of responses that later sessions get: a handle for those who grow it.
func (l *Listener) ResponseLimit() *ResponseLimit { return &l.rules.responseLimit }

// Counts are what became of all who came.
func (l *Listener) Counts() HandshakeCounts { return l.counters.counts() }

// Pending counts the connections in their handshake: those that were refused and have not left, and
// those that wait for Accept, included.
func (l *Listener) Pending() int { return l.pendings.len() }

// Close gives the name back and closes what is in its handshake; Accept returns [ErrClosed]. Sessions that
// were accepted live on. It may be called any number of times.
func (l *Listener) Close() error {
	l.closing.Do(func() {
		close(l.closed)
		_ = l.socket.Close()
		l.pendings.closeAll()
		l.running.Wait()
		close(l.sessions)
	})
	return nil
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// acceptAll is the acceptor: it waits for nobody but the next client.
func (l *Listener) acceptAll() {
	defer l.running.Done()
	for {
		accepted, err := l.socket.Accept(&Wait{})
		if errors.Is(err, ErrClosed) {
			return
		}
		if err != nil {
			l.counters.exhausted.Add(1)
			select {
			case <-l.closed:
				return
			case <-time.After(exhaustedPause):
			}
			continue
		}
		l.counters.connections.Add(1)
		if accepted.Overflow {
			l.refuseOverflow(accepted.Channel)
			continue
		}
		waiting := newPending(accepted.Channel)
		if !l.pendings.add(waiting, l.displace) {
			_ = accepted.Channel.Close()
			l.counters.left.Add(1)
			continue
		}
		l.running.Add(1)
		go l.shakeHands(waiting)
	}
}

// refuseOverflow tells a client that has the last descriptor that the server is full, and closes it at
// once, so that there is a descriptor again.
func (l *Listener) refuseOverflow(channel *sys.PacketChannel) {
	l.refuse(channel, &protocol.Rejection{Reason: protocol.RejectSessionsTaken})
	_ = channel.Close()
}

// shakeHands sees one connection through its handshake.
func (l *Listener) shakeHands(p *pending) {
	defer l.running.Done()
	defer l.pendings.remove(p)
	session := l.hear(p)
	if session == nil {
		_ = p.channel.Close()
		return
	}
	select {
	case l.sessions <- session:
	case <-l.closed:
		_ = session.Close()
		l.rules.unreserve()
	}
}

// hear waits for what the client has to say, and answers. Nil when it has no session.
func (l *Listener) hear(p *pending) *Session {
	// One byte more than is allowed shows a longer HELLO.
	hello := make([]byte, protocol.MaxHandshakeMessageLen+1)
	length, err := p.channel.Recv(hello, &Wait{Deadline: After(l.rules.handshakeTimeout)})
	if !p.decide() {
		// It gave way to another, and was told.
		return nil
	}
	if err != nil {
		if err == ErrTimedOut {
			l.counters.timedOut.Add(1)
		} else {
			l.counters.left.Add(1)
		}
		return nil
	}
	may, rejection, err := l.rules.judge(p.channel, hello[:min(length, len(hello))])
	if err != nil {
		l.counters.left.Add(1)
		return nil
	}
	if rejection == nil && !l.rules.reserve() {
		rejection = &protocol.Rejection{Reason: protocol.RejectSessionsTaken}
	} else if rejection == nil {
		var session *Session
		if session, rejection = l.agree(p, may); rejection == nil {
			return session
		}
		l.rules.unreserve()
	}
	l.refuse(p.channel, rejection)
	p.refuse()
	if l.isClosed() {
		// Whoever closes all has looked before this was a refusal, maybe.
		return nil
	}
	_, _ = drain(p.channel, refusalDrainBytes, &Wait{Deadline: After(refusalDrainTimeout)})
	return nil
}

// agree makes what a session needs, and tells the client that it has one. Nil when the client has left.
func (l *Listener) agree(p *pending, may verdict) (*Session, *protocol.Rejection) {
	made, rejection := l.rules.regions.prepare(may.offer, &l.lastID)
	if rejection != nil {
		return nil, rejection
	}
	terms := made.offer.Terms()
	session := newSession(p.channel, made.channel, l.rules.regions.releaser(made.channel), agreement{
		role:            server,
		terms:           terms,
		sessionID:       made.sessionID,
		serverSupported: l.rules.policy.Supported,
		peer:            may.peer,
		ceilingBytes:    terms.Request.PayloadBytes,
		spinLimit:       l.rules.spinLimit,
		fallback:        made.fallback,
	})
	message := made.offer.Message(made.sessionID)
	// Counted before, so that whoever was told is.
	l.counters.sessions.Add(1)
	if sent, err := p.channel.TrySend(message[:], nil); !sent || err != nil {
		l.counters.sessions.Add(^uint64(0))
		l.counters.left.Add(1)
		_ = session.Close()
		l.rules.unreserve()
		return nil, nil
	}
	return session, nil
}

// refuse tells a client why it has no session; counted before, so that whoever was told is.
func (l *Listener) refuse(channel *sys.PacketChannel, rejection *protocol.Rejection) {
	l.counters.rejected(rejection.Reason)
	message := rejection.Message()
	// One that cannot be told has left. Nothing was sent before, so there is room.
	_, _ = channel.TrySend(message[:], nil)
}

// displace makes a pending connection give way. True if it was still undecided.
func (l *Listener) displace(p *pending) {
	if p.decide() {
		l.counters.displaced.Add(1)
		message := protocol.RejectionMessage(protocol.StatusBusy)
		_, _ = p.channel.TrySend(message[:], nil)
	}
	_ = p.channel.Close()
}
