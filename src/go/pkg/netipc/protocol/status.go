package protocol

import "fmt"

// Status is what a message says about its own envelope: transport_status (spec section 1). It never
// speaks of business outcomes: "not found" lives in a payload. The set is open: values that this
// version does not know are carried as they are.
type Status uint16

const (
	// StatusOK: the envelope was understood and the payload is the answer. Always this in requests.
	StatusOK Status = 0
	// StatusBadEnvelope: the header, or the payload of a request, does not decode.
	StatusBadEnvelope Status = 1
	// StatusAuthFailed: the peer's user is not admitted, or its token differs.
	StatusAuthFailed Status = 2
	// StatusIncompatible: the peers have no version, layout or packet size in common.
	StatusIncompatible Status = 3
	// StatusUnsupported: no profile in common, or a method that this endpoint does not serve.
	StatusUnsupported Status = 4
	// StatusLimitExceeded: a request or its answer is above an agreed limit.
	StatusLimitExceeded Status = 5
	// StatusInternalError: the handler failed.
	StatusInternalError Status = 6
	// StatusBusy, in HELLO_ACK: the server has all the sessions that it may have; try later. An
	// extension: peers that lack it take it as any other refusal.
	StatusBusy Status = 0x0100
)

// KeepsSession tells whether a session goes on after an answer with this status: both ends close it
// after any other (spec section 11).
func (s Status) KeepsSession() bool {
	return s == StatusOK || s == StatusUnsupported
}

// String is the contract's name, or the number of a status that this version does not know.
func (s Status) String() string {
	switch s {
	case StatusOK:
		return "OK"
	case StatusBadEnvelope:
		return "BAD_ENVELOPE"
	case StatusAuthFailed:
		return "AUTH_FAILED"
	case StatusIncompatible:
		return "INCOMPATIBLE"
	case StatusUnsupported:
		return "UNSUPPORTED"
	case StatusLimitExceeded:
		return "LIMIT_EXCEEDED"
	case StatusInternalError:
		return "INTERNAL_ERROR"
	case StatusBusy:
		return "BUSY"
	}
	return fmt.Sprintf("status 0x%04x", uint16(s))
}
