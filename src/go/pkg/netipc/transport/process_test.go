//go:build linux || windows

package transport

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

func init() {
	roles["server"] = serveUntilKilled
	roles["call until killed"] = callUntilKilled
}

// serveUntilKilled is a server of increment.
func serveUntilKilled(endpoint Endpoint) error {
	listener, err := Listen(endpoint, &ListenerConfig{
		SupportedProfiles: profilesFromEnv(), PreferredProfiles: profilesFromEnv(),
		MaxRequestPayloadBytes: wide.PayloadBytes,
	})
	if err != nil {
		return err
	}
	serveIncrement(listener)
	return nil
}

// profilesFromEnv are what a test wants: a profile of shared memory too, if this names one by its number.
const sharedEnv = "NETIPC_TEST_SHARED"

func profilesFromEnv() protocol.Profiles {
	shared, _ := strconv.ParseUint(os.Getenv(sharedEnv), 10, 32)
	return protocol.ProfilesBaseline | protocol.Profiles(shared)
}

// connectSoon connects to a server that is being started: by an event, not by asking again and again,
// where its directory tells that the endpoint has appeared.
func connectSoon(t testing.TB, endpoint Endpoint, proposal Proposal) *Session {
	t.Helper()
	for end := time.Now().Add(soon); time.Now().Before(end); runtime.Gosched() {
		session, err := Connect(endpoint, &proposal, within(soon))
		if err == nil {
			t.Cleanup(func() { _ = session.Close() })
			return session
		}
	}
	t.Fatal("no server")
	return nil
}

func callUntilKilled(endpoint Endpoint) error {
	session, err := Connect(endpoint, &Proposal{
		SupportedProfiles: profilesFromEnv(), PreferredProfiles: profilesFromEnv(),
	}, within(soon))
	if err != nil {
		return err
	}
	calls := newCounter(session)
	for n := 0; ; n++ {
		if err := calls.call(within(soon)); err != nil {
			return err
		}
		if n == 0 {
			fmt.Println("calling")
		}
	}
}

// other is this test binary in another process, with lines in and out.
type other struct {
	command *exec.Cmd
	in      *os.File
	lines   *bufio.Scanner
}

func play(t testing.TB, role string, endpoint Endpoint, environment ...string) *other {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line := append(emulator(), self)
	o := &other{command: exec.Command(line[0], line[1:]...)}
	o.command.Env = append(append(os.Environ(), roleEnv+"="+role, dirEnv+"="+endpoint.RunDir()), environment...)
	o.command.Stderr = os.Stderr
	input, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o.in, o.command.Stdin = in, input
	output, err := o.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	o.lines = bufio.NewScanner(output)
	if err := o.command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = input.Close()
	t.Cleanup(func() {
		_ = o.command.Process.Kill()
		_ = o.command.Wait()
		_ = in.Close()
	})
	return o
}

func (o *other) says(t testing.TB, line string) {
	t.Helper()
	if !o.lines.Scan() || o.lines.Text() != line {
		t.Fatalf("said %q, not %q", o.lines.Text(), line)
	}
}

func (o *other) kill() {
	_ = o.command.Process.Kill()
	_ = o.command.Wait()
}

// sharedOrNot are the transports of this system.
func sharedOrNot() map[string]string {
	all := map[string]string{"socket": "", "shared memory": "2"}
	if platform.Valid.Contains(protocol.ProfilesShmBusywait) {
		all["shared memory in which nobody sleeps"] = "4"
	}
	return all
}

func TestAKilledServerIsNoticedWithinATenthOfASecond(t *testing.T) {
	const promised = 100 * time.Millisecond
	for name, shared := range sharedOrNot() {
		t.Setenv(sharedEnv, shared)
		if took := bestOf(promised, func() time.Duration { return serverIsKilled(t, shared != "") }); took > atMost(promised) {
			t.Errorf("%s: noticed after %v", name, took)
		}
	}
}

// serverIsKilled is how long a client's wait goes on after its server was killed.
func serverIsKilled(t *testing.T, shared bool) time.Duration {
	endpoint := newEndpoint(t)
	server := start(t, "server", endpoint)
	session := connectSoon(t, endpoint, Proposal{
		SupportedProfiles: profilesFromEnv(), PreferredProfiles: profilesFromEnv(),
	})
	if session.Terms().Profile.IsSharedMemory() != shared {
		t.Fatal(session.Terms())
	}
	if err := newCounter(session).call(within(soon)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan time.Time)
	go func() {
		if _, err := session.Receive(session.NewInbox(), within(soon)); err != ErrClosed {
			t.Error(err)
		}
		ended <- time.Now()
	}()
	// Until it sleeps: past the first of its slices.
	_, _ = sys.ReceiveFrom(make(chan int), &Wait{Deadline: After(3 * CancelSlice)})
	killed := time.Now()
	_ = server.Process.Kill()
	took := (<-ended).Sub(killed)
	// The next server takes the name and removes what is left.
	_ = server.Wait()
	listener, err := Listen(endpoint, &ListenerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if left := regionsIn(t, endpoint.RunDir()); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
	return took
}

func TestKilledClientsLeaveNothingBehind(t *testing.T) {
	const rounds = 12
	for name, shared := range sharedOrNot() {
		endpoint := newEndpoint(t)
		listener := listen(t, endpoint, ListenerConfig{
			SupportedProfiles: platform.Valid, PreferredProfiles: platform.Valid, MaxRequestPayloadBytes: wide.PayloadBytes,
		})
		ends := make(chan error)
		go func() {
			for {
				session, err := listener.Accept(Wait{})
				if err != nil {
					return
				}
				go func() {
					err := increment(session, nil)
					_ = session.Close()
					ends <- err
				}()
			}
		}()
		descriptors, goroutines := 0, 0
		for round := range rounds {
			client := play(t, "call until killed", endpoint, sharedEnv+"="+shared)
			client.says(t, "calling")
			killed := time.Now()
			client.kill()
			if err := <-ends; err != ErrClosed && err != ErrPeerGone {
				t.Errorf("%s: the session ended with %v", name, err)
			}
			if took := time.Since(killed); took > atMost(2*time.Second) {
				t.Errorf("%s: noticed after %v", name, took)
			}
			_ = client.in.Close()
			if left := regionsIn(t, endpoint.RunDir()); len(left) != 0 {
				t.Errorf("%s: %v are left", name, left)
			}
			if round == 1 {
				descriptors, goroutines = countDescriptors(t), runtime.NumGoroutine()
			}
		}
		// What ends a session may go on for a moment.
		end := time.Now().Add(soon)
		for countDescriptors(t) > descriptors || runtime.NumGoroutine() > goroutines+1 {
			if time.Now().After(end) {
				t.Errorf("%s: %d descriptors became %d, and %d goroutines %d", name,
					descriptors, countDescriptors(t), goroutines, runtime.NumGoroutine())
				break
			}
			runtime.Gosched()
		}
	}
}
