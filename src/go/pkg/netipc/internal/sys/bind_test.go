//go:build linux

package sys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func holderOf(t *testing.T, err error) *InUseError {
	t.Helper()
	var inUse *InUseError
	if !errors.As(err, &inUse) || !errors.Is(err, ErrInUse) {
		t.Fatalf("not in use, but: %v", err)
	}
	return inUse
}

func TestOfManyWhoBindExactlyOneWins(t *testing.T) {
	const servers = 8
	for round := range 40 {
		path := shortDir(t) + "/svc.sock"
		if round%2 == 1 {
			staleSocket(t, path)
		}
		var ready, done sync.WaitGroup
		won := make(chan *Listener, servers)
		begin := make(chan struct{})
		for range servers {
			ready.Add(1)
			done.Add(1)
			go func() {
				defer done.Done()
				ready.Done()
				<-begin
				listener, err := Bind(path, &BindOptions{})
				if err == nil {
					won <- listener
				} else if !errors.Is(err, ErrInUse) {
					t.Error(err)
				}
			}()
		}
		ready.Wait()
		close(begin)
		done.Wait()
		if len(won) != 1 {
			t.Fatalf("%d of %d won", len(won), servers)
		}
		reached, err := Connect(path, within(soon))
		if err != nil {
			t.Fatal("the winner cannot be reached:", err)
		}
		_ = reached.Close()
		_ = (<-won).Close()
		if names := siblingsIn(t, filepath.Dir(path)); len(names) != 1 || !strings.HasSuffix(names[0], ".lock") {
			t.Fatalf("left behind: %v", names)
		}
	}
}

func TestALiveServerKeepsItsName(t *testing.T) {
	path := shortDir(t) + "/svc.sock"
	bound(t, path)
	_, err := Bind(path, &BindOptions{})
	if held := holderOf(t, err); held.By != HolderLock {
		t.Fatal(held)
	}
	// A server that knows no lock is found by the probe.
	if err := os.Remove(sibling(path, lockEnding)); err != nil {
		t.Fatal(err)
	}
	_, err = Bind(path, &BindOptions{})
	if held := holderOf(t, err); held.By != HolderLiveServer {
		t.Fatal(held)
	}
	if found, err := InspectEndpoint(path); err != nil || found.State != EndpointLive ||
		found.Server.PID != uint32(os.Getpid()) {
		t.Fatalf("%+v, %v", found, err)
	}
}

func TestAStaleSocketIsReplaced(t *testing.T) {
	path := shortDir(t) + "/svc.sock"
	staleSocket(t, path)
	if found, err := InspectEndpoint(path); err != nil || found.State != EndpointStale {
		t.Fatalf("%+v, %v", found, err)
	}
	start := time.Now()
	bound(t, path)
	if took := time.Since(start); took < refusedRetries*refusedPause {
		t.Fatalf("it was asked for %v only", took)
	}
	reached, err := Connect(path, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	_ = reached.Close()
}

func TestWhatIsNoEndpointIsNamedAndLeftAlone(t *testing.T) {
	for name, made := range map[string]struct {
		kind EntryKind
		make func(string) error
	}{
		"a file":      {EntryRegularFile, func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) }},
		"a directory": {EntryDirectory, func(p string) error { return os.Mkdir(p, 0o700) }},
		"a link":      {EntrySymlink, func(p string) error { return os.Symlink("/nowhere", p) }},
		"a pipe":      {EntryFifo, func(p string) error { return unix.Mkfifo(p, 0o600) }},
		"a stream socket": {EntryOtherSocket, func(p string) error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			t.Cleanup(func() { _ = unix.Close(fd) })
			if err := unix.Bind(fd, &unix.SockaddrUnix{Name: p}); err != nil {
				return err
			}
			return unix.Listen(fd, 1)
		}},
	} {
		for _, ending := range []string{socketEnding, temporaryEnding} {
			dir := shortDir(t)
			path := dir + "/svc.sock"
			if err := made.make(dir + "/svc" + ending); err != nil {
				t.Fatal(err)
			}
			_, err := Bind(path, &BindOptions{})
			held := holderOf(t, err)
			if held.By != HolderForeign || held.Kind != made.kind || held.Path != dir+"/svc"+ending {
				t.Errorf("%s at %s: %v", name, ending, held)
			}
			if _, err := os.Lstat(dir + "/svc" + ending); err != nil {
				t.Errorf("%s is gone", name)
			}
		}
	}
}

func TestALockThatIsNoLockOfOursIsRefused(t *testing.T) {
	for name, made := range map[string]func(string) error{
		"a directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"a link":      func(p string) error { return os.Symlink(p+".target", p) },
		"a pipe":      func(p string) error { return unix.Mkfifo(p, 0o600) },
	} {
		dir := shortDir(t)
		if err := made(dir + "/svc.lock"); err != nil {
			t.Fatal(err)
		}
		_, err := Bind(dir+"/svc.sock", &BindOptions{})
		if held := holderOf(t, err); held.By != HolderForeign {
			t.Errorf("%s: %v", name, held)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	dir := shortDir(t)
	if err := os.WriteFile(dir+"/svc.lock", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir+"/svc.lock", 12345, -1); err != nil {
		t.Fatal(err)
	}
	_, err := Bind(dir+"/svc.sock", &BindOptions{})
	if held := holderOf(t, err); held.By != HolderAnotherUser {
		t.Errorf("another user's lock: %v", held)
	}
}

func TestTheModeIsExactWhateverTheUmask(t *testing.T) {
	old := unix.Umask(0o777)
	defer unix.Umask(old)
	for _, mode := range []uint32{0, 0o660, 0o666, 0o777} {
		path := shortDir(t) + "/svc.sock"
		if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		listener, err := Bind(path, &BindOptions{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if mode == 0 {
			mode = 0o600
		}
		if err != nil || uint32(info.Mode().Perm()) != mode {
			t.Errorf("%o became %v, %v", mode, info.Mode(), err)
		}
		_ = listener.Close()
	}
}

func TestBindSaysWhatIsWrongWithTheDirectory(t *testing.T) {
	if _, err := Bind("/nonexistent/dir/svc.sock", &BindOptions{}); err != ErrNoDirectory {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"": ErrPathEmpty, "/tmp/": ErrPathEmpty, "/tmp/a\x00b": ErrPathNul,
		"/" + strings.Repeat("x", MaxSocketPathBytes): ErrPathTooLong,
	} {
		if _, err := Bind(path, &BindOptions{}); err != want {
			t.Errorf("%q: %v", path, err)
		}
		if _, err := Connect(path, within(soon)); err != want {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestConnectSaysWhatIsThere(t *testing.T) {
	dir := shortDir(t)
	if _, err := Connect(dir+"/none.sock", within(soon)); err != ErrNotFound {
		t.Fatal(err)
	}
	staleSocket(t, dir+"/stale.sock")
	if _, err := Connect(dir+"/stale.sock", within(soon)); err != ErrRefused {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/file.sock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var foreign *ForeignError
	if _, err := Connect(dir+"/file.sock", within(soon)); !errors.As(err, &foreign) || foreign.Kind != EntryRegularFile {
		t.Fatal(err)
	}
	stream, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(stream) }()
	path := dir + "/stream.sock"
	if err := errors.Join(unix.Bind(stream, &unix.SockaddrUnix{Name: path}), unix.Listen(stream, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Connect(path, within(soon)); !errors.As(err, &foreign) || foreign.Kind != EntryOtherSocket {
		t.Fatal(err)
	}
}

func TestAFullBacklogIsWaitedForUntilTheDeadlineOrAnAbort(t *testing.T) {
	path := shortDir(t) + "/svc.sock"
	listener, err := Bind(path, &BindOptions{Backlog: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for {
		queued, err := Connect(path, within(0))
		if errors.Is(err, ErrTimedOut) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		defer queued.Close()
	}
	start := time.Now()
	if _, err := Connect(path, within(80*time.Millisecond)); err != ErrBacklogFull {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 80*time.Millisecond || took > time.Second {
		t.Fatal(took)
	}
	var abort Abort
	done := make(chan error)
	go func() {
		_, err := Connect(path, &Wait{Abort: &abort})
		done <- err
	}()
	abort.Trigger()
	if err := <-done; err != ErrAborted {
		t.Fatal(err)
	}
	if found, err := InspectEndpoint(path); err != nil || found.State != EndpointLive || !found.Busy {
		t.Fatalf("%+v, %v", found, err)
	}
}

func TestAServerThatCameAfterTheProbeIsPutBack(t *testing.T) {
	dir := shortDir(t)
	path, aside := dir+"/svc.sock", dir+"/svc.tmp"
	staleSocket(t, path)
	stale, err := entryAt(path)
	if err != nil {
		t.Fatal(err)
	}
	// Kept under another name, so that its inode number is not used again.
	if err := os.Rename(path, dir+"/old"); err != nil {
		t.Fatal(err)
	}
	fd, err := packetSocket()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	if held := holderOf(t, setAside(path, aside, stale)); held.By != HolderLiveServer {
		t.Fatal(held)
	}
	reached, err := Connect(path, within(soon))
	if err != nil {
		t.Fatal("it cannot be reached any more:", err)
	}
	_ = reached.Close()
}

func TestAFileSystemWithoutHardLinksIsNamed(t *testing.T) {
	for _, errno := range []error{unix.EPERM, unix.EOPNOTSUPP, unix.ENOSYS} {
		var named *NoHardLinksError
		if !errors.As(publishError("/mnt/stick/svc.sock", errno), &named) {
			t.Errorf("%v is not named", errno)
		}
	}
	if held := holderOf(t, publishError("/x", unix.EEXIST)); held.By != HolderLiveServer {
		t.Fatal(held)
	}
}

func TestWithoutDescriptorsOneClientIsStillToldAndTheRestWait(t *testing.T) {
	path := shortDir(t) + "/svc.sock"
	listener := bound(t, path)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var clients []*PacketChannel
	for range 3 {
		channel, err := Connect(path, within(soon))
		if err != nil {
			t.Fatal(err)
		}
		defer channel.Close()
		clients = append(clients, channel)
	}
	// The first descriptor that is free is the first that may not be opened.
	free, err := unix.Dup(listener.fd)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(free)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free), Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	overflow, err := listener.Accept(within(soon))
	_, second := listener.Accept(within(soon))
	if err == nil {
		_ = overflow.Channel.Close()
	}
	third, thirdErr := listener.Accept(within(soon))
	if thirdErr == nil {
		_ = third.Channel.Close()
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err != nil || !overflow.Overflow {
		t.Fatalf("%+v, %v", overflow, err)
	}
	var exhausted *ExhaustedError
	if !errors.As(second, &exhausted) {
		t.Fatal(second)
	}
	if thirdErr != nil || !third.Overflow {
		t.Fatalf("%+v, %v", third, thirdErr)
	}
	accepted, err := listener.Accept(within(soon))
	if err != nil || accepted.Overflow {
		t.Fatalf("%+v, %v", accepted, err)
	}
	_ = accepted.Channel.Close()
	_ = clients
}

// The poller refuses a descriptor where the user has no more watches (fs.epoll.max_user_watches), or what it is; a
// file stands for that here.
func TestAListenerThatThePollerRefusesIsGivenBack(t *testing.T) {
	path := filepath.Join(shortDir(t), "svc.sock")
	socket, taken, err := takeName(path, &BindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	reserve, exhausted := spareDescriptor()
	if exhausted != nil {
		t.Fatal(exhausted)
	}
	file, err := os.Create(filepath.Join(filepath.Dir(path), "file"))
	if err != nil {
		t.Fatal(err)
	}
	if listener, err := newListener(socket, file, taken, reserve); listener != nil || !errors.Is(err, unix.EPERM) {
		t.Fatal(listener, err)
	}
	if _, err := file.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("its descriptor is open: %v", err)
	}
	if _, err := unix.FcntlInt(uintptr(reserve), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the reserve is open: %v", err)
	}
	bound(t, path)
}

func TestClosingAListenerEndsItsAccept(t *testing.T) {
	for range 20 {
		listener := bound(t, shortDir(t)+"/svc.sock")
		done := make(chan error)
		go func() {
			_, err := listener.Accept(&Wait{})
			done <- err
		}()
		_ = listener.Close()
		if err := <-done; err != ErrClosed {
			t.Fatal(err)
		}
	}
}

func TestATurnIsNobodysTwiceAndEverybodyGetsOne(t *testing.T) {
	turn := NewTurn()
	inside, done := 0, 0
	var w sync.WaitGroup
	for range 4 {
		w.Add(1)
		go func() {
			defer w.Done()
			for range 2000 {
				if err := turn.Take(&Wait{Deadline: After(soon)}); err != nil {
					t.Error(err)
					return
				}
				// No atomics: the turn is what keeps these apart, and the race detector's proof.
				inside++
				if inside != 1 {
					t.Error("two at once")
				}
				inside--
				done++
				turn.GiveBack()
			}
		}()
	}
	w.Wait()
	if done != 8000 {
		t.Fatal(done)
	}
	if err := turn.Take(&Wait{}); err != nil {
		t.Fatal(err)
	}
	if err := turn.Take(within(10 * time.Millisecond)); err != ErrTimedOut {
		t.Fatal(err)
	}
	var abort Abort
	ended := make(chan error)
	go func() { ended <- turn.Take(&Wait{Abort: &abort}) }()
	abort.Trigger()
	if err := <-ended; err != ErrAborted {
		t.Fatal(err)
	}
}
