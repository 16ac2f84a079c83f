package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// cpuNumbers are those of a list like "0,2".
func cpuNumbers(list string) ([]int, error) {
	var numbers []int
	for _, text := range strings.Split(list, ",") {
		cpu, err := strconv.Atoi(text)
		if err != nil || cpu < 0 {
			return nil, fmt.Errorf("there is no CPU %s", text)
		}
		numbers = append(numbers, cpu)
	}
	return numbers, nil
}

// line is what a driver says to the runner.
type line struct {
	Event   string  `json:"event"`
	Handled *uint64 `json:"handled,omitempty"`
	CPUNs   *uint64 `json:"cpu_ns,omitempty"`
	RSSKib  *uint64 `json:"rss_kib,omitempty"`
	*checked
	*measured
	*endured
	*counts
}

// counts is what a server counted of clients that it did not serve.
type counts struct {
	RefusedHandshakes uint64 `json:"refused_handshakes"`
	AuthFailed        uint64 `json:"auth_failed"`
	DeclinedRequests  uint64 `json:"declined_requests"`
	EndedSessions     uint64 `json:"ended_sessions"`
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
