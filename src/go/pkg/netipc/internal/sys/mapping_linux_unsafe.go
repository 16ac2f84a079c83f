//go:build linux

package sys

import (
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The file of a region can become shorter under its mapping, by a peer of the same user. Touching what is gone
// is a fault (SIGBUS), which would end the process; here it ends the session: every use of shared memory
// runs with faults turned into panics, which are caught where the use began.

// mapRegion maps the first length bytes of a file, shared.
func mapRegion(fd, length int) (mapping, error) {
	bytes, err := unix.Mmap(fd, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return mapping{}, err
	}
	return mapping{bytes: bytes, base: unsafe.Pointer(unsafe.SliceData(bytes))}, nil
}

func (m *mapping) unmap() {
	_ = unix.Munmap(m.bytes)
	*m = mapping{}
}

// copyHeader writes the header of a new region, which nobody else knows of yet.
func (m *mapping) copyHeader(header *regionHeader) { copy(m.bytes, header[:]) }

// addressable is what a fault's panic tells, beside an ordinary runtime error.
type addressable interface{ Addr() uintptr }

// errShortened is what a fault in shared memory means.
var errShortened = breach("its file became shorter")

// faults begins and ends a use of shared memory: faults are panics meanwhile.
//
//	defer catchFault(faults(), &err)
func faults() bool { return debug.SetPanicOnFault(true) }

// catchFault turns a fault in shared memory into an error, and lets every other panic pass.
func (m *mapping) catchFault(before bool, err *error) {
	debug.SetPanicOnFault(before)
	if p := recover(); p != nil {
		fault, known := p.(addressable)
		if known && fault.Addr()-uintptr(m.base) < uintptr(len(m.bytes)) || m.isCutOff() {
			*err = errShortened
			return
		}
		panic(p)
	}
}

// isCutOff asks the kernel, page by page, whether the memory is still there: emulators of other processors
// tell of a fault and not where it was.
func (m *mapping) isCutOff() bool {
	pageBytes := uintptr(os.Getpagesize())
	for at := uintptr(0); at < uintptr(len(m.bytes)); at += pageBytes {
		// A sleep of no length looks at the word, by a system call, which has no faults.
		if futexSleep(m.word32(at), 0, 1) == unix.EFAULT {
			return true
		}
	}
	return false
}

// Operations of futexes (linux/futex.h), of which the package unix has the calls' numbers alone.
const (
	futexWait        = 0
	futexWake        = 1
	futexPrivate     = 128
	futexSize32      = 2
	futexWakeOne     = 1
	futexWakeAll     = 1 << 30
	futexWaitvAtMost = 2
)

// futexSleep sleeps while word holds value, for at most so many nanoseconds; never a private futex: the
// waker is another process (spec section 7). The scheduler is told, so that other goroutines run on; this
// one keeps its thread.
func futexSleep(word *uint32, value uint32, nanoseconds int64) unix.Errno {
	most := unix.NsecToTimespec(nanoseconds)
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait,
		uintptr(value), uintptr(unsafe.Pointer(&most)), 0, 0)
	return errno
}

// futexHeldSleep is the same, and keeps Go's processor as well, as heldRecv does.
func futexHeldSleep(word *uint32, value uint32, nanoseconds int64) unix.Errno {
	most := unix.NsecToTimespec(nanoseconds)
	_, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait,
		uintptr(value), uintptr(unsafe.Pointer(&most)), 0, 0)
	return errno
}

// futexWakeUp wakes at most count sleepers. It never blocks, so the scheduler need not know.
func futexWakeUp(word *uint32, count uintptr) {
	_, _, _ = syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, count, 0, 0, 0)
}

func futexWakeOwn(word *atomic.Uint32) {
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake|futexPrivate,
		futexWakeAll, 0, 0, 0)
}

// futexWaiter is struct futex_waitv.
type futexWaiter struct {
	value, address uint64
	flags, _       uint32
}

// kernelTimespec is struct __kernel_timespec, 64 bits on every architecture.
type kernelTimespec struct{ seconds, nanoseconds int64 }

// futexSleepOnBoth sleeps while word holds value, and own, a word of this process, ownValue; until a
// moment of the monotonic clock, in nanoseconds, or for ever if that is zero. No peer can keep this
// process in it: it can take the wake-ups of the first word, and not of the second.
func futexSleepOnBoth(word *uint32, value uint32, own *atomic.Uint32, ownValue uint32, until int64) unix.Errno {
	waiters := [futexWaitvAtMost]futexWaiter{
		{value: uint64(value), address: uint64(uintptr(unsafe.Pointer(word))), flags: futexSize32},
		{value: uint64(ownValue), address: uint64(uintptr(unsafe.Pointer(own))), flags: futexSize32 | futexPrivate},
	}
	end := kernelTimespec{until / nanosecondsPerSecond, until % nanosecondsPerSecond}
	var timeout unsafe.Pointer
	if until != 0 {
		timeout = unsafe.Pointer(&end)
	}
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(&waiters)), uintptr(len(waiters)),
		0, uintptr(timeout), unix.CLOCK_MONOTONIC, 0)
	return errno
}
