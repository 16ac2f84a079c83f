//go:build linux

package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

const both = protocol.ProfilesBaseline | protocol.ProfilesShmHybrid

// Where a region's header has what, for tests that play a hostile peer (spec section 7).
const (
	atRequestOffset = 16
	atReqSeq        = 32
	atRespSeq       = 40
	atReqLen        = 48
	atRespLen       = 52
)

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

// regionsIn are the regions that lie in the directory of a session's endpoint.
func regionsIn(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.ipcshm"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// poke writes into a session's region, as a hostile peer would.
func poke(t *testing.T, dir string, at int64, value any) {
	t.Helper()
	names := regionsIn(t, dir)
	if len(names) != 1 {
		t.Fatal(names)
	}
	file, err := os.OpenFile(names[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var raw bytes.Buffer
	if err := binary.Write(&raw, binary.NativeEndian, value); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(raw.Bytes(), at); err != nil {
		t.Fatal(err)
	}
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
		if took := time.Since(start); took < 60*time.Millisecond || took > time.Second {
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
			if took := time.Since(start); took > 500*time.Millisecond {
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

func TestSharedMemoryIsGoneWithItsSession(t *testing.T) {
	dir, client, server := sharedAt(t, sharedListener(), sharedProposal())
	names := regionsIn(t, dir)
	if len(names) != 1 {
		t.Fatal(names)
	}
	if info, err := os.Stat(names[0]); err != nil || info.Mode() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	done := make(chan error)
	go func() {
		_, err := server.Receive(server.NewInbox(), Wait{})
		done <- err
	}()
	_ = client.Close()
	if err := <-done; err != ErrClosed {
		t.Fatal(err)
	}
	_ = server.Close()
	if names := regionsIn(t, dir); len(names) != 0 {
		t.Fatal(names)
	}
}

func TestAClientThatLeavesAnIdleSessionSaysBye(t *testing.T) {
	_, client, server := sharedAt(t, sharedListener(), sharedProposal())
	_ = client.Close()
	buffer := byteRoom(make([]byte, 100))
	n, err := server.region.channel.TryReceive(buffer)
	if err != nil || !isBye(buffer[:n]) {
		t.Fatalf("%x, %v", []byte(buffer[:n]), err)
	}
}

func TestAServerThatLeavesEndsTheClientsWaitAtOnce(t *testing.T) {
	const promised = 100 * time.Millisecond
	if took := bestOf(promised, func() time.Duration { return serverLeaves(t) }); took > promised {
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

// byteRoom is room of a fixed length.
type byteRoom []byte

func (b byteRoom) Room(int) []byte { return b }

func TestAHostileClientEndsItsOwnSessionAlone(t *testing.T) {
	for name, hostile := range map[string]func(dir string, client *Session){
		"a number far ahead": func(dir string, _ *Session) { poke(t, dir, atReqSeq, uint64(1)<<62) },
		"a number behind":    func(dir string, _ *Session) { poke(t, dir, atReqSeq, ^uint64(0)) },
		"two at once":        func(dir string, _ *Session) { poke(t, dir, atReqSeq, uint64(2)) },
		"a number ahead of a message that is there": func(dir string, client *Session) {
			request := protocol.RequestHeader(1, 1, 1)
			_ = client.Send(&request, []byte("x"), Wait{})
			poke(t, dir, atReqSeq, uint64(2))
		},
		"a message of no bytes": func(dir string, _ *Session) { poke(t, dir, atReqSeq, uint64(1)) },
		"a message too long for its area": func(dir string, _ *Session) {
			poke(t, dir, atReqLen, uint32(1<<31))
			poke(t, dir, atReqSeq, uint64(1))
		},
		"a length without a message": func(dir string, _ *Session) {
			// One that fits the limits, were it true: the area is 4160 bytes.
			poke(t, dir, atReqLen, uint32(4161))
			poke(t, dir, atReqSeq, uint64(1))
		},
		"noise": func(_ string, client *Session) { _ = client.region.channel.Send(pattern(50), nil) },
		"a message shorter than its header says": func(_ string, client *Session) {
			header := protocol.RequestHeader(1, 1, 100)
			head := header.Encode()
			_ = client.region.channel.Send(head[:], pattern(99))
		},
		"a message longer than its header says": func(_ string, client *Session) {
			header := protocol.RequestHeader(1, 1, 100)
			head := header.Encode()
			_ = client.region.channel.Send(head[:], pattern(101))
		},
		"another control message": func(_ string, client *Session) {
			header := protocol.ControlHeader(protocol.OpcodeHello, 0, 0)
			head := header.Encode()
			_ = client.region.channel.Send(head[:], nil)
		},
		"a shorter file": func(dir string, _ *Session) {
			if err := os.Truncate(regionsIn(t, dir)[0], 0); err != nil {
				t.Error(err)
			}
		},
	} {
		dir, client, server := sharedAt(t, sharedListener(), sharedProposal())
		hostile(dir, client)
		_, err := server.Receive(server.NewInbox(), within(soon))
		if FaultOf(err) != FaultPeerBroke || strings.Contains(name, "length") && !is[*BreachError](err) {
			t.Errorf("%s: %v", name, err)
		}
		request := protocol.RequestHeader(3, 1, 0)
		response := protocol.ResponseHeader(&request, 0)
		if err := server.Send(&response, nil, within(soon)); err == nil {
			t.Errorf("%s: the session goes on", name)
		}
		client.region.over.Store(true)
	}
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

func TestAHostileServerEndsTheClientsSession(t *testing.T) {
	for name, hostile := range map[string]func(dir string, server *Session){
		"a number far ahead": func(dir string, _ *Session) { poke(t, dir, atRespSeq, uint64(9)) },
		"a message too long for its area": func(dir string, _ *Session) {
			poke(t, dir, atRespLen, ^uint32(0))
			poke(t, dir, atRespSeq, uint64(1))
		},
		"a farewell": func(_ string, server *Session) {
			header := protocol.ControlHeader(protocol.OpcodeBye, 0, 0)
			head := header.Encode()
			_ = server.region.channel.Send(head[:], nil)
		},
		"a shorter file": func(dir string, _ *Session) {
			if err := os.Truncate(regionsIn(t, dir)[0], 0); err != nil {
				t.Error(err)
			}
		},
	} {
		dir, client, server := sharedAt(t, sharedListener(), sharedProposal())
		hostile(dir, server)
		_, err := client.Receive(client.NewInbox(), within(soon))
		if FaultOf(err) != FaultPeerBroke {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSendingIntoAShorterFileIsAnError(t *testing.T) {
	dir, client, _ := sharedAt(t, sharedListener(), sharedProposal())
	if err := os.Truncate(regionsIn(t, dir)[0], 0); err != nil {
		t.Fatal(err)
	}
	request := protocol.RequestHeader(3, 1, 1)
	if err := client.Send(&request, []byte("x"), within(soon)); FaultOf(err) != FaultPeerBroke {
		t.Fatal(err)
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

func TestARegionOfALiveServerIsSteppedOver(t *testing.T) {
	endpoint := newEndpoint(t)
	listener := listen(t, endpoint, sharedListener())
	path, err := protocol.RegionPath(endpoint.runDir, endpoint.service, 1)
	if err != nil {
		t.Fatal(err)
	}
	live, err := sys.CreateRegion(sys.RegionName{Path: path}, sys.RegionSizes{RequestBytes: 100, ResponseBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	proposal := sharedProposal()
	client, err := Connect(endpoint, &proposal, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if client.ID() != 2 || !client.Terms().Profile.IsSharedMemory() {
		t.Fatal(client.ID(), client.Terms())
	}
	server, err := listener.Accept(within(soon))
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
}

func TestStaleRegionsAreRemovedAndNothingElse(t *testing.T) {
	endpoint := newEndpoint(t)
	// Nobody's: it has no header.
	stale := filepath.Join(endpoint.RunDir(), "svc-00000000000000aa.ipcshm")
	kept := []string{"svc-00000000000000aa.ipcshmx", "svc-aa.ipcshm", "other-00000000000000aa.ipcshm", "precious"}
	for _, name := range append(kept, filepath.Base(stale)) {
		if err := os.WriteFile(filepath.Join(endpoint.RunDir(), name), make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(endpoint.RunDir(), "svc-00000000000000bb.ipcshm")
	if err := os.Symlink("precious", link); err != nil {
		t.Fatal(err)
	}
	listen(t, endpoint, sharedListener())
	if _, err := os.Lstat(stale); !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, name := range append(kept, filepath.Base(link)) {
		if _, err := os.Lstat(filepath.Join(endpoint.RunDir(), name)); err != nil {
			t.Error(err)
		}
	}
}

func TestAClientBelievesNothingOfItsRegion(t *testing.T) {
	for name, tamper := range map[string]func(path string) error{
		"a link": func(path string) error {
			if err := os.Rename(path, path+".moved"); err != nil {
				return err
			}
			return os.Symlink(path+".moved", path)
		},
		"a directory":   func(path string) error { _ = os.Remove(path); return os.Mkdir(path, 0o700) },
		"nothing":       os.Remove,
		"a short file":  func(path string) error { return os.Truncate(path, 10) },
		"a shorter one": func(path string) error { return os.Truncate(path, 4096) },
		"a magic":       tamperAt(0, uint32(1)),
		"a version":     tamperAt(4, uint16(2)),
		"a header":      tamperAt(6, uint16(128)),
		"an offset":     tamperAt(atRequestOffset, uint32(65)),
		"an early area": tamperAt(atRequestOffset, uint32(0)),
		"a late area":   tamperAt(atRequestOffset, ^uint32(63)),
		"no capacity":   tamperAt(20, uint32(0)),
		"another user":  anotherUsers,
		"a small area":  tamperAt(20, uint32(64)),
		"an odd area":   tamperAt(20, uint32(8191)),
		"an overlap":    tamperAt(24, uint32(64)),
		"a huge area":   tamperAt(28, ^uint32(63)),
	} {
		endpoint := newEndpoint(t)
		scripted(t, endpoint, func(channel *sys.PacketChannel) {
			path, _ := protocol.RegionPath(endpoint.runDir, endpoint.service, 1)
			made, err := sys.CreateRegion(sys.RegionName{Path: path}, sys.RegionSizes{RequestBytes: 4128, ResponseBytes: 1056})
			if err != nil {
				t.Error(err)
				return
			}
			defer made.Close()
			if err := tamper(path); err != nil {
				t.Error(name, err)
			}
			_, _ = recvRaw(channel)
			ack := protocol.HelloAck{
				ServerSupported: both, Intersection: both, Selected: protocol.ProfilesShmHybrid,
				Request:  protocol.Limits{PayloadBytes: 4096, BatchItems: 10},
				Response: protocol.Limits{PayloadBytes: 1024, BatchItems: 10}, PacketSize: 4096, SessionID: 1,
			}
			message := ack.Message()
			_ = channel.Send(message[:], nil, &Wait{})
			_, _ = recvRaw(channel)
			_ = os.RemoveAll(path)
		})
		proposal := sharedProposal()
		_, err := Connect(endpoint, &proposal, within(soon))
		var shared *SharedMemoryError
		if !errors.As(err, &shared) || !errors.Is(err, ErrShared) || shared.Vanished {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// anotherUsers gives the region to another user; who may not is told the same by a mode that forbids all.
func anotherUsers(path string) error {
	const anotherUID = 12345
	if os.Geteuid() != 0 {
		return os.Chmod(path, 0)
	}
	return os.Chown(path, anotherUID, -1)
}

func tamperAt(at int64, value any) func(string) error {
	return func(path string) error {
		var raw bytes.Buffer
		if err := binary.Write(&raw, binary.NativeEndian, value); err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.WriteAt(raw.Bytes(), at)
		return err
	}
}

func TestARegionThatVanishedWithItsServerIsToldApart(t *testing.T) {
	endpoint := newEndpoint(t)
	scripted(t, endpoint, func(channel *sys.PacketChannel) {
		_, _ = recvRaw(channel)
		ack := protocol.HelloAck{
			ServerSupported: both, Intersection: both, Selected: protocol.ProfilesShmHybrid,
			Request:  protocol.Limits{PayloadBytes: 4096, BatchItems: 10},
			Response: protocol.Limits{PayloadBytes: 1024, BatchItems: 10}, PacketSize: 4096, SessionID: 1,
		}
		message := ack.Message()
		_ = channel.Send(message[:], nil, &Wait{})
	})
	proposal := sharedProposal()
	_, err := Connect(endpoint, &proposal, within(soon))
	var shared *SharedMemoryError
	if !errors.As(err, &shared) || !shared.Vanished {
		t.Fatal(err)
	}
	if met, _ := MetBy(err); met.What != protocol.MetRegionVanished {
		t.Fatalf("%+v", met)
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
