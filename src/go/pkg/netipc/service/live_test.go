package service_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
)

func TestCallsAndBatches(t *testing.T) {
	endpoint, server := incrementServer(t, service.ServerConfig{}, addOne)
	client := incrementClient(t, endpoint, service.ClientConfig{})
	for value := range uint64(100) {
		asks(t, client, value)
	}
	requests := make([]increment.Request, 1000)
	for i := range requests {
		requests[i].Value = uint64(i)
	}
	answers, err := client.Batch(background, requests)
	if err != nil || answers.Len() != len(requests) {
		t.Fatalf("%d, %v", answers.Len(), err)
	}
	for i, answer := range answers.All() {
		if answer.Value() != uint64(i)+1 {
			t.Fatalf("%d answers %d", answer.Value(), i)
		}
	}
	_, err = client.Batch(background, make([]increment.Request, 1025))
	wantError(t, err, service.ErrTooManyItems)
	_, err = client.Batch(background, nil)
	wantError(t, err, service.ErrEmptyBatch)
	asks(t, client, 7)
	status := server.Status()
	if status.Calls.OK != 102 || status.Sessions != 1 || status.Handshakes.Sessions != 1 {
		t.Fatalf("%+v", status)
	}
	if counters := client.Status().Counters; counters.Connects != 1 || counters.Errors[service.KindCaller] != 2 {
		t.Fatalf("%+v", counters)
	}
}

func TestStringsComeBackWhateverTheirLength(t *testing.T) {
	endpoint := endpointOf(t, stringreverse.Service)
	server, err := stringreverse.NewServer(endpoint, service.ServerConfig{}, reverse)
	start(t, server, err)
	client := ready(t, stringreverse.NewClient(endpoint, service.ClientConfig{}))
	for _, length := range []int{0, 1, 1000, 60_000, 65_528, 300_000, 1_000_000} {
		text := strings.Repeat("ab", length/2) + strings.Repeat("c", length%2)
		answer, err := client.Call(background, stringreverse.Request{Bytes: text})
		if err != nil {
			t.Fatalf("%d bytes: %v", length, err)
		}
		if got := answer.Bytes().String(); len(got) != length || length > 1 && got[:2] == text[:2] && text[0] != text[length-1] {
			t.Fatalf("%d bytes came back as %d", length, len(got))
		}
	}
	_, err = client.Call(background, stringreverse.Request{Bytes: strings.Repeat("x", 1<<20)})
	wantError(t, err, service.ErrRequestTooLarge)
	counters := client.Status().Counters
	if counters.LargerRequests == 0 || counters.Growths == 0 {
		t.Fatalf("%+v", counters)
	}
}

func TestALookupIsSplitAndStitched(t *testing.T) {
	endpoint := endpointOf(t, cgroupslookup.Service)
	server, err := cgroupslookup.NewServer(endpoint, service.ServerConfig{}, cgroups(500, always(9)))
	start(t, server, err)
	client := ready(t, cgroupslookup.NewClient(endpoint, service.ClientConfig{}))
	keys := make([]string, 3000)
	for i := range keys {
		keys[i] = fmt.Sprintf("/known/%d", i)
		if i%3 == 0 {
			keys[i] = fmt.Sprintf("/other/%d", i)
		}
	}
	answer, err := client.Lookup(background, keys)
	if err != nil || answer.Len() != len(keys) || answer.Generation() != 9 {
		t.Fatalf("%d, %v", answer.Len(), err)
	}
	index := 0
	for item := range answer.Items() {
		want := cgroupslookup.StatusKnown
		if index%3 == 0 {
			want = cgroupslookup.StatusUnknownPermanent
		}
		if item.Path().String() != keys[index] || item.Status() != want {
			t.Fatalf("item %d is %s: %v", index, item.Path(), item.Status())
		}
		index++
	}
	if counters := client.Status().Counters; counters.SubCalls < 10 || counters.Connects != 1 {
		t.Fatalf("%+v", counters)
	}
	answer, err = client.Lookup(background, nil)
	if err != nil || answer.Len() != 0 || answer.Generation() != 9 {
		t.Fatalf("%d, %v", answer.Len(), err)
	}
	_, err = client.Lookup(background, make([]string, 65_537))
	wantError(t, err, service.ErrTooManyKeys)
	_, err = client.Lookup(background, []string{""})
	if err == nil || client.State() != protocol.StateReady {
		t.Fatalf("%v, it is %v", err, client.State())
	}
}

func TestAnItemThatFitsNoAnswerIsOversizedAndHarmsNoOther(t *testing.T) {
	endpoint := endpointOf(t, cgroupslookup.Service)
	config := service.ServerConfig{MaxResponsePayloadBytes: 4096}
	server, err := cgroupslookup.NewServer(endpoint, config,
		func(_ *service.Context, request cgroupslookup.RequestView, response *cgroupslookup.ResponseBuilder) error {
			for path := range request.Keys() {
				name := "short"
				if strings.HasSuffix(path.String(), "long") {
					name = strings.Repeat("n", 8000)
				}
				if err := response.Known(path).Name(name).Finish(); err != nil {
					return err
				}
			}
			return nil
		})
	start(t, server, err)
	client := ready(t, cgroupslookup.NewClient(endpoint, service.ClientConfig{}))
	keys := []string{"/a", "/long", "/b", "/also/long", "/c"}
	answer, err := client.Lookup(background, keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range keys {
		want := cgroupslookup.StatusKnown
		if strings.HasSuffix(key, "long") {
			want = cgroupslookup.StatusOversizedItem
		}
		if item := answer.At(i); item.Status() != want || item.Path().String() != key {
			t.Errorf("%s is %v", key, item.Status())
		}
	}
	// A key too long for any request is oversized, too.
	long := "/" + strings.Repeat("k", 2<<20)
	answer, err = client.Lookup(background, []string{"/a", long})
	if err != nil || answer.At(1).Status() != cgroupslookup.StatusOversizedItem || answer.At(0).Status() != cgroupslookup.StatusKnown {
		t.Fatal(err)
	}
}

func TestALookupWhoseGenerationChangesStartsAgainOnce(t *testing.T) {
	endpoint := endpointOf(t, cgroupslookup.Service)
	var calls, changes atomic.Uint64
	server, err := cgroupslookup.NewServer(endpoint, service.ServerConfig{}, cgroups(500, func() uint64 {
		if calls.Add(1) > 1 && changes.Load() > 0 {
			changes.Add(^uint64(0))
			return calls.Load()
		}
		return 1
	}))
	start(t, server, err)
	client := ready(t, cgroupslookup.NewClient(endpoint, service.ClientConfig{}))
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprintf("/known/%d", i)
	}
	changes.Store(1)
	if _, err := client.Lookup(background, keys); err != nil {
		t.Fatal(err)
	}
	if restarted := client.Status().Counters.RestartedLookups; restarted != 1 {
		t.Fatalf("restarted %d times", restarted)
	}
	changes.Store(1 << 40)
	_, err = client.Lookup(background, keys)
	wantError(t, err, service.ErrGenerationChanged)
	if !client.Ready() {
		t.Fatal("the session did not go on")
	}
}

func TestACacheKeepsWhatItHadWhateverARefreshMeets(t *testing.T) {
	endpoint := endpointOf(t, cgroupssnapshot.Service)
	cache := cgroupssnapshot.NewCache(endpoint, service.ClientConfig{})
	defer cache.Close()
	if err := cache.Refresh(background); err == nil || cache.Ready() || cache.Load().Len() != 0 {
		t.Fatal(err)
	}
	if _, found := cache.Load().Get(cgroupssnapshot.Identity{Hash: 7, Name: "cgroup-7"}); found {
		t.Fatal("an empty cache finds something")
	}
	server, err := cgroupssnapshot.NewServer(endpoint, service.ServerConfig{}, snapshotOf(5000, 3))
	start(t, server, err)
	if err := cache.Refresh(background); err != nil {
		t.Fatal(err)
	}
	contents := cache.Load()
	if contents.Len() != 5000 || contents.Generation() != 3 {
		t.Fatalf("%d items of generation %d", contents.Len(), contents.Generation())
	}
	for i := range 5000 {
		identity := cgroupssnapshot.Identity{Hash: uint32(i), Name: fmt.Sprintf("cgroup-%d", i)}
		item, found := contents.Get(identity)
		if !found || item.Path().String() != "/sys/fs/cgroup/"+identity.Name {
			t.Fatalf("%v: %v", identity, found)
		}
		identity.Hash++
		if _, found := contents.Get(identity); found {
			t.Fatalf("%v is found", identity)
		}
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := cache.Refresh(background); err == nil {
		t.Fatal("nobody is there")
	}
	if status := cache.Status(); status.Items != 5000 || status.Refreshes != 1 || status.Failures != 2 || status.LastError == nil {
		t.Fatalf("%+v", status)
	}
}

func TestACacheIsReadWhileItIsRefreshed(t *testing.T) {
	endpoint := endpointOf(t, cgroupssnapshot.Service)
	var generation atomic.Uint64
	server, err := cgroupssnapshot.NewServer(endpoint, service.ServerConfig{},
		func(ctx *service.Context, request cgroupssnapshot.RequestView, response *cgroupssnapshot.ResponseBuilder) error {
			return snapshotOf(100, generation.Add(1))(ctx, request, response)
		})
	start(t, server, err)
	cache := cgroupssnapshot.NewCache(endpoint, service.ClientConfig{})
	defer cache.Close()
	if err := cache.Refresh(background); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			last := uint64(0)
			for {
				contents := cache.Load()
				if contents.Generation() < last || contents.Len() != 100 {
					t.Errorf("generation %d after %d", contents.Generation(), last)
				}
				last = contents.Generation()
				if _, found := contents.Get(cgroupssnapshot.Identity{Hash: 42, Name: "cgroup-42"}); !found {
					t.Error("an item is lost")
				}
				select {
				case <-done:
					return
				default:
					runtime.Gosched()
				}
			}
		}()
	}
	for range 50 {
		if err := cache.Refresh(background); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}

func TestPipelinedRequestsOfOneSessionRunAtOnce(t *testing.T) {
	// Two clients' worth of handlers on one session: each waits for the other. A client of Level 1 sends
	// both; a batch of two items does as well.
	var met sync.WaitGroup
	met.Add(2)
	endpoint, _ := incrementServer(t, service.ServerConfig{WorkerCount: 2},
		func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
			if request.Value() < 100 {
				met.Done()
				met.Wait()
			}
			return addOne(ctx, request, response)
		})
	pipeline := newPipeline(t, endpoint, 4)
	pipeline.submit(t, 1, 10)
	pipeline.submit(t, 2, 20)
	got := map[uint64]uint64{}
	for range 2 {
		id, value := pipeline.receive(t)
		got[id] = value
	}
	if got[1] != 11 || got[2] != 21 {
		t.Fatalf("%v", got)
	}
}

func TestASlowBatchIsSharedAmongTheWorkers(t *testing.T) {
	var atOnce, most atomic.Int64
	gate := make(chan struct{})
	var open sync.Once
	endpoint, server := incrementServer(t, service.ServerConfig{WorkerCount: 3},
		func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
			now := atOnce.Add(1)
			defer atOnce.Add(-1)
			for seen := most.Load(); now > seen; seen = most.Load() {
				if most.CompareAndSwap(seen, now) {
					break
				}
			}
			if now == 3 {
				// All three are here: nobody waits any more.
				open.Do(func() { close(gate) })
			}
			if request.Value() >= 30 {
				receives(t, gate)
			} else {
				spin(100 * time.Microsecond)
			}
			return addOne(ctx, request, response)
		})
	client := incrementClient(t, endpoint, service.ClientConfig{})
	requests := make([]increment.Request, 120)
	for i := range requests {
		requests[i].Value = uint64(i)
	}
	answers, err := client.Batch(background, requests)
	if err != nil {
		t.Fatal(err)
	}
	for i, answer := range answers.All() {
		if answer.Value() != uint64(i)+1 {
			t.Fatalf("%d answers %d", answer.Value(), i)
		}
	}
	if most.Load() != 3 || server.Status().Calls.OK != 1 {
		t.Fatalf("%d at once, %+v", most.Load(), server.Status().Calls)
	}
}

// spin keeps a CPU busy for a while.
func spin(duration time.Duration) {
	for started := time.Now(); time.Since(started) < duration; {
	}
}

func TestAHandlerThatFailsOrPanicsIsAnInternalErrorAndTheServerGoesOn(t *testing.T) {
	endpoint, server := incrementServer(t, service.ServerConfig{},
		func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
			switch request.Value() {
			case 1:
				return errors.New("the disk is on fire")
			case 2:
				panic("out of luck")
			}
			return addOne(ctx, request, response)
		})
	client := incrementClient(t, endpoint, service.ClientConfig{})
	for value := range uint64(3) {
		if value == 0 {
			asks(t, client, value)
			continue
		}
		_, err := client.Call(background, increment.Request{Value: value})
		wantError(t, err, service.StatusError{Status: protocol.StatusInternalError})
		if client.Ready() {
			t.Fatal("the session goes on")
		}
		if client.Refresh(background); !client.Ready() {
			t.Fatal(client.Status().Reason)
		}
	}
	requests := []increment.Request{{Value: 5}, {Value: 2}, {Value: 6}}
	_, err := client.Batch(background, requests)
	wantError(t, err, service.StatusError{Status: protocol.StatusInternalError})
	client.Refresh(background)
	asks(t, client, 9)
	status := server.Status()
	if status.Calls.InternalError != 3 || status.Calls.Panics != 2 || !strings.Contains(status.LastError.Error(), "out of luck") {
		t.Fatalf("%+v", status)
	}
	eventually(t, "sessions end", func() bool { return server.Status().Ended.Answered == 3 })
}

func TestAnotherMethodIsUnsupportedAndTheSessionGoesOn(t *testing.T) {
	endpoint, server := incrementServer(t, service.ServerConfig{}, addOne)
	client := ready(t, stringreverse.NewClient(endpoint, service.ClientConfig{}))
	for range 2 {
		_, err := client.Call(background, stringreverse.Request{Bytes: "x"})
		wantError(t, err, service.StatusError{Status: protocol.StatusUnsupported})
		if !client.Ready() {
			t.Fatal("the session ended")
		}
	}
	if server.Status().Calls.Unsupported != 2 {
		t.Fatalf("%+v", server.Status().Calls)
	}
}

func TestAClientAboveTheMostIsToldBusyAndBacksOff(t *testing.T) {
	endpoint, server := incrementServer(t, service.ServerConfig{MaxSessions: 1}, addOne)
	first := incrementClient(t, endpoint, service.ClientConfig{})
	second := increment.NewClient(endpoint, service.ClientConfig{})
	// Until the time to wait is longer than a busy machine takes for what follows.
	eventually(t, "it is to wait for long", func() bool {
		second.Refresh(background)
		return second.Status().RetryIn > time.Second
	})
	status := second.Status()
	if second.Ready() || status.NextTry != protocol.NextTryBusy || status.RetryIn <= 0 ||
		!strings.HasPrefix(status.Reason.Error(), "busy: ") {
		t.Fatalf("%+v", status)
	}
	if second.Refresh(background) || second.Status().Counters.FailedConnects != status.Counters.FailedConnects {
		t.Fatal("it does not back off")
	}
	asks(t, first, 1)
	_ = first.Close()
	eventually(t, "a place is free", func() bool { return server.Status().Sessions == 0 })
	eventually(t, "the client comes in", func() bool { second.Refresh(background); return second.Ready() })
	asks(t, second, 2)
}

func TestACallOnAClientThatIsNotReadyFailsAtOnce(t *testing.T) {
	client := increment.NewClient(endpointOf(t, increment.Service), service.ClientConfig{})
	_, err := client.Call(background, increment.Request{})
	wantError(t, err, service.ErrNotReady)
	if client.Refresh(background); client.State() != protocol.StateNotFound {
		t.Fatalf("it is %v", client.State())
	}
	var failed *service.CallError
	_, err = client.Call(background, increment.Request{})
	if !errors.As(err, &failed) || failed.Kind != service.KindNotReady {
		t.Fatal(err)
	}
}

func TestACallEndsByItsTimeoutAndItsContext(t *testing.T) {
	release := make(chan struct{})
	const tells = 1
	entered := make(chan struct{}, 2)
	endpoint, _ := incrementServer(t, service.ServerConfig{WorkerCount: 8},
		func(ctx *service.Context, request increment.RequestView, _ *increment.ResponseBuilder) error {
			if request.Value() == tells {
				entered <- struct{}{}
			}
			<-release
			return nil
		})
	defer close(release)
	for name, c := range map[string]struct {
		config service.ClientConfig
		ctx    func() (context.Context, context.CancelFunc)
		// cancel and abort come while the handler runs.
		cancel, abort bool
		want          []error
	}{
		"timeout": {
			config: service.ClientConfig{CallTimeout: shortTimeout(60 * time.Millisecond)}, want: []error{service.ErrTimedOut},
		},
		"deadline": {
			ctx: func() (context.Context, context.CancelFunc) {
				return context.WithTimeout(background, 60*time.Millisecond)
			},
			want: []error{service.ErrTimedOut, context.DeadlineExceeded},
		},
		"cancel": {
			ctx: func() (context.Context, context.CancelFunc) {
				return context.WithCancel(background)
			},
			cancel: true, want: []error{service.ErrAborted, context.Canceled},
		},
		"abort": {abort: true, want: []error{service.ErrAborted}},
	} {
		t.Run(name, func(t *testing.T) {
			client := increment.NewClient(endpoint, c.config)
			t.Cleanup(func() { _ = client.Close() })
			// A handshake may take a busy machine longer than such a timeout.
			eventually(t, "a session", func() bool { client.Refresh(background); return client.Ready() })
			ctx, cancel := background, context.CancelFunc(func() {})
			if c.ctx != nil {
				ctx, cancel = c.ctx()
			}
			defer cancel()
			var err error
			within(t, 110*time.Millisecond+slack, func() {
				if !c.cancel && !c.abort {
					_, err = client.Call(ctx, increment.Request{})
					return
				}
				called := make(chan error, 1)
				go func() {
					_, err := client.Call(ctx, increment.Request{Value: tells})
					called <- err
				}()
				receives(t, entered)
				if c.cancel {
					cancel()
				} else {
					client.Abort().Trigger()
				}
				err = receives(t, called)
			})
			wantError(t, err, c.want...)
			if client.State() != protocol.StateBroken {
				t.Fatalf("it is %v", client.State())
			}
			// An ended context, or an abort that was not cleared, refuses the next at once.
			if client.Abort().Clear(); c.abort || c.ctx != nil {
				client.Refresh(background)
				cancel()
				if c.abort {
					client.Abort().Trigger()
				}
				within(t, slack, func() { _, err = client.Call(ctx, increment.Request{}) })
				if err == nil || !client.Ready() {
					t.Fatalf("%v, it is %v", err, client.State())
				}
			}
		})
	}
}

// shortTimeout is a call's timeout within which a handshake has to be done as well.
func shortTimeout(timeout time.Duration) time.Duration {
	if runtime.GOOS == "windows" {
		return timeout + slack/4
	}
	return timeout
}

// slack is what a busy machine may add to a bound. Tests of Windows run under Wine, whose times say little.
var slack = func() time.Duration {
	if runtime.GOOS == "windows" {
		return 4 * time.Second
	}
	return 400 * time.Millisecond
}()

func TestACallIsSentAgainToTheServersSuccessor(t *testing.T) {
	endpoint, server := incrementServer(t, service.ServerConfig{}, addOne)
	client := incrementClient(t, endpoint, service.ClientConfig{})
	asks(t, client, 1)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	successor, err := increment.NewServer(endpoint, service.ServerConfig{}, addOne)
	start(t, successor, err)
	asks(t, client, 2)
	if counters := client.Status().Counters; counters.Resends != 1 || counters.Reconnects != 1 {
		t.Fatalf("%+v", counters)
	}
	if err := successor.Stop(); err != nil {
		t.Fatal(err)
	}
	_, err = client.Call(background, increment.Request{})
	wantError(t, err, service.ErrReconnect)
	if client.State() != protocol.StateNotFound {
		t.Fatalf("it is %v", client.State())
	}
}

func TestARefreshNoticesThatTheServerLeft(t *testing.T) {
	endpoint, server := incrementServer(t, service.ServerConfig{}, addOne)
	client := incrementClient(t, endpoint, service.ClientConfig{})
	if client.Refresh(background) {
		t.Fatal("something changed")
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if !client.Refresh(background) || client.State() != protocol.StateNotFound {
		t.Fatalf("it is %v", client.State())
	}
}

func TestAWrongTokenIsRefused(t *testing.T) {
	endpoint, server := incrementServer(t, service.ServerConfig{AuthToken: 7}, addOne)
	client := increment.NewClient(endpoint, service.ClientConfig{AuthToken: 8})
	client.Refresh(background)
	if status := client.Status(); status.State != protocol.StateAuthFailed || status.NextTry != protocol.NextTryRarely {
		t.Fatalf("%+v", status)
	}
	if server.Status().Handshakes.AuthFailed != 1 {
		t.Fatalf("%+v", server.Status().Handshakes)
	}
	asks(t, incrementClient(t, endpoint, service.ClientConfig{AuthToken: 7}), 1)
}

func TestAHostServesSeveralServicesOverOneSetOfWorkers(t *testing.T) {
	runDir := newRunDir(t)
	numbers, err := increment.NewServer(endpointIn(t, runDir, increment.Service), service.ServerConfig{}, addOne)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := stringreverse.NewServer(endpointIn(t, runDir, stringreverse.Service), service.ServerConfig{}, reverse)
	if err != nil {
		t.Fatal(err)
	}
	host, err := service.NewHost(2, numbers, texts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.NewHost(2, numbers); !errors.Is(err, service.ErrStarted) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(background)
	served := make(chan error)
	go func() { served <- host.Serve(ctx) }()
	asks(t, incrementClient(t, endpointIn(t, runDir, increment.Service), service.ClientConfig{}), 1)
	client := ready(t, stringreverse.NewClient(endpointIn(t, runDir, stringreverse.Service), service.ClientConfig{}))
	answer, err := client.Call(background, stringreverse.Request{Bytes: "abc"})
	if err != nil || !answer.Bytes().Equal("cba") {
		t.Fatal(err)
	}
	cancel()
	if err := receives(t, served); err != nil {
		t.Fatal(err)
	}
	if numbers.Status().Sessions != 0 || texts.Status().Ended.Stopped != 1 {
		t.Fatalf("%+v", texts.Status())
	}
}
