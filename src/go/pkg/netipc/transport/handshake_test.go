//go:build linux || windows

package transport

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/internal/testkit"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// rawClient is a connection that says what the test wants.
func rawClient(t *testing.T, endpoint Endpoint) *sys.PacketChannel {
	t.Helper()
	channel, err := sys.Connect(endpoint.SocketPath(), &Wait{Deadline: After(soon)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = channel.Close() })
	return channel
}

func recvRaw(channel *sys.PacketChannel) ([]byte, error) {
	buffer := make([]byte, 4096)
	n, err := channel.Recv(buffer, &Wait{Deadline: After(soon)})
	return buffer[:n], err
}

// counted waits for the handshakes' goroutines to have counted.
func counted(t *testing.T, listener *Listener, done func(HandshakeCounts) bool) {
	t.Helper()
	for end := time.Now().Add(soon); !done(listener.Counts()); {
		if time.Now().After(end) {
			t.Fatalf("%+v", listener.Counts())
		}
	}
}

func goodHello() protocol.Hello {
	one := protocol.Limits{PayloadBytes: 1024, BatchItems: 1}
	return protocol.Hello{
		Supported: protocol.ProfilesBaseline, Request: one, ResponseHint: one, AuthToken: 7, PacketSize: 4096,
	}
}

func TestWhatWasAgreedIsKnownAtBothEnds(t *testing.T) {
	client, server := pair(t, ListenerConfig{
		AuthToken: 7, MaxRequestPayloadBytes: 4096, ResponsePayloadBytes: 9999, PacketSize: 2048,
	}, Proposal{
		AuthToken: 7, Request: protocol.Limits{PayloadBytes: 3000, BatchItems: 5}, PacketSize: 5000,
	})
	want := protocol.Terms{
		Profile: protocol.ProfileBaseline, Request: protocol.Limits{PayloadBytes: 3000, BatchItems: 5},
		Response: protocol.Limits{PayloadBytes: 9999, BatchItems: 5},
	}
	want.PacketSize, _ = protocol.NewPacketSize(2048)
	if *client.Terms() != want || *server.Terms() != want {
		t.Fatalf("%+v, %+v", client.Terms(), server.Terms())
	}
	if client.ID() != 1 || server.ID() != 1 || client.ServerSupported() != protocol.ProfilesBaseline {
		t.Fatal(client.ID(), server.ID())
	}
	for _, session := range []*Session{client, server} {
		if peer := session.Peer(); peer.PID != uint32(os.Getpid()) || peer.UID != sys.OwnUID() {
			t.Fatalf("%+v", peer)
		}
	}
}

func TestRefusalsSayWhyAndAreCounted(t *testing.T) {
	full := func() bool { return false }
	for name, refused := range map[string]struct {
		config   ListenerConfig
		proposal Proposal
		status   protocol.Status
		count    func(HandshakeCounts) uint64
	}{
		"another token": {ListenerConfig{AuthToken: 1}, Proposal{AuthToken: 2}, protocol.StatusAuthFailed,
			func(c HandshakeCounts) uint64 { return c.AuthFailed }},
		"another user": {ListenerConfig{Access: AccessPolicy{UIDs: []uint32{54321}}}, Proposal{},
			protocol.StatusAuthFailed, func(c HandshakeCounts) uint64 { return c.AuthFailed }},
		"long requests": {ListenerConfig{}, Proposal{Request: wide}, protocol.StatusLimitExceeded,
			func(c HandshakeCounts) uint64 { return c.LimitExceeded }},
		"small packets": {ListenerConfig{}, Proposal{PacketSize: 32}, protocol.StatusIncompatible,
			func(c HandshakeCounts) uint64 { return c.Incompatible }},
		"no place": {ListenerConfig{Reserve: full, Unreserve: func() {}}, Proposal{}, protocol.StatusBusy,
			func(c HandshakeCounts) uint64 { return c.Busy }},
	} {
		endpoint := newEndpoint(t)
		listener := listen(t, endpoint, refused.config)
		_, err := Connect(endpoint, &refused.proposal, within(soon))
		var refusal *protocol.Refusal
		if !errors.As(err, &refusal) || refusal.Status != refused.status {
			t.Errorf("%s: %v", name, err)
		}
		counts := listener.Counts()
		if refused.count(counts) != 1 || counts.Connections != 1 || counts.Sessions != 0 {
			t.Errorf("%s: %+v", name, counts)
		}
		if met, learnt := MetBy(err); !learnt || met.Status != refused.status {
			t.Errorf("%s: %+v", name, met)
		}
	}
}

// badHellos are first packets that no client of the contract sends, with their answers.
func badHellos() map[string]struct {
	packet []byte
	status protocol.Status
} {
	hello := goodHello()
	change := func(change func(m []byte) []byte) []byte {
		message := hello.Message()
		return change(message[:])
	}
	set := func(at int, value byte) []byte {
		return change(func(m []byte) []byte { m[at] = value; return m })
	}
	type bad = struct {
		packet []byte
		status protocol.Status
	}
	return map[string]bad{
		"noise":            {[]byte("hello?"), protocol.StatusBadEnvelope},
		"short":            {change(func(m []byte) []byte { return m[:len(m)-1] }), protocol.StatusBadEnvelope},
		"trailing":         {change(func(m []byte) []byte { return append(m, 0) }), protocol.StatusBadEnvelope},
		"very long":        {make([]byte, 3000), protocol.StatusBadEnvelope},
		"another kind":     {set(8, 1), protocol.StatusBadEnvelope},
		"flags":            {set(10, 1), protocol.StatusBadEnvelope},
		"a status":         {set(14, 1), protocol.StatusBadEnvelope},
		"no items":         {change(func(m []byte) []byte { copy(m[20:], make([]byte, 4)); return m }), protocol.StatusBadEnvelope},
		"reserved":         {set(32+28, 1), protocol.StatusBadEnvelope},
		"a zero limit":     {change(func(m []byte) []byte { copy(m[32+12:], make([]byte, 4)); return m }), protocol.StatusBadEnvelope},
		"another version":  {set(4, 2), protocol.StatusIncompatible},
		"another layout":   {set(32, 2), protocol.StatusIncompatible},
		"unknown profiles": {change(func(m []byte) []byte { copy(m[32+4:], []byte{0x40, 0, 0, 0x40}); return m }), protocol.StatusUnsupported},
	}
}

func TestBadHellosAreAnsweredAndClosed(t *testing.T) {
	for name, bad := range badHellos() {
		endpoint := newEndpoint(t)
		listener := listen(t, endpoint, ListenerConfig{AuthToken: 7})
		channel := rawClient(t, endpoint)
		if err := channel.Send(bad.packet, nil, &Wait{}); err != nil {
			t.Fatal(name, err)
		}
		answer, err := recvRaw(channel)
		if want := protocol.RejectionMessage(bad.status); err != nil || string(answer) != string(want[:]) {
			t.Errorf("%s: answered %x, %v", name, answer, err)
		}
		if _, err := recvRaw(channel); err != ErrClosed {
			t.Errorf("%s: not closed: %v", name, err)
		}
		_ = channel.Close()
		// The next client is served.
		go serveIncrement(listener)
		session, err := Connect(endpoint, &Proposal{AuthToken: 7}, within(soon))
		if err != nil {
			t.Fatal(name, err)
		}
		_ = session.Close()
	}
}

// Peers in the field propose packets of all of SO_SNDBUF, which the kernel refuses to send.
func TestAPeerThatProposesPacketsItCannotSendIsHealed(t *testing.T) {
	endpoint := newEndpoint(t)
	listen(t, endpoint, ListenerConfig{AuthToken: 7})
	channel := rawClient(t, endpoint)
	carried, err := channel.MaxPacketSize()
	if err != nil {
		t.Fatal(err)
	}
	hello := goodHello()
	hello.PacketSize = uint32(carried + sys.PacketOverheadBytes)
	message := hello.Message()
	if err := channel.Send(message[:], nil, &Wait{}); err != nil {
		t.Fatal(err)
	}
	answer, err := recvRaw(channel)
	if err != nil || len(answer) < protocol.HeaderLen {
		t.Fatal(len(answer), err)
	}
	ack, err := protocol.DecodeHelloAck(answer[protocol.HeaderLen:])
	if err != nil || ack.PacketSize != uint32(carried) {
		t.Fatalf("%+v, %v; the socket carries %d", ack, err, carried)
	}
}

// With default settings, a message is as long as it was agreed to be, whatever one packet carries.
func TestAMegabyteGoesBothWays(t *testing.T) {
	const bytes = 1 << 20
	limits := protocol.Limits{PayloadBytes: bytes, BatchItems: 1}
	client, server := pair(t, ListenerConfig{MaxRequestPayloadBytes: bytes, ResponsePayloadBytes: bytes},
		Proposal{Request: limits})
	payload := pattern(bytes)
	sent := make(chan error, 1)
	go func() {
		header := protocol.RequestHeader(1, 1, bytes)
		sent <- client.Send(&header, payload, within(soon))
	}()
	request, err := server.Receive(server.NewInbox(), within(soon))
	if err != nil || string(request.Payload) != string(payload) {
		t.Fatal(len(request.Payload), err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	go func() {
		header := protocol.ResponseHeader(&request.Header, bytes)
		sent <- server.Send(&header, payload, within(soon))
	}()
	response, err := client.Receive(client.NewInbox(), within(soon))
	if err != nil || string(response.Payload) != string(payload) {
		t.Fatal(len(response.Payload), err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// Each bad connection costs its own time alone: there is no pause after it, in which nobody is accepted.
func TestBadConnectionsDoNotHoldUpTheNext(t *testing.T) {
	const bad, most = 300, 2 * time.Second
	endpoint := newEndpoint(t)
	listener := listen(t, endpoint, ListenerConfig{})
	go serveIncrement(listener)
	garbage := []byte("no HELLO at all")
	start := time.Now()
	for range bad {
		channel := rawClient(t, endpoint)
		if err := channel.Send(garbage, nil, &Wait{}); err != nil {
			t.Fatal(err)
		}
		if _, err := recvRaw(channel); err != nil {
			t.Fatal(err)
		}
		_ = channel.Close()
	}
	session, err := Connect(endpoint, &Proposal{}, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	_ = session.Close()
	if took := time.Since(start); took > atMost(most) {
		t.Fatalf("%d bad connections took %v", bad, took)
	}
	counted(t, listener, func(c HandshakeCounts) bool { return c.Malformed == bad && c.Sessions == 1 })
}

func TestAClientThatSaysNothingDelaysNobody(t *testing.T) {
	const silent = 40
	endpoint := newEndpoint(t)
	listener := listen(t, endpoint, ListenerConfig{HandshakeTimeout: 2 * time.Second})
	go serveIncrement(listener)
	var channels []*sys.PacketChannel
	for range silent {
		channels = append(channels, rawClient(t, endpoint))
	}
	start := time.Now()
	session, err := Connect(endpoint, &Proposal{}, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if took := time.Since(start); took > time.Second {
		t.Fatalf("it took %v", took)
	}
	for _, channel := range channels {
		if _, err := recvRaw(channel); err != ErrClosed {
			t.Fatal(err)
		}
	}
	counted(t, listener, func(c HandshakeCounts) bool { return c.TimedOut == silent })
}

func TestWhenTooManyArePendingTheOldestGivesWayAndIsTold(t *testing.T) {
	endpoint := newEndpoint(t)
	listener := listen(t, endpoint, ListenerConfig{MaxPendingHandshakes: 2})
	first, second, third := rawClient(t, endpoint), rawClient(t, endpoint), rawClient(t, endpoint)
	answer, err := recvRaw(first)
	if want := protocol.RejectionMessage(protocol.StatusBusy); err != nil || string(answer) != string(want[:]) {
		t.Fatalf("%x, %v", answer, err)
	}
	if counts := listener.Counts(); counts.Displaced != 1 {
		t.Fatalf("%+v", counts)
	}
	hello := goodHello()
	hello.AuthToken = 0
	message := hello.Message()
	for _, channel := range []*sys.PacketChannel{second, third} {
		if err := channel.Send(message[:], nil, &Wait{}); err != nil {
			t.Fatal(err)
		}
		if _, err := listener.Accept(within(soon)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSessionsThatNobodyAcceptsAreBounded(t *testing.T) {
	endpoint := newEndpoint(t)
	listener := listen(t, endpoint, ListenerConfig{MaxPendingHandshakes: 2})
	for range 2 {
		session, err := Connect(endpoint, &Proposal{}, within(soon))
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
	}
	if _, err := Connect(endpoint, &Proposal{}, within(100*time.Millisecond)); !errors.Is(err, ErrSilent) {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := listener.Accept(within(soon)); err != nil {
			t.Fatal(err)
		}
	}
	session, err := Connect(endpoint, &Proposal{}, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	_ = session.Close()
}

func TestAPlaceThatWasReservedInVainIsGivenBack(t *testing.T) {
	var places atomic.Int32
	endpoint := newEndpoint(t)
	listener := listen(t, endpoint, ListenerConfig{
		Reserve:   func() bool { places.Add(1); return true },
		Unreserve: func() { places.Add(-1) },
	})
	session, err := Connect(endpoint, &Proposal{}, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	_ = listener.Close()
	if places.Load() != 0 {
		t.Fatalf("%d places are taken", places.Load())
	}
	if _, err := listener.Accept(Wait{}); err != ErrClosed {
		t.Fatal(err)
	}
	if state, err := endpoint.Inspect(); err != nil || state.State != EndpointAbsent {
		t.Fatalf("%+v, %v", state, err)
	}
}

// scripted is a server that answers HELLO with what the test wants.
func scripted(t *testing.T, endpoint Endpoint, answer func(*sys.PacketChannel)) {
	t.Helper()
	socket, err := sys.Bind(endpoint.SocketPath(), &sys.BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	accept := func() (*sys.PacketChannel, error) {
		accepted, err := socket.Accept(&Wait{})
		return accepted.Channel, err
	}
	testkit.Accept(t, socket, accept, func(channel *sys.PacketChannel, _ int) { answer(channel) })
}

func TestAClientJudgesTheAnswerItGets(t *testing.T) {
	one := protocol.Limits{PayloadBytes: 1024, BatchItems: 1}
	good := protocol.HelloAck{
		ServerSupported: 1, Intersection: 1, Selected: 1, Request: one, Response: one, PacketSize: 4096, SessionID: 1,
	}
	answer := func(change func(*protocol.HelloAck)) []byte {
		ack := good
		change(&ack)
		message := ack.Message()
		return message[:]
	}
	long := append(answer(func(*protocol.HelloAck) {}), 0)
	for name, bad := range map[string][]byte{
		"two profiles":     answer(func(a *protocol.HelloAck) { a.Selected = 3 }),
		"no profile":       answer(func(a *protocol.HelloAck) { a.Selected = 0 }),
		"not offered":      answer(func(a *protocol.HelloAck) { a.Selected = 8 }),
		"other limits":     answer(func(a *protocol.HelloAck) { a.Request.PayloadBytes++ }),
		"larger packets":   answer(func(a *protocol.HelloAck) { a.PacketSize = 1 << 30 }),
		"too small":        answer(func(a *protocol.HelloAck) { a.PacketSize = 32 }),
		"trailing":         long,
		"noise":            []byte("no"),
		"something longer": make([]byte, 2000),
	} {
		endpoint := newEndpoint(t)
		scripted(t, endpoint, func(channel *sys.PacketChannel) {
			_, _ = recvRaw(channel)
			_ = channel.Send(bad, nil, &Wait{})
			_, _ = recvRaw(channel)
		})
		_, err := Connect(endpoint, &Proposal{}, within(soon))
		if FaultOf(err) != FaultPeerBroke {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAClientSaysHowTheServerFailedIt(t *testing.T) {
	endpoint := newEndpoint(t)
	if _, err := Connect(endpoint, &Proposal{}, within(soon)); err != ErrNotFound {
		t.Fatal(err)
	}
	scripted(t, endpoint, func(channel *sys.PacketChannel) { _, _ = recvRaw(channel) })
	if _, err := Connect(endpoint, &Proposal{}, within(soon)); err != ErrNoAnswer {
		t.Fatal(err)
	}
	silent := newEndpoint(t)
	scripted(t, silent, func(channel *sys.PacketChannel) {
		for err := error(nil); err == nil; _, err = recvRaw(channel) {
		}
	})
	start := time.Now()
	if _, err := Connect(silent, &Proposal{}, within(60*time.Millisecond)); !errors.Is(err, ErrTimedOut) || err != ErrSilent {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Fatal(took)
	}
	var abort Abort
	done := make(chan error)
	go func() {
		_, err := Connect(silent, &Proposal{}, Wait{Abort: &abort})
		done <- err
	}()
	abort.Trigger()
	err := <-done
	if _, learnt := MetBy(err); err != ErrAborted || learnt {
		t.Fatal(err)
	}
}

func TestARefusalIsReadEvenIfTheServerClosedFirst(t *testing.T) {
	endpoint := newEndpoint(t)
	scripted(t, endpoint, func(channel *sys.PacketChannel) {
		// Never reads: closing resets the connection, with the answer queued before.
		message := protocol.RejectionMessage(protocol.StatusBusy)
		_ = channel.Send(message[:], nil, &Wait{})
	})
	for range 50 {
		_, err := Connect(endpoint, &Proposal{}, within(soon))
		var refusal *protocol.Refusal
		if !errors.As(err, &refusal) || refusal.Status != protocol.StatusBusy {
			t.Fatal(err)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	const secret = 0x1122334455667788
	for _, value := range []any{Proposal{AuthToken: secret}, &Proposal{AuthToken: secret},
		ListenerConfig{AuthToken: secret}, &ListenerConfig{AuthToken: secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, "1234605616436508552") || strings.Contains(strings.ToLower(text), "1122334455667788") {
				t.Errorf("%s shows %s", verb, text)
			}
		}
	}
}

func TestARefusalInFlightDoesNotHoldUpClosing(t *testing.T) {
	endpoint := newEndpoint(t)
	listener, err := Listen(endpoint, &ListenerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	path := newEndpoint(t).SocketPath()
	other, err := sys.Bind(path, &sys.BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	client, err := sys.Connect(path, &Wait{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := other.Accept(&Wait{})
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Channel.Close()
	if err := client.Send([]byte("no hello"), nil, &Wait{}); err != nil {
		t.Fatal(err)
	}
	// All were closed when this one was being answered: it was no refusal yet.
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if session := listener.hear(newPending(accepted.Channel)); session != nil {
		t.Fatal("it has a session")
	}
	if took := time.Since(start); took >= refusalDrainTimeout {
		t.Fatalf("it was drained for %v", took)
	}
}
