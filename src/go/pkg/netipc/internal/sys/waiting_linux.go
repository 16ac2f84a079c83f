package sys

import (
	"sync/atomic"
	"time"
)

// How a receiving goroutine waits for a packet, from the cheapest to the most patient way:
//
//	look    non-blocking receives in a loop, while they pay (spin.go)
//	yield   twice at most, for a peer that shares this CPU and answers at once (spin.go)
//	block   a receive that sleeps in the kernel with this thread, while sleeps have been short
//	park    with Go's poller: no thread, and about three times the system calls
//
// Blocking is for the peer that shares this CPU: nothing is quicker than to let the kernel switch
// between the two, and Go's poller costs half of the rate (docs/adr/0009 has the measurements). But
// each blocked goroutine holds a thread, and Go's monitor wakes up for it: where sleeps are long,
// parking costs less than half. So blocking is for sleeps that have been short lately, and for a few
// goroutines at a time; all others are parked.

const (
	// maxBlocked is how many goroutines of the process may block at a time.
	maxBlocked = 8
	// shortSleep is up to where a sleep is short, on average: the tick of Go's monitor, which takes the
	// processor from whoever blocks for longer.
	shortSleep = 20 * time.Microsecond
	// longSleep is what a sleep counts at most, so that a long one is soon forgotten. A new session
	// starts with it.
	longSleep = 200 * time.Microsecond
	// sleepWeight is the weight of the last sleep in the average: one in so many.
	sleepWeight = 8
)

// blocked counts the goroutines that block.
var blocked atomic.Int32

// waiting is what one receiving side has learnt of its peer.
type waiting struct {
	spin Spin
	// sleep is the average of recent sleeps, in nanoseconds.
	sleep int64
}

// SpinAtMost sets how long a wait may look before it sleeps: until it is called, none does. Before the
// first receive.
func (c *PacketChannel) SpinAtMost(limit time.Duration) {
	c.waiting = waiting{spin: NewSpin(limit), sleep: int64(longSleep)}
}

// await waits for a packet, and takes it.
func (c *PacketChannel) await(buffer []byte, wait *Wait) (int, error) {
	w := &c.waiting
	if w.spin.mayBegin() {
		c.recv.unlist(c.fd)
		if n, err := c.look(buffer); n > 0 || err != nil {
			return n, err
		}
	}
	start := now()
	if w.spin.sharesCPU() {
		c.recv.unlist(c.fd)
	}
	// Not in a loop that looks: the peer has no CPU to answer from before it is given this one.
	for given := (turns{}); w.spin.giveTurn(&given); {
		if n, err := c.tryRecv(buffer); n > 0 || err != nil {
			w.spin.metInTurn(&given)
			w.slept(now() - start)
			return n, err
		}
	}
	// Without a look before, which would be in vain: what blocks takes what is there just as well.
	if w.sleep != 0 && w.sleep < int64(shortSleep) {
		c.recv.unlist(c.fd)
		if n, err := c.block(buffer, wait); n > 0 || err != nil {
			w.slept(now() - start)
			return n, err
		}
	}
	n, err := c.parkRecv(buffer, wait)
	if err == nil {
		w.slept(now() - start)
	}
	return n, err
}

// look receives without blocking for as long as the spin allows. Zero when nothing came.
func (c *PacketChannel) look(buffer []byte) (int, error) {
	// What is there already says nothing of waiting.
	if n, err := c.tryRecv(buffer); n > 0 || err != nil {
		return n, err
	}
	spin := &c.waiting.spin
	for l := spin.begin(); ; {
		for range systemLooksPerReading {
			if n, err := c.tryRecv(buffer); n > 0 || err != nil {
				spin.found(&l)
				return n, err
			}
		}
		if !spin.goOn(&l) {
			return 0, nil
		}
	}
}

// block sleeps in the kernel for a slice. Zero when nothing came, or the time would not be kept, or too
// many block already.
func (c *PacketChannel) block(buffer []byte, wait *Wait) (int, error) {
	if left, ends := wait.Deadline.Remaining(); ends && left < 2*blockingSlice {
		return 0, nil
	}
	if blocked.Add(1) > maxBlocked {
		blocked.Add(-1)
		return 0, nil
	}
	n, errno := blockingRecv(c.fd, buffer)
	blocked.Add(-1)
	if wait.Ended() && n <= 0 {
		return 0, ErrAborted
	}
	return c.received(n, errno, buffer)
}

func (w *waiting) slept(nanoseconds int64) {
	if w.sleep == 0 {
		return
	}
	w.sleep += (min(nanoseconds, int64(longSleep)) - w.sleep) / sleepWeight
	w.sleep = max(w.sleep, 1)
}
