//go:build !windows

package service_test

import (
	"os"
	"runtime/pprof"
	"syscall"
	"testing"
	"time"
)

// What this process uses of the system.

func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func threadCount(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return pprof.Lookup("threadcreate").Count()
	}
	return len(entries)
}

func raiseDescriptors(t testing.TB, needed uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if uint64(limit.Cur) >= needed {
		return
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) < needed {
		t.Fatalf("%d descriptors are needed, %d can be had: %v", needed, limit.Cur, err)
	}
}
