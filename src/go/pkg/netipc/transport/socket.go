package transport

import (
	"sync/atomic"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// packetsPerLook is how many packets one look takes at most, so that a peer that sends without end cannot
// hold the caller.
const packetsPerLook = 64

// socket moves messages over a packet socket: in chunks, whole, one at a time (spec sections 3 and 6).
// One system call a packet, when there is room or a packet; nothing is allocated.
type socket struct {
	channel    *sys.PacketChannel
	packetSize protocol.PacketSize
	turn       *sys.Turn
	// cutShort: a message went out in part. Written in one's turn.
	cutShort atomic.Bool
	// head is the header of the packet that is being sent. Used in one's turn.
	head [protocol.HeaderLen]byte
}

// send sends one message, checked before, whole.
func (k *socket) send(header *protocol.Header, payload []byte, wait *Wait) error {
	packets, err := protocol.NewSplit(*header, k.packetSize)
	if err != nil {
		return &MalformedError{Defect: protocol.DefectLength}
	}
	if wait.Ended() {
		return ErrAborted
	}
	if err := k.turn.Take(wait); err != nil {
		return err
	}
	defer k.turn.GiveBack()
	if k.cutShort.Load() {
		return ErrEnded
	}
	inChunks := packets.PacketCount() > 1
	for index := 0; ; index++ {
		start, end, more := packets.Next(&k.head)
		if !more {
			return nil
		}
		// A peer that reads without end is not waited for, so the clock is looked at here.
		err := ErrTimedOut
		if !inChunks || !wait.Deadline.HasPassed() {
			err = k.channel.Send(k.head[:], payload[start:end], wait)
		}
		if err != nil {
			if index > 0 {
				k.cutShort.Store(true)
			}
			return err
		}
	}
}

// receive receives packets until the inbox has a message.
func (k *socket) receive(in *Inbox, wait *Wait) error {
	for {
		room, err := in.roomForPacket()
		if err != nil {
			return err
		}
		until := *wait
		until.Deadline = wait.Deadline.Earlier(in.gapEnds)
		length, err := k.channel.Recv(room, &until)
		whole, err := received(in, length, err)
		if whole || err != nil {
			return err
		}
		// A peer that sends without end is not waited for, so the clock is looked at here.
		if wait.Deadline.HasPassed() {
			return ErrTimedOut
		}
	}
}

// tryReceive receives the packets that are there, until the inbox has a message. True when it has.
func (k *socket) tryReceive(in *Inbox) (bool, error) {
	for range packetsPerLook {
		room, err := in.roomForPacket()
		if err != nil {
			return false, err
		}
		length, err := k.channel.TryRecv(room)
		if length == 0 && err == nil {
			if in.gapEnds.HasPassed() {
				return false, in.end(ErrChunkGap)
			}
			return false, nil
		}
		whole, err := received(in, length, err)
		if whole || err != nil {
			return whole, err
		}
	}
	return false, nil
}

// received hands what came to the inbox.
func received(in *Inbox, length int, err error) (bool, error) {
	switch {
	case err == nil:
		return in.take(length)
	case err == ErrTimedOut && in.gapEnds.HasPassed():
		return false, in.end(ErrChunkGap)
	case err == ErrClosed && in.IsPartial():
		return false, in.end(ErrBrokenOff)
	}
	return false, err
}
