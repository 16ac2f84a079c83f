package sys

import (
	"runtime"
	"sync/atomic"
	"time"
)

// How a goroutine sleeps for a message, where looking does not pay:
//
//	holds   in the kernel, with its thread and its processor of Go's, as one that computes has them
//	blocks  in the kernel, with its thread; the scheduler is told, and may give the processor to others
//	parks   with Go's poller, with neither; a session in shared memory cannot, and blocks
//
// Who is told nothing does nothing: so holding is what a blocking call costs without Go. Where Go's monitor
// sees a goroutine in a system call for longer than one of its ticks (20 µs), and no processor idle, it takes
// the processor away and wakes a thread to have it, and more threads follow; for the peer that shares the CPU
// that is the CPU it was to answer from. Parking costs three times the system calls, and no thread.
//
// So sessions hold while their sleeps are short: as long as a look that pays, at most. Meanwhile the other
// goroutines of that processor wait, as they do for one that computes: they are let first once in a while, and
// where they had work to do nobody holds for some time. And a session holds only while it is the only one of
// its process that sleeps.

const (
	// shortSleep is up to where a sleep is short, on average: the tick of Go's monitor.
	shortSleep = 20 * time.Microsecond
	// mediumSleep is up to where those hold who cannot park, and have no other processor beside theirs.
	mediumSleep = DefaultSpinLimit
	// longSleep is what a sleep counts at most, so that a long one is soon forgotten. A new session
	// starts with it.
	longSleep = 200 * time.Microsecond
	// sleepWeight is the weight of the last sleep in the average: one in so many.
	sleepWeight = 8
	// othersFirstEvery is how often, at most, who sleeps shortly lets the process's other goroutines run.
	othersFirstEvery = time.Millisecond
)

type restWay uint8

const (
	parks restWay = iota
	blocks
	holds
)

// resting is what one receiving side has learnt of its sleeps. The zero value parks.
type resting struct {
	// sleep is the average of recent sleeps, in nanoseconds.
	sleep int64
	// number is the session's own.
	number uint64
	// asked is when the other goroutines were let first, others what came of it, and processors how many
	// of them the process had then.
	asked      int64
	others     crowd
	processors int
}

// lastToSleep is the session of this process that slept last, and numbers counts those there were.
var lastToSleep, numbers atomic.Uint64

func newResting() resting { return resting{sleep: int64(longSleep), number: numbers.Add(1)} }

// letOthersFirst lets the process's other goroutines run, if none did for a while: who answers in turns, or holds,
// gives its processor to nobody else. It answers the time.
func (r *resting) letOthersFirst(at int64, canPark bool) int64 {
	if !r.mayHold(canPark) || at-r.asked < int64(othersFirstEvery) {
		return at
	}
	runtime.Gosched()
	r.asked, r.processors = now(), runtime.GOMAXPROCS(0)
	r.others.turnsTaken(r.asked, r.asked-at)
	return r.asked
}

// mayHold tells whether sleeps are short enough; canPark if that is one of the ways.
func (r *resting) mayHold(canPark bool) bool {
	most := mediumSleep
	if canPark {
		most = shortSleep
	}
	return r.sleep != 0 && r.sleep < int64(most)
}

// way is how to sleep now.
func (r *resting) way(canPark bool) restWay {
	alone := r.isAlone()
	if !r.mayHold(canPark) {
		return parks
	}
	short := r.sleep < int64(shortSleep)
	if alone && r.others.isGone(r.asked) && (short || r.processors == 1) {
		return holds
	}
	if short {
		return blocks
	}
	return parks
}

// isAlone tells whether no other session of this process has slept since this one last did, and notes that
// this one does.
func (r *resting) isAlone() bool {
	if lastToSleep.Load() == r.number {
		return true
	}
	lastToSleep.Store(r.number)
	return false
}

// slept is called when a sleep has ended with a message.
func (r *resting) slept(nanoseconds int64) {
	if r.sleep == 0 {
		return
	}
	r.sleep += (min(nanoseconds, int64(longSleep)) - r.sleep) / sleepWeight
	r.sleep = max(r.sleep, 1)
}
