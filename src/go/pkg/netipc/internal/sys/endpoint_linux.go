package sys

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What stands at an endpoint's path, found out without disturbing it.
//
// The probe (spec section 6) looks at the entry's kind, then connects without blocking. A socket that
// refuses is asked again, because a live server refuses too between its bind and its listen: only one
// that refuses every time is stale.

const (
	// refusedRetries is how often a refusing socket is asked again before it counts as stale (spec
	// section 6).
	refusedRetries = 3
	// refusedPause is the contract's own pause before each of these.
	refusedPause = 50 * time.Millisecond
)

// InspectEndpoint looks at what stands at path, as a server does before it binds, and changes nothing.
//
// It takes 150 ms when the socket is stale (or between bind and listen); otherwise it does not wait. An
// error means that the path cannot name an endpoint, or that the system refused to look: nothing is
// known then.
func InspectEndpoint(path string) (Inspection, error) {
	if err := checkSocketPath(path); err != nil {
		return Inspection{}, err
	}
	found, err := probe(path)
	if err != nil {
		return Inspection{}, err
	}
	return found.Inspection, nil
}

// addressOf is the socket address of a path. One that begins with "@" would be taken for an abstract
// name.
func addressOf(path string) *unix.SockaddrUnix {
	if path[0] == '@' {
		path = "./" + path
	}
	return &unix.SockaddrUnix{Name: path}
}

// fileID tells one socket file from another that later stands at the same name.
//
// An inode number is reused as soon as its file is gone; its time of modification, which for a socket
// is that of its making, tells the two apart. (Renaming and linking leave it alone.)
type fileID struct {
	device, inode       uint64
	seconds, nanosecond int64
}

func idOf(stat *unix.Stat_t) fileID {
	// The fields' types differ between architectures.
	return fileID{
		device: uint64(stat.Dev), inode: uint64(stat.Ino),
		seconds: int64(stat.Mtim.Sec), nanosecond: int64(stat.Mtim.Nsec),
	}
}

// probed is what a probe found, and for EndpointStale the very file that refused.
type probed struct {
	Inspection
	refused fileID
}

// probe is the whole probe: one that is stale has refused for 150 ms.
func probe(path string) (probed, error) {
	for range refusedRetries {
		found, err := probeOnce(path)
		if err != nil || found.State != EndpointStale {
			return found, err
		}
		pause(refusedPause)
	}
	return probeOnce(path)
}

// pause waits out a time that the contract itself prescribes, where no event can tell.
func pause(length time.Duration) { <-time.After(length) }

// probeOnce is one look and one attempt to connect. An error means that nothing was found out.
func probeOnce(path string) (probed, error) {
	const operation = "examine an endpoint"
	id, err := entryAt(path)
	switch known := err.(type) {
	case nil:
	case *ForeignError:
		return probed{Inspection: Inspection{State: EndpointForeign, Kind: known.Kind}}, nil
	default:
		if err == unix.ENOENT {
			return probed{}, nil
		}
		return probed{}, refused(operation, err)
	}
	fd, err := packetSocket()
	if err != nil {
		return probed{}, refused(operation, err)
	}
	defer func() { _ = unix.Close(fd) }()
	switch err := unix.Connect(fd, addressOf(path)); err {
	case nil:
		found := probed{Inspection: Inspection{State: EndpointLive}}
		// Whose it is, is for those who look; that it lives is known all the same.
		found.Server, _ = peerIdentity(fd)
		return found, nil
	case unix.EAGAIN, unix.EINPROGRESS, unix.EINTR, unix.ETIMEDOUT:
		return probed{Inspection: Inspection{State: EndpointLive, Busy: true}}, nil
	case unix.ECONNREFUSED:
		return probed{Inspection: Inspection{State: EndpointStale}, refused: id}, nil
	case unix.ENOENT:
		return probed{}, nil
	case unix.EPROTOTYPE:
		return probed{Inspection: Inspection{State: EndpointForeign, Kind: EntryOtherSocket}}, nil
	case unix.EACCES, unix.EPERM:
		return probed{Inspection: Inspection{State: EndpointDenied}}, nil
	default:
		return probed{}, refused(operation, err)
	}
}

// entryAt is the socket file at path, links not followed. The errors are ForeignError for anything that
// is no socket, and the system's own: ENOENT for nothing.
func entryAt(path string) (fileID, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return fileID{}, err
	}
	if kind, isSocket := kindOf(&stat); !isSocket {
		return fileID{}, &ForeignError{Kind: kind}
	}
	return idOf(&stat), nil
}

func kindOf(stat *unix.Stat_t) (kind EntryKind, isSocket bool) {
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return EntryOtherSocket, true
	case unix.S_IFREG:
		return EntryRegularFile, false
	case unix.S_IFDIR:
		return EntryDirectory, false
	case unix.S_IFLNK:
		return EntrySymlink, false
	case unix.S_IFIFO:
		return EntryFifo, false
	case unix.S_IFCHR, unix.S_IFBLK:
		return EntryDevice, false
	}
	return EntryUnknown, false
}

// checkSocketPath tells whether path can be an endpoint's.
func checkSocketPath(path string) error {
	switch name := path[strings.LastIndexByte(path, '/')+1:]; {
	case name == "" || name == "." || name == "..":
		return ErrPathEmpty
	case strings.IndexByte(path, 0) >= 0:
		return ErrPathNul
	case len(path) > MaxSocketPathBytes:
		return ErrPathTooLong
	}
	return nil
}
