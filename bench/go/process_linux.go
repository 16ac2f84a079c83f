package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

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
		numbers, err := cpuNumbers(cpus)
		if err != nil {
			return err
		}
		for _, cpu := range numbers {
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

// started is a reading of Go's clock, and startedNs one of the clock that restUntil goes by at that moment: the
// two are one clock, of which Go shows differences alone.
var started, startedNs = time.Now(), clockNs(unix.CLOCK_MONOTONIC)

// monotonicNs is the clock that restUntil goes by. It is read as Go reads its own: asked by a system call it tells
// Go's scheduler of one, who wakes its monitor for that, twice a call that is measured.
func monotonicNs() uint64 { return startedNs + uint64(time.Since(started)) }

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
