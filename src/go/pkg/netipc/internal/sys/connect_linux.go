package sys

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// backlogSlice is how long one attempt sleeps in the kernel when the server's backlog is full. No
// descriptor becomes ready when a place gets free, so the sleep is inside connect, where a free place
// wakes it and an abort does not: this is how late an abort is noticed.
const backlogSlice = 25 * time.Millisecond

// Connect connects to the endpoint at path.
//
// A server with room accepts at once, in the kernel, whether or not it is looking. When its backlog is
// full this waits as long as wait says; a deadline that has passed makes it one attempt that does not
// wait.
//
// A symbolic link at path is followed, as connect does: whoever could place it could place a socket of
// his own. Check [PacketChannel.Peer].
//
// The errors are those of a path, ErrNotFound, ErrRefused, ForeignError, ErrDenied, ErrBacklogFull,
// ErrAborted and SysError; the first attempt already tells all but ErrBacklogFull and ErrAborted.
func Connect(path string, wait *Wait) (*PacketChannel, error) {
	if err := checkSocketPath(path); err != nil {
		return nil, err
	}
	if wait.Ended() {
		return nil, ErrAborted
	}
	fd, err := packetSocket()
	if err != nil {
		return nil, refused("connect", err)
	}
	if err := connectTo(fd, path, wait); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	channel, err := newPacketChannel(fd)
	if err != nil {
		return nil, err
	}
	if err := channel.openParkers(); err != nil {
		_ = channel.Close()
		return nil, err
	}
	return channel, nil
}

func packetSocket() (int, error) {
	return unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
}

func connectTo(fd int, path string, wait *Wait) error {
	address := addressOf(path)
	err := unix.Connect(fd, address)
	if err == unix.EAGAIN || err == unix.EINTR {
		if err := unix.SetNonblock(fd, false); err != nil {
			return refused("connect", err)
		}
		for err == unix.EAGAIN || err == unix.EINTR {
			if wait.Ended() {
				return ErrAborted
			}
			slice := backlogSlice
			if left, ends := wait.Deadline.Remaining(); ends {
				slice = min(slice, left)
			}
			if slice < time.Microsecond {
				return ErrBacklogFull
			}
			timeout := unix.NsecToTimeval(int64(slice))
			if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout); err != nil {
				return refused("connect", err)
			}
			err = unix.Connect(fd, address)
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return refused("connect", err)
		}
	}
	return connectError(path, err)
}

// connectError says what the system's answer means. It refuses connections to what is no socket at all,
// too.
func connectError(path string, err error) error {
	switch err {
	case nil:
		return nil
	case unix.ENOENT:
		return ErrNotFound
	case unix.ECONNREFUSED:
		var foreign *ForeignError
		if _, err := entryAt(path); errors.As(err, &foreign) && foreign.Kind != EntrySymlink {
			return foreign
		}
		return ErrRefused
	case unix.EPROTOTYPE:
		return &ForeignError{Kind: EntryOtherSocket}
	case unix.EACCES, unix.EPERM:
		return ErrDenied
	}
	return refused("connect", err)
}
