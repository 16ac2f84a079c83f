//go:build windows

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// The system calls that golang.org/x/sys/windows does not have, or not so that they allocate nothing. All of
// them take numbers, handles and pointers that appear in the call's own argument list, which keeps alive and in
// place what they point to until the call returns. What an overlapped operation goes on using after that is
// kept by its record (operation_windows.go).

var (
	kernel32                  = windows.NewLazySystemDLL("kernel32.dll")
	procGetOverlappedResult   = kernel32.NewProc("GetOverlappedResult")
	procGetQueuedCompletion   = kernel32.NewProc("GetQueuedCompletionStatus")
	procOpenFileMapping       = kernel32.NewProc("OpenFileMappingW")
	procPeekNamedPipe         = kernel32.NewProc("PeekNamedPipe")
	procQueryPerfCounter      = kernel32.NewProc("QueryPerformanceCounter")
	procQueryPerfFrequency    = kernel32.NewProc("QueryPerformanceFrequency")
	procSwitchToThread        = kernel32.NewProc("SwitchToThread")
	procWaitForMultipleObject = kernel32.NewProc("WaitForMultipleObjects")
	procWaitNamedPipe         = kernel32.NewProc("WaitNamedPipeW")
)

// peekPipe is how many bytes there are to read from a pipe.
func peekPipe(pipe windows.Handle) (available uint32, errno syscall.Errno) {
	done, _, errno := syscall.SyscallN(procPeekNamedPipe.Addr(), uintptr(pipe), 0, 0, 0,
		uintptr(unsafe.Pointer(&available)), 0)
	if done != 0 {
		errno = 0
	}
	return available, errno
}

// waitPipe waits until an instance of a pipe is free, for so many milliseconds at most.
func waitPipe(name *uint16, milliseconds uint32) syscall.Errno {
	done, _, errno := syscall.SyscallN(procWaitNamedPipe.Addr(), uintptr(unsafe.Pointer(name)), uintptr(milliseconds))
	if done != 0 {
		return 0
	}
	return errno
}

// waitAny waits until one of the handles is set, for so many milliseconds at most.
func waitAny(handles []windows.Handle, milliseconds uint32) syscall.Errno {
	woken, _, errno := syscall.SyscallN(procWaitForMultipleObject.Addr(), uintptr(len(handles)),
		uintptr(unsafe.Pointer(unsafe.SliceData(handles))), 0, uintptr(milliseconds))
	if uint32(woken) == windows.WAIT_FAILED {
		return errno
	}
	return 0
}

// resultOf is what the record of an operation that has ended says. No handle is looked at.
func resultOf(record *windows.Overlapped) (bytes uint32, errno syscall.Errno) {
	done, _, errno := syscall.SyscallN(procGetOverlappedResult.Addr(), 0,
		uintptr(unsafe.Pointer(record)), uintptr(unsafe.Pointer(&bytes)), 0)
	if done != 0 {
		errno = 0
	}
	return bytes, errno
}

// nextCompletion sleeps until an operation has ended on a file that the port knows by number. An error is the
// port's own; how the operation ended is in its record.
func nextCompletion(port windows.Handle) (number uintptr, errno syscall.Errno) {
	var bytes uint32
	// A number: the record may be gone by now, and a pointer to what Go's collector has freed would end the process.
	var record uintptr
	done, _, errno := syscall.SyscallN(procGetQueuedCompletion.Addr(), uintptr(port), uintptr(unsafe.Pointer(&bytes)),
		uintptr(unsafe.Pointer(&number)), uintptr(unsafe.Pointer(&record)), windows.INFINITE)
	if done != 0 || record != 0 {
		errno = 0
	}
	return number, errno
}

// openMapping opens a mapping that has a name.
func openMapping(access uint32, name *uint16) (windows.Handle, syscall.Errno) {
	handle, _, errno := syscall.SyscallN(procOpenFileMapping.Addr(), uintptr(access), 0, uintptr(unsafe.Pointer(name)))
	return windows.Handle(handle), errno
}

// performanceCounter and performanceFrequency never fail.
func performanceCounter() (ticks int64) {
	_, _, _ = syscall.SyscallN(procQueryPerfCounter.Addr(), uintptr(unsafe.Pointer(&ticks)))
	return ticks
}

func performanceFrequency() (hz int64) {
	_, _, _ = syscall.SyscallN(procQueryPerfFrequency.Addr(), uintptr(unsafe.Pointer(&hz)))
	return hz
}

// switchToThread lets another thread of this CPU run, if one can.
func switchToThread() { _, _, _ = syscall.SyscallN(procSwitchToThread.Addr()) }

// attributesOf has the system make things that only those may open whom the descriptor admits, and that
// children do not inherit.
func attributesOf(descriptor *windows.SECURITY_DESCRIPTOR) *windows.SecurityAttributes {
	attributes := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	attributes.Length = uint32(unsafe.Sizeof(*attributes))
	return attributes
}

// mapSection maps all of a section of the page file, and answers what has memory of it, from its start. A section that
// another process has made may be reserved alone: touching what has no memory would end this process.
func mapSection(section windows.Handle) (mapping, error) {
	address, err := windows.MapViewOfFile(section, windows.FILE_MAP_READ|windows.FILE_MAP_WRITE, 0, 0, 0)
	if err != nil {
		return mapping{}, err
	}
	var about windows.MemoryBasicInformation
	if err := windows.VirtualQuery(address, &about, unsafe.Sizeof(about)); err != nil {
		_ = windows.UnmapViewOfFile(address)
		return mapping{}, err
	}
	length := about.RegionSize
	if about.State != windows.MEM_COMMIT {
		length = 0
	}
	// The address of memory that is not Go's, of which the collector knows nothing.
	base := *(*unsafe.Pointer)(unsafe.Pointer(&address))
	return mapping{bytes: unsafe.Slice((*byte)(base), length), base: base}, nil
}

func (m *mapping) unmap() {
	_ = windows.UnmapViewOfFile(uintptr(m.base))
	*m = mapping{}
}
