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
//
// An average says nothing of the sleep that comes: a peer that calls once or twice and then falls silent, again and
// again, has a medium one, and whoever holds keeps the processor for nothing in each silence. So long holds are paid
// for: a session that has held for long does not until so many times as long has passed. On a CPU that others want as
// well messages are often late, and not to hold there halves the rate; but hundreds that are in time lie between two
// that are not. So where sleeps are short, a number of them pays for a long hold as well.

const (
	// shortSleep is up to where a sleep is short, on average: the tick of Go's monitor. Nobody blocks for longer who
	// can park, nor holds who cannot and has another processor beside.
	shortSleep = 20 * time.Microsecond
	// mediumSleep is up to where sessions hold.
	mediumSleep = DefaultSpinLimit
	// longSleep is what a sleep counts at most, so that a long one is soon forgotten. A new session
	// starts with it.
	longSleep = 200 * time.Microsecond
	// blockingSlice is how long a goroutine holds or blocks at most, and up to a tick of the kernel longer: how late
	// it notices an abort.
	blockingSlice = 4 * time.Millisecond
	// heldLongShare is the part of the time that sessions hold in sleeps longer than longSleep, at most: one in so
	// many, and one blockingSlice, so that a peer that is late once is held for.
	heldLongShare = 16
	// shortPerHeldLong is how many sleeps pay for another such hold where sleeps are short.
	shortPerHeldLong = 64
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
	// began is when the last sleep did, and paid when time has paid for what was held for long.
	began, paid int64
	// earned is how many sleeps that were not long there are to pay for another, two of them at most.
	earned int
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
// gives its processor to nobody else. Then a sleep begins.
func (r *resting) letOthersFirst(at int64) {
	r.began = at
	every := othersFirstSpared
	if r.processors == 1 {
		every = othersFirstEvery
	}
	r.othersTurn = r.mayHold() && at-r.asked >= int64(every)
	if !r.othersTurn {
		return
	}
	runtime.Gosched()
	r.asked, r.processors = now(), runtime.GOMAXPROCS(0)
	r.began = r.asked
	// Once may be the kernel's doing, which gave the CPU to another process; twice in a row are those others.
	took := r.asked - at
	long := took > spinCrowded
	if !long || r.tookLong {
		r.others.turnsTaken(r.asked, took)
	}
	r.tookLong = long
}

// mayHold tells whether sleeps are short enough.
func (r *resting) mayHold() bool { return r.sleep != 0 && r.sleep < int64(mediumSleep) }

// way is how to sleep now; canPark if that is one of the ways, and not another word for blocking.
func (r *resting) way(canPark bool) restWay {
	alone := r.isAlone()
	if !r.mayHold() || !r.hasPaid() {
		return parks
	}
	short := r.isShort()
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

// isShort tells whether sleeps are short.
func (r *resting) isShort() bool { return r.sleep < int64(shortSleep) }

// isAlone tells whether no other session of this process has slept since this one last did, and notes that
// this one does.
func (r *resting) isAlone() bool {
	if lastToSleep.Load() == r.number {
		return true
	}
	lastToSleep.Store(r.number)
	return false
}

// hasPaid tells whether what was held for long is paid for, but for the last time.
func (r *resting) hasPaid() bool { return r.hasWaited() || r.isShort() && r.earned >= 0 }

// hasWaited tells whether it is paid for by time.
func (r *resting) hasWaited() bool { return r.began >= r.paid-heldLongShare*int64(blockingSlice) }

// held is called when a hold has ended, whatever came of it.
func (r *resting) held(at int64) {
	took := at - r.began
	switch {
	case took <= int64(longSleep):
	case r.hasWaited():
		r.paid = max(r.paid, r.began) + heldLongShare*took
	default:
		r.earned -= shortPerHeldLong
	}
}

// slept is called when a sleep has ended with a message.
func (r *resting) slept(at int64) {
	if r.sleep == 0 {
		return
	}
	took := at - r.began
	if took <= int64(longSleep) {
		r.earned = min(r.earned+1, shortPerHeldLong)
	}
	r.sleep += (min(took, int64(longSleep)) - r.sleep) / sleepWeight
	r.sleep = max(r.sleep, 1)
}
