//go:build linux || windows

package sys

import (
	"errors"
	"sync/atomic"
	"time"
)

// A session's shared memory: made by the server, attached by the client (spec sections 7 and 9).
//
//	publisher                               receiver
//	  copy the message into the area
//	  len     = its length                    seq     the next?  then take
//	  seq     = next                    ────▶ len     checked, once
//	  tell who sleeps                   ────▶ copy out, once, into memory of its own
//	                                          … or sleep, unless told
//
// How who sleeps is told, and how memory is made and mapped, is the platform's: region_linux.go has a word
// that changes with every message, and sleeps on it; region_windows.go a flag that a sleeper sets, and an
// event.
//
// A peer can write anything, anywhere in the region, at any time. So nothing that this end needs to know
// is read back from it: each end is the only rightful writer of its direction's words, keeps them itself
// and writes them whole. Every number is read once, checked, and used from the copy.
//
// Go's atomic operations are sequentially consistent. For a store that is more than is needed: it waits until the
// line is here, which the peer is looking at all the time. So what is published is stored by storeRelease32 and
// storeRelease64, in this order, and read by atomic loads. Where an order matters, a comment names its partner.

const (
	// watchSlice is how long a wait looks at neither its socket nor what a context says.
	watchSlice = CancelSlice
	// attachPatience is how long a region that is missing, or shorter than it says, is waited for.
	// Servers make it before they tell of it; this is for one that has just removed it, which closes the
	// socket as well.
	attachPatience = 250 * time.Millisecond
	// attachPause is the pause between two looks: no event tells of a region that comes to be.
	attachPause = 10 * time.Millisecond

	// ownEnded, in the word that a sleeper of this process sleeps on: the channel has ended, for good.
	ownEnded uint32 = 1
	// ownInterrupt is added to it for each abort.
	ownInterrupt uint32 = 2
)

// RegionChannel is one end of a region: messages out, messages in, one in flight each way. One goroutine
// at a time sends, and one receives; the others' calls fail. Closing may come from anywhere.
type RegionChannel struct {
	refs     refs
	mapping  mapping
	layout   layout
	outgoing lane
	incoming lane
	bell     bell

	// Of who is inside as the sender, and as the receiver (refs).
	sent uint64
	seen uint64
	node waiter
	// own is what a sleeper of this process sleeps on beside the peer's signal: no peer can take back
	// what it says.
	own     atomic.Uint32
	waiting waiting
}

// lane is one direction: its words in the header, and its area. The alarm is the word of who sleeps.
type lane struct {
	seq        *uint64
	len, alarm *uint32
	area       area
}

// AttachRegion attaches to the region of this name, for a client, after the server has told of it. A file must
// be a regular one of the user ownerUID, the session's peer, and no link. One that is missing or short is
// waited for, for 250 ms, as long as wait says, and while socket is open.
//
// The errors are RegionDefect, ErrDenied, ErrAborted, ErrTimedOut and SysError.
func AttachRegion(
	name RegionName, sizes RegionSizes, ownerUID uint32, socket *PacketChannel, wait *Wait,
) (*RegionChannel, error) {
	patience := wait.Deadline.Earlier(After(attachPatience))
	for {
		r, err := attachOnce(name, sizes, ownerUID)
		var defect *RegionDefect
		if err == nil || !errors.As(err, &defect) || !defect.NotReady() {
			return r, err
		}
		pause := *wait
		pause.Deadline = patience.Earlier(After(attachPause))
		switch slept := socket.WaitReadable(&pause); {
		case slept == ErrTimedOut && wait.Deadline.HasPassed():
			return nil, ErrTimedOut
		case slept == ErrTimedOut && !patience.HasPassed():
		case slept == nil, slept == ErrTimedOut, slept == ErrClosed:
			// The server has left, or never had it.
			return nil, err
		default:
			return nil, slept
		}
	}
}

// newRegionChannel is the server's end, or the client's, of a region whose header is filled in, or checked.
func newRegionChannel(m mapping, l layout, serves bool, b bell) *RegionChannel {
	requests, responses := lanesOf(&m, l)
	r := &RegionChannel{mapping: m, layout: l, bell: b}
	r.outgoing, r.incoming = requests, responses
	if serves {
		r.outgoing, r.incoming = responses, requests
	}
	r.node.wake = r.interrupt
	return r
}

// adopt goes on from the counters that the region holds.
func (r *RegionChannel) adopt() (err error) {
	defer r.mapping.catchFault(faults(), &err)
	r.sent = atomic.LoadUint64(r.outgoing.seq)
	r.bell.adopt(&r.outgoing)
	r.seen = atomic.LoadUint64(r.incoming.seq)
	return nil
}

// SpinAtMost sets how long a wait may look before it sleeps: until it is called, none does.
func (r *RegionChannel) SpinAtMost(limit time.Duration) { r.waiting = newWaiting(limit) }

// Bytes is the shared memory, in bytes.
func (r *RegionChannel) Bytes() uint64 { return r.layout.bytes() }

// Send publishes the message that head and body make up. It never waits: the caller sees to it that the
// last message in this direction was answered. The errors are ErrClosed, ErrRegionBusy,
// PacketTooLongError and BreachError; the first three mean that nothing was sent.
func (r *RegionChannel) Send(head, body []byte) (err error) {
	length, out := uint64(len(head))+uint64(len(body)), &r.outgoing
	if length == 0 || length > uint64(out.area.capacity) {
		return &PacketTooLongError{Len: len(head) + len(body), Max: int(out.area.capacity)}
	}
	if err := r.refs.enterAs(refsSending); err != nil {
		return err
	}
	defer r.leaveAs(refsSending)
	defer r.mapping.catchFault(faults(), &err)
	// Before the peer can see any of it: should this fail half way, nothing is used twice.
	r.sent++
	r.mapping.copyIn(out.area, head, body)
	reached(copied)
	// For the receiver that has seen the sequence number: the length is of the bytes before it.
	storeRelease32(out.len, uint32(length))
	reached(measured)
	r.bell.announce(out, r.sent)
	return nil
}

// TryReceive receives a message if one is there: its length, zero if none is. A message longer than the
// room counts as received, its front is there, and the length is its real one all the same. The errors
// are ErrClosed, ErrRegionBusy and BreachError.
func (r *RegionChannel) TryReceive(room Room) (length int, err error) {
	if err := r.refs.enterAs(refsReceiving); err != nil {
		return 0, err
	}
	defer r.leaveAs(refsReceiving)
	defer r.mapping.catchFault(faults(), &err)
	return r.take(room)
}

func (r *RegionChannel) take(room Room) (int, error) {
	in := &r.incoming
	// Partner: the publisher's store. What is taken next is what it published.
	seen, found := r.seen, atomic.LoadUint64(in.seq)
	if found == seen {
		return 0, nil
	}
	if found != seen+1 {
		return 0, breach("message %d came after message %d", found, seen)
	}
	claimed := atomic.LoadUint32(in.len)
	if claimed == 0 || claimed > in.area.capacity {
		return 0, breach("a message of %d bytes in an area of %d", claimed, in.area.capacity)
	}
	r.seen = found
	memory := room.Room(int(claimed))
	r.mapping.copyOut(in.area, memory[:min(len(memory), int(claimed))])
	if err := in.unchanged(found, claimed); err != nil {
		return 0, err
	}
	return int(claimed), nil
}

// Receive receives a message; waits for one as long as wait says. With a socket, whose closing ends the
// wait within 50 ms, it wakes up once a slice: for a client, and only while a call waits. Without one
// nothing wakes it but a message, an abort or [RegionChannel.End]: for a server, whose session somebody
// else watches.
//
// What the peer published before it left comes first. The errors are those of TryReceive, ErrAborted,
// ErrTimedOut, and ErrClosed when either side has ended the session.
func (r *RegionChannel) Receive(room Room, socket *PacketChannel, wait *Wait) (length int, err error) {
	if err := r.refs.enterAs(refsReceiving); err != nil {
		return 0, err
	}
	defer r.leaveAs(refsReceiving)
	defer r.mapping.catchFault(faults(), &err)
	if wait.Ended() {
		return 0, ErrAborted
	}
	if n, err := r.take(room); n > 0 || err != nil {
		return n, err
	}
	w := &r.waiting
	if w.spin.mayBegin() {
		r.look()
		if n, err := r.take(room); n > 0 || err != nil {
			return n, err
		}
	}
	w.letOthersFirst(now())
	length, err = r.rest(room, socket, wait)
	if err == nil {
		w.slept(now())
	}
	return length, err
}

// rest waits for a message where looking does not pay.
func (r *RegionChannel) rest(room Room, socket *PacketChannel, wait *Wait) (int, error) {
	w := &r.waiting
	for given := (turns{}); w.spin.giveTurn(&given); {
		if n, err := r.take(room); n > 0 || err != nil {
			w.spin.metInTurn(&given)
			return n, err
		}
	}
	ended := r.sleep(socket, wait, w.way(false))
	r.bell.afterSleep(&r.incoming)
	if n, err := r.take(room); n > 0 || err != nil {
		return n, err
	}
	return 0, ended
}

// Wait sleeps until there is something to receive, without spinning.
func (r *RegionChannel) Wait(socket *PacketChannel, wait *Wait) (err error) {
	if err := r.refs.enterAs(refsReceiving); err != nil {
		return err
	}
	defer r.leaveAs(refsReceiving)
	defer r.mapping.catchFault(faults(), &err)
	if wait.Ended() {
		return ErrAborted
	}
	defer r.bell.afterSleep(&r.incoming)
	return r.sleep(socket, wait, parks)
}

// look looks for a message for as long as the spin allows.
func (r *RegionChannel) look() {
	seen, message := r.seen, r.mapping.start(r.incoming.area)
	for l := r.waiting.spin.begin(); ; {
		if lookAt(r.incoming.seq, seen, message, memoryLooksPerReading) {
			r.waiting.spin.found(&l)
			return
		}
		if !r.waiting.spin.goOn(&l) || r.own.Load()&ownEnded != 0 {
			return
		}
	}
}

// sleep sleeps until there is something to receive: nil then.
func (r *RegionChannel) sleep(socket *PacketChannel, wait *Wait, way restWay) error {
	wait.Abort.add(&r.node)
	defer wait.Abort.remove(&r.node)
	in, seen := &r.incoming, r.seen
	for first := true; ; first, way = false, parks {
		// Before everything that is looked at below: an abort that comes after changes it, and the
		// sleep ends at once.
		own := r.own.Load()
		heard := r.bell.beforeSleep(in)
		switch {
		case atomic.LoadUint64(in.seq) != seen:
			return nil
		case own&ownEnded != 0, r.bell.peerClosed():
			return ErrClosed
		case wait.Ended():
			return ErrAborted
		case wait.Deadline.HasPassed():
			return ErrTimedOut
		}
		// Not before the first sleep: messages come more often than peers leave.
		if !first && socket != nil {
			if gone, err := socket.PeerGone(); gone || err != nil {
				if err == nil {
					err = ErrClosed
				}
				return err
			}
		}
		err := r.doze(heard, own, first, way, socket != nil, wait)
		if way == holds {
			r.waiting.held(now())
		}
		if err != nil {
			return err
		}
	}
}

// End makes every wait return ErrClosed, now and from now on, from any goroutine, whatever the peer does.
// A message that is already there still comes first. Sending is not affected. The server's end removes the file, if
// there is one, which so does not wait for who still has the channel.
func (r *RegionChannel) End() {
	if !r.refs.enter() {
		return
	}
	defer r.leave()
	r.end()
	r.bell.sayClosed()
}

func (r *RegionChannel) end() {
	for {
		own := r.own.Load()
		if r.own.CompareAndSwap(own, own|ownEnded) {
			break
		}
	}
	r.wakeOwn()
}

// interrupt wakes the sleeper of this process, who looks at its abort handle. The handle's lock keeps the
// sleeper inside, and so the region mapped.
func (r *RegionChannel) interrupt() {
	r.own.Add(ownInterrupt)
	r.wakeOwn()
}

// Close ends the channel, as End does, and gives its memory back, once nobody uses it any more. It may be called from
// any goroutine, any number of times.
func (r *RegionChannel) Close() {
	if !r.refs.enter() {
		return
	}
	defer r.leave()
	if first, _ := r.refs.close(); first {
		r.end()
		r.bell.sayClosed()
	}
}

func (r *RegionChannel) leaveAs(flag int32) {
	if r.refs.leaveAs(flag) {
		r.release()
	}
}

func (r *RegionChannel) leave() {
	if r.refs.leave() {
		r.release()
	}
}

func (r *RegionChannel) release() {
	r.bell.release()
	r.mapping.unmap()
	// Go's heap may grow to where the region was, soonest where addresses have 32 bits: a pointer that is left would be
	// one into memory that nobody has, for which the collector ends the process.
	r.bell = bell{}
	for _, l := range []*lane{&r.outgoing, &r.incoming} {
		l.seq, l.len, l.alarm = nil, nil, nil
	}
}
