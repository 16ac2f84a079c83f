//go:build linux || windows

package transport

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// soon is a deadline that only a hang misses.
const soon = 20 * time.Second

func within(timeout time.Duration) Wait { return Wait{Deadline: After(timeout)} }

// endpointIn is a new endpoint in a directory of the test's own.
func newEndpoint(t testing.TB) Endpoint {
	t.Helper()
	// Not t.TempDir: names of tests are longer than socket paths may be. In memory where there is such a
	// place: regions are files, and reserving them on a disk takes its time. (On Windows the directory is but
	// a name.)
	parent := "/dev/shm"
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "netipc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	endpoint, err := NewEndpoint(dir, "svc")
	if err != nil {
		t.Fatal(err)
	}
	return endpoint
}

func listen(t testing.TB, endpoint Endpoint, config ListenerConfig) *Listener {
	t.Helper()
	listener, err := Listen(endpoint, &config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// pair is a client and the server's side of one session.
func pair(t testing.TB, config ListenerConfig, proposal Proposal) (client, server *Session) {
	t.Helper()
	endpoint := newEndpoint(t)
	listener := listen(t, endpoint, config)
	client, err := Connect(endpoint, &proposal, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	server, err = listener.Accept(within(soon))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}

// increment answers requests with their number plus one, until the session ends.
func increment(session *Session, abort *Abort) error {
	inbox := session.NewInbox()
	wait := Wait{Abort: abort}
	var answer [8]byte
	for {
		request, err := session.Receive(inbox, wait)
		if err != nil {
			return err
		}
		if len(request.Payload) != len(answer) {
			return fmt.Errorf("a request of %d bytes", len(request.Payload))
		}
		binary.NativeEndian.PutUint64(answer[:], binary.NativeEndian.Uint64(request.Payload)+1)
		header := protocol.ResponseHeader(&request.Header, uint32(len(answer)))
		if err := session.Send(&header, answer[:], wait); err != nil {
			return err
		}
	}
}

// serveIncrement serves every session of a listener, until it is closed.
func serveIncrement(listener *Listener) {
	for {
		session, err := listener.Accept(Wait{})
		if err != nil {
			return
		}
		go func() {
			_ = increment(session, nil)
			_ = session.Close()
		}()
	}
}

// counter calls increment over and over.
type counter struct {
	session *Session
	inbox   *Inbox
	number  uint64
	id      uint64
	payload [8]byte
	header  protocol.Header
}

func newCounter(session *Session) *counter {
	return &counter{session: session, inbox: session.NewInbox()}
}

func (c *counter) call(wait Wait) error {
	c.id++
	binary.NativeEndian.PutUint64(c.payload[:], c.number)
	c.header = protocol.RequestHeader(protocol.MethodIncrement, c.id, uint32(len(c.payload)))
	if err := c.session.Send(&c.header, c.payload[:], wait); err != nil {
		return err
	}
	answer, err := c.session.Receive(c.inbox, wait)
	if err != nil {
		return err
	}
	if answer.Header.MessageID != c.id || answer.Header.Status != protocol.StatusOK {
		return fmt.Errorf("call %d was answered by %+v", c.id, answer.Header)
	}
	got := binary.NativeEndian.Uint64(answer.Payload)
	if got != c.number+1 {
		return fmt.Errorf("%d + 1 is %d", c.number, got)
	}
	c.number = got
	return nil
}

// bestOf is the shortest of several tries: a promise of time is about this code, not about what else the
// machine does at that moment. One try that keeps it ends the trying.
func bestOf(promised time.Duration, try func() time.Duration) time.Duration {
	const tries = 5
	best := try()
	for n := 1; n < tries && best > promised; n++ {
		best = min(best, try())
	}
	return best
}

// atMost is how long something may take. Tests of Windows run under Wine, whose times say nothing: there only a
// hang takes too long.
func atMost(most time.Duration) time.Duration {
	if runtime.GOOS == "windows" {
		return soon
	}
	return most
}

// emulator is what this test binary must be run with, where it was made for another processor.
func emulator() []string { return strings.Fields(os.Getenv("NETIPC_TEST_EMULATOR")) }

// Roles that this test binary plays in another process, named by its environment.
const (
	roleEnv = "NETIPC_TEST_ROLE"
	dirEnv  = "NETIPC_TEST_DIR"
)

var roles = map[string]func(Endpoint) error{}

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	endpoint, err := NewEndpoint(os.Getenv(dirEnv), "svc")
	if err == nil {
		err = roles[role](endpoint)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// start plays a role in another process, on given CPUs if any are given.
func start(t testing.TB, role string, endpoint Endpoint, prefix ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line := append(append(prefix, emulator()...), self)
	command := exec.Command(line[0], line[1:]...)
	command.Env = append(os.Environ(), roleEnv+"="+role, dirEnv+"="+endpoint.RunDir())
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return command
}
