//go:build linux

package transport

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkPingPong calls increment in another process. Where this one runs, and so where the other, is
// for taskset; NETIPC_TEST_SERVER_CPUS ties the server to others.
func BenchmarkPingPong(b *testing.B) {
	endpoint := newEndpoint(b)
	var prefix []string
	if cpus := os.Getenv("NETIPC_TEST_SERVER_CPUS"); cpus != "" {
		if _, err := exec.LookPath("taskset"); err != nil {
			b.Skip("no taskset")
		}
		prefix = []string{"taskset", "-c", cpus}
	}
	server := start(b, "server", endpoint, prefix...)
	calls := newCounter(connectSoon(b, endpoint, Proposal{
		SupportedProfiles: profilesFromEnv(), PreferredProfiles: profilesFromEnv(),
	}))
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuOf(b, server.Process.Pid) + cpuOf(b, os.Getpid())
	for range b.N {
		if err := calls.call(within(soon)); err != nil {
			b.Fatal(err)
		}
	}
	spent := cpuOf(b, server.Process.Pid) + cpuOf(b, os.Getpid()) - before
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(spent)/float64(b.N), "cpu-ns/call")
}

// cpuOf is the CPU time of a process so far, in nanoseconds.
func cpuOf(b *testing.B, pid int) (nanoseconds int64) {
	b.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		var of int64
		if text, err := os.ReadFile(file); err == nil {
			_, _ = fmt.Sscan(string(text), &of)
		}
		nanoseconds += of
	}
	return nanoseconds
}
