package sys

import (
	"bytes"
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Regions that dead servers left, told from live ones (spec section 7). Live is a region whose owner is
// alive, which takes some care: pids are reused, a dead process keeps its pid until its parent has asked
// for it, and what cannot be found out counts as alive.

const (
	nanosecondsPerSecond = 1_000_000_000
	// startMargin: an owner that started later than this after its file was made is another process with
	// its pid. In nanoseconds.
	startMargin = 2 * nanosecondsPerSecond
	// ticksPerSecond is the unit of start times in /proc: USER_HZ, the same on every architecture that Go
	// runs on.
	ticksPerSecond = 100

	// Where /proc/{pid}/stat has what, counted from the field behind the name in parentheses.
	statState      = 0
	statStartTicks = 19
)

// leftover is what stands at a region's name.
type leftover uint8

const (
	// leftoverGone: nothing, by now.
	leftoverGone leftover = iota
	// leftoverStale: a dead server's.
	leftoverStale
	// leftoverKept: a live server's, or one of which that is not known, or no regular file: left alone.
	leftoverKept
)

// RemoveStaleRegions removes the regions in runDir that dead servers left, and returns how many those
// were. It looks at the names alone of which isRegion says that they are regions of the caller's service,
// and removes regular files only.
//
// It is for a server that has just won its endpoint: nobody else makes regions of that name then. A file that
// cannot be read is left alone. On an error the system had no means to look (no descriptors, say): nothing was
// removed.
func RemoveStaleRegions(runDir string, isRegion func(name string) bool) (int, error) {
	const operation = "look for stale regions"
	entries, err := os.ReadDir(runDir)
	if err != nil {
		return 0, &SysError{Operation: operation, Code: errnoOf(err)}
	}
	stale := map[string]fileID{}
	for _, entry := range entries {
		if !isRegion(entry.Name()) {
			continue
		}
		path := runDir + "/" + entry.Name()
		found, id, err := examineRegion(path)
		if err != nil {
			return 0, refused(operation, err)
		}
		if found == leftoverStale {
			stale[path] = id
		}
	}
	// Only now, when all of it has been looked at.
	removed := 0
	for path, id := range stale {
		if removeRegion(path, id) {
			removed++
		}
	}
	return removed, nil
}

// examineRegion looks at what is at path. An error means that nothing was found out.
func examineRegion(path string) (leftover, fileID, error) {
	// Without waiting for a writer, should it be a named pipe.
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY
	fd, err := unix.Open(path, flags, 0)
	switch err {
	case nil:
	case unix.ENOENT:
		return leftoverGone, fileID{}, nil
	default:
		// A link, a socket, another user's…
		return leftoverKept, fileID{}, wantOfMeans(err)
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return leftoverKept, fileID{}, wantOfMeans(err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return leftoverKept, fileID{}, nil
	}
	header, whole, err := readRegionHeader(fd)
	if err != nil {
		return leftoverKept, fileID{}, wantOfMeans(err)
	}
	if pid, owned := header.owner(); whole && owned {
		lives, err := ownerLives(pid, madeAt(fd, &stat))
		if err != nil || lives {
			return leftoverKept, fileID{}, err
		}
	}
	return leftoverStale, idOf(&stat), nil
}

// wantOfMeans is an error that says nothing of the file that was looked at, but that nothing can be looked at
// now; nil for all others.
func wantOfMeans(err error) error {
	switch err {
	case unix.EMFILE, unix.ENFILE, unix.ENOMEM:
		return err
	}
	return nil
}

// removeRegion unlinks path if it still is the file that was examined.
func removeRegion(path string, id fileID) bool {
	var now unix.Stat_t
	return unix.Lstat(path, &now) == nil && idOf(&now) == id && unix.Unlink(path) == nil
}

// clearRegion does both for one path. True when nothing is in the way any more.
func clearRegion(path string) (bool, error) {
	found, id, err := examineRegion(path)
	return found == leftoverGone || found == leftoverStale && removeRegion(path, id), err
}

// madeAt is when a file was made, in nanoseconds of the wall clock: its birth, where the file system knows
// it, and at the latest when it was last written.
func madeAt(fd int, stat *unix.Stat_t) int64 {
	modified := int64(stat.Mtim.Sec)*nanosecondsPerSecond + int64(stat.Mtim.Nsec)
	var told unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &told)
	if err != nil || told.Mask&unix.STATX_BTIME == 0 {
		return modified
	}
	return min(modified, told.Btime.Sec*nanosecondsPerSecond+int64(told.Btime.Nsec))
}

// ownerLives tells whether the process pid runs, and may have made a file at that moment.
func ownerLives(pid int, made int64) (bool, error) {
	if unix.Kill(pid, 0) == unix.ESRCH {
		return false, nil
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		if errno := errnoOf(err); errno == unix.EMFILE || errno == unix.ENFILE {
			return true, errno
		}
		// It has just gone, or it is hidden: unclear.
		return true, nil
	}
	// The name may hold anything, parentheses too.
	name := bytes.LastIndex(stat, []byte(") "))
	if name < 0 {
		return true, nil
	}
	fields := bytes.Fields(stat[name+len(") "):])
	if len(fields) <= statStartTicks {
		return true, nil
	}
	if state := string(fields[statState]); state == "Z" || state == "X" || state == "x" {
		return false, nil
	}
	ticks, err := strconv.ParseInt(string(fields[statStartTicks]), 10, 64)
	if err != nil {
		return true, nil
	}
	return startedAt(ticks) <= made+startMargin, nil
}

// startedAt is a moment in clock ticks since boot, in nanoseconds of the wall clock.
func startedAt(ticks int64) int64 {
	var wall, boot unix.Timespec
	if unix.ClockGettime(unix.CLOCK_REALTIME, &wall) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	return wall.Nano() - boot.Nano() + ticks*(nanosecondsPerSecond/ticksPerSecond)
}

func errnoOf(err error) unix.Errno {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}
