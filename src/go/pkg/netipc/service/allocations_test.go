package service_test

import (
	"fmt"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

// wantNoAllocations runs do until its buffers have grown, and then wants no allocation of it. The average
// is rounded down: what the runtime does for itself now and then is not do's.
func wantNoAllocations(t *testing.T, what string, do func()) {
	t.Helper()
	for range 100 {
		do()
	}
	if allocations := testing.AllocsPerRun(500, do); allocations != 0 {
		t.Errorf("%s: %v allocations", what, allocations)
	}
}

// Client and server share this process: what either allocates is seen.
func TestNothingIsAllocatedOnceBuffersHaveGrown(t *testing.T) {
	endpoint, _ := incrementServer(t, service.ServerConfig{}, addOne)
	client := incrementClient(t, endpoint, service.ClientConfig{})
	wantNoAllocations(t, "a call", func() { asks(t, client, 7) })

	requests := make([]increment.Request, 8)
	wantNoAllocations(t, "a batch", func() {
		answers, err := client.Batch(background, requests)
		if err != nil || answers.Len() != len(requests) {
			t.Fatal(err)
		}
		for _, answer := range answers.All() {
			if answer.Value() != 1 {
				t.Fatal(answer.Value())
			}
		}
	})

	endpoint = endpointOf(t, cgroupslookup.Service)
	server, err := cgroupslookup.NewServer(endpoint, service.ServerConfig{},
		func(_ *service.Context, request cgroupslookup.RequestView, response *cgroupslookup.ResponseBuilder) error {
			for path := range request.Keys() {
				if err := response.Known(path).Name("a name").Finish(); err != nil {
					return err
				}
			}
			return nil
		})
	start(t, server, err)
	lookups := ready(t, cgroupslookup.NewClient(endpoint, service.ClientConfig{}))
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("/sys/fs/cgroup/%d", i)
	}
	wantNoAllocations(t, "a lookup", func() {
		answer, err := lookups.Lookup(background, keys)
		if err != nil {
			t.Fatal(err)
		}
		for item := range answer.Items() {
			if !item.Name().Equal("a name") {
				t.Fatal(item.Name())
			}
		}
	})

	endpoint = endpointOf(t, cgroupssnapshot.Service)
	snapshots, err := cgroupssnapshot.NewServer(endpoint, service.ServerConfig{}, snapshotOf(100, 1))
	start(t, snapshots, err)
	cache := cgroupssnapshot.NewCache(endpoint, service.ClientConfig{})
	defer cache.Close()
	if err := cache.Refresh(background); err != nil {
		t.Fatal(err)
	}
	wantNoAllocations(t, "a read of the cache", func() {
		if _, found := cache.Load().Get(cgroupssnapshot.Identity{Hash: 42, Name: "cgroup-42"}); !found {
			t.Fatal("an item is lost")
		}
	})
}
