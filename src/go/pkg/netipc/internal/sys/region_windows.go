package sys

import (
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/windows"
)

// How who sleeps for a message is told of it (spec section 9): it sets a flag before its last look, and a
// publisher that finds the flag set sets an event.
//
// A sleep ends for sure: by a message, for the event that is set for it stays set until somebody is woken; by
// an abort and by the end of the channel, for the region's events are the peer's to reset, so a sleep is on an
// event of this process as well; and by the peer's leaving, which it says in the region, and by the event. A
// peer that is killed says nothing: then the session's pipe tells, at which a client looks once a slice while a
// call waits, and for a server the goroutine that is parked on it.
//
// Without events (profile 0x04) nobody sleeps: who waits looks, and lets others run now and then.
//
// The memory is the page file's, reserved when it is made, so it can neither be cut off nor run out, and it goes
// with the last process that has it: nothing is left behind to be removed.

const (
	// looksPerTurn are the looks of who does not sleep between two at everything else (spec section 9).
	looksPerTurn = 1024

	sleeps, awake uint32 = 1, 0
	saysClosed    uint32 = 1
)

// RegionsTellOfClose tells whether a region itself says when an end of it is closed.
const RegionsTellOfClose = true

// bell is what a channel has to wake the peer, and to be woken.
type bell struct {
	// section is the mapping: as long as it is open the names lead to it.
	section windows.Handle
	// ring wakes the peer; zero where nobody sleeps.
	ring windows.Handle
	// handles are the event that the peer sets, and this process's own.
	handles [2]windows.Handle
	// ownClosed and theirsClosed say that an end is closed.
	ownClosed, theirsClosed *uint32
}

const (
	hearEvent = iota
	ownEvent
)

// newBell is that of a server, or of a client, which keeps these handles; on failure they are closed.
func newBell(m *mapping, section windows.Handle, request, response windows.Handle, serves bool) (bell, error) {
	b := bell{
		section: section, ring: request,
		ownClosed: m.word32(offReqClientClosed), theirsClosed: m.word32(offRespServerClosed),
	}
	b.handles[hearEvent] = response
	if serves {
		b.ring, b.handles[hearEvent] = response, request
		b.ownClosed, b.theirsClosed = b.theirsClosed, b.ownClosed
	}
	own, err := windows.CreateEvent(nil, 0, 0, nil)
	if err != nil {
		b.release()
		return bell{}, refused("create an event", err)
	}
	b.handles[ownEvent] = own
	return b, nil
}

func lanesOf(m *mapping, l layout) (requests, responses lane) {
	return lane{m.word64(offReqSeq), m.word32(offReqLen), m.word32(offReqServerWaiting), l.request},
		lane{m.word64(offRespSeq), m.word32(offRespLen), m.word32(offRespClientWaiting), l.response}
}

func (*bell) adopt(*lane) {}

// announce numbers a message that is in its area, and wakes who waits for it.
func (b *bell) announce(out *lane, number uint64) {
	if b.ring == 0 {
		// For the receiver's look: it finds the message and its length. Nobody sleeps.
		storeRelease64(out.seq, number)
		return
	}
	// Partner of the sleeper's store of its flag and last look: either the flag is seen here, or the number
	// there. Go's atomic operations are sequentially consistent.
	atomic.StoreUint64(out.seq, number)
	if atomic.LoadUint32(out.alarm) != awake {
		b.wakePeer()
	}
}

func (b *bell) wakePeer() {
	if b.ring != 0 {
		_ = windows.SetEvent(b.ring)
	}
}

// unchanged tells whether the peer has left a message alone while it was copied: one that has not has broken the
// rules. No more than a courtesy to it: what was copied is judged as it is.
func (in *lane) unchanged(seen uint64, length uint32) error {
	if found := atomic.LoadUint64(in.seq); found != seen {
		return breach("message %d came while message %d was read", found, seen)
	}
	if found := atomic.LoadUint32(in.len); found != length {
		return breach("a message of %d bytes has %d after it was read", length, found)
	}
	return nil
}

// beforeSleep is for before the last look.
func (*bell) beforeSleep(in *lane) uint32 {
	// Partner: the publisher's store of the number, and its look at the flag.
	atomic.StoreUint32(in.alarm, sleeps)
	return 0
}

// afterSleep: nobody sleeps any more. Late, it costs the peer a ring for nobody, which wakes the next sleep for
// no reason.
func (*bell) afterSleep(in *lane) { storeRelease32(in.alarm, awake) }

// peerClosed tells whether the peer has said that its end is closed. What it published before is found by a look
// after this.
func (b *bell) peerClosed() bool { return atomic.LoadUint32(b.theirsClosed) != 0 }

// sayClosed tells the peer that this end is closed. Once or more often.
func (b *bell) sayClosed() {
	// After what was published before.
	atomic.StoreUint32(b.ownClosed, saysClosed)
	b.wakePeer()
}

func (b *bell) release() {
	for _, handle := range [...]windows.Handle{b.section, b.ring, b.handles[hearEvent], b.handles[ownEvent]} {
		closeHandle(handle)
	}
}

// doze sleeps until the peer or this process rings. It may return early.
func (r *RegionChannel) doze(_, own uint32, _ bool, _ restWay, watched bool, wait *Wait) error {
	until := wait.Deadline
	if watched || wait.Done != nil || r.bell.ring == 0 {
		until = until.Earlier(After(watchSlice))
	}
	if r.bell.ring == 0 {
		r.lookOn(own, until, wait)
		return nil
	}
	if errno := waitAny(r.bell.handles[:], milliseconds(until)); errno != 0 {
		return refused("wait for a message", errno)
	}
	return nil
}

// lookOn looks for a message, and now and then for whatever else ends the wait.
func (r *RegionChannel) lookOn(own uint32, until Deadline, wait *Wait) {
	for {
		if lookAt(r.incoming.seq, r.seen, r.mapping.start(r.incoming.area), looksPerTurn) {
			return
		}
		if r.own.Load() != own || r.bell.peerClosed() || wait.Ended() || until.HasPassed() {
			return
		}
		// For this process's other goroutines, and for the peer, if it has this CPU.
		runtime.Gosched()
		yieldCPU()
	}
}

func (r *RegionChannel) wakeOwn() { _ = windows.SetEvent(r.bell.handles[ownEvent]) }

// Nothing is left by dead servers here.

// RemoveStaleRegions finds nothing: regions go with their processes.
func RemoveStaleRegions(string, func(string) bool) (int, error) { return 0, nil }

// Memory of the page file has no faults.

func faults() bool { return false }

func (*mapping) catchFault(bool, *error) {}
