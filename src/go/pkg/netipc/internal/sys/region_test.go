//go:build linux

package sys

import (
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// someRoom is room of a fixed length.
type someRoom []byte

func (r someRoom) Room(int) []byte { return r }

func someRegion(t testing.TB) (server, client *RegionChannel, path string) {
	t.Helper()
	path = shortDir(t) + "/svc-0000000000000001.ipcshm"
	sizes := RegionSizes{RequestBytes: 100, ResponseBytes: 200}
	server, err := CreateRegion(RegionName{Path: path}, sizes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	a, _ := channels(t)
	client, err = AttachRegion(RegionName{Path: path}, sizes, OwnUID(), a, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return server, client, path
}

// headerOf changes a region's header in its file.
func headerOf(t *testing.T, path string, at int64, value uint32) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(binary.NativeEndian.AppendUint32(nil, value), at); err != nil {
		t.Fatal(err)
	}
}

func TestARegionIsReservedAndLaidOutAsTheContractHasIt(t *testing.T) {
	_, _, path := someRegion(t)
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	if stat.Size != 64+128+256 || stat.Blocks*512 < stat.Size {
		t.Fatalf("%d bytes in %d blocks", stat.Size, stat.Blocks)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int]uint32{
		offMagic: regionMagic, offOwnerPID: uint32(os.Getpid()),
		offRequestOffset: 64, offRequestCapacity: 128, offResponseOffset: 192, offResponseCapacity: 256,
		offReqSeq: 0, offRespSeq: 0, offReqLen: 0, offRespLen: 0, offReqSignal: 0, offRespSignal: 0,
	} {
		if got := binary.NativeEndian.Uint32(file[at:]); got != want {
			t.Errorf("byte %d: %#x, not %#x", at, got, want)
		}
	}
	if binary.NativeEndian.Uint32(file[offOwnerGeneration:]) == 0 {
		t.Error("no generation")
	}
}

func TestSizesThatNoRegionHasAreRefused(t *testing.T) {
	for _, sizes := range []RegionSizes{
		{math.MaxUint32, 1}, {1, math.MaxUint32}, {math.MaxUint64, 1}, {1 << 31, 1 << 31},
	} {
		if _, ok := sizes.FileBytes(); ok {
			t.Errorf("%+v fits", sizes)
		}
		if _, err := CreateRegion(RegionName{Path: shortDir(t) + "/r"}, sizes); err != ErrRegionTooLarge {
			t.Errorf("%+v: %v", sizes, err)
		}
	}
}

func TestARegionLivesAsLongAsItsOwner(t *testing.T) {
	_, _, path := someRegion(t)
	stale := func() bool {
		t.Helper()
		found, _, err := examineRegion(path)
		if err != nil || found == leftoverGone {
			t.Fatal(found, err)
		}
		return found == leftoverStale
	}
	if stale() {
		t.Fatal("its owner lives")
	}
	generation := uint32(0)
	headerOf(t, path, offOwnerGeneration, generation)
	if !stale() {
		t.Fatal("it is nobody's")
	}
	headerOf(t, path, offOwnerGeneration, 1)
	// An owner that started an hour after the file was made has another's pid.
	hourAgo := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	if !stale() {
		t.Fatal("its owner's pid was used again")
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
	// A dead process that nobody has asked for keeps its pid.
	dead := exec.Command("true")
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, dead.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	headerOf(t, path, offOwnerPID, uint32(dead.Process.Pid))
	now = time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
	if !stale() {
		t.Fatal("its owner is dead")
	}
	_ = dead.Wait()
	if !stale() {
		t.Fatal("its owner is gone")
	}
}

func TestAStaleRegionGivesWayAndALiveOneDoesNot(t *testing.T) {
	server, _, path := someRegion(t)
	sizes := RegionSizes{RequestBytes: 1, ResponseBytes: 1}
	if _, err := CreateRegion(RegionName{Path: path}, sizes); err != ErrRegionTaken {
		t.Fatal(err)
	}
	headerOf(t, path, offOwnerGeneration, 0)
	second, err := CreateRegion(RegionName{Path: path}, sizes)
	if err != nil {
		t.Fatal(err)
	}
	// The first one's end leaves the second one's file alone.
	server.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	second.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// A hostile peer can take the wake-ups of the word that it shares, and so keep a sleeper asleep who slept
// on that alone.
func TestASleeperIsWokenByItsOwnWord(t *testing.T) {
	var shared uint32
	var own atomic.Uint32
	woken := make(chan unix.Errno)
	go func() {
		for {
			errno := futexSleepOnBoth(&shared, 0, &own, 0, hostNow()+int64(soon))
			if errno != unix.EINTR {
				woken <- errno
				return
			}
		}
	}()
	own.Store(ownEnded)
	for {
		futexWakeOwn(&own)
		select {
		case errno := <-woken:
			// Both are ends of a sleep: it was woken, or found the word changed.
			if errno != 0 && errno != unix.EAGAIN && errno != unix.ENOSYS {
				t.Fatal(errno)
			}
			return
		default:
		}
	}
}

func TestAnEndedRegionDeliversWhatIsThereFirst(t *testing.T) {
	server, client, _ := someRegion(t)
	if err := client.Send([]byte("last words"), nil); err != nil {
		t.Fatal(err)
	}
	server.End()
	room := make(someRoom, 100)
	if n, err := server.Receive(room, nil, &Wait{}); err != nil || string(room[:n]) != "last words" {
		t.Fatal(n, err)
	}
	for range 3 {
		if _, err := server.Receive(room, nil, &Wait{}); err != ErrClosed {
			t.Fatal(err)
		}
	}
	server.Close()
	if err := server.Send([]byte("x"), nil); err != ErrClosed {
		t.Fatal(err)
	}
}

func TestRegionsGiveTheirMemoryAndDescriptorsBack(t *testing.T) {
	before := openDescriptors(t)
	path := shortDir(t) + "/r"
	for range 100 {
		made, err := CreateRegion(RegionName{Path: path}, RegionSizes{RequestBytes: 1 << 20, ResponseBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		made.Close()
	}
	if after := openDescriptors(t); after > before {
		t.Fatalf("%d descriptors became %d", before, after)
	}
}

// The collector ends a process in whose memory it finds pointers to where its own heap was not, but is by now.
func TestAReleasedRegionIsPointedToByNobody(t *testing.T) {
	server, client, _ := someRegion(t)
	for _, channel := range []*RegionChannel{server, client} {
		channel.Close()
		for _, l := range []lane{channel.outgoing, channel.incoming} {
			if l.seq != nil || l.len != nil || l.alarm != nil {
				t.Fatal("a word of the region is still pointed to")
			}
		}
		if channel.mapping.base != nil || channel.mapping.bytes != nil {
			t.Fatal("the region is still pointed to")
		}
	}
}

func TestAFileThatCannotBeReadIsLeftAloneAndStopsNothing(t *testing.T) {
	// A regular file whose first page nobody reads: EIO.
	removed, err := RemoveStaleRegions("/proc/self", func(name string) bool { return name == "mem" })
	if removed != 0 || err != nil {
		t.Fatal(removed, err)
	}
}
