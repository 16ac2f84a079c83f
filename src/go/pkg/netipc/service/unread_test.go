package service_test

import (
	"strings"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// Requests are short, and answers long: without a bound in bytes each of them would be held.
func TestWhatIsHeldForAClientThatDoesNotReadIsBoundedInBytes(t *testing.T) {
	const (
		requests, answerLen = 60, 200_000
		// So many answers are as much as may wait for their reader (heldAnswerBytes).
		enough = 1<<20/answerLen + 1
		// Handlers that a busy machine leaves lying let others read on until they are done, and there is the
		// healthy client's own.
		most = 2 * enough
	)
	endpoint := endpointOf(t, cgroupslookup.Service)
	// No request is read before a worker is free for it: those would not be counted until they are answered.
	config := service.ServerConfig{WorkerCount: requests, MaxInFlightPerSession: requests + 1}
	long := strings.Repeat("x", answerLen)
	server, err := cgroupslookup.NewServer(endpoint, config,
		func(_ *service.Context, request cgroupslookup.RequestView, response *cgroupslookup.ResponseBuilder) error {
			key := request.At(0)
			if !key.Equal("/long") {
				return response.UnknownPermanent(key)
			}
			return response.Known(key).Name(long).Finish()
		})
	start(t, server, err)
	healthy := ready(t, cgroupslookup.NewClient(endpoint, service.ClientConfig{}))
	// Sessions have room for such an answer from now on.
	if _, err := healthy.Lookup(background, []string{"/long"}); err != nil {
		t.Fatal(err)
	}

	unread := newPipeline(t, endpoint, requests)
	request := cgroupslookup.Request{Keys: []string{"/long"}}
	payload := make([]byte, request.EncodedLen())
	if _, err := request.Encode(payload); err != nil {
		t.Fatal(err)
	}
	for id := range uint64(requests) {
		header := protocol.RequestHeader(cgroupslookup.Method, id+1, uint32(len(payload)))
		if err := unread.session.Send(&header, payload, transport.Until(transport.After(patience))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "as much as may be held", func() bool { return server.Status().InFlight >= enough })
	for range 50 {
		answer, err := healthy.Lookup(background, []string{"/short"})
		if err != nil || answer.Len() != 1 {
			t.Fatal(err)
		}
		if held := server.Status().InFlight; held > most {
			t.Fatalf("%d answers of %d bytes are held", held, answerLen)
		}
	}
	// Once it reads, all come.
	for range requests {
		message, err := unread.message(t)
		if err != nil || message.Header.Status != protocol.StatusOK || len(message.Payload) < answerLen {
			t.Fatalf("%+v, %v: %+v", message.Header, err, server.Status())
		}
	}
}
