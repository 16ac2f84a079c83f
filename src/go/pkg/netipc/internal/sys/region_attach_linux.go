package sys

import "golang.org/x/sys/unix"

// attachOnce is one look at what has the region's name.
func attachOnce(name RegionName, sizes RegionSizes, ownerUID uint32) (*RegionChannel, error) {
	// Without waiting and without a terminal, whatever it turns out to be.
	const flags = unix.O_RDWR | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY
	fd, err := unix.Open(name.Path, flags, 0)
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
	r := newRegionChannel(m, l, false, bell{})
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
