package service_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/internal/testkit"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// A server of Level 1 that does what no server may: its clients must bear it.

// scripted serves an endpoint: each session, with its number from 0, is handed to act, and closed after it.
func scripted(t testing.TB, endpoint service.Endpoint, responseBytes uint32, act func(session *transport.Session, number int)) *transport.Listener {
	t.Helper()
	listener, err := transport.Listen(endpoint, &transport.ListenerConfig{
		MaxRequestPayloadBytes: 1 << 20, ResponsePayloadBytes: responseBytes,
	})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Accept(t, listener, func() (*transport.Session, error) { return listener.Accept(transport.Wait{}) }, act)
	return listener
}

// soon is how long a scripted server waits for its client.
func soon() transport.Wait { return transport.Until(transport.After(patience)) }

// answering answers each request with what made makes of it, until the client leaves.
func answering(made func(request protocol.Message) (protocol.Header, []byte)) func(*transport.Session, int) {
	return func(session *transport.Session, _ int) {
		inbox := session.NewInbox()
		for {
			request, err := session.Receive(inbox, soon())
			if err != nil {
				return
			}
			header, answer := made(request)
			if session.Send(&header, answer, soon()) != nil {
				return
			}
		}
	}
}

func TestAnAnswerToSomethingElseEndsTheSessionAndIsNotSentAgain(t *testing.T) {
	for name, change := range map[string]func(header *protocol.Header, answer []byte) []byte{
		"another id":     func(h *protocol.Header, a []byte) []byte { h.MessageID++; return a },
		"another method": func(h *protocol.Header, a []byte) []byte { h.Code++; return a },
		"a batch": func(h *protocol.Header, a []byte) []byte {
			*h = h.BatchOf(1)
			h.PayloadLen = 16
			return append([]byte{0, 0, 0, 0, 8, 0, 0, 0}, a...)
		},
		"short":      func(h *protocol.Header, a []byte) []byte { h.PayloadLen = 7; return a[:7] },
		"trailing":   func(h *protocol.Header, a []byte) []byte { h.PayloadLen = 16; return append(a, a...) },
		"no payload": func(h *protocol.Header, _ []byte) []byte { h.PayloadLen = 0; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			endpoint := endpointOf(t, increment.Service)
			scripted(t, endpoint, 1024, answering(func(request protocol.Message) (protocol.Header, []byte) {
				header := protocol.ResponseHeader(&request.Header, 8)
				answer := change(&header, number(1))
				return header, answer
			}))
			client := incrementClient(t, endpoint, service.ClientConfig{})
			answer, err := client.Call(background, increment.Request{})
			// Bytes after a fixed payload are for the codec to judge: it may take them.
			if name == "trailing" && err == nil {
				if answer.Value() != 1 {
					t.Fatal(answer.Value())
				}
				return
			}
			var failed *service.CallError
			if !errors.As(err, &failed) || failed.Kind != service.KindViolation || failed.Fault() != transport.FaultPeerBroke {
				t.Fatal(err)
			}
			status := client.Status()
			if status.State != protocol.StateBroken || status.Counters.Resends != 0 || status.Reason == nil {
				t.Fatalf("%+v", status)
			}
		})
	}
}

func TestAFailingStatusEndsTheSessionOrNotAsTheContractSays(t *testing.T) {
	for status, keeps := range map[protocol.Status]bool{
		protocol.StatusUnsupported: true, protocol.StatusBadEnvelope: false, protocol.StatusInternalError: false,
		protocol.StatusBusy: false, 0x0333: false,
	} {
		endpoint := endpointOf(t, increment.Service)
		scripted(t, endpoint, 1024, answering(func(request protocol.Message) (protocol.Header, []byte) {
			return protocol.FailureHeader(&request.Header, status), nil
		}))
		client := incrementClient(t, endpoint, service.ClientConfig{})
		_, err := client.Call(background, increment.Request{})
		wantError(t, err, service.StatusError{Status: status})
		if client.Ready() != keeps {
			t.Errorf("%v keeps the session: %v", status, !keeps)
		}
	}
}

func TestAServerThatClosesBeforeItAnswersIsFull(t *testing.T) {
	endpoint := endpointOf(t, increment.Service)
	scripted(t, endpoint, 1024, func(session *transport.Session, _ int) {
		_, _ = session.Receive(session.NewInbox(), soon())
	})
	client := incrementClient(t, endpoint, service.ClientConfig{})
	_, err := client.Call(background, increment.Request{})
	// Sent again once, met the same, and that is what a full server does.
	wantError(t, err, service.ErrPeerGone)
	status := client.Status()
	if status.State != protocol.StateDisconnected || status.NextTry != protocol.NextTryBusy || status.RetryIn <= 0 ||
		status.Counters.Resends != 1 || !strings.HasPrefix(status.Reason.Error(), "busy: ") {
		t.Fatalf("%+v", status)
	}
	if client.Refresh(background) {
		t.Fatal("it does not refrain")
	}
}

func TestAServerThatNeverGrowsIsAskedTwice(t *testing.T) {
	endpoint := endpointOf(t, increment.Service)
	var sessions atomic.Int64
	scripted(t, endpoint, 1024, func(session *transport.Session, number int) {
		sessions.Add(1)
		answering(func(request protocol.Message) (protocol.Header, []byte) {
			return protocol.FailureHeader(&request.Header, protocol.StatusLimitExceeded), nil
		})(session, number)
	})
	client := incrementClient(t, endpoint, service.ClientConfig{})
	_, err := client.Call(background, increment.Request{})
	wantError(t, err, protocol.ErrGrowthInVain)
	if counters := client.Status().Counters; counters.Growths != 2 || counters.Connects != 3 || sessions.Load() != 3 {
		t.Fatalf("%d sessions, %+v", sessions.Load(), counters)
	}
}

func TestAServerThatSaysNothingCostsTheTimeoutAndNoMore(t *testing.T) {
	endpoint := endpointOf(t, increment.Service)
	scripted(t, endpoint, 1024, func(session *transport.Session, _ int) {
		inbox := session.NewInbox()
		for {
			if _, err := session.Receive(inbox, soon()); err != nil {
				return
			}
		}
	})
	timeout := shortTimeout(50 * time.Millisecond)
	client := incrementClient(t, endpoint, service.ClientConfig{CallTimeout: timeout})
	took := within(t, timeout+50*time.Millisecond+slack, func() {
		_, err := client.Call(background, increment.Request{})
		wantError(t, err, service.ErrTimedOut)
	})
	if took < timeout {
		t.Fatalf("it took %v", took)
	}
	if status := client.Status(); status.State != protocol.StateBroken || status.Counters.Resends != 0 {
		t.Fatalf("%+v", status)
	}
}

// lookupItem is one of an answer.
type lookupItem struct {
	path   string
	status cgroupslookup.Status
}

func TestLookupAnswersThatDoNotFitTheirQuestionsAreViolations(t *testing.T) {
	known, retry := cgroupslookup.StatusKnown, cgroupslookup.StatusPayloadExceeded
	for name, items := range map[string][]lookupItem{
		"too few":                   {{"/a", known}},
		"too many":                  {{"/a", known}, {"/b", known}, {"/c", known}},
		"another key":               {{"/a", known}, {"/x", known}},
		"another order":             {{"/b", known}, {"/a", known}},
		"the first is to ask again": {{"/a", retry}, {"/b", retry}},
		"none":                      {},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint := endpointOf(t, cgroupslookup.Service)
			response := cgroupslookup.Response{Generation: 1}
			for _, item := range items {
				response.Items = append(response.Items, cgroupslookup.Item{Path: item.path, Status: item.status})
			}
			answer := make([]byte, response.EncodedLen())
			if _, err := response.Encode(answer); err != nil {
				t.Fatal(err)
			}
			scripted(t, endpoint, 65_536, answering(func(request protocol.Message) (protocol.Header, []byte) {
				return protocol.ResponseHeader(&request.Header, uint32(len(answer))), answer
			}))
			client := ready(t, cgroupslookup.NewClient(endpoint, service.ClientConfig{}))
			_, err := client.Lookup(background, []string{"/a", "/b"})
			var failed *service.CallError
			if !errors.As(err, &failed) || failed.Kind != service.KindViolation || client.State() != protocol.StateBroken {
				t.Fatalf("%v, it is %v", err, client.State())
			}
		})
	}
}

func TestASnapshotWhoseItemsAreOneAMillionTimesIsRefused(t *testing.T) {
	endpoint := endpointOf(t, cgroupssnapshot.Service)
	response := cgroupssnapshot.Response{Generation: 1, Items: []cgroupssnapshot.Item{
		{Hash: 1, Name: "one", Path: "/" + strings.Repeat("p", 4000)}, {Hash: 2, Name: "two", Path: "/two"},
	}}
	answer := make([]byte, response.EncodedLen())
	if _, err := response.Encode(answer); err != nil {
		t.Fatal(err)
	}
	// The second entry of the directory points where the first does: each alone is valid.
	const header = 24
	copy(answer[header+payload.DirectoryEntryLen:], answer[header:header+payload.DirectoryEntryLen])
	scripted(t, endpoint, 65_536, answering(func(request protocol.Message) (protocol.Header, []byte) {
		return protocol.ResponseHeader(&request.Header, uint32(len(answer))), answer
	}))
	cache := cgroupssnapshot.NewCache(endpoint, service.ClientConfig{})
	defer cache.Close()
	wantError(t, cache.Refresh(background), protocol.DefectOverlap)
	if cache.Ready() || cache.Load().Len() != 0 {
		t.Fatal("it is taken")
	}
}
