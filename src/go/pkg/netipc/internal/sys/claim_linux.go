package sys

import (
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Taking an endpoint's name: never from a live server, and of many who try exactly one wins.
//
//	{service}.lock   flock'ed by the owner for as long as it owns the name; the file stays
//	{service}.tmp    the socket before it is published, or a stale one on its way out
//	{service}.sock   the endpoint: appears listening, with its mode and group, or not at all
//
//	lock --> probe --> (stale: set aside) --> bind tmp, mode, group, listen --> link tmp to sock
//
// It is the same procedure in every language of this library, so that they exclude each other. Why the
// lock is held for the whole life of the listener, what is done about servers that know no lock, and
// whose the lock may be, is said at length in the Rust crate netipc-sys (unix/claim.rs); in short:
//
//   - a server that starts while another lives, starts or stops loses at once, without a probe;
//   - {service}.tmp can be one fixed name, because whoever holds the lock knows that a leftover there
//     is of a dead process;
//   - giving back is safe: the owner looks whether the name is still its own and unlinks it while it
//     still holds the lock and still listens;
//   - peers in the field only probe: the name is probed too, and published with link, which fails on a
//     taken name. A stale socket is renamed aside and looked at there; if it is not what was probed,
//     another server came in between, and it is put back;
//   - the lock belongs to the user that serves, or is refused by name, also by root: whoever owns a
//     lock can hold it at will, and so decide when the service starts.

const (
	// modeMask is the bits of a mode that mean something for a socket.
	modeMask = 0o777
	// lockMode: the lock is its owner's alone: whoever can open it could keep the service from starting.
	lockMode = 0o600
	// lockAttempts is how often a lock that was deleted while being taken is taken anew.
	lockAttempts = 8

	// Endings of the names beside {service}.sock. None is longer than that.
	socketEnding    = ".sock"
	lockEnding      = ".lock"
	temporaryEnding = ".tmp"
)

// claim is a name that is ours until released: then the name is unlinked, if still ours, and unlocked.
type claim struct {
	// path is absolute: the process may have changed its directory when the name is given back.
	path     string
	id       fileID
	lock     int
	released sync.Once
}

// takeName takes the name path: returns the socket, listening, and the claim to its name.
func takeName(path string, options *BindOptions) (socket int, taken *claim, err error) {
	if err := checkSocketPath(path); err != nil {
		return -1, nil, err
	}
	lock, err := takeLock(sibling(path, lockEnding))
	if err != nil {
		return -1, nil, err
	}
	defer func() {
		if err != nil {
			unlock(lock)
		}
	}()
	temporary := sibling(path, temporaryEnding)
	if err := clearLeftover(temporary); err != nil {
		return -1, nil, err
	}
	if err := clearStale(path, temporary); err != nil {
		return -1, nil, err
	}
	socket, id, err := listeningSocket(temporary, path, options)
	if err != nil {
		return -1, nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		absolute = path
	}
	return socket, &claim{path: absolute, id: id, lock: lock}, nil
}

// release gives the name back.
func (c *claim) release() {
	c.released.Do(func() {
		if id, err := entryAt(c.path); err == nil && id == c.id {
			// Nothing can be done, nor need be, when it cannot be removed: it is stale from now on.
			_ = unix.Unlink(c.path)
		}
		unlock(c.lock)
	})
}

// unlock: closing is not enough, since a child that is being forked holds a copy until its exec.
func unlock(lock int) {
	_ = unix.Flock(lock, unix.LOCK_UN)
	_ = unix.Close(lock)
}

// takeLock locks the endpoint.
func takeLock(path string) (int, error) {
	const operation = "lock the endpoint"
	for range lockAttempts {
		lock, err := openLock(path)
		if err != nil {
			return -1, err
		}
		isNamed, err := lockNamed(lock, path)
		switch {
		case err == nil && isNamed:
			return lock, nil
		case err == unix.EAGAIN:
			err = inUse(path, HolderLock)
		case err != nil:
			err = bindError(operation, err)
		}
		unlock(lock)
		if err != nil {
			return -1, err
		}
	}
	return -1, inUse(path, HolderLock)
}

// lockNamed locks a file, and tells whether it is still the one at path: one that was deleted since it
// was opened locks nothing.
func lockNamed(lock int, path string) (bool, error) {
	if err := flockNow(lock); err != nil {
		return false, err
	}
	var locked, named unix.Stat_t
	if err := unix.Fstat(lock, &locked); err != nil {
		return false, err
	}
	if err := unix.Lstat(path, &named); err != nil {
		if err == unix.ENOENT {
			return false, nil
		}
		return false, err
	}
	return idOf(&named) == idOf(&locked), nil
}

func flockNow(lock int) error {
	for {
		if err := unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != unix.EINTR {
			return err
		}
	}
}

func openLock(path string) (lock int, err error) {
	const operation = "create the endpoint's lock"
	// NONBLOCK: a named pipe at the name must not hold us up.
	const flags = unix.O_RDWR | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK
	lock, err = unix.Open(path, flags|unix.O_CREAT|unix.O_EXCL, lockMode)
	switch err {
	case nil:
		// The umask may have taken bits that the next start of this service needs.
		if err := unix.Fchmod(lock, lockMode); err != nil {
			_ = unix.Close(lock)
			return -1, bindError(operation, err)
		}
	case unix.EEXIST:
		if lock, err = openExistingLock(path, flags); err != nil {
			return -1, err
		}
	case unix.ENOENT, unix.ENOTDIR:
		return -1, ErrNoDirectory
	default:
		return -1, bindError(operation, err)
	}
	if err := checkLock(lock, path); err != nil {
		_ = unix.Close(lock)
		return -1, err
	}
	return lock, nil
}

func openExistingLock(path string, flags int) (int, error) {
	lock, err := unix.Open(path, flags, 0)
	switch err {
	case nil:
		return lock, nil
	case unix.ELOOP, unix.ENXIO, unix.EISDIR:
		// A symbolic link, a socket, a directory: not a lock of ours.
		return -1, foreignAt(path)
	case unix.ENOENT:
		// Deleted in between: as good as held by whoever is busy here.
		return -1, inUse(path, HolderLock)
	case unix.EACCES:
		return -1, inUse(path, HolderAnotherUser)
	}
	return -1, bindError("create the endpoint's lock", err)
}

// checkLock: openable or not, a lock's owner can lock it whenever the service is to start.
func checkLock(lock int, path string) error {
	var stat unix.Stat_t
	if err := unix.Fstat(lock, &stat); err != nil {
		return bindError("create the endpoint's lock", err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return foreignAt(path)
	}
	if stat.Uid != OwnUID() {
		return inUse(path, HolderAnotherUser)
	}
	return nil
}

// clearLeftover removes what a crashed predecessor left at the temporary name; it held the lock that we
// hold.
func clearLeftover(temporary string) error {
	found, err := probeOnce(temporary)
	switch {
	case err != nil:
		return &InUseError{Path: temporary, By: HolderUnknown, Err: err}
	case found.State == EndpointAbsent:
		return nil
	case found.State == EndpointStale:
		return removeStale(temporary)
	}
	return heldBy(temporary, &found)
}

// clearStale frees the endpoint's name if a dead server left it.
func clearStale(path, aside string) error {
	found, err := probe(path)
	switch {
	case err != nil:
		return &InUseError{Path: path, By: HolderUnknown, Err: err}
	case found.State == EndpointAbsent:
		return nil
	case found.State == EndpointStale:
		return setAside(path, aside, found.refused)
	}
	return heldBy(path, &found)
}

// setAside moves path to aside and removes it there, if it is stale; if not, moves it back.
func setAside(path, aside string, stale fileID) error {
	if err := unix.Rename(path, aside); err != nil {
		if err == unix.ENOENT {
			return nil
		}
		return bindError("remove the stale endpoint", err)
	}
	if id, err := entryAt(aside); err == nil && id == stale {
		return removeStale(aside)
	}
	// Not what was probed: a server without the lock bound the name in between. Put it back.
	err := unix.Renameat2(unix.AT_FDCWD, aside, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	if err != nil {
		return bindError("put back another server's endpoint", err)
	}
	return inUse(path, HolderLiveServer)
}

func removeStale(path string) error {
	if err := unix.Unlink(path); err != nil && err != unix.ENOENT {
		return bindError("remove the stale endpoint", err)
	}
	return nil
}

// listeningSocket makes the socket under its temporary name, which nobody knows, and publishes it once
// it listens and has its mode and group.
func listeningSocket(temporary, path string, options *BindOptions) (socket int, id fileID, err error) {
	mode := options.Mode
	if mode == 0 {
		mode = DefaultMode
	}
	socket, err = boundSocket(temporary, mode)
	if err != nil {
		return -1, fileID{}, err
	}
	defer func() {
		// Should this fail, the next start clears it.
		_ = unix.Unlink(temporary)
		if err != nil {
			_ = unix.Close(socket)
		}
	}()
	if id, err = setAccess(temporary, mode, options); err != nil {
		return -1, fileID{}, err
	}
	backlog := int(options.Backlog)
	if backlog == 0 {
		backlog = DefaultBacklog
	}
	if err = unix.Listen(socket, backlog); err != nil {
		return -1, fileID{}, bindError("listen on the endpoint", err)
	}
	if err = publish(temporary, path); err != nil {
		return -1, fileID{}, err
	}
	return socket, id, nil
}

// boundSocket binds a socket to a name that nobody knows, where it does not listen yet.
func boundSocket(temporary string, mode uint32) (int, error) {
	const operation = "create the endpoint"
	socket, err := packetSocket()
	if err != nil {
		return -1, bindError(operation, err)
	}
	// The kernel gives the file the socket's mode less the umask: never more than asked.
	err = unix.Fchmod(socket, mode&modeMask)
	if err == nil {
		err = unix.Bind(socket, addressOf(temporary))
	}
	if err == nil {
		return socket, nil
	}
	_ = unix.Close(socket)
	if err == unix.EADDRINUSE {
		return -1, foreignAt(temporary)
	}
	return -1, bindError(operation, err)
}

// setAccess sets group and mode of the file itself: a link put in its place is not followed.
func setAccess(path string, mode uint32, options *BindOptions) (fileID, error) {
	const operation = "set the endpoint's mode"
	file, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fileID{}, bindError(operation, err)
	}
	defer func() { _ = unix.Close(file) }()
	var stat unix.Stat_t
	if err := unix.Fstat(file, &stat); err != nil {
		return fileID{}, bindError(operation, err)
	}
	if _, isSocket := kindOf(&stat); !isSocket {
		return fileID{}, foreignAt(path)
	}
	if options.SetGroup {
		const keep = -1
		if err := unix.Fchownat(file, "", keep, int(options.Group), unix.AT_EMPTY_PATH); err != nil {
			return fileID{}, bindError("set the endpoint's group", err)
		}
	}
	if stat.Mode&modeMask != mode&modeMask {
		// Older kernels change the mode of such a descriptor by its name in /proc only.
		if err := unix.Chmod("/proc/self/fd/"+strconv.Itoa(file), mode&modeMask); err != nil {
			return fileID{}, bindError(operation, err)
		}
	}
	return idOf(&stat), nil
}

// publish gives the socket its name for all to see, unless something came to have it in between.
func publish(temporary, path string) error {
	return publishError(path, unix.Linkat(unix.AT_FDCWD, temporary, unix.AT_FDCWD, path, 0))
}

func publishError(path string, err error) error {
	switch err {
	case nil:
		return nil
	case unix.EEXIST:
		return inUse(path, HolderLiveServer)
	// A missing right is EACCES: the socket to be linked is ours. Which of these a file system without
	// hard links says is up to its driver.
	case unix.EPERM, unix.EOPNOTSUPP, unix.ENOSYS:
		return &NoHardLinksError{Path: path}
	}
	return bindError("publish the endpoint", err)
}

// sibling is {service}.sock with another ending. A path without .sock just gets the ending.
func sibling(path, ending string) string { return strings.TrimSuffix(path, socketEnding) + ending }

func heldBy(path string, found *probed) error {
	switch found.State {
	case EndpointForeign:
		return &InUseError{Path: path, By: HolderForeign, Kind: found.Kind}
	case EndpointDenied:
		return inUse(path, HolderAnotherUser)
	default:
		return inUse(path, HolderLiveServer)
	}
}

// foreignAt names what stands at path.
func foreignAt(path string) error {
	var stat unix.Stat_t
	kind := EntryUnknown
	if unix.Lstat(path, &stat) == nil {
		kind, _ = kindOf(&stat)
	}
	return &InUseError{Path: path, By: HolderForeign, Kind: kind}
}

func inUse(path string, by Holder) error { return &InUseError{Path: path, By: by} }

func bindError(operation string, err error) error {
	switch err {
	case unix.EACCES, unix.EPERM, unix.EROFS:
		return &BindDeniedError{Operation: operation}
	}
	return refused(operation, err)
}
