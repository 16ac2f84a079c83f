package transport

import (
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// ErrOutOfTurn: on shared memory, requests and answers take turns, and it is the peer's. Nothing was sent.
var ErrOutOfTurn = errors.New("on shared memory one request is answered before the next is sent: receive first")

// region moves messages through shared memory: each whole, requests and answers taking turns (spec
// section 7).
//
//	client   publish ─────▶ receive        this side's turn: ours
//	server      receive ─▶ publish         the peer's turn: nothing may be sent
//
// An area holds one message, so this side sends only when it is its turn: a client first, and again once
// it has the answer; a server once it has a request. The socket of the handshake stays open and silent
// beside it: that it closes is how each side sees the other leave. A client looks at it while a call
// waits; a server has a goroutine parked on it, which ends the session.
type region struct {
	channel *sys.RegionChannel
	socket  *sys.PacketChannel
	role    role
	// ours: it is this side's turn to send.
	ours atomic.Bool
	// over: the session has ended, by either side.
	over atomic.Bool
	// left is closed when a server's goroutine has seen the client leave.
	left chan struct{}
	// release gives back what the region takes of the server's budget.
	release func()
}

func newRegion(channel *sys.RegionChannel, socket *sys.PacketChannel, role role, release func()) *region {
	g := &region{channel: channel, socket: socket, role: role, left: make(chan struct{}), release: release}
	g.ours.Store(role == client)
	if role == server {
		go g.watch()
	}
	return g
}

// watch waits for the client to leave, asleep, and ends the session then. It ends with the session.
func (g *region) watch() {
	// Whatever wakes it: on this profile nothing may come, so that a packet is the end as well.
	_ = g.socket.WaitReadable(&Wait{})
	g.channel.End()
	close(g.left)
}

// drain tells the client that no more comes, and waits until it has left.
func (g *region) drain(wait *Wait) (Drained, error) {
	if g.role == client {
		return drain(g.socket, MaxDrainBytes, wait)
	}
	g.socket.FinishSending()
	switch _, err := sys.ReceiveFrom(g.left, wait); err {
	case ErrTimedOut:
		return DrainedTimedOut, nil
	case ErrAborted:
		return DrainedAborted, nil
	}
	return DrainedPeerClosed, nil
}

// publish sends one message, checked before, whole. It never waits.
func (g *region) publish(header *protocol.Header, payload []byte) error {
	if g.over.Load() {
		return ErrPeerGone
	}
	if !g.ours.CompareAndSwap(true, false) {
		return ErrOutOfTurn
	}
	var head [protocol.HeaderLen]byte
	header.Put(&head)
	err := g.channel.Send(head[:], payload)
	for err == sys.ErrRegionBusy {
		// Who answered last is in the midst of waking the peer, whose next request is answered already.
		runtime.Gosched()
		err = g.channel.Send(head[:], payload)
	}
	if err != nil && is[*sys.PacketTooLongError](err) {
		// The areas hold all that was agreed, so this is a limit that no region could keep.
		return &MalformedError{Defect: protocol.DefectLength}
	}
	return err
}

// watched is the socket that a waiting call looks at: a client's.
func (g *region) watched() *sys.PacketChannel {
	if g.role == client {
		return g.socket
	}
	return nil
}

// receive receives one message into the inbox.
func (g *region) receive(in *Inbox, wait *Wait) error {
	if in.held.where == ended {
		return ErrEnded
	}
	in.forget()
	length, err := g.channel.Receive(in, g.watched(), wait)
	if err != nil {
		return g.notReceived(in, err)
	}
	return g.take(in, length)
}

// tryReceive takes the message that is there. True when one was.
func (g *region) tryReceive(in *Inbox) (bool, error) {
	if in.held.where == ended {
		return false, ErrEnded
	}
	in.forget()
	length, err := g.channel.TryReceive(in)
	if err != nil {
		return false, g.notReceived(in, err)
	}
	if length == 0 {
		return false, nil
	}
	err = g.take(in, length)
	return err == nil, err
}

// Room is memory for a message of so many bytes: grown to what arrives, up to what may.
func (in *Inbox) Room(length int) []byte {
	length = min(length, in.room)
	if len(in.packet) < length {
		in.packet = make([]byte, length)
	}
	return in.packet[:length]
}

func (g *region) take(in *Inbox, length int) error {
	if g.role == server && isBye(in.packet[:min(length, in.room)]) {
		g.over.Store(true)
		return in.end(ErrClosed)
	}
	_, err := in.take(length)
	if err == nil || is[*OverLimitError](err) {
		// What a server finds too long it answers, last of all (spec section 1).
		g.ours.Store(true)
	} else {
		g.over.Store(true)
	}
	return err
}

// isBye tells whether a message is the client's farewell: a clean end.
func isBye(message []byte) bool {
	if len(message) != protocol.HeaderLen {
		return false
	}
	header, err := protocol.DecodeHeader(message)
	return err == nil && header.IsBye()
}

func (g *region) notReceived(in *Inbox, err error) error {
	switch err {
	case ErrAborted, ErrTimedOut:
		return err
	case ErrClosed:
		g.over.Store(true)
		return err
	case sys.ErrRegionBusy:
		// Two goroutines receive, with an inbox each: none of them has a session.
		return in.end(ErrEnded)
	}
	g.over.Store(true)
	return in.end(err)
}

// shutdown ends the session, from any goroutine: those who wait return.
func (g *region) shutdown() {
	g.over.Store(true)
	g.channel.End()
	g.socket.Shutdown()
}

// close ends the session and gives the memory back. A client that leaves an idle session says so by a message,
// where the region has no other way to say it: servers in the field do not look at the socket.
func (g *region) close() {
	if g.role == client && !sys.RegionsTellOfClose && !g.over.Load() && g.ours.CompareAndSwap(true, false) {
		bye := protocol.ControlHeader(protocol.OpcodeBye, protocol.StatusOK, 0)
		head := bye.Encode()
		// The socket, which closes next, says the same.
		_ = g.channel.Send(head[:], nil)
	}
	g.over.Store(true)
	// Before the socket: a peer that sees that close finds the file gone.
	g.channel.Close()
	g.release()
}
