package sys

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is a user, and a group, that none of these tests' files belongs to.
const nobody = 12345

// withoutRights runs f as somebody for whom modes hold, and who owns nothing: root does so as another user, which
// the file system takes this thread alone for.
func withoutRights(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		runtime.LockOSThread()
		if _, err := unix.SetfsuidRetUid(nobody); err != nil {
			t.Fatal(err)
		}
		// The call reports no failure. One with a user that there cannot be changes nothing, and tells who it is now.
		if now, err := unix.SetfsuidRetUid(-1); err != nil || now != nobody {
			t.Fatalf("root cannot be the user %d here (CAP_SETUID, or a map of users without it): it is %d, %v",
				nobody, now, err)
		}
		defer func() {
			if _, err := unix.SetfsuidRetUid(0); err != nil {
				// The thread ends with its goroutine, for it stays locked.
				t.Fatal(err)
			}
			runtime.UnlockOSThread()
		}()
	}
	f()
}

// openDir is a directory that everybody may look through, and write in.
func openDir(t *testing.T) string {
	t.Helper()
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheGroupAndTheModeAreSet(t *testing.T) {
	// Who is not root may give the socket to groups of his own alone.
	group := uint32(os.Getegid())
	if os.Geteuid() == 0 {
		group = nobody
	}
	path := shortDir(t) + "/svc.sock"
	listener, err := Bind(path, &BindOptions{Mode: 0o660, Group: group, SetGroup: true})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm() != 0o660 || owner.Gid != group || owner.Uid != OwnUID() {
		t.Fatalf("%v, of the group %d and the user %d", info.Mode(), owner.Gid, owner.Uid)
	}
	reached, err := Connect(path, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	_ = reached.Close()
}

// Who may not give the socket away gets no endpoint, rather than one for other people than was said.
func TestAGroupThatIsNotGrantedIsNoEndpoint(t *testing.T) {
	dir := openDir(t)
	temporary := dir + "/svc.tmp"
	staleSocket(t, temporary)
	withoutRights(t, func() {
		var denied *BindDeniedError
		_, err := setAccess(temporary, DefaultMode, &BindOptions{Group: nobody + 1, SetGroup: true})
		if !errors.As(err, &denied) || denied.Operation != "set the endpoint's group" {
			t.Error(err)
		}
	})
}

// Whatever the mode of a socket forbids is said so, to who connects and to who would serve in its place.
func TestWhoMayNotConnectIsTold(t *testing.T) {
	path := openDir(t) + "/svc.sock"
	bound(t, path)
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	withoutRights(t, func() {
		if reached, err := Connect(path, within(soon)); err != ErrDenied {
			t.Errorf("connecting: %v, %v", reached, err)
		}
		if found, err := InspectEndpoint(path); err != nil || found.State != EndpointDenied {
			t.Errorf("looking: %+v, %v", found, err)
		}
	})
}

// A socket that may not be asked may be a live server's: it keeps its name.
func TestASocketThatMayNotBeAskedKeepsItsName(t *testing.T) {
	dir := openDir(t)
	path := dir + "/svc.sock"
	bound(t, path)
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	// Of a server that knows no lock: whose lock is there is nobody's now.
	lock := sibling(path, lockEnding)
	if err := errors.Join(os.Remove(lock), os.WriteFile(lock, nil, 0o600), os.Chmod(lock, 0o666)); err != nil {
		t.Fatal(err)
	}
	withoutRights(t, func() {
		listener, err := Bind(path, &BindOptions{})
		if err == nil {
			_ = listener.Close()
		}
		if held := holderOf(t, err); held.By != HolderAnotherUser || held.Path != path {
			t.Error(held)
		}
	})
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

// A lock that may not be opened is another user's, who can hold it at will.
func TestALockThatMayNotBeOpenedIsAnothers(t *testing.T) {
	path := openDir(t) + "/svc.sock"
	lock := sibling(path, lockEnding)
	if err := errors.Join(os.WriteFile(lock, nil, 0o600), os.Chmod(lock, 0)); err != nil {
		t.Fatal(err)
	}
	withoutRights(t, func() {
		_, err := Bind(path, &BindOptions{})
		if held := holderOf(t, err); held.By != HolderAnotherUser || held.Path != lock {
			t.Error(held)
		}
	})
}

func TestADirectoryThatMayNotBeWrittenSaysSo(t *testing.T) {
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	withoutRights(t, func() {
		var denied *BindDeniedError
		if _, err := Bind(dir+"/svc.sock", &BindOptions{}); !errors.As(err, &denied) {
			t.Error(err)
		}
	})
}

// What may not be looked at is not known: neither absent, nor stale.
func TestAPathThatMayNotBeLookedAtIsAnError(t *testing.T) {
	dir := openDir(t) + "/closed"
	if err := os.Mkdir(dir, 0); err != nil {
		t.Fatal(err)
	}
	withoutRights(t, func() {
		if found, err := InspectEndpoint(dir + "/svc.sock"); !errors.Is(err, unix.EACCES) {
			t.Errorf("%+v, %v", found, err)
		}
	})
	if found, err := InspectEndpoint(dir + "/"); err != ErrPathEmpty {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestWhatIsNoSocketGetsNoMode(t *testing.T) {
	path := shortDir(t) + "/svc.tmp"
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := setAccess(path, 0o777, &BindOptions{})
	if held := holderOf(t, err); held.By != HolderForeign || held.Kind != EntryRegularFile {
		t.Error(held)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() == 0o777 {
		t.Error(info, err)
	}
}

func TestADeviceIsNamedAndLeftAlone(t *testing.T) {
	if found, err := InspectEndpoint("/dev/null"); err != nil || found.State != EndpointForeign ||
		found.Kind != EntryDevice {
		t.Fatalf("%+v, %v", found, err)
	}
}

// What died between its bind and its link left a socket under the temporary name.
func TestWhatADeadServerLeftUnpublishedIsRemoved(t *testing.T) {
	path := shortDir(t) + "/svc.sock"
	staleSocket(t, sibling(path, temporaryEnding))
	bound(t, path)
	if names := siblingsIn(t, filepath.Dir(path)); len(names) != 2 {
		t.Fatal(names)
	}
}

// Where nothing can be asked, for want of a descriptor, nothing is taken (spec section 6).
func TestANameThatCannotBeAskedIsKept(t *testing.T) {
	for _, ending := range []string{socketEnding, temporaryEnding} {
		path := shortDir(t) + "/svc.sock"
		staleSocket(t, sibling(path, ending))
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		// The listener's reserve gets the last descriptor but one, and its lock the last.
		reserve, reserveErr := packetSocket()
		last, err := packetSocket()
		if reserveErr != nil || err != nil {
			t.Fatal(reserveErr, err)
		}
		_, _ = unix.Close(reserve), unix.Close(last)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(last) + 1, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
		_, bindErr := Bind(path, &BindOptions{})
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		held := holderOf(t, bindErr)
		if held.By != HolderUnknown || !errors.Is(held.Err, unix.EMFILE) || held.Path != sibling(path, ending) {
			t.Errorf("%s: %v", ending, bindErr)
		}
		if _, err := os.Lstat(sibling(path, ending)); err != nil {
			t.Error(err)
		}
		bound(t, path)
	}
}
