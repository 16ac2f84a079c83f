//go:build windows

package sys

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

var procGetProcessHandleCount = kernel32.NewProc("GetProcessHandleCount")

// handleCount is how many handles this process has.
func handleCount() (int, error) {
	var count uint32
	done, _, errno := syscall.SyscallN(procGetProcessHandleCount.Addr(), uintptr(windows.CurrentProcess()),
		uintptr(unsafe.Pointer(&count)))
	if done == 0 {
		return 0, errno
	}
	return int(count), nil
}

var procGetHandleInformation = kernel32.NewProc("GetHandleInformation")

// isInherited tells whether children get a handle.
func isInherited(handle windows.Handle) (bool, error) {
	var flags uint32
	done, _, errno := syscall.SyscallN(procGetHandleInformation.Addr(), uintptr(handle), uintptr(unsafe.Pointer(&flags)))
	if done == 0 {
		return false, errno
	}
	return flags&windows.HANDLE_FLAG_INHERIT != 0, nil
}

var procPostQueuedCompletion = kernel32.NewProc("PostQueuedCompletionStatus")

// postStale tells the port of an operation whose record was at an address where there is none any more.
func postStale(port windows.Handle, number, address uintptr) error {
	done, _, errno := syscall.SyscallN(procPostQueuedCompletion.Addr(), uintptr(port), 0, number, address)
	if done == 0 {
		return errno
	}
	return nil
}

// freedAddress is an address in Go's heap at which there is nothing.
//
//go:noinline
func freedAddress() uintptr {
	const long = 1 << 20
	address := uintptr(unsafe.Pointer(unsafe.SliceData(make([]byte, long))))
	// The first collection finds that nobody has it, and the second that it was swept.
	runtime.GC()
	runtime.GC()
	return address
}
