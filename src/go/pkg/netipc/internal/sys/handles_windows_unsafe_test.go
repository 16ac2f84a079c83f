//go:build windows

package sys

import (
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
