package transport

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"golang.org/x/sys/unix"
)

func init() {
	roles["one call, then wait"] = callOnceAndWait
	roles["bind"] = bindAndWait
	roles["without descriptors"] = connectWithoutDescriptors
}

// callOnceAndWait is an idle client.
func callOnceAndWait(endpoint Endpoint) error {
	session, err := Connect(endpoint, &Proposal{
		SupportedProfiles: profilesFromEnv(), PreferredProfiles: profilesFromEnv(),
	}, within(soon))
	if err != nil {
		return err
	}
	if err := newCounter(session).call(within(soon)); err != nil {
		return err
	}
	fmt.Println("idle")
	_, err = os.Stdin.Read(make([]byte, 1))
	runtime.KeepAlive(session)
	return err
}

// bindAndWait takes the endpoint, says how that went, and keeps it until its input ends.
func bindAndWait(endpoint Endpoint) error {
	fmt.Println("ready")
	input := bufio.NewReader(os.Stdin)
	if _, err := input.ReadString('\n'); err != nil {
		return err
	}
	listener, err := Listen(endpoint, &ListenerConfig{})
	if err != nil {
		fmt.Println("lost")
		return nil
	}
	fmt.Println("won")
	go serveIncrement(listener)
	_, _ = input.ReadString('\n')
	return listener.Close()
}

func TestOfManyProcessesThatStartAtOnceExactlyOneWins(t *testing.T) {
	const processes, rounds = 4, 8
	for round := range rounds {
		endpoint := newEndpoint(t)
		if round%2 == 1 {
			dead := play(t, "bind", endpoint)
			dead.says(t, "ready")
			_, _ = dead.in.WriteString("go\n")
			dead.says(t, "won")
			dead.kill()
		}
		var all []*other
		for range processes {
			all = append(all, play(t, "bind", endpoint))
		}
		for _, one := range all {
			one.says(t, "ready")
		}
		for _, one := range all {
			_, _ = one.in.WriteString("go\n")
		}
		won := 0
		for _, one := range all {
			if !one.lines.Scan() {
				t.Fatal("one says nothing")
			}
			if one.lines.Text() == "won" {
				won++
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d won", round, won)
		}
		session, err := Connect(endpoint, &Proposal{}, within(soon))
		if err != nil {
			t.Fatal(err)
		}
		if err := newCounter(session).call(within(soon)); err != nil {
			t.Fatal(err)
		}
		_ = session.Close()
		for _, one := range all {
			_, _ = one.in.WriteString("end\n")
			_ = one.command.Wait()
		}
	}
}

// threadsOf counts the threads of a process.
func threadsOf(t testing.TB, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "task"))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// sleepsOf counts how often the threads of a process went to sleep: each is a wake-up, too.
func sleepsOf(t testing.TB, pid int) (sleeps int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(status), "\n") {
			if count, found := strings.CutPrefix(line, "voluntary_ctxt_switches:"); found {
				n, err := strconv.Atoi(strings.TrimSpace(count))
				if err != nil {
					t.Fatal(err)
				}
				sleeps += n
			}
		}
	}
	return sleeps
}

// quietLook is for how long nobody is to wake up: whatever has a shorter period does. Where the kernel lets nobody sleep
// on two words (before Linux 5.16, and under emulators) who waits in shared memory wakes up once a second
// (docs/adr/0007), and the look is shorter than that.
const quietLook, quietBlindLook = 3 * time.Second, 500 * time.Millisecond

func lookForQuiet() time.Duration {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, 0, 0, 0, 0, 0, 0)
	if errno == unix.ENOSYS || errno == unix.EPERM {
		return quietBlindLook
	}
	return quietLook
}

// comesToRest waits until no thread of these processes has woken up for a while.
func comesToRest(t testing.TB, pids ...int) {
	t.Helper()
	sleeps := func() (sum int) {
		for _, pid := range pids {
			sum += sleepsOf(t, pid)
		}
		return sum
	}
	look := lookForQuiet()
	for end := time.Now().Add(soon); time.Now().Before(end); {
		before := sleeps()
		_, _ = sys.ReceiveFrom(make(chan int), &Wait{Deadline: After(look)})
		if sleeps() == before {
			return
		}
	}
	t.Fatal("idle processes do not come to rest")
}

func TestAThousandIdleClientsCostNoThreads(t *testing.T) {
	const clients = 1000
	const threadsBeside = 16
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	raised := limit
	raised.Cur = raised.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }()
	t.Setenv(sharedEnv, "")
	endpoint := newEndpoint(t)
	server := start(t, "server", endpoint)
	calls := []*counter{newCounter(connectSoon(t, endpoint, Proposal{}))}
	for len(calls) < clients {
		session, err := Connect(endpoint, &Proposal{}, within(soon))
		if err != nil {
			t.Fatal(len(calls), err)
		}
		t.Cleanup(func() { _ = session.Close() })
		calls = append(calls, newCounter(session))
	}
	for _, each := range calls {
		if err := each.call(within(soon)); err != nil {
			t.Fatal(err)
		}
	}
	if threads := threadsOf(t, server.Process.Pid); threads > runtime.NumCPU()+threadsBeside {
		t.Fatalf("the server has %d threads", threads)
	}
	// Its runtime tidies up once after so much work; then nothing may happen any more.
	comesToRest(t, server.Process.Pid)
	if err := calls[clients/2].call(within(soon)); err != nil {
		t.Fatal(err)
	}
}

func TestAnIdleSharedMemorySessionMakesNoWakeUps(t *testing.T) {
	t.Setenv(sharedEnv, "2")
	endpoint := newEndpoint(t)
	server := start(t, "server", endpoint)
	connectSoon(t, endpoint, Proposal{}).Close()
	client := play(t, "one call, then wait", endpoint)
	client.says(t, "idle")
	comesToRest(t, server.Process.Pid, client.command.Process.Pid)
}

// connectWithoutDescriptors may have one descriptor more each time, and waits for a message where it gets a
// session: Go's runtime has no poller yet.
func connectWithoutDescriptors(endpoint Endpoint) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	for spare := uint64(0); ; spare++ {
		// The first that is free is the first that may not be opened.
		free, err := unix.Dup(0)
		if err != nil {
			return err
		}
		_ = unix.Close(free)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free) + spare, Max: limit.Max}); err != nil {
			return err
		}
		session, err := Connect(endpoint, &Proposal{}, within(soon))
		if err == nil {
			_, err = session.Receive(session.NewInbox(), within(50*time.Millisecond))
			_ = session.Close()
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		if err == ErrTimedOut {
			fmt.Println("waited with", spare)
			return nil
		}
		if FaultOf(err) != FaultSystem {
			return fmt.Errorf("with %d more descriptors: %w", spare, err)
		}
	}
}

// Go's runtime ends a process that can have no poller: ours does not let it come to that.
func TestAClientWithoutDescriptorsSaysSoAndLivesOn(t *testing.T) {
	endpoint := newEndpoint(t)
	go serveIncrement(listen(t, endpoint, ListenerConfig{}))
	child := start(t, "without descriptors", endpoint)
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
}
