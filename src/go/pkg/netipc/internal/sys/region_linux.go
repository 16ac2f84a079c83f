package sys

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// How who sleeps for a message is told of it (spec section 7): a word changes with every message, and nobody
// sleeps who has not seen it change.

const (
	// firstSleep is how long a sleep is that the peer's words alone end.
	firstSleep = 25 * time.Millisecond
	// blindSleep is the same where the kernel offers no better.
	blindSleep = time.Second
)

// RegionsTellOfClose tells whether a region itself says when an end of it is closed.
const RegionsTellOfClose = false

// bell is what a channel has for that, and the server's directory entry.
type bell struct {
	// signalled is the value of the outgoing signal; of who is inside as the sender.
	signalled uint32
	entry     *ownEntry
}

func lanesOf(m *mapping, l layout) (requests, responses lane) {
	return lane{m.word64(offReqSeq), m.word32(offReqLen), m.word32(offReqSignal), l.request},
		lane{m.word64(offRespSeq), m.word32(offRespLen), m.word32(offRespSignal), l.response}
}

// adopt goes on from the counter that the region holds.
func (b *bell) adopt(out *lane) { b.signalled = atomic.LoadUint32(out.alarm) }

// announce numbers a message that is in its area, and wakes who waits for it.
func (b *bell) announce(out *lane, number uint64) {
	b.signalled++
	// For the receiver's look: it finds the message and its length.
	storeRelease64(out.seq, number)
	reached(numbered)
	// For who is about to sleep: with this value it finds the message.
	storeRelease32(out.alarm, b.signalled)
	reached(signalled)
	futexWakeUp(out.alarm, futexWakeOne)
	reached(woken)
}

// unchanged: a peer that publishes before its last message was answered harms its messages alone.
func (*lane) unchanged(uint64, uint32) error { return nil }

// beforeSleep is for before the last look. With a signal that tells of a message, that look finds it. With an
// older one, the sleep finds that it has changed, or is woken.
func (*bell) beforeSleep(in *lane) uint32 { return atomic.LoadUint32(in.alarm) }

func (*bell) afterSleep(*lane) {}

func (*bell) peerClosed() bool { return false }

// sayClosed removes the server's file. Once or more often.
func (b *bell) sayClosed() {
	if b.entry != nil {
		b.entry.remove()
	}
}

func (*bell) release() {}

// doze sleeps while the incoming signal holds heard and this channel's own word own. It may return early.
//
// The call that sleeps on both costs more than the plain one, and a busy session would pay it for each
// message: so the first sleep is a plain one, a short one, and only he who still waits then takes the
// long one. An idle session makes one system call more, once.
func (r *RegionChannel) doze(heard, own uint32, first bool, way restWay, watched bool, wait *Wait) error {
	switch errno := r.dozeOn(heard, own, first, way, watched, wait); errno {
	case 0, unix.EAGAIN, unix.EINTR, unix.ETIMEDOUT:
		return nil
	case unix.EFAULT:
		return errShortened
	default:
		return refused("wait for a message", errno)
	}
}

func (r *RegionChannel) dozeOn(heard, own uint32, first bool, way restWay, watched bool, wait *Wait) unix.Errno {
	signal, until := r.incoming.alarm, wait.Deadline
	sleep, most := futexSleep, firstSleep
	switch {
	case way == holds:
		sleep, most = futexHeldSleep, blockingSlice
	case watched || wait.Done != nil:
		most = watchSlice
	case !first:
		moment := int64(0)
		if left, ends := until.Remaining(); ends {
			moment = hostNow() + int64(left)
		}
		errno := futexSleepOnBoth(signal, heard, &r.own, own, moment)
		if errno != unix.ENOSYS && errno != unix.EPERM {
			return errno
		}
		most = blindSleep
	}
	if left, ends := until.Remaining(); ends {
		most = min(most, left)
	}
	return sleep(signal, heard, int64(most))
}

func (r *RegionChannel) wakeOwn() {
	futexWakeOwn(&r.own)
	// One in its first sleep sleeps on the shared word alone. Waking others is harmless.
	futexWakeUp(r.incoming.alarm, futexWakeAll)
}
