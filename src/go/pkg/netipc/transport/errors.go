package transport

import (
	"errors"
	"fmt"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// What can end any call that waits, and what a peer can do to a session. [FaultOf] sorts all of them.
var (
	// ErrAborted: the abort handle is set, or the wait was cancelled. Receiving may go on.
	ErrAborted = sys.ErrAborted
	// ErrTimedOut: the deadline passed. Receiving may go on; what did arrive is kept in the inbox.
	ErrTimedOut = sys.ErrTimedOut
	// ErrClosed: the peer closed its end and everything that it sent before was received, or this side
	// closed.
	ErrClosed = sys.ErrClosed
	// ErrPeerGone: the peer closed its end, and nothing was sent. Receive until ErrClosed before
	// judging: an answer may be queued (spec section 6).
	ErrPeerGone = sys.ErrPeerGone
	// ErrUnsupported: this platform has no transport yet.
	ErrUnsupported = sys.ErrUnsupported
	// ErrBrokenOff: the peer closed its end in the midst of a message.
	ErrBrokenOff = errors.New("the peer closed the session in the midst of a message")
	// ErrChunkGap: the peer began a message and did not go on. The session must end.
	ErrChunkGap = errors.New("the peer began a message and sent no more of it in time")
	// ErrEnded: an earlier error, or a message that was sent in part only, has ended this session.
	ErrEnded = errors.New("an earlier error has ended this session")
	// ErrInFlight: as many messages are in flight as the session may have: receive first. Nothing was
	// sent.
	ErrInFlight = protocol.ErrInFlightFull
	// ErrDuplicateID: a request with this id is in flight already: the caller's fault. Nothing was sent.
	ErrDuplicateID = protocol.ErrDuplicateID
)

// Why no connection was made.
var (
	// ErrNotFound: nothing is at the path: the provider is not there (yet).
	ErrNotFound = sys.ErrNotFound
	// ErrRefused: a socket is there and nobody listens on it.
	ErrRefused = sys.ErrRefused
	// ErrDenied: this process may not connect.
	ErrDenied = sys.ErrDenied
	// ErrBacklogFull: the server's backlog stayed full until the deadline.
	ErrBacklogFull = sys.ErrBacklogFull
	// ErrNoAnswer: the server closed the connection in place of answering HELLO: a refusal of unknown
	// reason.
	ErrNoAnswer = errors.New("the server closed the connection without an answer to HELLO")
	// ErrSilent: the server accepted, and did not answer HELLO before the deadline; an ErrTimedOut too.
	ErrSilent = fmt.Errorf("%w: the server does not answer HELLO", ErrTimedOut)
	// ErrInUse is what every [InUseError] is: the endpoint has a server.
	ErrInUse = sys.ErrInUse
	// ErrNoDirectory: the run directory does not exist.
	ErrNoDirectory = sys.ErrNoDirectory
)

// SysError: the operating system refused an operation.
type SysError = sys.SysError

// ForeignError: something that is not an endpoint is at the endpoint's path.
type ForeignError = sys.ForeignError

// InUseError: address in use, and by whom or what.
type InUseError = sys.InUseError

// BindDeniedError: this user may not do this in the run directory.
type BindDeniedError = sys.BindDeniedError

// NoHardLinksError: the run directory's file system has no hard links.
type NoHardLinksError = sys.NoHardLinksError

// BreachError: the peer broke the rules of the shared memory. The session must end.
type BreachError = sys.BreachError

// AboveLimitError: the message is longer than what was agreed for its direction; nothing was sent.
type AboveLimitError struct {
	// PayloadLen is the bytes of its payload, ItemCount its items.
	PayloadLen, ItemCount uint32
	// Limits are what was agreed.
	Limits protocol.Limits
}

func (e *AboveLimitError) Error() string {
	return fmt.Sprintf("the message has %d bytes and %d items, agreed were %d and %d",
		e.PayloadLen, e.ItemCount, e.Limits.PayloadBytes, e.Limits.BatchItems)
}

// MalformedError: the header is not one that this side may send, or does not agree with the payload;
// nothing was sent.
type MalformedError struct {
	// Defect is what is wrong.
	Defect protocol.Defect
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("the message may not be sent so: %v", e.Defect)
}

// Unwrap is the defect.
func (e *MalformedError) Unwrap() error { return e.Defect }

// OverLimitError: the peer's message is above the agreed limit. The session must end; a server answers
// LIMIT_EXCEEDED to this header first (spec section 1).
type OverLimitError struct {
	// Header is that of the message.
	Header protocol.Header
	// Err is what is above the limit.
	Err protocol.DecodeError
}

func (e *OverLimitError) Error() string { return e.Err.Error() }

// Unwrap is what is above the limit.
func (e *OverLimitError) Unwrap() error { return e.Err }

// UnknownIDError: the peer answered a request that is not in flight. The session must end (spec section
// 1).
type UnknownIDError struct {
	// MessageID is the id of the answer.
	MessageID uint64
}

func (e *UnknownIDError) Error() string {
	return fmt.Sprintf("the peer answered request %d, which is not in flight", e.MessageID)
}

// Is makes errors.Is find [protocol.ErrContract].
func (e *UnknownIDError) Is(target error) bool { return target == protocol.ErrContract }

// ErrShared is what every [SharedMemoryError] is.
var ErrShared = errors.New("the shared memory cannot be used")

// SharedMemoryError: the server granted shared memory, and its region could not be attached. The client
// tries again with the baseline alone, but for a region that vanished together with the connection: that
// server is full, or going.
type SharedMemoryError struct {
	// Vanished: the region was gone before it was attached, and the socket closed.
	Vanished bool
	// Err is why.
	Err error
}

func (e *SharedMemoryError) Error() string {
	return fmt.Sprintf("the session's shared memory cannot be used: %v", e.Err)
}

// Is makes errors.Is find [ErrShared].
func (e *SharedMemoryError) Is(target error) bool { return target == ErrShared }

// Unwrap is why.
func (e *SharedMemoryError) Unwrap() error { return e.Err }
