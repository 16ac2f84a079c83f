package protocol

// What becomes of one logical call (spec section 11): when its request is sent again, and what a status
// means to it. Its growth is for [CallGrowth]; the splitting of lookups is not here.

// Loss is how the session under a call ended before the answer came.
type Loss uint8

const (
	// LossPeerGone: the peer left, or the connection broke.
	LossPeerGone Loss = iota
	// LossViolation: the answer, or anything else that came, breaks the contract.
	LossViolation
	// LossTimeout: the call's time is up.
	LossTimeout
	// LossAbort: the caller aborted the call.
	LossAbort
)

// Resend is at least once: a request is sent again once per logical call, when its session was lost.
// The zero value is a call that has not been sent again.
type Resend struct{ used bool }

// After tells whether to reconnect and send the request again, after a READY session was lost before
// the answer came. Anything but a peer that left is final for the call, and is reported as what it is.
func (r *Resend) After(loss Loss) bool {
	again := loss == LossPeerGone && !r.used
	r.used = r.used || again
	return again
}

// AnswerAction is what a call does with an answer.
type AnswerAction uint8

const (
	// AnswerTake: decode the payload.
	AnswerTake AnswerAction = iota
	// AnswerGrow: ask [CallGrowth]; when it says no, fail and close the session.
	AnswerGrow
	// AnswerFailAndKeep: fail with the status; the session goes on.
	AnswerFailAndKeep
	// AnswerFailAndClose: fail with the status and close the session. It is not sent again.
	AnswerFailAndClose
)

// OnAnswer is what a call does with an answer of this status.
func OnAnswer(status Status) AnswerAction {
	switch {
	case status == StatusOK:
		return AnswerTake
	case status == StatusLimitExceeded:
		return AnswerGrow
	case status.KeepsSession():
		return AnswerFailAndKeep
	}
	return AnswerFailAndClose
}
