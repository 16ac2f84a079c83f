//go:build failpoints

package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Processes that are killed between two steps of a publication, and what is left for the survivor.

const (
	// stepEnv names the step after which the other process dies.
	stepEnv = "NETIPC_TEST_STEP"
	// lastWords is a message that no other before it is like, nor as long as.
	lastWords = 3000
)

// steps are those of a publication, each with whether the message of a process that dies there is published.
var steps = map[string]bool{
	"Copied": false, "Measured": false, "Numbered": true, "Signalled": true, "Woken": true,
}

func init() {
	roles["die asking"] = dieAsking
	roles["die answering"] = dieAnswering
}

var shares = Proposal{
	SupportedProfiles: both, PreferredProfiles: both, Request: protocol.Limits{PayloadBytes: 65536, BatchItems: 10},
}

func dieAsking(endpoint Endpoint) error {
	session, err := Connect(endpoint, &shares, within(soon))
	if err == nil {
		err = newCounter(session).call(within(soon))
	}
	if err == nil {
		err = DieAfter(os.Getenv(stepEnv))
	}
	if err != nil {
		return err
	}
	header := protocol.RequestHeader(3, 2, lastWords)
	return survived(session.Send(&header, pattern(lastWords), within(soon)))
}

func dieAnswering(endpoint Endpoint) error {
	config := sharedListener()
	listener, err := Listen(endpoint, &config)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	session, err := listener.Accept(within(soon))
	if err != nil {
		return err
	}
	inbox := session.NewInbox()
	for _, length := range []int{8, lastWords} {
		request, err := session.Receive(inbox, within(soon))
		if err == nil && length == lastWords {
			err = DieAfter(os.Getenv(stepEnv))
		}
		if err != nil {
			return err
		}
		header := protocol.ResponseHeader(&request.Header, uint32(length))
		if err := session.Send(&header, pattern(length), within(soon)); err != nil {
			return err
		}
	}
	return survived(nil)
}

func survived(err error) error { return errors.Join(errors.New("it lives"), err) }

// survives wants the last words, whole, if they were published; then that the peer is gone.
func survives(t *testing.T, session *Session, published bool) {
	t.Helper()
	inbox := session.NewInbox()
	if published {
		if message := receive(t, session, inbox); !bytes.Equal(message.Payload, pattern(lastWords)) {
			t.Errorf("%d bytes that were not sent", len(message.Payload))
		}
	}
	if message, err := session.Receive(inbox, within(soon)); err != ErrClosed {
		t.Errorf("%+v, %v", message.Header, err)
	}
}

// died wants that the other process was killed, by itself.
func (o *other) died(t *testing.T) {
	t.Helper()
	_ = o.command.Wait()
	if status, ok := o.command.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("it was not killed: %v", o.command.ProcessState)
	}
}

func TestAClientThatDiesAtAnyStepLeavesAMessageOrNothing(t *testing.T) {
	for step, published := range steps {
		t.Run(step, func(t *testing.T) {
			endpoint := newEndpoint(t)
			listener := listen(t, endpoint, sharedListener())
			client := play(t, "die asking", endpoint, stepEnv+"="+step)
			session, err := listener.Accept(within(soon))
			if err != nil {
				t.Fatal(err)
			}
			request := receive(t, session, session.NewInbox())
			send(t, session, protocol.ResponseHeader(&request.Header, 8), incremented(request.Payload))
			survives(t, session, published)
			client.died(t)
			_ = session.Close()
			if left := regionsIn(t, endpoint.RunDir()); len(left) != 0 {
				t.Errorf("%v are left", left)
			}
		})
	}
}

func TestAServerThatDiesAtAnyStepLeavesAMessageOrNothing(t *testing.T) {
	for step, published := range steps {
		t.Run(step, func(t *testing.T) {
			endpoint := newEndpoint(t)
			server := play(t, "die answering", endpoint, stepEnv+"="+step)
			server.says(t, "ready")
			session, err := Connect(endpoint, &shares, within(soon))
			if err != nil {
				t.Fatal(err)
			}
			send(t, session, protocol.RequestHeader(3, 1, 8), pattern(8))
			receive(t, session, session.NewInbox())
			send(t, session, protocol.RequestHeader(3, 2, 8), pattern(8))
			survives(t, session, published)
			server.died(t)
			_ = session.Close()
			// What it left goes with the next server's start.
			if left := regionsIn(t, endpoint.RunDir()); len(left) != 1 {
				t.Errorf("%v are left", left)
			}
			_ = listen(t, endpoint, sharedListener()).Close()
			if left := regionsIn(t, endpoint.RunDir()); len(left) != 0 {
				t.Errorf("%v are left", left)
			}
		})
	}
}

// incremented is the number of a payload, and one.
func incremented(payload []byte) []byte {
	return binary.NativeEndian.AppendUint64(nil, binary.NativeEndian.Uint64(payload)+1)
}
