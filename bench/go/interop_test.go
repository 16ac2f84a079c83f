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
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
)

// Go and Rust against each other, live: every service, on sockets and in shared memory, alone, in batches,
// split, pipelined and in chunks. Drivers verify every answer, and the server's handlers must have been
// called once for each request that was answered. The build tag keeps this out of runs where there is no
// Rust driver; with it, a driver that is missing is a failure (tools/interop builds it).

// rustDriverEnv names the Rust driver.
const rustDriverEnv = "NETIPC_RUST_DRIVER"

// interopRow is a scenario with its sizes.
type interopRow struct {
	service   string
	name      string
	arguments []string
	// socketsOnly: what shared memory has not.
	socketsOnly bool
	// split: each call takes several requests.
	split bool
}

func row(service, name string, arguments ...string) interopRow {
	return interopRow{service: service, name: name, arguments: append([]string{"--scenario"}, arguments...)}
}

func (r interopRow) onSockets() interopRow {
	r.socketsOnly = true
	return r
}

func (r interopRow) inParts() interopRow {
	r.split = true
	return r
}

var interopRows = []interopRow{
	row("increment", "level 1", "ping-level1"),
	row("increment", "single", "ping-level2"),
	row("increment", "batch", "batch", "--items", "1000"),
	row("increment", "pipelined", "pipeline").onSockets(),
	row("increment", "pipelined batches", "pipeline-batch", "--items", "1000").onSockets(),
	row("string-reverse", "single", "reverse", "--bytes", "1000"),
	row("string-reverse", "batch", "reverse-batch", "--bytes", "100", "--items", "200"),
	// On shared memory these are what they are on sockets, in one piece.
	row("string-reverse", "chunked, grown limits", "reverse", "--bytes", "300000"),
	row("string-reverse", "chunked batch", "reverse-batch", "--bytes", "10000", "--items", "60"),
	row("cgroups-snapshot", "single", "snapshot", "--items", "16"),
	row("cgroups-snapshot", "empty", "snapshot", "--items", "0"),
	row("cgroups-snapshot", "changing", "snapshot-changing", "--items", "16"),
	row("cgroups-snapshot", "in place", "fetch", "--items", "16"),
	row("cgroups-snapshot", "chunked", "snapshot", "--items", "5000"),
	row("cgroups-lookup", "single", "cgroups-lookup", "--items", "16"),
	row("cgroups-lookup", "unknown", "cgroups-lookup", "--items", "100", "--mix", "unknown"),
	row("cgroups-lookup", "split", "cgroups-lookup", "--items", "60000", "--mix", "mixed").inParts(),
	row("apps-lookup", "single", "apps-lookup", "--items", "16"),
	row("apps-lookup", "plain", "apps-lookup", "--items", "100", "--mix", "plain"),
	row("apps-lookup", "split", "apps-lookup", "--items", "60000", "--mix", "mixed").inParts(),
	row("ip-to-asn", "single", "asn-lookup", "--items", "16"),
	row("ip-to-asn", "unknown", "asn-lookup", "--items", "100", "--mix", "unknown"),
	row("ip-to-asn", "split", "asn-lookup", "--items", "60000", "--mix", "mixed").inParts(),
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
	var table strings.Builder
	results := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	pairs := []struct{ name, client, server string }{
		{"Go asks Rust", ours, rust}, {"Rust asks Go", rust, ours}, {"Go asks Go", ours, ours},
	}
	transports := []string{"socket", "shm"}
	head := "answers verified\t\t"
	for _, pair := range pairs {
		for _, transport := range transports {
			head += pair.name + ", " + transport + "\t"
		}
	}
	fmt.Fprintln(results, head)
	for _, row := range interopRows {
		fmt.Fprintf(results, "%s\t%s\t", row.service, row.name)
		for _, pair := range pairs {
			for _, transport := range transports {
				cell := "-"
				if !row.socketsOnly || transport == "socket" {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", pair.name, transport, row.service, row.name), func(t *testing.T) {
						cell = "FAILED"
						items := play(t, pair.client, pair.server, row, transport)
						if !t.Failed() {
							cell = strconv.FormatFloat(items, 'f', 0, 64)
						}
					})
				}
				fmt.Fprintf(results, "%s\t", cell)
			}
		}
		fmt.Fprintln(results)
	}
	_ = results.Flush()
	fmt.Print(table.String())
}

// play has a client ask a server for a moment. It answers how many items were verified, or calls where
// these have no items.
func play(t *testing.T, clientPath, serverPath string, row interopRow, transport string) float64 {
	arguments := append(slices.Clip(row.arguments), "--transport", transport, "--run-dir", t.TempDir(),
		"--service", "interop", "--clients", "1")
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
	calls, requests := measured["calls"].(float64), measured["requests"].(float64)
	if row.split && requests <= calls {
		t.Errorf("%v calls took %v requests: nothing was split", calls, requests)
	}
	client.end(t)
	server.end(t)
	return max(calls, measured["items"].(float64))
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
