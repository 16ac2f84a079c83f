//go:build linux || windows

package transport

import (
	"bytes"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// What sessions over shared memory do, whatever regions are made of.

const both = protocol.ProfilesBaseline | protocol.ProfilesShmHybrid

func sharedListener() ListenerConfig {
	config := wideListener()
	config.SupportedProfiles, config.PreferredProfiles = both, both
	return config
}

func sharedPair(t testing.TB) (client, server *Session) {
	t.Helper()
	client, server = pair(t, sharedListener(), Proposal{
		SupportedProfiles: both, PreferredProfiles: both, Request: protocol.Limits{PayloadBytes: 65536, BatchItems: 10},
	})
	if client.Terms().Profile != protocol.ProfileShmHybrid || server.Terms().Profile != protocol.ProfileShmHybrid {
		t.Fatalf("no shared memory: %v", server.Fallback())
	}
	return client, server
}

// sharedAt is a session at an endpoint whose directory the test knows.
func sharedAt(t testing.TB, config ListenerConfig, proposal Proposal) (dir string, client, server *Session) {
	t.Helper()
	endpoint := newEndpoint(t)
	listener := listen(t, endpoint, config)
	client, err := Connect(endpoint, &proposal, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server, err = listener.Accept(within(soon)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return endpoint.RunDir(), client, server
}

func sharedProposal() Proposal {
	return Proposal{
		SupportedProfiles: both, PreferredProfiles: both,
		Request: protocol.Limits{PayloadBytes: 4096, BatchItems: 10},
	}
}

func TestSharedMemoryCallsGoBackAndForth(t *testing.T) {
	client, server := sharedPair(t)
	done := make(chan error, 1)
	go func() { done <- increment(server, nil) }()
	calls := newCounter(client)
	for range 2000 {
		if err := calls.call(within(soon)); err != nil {
			t.Fatal(err)
		}
	}
	if client.InFlightLimit() != 1 || server.InFlightLimit() != 1 {
		t.Fatal("more than one message may be in flight")
	}
	_ = client.Close()
	if err := <-done; err != ErrClosed {
		t.Fatalf("the server's side ended with %v", err)
	}
}

func TestSharedMemoryCarriesMessagesOfEveryLength(t *testing.T) {
	client, server := sharedPair(t)
	toClient, toServer := client.NewInbox(), server.NewInbox()
	for id, length := range []int{0, 1, 7, 8, 9, 31, 32, 33, 4000, 65535, 65536, 3} {
		request := protocol.RequestHeader(3, uint64(id), uint32(length))
		send(t, client, request, pattern(length))
		if message := receive(t, server, toServer); !bytes.Equal(message.Payload, pattern(length)) {
			t.Fatal(length)
		}
		send(t, server, protocol.ResponseHeader(&request, uint32(length)), pattern(length))
		if message := receive(t, client, toClient); !bytes.Equal(message.Payload, pattern(length)) {
			t.Fatal(length)
		}
	}
}

func TestSharedMemoryTakesTurns(t *testing.T) {
	client, server := sharedPair(t)
	request := protocol.RequestHeader(3, 1, 1)
	response := protocol.ResponseHeader(&request, 1)
	if err := server.Send(&response, []byte("x"), within(soon)); err != ErrOutOfTurn {
		t.Fatal(err)
	}
	send(t, client, request, []byte("x"))
	if err := client.Send(&request, []byte("y"), within(soon)); err != ErrOutOfTurn || FaultOf(err) != FaultCaller {
		t.Fatal(err)
	}
	receive(t, server, server.NewInbox())
	send(t, server, response, []byte("x"))
	if err := server.Send(&response, []byte("x"), within(soon)); err != ErrOutOfTurn {
		t.Fatal(err)
	}
}

func TestASharedMemoryWaitEndsAtItsDeadlineOnAbortAndWithItsContext(t *testing.T) {
	for name, side := range map[string]int{"client": 0, "server": 1} {
		client, server := sharedPair(t)
		session := []*Session{client, server}[side]
		inbox := session.NewInbox()
		start := time.Now()
		if _, err := session.Receive(inbox, within(60*time.Millisecond)); err != ErrTimedOut {
			t.Fatal(name, err)
		}
		if took := time.Since(start); took < 60*time.Millisecond || took > atMost(time.Second) {
			t.Fatal(name, took)
		}
		var abort Abort
		for pause := range 4 {
			done := make(chan error)
			go func() {
				_, err := session.Receive(inbox, Wait{Abort: &abort})
				done <- err
			}()
			// In the first sleep, and in later ones.
			_, _ = sys.ReceiveFrom(make(chan int), &Wait{Deadline: After(time.Duration(pause) * 20 * time.Millisecond)})
			start := time.Now()
			abort.Trigger()
			if err := <-done; err != ErrAborted {
				t.Fatal(name, err)
			}
			if took := time.Since(start); took > atMost(500*time.Millisecond) {
				t.Fatal(name, took)
			}
			abort.Clear()
		}
		cancel := make(chan struct{})
		done := make(chan error)
		go func() {
			_, err := session.Receive(inbox, Wait{Done: cancel})
			done <- err
		}()
		close(cancel)
		if err := <-done; err != ErrAborted {
			t.Fatal(name, err)
		}
	}
}

func TestAServerThatLeavesEndsTheClientsWaitAtOnce(t *testing.T) {
	const promised = 100 * time.Millisecond
	if took := bestOf(promised, func() time.Duration { return serverLeaves(t) }); took > atMost(promised) {
		t.Fatal(took)
	}
}

// serverLeaves is how long a client's wait goes on after its server has left.
func serverLeaves(t *testing.T) time.Duration {
	_, client, server := sharedAt(t, sharedListener(), sharedProposal())
	done := make(chan time.Time)
	go func() {
		if _, err := client.Receive(client.NewInbox(), within(soon)); err != ErrClosed {
			t.Error(err)
		}
		done <- time.Now()
	}()
	start := time.Now()
	_ = server.Close()
	took := (<-done).Sub(start)
	request := protocol.RequestHeader(3, 1, 0)
	if err := client.Send(&request, nil, within(soon)); err != ErrPeerGone {
		t.Fatal(err)
	}
	return took
}

func TestARequestAboveTheLimitKeepsItsHeaderAndIsAnswered(t *testing.T) {
	_, client, server := sharedAt(t, sharedListener(), sharedProposal())
	header := protocol.RequestHeader(1, 7, 4097)
	head := header.Encode()
	if err := client.region.channel.Send(head[:], pattern(4097)[:4096]); err != nil {
		t.Fatal(err)
	}
	_, err := server.Receive(server.NewInbox(), within(soon))
	var over *OverLimitError
	if !errors.As(err, &over) || over.Header.MessageID != 7 {
		t.Fatal(err)
	}
	send(t, server, protocol.FailureHeader(&over.Header, protocol.StatusLimitExceeded), nil)
	if message := receive(t, client, client.NewInbox()); message.Header.Status != protocol.StatusLimitExceeded {
		t.Fatal(message)
	}
	done := make(chan Drained)
	go func() {
		drained, _ := server.Drain(within(soon))
		done <- drained
	}()
	_ = client.Close()
	if drained := <-done; drained != DrainedPeerClosed {
		t.Fatal(drained)
	}
}

func TestWhatCannotBeMadeCostsNobodyASession(t *testing.T) {
	config := sharedListener()
	config.RegionBytes = 1
	_, client, server := sharedAt(t, config, sharedProposal())
	if client.Terms().Profile != protocol.ProfileBaseline || server.Fallback() == nil {
		t.Fatal(client.Terms(), server.Fallback())
	}
	go func() { _ = increment(server, nil) }()
	if err := newCounter(client).call(within(soon)); err != nil {
		t.Fatal(err)
	}
}

func TestTheBudgetIsGivenBackWithTheSession(t *testing.T) {
	endpoint := newEndpoint(t)
	config := sharedListener()
	config.ResponsePayloadBytes = 1 << 20
	config.RegionBytes = 3 << 20
	listener := listen(t, endpoint, config)
	proposal := sharedProposal()
	connect := func() (client, server *Session) {
		client, err := Connect(endpoint, &proposal, within(soon))
		if err != nil {
			t.Fatal(err)
		}
		if server, err = listener.Accept(within(soon)); err != nil {
			t.Fatal(err)
		}
		return client, server
	}
	for range 3 {
		var sessions []*Session
		for n := range 3 {
			client, server := connect()
			if shared := client.Terms().Profile.IsSharedMemory(); shared != (n < 2) {
				t.Fatalf("session %d: shared memory %v, %v", n, shared, server.Fallback())
			}
			sessions = append(sessions, client, server)
		}
		for _, session := range sessions {
			_, _ = session.Close(), session.Close()
		}
	}
	if used := listener.rules.regions.used.Load(); used != 0 {
		t.Fatalf("%d bytes are taken", used)
	}
}

func TestClosingSharedMemoryUnderItsUsersIsSafe(t *testing.T) {
	for range 60 {
		dir, client, server := sharedAt(t, sharedListener(), sharedProposal())
		var w sync.WaitGroup
		w.Add(4)
		go func() { defer w.Done(); _ = increment(server, nil) }()
		go func() {
			defer w.Done()
			calls := newCounter(client)
			for calls.call(within(soon)) == nil {
			}
		}()
		for _, session := range []*Session{client, server} {
			go func() {
				defer w.Done()
				runtime.Gosched()
				_ = session.Close()
			}()
		}
		w.Wait()
		if names := regionsIn(t, dir); len(names) != 0 {
			t.Fatal(names)
		}
	}
}

func TestASharedMemoryCallAllocatesNothing(t *testing.T) {
	client, server := sharedPair(t)
	clientInbox, serverInbox := client.NewInbox(), server.NewInbox()
	payload := make([]byte, 8)
	var abort Abort
	wait := Wait{Deadline: After(soon), Abort: &abort, Done: make(chan struct{})}
	request := protocol.RequestHeader(1, 1, 8)
	response := protocol.ResponseHeader(&request, 8)
	allocated := testing.AllocsPerRun(500, func() {
		if err := client.Send(&request, payload, wait); err != nil {
			t.Error(err)
		}
		if _, err := server.Receive(serverInbox, wait); err != nil {
			t.Error(err)
		}
		if err := server.Send(&response, payload, wait); err != nil {
			t.Error(err)
		}
		if _, err := client.Receive(clientInbox, wait); err != nil {
			t.Error(err)
		}
	})
	if allocated != 0 {
		t.Fatalf("%v allocations", allocated)
	}
	allocated = testing.AllocsPerRun(10, func() {
		wait := Wait{Deadline: After(time.Millisecond), Abort: &abort}
		if _, err := client.Receive(clientInbox, wait); err != ErrTimedOut {
			t.Error(err)
		}
	})
	if allocated != 0 {
		t.Fatalf("%v allocations for a sleep", allocated)
	}
}
