//go:build interop

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Go and Rust against each other, live: every service, on sockets and in shared memory, alone, in batches,
// split, pipelined and in chunks. Drivers verify every answer, and the server's handlers must have been
// called once for each request that was answered. The build tag keeps this out of runs where there is no
// Rust driver; with it, a driver that is missing is a failure (tools/interop builds it).

// rustDriverEnv names the Rust driver.
const rustDriverEnv = "NETIPC_RUST_DRIVER"

// interopRow is a scenario with its sizes.
type interopRow struct {
	name      string
	arguments []string
	// socketsOnly: what shared memory has not.
	socketsOnly bool
}

var interopRows = []interopRow{
	{"level 1", []string{"--scenario", "ping-level1"}, false},
	{"single calls", []string{"--scenario", "ping-level2"}, false},
	{"strings", []string{"--scenario", "reverse", "--bytes", "1000"}, false},
	{"chunked and larger requests", []string{"--scenario", "reverse", "--bytes", "300000"}, false},
	{"batches", []string{"--scenario", "batch", "--items", "1000"}, false},
	{"pipelined", []string{"--scenario", "pipeline"}, true},
	{"pipelined batches", []string{"--scenario", "pipeline-batch", "--items", "1000"}, true},
	{"snapshot", []string{"--scenario", "snapshot", "--items", "16"}, false},
	{"empty snapshot", []string{"--scenario", "snapshot", "--items", "0"}, false},
	{"long snapshot", []string{"--scenario", "snapshot", "--items", "5000"}, false},
	{"changing snapshot", []string{"--scenario", "snapshot-changing", "--items", "16"}, false},
	{"fetched snapshot", []string{"--scenario", "fetch", "--items", "16"}, false},
	{"paths", []string{"--scenario", "cgroups-lookup", "--items", "16"}, false},
	{"paths, split", []string{"--scenario", "cgroups-lookup", "--items", "5000", "--mix", "mixed"}, false},
	{"unknown paths", []string{"--scenario", "cgroups-lookup", "--items", "100", "--mix", "unknown"}, false},
	{"processes", []string{"--scenario", "apps-lookup", "--items", "16"}, false},
	{"processes, split", []string{"--scenario", "apps-lookup", "--items", "5000", "--mix", "mixed"}, false},
	{"plain processes", []string{"--scenario", "apps-lookup", "--items", "100", "--mix", "plain"}, false},
}

func TestInterop(t *testing.T) {
	rust := os.Getenv(rustDriverEnv)
	if rust == "" {
		t.Fatalf("%s names no driver: use tools/interop", rustDriverEnv)
	}
	ours := filepath.Join(t.TempDir(), "driver")
	if output, err := exec.Command("go", "build", "-o", ours, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for _, pair := range []struct{ name, client, server string }{
		{"Go asks Rust", ours, rust}, {"Rust asks Go", rust, ours}, {"Go asks Go", ours, ours},
	} {
		for _, transport := range []string{"socket", "shm"} {
			for _, row := range interopRows {
				if row.socketsOnly && transport != "socket" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", pair.name, transport, row.name), func(t *testing.T) {
					play(t, pair.client, pair.server, append(row.arguments, "--transport", transport,
						"--run-dir", t.TempDir(), "--service", "interop", "--clients", "1"))
				})
			}
		}
	}
}

// play has a client ask a server for a moment.
func play(t *testing.T, clientPath, serverPath string, arguments []string) {
	server := startDriver(t, serverPath, append([]string{"server"}, arguments...))
	server.event(t, "ready")
	// Warming up brings larger limits: what is refused for that is handled, and not answered.
	client := startDriver(t, clientPath, append([]string{"client", "--rate", "max", "--seconds", "0.05",
		"--warmup-seconds", "0.02"}, arguments...))
	client.event(t, "ready")
	server.say(t, "mark")
	before := server.event(t, "mark")["handled"].(float64)
	client.say(t, "go")
	measured := client.event(t, "measured")
	server.say(t, "mark")
	handled := server.event(t, "mark")["handled"].(float64) - before
	if calls := measured["calls"].(float64); calls < 1 || measured["requests"].(float64) != handled {
		t.Errorf("%v calls, %v requests answered, %v handled", calls, measured["requests"], handled)
	}
	client.end(t)
	server.end(t)
}

// driver is a running one.
type driver struct {
	command *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Scanner
}

func startDriver(t *testing.T, path string, arguments []string) *driver {
	t.Helper()
	d := &driver{command: exec.Command(path, arguments...)}
	d.command.Stderr = os.Stderr
	output, err := d.command.StdoutPipe()
	if err == nil {
		d.input, err = d.command.StdinPipe()
	}
	if err == nil {
		err = d.command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	d.output = bufio.NewScanner(output)
	t.Cleanup(func() {
		_ = d.command.Process.Kill()
		_ = d.command.Wait()
	})
	return d
}

// event is the next line that the driver says, which must be this one.
func (d *driver) event(t *testing.T, wanted string) map[string]any {
	t.Helper()
	if !d.output.Scan() {
		t.Fatalf("%s is to come, and nothing does: %v", wanted, d.output.Err())
	}
	event := map[string]any{}
	if err := json.Unmarshal(d.output.Bytes(), &event); err != nil || event["event"] != wanted {
		t.Fatalf("%s is to come, not %s: %v", wanted, d.output.Text(), err)
	}
	return event
}

func (d *driver) say(t *testing.T, word string) {
	t.Helper()
	if _, err := io.WriteString(d.input, word+"\n"); err != nil {
		t.Fatal(err)
	}
}

// end has the driver end, without an error.
func (d *driver) end(t *testing.T) {
	t.Helper()
	_ = d.input.Close()
	if err := d.command.Wait(); err != nil {
		t.Error(err)
	}
}
