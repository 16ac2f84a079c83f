package protocol

import "math"

// ClientState is what a client is (spec section 11).
type ClientState uint8

const (
	// StateDisconnected: no session; never tried, or refused for a passing reason.
	StateDisconnected ClientState = iota
	// StateConnecting: a connection or handshake is under way.
	StateConnecting
	// StateReady: a session is there.
	StateReady
	// StateNotFound: nobody serves this endpoint.
	StateNotFound
	// StateAuthFailed: the server does not admit this user or token.
	StateAuthFailed
	// StateIncompatible: the peers have no version, profile or method in common.
	StateIncompatible
	// StateBroken: a session was there and ended by death, violation, timeout or abort.
	StateBroken
)

// String is what to call the state in status and logs.
func (s ClientState) String() string {
	switch s {
	case StateDisconnected:
		return "disconnected"
	case StateConnecting:
		return "connecting"
	case StateReady:
		return "ready"
	case StateNotFound:
		return "not found"
	case StateAuthFailed:
		return "authentication failed"
	case StateIncompatible:
		return "incompatible"
	}
	return "broken"
}

// Met is what an attempt to connect met, or how a session ended.
type Met struct {
	// What was met.
	What MetWhat
	// Status is that of a refusal.
	Status Status
}

// MetWhat is the kind of a [Met].
type MetWhat uint8

const (
	// MetNoEndpoint: no endpoint at the name.
	MetNoEndpoint MetWhat = iota
	// MetUnreachable: an endpoint that nobody serves, or that cannot be connected to now.
	MetUnreachable
	// MetNoAnswer: a close, or silence until the deadline, in place of HELLO_ACK.
	MetNoAnswer
	// MetBadAnswer: a HELLO_ACK that breaks the contract.
	MetBadAnswer
	// MetRejected: a refusal with a status.
	MetRejected
	// MetRegionVanished: the region of the session was gone before it was attached, and the socket
	// closed.
	MetRegionVanished
	// MetClosedEarly: the peer left before the first answer of its session.
	MetClosedEarly
	// MetSessionLost: a READY session ended in any other way.
	MetSessionLost
)

// NextTry is when the next refresh tries.
type NextTry uint8

const (
	// NextTryAtOnce: whenever it is called.
	NextTryAtOnce NextTry = iota
	// NextTryBusy: the server is full; after [BusyBackoff].
	NextTryBusy
	// NextTryRarely: the cause will hardly pass; after [RareBackoff].
	NextTryRarely
)

// Backoff is a delay that doubles with every attempt.
type Backoff struct {
	// FirstMs is the first delay, in milliseconds.
	FirstMs uint64
	// CapMs is the longest delay before jitter, in milliseconds.
	CapMs uint64
	// JitterPercent is how far a delay may be off in either direction.
	JitterPercent uint64
}

var (
	// BusyBackoff is for servers that are full: 100 ms doubling to 5 s, ± 25 %.
	BusyBackoff = Backoff{FirstMs: 100, CapMs: 5_000, JitterPercent: 25}
	// RareBackoff is for causes that hardly pass: 10 s doubling to 5 min.
	RareBackoff = Backoff{FirstMs: 10_000, CapMs: 300_000}
)

const (
	// earlyClosesOfAFullServer: sessions in a row that close before their first answer, when the server
	// has no more to give.
	earlyClosesOfAFullServer = 2
	// maxDoublings is more than any cap needs, and fewer than a shift of the delays allows.
	maxDoublings = 32
)

// DelayMs is the delay after earlier attempts of the same kind, in milliseconds. random is any number
// that others cannot guess.
func (b Backoff) DelayMs(earlier uint32, random uint64) uint64 {
	delay := min(b.FirstMs<<min(earlier, maxDoublings), b.CapMs)
	jitter := delay * b.JitterPercent / 100
	return delay - jitter + random%(2*jitter+1)
}

// Retry decides when a client tries to connect again, and what state it shows meanwhile (spec section
// 11), over all its sessions. Time and randomness are arguments: milliseconds of any clock that does
// not go back. Nobody waits here, and nothing connects by itself: a refresh, or the recovery of a call,
// asks MayTry. The zero value is a client that has met nothing.
type Retry struct {
	busy        uint32
	rarely      uint32
	closedEarly uint32
	waits       bool
	retryAtMs   uint64
}

// Verdict is what a client shows after [Retry.Met].
type Verdict struct {
	// State is the client's.
	State ClientState
	// NextTry is when the next refresh tries; Busy is the reason to show.
	NextTry NextTry
	// RetryAtMs is from when on, in the caller's milliseconds; 0 for at once.
	RetryAtMs uint64
}

// Met records what was met at nowMs, and decides.
func (r *Retry) Met(met Met, nowMs, random uint64) Verdict {
	if met.What != MetClosedEarly {
		r.closedEarly = 0
	} else if r.closedEarly < math.MaxUint32 {
		r.closedEarly++
	}
	state, next := Classify(met, r.closedEarly)
	r.waits, r.retryAtMs = next != NextTryAtOnce, 0
	switch next {
	case NextTryBusy:
		r.retryAtMs = saturatingAdd(nowMs, BusyBackoff.DelayMs(count(&r.busy), random))
	case NextTryRarely:
		r.retryAtMs = saturatingAdd(nowMs, RareBackoff.DelayMs(count(&r.rarely), random))
	}
	return Verdict{State: state, NextTry: next, RetryAtMs: r.retryAtMs}
}

// Answered notes that a session gave its first answer: all is well, delays start over. (A handshake
// alone proves nothing: a full server in the field accepts and then closes.)
func (r *Retry) Answered() { *r = Retry{} }

// MayTry tells whether a refresh at nowMs may connect.
func (r *Retry) MayTry(nowMs uint64) bool { return !r.waits || nowMs >= r.retryAtMs }

// RetryAtMs is from when on a refresh tries, in the caller's milliseconds; false for at once.
func (r *Retry) RetryAtMs() (uint64, bool) { return r.retryAtMs, r.waits }

// Classify is the state after what was met, and when the next refresh tries. closedEarly counts
// sessions in a row that closed before their first answer, this one included: a second means that the
// server is full.
func Classify(met Met, closedEarly uint32) (ClientState, NextTry) {
	switch met.What {
	case MetNoEndpoint:
		return StateNotFound, NextTryAtOnce
	case MetRegionVanished:
		return StateDisconnected, NextTryBusy
	case MetRejected:
		switch met.Status {
		case StatusBusy:
			return StateDisconnected, NextTryBusy
		case StatusAuthFailed:
			return StateAuthFailed, NextTryRarely
		case StatusUnsupported, StatusIncompatible:
			return StateIncompatible, NextTryRarely
		}
		return StateDisconnected, NextTryAtOnce
	case MetUnreachable, MetNoAnswer, MetBadAnswer:
		return StateDisconnected, NextTryAtOnce
	case MetClosedEarly:
		if closedEarly >= earlyClosesOfAFullServer {
			return StateDisconnected, NextTryBusy
		}
	}
	return StateBroken, NextTryAtOnce
}

// count is how many there were before, and one more from now on.
func count(attempts *uint32) uint32 {
	earlier := *attempts
	if earlier < math.MaxUint32 {
		*attempts = earlier + 1
	}
	return earlier
}

func saturatingAdd(a, b uint64) uint64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint64
}
