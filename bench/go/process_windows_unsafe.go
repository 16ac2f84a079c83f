//go:build windows

package main

import (
	"fmt"
	"math/bits"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	kernel32                          = windows.NewLazySystemDLL("kernel32.dll")
	procGetProcessMemoryInfo          = kernel32.NewProc("K32GetProcessMemoryInfo")
	procQueryPerfCounter              = kernel32.NewProc("QueryPerformanceCounter")
	procQueryPerfFrequency            = kernel32.NewProc("QueryPerformanceFrequency")
	procSetProcessAffinityMask        = kernel32.NewProc("SetProcessAffinityMask")
	counterHz                         = max(1, query(procQueryPerfFrequency))
	ticksOf100Ns               uint64 = 100
)

// settle keeps the process to these CPUs.
func settle(cpus string) error {
	if cpus == "" {
		return nil
	}
	numbers, err := cpuNumbers(cpus)
	if err != nil {
		return err
	}
	var mask uintptr
	for _, cpu := range numbers {
		mask |= 1 << cpu
	}
	done, _, errno := syscall.SyscallN(procSetProcessAffinityMask.Addr(), uintptr(windows.CurrentProcess()), mask)
	if done == 0 {
		return fmt.Errorf("pin: %w", errno)
	}
	return nil
}

// cpuNs is the CPU time of all threads of this process so far.
func cpuNs() uint64 {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user); err != nil {
		return 0
	}
	return (ticks(kernel) + ticks(user)) * ticksOf100Ns
}

func ticks(t windows.Filetime) uint64 { return uint64(t.HighDateTime)<<32 | uint64(t.LowDateTime) }

// monotonicNs is the clock that restUntil goes by.
func monotonicNs() uint64 {
	const perSecond = 1_000_000_000
	high, low := bits.Mul64(query(procQueryPerfCounter), perSecond)
	nanoseconds, _ := bits.Div64(high%counterHz, low, counterHz)
	return nanoseconds
}

func query(what *windows.LazyProc) (value uint64) {
	_, _, _ = syscall.SyscallN(what.Addr(), uintptr(unsafe.Pointer(&value)))
	return value
}

// restUntil rests in the kernel until monotonicNs is atNs, or a little longer. It never spins.
func restUntil(atNs uint64) {
	for now := monotonicNs(); now < atNs; now = monotonicNs() {
		time.Sleep(time.Duration(atNs - now))
	}
}

// memoryCounters is PROCESS_MEMORY_COUNTERS.
type memoryCounters struct {
	size, pageFaults                   uint32
	peakWorkingSet, workingSet         uintptr
	_, _, _, _, pageFile, peakPageFile uintptr
}

// rssKib is the resident memory of this process; 0 where the system does not tell.
func rssKib() uint64 {
	var counters memoryCounters
	counters.size = uint32(unsafe.Sizeof(counters))
	done, _, _ := syscall.SyscallN(procGetProcessMemoryInfo.Addr(), uintptr(windows.CurrentProcess()),
		uintptr(unsafe.Pointer(&counters)), uintptr(counters.size))
	if done == 0 {
		return 0
	}
	const bytesPerKib = 1024
	return uint64(counters.workingSet) / bytesPerKib
}
