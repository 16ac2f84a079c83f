package transport

import (
	"sync/atomic"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// HandshakeCounts say what became of those who came. Each connection is in Connections, and in one of the
// others once it is decided.
type HandshakeCounts struct {
	// Connections accepted.
	Connections uint64
	// Sessions: handshakes that became sessions.
	Sessions uint64
	// Busy: clients that were told BUSY: no session, or no descriptor, was free.
	Busy uint64
	// AuthFailed: clients of a user that is not admitted, or with another token.
	AuthFailed uint64
	// Incompatible: clients without a profile, version or packet size in common.
	Incompatible uint64
	// LimitExceeded: clients that asked for longer requests than are granted.
	LimitExceeded uint64
	// Malformed: clients whose HELLO broke the contract.
	Malformed uint64
	// TimedOut: clients that said nothing in time.
	TimedOut uint64
	// Left: clients that left, or whose connection failed, before they were answered.
	Left uint64
	// Displaced: clients that said nothing and gave way to newer ones: too many were pending.
	Displaced uint64
	// Exhausted: times that nobody could be accepted, for want of descriptors or memory.
	Exhausted uint64
}

type handshakeCounters struct {
	connections, sessions, busy, authFailed, incompatible, limitExceeded, malformed atomic.Uint64
	timedOut, left, displaced, exhausted                                            atomic.Uint64
}

// counts are the counts now; each by itself is exact, together they may be of slightly different moments.
func (c *handshakeCounters) counts() HandshakeCounts {
	return HandshakeCounts{
		Connections:   c.connections.Load(),
		Sessions:      c.sessions.Load(),
		Busy:          c.busy.Load(),
		AuthFailed:    c.authFailed.Load(),
		Incompatible:  c.incompatible.Load(),
		LimitExceeded: c.limitExceeded.Load(),
		Malformed:     c.malformed.Load(),
		TimedOut:      c.timedOut.Load(),
		Left:          c.left.Load(),
		Displaced:     c.displaced.Load(),
		Exhausted:     c.exhausted.Load(),
	}
}

func (c *handshakeCounters) rejected(reason protocol.RejectReason) {
	switch reason {
	case protocol.RejectMalformed:
		c.malformed.Add(1)
	case protocol.RejectOtherVersion, protocol.RejectNoCommonProfile, protocol.RejectPacketSize:
		c.incompatible.Add(1)
	case protocol.RejectNotAdmitted, protocol.RejectWrongToken:
		c.authFailed.Add(1)
	case protocol.RejectRequestLimit:
		c.limitExceeded.Add(1)
	default:
		c.busy.Add(1)
	}
}
