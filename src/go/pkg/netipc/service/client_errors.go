package service

import (
	"errors"
	"fmt"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// Why a call failed, for errors.Is. Beside these there are [StatusError], [protocol.GrowthEnd],
// [protocol.AboveCeilingError], [protocol.DecodeError], what a schema forbids, and the errors of
// connecting; and context.Canceled and context.DeadlineExceeded where the call's context ended it.
var (
	// ErrNotReady: the client has no session, and only a refresh connects. Nothing was sent.
	ErrNotReady = errors.New("the client is not ready: refresh it; its status says why")
	// ErrRequestTooLarge: the request is above this client's own ceiling. Nothing was sent.
	ErrRequestTooLarge = protocol.ErrRequestTooLarge
	// ErrRequestRefused: the server takes no request of that length. Nothing was sent.
	ErrRequestRefused = errors.New("the server refuses requests of that length: ask for less")
	// ErrTooManyItems: more items than a batch of this session may have. Nothing was sent.
	ErrTooManyItems = errors.New("more items than a batch of this session may have: use several batches")
	// ErrEmptyBatch: a batch has items. Nothing was sent.
	ErrEmptyBatch = errors.New("a batch has items")
	// ErrNotBatchable: the service takes no batches. Nothing was sent.
	ErrNotBatchable = errors.New("this service takes no batches (spec section 2)")
	// ErrTimedOut: the time of the whole call is up. The session has ended if a request was on its way.
	ErrTimedOut = transport.ErrTimedOut
	// ErrAborted: the client's abort handle is set, or the call's context was cancelled. The session has
	// ended if a request was on its way.
	ErrAborted = transport.ErrAborted
	// ErrPeerGone: the server left before it answered, and again when the request was sent once more.
	ErrPeerGone = errors.New("the server closed the session before it answered")
	// ErrBusy: the server closes its sessions before it answers them: it is full.
	ErrBusy = errors.New("the server is full: it closes sessions before it answers; refresh later")
	// ErrReconnect: the session was lost, or too small, and there is no other.
	ErrReconnect = errors.New("the session had to be replaced, and was not")
	// ErrMismatch: the answer is none to what was asked. The session has ended.
	ErrMismatch = errors.New("the peer broke the contract: the answer is none to what was asked")
	// ErrBrokenOff: the server began its answer and sent no more of it in time. The session has ended.
	ErrBrokenOff = transport.ErrChunkGap
	// ErrTooManyKeys: more keys than a lookup may have. Nothing was sent.
	ErrTooManyKeys = errors.New("more keys than one lookup may have: ask in several calls")
	// ErrTooManySubCalls: the limits of the session need more sub-requests than a lookup may have.
	ErrTooManySubCalls = errors.New("the lookup needs more sub-requests than it may have: " +
		"ask for less at once, or give the provider a larger limit")
	// ErrLookupTooLarge: the answers to a lookup take more memory than it may have.
	ErrLookupTooLarge = errors.New("the answers to the lookup exceed what it may have: ask for less at once")
	// ErrGenerationChanged: the provider's state changed during a lookup, and again when it was started
	// anew.
	ErrGenerationChanged = errors.New("the provider's generation changed twice during one lookup: try again")
)

// StatusError: the server answered with a failure. Comparable: errors.Is finds one with the same status.
type StatusError struct {
	// Status is the server's.
	Status protocol.Status
}

func (e StatusError) Error() string { return fmt.Sprintf("the server answered: %v", e.Status) }

// ErrorKind is a kind of failure that a status counts apart.
type ErrorKind uint8

const (
	// KindNotReady: the client was not ready.
	KindNotReady ErrorKind = iota
	// KindCaller: the caller asked for what cannot be.
	KindCaller
	// KindTimedOut: time was up.
	KindTimedOut
	// KindAborted: this side aborted.
	KindAborted
	// KindLost: the server left, and could not be reached again, or was full.
	KindLost
	// KindViolation: the server broke the contract.
	KindViolation
	// KindStatus: the server answered with a failure.
	KindStatus
	// KindLimit: a request or an answer is above a limit that does not grow.
	KindLimit
	// KindSystem: the operating system refused.
	KindSystem
	errorKinds
)

var errorKindNames = [errorKinds]string{
	"not ready", "caller", "timed out", "aborted", "lost", "violation", "status", "limit", "system",
}

func (k ErrorKind) String() string { return errorKindNames[k] }

// CallError is why a call failed. errors.Is and errors.As look into it. Whether the session is still
// there, its client's status says.
type CallError struct {
	// Kind is which kind of failure it is.
	Kind ErrorKind
	// Err is what happened.
	Err error
}

func (e *CallError) Error() string { return e.Err.Error() }

// Unwrap is what happened.
func (e *CallError) Unwrap() error { return e.Err }

// Fault is who is at fault.
func (e *CallError) Fault() transport.Fault {
	var status StatusError
	switch {
	case errors.Is(e.Err, ErrReconnect):
		return transport.FaultOf(e.Err)
	case errors.As(e.Err, &status) && status.Status == protocol.StatusUnsupported:
		return transport.FaultPeerIncompatible
	case errors.As(e.Err, &status) && status.Status == protocol.StatusBadEnvelope:
		// The peer says that this side's request does not decode.
		return transport.FaultCaller
	}
	switch e.Kind {
	case KindNotReady, KindCaller, KindLimit:
		return transport.FaultCaller
	case KindViolation, KindStatus:
		return transport.FaultPeerBroke
	case KindSystem:
		return transport.FaultSystem
	}
	return transport.FaultNobody
}

func fail(kind ErrorKind, err error) *CallError { return &CallError{Kind: kind, Err: err} }

func failf(kind ErrorKind, err error, format string, args ...any) *CallError {
	return &CallError{Kind: kind, Err: fmt.Errorf("%w: %s", err, fmt.Sprintf(format, args...))}
}

// sendError is what a failed send is to a call.
func sendError(err error) *CallError {
	switch {
	case errors.Is(err, ErrTimedOut):
		return fail(KindTimedOut, ErrTimedOut)
	case errors.Is(err, ErrAborted):
		return fail(KindAborted, ErrAborted)
	case errors.Is(err, transport.ErrPeerGone), errors.Is(err, transport.ErrEnded), errors.Is(err, transport.ErrClosed):
		return fail(KindLost, ErrPeerGone)
	case isBreach(err):
		return fail(KindViolation, err)
	}
	return fail(KindSystem, fmt.Errorf("the request was not sent: %w", err))
}

// receiveError is what a failed receive is to a call.
func receiveError(err error) *CallError {
	switch {
	case errors.Is(err, ErrTimedOut):
		return fail(KindTimedOut, ErrTimedOut)
	case errors.Is(err, ErrAborted):
		return fail(KindAborted, ErrAborted)
	case errors.Is(err, transport.ErrClosed), errors.Is(err, transport.ErrBrokenOff), errors.Is(err, transport.ErrEnded):
		return fail(KindLost, ErrPeerGone)
	case errors.Is(err, ErrBrokenOff):
		return fail(KindViolation, ErrBrokenOff)
	case errors.Is(err, protocol.ErrAboveCeiling):
		return fail(KindLimit, err)
	case errors.Is(err, protocol.ErrContract):
		return malformed(err)
	case isBreach(err):
		return fail(KindViolation, err)
	}
	return fail(KindSystem, err)
}

// isBreach tells whether the peer broke the rules of the shared memory.
func isBreach(err error) bool {
	var breach *transport.BreachError
	return errors.As(err, &breach)
}

func malformed(err error) *CallError {
	return fail(KindViolation, fmt.Errorf("the answer is malformed: %w", err))
}

// lossOf is how the session ended, as the decision to send again wants to know it. What is no loss of the
// peer is never sent again.
func lossOf(err *CallError) protocol.Loss {
	switch {
	case err.Err == ErrPeerGone:
		return protocol.LossPeerGone
	case err.Kind == KindTimedOut:
		return protocol.LossTimeout
	case err.Kind == KindAborted:
		return protocol.LossAbort
	}
	return protocol.LossViolation
}
