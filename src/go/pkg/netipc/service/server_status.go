package service

import (
	"sync"
	"sync/atomic"

	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// ServerStatus is a server at one moment. Counts run from its start.
type ServerStatus struct {
	// Sessions now, and the most that there may be at a time.
	Sessions, MaxSessions int
	// InFlight is the requests being worked on now, answers that wait for their reader included.
	InFlight int
	// Workers is how many handlers run at a time, those of a host's other services included.
	Workers int
	// ResponseLimitBytes is the response limit that the next session gets, in bytes.
	ResponseLimitBytes uint32
	// ResponseCeilingBytes is what it can grow to, in bytes.
	ResponseCeilingBytes uint32
	// Handshakes by outcome: sessions, and refusals by reason.
	Handshakes transport.HandshakeCounts
	// Calls are requests by outcome. A batch is one request.
	Calls CallCounts
	// Ended are sessions that are over, by reason.
	Ended EndCounts
	// RequestBytes and ResponseBytes are bytes of payloads.
	RequestBytes, ResponseBytes uint64
	// LastError is why a handler last failed, or why the system refused to send an answer; nil when neither
	// happened.
	LastError error
}

// CallCounts are requests by outcome. A batch is one request.
type CallCounts struct {
	// OK: answered.
	OK uint64
	// Unsupported: another method.
	Unsupported uint64
	// BadEnvelope: the request did not decode.
	BadEnvelope uint64
	// LimitExceeded: the request or the response was too long for the session.
	LimitExceeded uint64
	// InternalError: the handler failed.
	InternalError uint64
	// Panics: handlers that panicked; their requests are counted under InternalError, too.
	Panics uint64
}

// EndCounts are sessions that are over, by reason.
type EndCounts struct {
	// Left: the client left.
	Left uint64
	// Answered: a final answer was given: a status other than OK and UNSUPPORTED.
	Answered uint64
	// Violated: the client broke the contract.
	Violated uint64
	// ChunkGap: the client began a message and did not go on.
	ChunkGap uint64
	// NotRead: the client did not read its answers.
	NotRead uint64
	// Stopped: the server stopped or drained.
	Stopped uint64
	// Failed: the operating system refused something that the session needed.
	Failed uint64
}

// end is why a session is over.
type end uint8

const (
	endNone end = iota
	endLeft
	endAnswered
	endViolated
	endChunkGap
	endNotRead
	endStopped
	endFailed
	ends
)

var endNames = [ends]string{"", "left", "answered", "violated", "chunk gap", "not read", "stopped", "failed"}

// counters are the counts behind [ServerStatus]. Nothing but counts hangs on them.
type counters struct {
	inFlight                                              atomic.Int64
	ok, unsupported, badEnvelope, limitExceeded, internal atomic.Uint64
	panics, requestBytes, responseBytes                   atomic.Uint64
	ended                                                 [ends]atomic.Uint64

	mu        sync.Mutex
	lastError error
}

func (c *counters) answered(f failure) {
	switch f {
	case noFailure:
		c.ok.Add(1)
	case failedMethod:
		c.unsupported.Add(1)
	case failedEnvelope:
		c.badEnvelope.Add(1)
	case failedLimit:
		c.limitExceeded.Add(1)
	default:
		c.internal.Add(1)
	}
}

func (c *counters) calls() CallCounts {
	return CallCounts{
		OK: c.ok.Load(), Unsupported: c.unsupported.Load(), BadEnvelope: c.badEnvelope.Load(),
		LimitExceeded: c.limitExceeded.Load(), InternalError: c.internal.Load(), Panics: c.panics.Load(),
	}
}

func (c *counters) ends() EndCounts {
	return EndCounts{
		Left: c.ended[endLeft].Load(), Answered: c.ended[endAnswered].Load(),
		Violated: c.ended[endViolated].Load(), ChunkGap: c.ended[endChunkGap].Load(),
		NotRead: c.ended[endNotRead].Load(), Stopped: c.ended[endStopped].Load(),
		Failed: c.ended[endFailed].Load(),
	}
}
