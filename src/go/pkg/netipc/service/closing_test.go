package service_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

const (
	// held is the value that keeps a handler until the test lets it go.
	held = 1 << 40
	// closings is how often a call is ended; spareGoroutines, which are fewer, may come and go meanwhile.
	closings, spareGoroutines = 8, 3
)

// holding is a server whose handlers of the value held stay.
type holding struct {
	endpoint service.Endpoint
	server   *service.Server
	entered  chan struct{}
	release  chan struct{}
}

// serveHolding is a server that offers this profile beside the baseline.
func serveHolding(t *testing.T, profile protocol.Profile) *holding {
	t.Helper()
	h := &holding{entered: make(chan struct{}, 1), release: make(chan struct{})}
	h.endpoint, h.server = incrementServer(t, service.ServerConfig{
		SupportedProfiles: offered(profile), PreferredProfiles: offered(profile), WorkerCount: 2,
	}, func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
		if request.Value() == held {
			h.entered <- struct{}{}
			<-h.release
		}
		return addOne(ctx, request, response)
	})
	return h
}

func offered(profile protocol.Profile) protocol.Profiles {
	return protocol.ProfilesBaseline | protocol.Profiles(profile)
}

// client is one with a session over this profile.
func (h *holding) client(t *testing.T, profile protocol.Profile) *increment.Client {
	t.Helper()
	client := incrementClient(t, h.endpoint, service.ClientConfig{
		SupportedProfiles: offered(profile), PreferredProfiles: offered(profile),
	})
	if got := client.Status().Session.Terms.Profile; got != profile {
		t.Fatalf("it is over %v", got)
	}
	return client
}

// calls has a client ask for what is held, and close when that has ended.
func (h *holding) calls(t *testing.T, client *increment.Client) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := client.Call(background, increment.Request{Value: held})
		ended <- errors.Join(err, client.Close())
	}()
	receives(t, h.entered)
	return ended
}

// leavesNoFile waits until the files of sessions that have ended are gone.
func (h *holding) leavesNoFile(t *testing.T) {
	t.Helper()
	eventually(t, "regions' files are removed", func() bool {
		regions, err := filepath.Glob(filepath.Join(h.endpoint.RunDir(), "*.ipcshm"))
		return err == nil && len(regions) == 0
	})
}

// leavesNoMemory waits until no end of such a session has its region, either.
func (h *holding) leavesNoMemory(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		// Nothing there tells which mappings are whose; their handles are counted elsewhere.
		return
	}
	eventually(t, "regions are unmapped", func() bool {
		maps, err := os.ReadFile("/proc/self/maps")
		return err == nil && !bytes.Contains(maps, []byte(h.endpoint.RunDir()))
	})
}

func goroutinesEnd(t *testing.T, before int) {
	t.Helper()
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before+spareGoroutines })
}

// overEachProfile runs a test over each transport of this system.
func overEachProfile(t *testing.T, test func(t *testing.T, profile protocol.Profile)) {
	profiles := []protocol.Profile{protocol.ProfileBaseline, protocol.ProfileShmHybrid}
	if runtime.GOOS == "windows" {
		profiles = append(profiles, protocol.ProfileShmBusywait)
	}
	for _, profile := range profiles {
		t.Run(profile.String(), func(t *testing.T) { test(t, profile) })
	}
}

// A client's owner is inside its call: another goroutine has the call end by an abort, and the owner closes.
func TestAnAbortedCallEndsAndItsClientClosesWhileTheHandlerRuns(t *testing.T) {
	overEachProfile(t, func(t *testing.T, profile protocol.Profile) {
		h := serveHolding(t, profile)
		bystander := h.client(t, protocol.ProfileBaseline)
		asks(t, bystander, 1)
		goroutines := 0
		client := h.client(t, profile)
		for round := range uint64(closings) {
			ended := h.calls(t, client)
			client.Abort().Trigger()
			err := receives(t, ended)
			wantError(t, err, service.ErrAborted)
			var failed *service.CallError
			if !errors.As(err, &failed) || failed.Kind != service.KindAborted {
				t.Fatalf("%+v", failed)
			}
			if status := client.Status(); client.Ready() || status.Session != nil || status.Counters.Resends != 0 {
				t.Fatalf("%+v", status)
			}
			// The handler still has the request, and the session its memory, but no file.
			h.leavesNoFile(t)
			asks(t, bystander, round)
			h.release <- struct{}{}
			eventually(t, "the session ends", func() bool { return h.server.Status().Sessions == 1 })
			h.leavesNoMemory(t)
			if round == 0 {
				goroutines = runtime.NumGoroutine()
			}
			// What was closed is opened by a refresh, once the abort is taken back.
			client.Abort().Clear()
			if client.Refresh(background); !client.Ready() {
				t.Fatal(client.Status().Reason)
			}
			asks(t, client, round)
		}
		_ = client.Close()
		goroutinesEnd(t, goroutines)
		asks(t, bystander, 2)
	})
}

// A server that closes leaves the calls that its handlers are busy with to end, at once and as lost.
func TestACallEndsWhenItsServerClosesAroundItsHandler(t *testing.T) {
	overEachProfile(t, func(t *testing.T, profile protocol.Profile) {
		other, _ := incrementServer(t, service.ServerConfig{}, addOne)
		unharmed := incrementClient(t, other, service.ClientConfig{})
		asks(t, unharmed, 1)
		goroutines := runtime.NumGoroutine()
		for range closings {
			h := serveHolding(t, profile)
			client := h.client(t, profile)
			ended := h.calls(t, client)
			wantError(t, h.server.StopWithin(0), service.ErrHandlersRunning)
			err := receives(t, ended)
			wantError(t, err, service.ErrReconnect)
			var failed *service.CallError
			if !errors.As(err, &failed) || failed.Kind != service.KindLost {
				t.Fatalf("%+v", failed)
			}
			if client.Ready() || client.Status().Counters.Resends != 1 {
				t.Fatalf("%+v", client.Status())
			}
			asks(t, unharmed, 1)
			close(h.release)
			stop(t, h.server)
			h.leavesNoFile(t)
			h.leavesNoMemory(t)
		}
		goroutinesEnd(t, goroutines)
		asks(t, unharmed, 2)
	})
}
