package service_test

import (
	"runtime/pprof"
	"syscall"
	"testing"
	"time"
)

// What this process uses of the system.

func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	own, err := syscall.GetCurrentProcess()
	if err != nil {
		t.Fatal(err)
	}
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(own, &created, &exited, &kernel, &user); err != nil {
		t.Fatal(err)
	}
	const tick = 100 * time.Nanosecond
	ticks := func(t syscall.Filetime) int64 { return int64(t.HighDateTime)<<32 | int64(t.LowDateTime) }
	return time.Duration(ticks(kernel)+ticks(user)) * tick
}

// threadCount counts those that Go has made, of which it ends hardly any.
func threadCount(testing.TB) int { return pprof.Lookup("threadcreate").Count() }

// raiseDescriptors: handles have no limit that matters here.
func raiseDescriptors(testing.TB, uint64) {}
