package transport

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

const (
	// refusalDrainTimeout is how long a client that was refused may take to read that and leave.
	refusalDrainTimeout = time.Second
	// refusalDrainBytes is what it may send meanwhile: more than that it never waited for HELLO_ACK.
	refusalDrainBytes = 64 << 10
)

// rules are what this server offers and demands.
type rules struct {
	// policy is all but the response limit and the packet size, which are of the moment and of the socket.
	policy           protocol.Policy
	access           AccessPolicy
	packetSize       uint32
	spinLimit        time.Duration
	handshakeTimeout time.Duration
	responseLimit    ResponseLimit
	regions          regions
	reserve          func() bool
	unreserve        func()
}

func (r *rules) init(endpoint Endpoint, config *ListenerConfig) {
	r.regions.endpoint, r.regions.token, r.regions.most = endpoint, config.AuthToken, config.RegionBytes
	if r.regions.most == 0 {
		r.regions.most = DefaultRegionBytes
	}
	supported := platform.Supported(config.SupportedProfiles)
	r.policy = protocol.Policy{
		Supported: supported,
		Preferred: config.PreferredProfiles & supported,
		MaxRequestPayloadBytes: protocol.OrDefault(
			config.MaxRequestPayloadBytes, protocol.DefaultPayloadBytes),
		AuthToken: config.AuthToken,
	}
	r.access = config.Access
	r.packetSize, r.spinLimit = config.PacketSize, config.SpinLimit
	r.handshakeTimeout = config.HandshakeTimeout
	if r.handshakeTimeout <= 0 {
		r.handshakeTimeout = DefaultHandshakeTimeout
	}
	r.responseLimit.bytes.Store(
		protocol.OrDefault(config.ResponsePayloadBytes, protocol.DefaultPayloadBytes))
	r.reserve, r.unreserve = config.Reserve, config.Unreserve
	if r.reserve == nil {
		r.reserve = func() bool { return true }
	}
	if r.unreserve == nil {
		r.unreserve = func() {}
	}
}

// judge decides on a HELLO, all but whether a session is free. An error means that the client cannot be
// spoken to.
func (r *rules) judge(
	channel *sys.PacketChannel, hello []byte,
) (verdict, *protocol.Rejection, error) {
	peer, err := channel.Peer()
	if err != nil {
		return verdict{}, nil, err
	}
	policy := r.policy
	policy.ResponsePayloadBytes = r.responseLimit.Get()
	if policy.PacketSize, err = packetSizeOf(channel, r.packetSize); err != nil {
		return verdict{}, nil, err
	}
	agreed, rejection := protocol.Negotiate(hello, &policy, protocol.Peer{
		Admitted:       r.access.admits(peer),
		CanOpenRegions: peer.IsOwnOrPrivileged(),
		// Asked last, as spec section 4 has it, by the caller: it takes a place, which clients that have
		// no right to one should not.
		SessionFree: true,
	})
	if rejection != nil {
		return verdict{}, rejection, nil
	}
	return verdict{offer: agreed, peer: peer}, nil, nil
}

// verdict is what a HELLO may have.
type verdict struct {
	offer protocol.Agreed
	peer  PeerIdentity
}

// pending is a connection that is not a session yet, or never will be.
type pending struct {
	channel *sys.PacketChannel
	// decided by whoever is first: the one who heard it, or the one who makes it give way. Only that one
	// sends to it.
	decided atomic.Bool
	// refused and decided: it is only being drained, and may give way.
	refused atomic.Bool
	place   *list.Element
}

func newPending(channel *sys.PacketChannel) *pending { return &pending{channel: channel} }

// decide is true for the first who asks.
func (p *pending) decide() bool { return p.decided.CompareAndSwap(false, true) }

func (p *pending) refuse() { p.refused.Store(true) }

// mayGiveWay: not if it is being answered, or is a session that waits to be accepted.
func (p *pending) mayGiveWay() bool { return !p.decided.Load() || p.refused.Load() }

// pendings are all pending connections, the oldest first.
type pendings struct {
	mu     sync.Mutex
	room   sync.Cond
	all    list.List
	most   int
	closed bool
}

func (ps *pendings) init(most int) {
	if most <= 0 {
		most = DefaultMaxPendingHandshakes
	}
	ps.most = most
	ps.room.L = &ps.mu
}

func (ps *pendings) len() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.all.Len()
}

// add takes one in. When there are too many, the oldest gives way: it has had the most time. When none
// can, this waits until one has been accepted. False once all were closed.
func (ps *pendings) add(p *pending, displace func(*pending)) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for !ps.closed && ps.all.Len() >= ps.most {
		if oldest := ps.oldest(); oldest != nil {
			ps.drop(oldest)
			displace(oldest)
			break
		}
		ps.room.Wait()
	}
	if ps.closed {
		return false
	}
	p.place = ps.all.PushBack(p)
	return true
}

func (ps *pendings) oldest() *pending {
	for at := ps.all.Front(); at != nil; at = at.Next() {
		if p := at.Value.(*pending); p.mayGiveWay() {
			return p
		}
	}
	return nil
}

func (ps *pendings) remove(p *pending) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.drop(p)
	ps.room.Signal()
}

func (ps *pendings) drop(p *pending) {
	if p.place != nil {
		ps.all.Remove(p.place)
		p.place = nil
	}
}

// closeAll closes those that are not sessions yet, and lets nobody in any more.
func (ps *pendings) closeAll() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.closed = true
	for at := ps.all.Front(); at != nil; at = at.Next() {
		if p := at.Value.(*pending); p.mayGiveWay() {
			_ = p.channel.Close()
		}
	}
	ps.room.Broadcast()
}
