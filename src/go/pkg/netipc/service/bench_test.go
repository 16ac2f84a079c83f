package service_test

import (
	"fmt"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

func BenchmarkCall(b *testing.B) {
	endpoint, _ := incrementServer(b, service.ServerConfig{}, addOne)
	client := incrementClient(b, endpoint, service.ClientConfig{})
	b.ReportAllocs()
	for range b.N {
		asks(b, client, 7)
	}
}

func BenchmarkBatchOf1000(b *testing.B) {
	endpoint, _ := incrementServer(b, service.ServerConfig{}, addOne)
	client := incrementClient(b, endpoint, service.ClientConfig{})
	requests := make([]increment.Request, 1000)
	b.ReportAllocs()
	for range b.N {
		if _, err := client.Batch(background, requests); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCacheGet(b *testing.B) {
	endpoint := endpointOf(b, cgroupssnapshot.Service)
	const count = 10_000
	server, err := cgroupssnapshot.NewServer(endpoint, service.ServerConfig{}, snapshotOf(count, 1))
	start(b, server, err)
	cache := cgroupssnapshot.NewCache(endpoint, service.ClientConfig{})
	defer cache.Close()
	if err := cache.Refresh(background); err != nil {
		b.Fatal(err)
	}
	wanted := make([]cgroupssnapshot.Identity, count)
	for i := range wanted {
		wanted[i] = cgroupssnapshot.Identity{Hash: uint32(i), Name: fmt.Sprintf("cgroup-%d", i)}
	}
	b.ResetTimer()
	for i := range b.N {
		if _, found := cache.Load().Get(wanted[i%count]); !found {
			b.Fatal("an item is lost")
		}
	}
}

// BenchmarkContentsGet looks up what is held: 16 items, names of 16 bytes.
func BenchmarkContentsGet(b *testing.B) {
	const count = 16
	name := func(i int) string { return fmt.Sprintf("cgroup-%09d", i) }
	endpoint := endpointOf(b, cgroupssnapshot.Service)
	server, err := cgroupssnapshot.NewServer(endpoint, service.ServerConfig{},
		func(_ *service.Context, _ cgroupssnapshot.RequestView, response *cgroupssnapshot.ResponseBuilder) error {
			for i := range count {
				if err := response.Item().Hash(uint32(i)).Name(name(i)).Path("/" + name(i)).Finish(); err != nil {
					return err
				}
			}
			return nil
		})
	start(b, server, err)
	cache := cgroupssnapshot.NewCache(endpoint, service.ClientConfig{})
	defer cache.Close()
	if err := cache.Refresh(background); err != nil {
		b.Fatal(err)
	}
	wanted := make([]cgroupssnapshot.Identity, count)
	for i := range wanted {
		wanted[i] = cgroupssnapshot.Identity{Hash: uint32(i), Name: name(i)}
	}
	contents := cache.Load()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, found := contents.Get(wanted[i%count]); !found {
			b.Fatal("an item is lost")
		}
	}
}
