package service_test

import (
	"encoding/binary"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// rawClient is a client of Level 1, which may do what typed ones do not: send several requests at once, or
// none, or nonsense.
type rawClient struct {
	session *transport.Session
	inbox   *transport.Inbox
}

func newPipeline(t testing.TB, endpoint service.Endpoint, items uint32) *rawClient {
	t.Helper()
	session, err := transport.Connect(endpoint, &transport.Proposal{
		Request: protocol.Limits{PayloadBytes: 65_536, BatchItems: items},
	}, transport.Until(transport.After(patience)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return &rawClient{session: session, inbox: session.NewInbox()}
}

func (c *rawClient) submit(t testing.TB, id, value uint64) {
	t.Helper()
	header := protocol.RequestHeader(increment.Method, id, 8)
	if err := c.session.Send(&header, number(value), transport.Until(transport.After(patience))); err != nil {
		t.Fatal(err)
	}
}

func (c *rawClient) message(t testing.TB) (protocol.Message, error) {
	t.Helper()
	return c.session.Receive(c.inbox, transport.Until(transport.After(patience)))
}

func (c *rawClient) receive(t testing.TB) (id, value uint64) {
	t.Helper()
	message, err := c.message(t)
	if err != nil || message.Header.Status != protocol.StatusOK {
		t.Fatalf("%v, %v", message.Header.Status, err)
	}
	return message.Header.MessageID, binary.NativeEndian.Uint64(message.Payload)
}
