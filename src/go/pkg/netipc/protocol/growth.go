package protocol

import (
	"errors"
	"fmt"
	"math"
)

// How limits grow: of responses on both sides, of requests on the client's (spec section 11). A session
// keeps its limits for life, so every growth is a reconnect. Reconnecting, and the time that it may
// take, are the caller's.
const (
	// StartingPayloadBytes is where limits of typed services start when the ceiling is not lower, in
	// bytes of payload.
	StartingPayloadBytes uint32 = 65_536
	// ProposedBatchItems is the batch items that typed clients propose.
	ProposedBatchItems uint32 = 1024
	// FallbackRequestBytes is what a typed client proposes for requests once its usual proposal was
	// refused, in bytes.
	FallbackRequestBytes = DefaultPayloadBytes
	// DefaultRequestCeilingBytes is the ceiling of requests, in bytes, unless configured.
	DefaultRequestCeilingBytes uint32 = 1 << 20
	// DefaultResponseCeilingBytes is the ceiling of responses of calls and lookups, in bytes, unless
	// configured.
	DefaultResponseCeilingBytes uint32 = 1 << 20
	// DefaultSnapshotCeilingBytes is the ceiling of responses of snapshots, in bytes, unless
	// configured.
	DefaultSnapshotCeilingBytes uint32 = 16 << 20
	// MaxGrowthsPerCall is how often one logical call may grow.
	MaxGrowthsPerCall = 8
	// MaxGrowthsInVain is how often one logical call may grow without the agreed limit having grown
	// since the last time.
	MaxGrowthsInVain = 2
)

// StartingLimit is where a limit starts that may grow up to ceiling, in bytes.
func StartingLimit(ceiling uint32) uint32 { return min(ceiling, StartingPayloadBytes) }

// Doubled is twice limit, up to ceiling, in bytes.
func Doubled(limit, ceiling uint32) uint32 {
	if limit > math.MaxUint32/2 {
		return ceiling
	}
	return min(2*limit, ceiling)
}

// ServerLimitAfter is the response limit that a server gives to later sessions, after it answered
// LIMIT_EXCEEDED on a session with sessionLimit. It goes by the session that was too small, so that
// many sessions that fail at the same limit double it once.
func ServerLimitAfter(current, sessionLimit, ceiling uint32) uint32 {
	return max(current, Doubled(sessionLimit, ceiling))
}

// ResponseHint is a client's hint of the responses that it would like. It outlives calls: a later call
// goes on from where the last one came to.
type ResponseHint struct{ bytes, ceiling uint32 }

// NewResponseHint is the hint of a client that holds at most ceiling bytes of response payload.
func NewResponseHint(ceiling uint32) ResponseHint {
	return ResponseHint{bytes: StartingLimit(ceiling), ceiling: ceiling}
}

// Bytes is what to propose, in bytes.
func (h *ResponseHint) Bytes() uint32 { return h.bytes }

// Ceiling is the client's own, in bytes.
func (h *ResponseHint) Ceiling() uint32 { return h.ceiling }

// CallGrowth is what growth one logical call has had. The zero value is none.
type CallGrowth struct {
	growths       uint32
	inVain        uint32
	largestAgreed uint32
}

var (
	// ErrGrowthCeiling: the answer is above this client's own ceiling.
	ErrGrowthCeiling = errors.New("the answer is above this client's ceiling")
	// ErrGrowthInVain: the server does not grow its limit.
	ErrGrowthInVain = errors.New("the answer does not fit, and the server does not grow its limit")
	// ErrGrowthOften: enough for one call. A later one goes on from here.
	ErrGrowthOften = errors.New("the answer does not fit after as many reconnects with larger limits as a call may have")
)

// GrowthEnd says why a call does not grow any more; the call fails with the answer's LIMIT_EXCEEDED.
type GrowthEnd struct {
	// Err is [ErrGrowthCeiling], [ErrGrowthInVain] or [ErrGrowthOften].
	Err error
	// Bytes is the ceiling, or the agreed limit of a server that does not grow it.
	Bytes uint32
}

func (e GrowthEnd) Error() string {
	switch e.Err {
	case ErrGrowthCeiling:
		return fmt.Sprintf("the answer is above this client's ceiling of %d bytes: raise it", e.Bytes)
	case ErrGrowthInVain:
		return fmt.Sprintf("the answer does not fit, and the server stays at %d bytes", e.Bytes)
	}
	return fmt.Sprintf("the answer does not fit after %d reconnects with larger limits", MaxGrowthsPerCall)
}

// Unwrap makes errors.Is find the reason.
func (e GrowthEnd) Unwrap() error { return e.Err }

// LimitExceeded decides after LIMIT_EXCEEDED to a request that was within the request limit, on a
// session that agreed on responses of agreed bytes. nil means: the hint has doubled; reconnect and send
// the request again. Otherwise the call fails with the [GrowthEnd].
func (g *CallGrowth) LimitExceeded(hint *ResponseHint, agreed uint32) error {
	if agreed >= hint.ceiling {
		return GrowthEnd{Err: ErrGrowthCeiling, Bytes: hint.ceiling}
	}
	if g.growths == MaxGrowthsPerCall {
		return GrowthEnd{Err: ErrGrowthOften}
	}
	if agreed > g.largestAgreed {
		g.largestAgreed, g.inVain = agreed, 0
	}
	if g.inVain == MaxGrowthsInVain {
		return GrowthEnd{Err: ErrGrowthInVain, Bytes: agreed}
	}
	// In vain until a later session shows that it was not.
	g.inVain++
	g.growths++
	hint.bytes = Doubled(hint.bytes, hint.ceiling)
	return nil
}

// Growths counts the reconnects of this call for growth, for its status.
func (g *CallGrowth) Growths() uint32 { return g.growths }

// RequestProposals is what a client proposes for its requests to one server.
type RequestProposals struct {
	ceiling    uint32
	batchItems uint32
	// usual is proposed when nothing special is needed: the last that was accepted.
	usual uint32
	// larger is what one request needs, and no session has had yet; 0 for none.
	larger uint32
}

// ErrRequestTooLarge is what every [AboveRequestCeiling] is.
var ErrRequestTooLarge = errors.New("the request is too large")

// AboveRequestCeiling: one request is longer than this client may send; the caller's fault.
type AboveRequestCeiling struct {
	// Needed is what the request needs, in bytes.
	Needed uint32
	// Ceiling is the client's, in bytes.
	Ceiling uint32
}

func (e AboveRequestCeiling) Error() string {
	return fmt.Sprintf("the request has %d bytes, above this client's ceiling of %d", e.Needed, e.Ceiling)
}

// Is makes errors.Is find [ErrRequestTooLarge].
func (e AboveRequestCeiling) Is(target error) bool { return target == ErrRequestTooLarge }

// AfterRefusal is what to do after a server refused a proposal with LIMIT_EXCEEDED.
type AfterRefusal uint8

const (
	// RefusedProposeAgain: connect again at once; the proposal is smaller now.
	RefusedProposeAgain AfterRefusal = iota
	// RefusedTooLarge: the request that needed more than usual fails as too large. Later connections
	// propose what was accepted before.
	RefusedTooLarge
	// RefusedGiveUp: the server takes not even the smallest proposal.
	RefusedGiveUp
)

// NewRequestProposals is what to propose to a server that nothing is known of. Neither argument is zero;
// ceiling is in bytes ([DefaultRequestCeilingBytes]), batchItems usually [ProposedBatchItems].
func NewRequestProposals(ceiling, batchItems uint32) RequestProposals {
	return RequestProposals{ceiling: ceiling, batchItems: batchItems, usual: StartingLimit(ceiling)}
}

// Limits are those for the next HELLO.
func (p *RequestProposals) Limits() Limits {
	return Limits{PayloadBytes: OrDefault(p.larger, p.usual), BatchItems: p.batchItems}
}

// Accepted notes that a server has accepted Limits: they are the usual ones from now on.
func (p *RequestProposals) Accepted() {
	p.usual, p.larger = p.Limits().PayloadBytes, 0
}

// Refused notes that a server has refused Limits with LIMIT_EXCEEDED. That it refused the usual ones is
// remembered.
func (p *RequestProposals) Refused() AfterRefusal {
	if p.larger != 0 {
		p.larger = 0
		return RefusedTooLarge
	}
	if p.usual > FallbackRequestBytes {
		p.usual = FallbackRequestBytes
		return RefusedProposeAgain
	}
	return RefusedGiveUp
}

// Need says that one request, or one key, needs more than the session has: reconnect once, and propose
// just that. It fails with [AboveRequestCeiling], without any connection.
func (p *RequestProposals) Need(needed uint32) error {
	if needed > p.ceiling {
		return AboveRequestCeiling{Needed: needed, Ceiling: p.ceiling}
	}
	p.larger = needed
	return nil
}

// ForgetNeed notes that the reconnect for a larger request met something else than an answer (no
// endpoint, a deadline): later connections propose what was accepted before.
func (p *RequestProposals) ForgetNeed() { p.larger = 0 }
