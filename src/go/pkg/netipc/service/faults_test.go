package service_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// noticed is how soon a dead peer is noticed, at most.
const noticed = 100 * time.Millisecond

func TestARequestAboveTheLimitIsToldSoAndTheSessionEnds(t *testing.T) {
	endpoint, server := incrementServer(t, service.ServerConfig{}, addOne)
	raw := connectRaw(t, endpoint)
	header := protocol.RequestHeader(increment.Method, 5, 65_537)
	raw.send(t, header, make([]byte, 65_537))
	message := raw.read(t)
	answer, err := protocol.DecodeHeader(message)
	if err != nil || answer != protocol.FailureHeader(&header, protocol.StatusLimitExceeded) {
		t.Fatalf("%+v, %v", answer, err)
	}
	if rest := raw.read(t); rest != nil {
		t.Fatalf("%x after the last answer", rest)
	}
	raw.close()
	eventually(t, "the session ends", func() bool { return server.Status().Ended.Answered == 1 })
}

func TestNonsenseCostsItsOwnSessionAlone(t *testing.T) {
	endpoint, server := incrementServer(t, service.ServerConfig{}, addOne)
	good := incrementClient(t, endpoint, service.ClientConfig{})
	asks(t, good, 1)
	request := protocol.RequestHeader(increment.Method, 1, 8)
	response := protocol.ResponseHeader(&request, 8)
	bye := protocol.ControlHeader(protocol.OpcodeBye, protocol.StatusOK, 0)
	lying := request
	lying.PayloadLen = 9
	flags := request
	flags.Flags = 2
	for name, packet := range map[string][]byte{
		"garbage":          []byte(strings.Repeat("garbage!", 5)),
		"a response":       raw(response, 8),
		"a control":        raw(bye, 0),
		"a lying length":   raw(lying, 8),
		"unknown flags":    raw(flags, 8),
		"a short header":   raw(request, 0)[:31],
		"a chunk of none":  chunkOfNone(),
		"an empty batch":   raw(request.BatchOf(0), 8),
		"too many items":   raw(request.BatchOf(1025), 8),
		"a status in it":   raw(statusIn(request), 8),
		"another's answer": raw(protocol.FailureHeader(&request, protocol.StatusBusy), 0),
	} {
		t.Run(name, func(t *testing.T) {
			before := server.Status()
			bad := connectRaw(t, endpoint)
			bad.write(t, packet)
			for answer := bad.read(t); answer != nil; answer = bad.read(t) {
				header, err := protocol.DecodeHeader(answer)
				if err != nil || header.Status == protocol.StatusOK {
					t.Fatalf("answered %+v, %v", header, err)
				}
			}
			bad.close()
			eventually(t, "the session ends", func() bool {
				now := server.Status().Ended
				return now.Violated+now.Answered == before.Ended.Violated+before.Ended.Answered+1
			})
			asks(t, good, 2)
		})
	}
	// A request that does not decode, or a batch without a directory, is told so.
	short := raw(protocol.RequestHeader(increment.Method, 1, 7), 7)
	batch := raw(protocol.RequestHeader(increment.Method, 1, 8).BatchOf(4), 8)
	for _, packet := range [][]byte{short, batch} {
		bad := connectRaw(t, endpoint)
		bad.write(t, packet)
		header, err := protocol.DecodeHeader(bad.read(t))
		if err != nil || header.Status != protocol.StatusBadEnvelope {
			t.Fatalf("%+v, %v", header, err)
		}
		bad.close()
	}
	asks(t, good, 3)
}

func statusIn(header protocol.Header) protocol.Header {
	header.Status = protocol.StatusInternalError
	return header
}

func raw(header protocol.Header, payloadLen int) []byte {
	head := header.Encode()
	return append(head[:], make([]byte, payloadLen)...)
}

func chunkOfNone() []byte {
	chunk := protocol.ChunkHeader{MessageID: 1, TotalMessageLen: 64, ChunkIndex: 1, ChunkCount: 2, ChunkPayloadLen: 32}
	head := chunk.Encode()
	return append(head[:], make([]byte, 32)...)
}

func TestAClientThatDoesNotReadHurtsNobodyElse(t *testing.T) {
	const answerLen = 60_000
	endpoint := endpointOf(t, stringreverse.Service)
	server, err := stringreverse.NewServer(endpoint, service.ServerConfig{WorkerCount: 2}, reverse)
	start(t, server, err)
	raw := connectRaw(t, endpoint)
	request := stringreverse.Request{Bytes: strings.Repeat("x", answerLen)}
	payload := make([]byte, request.EncodedLen())
	if _, err := request.Encode(payload); err != nil {
		t.Fatal(err)
	}
	// More requests than the socket and the server hold answers: it stops reading.
	id := uint64(0)
	takesMore := func() bool {
		return raw.tryWrite(t, protocol.RequestHeader(stringreverse.Method, id+1, uint32(len(payload))), payload)
	}
	// A busy machine may leave the server no time to read, for a while.
	eventually(t, "it has taken what it may", func() bool {
		for takesMore() {
			id++
		}
		return id >= service.DefaultMaxInFlight
	})
	good := ready(t, stringreverse.NewClient(endpoint, service.ClientConfig{}))
	for range 50 {
		within(t, time.Second+slack, func() {
			answer, err := good.Call(background, stringreverse.Request{Bytes: "ab"})
			if err != nil || !answer.Bytes().Equal("ba") {
				t.Fatal(err)
			}
		})
	}
	// An answer may be read a moment before it is counted.
	eventually(t, "it holds no more answers than it may", func() bool {
		return server.Status().InFlight <= service.DefaultMaxInFlight
	})
	// Once it reads, all come.
	for range id {
		header, err := protocol.DecodeHeader(raw.read(t))
		if err != nil || header.Status != protocol.StatusOK {
			t.Fatalf("%+v, %v: %+v", header, err, server.Status())
		}
	}
}

func TestStopIsNotHeldUpByClientsThatDoNotReadOrWriteOn(t *testing.T) {
	endpoint := endpointOf(t, stringreverse.Service)
	server, err := stringreverse.NewServer(endpoint, service.ServerConfig{}, reverse)
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	half := connectRaw(t, endpoint)
	packet := int(half.packetSize) - protocol.HeaderLen
	if packet >= 65_536 {
		// Requests of the agreed length fit one packet here: a shorter one leaves the rest to come.
		half = connectRawWith(t, endpoint, 4096)
		packet = 4096 - protocol.HeaderLen
	}
	header := protocol.RequestHeader(stringreverse.Method, 1, 60_000)
	half.write(t, append(raw(header, 0), make([]byte, packet)...))
	silent := connectRaw(t, endpoint)
	defer silent.close()
	deaf := connectRaw(t, endpoint)
	request := stringreverse.Request{Bytes: strings.Repeat("x", 60_000)}
	payload := make([]byte, request.EncodedLen())
	if _, err := request.Encode(payload); err != nil {
		t.Fatal(err)
	}
	for id := uint64(1); deaf.tryWrite(t, protocol.RequestHeader(stringreverse.Method, id, uint32(len(payload))), payload); id++ {
	}
	within(t, service.StopTimeout+noticed+slack, func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	if status := server.Status(); status.Sessions != 0 || status.InFlight != 0 {
		t.Fatalf("%+v", status)
	}
}

func TestAHandlerThatEndsItsGoroutineCostsNoWorker(t *testing.T) {
	const ends, slowly = uint64(1) << 40, 20 * time.Microsecond
	for _, workers := range []int{1, 3} {
		endpoint, server := incrementServer(t, service.ServerConfig{WorkerCount: workers},
			func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
				if request.Value() >= ends {
					runtime.Goexit()
				}
				spin(slowly)
				return addOne(ctx, request, response)
			})
		client := incrementClient(t, endpoint, service.ClientConfig{CallTimeout: 2 * time.Second})
		fails := func(err error) {
			t.Helper()
			wantError(t, err, service.StatusError{Status: protocol.StatusInternalError})
			if client.Refresh(background); !client.Ready() {
				t.Fatal(client.Status().Reason)
			}
		}
		// More often than there are workers: the first item of a batch, and then ever later ones, and then
		// all of those that are answered by several workers, when there are.
		for range 2 * workers {
			_, err := client.Call(background, increment.Request{Value: ends})
			fails(err)
		}
		for _, from := range []int{0, 3, 30, 63} {
			requests := make([]increment.Request, 64)
			for i := range requests {
				if requests[i].Value = uint64(i); i >= from {
					requests[i].Value |= ends
				}
			}
			_, err := client.Batch(background, requests)
			fails(err)
		}
		asks(t, client, 9)
		status := server.Status()
		if least := uint64(2*workers + 4); status.Calls.InternalError != least || status.Calls.Panics < least ||
			!strings.Contains(status.LastError.Error(), "ended its goroutine") {
			t.Fatalf("%+v", status)
		}
		if err := server.Drain(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAQueuedRequestWhoseHandlerEndsItsGoroutineCostsNoWorker(t *testing.T) {
	const waits, ends = 1, 2
	entered, goOn := make(chan struct{}), make(chan struct{})
	endpoint, server := incrementServer(t, service.ServerConfig{WorkerCount: 1},
		func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
			switch request.Value() {
			case waits:
				close(entered)
				<-goOn
			case ends:
				runtime.Goexit()
			}
			return addOne(ctx, request, response)
		})
	errs := make(chan error, 2)
	call := func(value uint64) {
		client := incrementClient(t, endpoint, service.ClientConfig{CallTimeout: 2 * time.Second})
		go func() {
			_, err := client.Call(background, increment.Request{Value: value})
			errs <- err
		}()
	}
	call(waits)
	<-entered
	call(ends)
	eventually(t, "the second waits", func() bool { return server.Status().InFlight == 2 })
	close(goOn)
	if err := errors.Join(<-errs, <-errs); !errors.Is(err, service.StatusError{Status: protocol.StatusInternalError}) {
		t.Fatal(err)
	}
	asks(t, incrementClient(t, endpoint, service.ClientConfig{CallTimeout: 2 * time.Second}), 9)
}

func TestStopSaysThatAHandlerStillRuns(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var told atomic.Bool
	endpoint := endpointOf(t, increment.Service)
	server, err := increment.NewServer(endpoint, service.ServerConfig{},
		func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
			close(entered)
			<-ctx.Done()
			told.Store(true)
			<-release
			return addOne(ctx, request, response)
		})
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	client := incrementClient(t, endpoint, service.ClientConfig{})
	called := make(chan error, 1)
	go func() {
		_, err := client.Call(background, increment.Request{})
		called <- err
	}()
	receives(t, entered)
	within(t, 50*time.Millisecond+noticed+slack, func() {
		wantError(t, server.StopWithin(50*time.Millisecond), service.ErrHandlersRunning)
	})
	if !told.Load() {
		t.Fatal("the handler was not told")
	}
	close(release)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	wantError(t, receives(t, called), service.ErrReconnect)
}

func TestDrainAnswersWhatWasReadAndTakesNothingMore(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	endpoint, server := incrementServer(t, service.ServerConfig{},
		func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
			close(entered)
			<-release
			if ctx.Err() != nil {
				return errors.New("told to stop while draining")
			}
			return addOne(ctx, request, response)
		})
	pipeline := newPipeline(t, endpoint, 1)
	pipeline.submit(t, 1, 41)
	receives(t, entered)
	drained := make(chan error, 1)
	go func() { drained <- server.Drain() }()
	// The name of a pipe stays while it has sessions, but nobody is let in.
	eventually(t, "the endpoint is given back", func() bool {
		found, err := endpoint.Inspect()
		return err == nil && (found.State == transport.EndpointAbsent || found.Busy)
	})
	close(release)
	if _, value := pipeline.receive(t); value != 42 {
		t.Fatal(value)
	}
	if err := receives(t, drained); err != nil {
		t.Fatal(err)
	}
	if _, err := pipeline.message(t); !errors.Is(err, transport.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAClientThatLeavesWhileItsHandlerRunsIsNoticed(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	endpoint, server := incrementServer(t, service.ServerConfig{WorkerCount: 1},
		func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
			if request.Value() == 1 {
				close(entered)
				<-release
			}
			return addOne(ctx, request, response)
		})
	pipeline := newPipeline(t, endpoint, 1)
	pipeline.submit(t, 1, 1)
	receives(t, entered)
	// With every worker taken, a client's requests wait, and its leaving is noticed all the same.
	waiting := newPipeline(t, endpoint, 1)
	waiting.submit(t, 1, 2)
	_ = waiting.session.Close()
	_ = pipeline.session.Close()
	eventually(t, "both are noticed", func() bool {
		status := server.Status()
		return status.InFlight == 2 && status.Sessions == 2
	})
	close(release)
	eventually(t, "both sessions end", func() bool {
		status := server.Status()
		return status.Sessions == 0 && status.InFlight == 0 && status.Ended.Left == 2
	})
}

func TestIdleSessionsCostNoThreadAndLittleMemory(t *testing.T) {
	const clients = 1000
	endpoint, server := incrementServer(t, service.ServerConfig{MaxSessions: clients}, addOne)
	// Each session has a socket and a set to wait with, at either end.
	raiseDescriptors(t, 5*clients)
	sessions := make([]*transport.Session, clients)
	for i := range sessions {
		session, err := transport.Connect(endpoint, &transport.Proposal{
			Request: protocol.Limits{PayloadBytes: 65_536, BatchItems: 1},
		}, transport.Until(transport.After(patience)))
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		sessions[i] = session
		header := protocol.RequestHeader(increment.Method, 1, 8)
		if err := session.Send(&header, make([]byte, 8), transport.Wait{}); err != nil {
			t.Fatal(err)
		}
		if _, err := session.Receive(session.NewInbox(), transport.Until(transport.After(patience))); err != nil {
			t.Fatal(err)
		}
	}
	if status := server.Status(); status.Sessions != clients {
		t.Fatalf("%+v", status)
	}
	threads := threadCount(t)
	if most := runtime.GOMAXPROCS(0) + 16; threads > most {
		t.Errorf("%d threads, and at most %d", threads, most)
	}
	// Memory for messages is given back after a while: 64 KiB a session before.
	eventually(t, "sessions give their memory back", func() bool {
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		return memory.HeapAlloc < clients*16<<10
	})
	// And then nothing is done for them, for as long as one waits for an answer to nothing. One quiet look is
	// enough: what is measured is this whole process.
	const looks = 5
	inbox := sessions[0].NewInbox()
	for look := 1; ; look++ {
		before := cpuTime(t)
		_, err := sessions[0].Receive(inbox, transport.Until(transport.After(idleLook)))
		wantError(t, err, transport.ErrTimedOut)
		used := cpuTime(t) - before
		if used <= idleLook/20 {
			break
		}
		if look == looks {
			t.Fatalf("idle for %v, and used %v of CPU", idleLook, used)
		}
	}
}

// idleLook is how long idleness is watched.
const idleLook = 500 * time.Millisecond

// emulatorEnv names what runs test binaries of another machine, where the system does not know by itself.
const emulatorEnv = "NETIPC_TEST_EMULATOR"

// childEnv makes this test binary a server or a client that can be killed.
const childEnv = "NETIPC_TEST_CHILD"

func TestMain(m *testing.M) {
	if child := os.Getenv(childEnv); child != "" {
		runChild(child)
		return
	}
	os.Exit(m.Run())
}

// runChild is "server RUNDIR" or "client RUNDIR": it says "ready" and then does nothing more of itself.
func runChild(child string) {
	role, runDir, _ := strings.Cut(child, " ")
	endpoint, err := service.NewEndpoint(runDir, increment.Service)
	if err == nil && role == "server" {
		var server *service.Server
		server, err = increment.NewServer(endpoint, service.ServerConfig{},
			func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
				if request.Value() == 13 {
					select {}
				}
				return addOne(ctx, request, response)
			})
		if err == nil {
			err = server.Start()
		}
	} else if err == nil {
		client := increment.NewClient(endpoint, service.ClientConfig{})
		client.Refresh(background)
		_, err = client.Call(background, increment.Request{})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	// Until it is killed, or its parent is gone.
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

// child starts this test binary once more.
func child(t testing.TB, role, runDir string) *exec.Cmd {
	t.Helper()
	command := exec.Command(os.Args[0])
	if emulator := os.Getenv(emulatorEnv); emulator != "" {
		command = exec.Command(emulator, os.Args[0])
	}
	command.Env = append(os.Environ(), childEnv+"="+role+" "+runDir)
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("the child says %q: %v", line, err)
	}
	return command
}

func kill(t testing.TB, command *exec.Cmd) {
	t.Helper()
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
}

func TestAKilledServerIsNoticedByACallThatWaits(t *testing.T) {
	runDir := newRunDir(t)
	server := child(t, "server", runDir)
	endpoint := endpointIn(t, runDir, increment.Service)
	client := incrementClient(t, endpoint, service.ClientConfig{})
	asks(t, client, 1)
	failed := make(chan error, 1)
	go func() {
		_, err := client.Call(background, increment.Request{Value: 13})
		failed <- err
	}()
	observer := newPipeline(t, endpoint, 1)
	_ = observer.session.Close()
	within(t, noticed+slack, func() {
		kill(t, server)
		// Sent again to nobody: there is no successor.
		wantError(t, receives(t, failed), service.ErrReconnect)
	})
	// A successor takes the name that the killed one left, and the client goes on.
	successor, err := increment.NewServer(endpoint, service.ServerConfig{}, addOne)
	start(t, successor, err)
	if client.Refresh(background); !client.Ready() {
		t.Fatal(client.Status().Reason)
	}
	asks(t, client, 2)
}

func TestKilledClientsLeaveNothing(t *testing.T) {
	runDir := newRunDir(t)
	endpoint := endpointIn(t, runDir, increment.Service)
	server, err := increment.NewServer(endpoint, service.ServerConfig{}, addOne)
	start(t, server, err)
	for range 3 {
		client := child(t, "client", runDir)
		if server.Status().Sessions != 1 {
			t.Fatalf("%+v", server.Status())
		}
		kill(t, client)
		within(t, noticed+slack, func() {
			eventually(t, "it is noticed", func() bool { return server.Status().Sessions == 0 })
		})
	}
	if ended := server.Status().Ended; ended.Left != 3 {
		t.Fatalf("%+v", ended)
	}
}
