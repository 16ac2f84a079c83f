package service_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

// servedInBackground is a server that Serve serves, and whose handler is in the midst of a request.
type servedInBackground struct {
	server   *service.Server
	release  chan struct{}
	served   chan error
	answered chan error
	// ended is why the handler's context was done when it was released; nil if it was not.
	ended chan error
}

func serveInBackground(t *testing.T, ctx context.Context) *servedInBackground {
	t.Helper()
	s := &servedInBackground{
		release: make(chan struct{}), served: make(chan error, 1), answered: make(chan error, 1),
		ended: make(chan error, 1),
	}
	entered := make(chan struct{})
	endpoint := endpointOf(t, increment.Service)
	server, err := increment.NewServer(endpoint, service.ServerConfig{},
		func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
			close(entered)
			<-s.release
			s.ended <- ctx.Err()
			return addOne(ctx, request, response)
		})
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	go func() { s.served <- server.Serve(ctx) }()
	client := incrementClient(t, endpoint, service.ClientConfig{})
	var calls sync.WaitGroup
	calls.Add(1)
	// Before the client is closed.
	t.Cleanup(calls.Wait)
	go func() {
		defer calls.Done()
		_, err := client.Call(background, increment.Request{Value: 41})
		s.answered <- err
	}()
	receives(t, entered)
	return s
}

// returnsOnceReleased wants Serve to wait for its handler, which is released after a while: by then, a Serve that
// does not wait has returned, or has told the handler to end.
func (s *servedInBackground) returnsOnceReleased(t *testing.T, while time.Duration) {
	t.Helper()
	select {
	case err := <-s.served:
		t.Errorf("it returned while a handler ran: %v", err)
	case <-time.After(while):
	}
	close(s.release)
	if err := receives(t, s.answered); err != nil {
		t.Errorf("the answer: %v", err)
	}
}

func TestServeLeavesADrainItsTime(t *testing.T) {
	s := serveInBackground(t, background)
	drained := make(chan error, 1)
	go func() { drained <- s.server.DrainWithin(patience) }()
	s.returnsOnceReleased(t, 100*time.Millisecond)
	if err := receives(t, s.ended); err != nil {
		t.Errorf("the handler was told to end while its server drained: %v", err)
	}
	if err := errors.Join(receives(t, drained), receives(t, s.served)); err != nil {
		t.Error(err)
	}
}

func TestServeLeavesAStopItsTime(t *testing.T) {
	s := serveInBackground(t, background)
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.StopWithin(patience) }()
	s.returnsOnceReleased(t, service.StopTimeout+500*time.Millisecond)
	if err := errors.Join(receives(t, stopped), receives(t, s.served)); err != nil {
		t.Error(err)
	}
}

func TestServeTellsWhatAStopByOthersCameTo(t *testing.T) {
	s := serveInBackground(t, background)
	for range 2 {
		wantError(t, s.server.StopWithin(0), service.ErrHandlersRunning)
	}
	wantError(t, receives(t, s.served), service.ErrHandlersRunning)
	close(s.release)
	stop(t, s.server)
}

func TestTheEndOfServesContextEndsADrain(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	s := serveInBackground(t, ctx)
	drained := make(chan error, 1)
	go func() { drained <- s.server.DrainWithin(patience) }()
	cancel()
	// Serve stops, which waits for the handler no longer than a stop does.
	wantError(t, receives(t, s.served), service.ErrHandlersRunning)
	close(s.release)
	if err := receives(t, s.ended); err == nil {
		t.Error("the handler was not told")
	}
	if err := receives(t, drained); err != nil {
		t.Error(err)
	}
}
