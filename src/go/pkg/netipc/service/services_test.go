package service_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/appslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/iptoasn"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
)

// Each service with all that its builders and views have, and with a number of workers of its own.

const twoWorkers = 2

func TestAddressesAreAnsweredByPlaceAndInOrder(t *testing.T) {
	endpoint := endpointOf(t, iptoasn.Service)
	server, err := iptoasn.NewServerWithWorkers(endpoint, service.ServerConfig{}, twoWorkers,
		func(ctx *service.Context, request iptoasn.RequestView, response *iptoasn.ResponseBuilder) error {
			if int(ctx.Peer().PID) != os.Getpid() || ctx.SessionID() == 0 {
				t.Errorf("the client is %v, its session %d", ctx.Peer(), ctx.SessionID())
			}
			response.Generation(9)
			for i := range request.Len() {
				var err error
				if key := request.At(i); i%2 == 0 {
					err = response.Known(key).ASN(uint32(i)).AsNameBytes([]byte("name")).CountryBytes([]byte("GR")).Finish()
				} else {
					err = response.Unknown(key)
				}
				if err != nil {
					return err
				}
			}
			if !response.Full() && request.Len() == 0 {
				t.Error("a lookup of nothing")
			}
			return nil
		})
	start(t, server, err)
	client := ready(t, iptoasn.NewClient(endpoint, service.ClientConfig{}))
	keys := []string{"10.0.0.1", "::1", "10.0.0.2"}
	answer, err := client.Lookup(background, keys)
	if err != nil || answer.Len() != len(keys) || answer.Generation() != 9 {
		t.Fatalf("%d, %v", answer.Len(), err)
	}
	for i, key := range keys {
		item := answer.At(i)
		wanted := iptoasn.StatusKnown
		if i%2 == 1 {
			wanted = iptoasn.StatusUnknown
		}
		if !item.IP().Equal(key) || item.Status() != wanted || item.ASN() != uint32(i)*uint32(1-i%2) {
			t.Errorf("%s is answered %v, AS %d", item.IP(), item.Status(), item.ASN())
		}
		if wanted == iptoasn.StatusKnown && (!item.AsName().Equal("name") || !item.Country().Equal("GR")) {
			t.Errorf("%s is of %s in %s", key, item.AsName(), item.Country())
		}
	}
	if client.Endpoint() != endpoint || client.Endpoint().Service() != iptoasn.Service {
		t.Errorf("the client is of %v", client.Endpoint())
	}
}

func TestASnapshotIsFetchedAndWalkedEveryWay(t *testing.T) {
	const items = 5
	endpoint := endpointOf(t, cgroupssnapshot.Service)
	server, err := cgroupssnapshot.NewServerWithWorkers(endpoint, service.ServerConfig{}, twoWorkers,
		func(_ *service.Context, _ cgroupssnapshot.RequestView, response *cgroupssnapshot.ResponseBuilder) error {
			response.Generation(3).SystemdEnabled(1)
			for i := range uint32(items) {
				name := []byte{'a' + byte(i)}
				if err := response.Item().Hash(i).Options(i).NameBytes(name).PathBytes(name).Finish(); err != nil {
					return err
				}
			}
			return nil
		})
	start(t, server, err)
	client := ready(t, cgroupssnapshot.NewClient(endpoint, service.ClientConfig{}))
	response, err := client.Fetch(background)
	if err != nil || response.Len() != items || response.SystemdEnabled() != 1 {
		t.Fatalf("%d, %v", response.Len(), err)
	}
	i := 0
	for item := range response.Items() {
		if item.Hash() != uint32(i) || item.Hash() != response.At(i).Hash() || item.Name()[0] != 'a'+byte(i) {
			t.Errorf("item %d is %d, %s", i, item.Hash(), item.Name())
		}
		i++
	}

	cache := cgroupssnapshot.NewCache(endpoint, service.ClientConfig{})
	defer cache.Close()
	if _, filled := cache.Load().Response(); filled {
		t.Error("a cache that was never filled holds a response")
	}
	if err := cache.Refresh(background); err != nil {
		t.Fatal(err)
	}
	held := cache.Load()
	if whole, filled := held.Response(); !filled || whole.Generation() != 3 || held.Len() != items || held.PayloadBytes() == 0 {
		t.Errorf("%v, %d items", filled, held.Len())
	}
	for item := range held.Items() {
		found, ok := held.Get(cgroupssnapshot.Identity{Hash: item.Hash(), Name: item.Name().String()})
		if !ok || found.Options() != item.Options() || held.At(int(item.Hash())).Options() != item.Options() {
			t.Errorf("%s is not found", item.Name())
		}
		if item.Hash() == 2 {
			break
		}
	}

	cache.Abort().Trigger()
	wantError(t, cache.Refresh(background), service.ErrAborted)
}

func TestLookupsTakeTextAsBytesToo(t *testing.T) {
	apps := endpointOf(t, appslookup.Service)
	server, err := appslookup.NewServerWithWorkers(apps, service.ServerConfig{}, twoWorkers,
		func(_ *service.Context, request appslookup.RequestView, response *appslookup.ResponseBuilder) error {
			for i := range request.Len() {
				known := response.Known(request.At(i)).CgroupStatus(appslookup.CgroupStatusKnown)
				text := []byte("text")
				if err := known.CommBytes(text).CgroupPathBytes(text).CgroupNameBytes(text).Finish(); err != nil {
					return err
				}
			}
			return nil
		})
	start(t, server, err)
	processes, err := ready(t, appslookup.NewClient(apps, service.ClientConfig{})).Lookup(background, []uint32{7, 8})
	if err != nil {
		t.Fatal(err)
	}
	pids := []uint32{}
	for item := range processes.Items() {
		if !item.Comm().Equal("text") || !item.CgroupPath().Equal("text") || !item.CgroupName().Equal("text") {
			t.Errorf("%s, %s, %s", item.Comm(), item.CgroupPath(), item.CgroupName())
		}
		pids = append(pids, item.PID())
	}
	if !slices.Equal(pids, []uint32{7, 8}) {
		t.Errorf("%v", pids)
	}

	cgroups := endpointOf(t, cgroupslookup.Service)
	server, err = cgroupslookup.NewServerWithWorkers(cgroups, service.ServerConfig{}, twoWorkers,
		func(_ *service.Context, request cgroupslookup.RequestView, response *cgroupslookup.ResponseBuilder) error {
			for i := range request.Len() {
				if err := response.Known(request.At(i)).NameBytes([]byte("name")).Finish(); err != nil {
					return err
				}
			}
			return nil
		})
	start(t, server, err)
	groups, err := ready(t, cgroupslookup.NewClient(cgroups, service.ClientConfig{})).Lookup(background, []string{"/a"})
	if err != nil || !groups.At(0).Name().Equal("name") || !groups.At(0).Path().Equal("/a") {
		t.Errorf("%v", err)
	}
}

// A client whose own ceiling has no room for the question itself is told so.
func TestALookupThatNoRequestHoldsIsTooLarge(t *testing.T) {
	endpoint := endpointOf(t, cgroupslookup.Service)
	server, err := cgroupslookup.NewServer(endpoint, service.ServerConfig{}, cgroups(10, always(1)))
	start(t, server, err)
	client := ready(t, cgroupslookup.NewClient(endpoint, service.ClientConfig{MaxRequestPayloadBytes: 15}))
	for _, keys := range [][]string{nil, {"/known"}, {"/known", "/unknown"}} {
		_, err := client.Lookup(background, keys)
		wantError(t, err, service.ErrRequestTooLarge)
		if !client.Ready() {
			t.Fatal("its session is gone")
		}
	}
}

func TestCallsAreServedByAsManyWorkersAsTheyAreGiven(t *testing.T) {
	numbers := endpointOf(t, increment.Service)
	server, err := increment.NewServerWithWorkers(numbers, service.ServerConfig{}, twoWorkers, addOne)
	start(t, server, err)
	asks(t, incrementClient(t, numbers, service.ClientConfig{}), 1)

	strings := endpointOf(t, stringreverse.Service)
	server, err = stringreverse.NewServerWithWorkers(strings, service.ServerConfig{}, twoWorkers, reverse)
	start(t, server, err)
	answer, err := ready(t, stringreverse.NewClient(strings, service.ClientConfig{})).
		Call(background, stringreverse.Request{Bytes: "abc"})
	if err != nil || answer.Bytes().String() != "cba" {
		t.Errorf("%v", err)
	}
}

// A handler that finishes its response may use for another call what the response was made of, before the
// server sends it.
func TestWhatAFinishedResponseWasMadeOfMayChange(t *testing.T) {
	endpoint := endpointOf(t, stringreverse.Service)
	server, err := stringreverse.NewServer(endpoint, service.ServerConfig{},
		func(_ *service.Context, request stringreverse.RequestView, response *stringreverse.ResponseBuilder) error {
			text := bytes.Clone(request.Bytes())
			slices.Reverse(text)
			length, err := response.BytesBytes(text).Finish()
			clear(text)
			if again, failed := response.Bytes("another").Finish(); again != length || failed != err {
				return errors.New("it was finished twice")
			}
			return err
		})
	start(t, server, err)
	client := ready(t, stringreverse.NewClient(endpoint, service.ClientConfig{}))
	answer, err := client.Call(background, stringreverse.Request{Bytes: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	if !answer.Bytes().Equal("cba") {
		t.Errorf("%q", answer.Bytes())
	}
}

func TestServersStartOnceAndStopBeforeTheyEverDid(t *testing.T) {
	if _, err := service.NewHost(1); !errors.Is(err, service.ErrNoServers) {
		t.Errorf("a host of nothing: %v", err)
	}
	endpoint := endpointOf(t, increment.Service)
	server, err := increment.NewServer(endpoint, service.ServerConfig{}, addOne)
	start(t, server, err)
	for what, err := range map[string]error{
		"started again": server.Start(), "served": server.Serve(background), "taken by a host": hosted(server),
	} {
		if !errors.Is(err, service.ErrStarted) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 2 {
		if err := server.Drain(); err != nil {
			t.Errorf("draining: %v", err)
		}
	}

	for _, stop := range []func(*service.Server) error{(*service.Server).Stop, (*service.Server).Drain} {
		server, err := increment.NewServer(endpoint, service.ServerConfig{}, addOne)
		if err != nil {
			t.Fatalf("the name was not given back: %v", err)
		}
		if err := stop(server); err != nil {
			t.Errorf("a server that never ran: %v", err)
		}
	}
}

func hosted(server *service.Server) error {
	_, err := service.NewHost(1, server)
	return err
}

func TestServersOfAHostThatFailsAreTheirOwnAgain(t *testing.T) {
	const workers = 3
	refused := newIncrementServer(t)
	start(t, refused, nil)
	free := newIncrementServer(t)
	own := free.Status().Workers
	for what, servers := range map[string][]*service.Server{
		"one that was started": {free, refused}, "one that is given twice": {free, free},
	} {
		if _, err := service.NewHost(own+workers, servers...); !errors.Is(err, service.ErrStarted) {
			t.Fatalf("%s: %v", what, err)
		}
		if is := free.Status().Workers; is != own {
			t.Errorf("%s: %d workers, and had %d", what, is, own)
		}
	}
	// It starts, and so does a host of it; those of a host do not.
	host, err := service.NewHost(workers, free)
	if err != nil {
		t.Fatal(err)
	}
	if err := hosted(free); !errors.Is(err, service.ErrStarted) || free.Status().Workers != workers {
		t.Errorf("%v, %+v", err, free.Status())
	}
	if err := errors.Join(host.Start(), host.Stop()); err != nil {
		t.Error(err)
	}
}

func newIncrementServer(t *testing.T) *service.Server {
	t.Helper()
	server, err := increment.NewServer(endpointOf(t, increment.Service), service.ServerConfig{}, addOne)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, server) })
	return server
}
