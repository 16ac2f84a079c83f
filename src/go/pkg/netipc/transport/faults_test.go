package transport

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

func TestEveryErrorHasSomebodyAtFaultAndSaysWhat(t *testing.T) {
	rejected := func(status protocol.Status) error {
		return &protocol.Refusal{Kind: protocol.RefusalRejected, Status: status}
	}
	broken := protocol.NewDecodeError(protocol.DefectReserved, 3)
	for _, c := range []struct {
		err   error
		fault Fault
		words string
	}{
		{&AboveLimitError{PayloadLen: 9}, FaultCaller, "the message has 9 bytes"},
		{&MalformedError{Defect: protocol.DefectReserved}, FaultCaller, "may not be sent so"},
		{&OverLimitError{Err: broken}, FaultPeerBroke, broken.Error()},
		{&UnknownIDError{MessageID: 7}, FaultPeerBroke, "request 7"},
		{&SharedMemoryError{Err: &SysError{Operation: "map it", Code: syscall.ENOMEM}}, FaultSystem, "shared memory"},
		{&SharedMemoryError{Err: &sys.RegionDefect{}}, FaultPeerBroke, "shared memory"},
		{&SharedMemoryError{Vanished: true, Err: &sys.RegionDefect{}}, FaultNobody, "shared memory"},
		{&SysError{Operation: "open it", Code: syscall.EIO}, FaultSystem, "open it"},
		{ErrDenied, FaultSystem, "permission denied"},
		{ErrNoDirectory, FaultCaller, "run directory"},
		{ErrChunkGap, FaultPeerBroke, "no more of it in time"},
		{ErrTimedOut, FaultNobody, "timed out"},
		{ErrNotFound, FaultNobody, "no endpoint"},
		{ErrSilent, FaultNobody, "does not answer HELLO"},
		{rejected(protocol.StatusAuthFailed), FaultCaller, "token"},
		{rejected(protocol.StatusLimitExceeded), FaultCaller, "LIMIT_EXCEEDED"},
		{rejected(protocol.StatusUnsupported), FaultPeerIncompatible, "profile"},
		{rejected(protocol.StatusIncompatible), FaultPeerIncompatible, "version"},
		{rejected(protocol.StatusBusy), FaultNobody, "BUSY"},
		{&protocol.Refusal{Kind: protocol.RefusalProfile}, FaultPeerBroke, "profile"},
	} {
		// What wraps an error has the same fault.
		for _, err := range []error{c.err, fmt.Errorf("a call: %w", c.err)} {
			if FaultOf(err) != c.fault {
				t.Errorf("%v is the fault of %v, want %v", err, FaultOf(err), c.fault)
			}
			if !strings.Contains(err.Error(), c.words) {
				t.Errorf("%q does not say %q", err, c.words)
			}
		}
	}
	if !errors.Is(&UnknownIDError{}, protocol.ErrContract) {
		t.Error("an answer to nothing breaks the contract")
	}
	words := make(map[string]bool)
	for fault := FaultNobody; fault <= FaultSystem; fault++ {
		words[fault.String()] = true
	}
	if len(words) != int(FaultSystem)+1 {
		t.Errorf("faults share words: %v", words)
	}
}
