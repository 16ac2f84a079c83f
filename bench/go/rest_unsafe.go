//go:build linux

package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// restUntil rests in the kernel until monotonicNs is atNs. It never spins. Go's scheduler is not told: what it
// does about a thread that sleeps, which costs as much as the call that is measured, is none of netipc's.
func restUntil(atNs uint64) {
	at := unix.NsecToTimespec(int64(atNs))
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME,
			uintptr(unsafe.Pointer(&at)), 0, 0, 0)
		if errno != unix.EINTR {
			return
		}
	}
}
