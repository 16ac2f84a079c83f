package sys

import (
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// hostEpoch is the host's monotonic clock at [epoch], in nanoseconds.
var hostEpoch = sync.OnceValue(func() int64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &at); err != nil {
		return 0
	}
	return at.Nano() - int64(time.Since(epoch))
})

// hostNow is the host's monotonic clock, which all processes share, in nanoseconds: Go's own, moved.
func hostNow() int64 { return hostEpoch() + int64(time.Since(epoch)) }

// onlineCPUs lists the CPUs of the machine, whichever of them this process may use.
const onlineCPUs = "/sys/devices/system/cpu/online"

// severalCPUs tells whether the machine has more than one CPU. Not whether this process may use more
// than one: one that is tied to a CPU still meets a peer on another.
var severalCPUs = sync.OnceValue(func() bool {
	list, err := os.ReadFile(onlineCPUs)
	// "0" is one CPU; "0-3" and "0,2" are several. Where nothing is known, looking may be tried.
	return err != nil || strings.ContainsAny(string(list), "-,")
})

// yieldCPU lets other threads on this CPU run. The scheduler is not told: for Go's own goroutines this is as
// if the kernel had passed this thread over by itself. Told, Go's monitor takes the processor away and wakes
// another thread to have it, on the CPU that the peer is to answer from.
func yieldCPU() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
