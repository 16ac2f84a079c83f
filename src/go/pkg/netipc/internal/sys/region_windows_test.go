package sys

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

// someRoom is room of a fixed length.
type someRoom []byte

func (r someRoom) Room(int) []byte { return r }

var someSizes = RegionSizes{RequestBytes: 100, ResponseBytes: 200}

const (
	hybrid   uint32 = 0x02
	busywait uint32 = 0x04
)

func newRegionName(profile uint32) RegionName {
	stem := fmt.Sprintf(`Local\netipc-test-%d-%d-p%d`, os.Getpid(), names.Add(1), profile)
	name := RegionName{Profile: profile, Mapping: stem + "-mapping"}
	if profile == hybrid {
		name.RequestEvent, name.ResponseEvent = stem+"-req_event", stem+"-resp_event"
	}
	return name
}

func made(t testing.TB, name RegionName) *RegionChannel {
	t.Helper()
	server, err := CreateRegion(name, someSizes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func attached(t testing.TB, name RegionName) (*RegionChannel, error) {
	t.Helper()
	socket, _ := channels(t)
	client, err := AttachRegion(name, someSizes, OwnUID(), socket, within(soon))
	if err == nil {
		t.Cleanup(client.Close)
	}
	return client, err
}

// eachProfile runs a test over both.
func eachProfile(t *testing.T, test func(t *testing.T, server, client *RegionChannel)) {
	for name, profile := range map[string]uint32{"hybrid": hybrid, "busywait": busywait} {
		t.Run(name, func(t *testing.T) {
			region := newRegionName(profile)
			server := made(t, region)
			client, err := attached(t, region)
			if err != nil {
				t.Fatal(err)
			}
			test(t, server, client)
		})
	}
}

func TestARegionIsLaidOutAsTheContractHasIt(t *testing.T) {
	server := made(t, newRegionName(hybrid))
	for at, want := range map[uintptr]uint32{
		0: 0x4e535748, 4: 3, 8: 128, 12: 2, 16: 128, 20: 128, 24: 256, 28: 256, 32: 1024,
		36: 0, 40: 0, 44: 0, 48: 0, 52: 0, 56: 0, 60: 0, 64: 0, 68: 0, 72: 0, 76: 0, 80: 0, 124: 0,
	} {
		if got := atomic.LoadUint32(server.mapping.word32(at)); got != want {
			t.Errorf("byte %d: %#x, not %#x", at, got, want)
		}
	}
	if server.Bytes() != 512 {
		t.Errorf("%d bytes", server.Bytes())
	}
}

func TestHeadersThatLieAreRefusedByName(t *testing.T) {
	for at, lie := range map[uintptr]uint32{
		offMagic: 1, offVersion: 2, offHeaderLen: 64, offProfile: busywait, offRequestOffset: 64, offRequestCapacity: 0,
		offResponseOffset: 192, offResponseCapacity: 64,
	} {
		region := newRegionName(hybrid)
		server := made(t, region)
		atomic.StoreUint32(server.mapping.word32(at), lie)
		var defect *RegionDefect
		if _, err := attached(t, region); !errors.As(err, &defect) || defect.NotReady() {
			t.Errorf("%d at byte %d: %v", lie, at, err)
		}
	}
	region := newRegionName(hybrid)
	server := made(t, region)
	atomic.StoreUint32(server.mapping.word32(offResponseCapacity), 1<<30)
	var defect *RegionDefect
	if _, err := attached(t, region); !errors.As(err, &defect) || !defect.NotReady() {
		t.Errorf("an area beyond the mapping: %v", err)
	}
}

// sectionReserved (SEC_RESERVE) makes a section that has no memory until somebody asks for it.
const sectionReserved = 0x4000000

func TestARegionWithoutMemoryIsRefused(t *testing.T) {
	region := newRegionName(busywait)
	name, err := windows.UTF16PtrFromString(region.Mapping)
	if err != nil {
		t.Fatal(err)
	}
	section, err := windows.CreateFileMapping(windows.InvalidHandle, nil, windows.PAGE_READWRITE|sectionReserved,
		0, 1<<20, name)
	if err != nil {
		t.Fatal(err)
	}
	defer closeHandle(section)
	reserved, err := mapSection(section)
	if err != nil {
		t.Fatal(err)
	}
	defer reserved.unmap()
	if memory := len(reserved.bytes); memory != 0 {
		t.Fatalf("%d bytes of it are to be touched", memory)
	}
	var defect *RegionDefect
	if _, err := attached(t, region); !errors.As(err, &defect) || defect.NotReady() {
		t.Fatal(err)
	}
	// The header's page alone has some now, and the header says that there is more.
	view := uintptr(reserved.base)
	if _, err := windows.VirtualAlloc(view, regionHeaderBytes, windows.MEM_COMMIT, windows.PAGE_READWRITE); err != nil {
		t.Fatal(err)
	}
	m, err := mapSection(section)
	if err != nil {
		t.Fatal(err)
	}
	defer m.unmap()
	large, ok := layoutFor(RegionSizes{RequestBytes: 1 << 18, ResponseBytes: 1 << 18})
	if !ok {
		t.Fatal("there is no such layout")
	}
	m.fillIn(large, busywait)
	if _, err := attached(t, region); !errors.As(err, &defect) || !defect.NotReady() {
		t.Fatal(err)
	}
}

func TestANameThatIsTakenIsNotTakenOver(t *testing.T) {
	region := newRegionName(hybrid)
	made(t, region)
	if _, err := CreateRegion(region, someSizes); err != ErrRegionTaken {
		t.Fatal(err)
	}
	// Another's event alone is in the way as well.
	other := newRegionName(hybrid)
	other.RequestEvent = region.RequestEvent
	if _, err := CreateRegion(other, someSizes); err != ErrRegionTaken {
		t.Fatal(err)
	}
	var defect *RegionDefect
	if _, err := attached(t, newRegionName(hybrid)); !errors.As(err, &defect) || !defect.NotReady() {
		t.Fatal(err)
	}
	if _, err := CreateRegion(newRegionName(hybrid), RegionSizes{1 << 31, 1 << 31}); err != ErrRegionTooLarge {
		t.Fatal(err)
	}
}

func TestMessagesWakeWhoSleepsAtEitherEnd(t *testing.T) {
	eachProfile(t, func(t *testing.T, server, client *RegionChannel) {
		const messages = 200
		done := make(chan error)
		go func() {
			room := make(someRoom, 100)
			for n := range messages {
				length, err := server.Receive(room, nil, &Wait{})
				if err == nil && (length != 2 || room[0] != byte(n)) {
					err = fmt.Errorf("message %d has %d bytes", n, length)
				}
				if err == nil {
					err = server.Send(room[:1], room[1:length])
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		room := make(someRoom, 100)
		for n := range messages {
			if err := client.Send([]byte{byte(n)}, []byte{7}); err != nil {
				t.Fatal(err)
			}
			length, err := client.Receive(room, nil, within(soon))
			if err != nil || length != 2 || room[0] != byte(n) || room[1] != 7 {
				t.Fatal(n, length, err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestAWaitInARegionEndsAtItsDeadlineOnAbortAndByTheEnd(t *testing.T) {
	eachProfile(t, func(t *testing.T, server, client *RegionChannel) {
		room := make(someRoom, 100)
		start := time.Now()
		if _, err := client.Receive(room, nil, within(60*time.Millisecond)); err != ErrTimedOut {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 60*time.Millisecond {
			t.Fatal(took)
		}
		var abort Abort
		done := make(chan error)
		receive := func(wait *Wait) {
			_, err := client.Receive(room, nil, wait)
			done <- err
		}
		for range 20 {
			go receive(&Wait{Abort: &abort})
			abort.Trigger()
			if err := <-done; err != ErrAborted {
				t.Fatal(err)
			}
			abort.Clear()
		}
		cancel := make(chan struct{})
		go receive(&Wait{Done: cancel})
		close(cancel)
		if err := <-done; err != ErrAborted {
			t.Fatal(err)
		}
		// What comes later is received all the same.
		if err := server.Send([]byte("x"), nil); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Receive(room, nil, within(soon)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		go receive(&Wait{})
		client.End()
		if err := <-done; err != ErrClosed {
			t.Fatal(err)
		}
	})
}

func TestAnEndThatClosesIsNoticedAndWhatItPublishedComesFirst(t *testing.T) {
	eachProfile(t, func(t *testing.T, server, client *RegionChannel) {
		if err := client.Send([]byte("last words"), nil); err != nil {
			t.Fatal(err)
		}
		client.Close()
		room := make(someRoom, 100)
		if n, err := server.Receive(room, nil, &Wait{}); err != nil || string(room[:n]) != "last words" {
			t.Fatal(n, err)
		}
		if _, err := server.Receive(room, nil, &Wait{}); err != ErrClosed {
			t.Fatal(err)
		}
	})
	// Also by who sleeps already.
	eachProfile(t, func(t *testing.T, server, client *RegionChannel) {
		done := make(chan error)
		go func() {
			_, err := client.Receive(make(someRoom, 100), nil, &Wait{})
			done <- err
		}()
		server.Close()
		if err := <-done; err != ErrClosed {
			t.Fatal(err)
		}
	})
}

func TestWhatAPeerWritesIntoARegionBreaksItsSessionAlone(t *testing.T) {
	eachProfile(t, func(t *testing.T, server, client *RegionChannel) {
		room := make(someRoom, 100)
		for _, length := range []uint32{0, 129, 1 << 31} {
			atomic.StoreUint32(client.outgoing.len, length)
			atomic.StoreUint64(client.outgoing.seq, 1)
			var broken *BreachError
			if _, err := server.Receive(room, nil, within(soon)); !errors.As(err, &broken) {
				t.Fatal(length, err)
			}
		}
		for _, number := range []uint64{2, 1 << 62} {
			atomic.StoreUint64(client.outgoing.seq, number)
			var broken *BreachError
			if _, err := server.Receive(room, nil, within(soon)); !errors.As(err, &broken) {
				t.Fatal(number, err)
			}
		}
		// Published once more while it was read.
		if err := server.incoming.unchanged(1, 1<<31); err == nil {
			t.Fatal("a number that changed is none of its business")
		}
		if err := server.incoming.unchanged(1<<62, 1); err == nil {
			t.Fatal("a length that changed is none of its business")
		}
	})
}

func TestRegionsGiveTheirHandlesBack(t *testing.T) {
	region := newRegionName(hybrid)
	once := func() {
		server, err := CreateRegion(region, someSizes)
		if err != nil {
			t.Fatal(err)
		}
		socket, _ := channels(t)
		client, err := AttachRegion(region, someSizes, 0, socket, within(soon))
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		server.Close()
	}
	once()
	server, err := CreateRegion(region, someSizes)
	if err != nil {
		t.Fatal("the name is not free again:", err)
	}
	server.Close()
	before := openDescriptors(t)
	for range 50 {
		server, err := CreateRegion(region, someSizes)
		if err != nil {
			t.Fatal(err)
		}
		server.Close()
	}
	if after := openDescriptors(t); after > before {
		t.Fatalf("%d handles became %d", before, after)
	}
}
