package sys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

// connected is a client.
func connected(t testing.TB, name string) *PacketChannel {
	t.Helper()
	client, err := Connect(name, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// acceptedBy is the server's end of the client who came first.
func acceptedBy(t testing.TB, listener *Listener) *PacketChannel {
	t.Helper()
	accepted, err := listener.Accept(within(soon))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accepted.Channel.Close() })
	return accepted.Channel
}

// Whoever connects is taken in, whether or not anybody accepts, and what he says meanwhile is not lost.
func TestClientsAreTakenInBeforeTheyAreAccepted(t *testing.T) {
	const clients = 5 * listeningInstances
	name := newName()
	listener := bound(t, name)
	for n := range clients {
		if err := connected(t, name).Send([]byte{byte(n)}, nil, within(soon)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[byte]bool{}
	for range clients {
		var packet [2]byte
		if n, err := acceptedBy(t, listener).Recv(packet[:], within(soon)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		seen[packet[0]] = true
	}
	if len(seen) != clients {
		t.Fatalf("%d of %d clients were accepted", len(seen), clients)
	}
}

func TestAClientThatLeftBeforeItWasAcceptedIsHeard(t *testing.T) {
	name := newName()
	listener := bound(t, name)
	client := connected(t, name)
	if err := client.Send([]byte("bye"), nil, within(soon)); err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	server := acceptedBy(t, listener)
	packet := make([]byte, 10)
	if n, err := server.Recv(packet, within(soon)); err != nil || string(packet[:n]) != "bye" {
		t.Fatal(n, err)
	}
	if _, err := server.Recv(packet, within(soon)); err != ErrClosed {
		t.Fatal(err)
	}
	if err := server.Send(packet, nil, within(soon)); err != ErrPeerGone {
		t.Fatal(err)
	}
}

// The instance that takes the place of one that a client has is made by another goroutine, and is not left behind either.
func TestACloseLeavesNothingToConnectTo(t *testing.T) {
	name := newName()
	for round := range 300 {
		listener := bound(t, name)
		client := connected(t, name)
		_ = listener.Close()
		_ = client.Close()
		if late, err := Connect(name, within(0)); err != ErrNotFound {
			if err == nil {
				_ = late.Close()
			}
			t.Fatalf("round %d: after its listener was closed, the name is there: %v", round, err)
		}
	}
}

func TestAFullBacklogTimesOutAtTheDeadlineAndEndsOnAbort(t *testing.T) {
	name := newName()
	listener, err := Bind(name, &BindOptions{Backlog: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	connected(t, name)
	connected(t, name)
	if _, err := Connect(name, within(60*time.Millisecond)); err != ErrBacklogFull {
		t.Fatal(err)
	}
	if found, err := InspectEndpoint(name); err != nil || found.State != EndpointLive || !found.Busy {
		t.Fatalf("%+v, %v", found, err)
	}
	var abort Abort
	done := make(chan error)
	go func() {
		_, err := Connect(name, &Wait{Abort: &abort})
		done <- err
	}()
	abort.Trigger()
	if err := <-done; err != ErrAborted {
		t.Fatal(err)
	}
	// With one accepted there is room for another.
	acceptedBy(t, listener)
	connected(t, name)
}

func TestClosingAListenerRefusesWhoWasNotAcceptedAndKeepsWhoWas(t *testing.T) {
	name := newName()
	listener := bound(t, name)
	client := connected(t, name)
	server := acceptedBy(t, listener)
	late := connected(t, name)
	waiting := make(chan error)
	go func() {
		_, err := listener.Accept(within(soon))
		waiting <- err
	}()
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
	later := connected(t, name)
	go func() {
		_, _ = listener.Accept(within(soon))
		_, err := listener.Accept(within(soon))
		waiting <- err
	}()
	_ = listener.Close()
	_ = listener.Close()
	if err := <-waiting; err != ErrClosed {
		t.Fatal(err)
	}
	_, _ = late, later
	if err := server.Send([]byte("still"), nil, within(soon)); err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, 10)
	if n, err := client.Recv(packet, within(soon)); n != 5 || err != nil {
		t.Fatal(n, err)
	}
}

func TestEachEndKnowsTheOtherAndNothingIsInherited(t *testing.T) {
	a, b := channels(t)
	for side, channel := range map[string]*PacketChannel{"client": a, "server": b} {
		peer, err := channel.Peer()
		if err != nil || peer.PID != uint32(os.Getpid()) || peer.UID != OwnUID() || peer.GID != unknownUID {
			t.Errorf("the %s's peer: %+v, %v", side, peer, err)
		}
		if inherited, err := isInherited(channel.file); inherited || err != nil {
			t.Errorf("the %s's handle is inherited (%v)", side, err)
		}
	}
	if OwnUID() == unknownUID {
		t.Error("this process has no user")
	}
}

func TestNamesThatNoEndpointHasAreRefused(t *testing.T) {
	for name, want := range map[string]error{
		"": ErrPathEmpty, pipes: ErrPathEmpty, `C:\run\svc.sock`: ErrPathEmpty, pipes + "a\x00b": ErrPathNul,
		pipes + strings.Repeat("x", maxPipeNameBytes): ErrPathTooLong,
	} {
		if _, err := Connect(name, within(0)); err != want {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := Bind(name, &BindOptions{}); err != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Connect(newName(), within(soon)); err != ErrNotFound {
		t.Error(err)
	}
	if found, err := InspectEndpoint(newName()); err != nil || found.State != EndpointAbsent {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestALivePipeIsInspectedAndItsServerKnown(t *testing.T) {
	name := newName()
	bound(t, name)
	found, err := InspectEndpoint(name)
	if err != nil || found.State != EndpointLive || found.Server.PID != uint32(os.Getpid()) {
		t.Fatalf("%+v, %v", found, err)
	}
}

// One that the system does not let listen is an error, and not replaced again and again; a file stands for that.
func TestAnInstanceThatCannotListenIsAnError(t *testing.T) {
	name := newName()
	listener := bound(t, name)
	path, err := windows.UTF16PtrFromString(filepath.Join(os.TempDir(), filepath.Base(name)))
	if err != nil {
		t.Fatal(err)
	}
	file, err := windows.CreateFile(path, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.CREATE_NEW,
		windows.FILE_FLAG_OVERLAPPED|windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
	if err != nil {
		t.Fatal(err)
	}
	var system *SysError
	if err := listener.listenWith(file); !errors.As(err, &system) {
		t.Fatal(err)
	}
	listener.mu.Lock()
	listening := len(listener.listening)
	listener.mu.Unlock()
	if listening != listeningInstances {
		t.Fatalf("%d instances listen", listening)
	}
	connected(t, name)
	acceptedBy(t, listener)
}

// What a peer does not read is kept, one packet beyond what the pipe holds, and no more.
func TestThereIsRoomUntilThePeerDoesNotRead(t *testing.T) {
	a, b := channels(t)
	for name, ends := range map[string][2]*PacketChannel{"client": {a, b}, "server": {b, a}} {
		sender, reader := ends[0], ends[1]
		packet := make([]byte, 40_000)
		sent := 0
		for {
			packet[0] = byte(sent)
			ok, err := sender.TrySend(packet, nil)
			if err != nil {
				t.Fatal(name, err)
			}
			if !ok {
				break
			}
			sent++
		}
		if sent == 0 {
			t.Fatal(name, "nothing has room")
		}
		if err := sender.Send(packet, nil, within(20*time.Millisecond)); err != ErrTimedOut {
			t.Fatal(name, err)
		}
		received := make([]byte, len(packet)+1)
		for n := range sent {
			length, err := reader.Recv(received, within(soon))
			if length != len(packet) || err != nil || received[0] != byte(n) {
				t.Fatal(name, n, length, err)
			}
		}
		if err := sender.Send([]byte("room again"), nil, within(soon)); err != nil {
			t.Fatal(name, err)
		}
		if n, err := reader.Recv(received, within(soon)); n != 10 || err != nil {
			t.Fatal(name, n, err)
		}
	}
}

func TestAnEmptyMessageIsAClose(t *testing.T) {
	a, b := channels(t)
	if ended, errno := a.begin(&a.send, nil, beginWrite); !ended || errno != 0 {
		t.Fatal(ended, errno)
	}
	for range 2 {
		if _, err := b.Recv(make([]byte, 10), within(soon)); err != ErrClosed {
			t.Fatal(err)
		}
	}
	if gone, err := b.PeerGone(); !gone || err != nil {
		t.Fatal(gone, err)
	}
}

// The system takes a message back that its sender gives up before all of it has found room. Who has seen it, or
// read its front, waits for nobody.
func TestAPacketThatIsTakenBackIsNotWaitedFor(t *testing.T) {
	a, b := channels(t)
	for name, ends := range map[string][2]*PacketChannel{"client": {a, b}, "server": {b, a}} {
		sender, reader := ends[0], ends[1]
		begun := func() {
			t.Helper()
			if ended, errno := sender.begin(&sender.send, make([]byte, 2*maxPacketBytes), beginWrite); ended {
				t.Fatal(name, errno)
			}
		}
		takenBack := func() {
			t.Helper()
			sender.cancel(&sender.send)
			sender.send.untilEnded()
			if errno := sender.send.result(); errno != windows.ERROR_OPERATION_ABORTED {
				t.Fatal(name, errno)
			}
		}
		buffer := make([]byte, 10)

		begun()
		if available, _, err := reader.peek(); available == 0 || err != nil {
			t.Fatal(name, available, err)
		}
		takenBack()
		if n, err := reader.readSeen(buffer); n != 0 || err != nil {
			t.Fatal(name, n, err)
		}

		begun()
		if errno, err := reader.transfer(&reader.recv, buffer, beginRead, within(soon)); err != nil ||
			errno != windows.ERROR_MORE_DATA {
			t.Fatal(name, errno, err)
		}
		takenBack()
		if _, err := reader.dropRest(); err != nil {
			t.Fatal(name, err)
		}

		if err := sender.Send([]byte("on"), nil, within(soon)); err != nil {
			t.Fatal(name, err)
		}
		if n, err := reader.Recv(buffer, within(soon)); err != nil || string(buffer[:n]) != "on" {
			t.Fatal(name, n, err)
		}
	}
}
