package transport

import (
	"errors"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Fault is who is at fault.
type Fault uint8

const (
	// FaultNobody: time ran out, this side aborted, the peer is not there, left, or is full.
	FaultNobody Fault = iota
	// FaultPeerBroke: the peer broke the contract.
	FaultPeerBroke
	// FaultPeerIncompatible: the peer keeps its contract, and it is not ours: another version, another
	// profile.
	FaultPeerIncompatible
	// FaultCaller: the caller of this library asked for what cannot be, or configured it so.
	FaultCaller
	// FaultSystem: the operating system refused.
	FaultSystem
)

func (f Fault) String() string {
	switch f {
	case FaultPeerBroke:
		return "the peer broke the contract"
	case FaultPeerIncompatible:
		return "the peer is incompatible"
	case FaultCaller:
		return "the caller"
	case FaultSystem:
		return "the operating system"
	}
	return "nobody"
}

// FaultOf says who is at fault for an error of this package.
func FaultOf(err error) Fault {
	var refusal *protocol.Refusal
	if errors.As(err, &refusal) {
		return refusalFault(refusal)
	}
	var shared *SharedMemoryError
	switch {
	case errors.As(err, &shared) && shared.Vanished:
		return FaultNobody
	case is[protocol.DecodeError](err), is[*UnknownIDError](err), is[*BreachError](err), is[*sys.RegionDefect](err),
		errors.Is(err, ErrBrokenOff), errors.Is(err, ErrChunkGap), errors.Is(err, protocol.ErrContract):
		return FaultPeerBroke
	case is[*AboveLimitError](err), is[*MalformedError](err), is[protocol.AboveCeilingError](err),
		is[*protocol.NameError](err), is[*InUseError](err), is[*ForeignError](err),
		is[*NoHardLinksError](err), errors.Is(err, ErrNoDirectory), errors.Is(err, ErrEnded),
		errors.Is(err, ErrInFlight), errors.Is(err, ErrOutOfTurn), errors.Is(err, ErrDuplicateID),
		errors.Is(err, sys.ErrPathEmpty), errors.Is(err, sys.ErrPathNul), errors.Is(err, sys.ErrPathTooLong):
		return FaultCaller
	case is[*SysError](err), is[*BindDeniedError](err), is[*sys.PacketTooLongError](err),
		errors.Is(err, ErrDenied), errors.Is(err, ErrUnsupported):
		return FaultSystem
	}
	return FaultNobody
}

func refusalFault(refusal *protocol.Refusal) Fault {
	if refusal.Kind != protocol.RefusalRejected {
		return FaultPeerBroke
	}
	switch refusal.Status {
	case protocol.StatusAuthFailed, protocol.StatusLimitExceeded:
		return FaultCaller
	case protocol.StatusUnsupported, protocol.StatusIncompatible:
		return FaultPeerIncompatible
	}
	return FaultNobody
}

// MetBy is what a failed [Connect] met, for [protocol.Retry]. False when this side aborted: nothing was
// learnt of the server.
func MetBy(err error) (protocol.Met, bool) {
	var refusal *protocol.Refusal
	var shared *SharedMemoryError
	switch {
	case errors.Is(err, ErrAborted):
		return protocol.Met{}, false
	case errors.As(err, &refusal):
		return refusal.Met(), true
	case errors.As(err, &shared) && shared.Vanished:
		return protocol.Met{What: protocol.MetRegionVanished}, true
	case errors.Is(err, ErrNotFound):
		return protocol.Met{What: protocol.MetNoEndpoint}, true
	case errors.Is(err, ErrNoAnswer), errors.Is(err, ErrSilent):
		return protocol.Met{What: protocol.MetNoAnswer}, true
	}
	return protocol.Met{What: protocol.MetUnreachable}, true
}

// is tells whether err is, or wraps, an error of this type.
func is[E error](err error) bool {
	var found E
	return errors.As(err, &found)
}
