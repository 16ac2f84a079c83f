package sys

import (
	"errors"
	"fmt"
	"syscall"
)

// What can end any call that waits, and what a peer can do to it.
var (
	// ErrAborted: the abort handle is set, or the wait was cancelled.
	ErrAborted = errors.New("aborted by this side")
	// ErrTimedOut: the deadline passed.
	ErrTimedOut = errors.New("timed out")
	// ErrClosed: the peer closed its end (or sent an empty packet, which means the same), and every
	// packet that it had sent has been received; or this side closed.
	ErrClosed = errors.New("the connection is closed")
	// ErrPeerGone: the peer closed its end; nothing was sent. A last answer may still be there to
	// receive (spec section 6).
	ErrPeerGone = errors.New("the peer closed the connection")
	// ErrUnsupported: this platform has no transport yet.
	ErrUnsupported = errors.New("netipc has no transport for this platform yet: Linux and Windows only")
)

// SysError: the operating system refused an operation.
type SysError struct {
	// Operation is what was tried, as the end of "refused to …".
	Operation string
	// Code is the system's error number.
	Code syscall.Errno
}

func (e *SysError) Error() string {
	return "the operating system refused to " + e.Operation + ": " + e.Code.Error()
}

// Unwrap is the system's own error, for errors.Is.
func (e *SysError) Unwrap() error { return e.Code }

// refused names the operation that an error number belongs to.
func refused(operation string, err error) *SysError {
	errno, ok := err.(syscall.Errno)
	if !ok {
		errno = syscall.EIO
	}
	return &SysError{Operation: operation, Code: errno}
}

// PacketTooLongError: the packet is longer than the channel carries; nothing was sent.
type PacketTooLongError struct {
	// Len is the bytes given, Max those that fit.
	Len, Max int
}

func (e *PacketTooLongError) Error() string {
	return fmt.Sprintf("a packet of %d bytes is longer than the %d that the socket carries: "+
		"lower the packet size", e.Len, e.Max)
}

// Why a path cannot name an endpoint. The path is at fault, whatever is there.
var (
	// ErrPathEmpty: no file name in it.
	ErrPathEmpty = errors.New("the endpoint's path names no file")
	// ErrPathNul: it holds a NUL byte.
	ErrPathNul = errors.New("the endpoint's path holds a NUL byte")
	// ErrPathTooLong: longer than a socket address holds.
	ErrPathTooLong = errors.New("the endpoint's path is too long: use a shorter run directory or " +
		"service name")
)

// EntryKind is what stands at a path where an endpoint was expected.
type EntryKind uint8

// The kinds.
const (
	// EntryUnknown is something this library has no name for.
	EntryUnknown EntryKind = iota
	// EntryRegularFile is a regular file.
	EntryRegularFile
	// EntryDirectory is a directory.
	EntryDirectory
	// EntrySymlink is a symbolic link, wherever it leads.
	EntrySymlink
	// EntryFifo is a named pipe.
	EntryFifo
	// EntryDevice is a block or character device.
	EntryDevice
	// EntryOtherSocket is a live socket that is not a packet socket.
	EntryOtherSocket
)

func (k EntryKind) String() string {
	switch k {
	case EntryRegularFile:
		return "a regular file"
	case EntryDirectory:
		return "a directory"
	case EntrySymlink:
		return "a symbolic link"
	case EntryFifo:
		return "a named pipe"
	case EntryDevice:
		return "a device"
	case EntryOtherSocket:
		return "a socket of another type"
	}
	return "an unknown kind of file"
}

// Why no connection was made, beside paths, [ErrTimedOut], [ErrAborted] and [SysError].
var (
	// ErrNotFound: nothing is at the path: the provider is not there (yet).
	ErrNotFound = errors.New("no endpoint at this path: the provider is not running")
	// ErrRefused: a socket is there and nobody listens on it: left by a dead server, or one about to
	// listen.
	ErrRefused = errors.New("nobody listens on the endpoint: its provider is gone, or still starting")
	// ErrDenied: this process may not connect: the socket's mode or a directory above it forbids it.
	ErrDenied = errors.New("permission denied: this user may not use the endpoint")
	// ErrBacklogFull: the server's backlog stayed full until the deadline; it is an [ErrTimedOut] too.
	ErrBacklogFull = fmt.Errorf("%w: the provider accepts nobody (its backlog is full)", ErrTimedOut)
)

// ForeignError: something that is not an endpoint is at the endpoint's path.
type ForeignError struct {
	// Kind is what it is.
	Kind EntryKind
}

func (e *ForeignError) Error() string {
	return e.Kind.String() + " is at the endpoint's path: remove it, or use another run directory"
}

// Why an endpoint could not be bound, beside paths and [SysError]. Nothing of another's was removed,
// nothing of ours is left.
var (
	// ErrInUse is what every [InUseError] is.
	ErrInUse = errors.New("address in use")
	// ErrNoDirectory: the run directory does not exist.
	ErrNoDirectory = errors.New("the run directory does not exist: create it before the server starts")
)

// Holder is who or what keeps a name from being bound.
type Holder uint8

// The holders.
const (
	// HolderLiveServer: a server that answers, or did so at the last moment.
	HolderLiveServer Holder = iota
	// HolderLock: a server that holds the endpoint's lock: it owns the endpoint, is starting, or is
	// stopping.
	HolderLock
	// HolderForeign: something that is not ours to remove.
	HolderForeign
	// HolderAnotherUser: a socket that this user may not even connect to, or a lock of another user's,
	// who could keep the service from starting at any time. That holds for root as well.
	HolderAnotherUser
	// HolderUnknown: the name is taken and could not be looked at: it is kept.
	HolderUnknown
)

// InUseError: address in use.
type InUseError struct {
	// Path is the entry in the way, which may be the lock.
	Path string
	// By is what it is.
	By Holder
	// Kind is what stands there, for HolderForeign.
	Kind EntryKind
	// Err is why it could not be looked at, for HolderUnknown.
	Err error
}

func (e *InUseError) Error() string {
	text := "address in use: " + e.Path + ": "
	switch e.By {
	case HolderLiveServer:
		return text + "a live server owns it"
	case HolderLock:
		return text + "another server holds this lock"
	case HolderForeign:
		return text + e.Kind.String() + " is there and is left alone: remove it, or use another run directory"
	case HolderAnotherUser:
		return text + "it belongs to another user"
	}
	return text + fmt.Sprintf("it could not be examined (%v)", e.Err)
}

// Is makes errors.Is find [ErrInUse].
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// Unwrap is why the name could not be looked at, if so.
func (e *InUseError) Unwrap() error { return e.Err }

// BindDeniedError: this user may not do this in the run directory.
type BindDeniedError struct {
	// Operation is what was tried, as the end of "may not …".
	Operation string
}

func (e *BindDeniedError) Error() string {
	return "permission denied: this user may not " + e.Operation + " in the run directory"
}

// NoHardLinksError: endpoints are published by hard links, which the run directory's file system has
// not.
type NoHardLinksError struct {
	// Path is the endpoint that could not be published.
	Path string
}

func (e *NoHardLinksError) Error() string {
	return "the file system of " + e.Path + " has no hard links, by which endpoints are published: " +
		"use a run directory on another, such as tmpfs under /run"
}

// ExhaustedError: no descriptor or memory for another client, who keeps waiting in the backlog.
type ExhaustedError struct {
	// Err is what the system said.
	Err *SysError
}

func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("no room for another client (%v): close sessions, or raise the limit of open files",
		e.Err)
}

// Unwrap is what the system said.
func (e *ExhaustedError) Unwrap() error { return e.Err }
