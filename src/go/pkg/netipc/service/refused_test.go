package service_test

import (
	"strings"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
)

// What a server declines and a client does not even ask, in each shape of a service.

func TestNothingIsAskedOfAServerThatIsNotThere(t *testing.T) {
	numbers := increment.NewClient(endpointOf(t, increment.Service), service.ClientConfig{})
	_, err := numbers.Batch(background, []increment.Request{{Value: 1}})
	wantError(t, err, service.ErrNotReady)

	paths := cgroupslookup.NewClient(endpointOf(t, cgroupslookup.Service), service.ClientConfig{})
	_, err = paths.Lookup(background, []string{"/a"})
	wantError(t, err, service.ErrNotReady)

	groups := cgroupssnapshot.NewClient(endpointOf(t, cgroupssnapshot.Service), service.ClientConfig{})
	_, err = groups.Fetch(background)
	wantError(t, err, service.ErrNotReady)
}

func TestAServerWithoutAHandlerTakesNoEndpoint(t *testing.T) {
	endpoint, config := endpointOf(t, increment.Service), service.ServerConfig{}
	_, err := increment.NewServer(endpoint, config, nil)
	wantError(t, err, service.ErrNoHandler)
	_, err = cgroupslookup.NewServer(endpointOf(t, cgroupslookup.Service), config, nil)
	wantError(t, err, service.ErrNoHandler)
	_, err = cgroupssnapshot.NewServer(endpointOf(t, cgroupssnapshot.Service), config, nil)
	wantError(t, err, service.ErrNoHandler)
	server, err := increment.NewServer(endpoint, config, addOne)
	start(t, server, err)
	asks(t, incrementClient(t, endpoint, service.ClientConfig{}), 1)
}

func TestARequestThatItsSchemaForbidsIsABadEnvelopeInEachShape(t *testing.T) {
	lookups, snapshots := endpointOf(t, cgroupslookup.Service), endpointOf(t, cgroupssnapshot.Service)
	asked := func() { t.Error("a handler was asked") }
	server, err := cgroupslookup.NewServer(lookups, service.ServerConfig{},
		func(*service.Context, cgroupslookup.RequestView, *cgroupslookup.ResponseBuilder) error {
			asked()
			return nil
		})
	start(t, server, err)
	server, err = cgroupssnapshot.NewServer(snapshots, service.ServerConfig{},
		func(*service.Context, cgroupssnapshot.RequestView, *cgroupssnapshot.ResponseBuilder) error {
			asked()
			return nil
		})
	start(t, server, err)
	for method, endpoint := range map[uint16]service.Endpoint{
		cgroupslookup.Method: lookups, cgroupssnapshot.Method: snapshots,
	} {
		socket := connectRaw(t, endpoint)
		header := protocol.RequestHeader(method, 7, 1)
		header.PayloadLen = 1
		socket.send(t, header, []byte{0xff})
		answer, err := protocol.DecodeHeader(socket.read(t))
		if err != nil || answer.Status != protocol.StatusBadEnvelope || answer.MessageID != 7 {
			t.Errorf("method %d: %+v, %v", method, answer, err)
		}
	}
}

func TestAResponseThatItsSchemaForbidsIsAnInternalErrorWhateverItsHandlerSays(t *testing.T) {
	endpoint := endpointOf(t, cgroupslookup.Service)
	server, err := cgroupslookup.NewServer(endpoint, service.ServerConfig{},
		func(_ *service.Context, request cgroupslookup.RequestView, response *cgroupslookup.ResponseBuilder) error {
			// Refused for its NUL, which is not looked at here.
			_ = response.Known(request.At(0)).Name("a\x00b").Finish()
			return nil
		})
	start(t, server, err)
	client := ready(t, cgroupslookup.NewClient(endpoint, service.ClientConfig{}))
	_, err = client.Lookup(background, []string{"/a"})
	wantError(t, err, service.StatusError{Status: protocol.StatusInternalError})
	if failures := server.Status().Calls.InternalError; failures == 0 {
		t.Error("the server has not counted it")
	}
}

// A handler may say itself that its answer has no room: the client comes again with more, and is answered.
func TestAHandlerThatFindsNoRoomIsAskedAgainWithMore(t *testing.T) {
	const answerLen = 100_000
	endpoint := endpointOf(t, stringreverse.Service)
	server, err := stringreverse.NewServer(endpoint, service.ServerConfig{},
		func(_ *service.Context, _ stringreverse.RequestView, response *stringreverse.ResponseBuilder) error {
			if _, err := response.Bytes(strings.Repeat("x", answerLen)).Finish(); err != nil {
				return payload.ErrNoSpace
			}
			return nil
		})
	start(t, server, err)
	client := ready(t, stringreverse.NewClient(endpoint, service.ClientConfig{}))
	answer, err := client.Call(background, stringreverse.Request{Bytes: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Bytes()) != answerLen || client.Status().Counters.Connects < 2 {
		t.Errorf("%d bytes, %+v", len(answer.Bytes()), client.Status().Counters)
	}
}
