package service_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
)

// What peers in the field get wrong, and this library must not.

// A server that lives and shakes no hands must not make a call that reconnects outlast its own timeout.
func TestAHandshakeWithinACallEndsByTheCallsTimeout(t *testing.T) {
	timeout := shortTimeout(200 * time.Millisecond)
	endpoint, server := incrementServer(t, service.ServerConfig{}, addOne)
	client := incrementClient(t, endpoint, service.ClientConfig{CallTimeout: timeout})
	asks(t, client, 1)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	silent, err := sys.Bind(endpoint.SocketPath(), &sys.BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	took := within(t, timeout+50*time.Millisecond+slack, func() {
		_, err = client.Call(background, increment.Request{})
	})
	wantError(t, err, service.ErrTimedOut)
	if took < timeout {
		t.Fatalf("it took %v", took)
	}
}

// An answer that takes longer than any slice of a wait is waited for: a slice is no deadline.
func TestAnAnswerThatTakesItsTimeIsWaitedFor(t *testing.T) {
	const handlerTime = 300 * time.Millisecond
	for _, profiles := range []protocol.Profiles{protocol.ProfilesBaseline, bothProfiles} {
		endpoint, _ := incrementServer(t,
			service.ServerConfig{SupportedProfiles: profiles, PreferredProfiles: profiles},
			func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
				<-time.After(handlerTime)
				return addOne(ctx, request, response)
			})
		client := incrementClient(t, endpoint, service.ClientConfig{
			SupportedProfiles: profiles, PreferredProfiles: profiles,
		})
		// With a context that may be cancelled, and with one that cannot be.
		cancellable, cancel := context.WithCancel(background)
		defer cancel()
		for _, ctx := range []context.Context{background, cancellable} {
			answer, err := client.Call(ctx, increment.Request{Value: 1})
			if err != nil || answer.Value() != 2 {
				t.Fatalf("%v: %v", profiles, err)
			}
		}
		if counters := client.Status().Counters; counters.Connects != 1 || counters.Resends != 0 {
			t.Fatalf("%v: %+v", profiles, counters)
		}
	}
}

// Shared memory has no packets: an answer that would need several is published at once, and its worker
// keeps its memory.
func TestALongAnswerInSharedMemoryCostsNoMemoryOfItsOwn(t *testing.T) {
	const answerLen, calls = 500_000, 20
	endpoint := endpointOf(t, stringreverse.Service)
	long := []byte(strings.Repeat("x", answerLen))
	server, err := stringreverse.NewServer(endpoint,
		service.ServerConfig{SupportedProfiles: bothProfiles, PreferredProfiles: bothProfiles},
		func(_ *service.Context, _ stringreverse.RequestView, response *stringreverse.ResponseBuilder) error {
			response.BytesBytes(long)
			return nil
		})
	start(t, server, err)
	client := ready(t, stringreverse.NewClient(endpoint, service.ClientConfig{
		SupportedProfiles: bothProfiles, PreferredProfiles: bothProfiles,
	}))
	ask := func() {
		answer, err := client.Call(background, stringreverse.Request{Bytes: "x"})
		if err != nil || len(answer.Bytes()) != answerLen {
			t.Fatal(err)
		}
	}
	// The limits grow, and each worker's memory.
	for range calls {
		ask()
	}
	if profile := client.Status().Session.Terms.Profile; !profile.IsSharedMemory() {
		t.Fatalf("it uses %v", profile)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		ask()
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > calls/2*answerLen {
		t.Fatalf("%d calls took %d bytes", calls, used)
	}
}

const bothProfiles = protocol.ProfilesBaseline | protocol.ProfilesShmHybrid
