package sys

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestNotMoreGoroutinesBlockThanMay(t *testing.T) {
	blocked.Store(maxBlocked)
	defer blocked.Store(0)
	a, _ := channels(t)
	if n, err := a.block(make([]byte, 1), &Wait{}, blocks); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if blocked.Load() != maxBlocked {
		t.Fatal("a place was lost")
	}
}

// Whoever looks at that very moment: tried so often that one look in many thousands would show.
func TestWhatWasSentRightBeforeACloseComesBeforeIt(t *testing.T) {
	const rounds = 20_000
	leaving := make(chan *PacketChannel)
	go func() {
		for channel := range leaving {
			if _, err := channel.TrySend([]byte("last"), nil); err != nil {
				t.Error(err)
			}
			_ = channel.Close()
		}
	}()
	defer close(leaving)
	buffer := make([]byte, 8)
	for round := range rounds {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		a, errA := newPacketChannel(fds[0])
		b, errB := newPacketChannel(fds[1])
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		leaving <- b
		n := 0
		for n == 0 && err == nil {
			n, err = a.TryRecv(buffer)
		}
		if _ = a.Close(); n != 4 || err != nil {
			t.Fatalf("round %d: %d, %v", round, n, err)
		}
	}
}

func TestEverythingIsCloseOnExec(t *testing.T) {
	path := shortDir(t) + "/svc.sock"
	listener := bound(t, path)
	channel, err := Connect(path, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	defer channel.Close()
	accepted, err := listener.Accept(within(soon))
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Channel.Close()
	for name, fd := range map[string]int{
		"listener": listener.fd, "reserve": listener.reserve, "lock": listener.claim.lock,
		"client": channel.fd, "server": accepted.Channel.fd,
	} {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("the %s is not close-on-exec (%v)", name, err)
		}
	}
	peer, err := accepted.Channel.Peer()
	if err != nil || peer.PID != uint32(unix.Getpid()) || peer.UID != OwnUID() {
		t.Fatalf("%+v, %v", peer, err)
	}
}
