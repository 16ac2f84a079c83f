package transport

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Session is a session with a peer, made only by a completed handshake: [Connect], or [Listener.Accept].
//
// Any number of goroutines may send at once: messages leave whole, one at a time. Receiving takes an
// [Inbox], and a session has one, used by one goroutine at a time. Closing may come from anywhere.
type Session struct {
	socket socket
	// region is nil on sockets.
	region    *region
	agreement agreement
	closed    atomic.Bool
}

// agreement is what a completed handshake leaves behind.
type agreement struct {
	role            role
	terms           protocol.Terms
	sessionID       uint64
	serverSupported protocol.Profiles
	peer            PeerIdentity
	// ceilingBytes is the longest payload that this side holds, in bytes.
	ceilingBytes uint32
	// spinLimit is how long its waits may look for a message before they sleep.
	spinLimit time.Duration
	// fallback is why there is no region although there was to be one; a server's.
	fallback error
}

// wholeMessages is the packet size of shared memory, where nothing is sent in chunks.
var wholeMessages, _ = protocol.NewPacketSize(math.MaxUint32)

// role is which end of the session this is.
type role uint8

const (
	client role = iota
	server
)

// newSession is a session on a socket, or through shared if that is not nil; release is called once when
// a server's region is given back.
func newSession(
	channel *sys.PacketChannel, shared *sys.RegionChannel, release func(), agreed agreement,
) *Session {
	s := &Session{
		socket: socket{
			channel: channel, packetSize: agreed.terms.PacketSize, turn: sys.NewTurn(),
		},
		agreement: agreed,
	}
	if shared == nil {
		channel.SpinAtMost(agreed.spinLimit)
	} else {
		shared.SpinAtMost(agreed.spinLimit)
		s.region = newRegion(shared, channel, agreed.role, release)
	}
	return s
}

// Send sends one message, whole, in as many packets as it takes. It waits for its turn and for room as
// long as wait says. A message that goes into one packet is sent even if the deadline has passed, when
// there is room.
//
// header.PayloadLen is the length of payload. A client sends requests, a server responses, both within
// what was agreed (spec section 1).
//
// The errors are [AboveLimitError], [MalformedError], [ErrAborted], [ErrTimedOut], [ErrPeerGone],
// [ErrClosed], [ErrEnded] and [SysError]; on shared memory, where nothing is waited for, [ErrOutOfTurn] and
// [BreachError]. When a part of the message was out, later calls give [ErrEnded]: close the session.
func (s *Session) Send(header *protocol.Header, payload []byte, wait Wait) error {
	return s.SendWithin(header, payload, &wait)
}

// SendWithin is [Session.Send] for who keeps the wait, and uses it again.
func (s *Session) SendWithin(header *protocol.Header, payload []byte, wait *Wait) error {
	if err := s.checkOutgoing(header, payload); err != nil {
		return err
	}
	if s.region == nil {
		return s.socket.send(header, payload, wait)
	}
	err := s.region.publish(header, payload)
	if err == ErrPeerGone && s.closed.Load() {
		// A region that is over does not tell who ended it.
		err = ErrClosed
	}
	return err
}

// NewInbox is an empty inbox for this session.
func (s *Session) NewInbox() *Inbox {
	a := &s.agreement
	direction, limits := protocol.Responses, a.terms.Response
	if a.role == server {
		direction, limits = protocol.Requests, a.terms.Request
	}
	packetSize := a.terms.PacketSize
	if s.region != nil {
		packetSize = wholeMessages
	}
	return newInbox(protocol.Incoming{
		Direction: direction, PacketSize: packetSize, Limits: limits, CeilingBytes: a.ceilingBytes,
	})
}

// Receive receives one message, which lies in inbox until that is used again. It waits as long as wait
// says, and for the rest of a message that has begun at most [ChunkGapTimeout] a packet.
//
// The errors are [ErrTimedOut] and [ErrAborted], after which receiving may go on, and, which end the
// session: [ErrClosed], [ErrBrokenOff], [ErrChunkGap], [OverLimitError], [protocol.DecodeError],
// [protocol.AboveCeilingError], [BreachError], [ErrEnded] and [SysError].
//
// On shared memory a goroutine that waits keeps its thread.
func (s *Session) Receive(inbox *Inbox, wait Wait) (protocol.Message, error) {
	if err := s.ReceiveInPlace(inbox, &wait); err != nil {
		return protocol.Message{}, err
	}
	message, ok := inbox.Message()
	if !ok {
		return protocol.Message{}, ErrEnded
	}
	return message, nil
}

// ReceiveInPlace is [Session.Receive], and leaves the message where it is: [Inbox.Received] has it.
func (s *Session) ReceiveInPlace(inbox *Inbox, wait *Wait) error {
	if s.region != nil {
		return s.region.receive(inbox, wait)
	}
	return s.socket.receive(inbox, wait)
}

// TryReceive takes what is there now, without waiting. False when no message is whole yet: what did
// arrive is in inbox. The errors are those of Receive, without the waiting: [ErrChunkGap] when the rest
// of a message is overdue.
func (s *Session) TryReceive(inbox *Inbox) (protocol.Message, bool, error) {
	var whole bool
	var err error
	if s.region != nil {
		whole, err = s.region.tryReceive(inbox)
	} else {
		whole, err = s.socket.tryReceive(inbox)
	}
	if !whole || err != nil {
		return protocol.Message{}, false, err
	}
	message, ok := inbox.Message()
	return message, ok, nil
}

// WaitReadable sleeps until there is something to receive, the peer's close included: for a session that
// idles and whose inbox has given its memory back. It never spins. The errors are those of waiting.
func (s *Session) WaitReadable(wait Wait) error {
	if s.region != nil {
		return s.region.channel.Wait(s.region.watched(), &wait)
	}
	return s.socket.channel.WaitReadable(&wait)
}

// InFlightLimit is how many messages may be in flight in one direction: 1 on shared memory, and
// [math.MaxInt] on sockets, where room alone limits it.
func (s *Session) InFlightLimit() int {
	if s.region != nil {
		return 1
	}
	return math.MaxInt
}

// Fallback is why a server's session has no shared memory although both ends wanted it; nil if it has, or
// they did not.
func (s *Session) Fallback() error { return s.agreement.fallback }

// Terms are what was agreed: profile, limits, packet size.
func (s *Session) Terms() *protocol.Terms { return &s.agreement.terms }

// ID is the server's number for the session: 1, 2, … for the server's lifetime.
func (s *Session) ID() uint64 { return s.agreement.sessionID }

// ServerSupported is what the server could have used: why the session has no better profile.
func (s *Session) ServerSupported() protocol.Profiles { return s.agreement.serverSupported }

// Peer is who is at the other end, as the kernel recorded it when the connection was made.
func (s *Session) Peer() PeerIdentity { return s.agreement.peer }

// PeerGone looks once, without waiting, whether the peer has left. Messages that it sent before can still
// be received.
func (s *Session) PeerGone() (bool, error) { return s.socket.channel.PeerGone() }

// Shutdown ends the session, from any goroutine: those who wait in Send or Receive return. The peer still
// gets what was sent.
func (s *Session) Shutdown() {
	if s.region != nil {
		s.region.shutdown()
		return
	}
	s.socket.channel.Shutdown()
}

// Drain is for after a final answer: it tells the peer that no more comes, and drops what it still sends
// until it leaves, so that the answer is not overtaken by a reset (spec section 6). At most
// [MaxDrainBytes], as long as wait says.
func (s *Session) Drain(wait Wait) (Drained, error) {
	if s.region != nil {
		return s.region.drain(&wait)
	}
	return drain(s.socket.channel, MaxDrainBytes, &wait)
}

// Close closes the session, from any goroutine, any number of times; those who wait return. The peer
// still gets what was sent. A session must be closed: shared memory, its file and its socket are given back
// by nothing else.
func (s *Session) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	if s.region != nil {
		s.region.close()
	}
	return s.socket.channel.Close()
}

// checkOutgoing: nobody sends what the peer would have to refuse (spec section 1).
func (s *Session) checkOutgoing(header *protocol.Header, payload []byte) error {
	var err error
	limits := &s.agreement.terms.Request
	if s.agreement.role == client {
		err = header.CheckRequest(limits)
	} else {
		limits = &s.agreement.terms.Response
		err = header.CheckResponse(limits)
	}
	switch {
	case err != nil:
		return cannotSend(header, err, limits)
	case uint64(len(payload)) != uint64(header.PayloadLen):
		return &MalformedError{Defect: protocol.DefectLength}
	case header.Status != protocol.StatusOK && *header != protocol.FailureHeader(header, header.Status):
		return &MalformedError{Defect: protocol.DefectStatus}
	}
	return nil
}

func cannotSend(header *protocol.Header, err error, limits *protocol.Limits) error {
	var broken protocol.DecodeError
	if errors.As(err, &broken) && broken.Defect != protocol.DefectLimit {
		return &MalformedError{Defect: broken.Defect}
	}
	return &AboveLimitError{PayloadLen: header.PayloadLen, ItemCount: header.ItemCount, Limits: *limits}
}
