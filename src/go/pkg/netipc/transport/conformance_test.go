//go:build linux || windows

package transport

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/testkit"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// The cases of spec/conformance/sessions.json, over every row of transports.json: what two live sessions
// do, the same in every language. The README beside them says what each step means.

const (
	conformanceToken = 1311768467463790320
	// conformanceDepth is how many requests a runner may have in flight, where the transport has room.
	conformanceDepth = 32
)

type conformanceProfiles struct{ Supported, Preferred protocol.Profiles }

type conformanceTransport struct {
	Name           string
	Client, Server conformanceProfiles
	Selected       protocol.Profile
	// Windows is what is selected there, where that is another.
	Windows protocol.Profile
}

type conformanceCase struct {
	Name          string
	Needs         []string
	RequestBytes  uint32 `json:"request_bytes"`
	RequestItems  uint32 `json:"request_items"`
	ResponseBytes uint32 `json:"response_bytes"`
	PacketSize    uint32 `json:"packet_size"`
	Steps         []struct {
		Do      string
		ID      testkit.Number
		Len     int
		Items   uint32
		Refused string
	}
}

func TestConformanceOfSessions(t *testing.T) {
	var transports []conformanceTransport
	testkit.LoadConformance(t, "transports", &transports)
	var cases []conformanceCase
	testkit.LoadConformance(t, "sessions", &cases)
	if len(transports) == 0 || len(cases) == 0 {
		t.Fatal("there are no cases")
	}
	applied := make([]int, len(cases))
	for _, transport := range transports {
		if runtime.GOOS == "windows" && transport.Windows != 0 {
			transport.Selected = transport.Windows
		}
		has := "pipelining"
		if transport.Selected.IsSharedMemory() {
			has = "one-in-flight"
		}
		for n, c := range cases {
			if len(c.Needs) > 0 && !slices.Equal(c.Needs, []string{has}) {
				continue
			}
			applied[n]++
			t.Run(transport.Name+"/"+c.Name, func(t *testing.T) { runConformance(t, &transport, &c) })
		}
	}
	for n, times := range applied {
		if times == 0 {
			t.Errorf("%s applies to no transport", cases[n].Name)
		}
	}
}

// echo is the server of these cases: one client after another.
func echo(listener *Listener, ends chan<- error, sessions chan<- *Session) {
	for {
		session, err := listener.Accept(Wait{})
		if err != nil {
			close(ends)
			return
		}
		sessions <- session
		ends <- echoOne(session)
		_ = session.Close()
	}
}

func echoOne(session *Session) error {
	inbox := session.NewInbox()
	for {
		request, err := session.Receive(inbox, within(soon))
		var over *OverLimitError
		if errors.As(err, &over) {
			failure := protocol.FailureHeader(&over.Header, protocol.StatusLimitExceeded)
			if err := session.Send(&failure, nil, within(soon)); err != nil {
				return err
			}
			_, err = session.Drain(within(soon))
			return err
		}
		if err != nil {
			return err
		}
		answer := protocol.ResponseHeader(&request.Header, request.Header.PayloadLen)
		if err := session.Send(&answer, request.Payload, within(soon)); err != nil {
			return err
		}
	}
}

// conformancePayload is what message id carries.
func conformancePayload(id uint64, length int) []byte {
	payload := make([]byte, length)
	for i := range payload {
		payload[i] = byte(31*i) ^ byte(i>>8) ^ byte(7*id)
	}
	return payload
}

// conformance is one case under way.
type conformance struct {
	t         *testing.T
	transport *conformanceTransport
	endpoint  Endpoint
	proposal  Proposal
	ends      chan error
	sessions  chan *Session
	server    *Session
	pipeline  *Pipeline[int]
}

func runConformance(t *testing.T, transport *conformanceTransport, c *conformanceCase) {
	dir := newEndpoint(t).RunDir()
	endpoint, err := NewEndpoint(dir, "conformance")
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t, endpoint, ListenerConfig{
		SupportedProfiles: transport.Server.Supported, PreferredProfiles: transport.Server.Preferred,
		MaxRequestPayloadBytes: c.RequestBytes, ResponsePayloadBytes: c.ResponseBytes, AuthToken: conformanceToken,
	})
	r := &conformance{
		t: t, transport: transport, endpoint: endpoint,
		proposal: Proposal{
			SupportedProfiles: transport.Client.Supported, PreferredProfiles: transport.Client.Preferred,
			Request:   protocol.Limits{PayloadBytes: c.RequestBytes, BatchItems: c.RequestItems},
			AuthToken: conformanceToken, PacketSize: c.PacketSize,
		},
		ends: make(chan error, len(c.Steps)+1), sessions: make(chan *Session, len(c.Steps)+1),
	}
	go echo(listener, r.ends, r.sessions)
	r.connect()
	for n, step := range c.Steps {
		if err := r.step(step.Do, uint64(step.ID), step.Len, step.Items, step.Refused); err != nil {
			t.Fatalf("step %d, %s: %v", n, step.Do, err)
		}
	}
	_ = r.pipeline.Session().Close()
}

func (r *conformance) connect() {
	session, err := Connect(r.endpoint, &r.proposal, within(soon))
	if err != nil {
		r.t.Fatal(err)
	}
	if session.Terms().Profile != r.transport.Selected {
		r.t.Fatalf("%v was selected, not %v", session.Terms().Profile, r.transport.Selected)
	}
	r.pipeline = NewPipeline[int](session, conformanceDepth)
	r.server = <-r.sessions
}

func (r *conformance) step(do string, id uint64, length int, items uint32, refused string) error {
	switch do {
	case "send":
		return r.send(id, length, items, refused)
	case "receive":
		_, message, err := r.pipeline.Receive(within(soon))
		if err != nil {
			return err
		}
		if message.Header.MessageID != id || message.Header.Status != protocol.StatusOK ||
			!bytes.Equal(message.Payload, conformancePayload(id, length)) {
			return errors.New("another answer")
		}
	case "nothing":
		_, there, err := r.pipeline.Session().TryReceive(r.pipeline.inbox)
		if there {
			return errors.New("there is something")
		}
		return err
	case "close":
		if err := r.pipeline.Session().Close(); err != nil {
			return err
		}
		if err := <-r.ends; err != ErrClosed {
			return errors.Join(errors.New("no clean end"), err)
		}
	case "server-close":
		r.server.Shutdown()
		<-r.ends
		_ = r.server.Close()
		if _, _, err := r.pipeline.Receive(within(soon)); err != ErrClosed {
			return errors.Join(errors.New("the client does not see it"), err)
		}
	case "reconnect":
		_ = r.pipeline.Session().Close()
		r.connect()
	default:
		return errors.New("a step that this runner does not know")
	}
	return nil
}

func (r *conformance) send(id uint64, length int, items uint32, refused string) error {
	header := protocol.RequestHeader(1, id, uint32(length))
	if items > 0 {
		header = header.BatchOf(items)
	}
	err := r.pipeline.Submit(&header, conformancePayload(id, length), length, within(soon))
	var above *AboveLimitError
	switch refused {
	case "":
		return err
	case "above-limit":
		if errors.As(err, &above) {
			return nil
		}
	case "in-flight":
		if errors.Is(err, ErrInFlight) {
			return nil
		}
	case "duplicate":
		if errors.Is(err, ErrDuplicateID) {
			return nil
		}
	}
	return errors.Join(errors.New("not refused as "+refused), err)
}
