package sys

import (
	"math/bits"
	"runtime"
	"sync"
)

var performanceHz = sync.OnceValue(func() uint64 { return uint64(max(1, performanceFrequency())) })

// hostNow is the host's performance counter, which all processes share, in nanoseconds. Go's own clock may be
// read from one that ticks every few milliseconds here.
func hostNow() int64 {
	const perSecond = 1_000_000_000
	// Never negative, and never as much as 2^64 nanoseconds: it counts from the start of the host.
	high, low := bits.Mul64(uint64(performanceCounter()), perSecond)
	hz := performanceHz()
	nanoseconds, _ := bits.Div64(high%hz, low, hz)
	return int64(nanoseconds)
}

// severalCPUs tells whether the machine has more than one CPU.
var severalCPUs = sync.OnceValue(func() bool { return runtime.NumCPU() > 1 })

// yieldCPU lets other threads on this CPU run.
func yieldCPU() { switchToThread() }
