package sys

import (
	"sync/atomic"
	"time"
)

// How a receiving goroutine waits for a packet, from the cheapest to the most patient way:
//
//	look    non-blocking receives in a loop, while they pay (spin.go)
//	yield   twice at most, for a peer that shares this CPU and answers at once (spin.go)
//	hold    a receive that sleeps in the kernel and that Go's scheduler knows nothing of (resting.go)
//	block   the same, and it knows, for a few goroutines at a time
//	park    with Go's poller: no thread
//
// docs/adr/0009 has the measurements.

// maxBlocked is how many goroutines of the process may block at a time, each with a thread.
const maxBlocked = 8

// blocked counts the goroutines that block.
var blocked atomic.Int32

// SpinAtMost sets how long a wait may look before it sleeps: until it is called, none does. Before the
// first receive.
func (c *PacketChannel) SpinAtMost(limit time.Duration) { c.waiting = newWaiting(limit) }

// await waits for a packet, and takes it.
func (c *PacketChannel) await(buffer []byte, wait *Wait) (int, error) {
	w := &c.waiting
	if w.spin.mayBegin() {
		c.recv.unlist(c.fd)
		if n, err := c.look(buffer); n > 0 || err != nil {
			return n, err
		}
	}
	w.letOthersFirst(now())
	n, err := c.rest(buffer, wait)
	if err == nil {
		w.slept(now())
	}
	return n, err
}

// rest waits for a packet where looking does not pay.
func (c *PacketChannel) rest(buffer []byte, wait *Wait) (int, error) {
	w := &c.waiting
	if w.spin.sharesCPU() {
		c.recv.unlist(c.fd)
	}
	// Not in a loop that looks: the peer has no CPU to answer from before it is given this one.
	for given := (turns{}); w.spin.giveTurn(&given); {
		if n, err := c.tryRecv(buffer); n > 0 || err != nil {
			w.spin.metInTurn(&given)
			return n, err
		}
	}
	// Without a look before, which would be in vain: whatever sleeps takes what is there just as well.
	if way := w.way(true); way != parks {
		c.recv.unlist(c.fd)
		if n, err := c.block(buffer, wait, way); n > 0 || err != nil {
			return n, err
		}
	}
	return c.parkRecv(buffer, wait)
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
func (c *PacketChannel) block(buffer []byte, wait *Wait, way restWay) (int, error) {
	if left, ends := wait.Deadline.Remaining(); ends && left < blockingSlice+kernelTick {
		return 0, nil
	}
	receive := heldRecv
	if way == blocks {
		receive = blockingRecv
		if blocked.Add(1) > maxBlocked {
			blocked.Add(-1)
			return 0, nil
		}
		defer blocked.Add(-1)
	}
	n, errno := receive(c.fd, buffer)
	if way == holds {
		c.waiting.held(now())
	}
	if wait.Ended() && n <= 0 {
		return 0, ErrAborted
	}
	return c.received(n, errno, buffer)
}
