package service_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/netipc/netipc/src/go/pkg/netipc/appslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

// runDirectory is where sockets are: agents have one for all their plugins.
func runDirectory() (string, func()) {
	directory, err := os.MkdirTemp("", "netipc")
	if err != nil {
		log.Fatal(err)
	}
	return directory, func() { _ = os.RemoveAll(directory) }
}

// A provider and a consumer of one service, here in one process.
func Example() {
	runDir, remove := runDirectory()
	defer remove()
	endpoint, err := service.NewEndpoint(runDir, appslookup.Service)
	if err != nil {
		log.Fatal(err)
	}

	// The provider knows process 1, and answers for as long as it runs.
	server, err := appslookup.NewServer(endpoint, service.ServerConfig{},
		func(_ *service.Context, request appslookup.RequestView, response *appslookup.ResponseBuilder) error {
			for pid := range request.Keys() {
				var err error
				if pid == 1 {
					err = response.Known(pid).Comm("init").UID(0).
						CgroupStatus(appslookup.CgroupStatusHostRoot).Finish()
				} else {
					err = response.Unknown(pid)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	// The consumer refreshes its client in each round of its own loop: that connects when it is time to.
	ctx := context.Background()
	client := appslookup.NewClient(endpoint, service.ClientConfig{})
	defer client.Close()
	client.Refresh(ctx)
	if !client.Ready() {
		log.Fatal(client.Status().Reason)
	}
	answer, err := client.Lookup(ctx, []uint32{1, 4242})
	if err != nil {
		log.Fatal(err)
	}
	for item := range answer.Items() {
		fmt.Printf("%d is %v %s\n", item.PID(), item.Status(), item.Comm())
	}
	// Output:
	// 1 is known init
	// 4242 is unknown
}

// Several requests in one message, answered in order.
func ExampleCallClient_Batch() {
	runDir, remove := runDirectory()
	defer remove()
	endpoint, err := service.NewEndpoint(runDir, increment.Service)
	if err != nil {
		log.Fatal(err)
	}
	server, err := increment.NewServer(endpoint, service.ServerConfig{},
		func(_ *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
			response.Value(request.Value() + 1)
			return nil
		})
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	ctx := context.Background()
	client := increment.NewClient(endpoint, service.ClientConfig{})
	defer client.Close()
	client.Refresh(ctx)
	answers, err := client.Batch(ctx, []increment.Request{{Value: 1}, {Value: 41}})
	if err != nil {
		log.Fatal(err)
	}
	for index, answer := range answers.All() {
		fmt.Println(index, answer.Value())
	}
	// Output:
	// 0 2
	// 1 42
}

// A cache is refreshed by its owner, and read by anybody without waiting.
func ExampleCache() {
	runDir, remove := runDirectory()
	defer remove()
	endpoint, err := service.NewEndpoint(runDir, cgroupssnapshot.Service)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	cache := cgroupssnapshot.NewCache(endpoint, service.ClientConfig{})
	defer cache.Close()
	fmt.Println("nobody provides it yet:", cache.Refresh(ctx) != nil)

	server, err := cgroupssnapshot.NewServer(endpoint, service.ServerConfig{},
		func(_ *service.Context, _ cgroupssnapshot.RequestView, response *cgroupssnapshot.ResponseBuilder) error {
			response.Generation(1)
			return response.Item().Hash(7).Name("web").Path("/web").Enabled(1).Finish()
		})
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	if err := cache.Refresh(ctx); err != nil {
		log.Fatal(err)
	}
	item, found := cache.Load().Get(cgroupssnapshot.Identity{Hash: 7, Name: "web"})
	fmt.Println(found, item.Path())
	// Output:
	// nobody provides it yet: true
	// true /web
}
