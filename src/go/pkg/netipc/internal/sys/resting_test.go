//go:build linux

package sys

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOnlyWhoSleepsForMomentsAndAloneHolds(t *testing.T) {
	const short, medium = int64(shortSleep) - 1, int64(mediumSleep) - 1
	for _, c := range []struct {
		name                            string
		sleep                           int64
		alone, canPark, disturbs, turns bool
		processors                      int
		way                             restWay
	}{
		{"short", short, true, true, false, false, 2, holds},
		{"short, when others had their turn", short, true, true, false, true, 2, holds},
		{"short, in shared memory", short, true, false, false, false, 2, holds},
		{"short, beside others", short, false, true, false, false, 2, blocks},
		{"short, where others work", short, true, true, true, false, 2, blocks},
		{"medium", int64(shortSleep), true, true, false, false, 1, holds},
		{"medium, with a processor to spare", medium, true, true, false, false, 2, holds},
		{"medium, when others had their turn", medium, true, true, false, true, 2, parks},
		{"medium, beside others", medium, false, true, false, false, 2, parks},
		{"medium, where others work", medium, true, true, true, false, 2, parks},
		{"medium, in shared memory", medium, true, false, false, false, 1, holds},
		{"medium, in shared memory, when others had their turn", medium, true, false, false, true, 1, holds},
		{"medium, in shared memory, beside others", medium, false, false, false, false, 1, parks},
		{"medium, in shared memory, where others work", medium, true, false, true, false, 1, parks},
		{"medium, in shared memory, with a processor to spare", medium, true, false, false, false, 2, parks},
		{"long", int64(mediumSleep), true, true, false, false, 1, parks},
		{"long, in shared memory", int64(mediumSleep), true, false, false, false, 1, parks},
		{"one that was never set up", 0, true, false, false, false, 1, parks},
	} {
		at := now()
		r := newResting()
		// Others were let first a moment ago: nobody is, in this test.
		r.sleep, r.processors, r.asked, r.othersTurn = c.sleep, c.processors, at, c.turns
		if c.disturbs {
			r.others.turnsTaken(at, spinCrowded+1)
		}
		if c.alone {
			lastToSleep.Store(r.number)
		}
		if way := r.way(c.canPark); way != c.way {
			t.Errorf("%s: %d, not %d", c.name, way, c.way)
		}
		if !r.isAlone() {
			t.Errorf("%s: did not note that it sleeps", c.name)
		}
	}
}

// slept is what sleeps came to.
type slept struct {
	// heldLong is the part of the time that was held in sleeps that were long, and holding the part of the sleeps that
	// were held in.
	heldLong, holding float64
	// longHolds is how many holds were long, of so many sleeps.
	longHolds, sleeps int
}

// sleepsOf has a session sleep for these times, one after the other, as often as there is time for.
func sleepsOf(sleeps []time.Duration, canPark bool, during time.Duration) slept {
	r := newResting()
	r.processors, r.sleep = 1, 1
	lastToSleep.Store(r.number)
	started := now()
	ends := started + int64(during)
	var is slept
	var long, held int64
	at := started
	for ; at < ends; is.sleeps++ {
		sleep := int64(sleeps[is.sleeps%len(sleeps)])
		// Nobody is let first, in this test.
		r.asked = at
		r.letOthersFirst(at)
		if r.way(canPark) == holds {
			held++
			most := min(sleep, int64(blockingSlice))
			if most > int64(longSleep) {
				is.longHolds++
				long += most
			}
			r.held(at + most)
		}
		at += sleep
		r.slept(at)
	}
	is.heldLong, is.holding = float64(long)/float64(at-started), float64(held)/float64(is.sleeps)
	return is
}

func TestWhoseSleepsAreNotShortHoldsForLongAPartOfTheTimeAtMost(t *testing.T) {
	const us, ms = time.Microsecond, time.Millisecond
	const during = 10 * time.Second
	// The time paid for, what is held for before, and what they may have saved up while sleeps were short: at first.
	most := 1.0/heldLongShare + float64(4*blockingSlice)/float64(during)
	for _, c := range []struct {
		name   string
		sleeps []time.Duration
		holds  bool
	}{
		{"two calls, and a pause", []time.Duration{30 * us, 10 * ms}, false},
		{"two calls, and longer pauses", []time.Duration{30 * us, 10 * ms, 10 * ms}, false},
		{"shorter calls, and pauses", []time.Duration{10 * us, 10 * ms, 10 * ms, 10 * ms}, false},
		{"calls that are to hide the pauses", []time.Duration{5 * us, 5 * us, 5 * us, 5 * us, 5 * us, 5 * us, 4 * ms}, false},
		{"pauses that end before the hold does", []time.Duration{30 * us, 30 * us, 30 * us, 30 * us, blockingSlice - 1}, false},
		{"pauses as short as a long sleep can be", []time.Duration{5 * us, 5 * us, 5 * us, 5 * us, longSleep + 1}, false},
		{"10,000 a second", []time.Duration{85 * us}, true},
		{"10,000 a second, not all in time", []time.Duration{10 * us, 85 * us, 85 * us, 190 * us}, true},
		{"10,000 a second, and seldom late by a little", slices.Concat(slices.Repeat([]time.Duration{85 * us}, 99),
			[]time.Duration{500 * us}), true},
		{"one right after the other", []time.Duration{5 * us}, true},
	} {
		for _, canPark := range []bool{true, false} {
			is := sleepsOf(c.sleeps, canPark, during)
			if is.heldLong > most {
				t.Errorf("%s: holds for long %.3f of the time, where it can park: %v", c.name, is.heldLong, canPark)
			}
			if c.holds && is.holding < 1 {
				t.Errorf("%s: holds %.3f of its sleeps, where it can park: %v", c.name, is.holding, canPark)
			}
		}
	}
}

func TestWhoseSleepsAreShortHoldsForLongSoOftenAtMost(t *testing.T) {
	const us, ms = time.Microsecond, time.Millisecond
	const during = 10 * time.Second
	calls := func(count int, pause time.Duration) []time.Duration {
		return append(slices.Repeat([]time.Duration{5 * us}, count), pause)
	}
	for _, c := range []struct {
		name   string
		sleeps []time.Duration
	}{
		{"a dozen, and a short pause", calls(12, longSleep+1)},
		{"a dozen, and a pause", calls(12, blockingSlice)},
		{"a dozen, and a longer pause", calls(12, 10*ms)},
		{"a dozen a second", calls(12, time.Second)},
		{"more, and a pause", calls(50, blockingSlice)},
	} {
		for _, canPark := range []bool{true, false} {
			is := sleepsOf(c.sleeps, canPark, during)
			pause := min(c.sleeps[len(c.sleeps)-1], blockingSlice)
			// What time pays for, what sleeps do, and what may be owed for of each, and was saved.
			most := int(during/(heldLongShare*pause)) + is.sleeps/shortPerHeldLong + 4
			if is.longHolds > most {
				t.Errorf("%s: %d of %d sleeps are long holds, and at most %d, where it can park: %v",
					c.name, is.longHolds, is.sleeps, most, canPark)
			}
		}
	}
	// On a CPU that others want messages are late once in some hundreds.
	late := calls(4*shortPerHeldLong, blockingSlice)
	if is := sleepsOf(late, true, during); is.longHolds < is.sleeps/len(late) {
		t.Errorf("%d of %d sleeps are long holds", is.longHolds, is.sleeps)
	}
}

func TestAPeerThatIsLateOnceIsHeldForStill(t *testing.T) {
	// 10,000 calls a second, of which the last of so many is late by as much as a slice.
	const calls = 2 * heldLongShare * int(blockingSlice/(100*time.Microsecond))
	sleeps := make([]time.Duration, calls)
	for i := range sleeps {
		sleeps[i] = 85 * time.Microsecond
	}
	sleeps[calls-1] = blockingSlice
	if is := sleepsOf(sleeps, true, 10*time.Second); is.holding < 1 {
		t.Fatalf("holds %.3f of its sleeps", is.holding)
	}
}

func TestHoldsThatEndWithoutAMessageAreLearntOf(t *testing.T) {
	_, socket := channels(t)
	region, _, _ := someRegion(t)
	socket.SpinAtMost(NeverSpin)
	region.SpinAtMost(NeverSpin)
	buffer := make([]byte, 10)
	for _, c := range []struct {
		name    string
		waiting *waiting
		receive func(*Wait) (int, error)
	}{
		{"a socket", &socket.waiting, func(wait *Wait) (int, error) { return socket.Recv(buffer, wait) }},
		{"shared memory", &region.waiting, func(wait *Wait) (int, error) { return region.Receive(someRoom(buffer), nil, wait) }},
	} {
		// A signal of Go's own may end one early, and a busy machine leave no time for one.
		const tries = 50
		for try := 0; try < tries && c.waiting.paid == 0; try++ {
			c.waiting.sleep = 1
			lastToSleep.Store(c.waiting.number)
			if _, err := c.receive(within(blockingSlice + 2*kernelTick)); err != ErrTimedOut {
				t.Fatal(c.name, err)
			}
		}
		if c.waiting.paid <= c.waiting.began+heldLongShare*int64(longSleep) {
			t.Errorf("%s: a hold from %d in vain is paid for at %d", c.name, c.waiting.began, c.waiting.paid)
		}
	}
}

func TestWhoHoldsLetsOthersFirstOnceInAWhile(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r := newResting()
	r.sleep = 1
	lastToSleep.Store(r.number)
	// Go's scheduler may take the one who let others first for the next of them, have work of its own, or take one
	// that works off its processor at once: so there are more of them than one.
	// And once is not enough.
	const tries = 100
	for try := 0; try < tries && r.others.isGone(r.asked); try++ {
		go func() {
			// Work to do: more than a turn is worth.
			for until := now() + 2*spinCrowded; now() < until; {
			}
		}()
		at := now()
		r.asked, r.others = at-int64(othersFirstSpared), crowd{}
		tookLong := r.tookLong
		r.letOthersFirst(at)
		if !tookLong && !r.others.isGone(r.asked) {
			t.Fatal("one turn that others took is enough")
		}
	}
	if way := r.way(true); way == holds || !r.tookLong {
		t.Fatalf("with others who work, it is %d", way)
	}
	asked, soon := r.asked, r.asked+int64(othersFirstEvery)-1
	if r.letOthersFirst(soon); r.asked != asked || r.began != soon {
		t.Fatal("others are let first again at once")
	}
	if r.others.until-r.asked != spinCrowdedPause {
		t.Fatal("not for as long as where others take the turns on a CPU")
	}
}

func TestTheWorldStopsWhileSomebodyHolds(t *testing.T) {
	a, b := channels(t)
	b.SpinAtMost(NeverSpin)
	done := make(chan error)
	const packets = 50
	go func() {
		buffer := make([]byte, 10)
		for range packets {
			b.waiting.sleep = 1
			lastToSleep.Store(b.waiting.number)
			if _, err := b.Recv(buffer, within(soon)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range packets {
		runtime.GC()
		if err := a.Send([]byte("abc"), nil, within(soon)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestThePollerKnowsOfASocketOnlyWhileSomebodyParks(t *testing.T) {
	a, b := channels(t)
	b.SpinAtMost(NeverSpin)
	buffer := make([]byte, 10)
	for _, c := range []struct {
		sleep  int64
		listed bool
	}{{int64(longSleep), true}, {1, false}, {int64(longSleep), true}, {1, false}, {0, true}} {
		b.waiting.sleep = c.sleep
		if err := a.Send([]byte("abc"), nil, within(soon)); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Recv(buffer, within(soon)); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		if b.recv.listed != c.listed {
			t.Fatalf("after a sleep of %d ns on average: listed: %v", c.sleep, b.recv.listed)
		}
	}
}

func TestWhoHoldsForLongerParksWhenOthersHadTheirTurn(t *testing.T) {
	a, b := channels(t)
	b.SpinAtMost(NeverSpin)
	buffer := make([]byte, 10)
	const never = math.MinInt64 / 2
	later := now() + int64(time.Hour)
	for i, c := range []struct {
		// asked is when others had their last turn.
		asked  int64
		listed bool
	}{{never, true}, {later, false}, {never, true}, {later, false}} {
		b.waiting.sleep, b.waiting.asked, b.waiting.others = int64(shortSleep), c.asked, crowd{}
		lastToSleep.Store(b.waiting.number)
		if err := a.Send([]byte("abc"), nil, within(soon)); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Recv(buffer, within(soon)); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		if b.recv.listed != c.listed {
			t.Fatalf("at sleep %d, the poller knows of the socket: %v", i, b.recv.listed)
		}
	}
}

func TestWhoHoldsNoticesAbortsAndDeadlinesInTime(t *testing.T) {
	_, b := channels(t)
	b.SpinAtMost(NeverSpin)
	buffer := make([]byte, 10)
	b.waiting.sleep = 1
	lastToSleep.Store(b.waiting.number)
	timeout := blockingSlice / 2
	start := time.Now()
	if _, err := b.Recv(buffer, within(timeout)); err != ErrTimedOut {
		t.Fatal(err)
	}
	if took := time.Since(start); took < timeout {
		t.Fatal(took)
	}
	var abort Abort
	ended := make(chan error)
	go func() {
		b.waiting.sleep = 1
		lastToSleep.Store(b.waiting.number)
		_, err := b.Recv(buffer, &Wait{Abort: &abort})
		ended <- err
	}()
	abort.Trigger()
	if err := <-ended; err != ErrAborted {
		t.Fatal(err)
	}
}

func TestASessionThatGetsNothingToWaitWithIsToldSo(t *testing.T) {
	path := shortDir(t) + "/svc.sock"
	listener := bound(t, path)
	client, err := Connect(path, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	// One may be opened: for the connection, and not for its waiting.
	withDescriptors(t, 1, func() {
		accepted, err := listener.Accept(within(soon))
		if err != nil || !accepted.Overflow {
			t.Fatalf("%+v, %v", accepted, err)
		}
		_ = accepted.Channel.Close()
	})
}

func TestAClientThatGetsNothingToWaitWithFails(t *testing.T) {
	path := shortDir(t) + "/svc.sock"
	bound(t, path)
	// None for its socket, or none for one direction or the other; and what failed keeps none.
	for more := range 3 {
		before := openDescriptors(t)
		withDescriptors(t, more, func() {
			_, err := Connect(path, within(soon))
			var refused *SysError
			if !errors.As(err, &refused) || refused.Code != unix.EMFILE {
				t.Fatalf("%d: %v", more, err)
			}
		})
		if after := openDescriptors(t); after > before {
			t.Errorf("%d: %d descriptors, and %d before", more, after, before)
		}
	}
	withDescriptors(t, 3, func() {
		client, err := Connect(path, within(soon))
		if err != nil {
			t.Fatal(err)
		}
		_ = client.Close()
	})
}

// withDescriptors calls do while so many descriptors may be opened more.
func withDescriptors(t *testing.T, more int, do func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// The lowest that are free; all others below the last of them are taken.
	free := make([]int, more+1)
	for i := range free {
		var err error
		if free[i], err = unix.Dup(0); err != nil {
			t.Fatal(err)
		}
	}
	for _, fd := range free {
		_ = unix.Close(fd)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free[more]), Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}()
	do()
}

func TestASendThatWaitsNeedsNoMoreDescriptors(t *testing.T) {
	path := shortDir(t) + "/svc.sock"
	listener := bound(t, path)
	client, err := Connect(path, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := listener.Accept(within(soon))
	if err != nil {
		t.Fatal(err)
	}
	server := accepted.Channel
	defer server.Close()
	buffer := make([]byte, 1000)
	withDescriptors(t, 0, func() {
		if fd, err := unix.Dup(0); err == nil {
			_ = unix.Close(fd)
			t.Fatal("there is a descriptor left")
		}
		for _, ends := range [][2]*PacketChannel{{client, server}, {server, client}} {
			for sent := true; sent; {
				if sent, err = ends[0].TrySend(buffer, nil); err != nil {
					t.Fatal(err)
				}
			}
			// It waits, or the time would not be what ends it.
			if err := ends[0].Send(buffer, nil, within(0)); err != ErrTimedOut {
				t.Fatal(err)
			}
			sending := make(chan error)
			go func() { sending <- ends[0].Send(buffer, nil, within(soon)) }()
			// All of it: a little room wakes nobody.
			for n := 1; n > 0; {
				if n, err = ends[1].TryRecv(buffer); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-sending; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Under the race detector: neither direction touches what the other waits with. Many rounds, as the two must begin to
// wait in this order.
func TestBothDirectionsMayWaitForTheFirstTimeAtOnce(t *testing.T) {
	const rounds = 20
	packet := make([]byte, 1000)
	for range rounds {
		a, b := channels(t)
		for sent := true; sent; {
			var err error
			if sent, err = a.TrySend(packet, nil); err != nil {
				t.Fatal(err)
			}
		}
		receiving := make(chan error)
		go func() {
			_, err := a.Recv(make([]byte, 1), within(soon))
			receiving <- err
		}()
		runtime.Gosched()
		// It waits, or the time would not be what ends it.
		if err := a.Send(packet, nil, within(0)); err != ErrTimedOut {
			t.Fatal(err)
		}
		if err := b.Send(packet[:1], nil, within(soon)); err != nil {
			t.Fatal(err)
		}
		if err := <-receiving; err != nil {
			t.Fatal(err)
		}
	}
}
