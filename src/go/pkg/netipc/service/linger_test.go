package service_test

import (
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

// A client that was given a final answer and does not leave is waited for. Not by a worker: the others
// would wait for it too.
func TestAClientThatStaysAfterItsFinalAnswerHoldsNoWorker(t *testing.T) {
	const workers = 2
	entered, release := make(chan struct{}, workers), make(chan struct{})
	endpoint, server := incrementServer(t, service.ServerConfig{WorkerCount: workers},
		func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
			if request.Value() == 0 {
				entered <- struct{}{}
				<-release
			}
			return addOne(ctx, request, response)
		})
	for ends := range workers {
		bad := connectRaw(t, endpoint)
		bad.send(t, protocol.RequestHeader(increment.Method, 1, 8), number(0))
		receives(t, entered)
		// The other worker ends the session, whose reader then stops; the slow handler is the last that
		// works for it.
		bad.send(t, protocol.RequestHeader(increment.Method, 2, 7), number(0)[:7])
		header, err := protocol.DecodeHeader(bad.read(t))
		if err != nil || header.Status != protocol.StatusBadEnvelope {
			t.Fatalf("%+v, %v", header, err)
		}
		eventually(t, "nothing but the slow handler is left", func() bool { return server.Status().InFlight == 1 })
		release <- struct{}{}
		eventually(t, "it has returned", func() bool { return server.Status().InFlight == 0 })
		if ended := server.Status().Ended.Answered; ended != 0 {
			t.Fatalf("session %d does not wait for its client: %d ended", ends, ended)
		}
	}
	good := incrementClient(t, endpoint, service.ClientConfig{CallTimeout: 2 * time.Second})
	asks(t, good, 1)
}
