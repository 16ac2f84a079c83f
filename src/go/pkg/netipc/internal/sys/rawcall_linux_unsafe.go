//go:build linux

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of the hot path, made by hand: the standard library's allocate, or pass through
// Go's scheduler, which costs more than the call. All of them take numbers and byte slices only; a
// slice is kept alive by its appearing, as a pointer, in the call's own argument list.
//
// "Raw" calls do not tell the scheduler. They carry MSG_DONTWAIT, so they do not block; the one that does
// is for sleeps of some microseconds, in which the goroutine keeps its processor as if it computed. Every
// other one that blocks goes through entersyscall, so that other goroutines get the processor (see
// waiting_linux.go).

// largePacketBytes is from where on copying a packet takes so long (about 5 µs) that the scheduler
// should know of it.
const largePacketBytes = 64 << 10

// rawRecv receives without blocking. It returns the packet's real length (MSG_TRUNC), whatever fits.
//
//go:nosplit
func rawRecv(fd int, buffer []byte, flags uintptr) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)),
		flags|unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	return int(n), errno
}

// blockingRecv receives, sleeping in the kernel for at most the socket's SO_RCVTIMEO. The goroutine
// keeps its thread meanwhile.
func blockingRecv(fd int, buffer []byte) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)),
		unix.MSG_TRUNC, 0, 0)
	return int(n), errno
}

// heldRecv is the same, and keeps Go's processor as well. A signal ends it: so Go's monitor and collector get
// the goroutine to stop as soon as they would stop one that computes, or, where GODEBUG=asyncpreemptoff=1 keeps
// them from sending one, when the receive ends. Whoever calls it in a loop must pass a function's prologue in each
// turn: a loop of nothing but raw calls would stop the collector for ever.
func heldRecv(fd int, buffer []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)),
		unix.MSG_TRUNC, 0, 0)
	return int(n), errno
}

// rawSend sends one packet that lies in one piece, without blocking.
func rawSend(fd int, packet []byte) syscall.Errno {
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	data := unsafe.Pointer(unsafe.SliceData(packet))
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(data), uintptr(len(packet)), flags, 0, 0)
	return errno
}

// rawSendPieces sends one packet that lies in two pieces, neither empty, without blocking.
func rawSendPieces(fd int, head, body []byte) syscall.Errno {
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	var pieces [2]unix.Iovec
	pieces[0].Base = unsafe.SliceData(head)
	pieces[0].SetLen(len(head))
	pieces[1].Base = unsafe.SliceData(body)
	pieces[1].SetLen(len(body))
	var message unix.Msghdr
	message.Iov = &pieces[0]
	message.SetIovlen(len(pieces))
	if len(body) >= largePacketBytes {
		_, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), flags)
		return errno
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), flags)
	return errno
}
