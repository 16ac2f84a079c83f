package service

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

func TestEveryFailureOfASessionIsOfItsKind(t *testing.T) {
	refused := &transport.SysError{Operation: "send it", Code: syscall.EIO}
	broken := protocol.NewDecodeError(protocol.DefectReserved, 3)
	type row struct {
		met  error
		kind ErrorKind
		is   error
	}
	for _, c := range []row{
		{transport.ErrTimedOut, KindTimedOut, ErrTimedOut},
		{transport.ErrAborted, KindAborted, ErrAborted},
		{transport.ErrPeerGone, KindLost, ErrPeerGone},
		{transport.ErrEnded, KindLost, ErrPeerGone},
		{refused, KindSystem, syscall.EIO},
	} {
		for _, err := range []error{c.met, fmt.Errorf("in a session: %w", c.met)} {
			if failed := sendError(err); failed.Kind != c.kind || !errors.Is(failed, c.is) {
				t.Errorf("sending: %v is %v, %v", err, failed.Kind, failed)
			}
		}
	}
	for _, c := range []row{
		{transport.ErrTimedOut, KindTimedOut, ErrTimedOut},
		{transport.ErrAborted, KindAborted, ErrAborted},
		{transport.ErrClosed, KindLost, ErrPeerGone},
		{transport.ErrBrokenOff, KindLost, ErrPeerGone},
		{transport.ErrChunkGap, KindViolation, ErrBrokenOff},
		{protocol.AboveCeilingError{PayloadLen: 9}, KindLimit, protocol.ErrAboveCeiling},
		{broken, KindViolation, protocol.ErrContract},
		{refused, KindSystem, syscall.EIO},
	} {
		for _, err := range []error{c.met, fmt.Errorf("in a session: %w", c.met)} {
			if failed := receiveError(err); failed.Kind != c.kind || !errors.Is(failed, c.is) {
				t.Errorf("receiving: %v is %v, %v", err, failed.Kind, failed)
			}
		}
	}
	if fault := sendError(refused).Fault(); fault != transport.FaultSystem {
		t.Errorf("%v is at fault for what the system refuses", fault)
	}
	reconnect := fail(KindLost, fmt.Errorf("%w: %w", ErrReconnect, transport.ErrDenied))
	if fault := reconnect.Fault(); fault != transport.FaultSystem {
		t.Errorf("%v is at fault for a session that could not be replaced", fault)
	}
}

func TestNoConfigurationShowsItsToken(t *testing.T) {
	const token = 0x1234_5678_9abc_def0
	client, server := ClientConfig{AuthToken: token}, ServerConfig{AuthToken: token}
	for _, shown := range []string{
		fmt.Sprintf("%v", client), fmt.Sprintf("%#v", client), fmt.Sprintf("%v", server), fmt.Sprintf("%#v", server),
	} {
		if strings.Contains(shown, "1311768467463790320") || strings.Contains(strings.ToLower(shown), "123456789abcdef0") {
			t.Errorf("%s shows the token", shown)
		}
	}
}
