//go:build interop

package transport

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// The Rust library at the other end: the driver of its benchmark, which checks every answer. The build tag
// keeps these out of ordinary test runs, where there is none; with it, a driver that is missing is a
// failure.
const driverEnv = "NETIPC_RUST_DRIVER"

// driver is a running Rust driver.
type driver struct {
	command *exec.Cmd
	input   io.WriteCloser
	lines   *bufio.Scanner
}

func startDriver(t *testing.T, arguments ...string) *driver {
	t.Helper()
	path := os.Getenv(driverEnv)
	if path == "" {
		t.Fatalf("%s names no driver: build netipc-bench-driver", driverEnv)
	}
	d := &driver{command: exec.Command(path, arguments...)}
	d.command.Stderr = os.Stderr
	output, err := d.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if d.input, err = d.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	d.lines = bufio.NewScanner(output)
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.command.Process.Kill()
		_ = d.command.Wait()
	})
	return d
}

// event is the next line that the driver says.
func (d *driver) event(t *testing.T) map[string]any {
	t.Helper()
	if !d.lines.Scan() {
		t.Fatalf("the driver says nothing more: %v", d.lines.Err())
	}
	event := map[string]any{}
	if err := json.Unmarshal(d.lines.Bytes(), &event); err != nil {
		t.Fatal(err, d.lines.Text())
	}
	return event
}

func (d *driver) ready(t *testing.T) {
	t.Helper()
	if event := d.event(t); event["event"] != "ready" {
		t.Fatal(event)
	}
}

var transports = map[string]protocol.Profiles{"socket": protocol.ProfilesBaseline, "shm": both}

func driverArguments(end, transport string, endpoint Endpoint) []string {
	return []string{end, "--scenario", "ping-level1", "--transport", transport,
		"--run-dir", endpoint.RunDir(), "--service", endpoint.Service()}
}

func TestInteropGoAsksRust(t *testing.T) {
	for name, profiles := range transports {
		endpoint := newEndpoint(t)
		startDriver(t, driverArguments("server", name, endpoint)...).ready(t)
		session, err := Connect(endpoint, &Proposal{SupportedProfiles: profiles, PreferredProfiles: profiles},
			within(soon))
		if err != nil {
			t.Fatal(name, err)
		}
		if shared := session.Terms().Profile.IsSharedMemory(); shared != (name == "shm") {
			t.Fatalf("%s: the session has %v", name, session.Terms().Profile)
		}
		calls := newCounter(session)
		for range 20_000 {
			if err := calls.call(within(soon)); err != nil {
				t.Fatal(name, err)
			}
		}
		_ = session.Close()
	}
}

func TestInteropRustAsksGo(t *testing.T) {
	for name, profiles := range transports {
		endpoint := newEndpoint(t)
		config := wideListener()
		config.SupportedProfiles, config.PreferredProfiles = profiles, profiles
		go serveIncrement(listen(t, endpoint, config))
		client := startDriver(t, append(driverArguments("client", name, endpoint), "--rate", "max", "--seconds", "0.5")...)
		client.ready(t)
		if _, err := io.WriteString(client.input, "go\n"); err != nil {
			t.Fatal(err)
		}
		measured := client.event(t)
		calls, _ := measured["calls"].(float64)
		if measured["event"] != "measured" || calls < 100 {
			t.Fatalf("%s: %v", name, measured)
		}
		t.Logf("%s: %v calls in %v s", name, calls, measured["seconds"])
		if err := client.input.Close(); err != nil {
			t.Fatal(err)
		}
		if err := client.command.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// Both languages take a name by the same procedure: of one server of each that start at once exactly one
// wins, and it can be reached.
func TestInteropServersOfBothLanguagesExcludeEachOther(t *testing.T) {
	goWon := 0
	for range 30 {
		endpoint := newEndpoint(t)
		rust := exec.Command(os.Getenv(driverEnv), driverArguments("server", "socket", endpoint)...)
		var said strings.Builder
		rust.Stderr = &said
		output, err := rust.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		input, err := rust.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := rust.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(output)
		rustWon := make(chan bool, 1)
		go func() { rustWon <- lines.Scan() }()
		var listener *Listener
		for {
			listener, err = Listen(endpoint, &ListenerConfig{})
			if err != nil && !errors.Is(err, ErrInUse) {
				t.Fatal(err)
			}
			// Close to the moment at which the other one starts: now or after it has.
			if err == nil || len(rustWon) > 0 {
				break
			}
		}
		won := <-rustWon
		if won == (err == nil) {
			t.Fatalf("Rust won: %v (%s), Go: %v", won, said.String(), err)
		}
		if err == nil {
			goWon++
			go serveIncrement(listener)
		}
		session, err := Connect(endpoint, &Proposal{}, within(soon))
		if err != nil {
			t.Fatal("the winner cannot be reached:", err)
		}
		if err := newCounter(session).call(within(soon)); err != nil {
			t.Fatal(err)
		}
		_ = session.Close()
		if listener != nil {
			_ = listener.Close()
		}
		_ = input.Close()
		_ = rust.Wait()
	}
	t.Logf("Go won %d of 30", goWon)
}
