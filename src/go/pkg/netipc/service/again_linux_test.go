package service_test

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

// Servers and clients that come and go again and again, in one process: in the end it has the descriptors, goroutines,
// threads and names that it had in the beginning.
func TestStartingAndStoppingAgainAndAgainLeavesNothing(t *testing.T) {
	// A goroutine that finds every thread of the runtime busy gets one more, which stays: how many depends on the
	// machine, and not on the rounds.
	const rounds, spareThreads = 100, 25
	for _, profile := range []protocol.Profile{protocol.ProfileBaseline, protocol.ProfileShmHybrid} {
		t.Run(profile.String(), func(t *testing.T) {
			endpoint := endpointOf(t, increment.Service)
			// What is made once, and the lock that servers leave at their name, is made by the first.
			startAndStop(t, endpoint, profile, 0)
			onlyALock := func() bool { return len(namesIn(t, endpoint.RunDir())) == 1 }
			eventually(t, "the lock alone is left", onlyALock)
			descriptors := len(namesIn(t, "/proc/self/fd"))
			goroutines, threads := runtime.NumGoroutine(), threadCount(t)
			for round := range uint64(rounds) {
				startAndStop(t, endpoint, profile, round)
			}
			eventually(t, "all descriptors are closed", func() bool { return len(namesIn(t, "/proc/self/fd")) <= descriptors })
			goroutinesEnd(t, goroutines)
			if left := threadCount(t); left > threads+spareThreads {
				t.Errorf("%d threads, and %d before", left, threads)
			}
			eventually(t, "the lock alone is left", onlyALock)
		})
	}
}

// startAndStop has a server answer a client, and end before it or after it, in one of the ways that there are.
func startAndStop(t *testing.T, endpoint service.Endpoint, profile protocol.Profile, round uint64) {
	t.Helper()
	profiles := offered(profile)
	server, err := increment.NewServer(endpoint,
		service.ServerConfig{SupportedProfiles: profiles, PreferredProfiles: profiles}, addOne)
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	client := increment.NewClient(endpoint,
		service.ClientConfig{SupportedProfiles: profiles, PreferredProfiles: profiles})
	if client.Refresh(background); !client.Ready() || client.Status().Session.Terms.Profile != profile {
		t.Fatalf("%+v", client.Status())
	}
	asks(t, client, round)
	var left error
	if round%2 == 1 {
		left = client.Close()
	}
	if round%3 == 0 {
		err = server.DrainWithin(patience)
	} else {
		err = server.StopWithin(patience)
	}
	if round%2 == 0 {
		left = client.Close()
	}
	if err := errors.Join(err, left); err != nil {
		t.Fatal(err)
	}
}

func namesIn(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}
