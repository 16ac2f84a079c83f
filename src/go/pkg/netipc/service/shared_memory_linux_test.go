package service

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/internal/testkit"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// Servers whose sessions over shared memory come to nothing, again and again.

// severalCalls is more than it takes until a client is answered.
const severalCalls = 10

// harm is how a session over shared memory comes to nothing.
type harm int

const (
	// harmCut: the region is cut off once the request has come.
	harmCut harm = iota
	// harmLeave: the server takes the request, and closes.
	harmLeave
	// harmCutLater: the region is cut off once a request has come after one that was answered.
	harmCutLater
)

// servesWithHarm serves an endpoint, and harms all sessions over shared memory, in these ways in turn. What each
// session is over, it tells.
func servesWithHarm(t *testing.T, endpoint Endpoint, ways ...harm) <-chan protocol.Profile {
	t.Helper()
	listener, err := transport.Listen(endpoint, &transport.ListenerConfig{
		SupportedProfiles: bothProfiles, PreferredProfiles: protocol.ProfilesShmHybrid,
		MaxRequestPayloadBytes: 1 << 20, ResponsePayloadBytes: 1024,
	})
	if err != nil {
		t.Fatal(err)
	}
	profiles := make(chan protocol.Profile, 100)
	accept := func() (*transport.Session, error) { return listener.Accept(transport.Wait{}) }
	testkit.Accept(t, listener, accept, func(session *transport.Session, number int) {
		profile := session.Terms().Profile
		profiles <- profile
		if profile.IsSharedMemory() {
			harms(t, endpoint, session, ways[number%len(ways)])
		} else {
			answersAll(session)
		}
	})
	return profiles
}

func harms(t *testing.T, endpoint Endpoint, session *transport.Session, how harm) {
	inbox := session.NewInbox()
	if how == harmCutLater {
		answersOne(session, inbox)
	}
	if _, err := session.Receive(inbox, soon()); err != nil || how == harmLeave {
		return
	}
	name := fmt.Sprintf("%s/%s-%016x.ipcshm", endpoint.RunDir(), endpoint.Service(), session.ID())
	if err := os.Truncate(name, 0); err != nil {
		t.Error(err)
	}
}

func answersAll(session *transport.Session) {
	for inbox := session.NewInbox(); answersOne(session, inbox); {
	}
}

func answersOne(session *transport.Session, inbox *transport.Inbox) bool {
	request, err := session.Receive(inbox, soon())
	if err != nil {
		return false
	}
	header := protocol.ResponseHeader(&request.Header, uint32(len(request.Payload)))
	return session.Send(&header, slices.Clone(request.Payload), soon()) == nil
}

// soon is how long a server waits for its client.
func soon() transport.Wait { return transport.Until(transport.After(20 * time.Second)) }

// handClient is a client whose clock the test moves.
type handClient struct {
	clientEngine
	nowMs uint64
}

func newHandClient(t *testing.T, endpoint Endpoint) *handClient {
	t.Helper()
	client := &handClient{}
	client.init(endpoint, ClientConfig{
		SupportedProfiles: bothProfiles, PreferredProfiles: protocol.ProfilesShmHybrid,
	}, serviceInfo{method: 1, responseCeiling: 1024})
	client.link.environment = environment{
		nowMs:  func() uint64 { return client.nowMs },
		random: func() uint64 { return 0 },
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// refreshesLater refreshes once its back-off has passed.
func (c *handClient) refreshesLater() {
	c.nowMs += 1_000
	c.Refresh(context.Background())
}

func (c *handClient) asks() error {
	return c.call(context.Background(), func(out []byte) (int, error) { return copy(out, "12345678"), nil })
}

// untilAnswered refreshes and calls until a call is answered.
func (c *handClient) untilAnswered(t *testing.T) {
	t.Helper()
	for range severalCalls {
		if c.refreshesLater(); c.asks() == nil {
			return
		}
	}
	t.Fatalf("it is not answered: %+v", c.Status())
}

func handEndpoint(t *testing.T) Endpoint {
	t.Helper()
	endpoint, err := NewEndpoint(t.TempDir(), "shared")
	if err != nil {
		t.Fatal(err)
	}
	return endpoint
}

// told is what was told so far.
func told[T any](from <-chan T) (all []T) {
	for len(from) > 0 {
		all = append(all, <-from)
	}
	return all
}

func TestWhoeverBreaksEveryRegionAtOnceKeepsNobodyFromBeingServed(t *testing.T) {
	shared, socket := protocol.ProfileShmHybrid, protocol.ProfileBaseline
	for _, how := range []harm{harmCut, harmLeave} {
		endpoint := handEndpoint(t)
		profiles := servesWithHarm(t, endpoint, how)
		client := newHandClient(t, endpoint)
		for range 2 {
			client.untilAnswered(t)
			session := client.Status().Session
			if session.Terms.Profile != socket || session.ProfileReason != errFruitless.Error() {
				t.Fatalf("%+v", session)
			}
			// The next one is offered shared memory again.
			_ = client.Close()
			if all := told(profiles); !slices.Equal(all, []protocol.Profile{shared, shared, shared, socket}) {
				t.Fatalf("harm %d: %v", how, all)
			}
		}
	}
}

func TestTwoSessionsInARowThatComeToNothingCostNobodySharedMemory(t *testing.T) {
	// Nor do they with one before them that broke after an answer, nor many of that kind.
	for _, ways := range [][]harm{{harmLeave, harmLeave, harmCutLater}, {harmCutLater}} {
		endpoint := handEndpoint(t)
		profiles := servesWithHarm(t, endpoint, ways...)
		client := newHandClient(t, endpoint)
		for range severalCalls {
			client.untilAnswered(t)
			if client.asks() == nil {
				t.Fatal("it is not cut off")
			}
		}
		for _, profile := range told(profiles) {
			if !profile.IsSharedMemory() {
				t.Fatalf("%v: %v", ways, profile)
			}
		}
	}
}

// promisesRegions grants shared memory that there is not, and closes; the socket it refuses, or serves.
func promisesRegions(t *testing.T, endpoint Endpoint, takesSocket bool) <-chan protocol.Profiles {
	t.Helper()
	socket, err := sys.Bind(endpoint.SocketPath(), &sys.BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	offers := make(chan protocol.Profiles, 100)
	accept := func() (*sys.PacketChannel, error) {
		accepted, err := socket.Accept(&sys.Wait{})
		return accepted.Channel, err
	}
	testkit.Accept(t, socket, accept, func(channel *sys.PacketChannel, _ int) {
		offers <- promises(t, channel, takesSocket)
	})
	return offers
}

func promises(t *testing.T, channel *sys.PacketChannel, takesSocket bool) protocol.Profiles {
	packet := make([]byte, protocol.HelloMessageLen)
	wait := &sys.Wait{Deadline: sys.After(20 * time.Second)}
	length, err := channel.Recv(packet, wait)
	if err != nil {
		t.Error(err)
		return 0
	}
	hello, err := protocol.DecodeHello(packet[protocol.HeaderLen:length])
	if err != nil {
		t.Error(err)
		return 0
	}
	selected, _ := hello.Supported.Highest()
	ack := protocol.HelloAck{
		ServerSupported: bothProfiles, Intersection: hello.Supported, Selected: protocol.Profiles(selected),
		Request: hello.Request, Response: hello.Request, PacketSize: hello.PacketSize, SessionID: 9,
	}
	answer := ack.Message()
	refuses := !selected.IsSharedMemory() && !takesSocket
	if refuses {
		answer = protocol.RejectionMessage(protocol.StatusUnsupported)
	}
	if err := channel.Send(answer[:], nil, wait); err != nil {
		t.Error(err)
	}
	return hello.Supported
}

func TestRegionsThatVanishAtOnceKeepNobodyFromTheSocket(t *testing.T) {
	endpoint := handEndpoint(t)
	offers := promisesRegions(t, endpoint, true)
	client := newHandClient(t, endpoint)
	for range mostFruitless {
		if client.refreshesLater(); client.link.nextTry != protocol.NextTryBusy {
			t.Fatalf("%+v", client.Status())
		}
	}
	if client.refreshesLater(); !client.Ready() {
		t.Fatalf("%+v", client.Status())
	}
	if session := client.Status().Session; session.ProfileReason != errFruitless.Error() {
		t.Fatal(session.ProfileReason)
	}
	// Both sides close, and shared memory is offered again.
	_ = client.Close()
	client.refreshesLater()
	both, socket := bothProfiles, protocol.ProfilesBaseline
	if all := told(offers); !slices.Equal(all, []protocol.Profiles{both, both, both, socket, both}) {
		t.Fatal(all)
	}
}

func TestAServerOfNothingButSharedMemoryIsOfferedItAgainAtOnce(t *testing.T) {
	endpoint := handEndpoint(t)
	offers := promisesRegions(t, endpoint, false)
	client := newHandClient(t, endpoint)
	for range mostFruitless + 1 {
		client.refreshesLater()
		status := client.Status()
		if status.State != protocol.StateDisconnected || !strings.HasPrefix(status.Reason.Error(), "busy: ") {
			t.Fatalf("%+v", status)
		}
	}
	both, socket := bothProfiles, protocol.ProfilesBaseline
	if all := told(offers); !slices.Equal(all, []protocol.Profiles{both, both, both, socket, both}) {
		t.Fatal(all)
	}
}
