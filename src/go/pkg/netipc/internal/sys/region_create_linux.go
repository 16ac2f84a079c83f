package sys

import (
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// regionMode is read and write for its owner, nothing for anybody else.
	regionMode = 0o600
	// clearings is how often a name is cleared of what dead servers left before it counts as taken.
	clearings = 3
)

// ownEntry is the directory entry of a region that this process made.
type ownEntry struct {
	path          string
	device, inode uint64
	// removed: looking whose the name is and unlinking it are two steps, so a second one who does that could unlink a
	// successor's.
	removed sync.Once
}

// remove removes the entry, once, unless another file has taken its name by now. As long as the file is mapped,
// no other has its number.
func (e *ownEntry) remove() {
	e.removed.Do(func() {
		var stat unix.Stat_t
		if unix.Lstat(e.path, &stat) == nil && uint64(stat.Dev) == e.device && uint64(stat.Ino) == e.inode {
			_ = unix.Unlink(e.path)
		}
	})
}

// CreateRegion makes the region of this name, for a server: a new file of mode 0600, all of it reserved. What a
// dead server left at that name is removed first.
//
// The errors are ErrRegionTaken, ErrRegionTooLarge and SysError; all but the first mean that the session
// goes over the baseline.
func CreateRegion(name RegionName, sizes RegionSizes) (*RegionChannel, error) {
	path := name.Path
	l, ok := layoutFor(sizes)
	if !ok {
		return nil, ErrRegionTooLarge
	}
	fd, err := newRegionFile(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, refused("examine a region", err)
	}
	entry := &ownEntry{path: path, device: uint64(stat.Dev), inode: uint64(stat.Ino)}
	m, err := reservedMapping(fd, l)
	if err != nil {
		entry.remove()
		return nil, err
	}
	return newRegionChannel(m, l, true, bell{entry: entry}), nil
}

func newRegionFile(path string) (int, error) {
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_CLOEXEC | unix.O_NOFOLLOW
	for range clearings {
		fd, err := unix.Open(path, flags, regionMode)
		if err == nil {
			return fd, nil
		}
		if err != unix.EEXIST {
			return -1, refused("create a region", err)
		}
		gone, err := clearRegion(path)
		if err != nil {
			return -1, refused("examine what is at a region's name", err)
		}
		if !gone {
			break
		}
	}
	return -1, ErrRegionTaken
}

// reservedMapping reserves every byte of a new file, maps it and fills its header in. No client knows of
// it yet.
func reservedMapping(fd int, l layout) (mapping, error) {
	// Whatever the umask.
	if err := unix.Fchmod(fd, regionMode); err != nil {
		return mapping{}, refused("set the mode of a region", err)
	}
	length := int64(l.bytes())
	// Asking for more would be answered by a signal that ends the process.
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_FSIZE, &limit) == nil && uint64(length) > limit.Cur {
		return mapping{}, refused("reserve a region", unix.EFBIG)
	}
	// A full disk is an error here and now, and no fault later. What is reserved reads as zeros.
	for {
		err := unix.Fallocate(fd, 0, 0, length)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return mapping{}, refused("reserve a region", err)
		}
	}
	m, err := mapRegion(fd, int(length))
	if err != nil {
		return mapping{}, refused("map a region", err)
	}
	if err := m.fill(l); err != nil {
		m.unmap()
		return mapping{}, err
	}
	return m, nil
}

// generations numbers the regions of this process.
var generations atomic.Uint32

func (m *mapping) fill(l layout) (err error) {
	defer m.catchFault(faults(), &err)
	var header regionHeader
	header.fill(l, os.Getpid())
	m.copyHeader(&header)
	// Last: with it the region counts as one that lives. Never zero.
	generation := generations.Add(1)
	if generation == 0 {
		generation = 1
	}
	atomic.StoreUint32(m.word32(offOwnerGeneration), generation)
	return nil
}
