package sys

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// attachPatience is how long a region that is missing, or shorter than it says, is waited for.
	// Servers make it before they tell of it; this is for one that has just removed it, which closes the
	// socket as well.
	attachPatience = 250 * time.Millisecond
	// attachPause is the pause between two looks: no event tells of a file that comes to be.
	attachPause = 10 * time.Millisecond
)

// AttachRegion attaches to the region at path, for a client, after the server has told of it. It must be
// a regular file of the user ownerUID, the session's peer, and no link. One that is missing or short is
// waited for, for 250 ms, as long as wait says, and while socket is open.
//
// The errors are RegionDefect, ErrDenied, ErrAborted, ErrTimedOut and SysError.
func AttachRegion(
	path string, sizes RegionSizes, ownerUID uint32, socket *PacketChannel, wait *Wait,
) (*RegionChannel, error) {
	patience := wait.Deadline.Earlier(After(attachPatience))
	for {
		r, err := attachOnce(path, sizes, ownerUID)
		var defect *RegionDefect
		if err == nil || !errors.As(err, &defect) || !defect.NotReady() {
			return r, err
		}
		pause := *wait
		pause.Deadline = patience.Earlier(After(attachPause))
		switch slept := socket.WaitReadable(&pause); {
		case slept == ErrTimedOut && wait.Deadline.HasPassed():
			return nil, ErrTimedOut
		case slept == ErrTimedOut && !patience.HasPassed():
		case slept == nil, slept == ErrTimedOut, slept == ErrClosed:
			// The server has left, or never had it.
			return nil, err
		default:
			return nil, slept
		}
	}
}

func attachOnce(path string, sizes RegionSizes, ownerUID uint32) (*RegionChannel, error) {
	// Without waiting and without a terminal, whatever it turns out to be.
	const flags = unix.O_RDWR | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY
	fd, err := unix.Open(path, flags, 0)
	if err != nil {
		return nil, notOpened(err)
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, refused("examine a region", err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		kind, _ := kindOf(&stat)
		return nil, defective("is %v", kind)
	}
	if stat.Uid != ownerUID {
		return nil, defective("belongs to user %d, and the server runs as %d", stat.Uid, ownerUID)
	}
	// Read, not mapped: what is checked is what is used, whatever the peer writes meanwhile.
	header, whole, err := readRegionHeader(fd)
	if err != nil {
		return nil, refused("read a region's header", err)
	}
	if !whole {
		return nil, notReady("has a file of %d bytes, shorter than its header", stat.Size)
	}
	l, defect := header.check(sizes, uint64(max(0, stat.Size)))
	if defect != nil {
		return nil, defect
	}
	m, err := mapRegion(fd, int(l.bytes()))
	if err != nil {
		return nil, refused("map a region", err)
	}
	r := newRegionChannel(m, l, nil)
	if err := r.adopt(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func notOpened(err error) error {
	switch err {
	case unix.ENOENT:
		return notReady("is not there")
	case unix.ELOOP:
		return defective("is %v", EntrySymlink)
	case unix.EISDIR:
		return defective("is %v", EntryDirectory)
	case unix.ENXIO, unix.ENODEV:
		return defective("is %v", EntryUnknown)
	case unix.EACCES, unix.EPERM:
		return ErrDenied
	}
	return refused("open a region", err)
}

// readRegionHeader reads the header of a region's file, as it is now; false if the file is shorter.
func readRegionHeader(fd int) (header regionHeader, whole bool, err error) {
	for filled := 0; filled < len(header); {
		n, err := unix.Pread(fd, header[filled:], int64(filled))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return header, false, err
		case n == 0:
			return header, false, nil
		default:
			filled += n
		}
	}
	return header, true, nil
}
