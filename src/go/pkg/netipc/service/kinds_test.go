package service

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

func TestEveryFailureOfASessionIsOfItsKind(t *testing.T) {
	refused := &transport.SysError{Operation: "send it", Code: syscall.EIO}
	broken := protocol.NewDecodeError(protocol.DefectReserved, 3)
	// As an error that is compared.
	var breach error = &transport.BreachError{}
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
		{breach, KindViolation, breach},
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
		{breach, KindViolation, breach},
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

// sessionOf is a session of a server.
func sessionOf(t *testing.T) *transport.Session {
	t.Helper()
	// On Windows a run directory is but a name.
	runDir := fmt.Sprintf(`C:\netipc\%d`, os.Getpid())
	if runtime.GOOS != "windows" {
		runDir = t.TempDir()
	}
	endpoint, err := NewEndpoint(runDir, "kinds")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := transport.Listen(endpoint, &transport.ListenerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	wait := transport.Until(transport.After(20 * time.Second))
	client, err := transport.Connect(endpoint, &transport.Proposal{}, wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	session, err := listener.Accept(wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// What ends a session is counted as what it is, and only a handler's failure is the last error.
func TestSessionsEndByWhatEndedThem(t *testing.T) {
	session := sessionOf(t)
	var breach error = &transport.BreachError{}
	receiving, sending := (*served).failedToReceive, (*served).failedToSend
	for _, c := range []struct {
		failed func(*served, error)
		met    error
		why    end
	}{
		{receiving, transport.ErrAborted, endNone},
		{receiving, transport.ErrClosed, endLeft},
		{receiving, transport.ErrChunkGap, endChunkGap},
		{receiving, protocol.NewDecodeError(protocol.DefectReserved, 3), endViolated},
		{receiving, breach, endViolated},
		{receiving, &transport.SysError{Operation: "receive", Code: syscall.EIO}, endFailed},
		{sending, transport.ErrTimedOut, endNotRead},
		{sending, transport.ErrPeerGone, endLeft},
		{sending, transport.ErrClosed, endLeft},
		{sending, breach, endViolated},
		// A client that asked once more before it was answered.
		{sending, transport.ErrOutOfTurn, endViolated},
		// Another's message was cut short, who says why.
		{sending, transport.ErrEnded, endNone},
		{sending, &transport.SysError{Operation: "send", Code: syscall.EIO}, endFailed},
	} {
		s := &served{service: new(servedService), session: session, room: make(chan struct{}, 1), reading: true}
		c.failed(s, c.met)
		if s.ended != c.why {
			t.Errorf("%v: it ended as %q, and not as %q", c.met, endNames[s.ended], endNames[c.why])
		}
		if last := s.service.counters.lastError; last != nil && c.why != endFailed {
			t.Errorf("%v: no handler failed: %v", c.met, last)
		}
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
