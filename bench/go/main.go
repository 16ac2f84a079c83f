// Command netipc-bench-driver-go is the Go driver of the benchmark: it plays a server or a client of one
// scenario, says what it counted, and fails at the first answer that is wrong. bench/README.md says what
// each scenario sends, and what drivers and the runner say to each other.
//
// It is a user of netipc like any other: public names, default configuration but for the transport.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

// options are what both ends must be told, and what one of them is.
type options struct {
	scenario  string
	items     int
	bytes     int
	mix       string
	transport string
	runDir    string
	service   string
	cpus      string
	clients   int
	// current is the generation of answers that have one.
	current uint64
	// supported and preferred are profiles to offer; zero is what the transport needs.
	supported, preferred uint
	// packetBytes is the longest packet to propose at Level 1; zero is what the socket carries.
	packetBytes uint

	// A server's.
	workers    int
	wrongAfter uint64
	// after is a word to wait for before anything else.
	after string

	// A client's.
	rate    string
	seconds float64
	warmUp  float64
	turns   uint64
	// One that endures: how long a call may take, and the pause between two.
	timeoutMs, restUs uint64
}

// scenarios are those that this driver plays.
var scenarios = []string{
	"ping-level1", "ping-level2", "reverse", "reverse-batch", "batch", "pipeline", "pipeline-batch",
	"pipeline-reverse", "pipeline-snapshot", "pipeline-cgroups-lookup", "pipeline-apps-lookup", "pipeline-asn-lookup",
	"snapshot", "snapshot-changing", "fetch", "cache", "cache-load", "cgroups-lookup", "apps-lookup", "asn-lookup",
	"codec-cgroups-lookup", "codec-apps-lookup", "idle",
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "netipc-bench-driver-go:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("say scenarios, server, client, check or endure")
	}
	if arguments[0] == "scenarios" {
		for _, scenario := range scenarios {
			fmt.Println(scenario)
		}
		return nil
	}
	var o options
	flags := flag.NewFlagSet(arguments[0], flag.ExitOnError)
	flags.StringVar(&o.scenario, "scenario", "", "what to ask or answer")
	flags.IntVar(&o.items, "items", 1, "items of a snapshot, keys of a lookup, most items of a batch")
	flags.IntVar(&o.bytes, "bytes", 0, "bytes of a string to reverse, and of the long name in mix long")
	flags.StringVar(&o.mix, "mix", "known", "what keys ask for: known, plain, unknown, mixed, long")
	flags.StringVar(&o.transport, "transport", "", "socket, shm or process")
	flags.StringVar(&o.runDir, "run-dir", "", "the directory of the sockets")
	flags.StringVar(&o.service, "service", "", "the endpoint's name")
	flags.StringVar(&o.cpus, "cpus", "", "the CPUs to run on; any unless given")
	flags.IntVar(&o.clients, "clients", 1, "clients, each with a session of its own")
	flags.IntVar(&o.workers, "workers", 0, "handlers that run at a time; 0 is the library's default")
	flags.Uint64Var(&o.wrongAfter, "wrong-after", math.MaxUint64, "answer wrongly from so many requests on")
	flags.StringVar(&o.rate, "rate", "max", "calls a second of all clients together, or max")
	flags.Float64Var(&o.seconds, "seconds", 1, "how long to measure")
	flags.Float64Var(&o.warmUp, "warmup-seconds", 0, "how long to call before")
	flags.Uint64Var(&o.current, "generation", generation, "what answers carry that have a generation")
	flags.UintVar(&o.supported, "supported", 0, "profiles to offer; 0 is what the transport needs")
	flags.UintVar(&o.preferred, "preferred", 0, "those of them to rather use; 0 is all")
	flags.UintVar(&o.packetBytes, "packet-bytes", 0, "the longest packet to propose at Level 1; 0 is what the socket carries")
	flags.Uint64Var(&o.turns, "turns", 1, `check: turns for each "go"`)
	flags.StringVar(&o.after, "after", "", "server: wait for this word before anything else")
	flags.Uint64Var(&o.timeoutMs, "timeout-ms", 30_000, "endure: how long a call may take")
	flags.Uint64Var(&o.restUs, "rest-us", 0, "endure: the pause between two calls")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	if err := settle(o.cpus); err != nil {
		return err
	}
	switch arguments[0] {
	case "server":
		return serve(&o)
	case "client":
		return call(&o)
	case "check":
		return check(&o)
	case "endure":
		return endure(&o)
	}
	return fmt.Errorf("say scenarios, server, client, check or endure, not %s", arguments[0])
}

func (o *options) endpoint() (service.Endpoint, error) {
	return service.NewEndpoint(o.runDir, o.service)
}

// profiles are what this end offers, and what of it it would rather use.
func (o *options) profiles() (supported, preferred protocol.Profiles) {
	supported = protocol.ProfilesBaseline
	if o.transport == "shm" {
		supported |= protocol.ProfilesShmHybrid
	}
	if o.supported != 0 {
		supported = protocol.Profiles(o.supported)
	}
	if o.preferred != 0 {
		return supported, protocol.Profiles(o.preferred)
	}
	return supported, supported
}

// checkSelected: a row says which transport it measured, and another one must not be in its place.
func (o *options) checkSelected(selected protocol.Profile) error {
	wanted := protocol.ProfileBaseline
	if o.transport == "shm" {
		wanted = protocol.ProfileShmHybrid
	}
	if selected != wanted {
		return fmt.Errorf("asked for %v, but the session has %v", wanted, selected)
	}
	return nil
}

// perClient is the rate of one client; zero for as fast as it goes.
func (o *options) perClient() (float64, error) {
	if o.rate == "max" {
		return 0, nil
	}
	rate, err := strconv.ParseFloat(o.rate, 64)
	if err != nil || !(rate > 0) || math.IsInf(rate, 0) {
		return 0, fmt.Errorf("say max, or how many calls a second")
	}
	return rate / float64(o.clients), nil
}

func wrong(what string, expected, answered uint64) error {
	return fmt.Errorf("wrong answer to %s: %d instead of %d", what, answered, expected)
}
