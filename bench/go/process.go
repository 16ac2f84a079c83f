package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// settledEnv marks a process that keeps to its CPUs already.
const settledEnv = "NETIPC_BENCH_SETTLED"

// settle keeps the process to these CPUs, and wakes it up when asked to and not up to 50 µs later, as is
// the default. The runtime has threads by now, and has counted CPUs: so the process starts anew, and both
// are inherited.
func settle(cpus string) error {
	if os.Getenv(settledEnv) != "" {
		return nil
	}
	// Both are of this thread, and it is this thread that has to start anew.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set the timer slack: %w", err)
	}
	if cpus != "" {
		var set unix.CPUSet
		for _, text := range strings.Split(cpus, ",") {
			cpu, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("there is no CPU %s", text)
			}
			set.Set(cpu)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pin: %w", err)
		}
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(path, os.Args, append(os.Environ(), settledEnv+"=1"))
}

// cpuNs is the CPU time of all threads of this process so far.
func cpuNs() uint64 { return clockNs(unix.CLOCK_PROCESS_CPUTIME_ID) }

// monotonicNs is the clock that restUntil goes by.
func monotonicNs() uint64 { return clockNs(unix.CLOCK_MONOTONIC) }

func clockNs(clock int32) uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return 0
	}
	return uint64(now.Nano())
}

// rssKib is the resident memory of this process; 0 where the system does not tell.
func rssKib() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return kib
		}
	}
	return 0
}

// line is what a driver says to the runner.
type line struct {
	Event   string  `json:"event"`
	Handled *uint64 `json:"handled,omitempty"`
	CPUNs   *uint64 `json:"cpu_ns,omitempty"`
	RSSKib  *uint64 `json:"rss_kib,omitempty"`
	*checked
	*measured
}

// checked is what a client verified.
type checked struct {
	Calls    uint64 `json:"calls"`
	Requests uint64 `json:"requests"`
	Items    uint64 `json:"items"`
	Lost     uint64 `json:"lost"`
}

// measured is what a client measured between "go" and the last answer, beside what it verified.
type measured struct {
	Seconds     float64 `json:"seconds"`
	P50Ns       float64 `json:"p50_ns"`
	P95Ns       float64 `json:"p95_ns"`
	P99Ns       float64 `json:"p99_ns"`
	P999Ns      float64 `json:"p999_ns"`
	MaxNs       float64 `json:"max_ns"`
	Timed       uint64  `json:"timed"`
	AgreedBytes uint64  `json:"agreed_bytes"`
}

var saying sync.Mutex

// say says one line to the runner.
func say(l line) error {
	saying.Lock()
	defer saying.Unlock()
	return json.NewEncoder(os.Stdout).Encode(l)
}

var words = bufio.NewScanner(os.Stdin)

// hear is the next word of the runner; false when it wants no more.
func hear() (string, bool) {
	if !words.Scan() {
		return "", false
	}
	return strings.TrimSpace(words.Text()), true
}
