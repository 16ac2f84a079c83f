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
// that is the CPU it was to answer from. Parking costs three times the system calls, and no thread; and where the
// last processor has nothing to do, the monitor sleeps, until the next system call that the scheduler is told of
// wakes it, to look around every 20 µs.
//
// So sessions hold while their sleeps are as long as a look that pays, at most. Meanwhile the other goroutines of
// that processor wait, as they do for one that computes: they are let first once in a while, and where they had work
// to do nobody holds for some time. Whoever else is parked waits as well where there is no processor beside; so a
// session whose sleeps are not short, if it can, parks itself then. And a session holds only while it is the only
// one of its process that sleeps.

const (
	// shortSleep is up to where a sleep is short, on average: the tick of Go's monitor. Nobody blocks for longer who
	// can park, nor holds who cannot and has another processor beside.
	shortSleep = 20 * time.Microsecond
	// mediumSleep is up to where sessions hold.
	mediumSleep = DefaultSpinLimit
	// longSleep is what a sleep counts at most, so that a long one is soon forgotten. A new session
	// starts with it.
	longSleep = 200 * time.Microsecond
	// sleepWeight is the weight of the last sleep in the average: one in so many.
	sleepWeight = 8
	// othersFirstEvery is how often, at most, who sleeps shortly lets the process's other goroutines run where no
	// other processor does, and othersFirstSpared where one may: there each time wakes a thread that looks for
	// work. Less often than every 10 ms, and the monitor would take such a processor for one that is stuck.
	othersFirstEvery  = time.Millisecond
	othersFirstSpared = 4 * time.Millisecond
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
	// othersTurn: they were let first before this very sleep. tookLong: the last time took long.
	othersTurn, tookLong bool
}

// lastToSleep is the session of this process that slept last, and numbers counts those there were.
var lastToSleep, numbers atomic.Uint64

func newResting() resting { return resting{sleep: int64(longSleep), number: numbers.Add(1)} }

// letOthersFirst lets the process's other goroutines run, if none did for a while: who answers in turns, or holds,
// gives its processor to nobody else. It answers the time.
func (r *resting) letOthersFirst(at int64) int64 {
	every := othersFirstSpared
	if r.processors == 1 {
		every = othersFirstEvery
	}
	r.othersTurn = r.mayHold() && at-r.asked >= int64(every)
	if !r.othersTurn {
		return at
	}
	runtime.Gosched()
	r.asked, r.processors = now(), runtime.GOMAXPROCS(0)
	// Once may be the kernel's doing, which gave the CPU to another process; twice in a row are those others.
	took := r.asked - at
	long := took > spinCrowded
	if !long || r.tookLong {
		r.others.turnsTaken(r.asked, took)
	}
	r.tookLong = long
	return r.asked
}

// mayHold tells whether sleeps are short enough.
func (r *resting) mayHold() bool { return r.sleep != 0 && r.sleep < int64(mediumSleep) }

// way is how to sleep now; canPark if that is one of the ways, and not another word for blocking.
func (r *resting) way(canPark bool) restWay {
	alone := r.isAlone()
	if !r.mayHold() {
		return parks
	}
	short := r.sleep < int64(shortSleep)
	// Those who are parked are heard of when somebody parks.
	mediumToo := canPark && !r.othersTurn || !canPark && r.processors == 1
	if alone && r.others.isGone(r.asked) && (short || mediumToo) {
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
