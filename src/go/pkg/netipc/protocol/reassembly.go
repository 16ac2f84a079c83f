package protocol

import (
	"errors"
	"fmt"
	"math"
)

// Incoming is what a receiver of a session knows before the first packet.
type Incoming struct {
	// Direction is what is waited for.
	Direction Direction
	// PacketSize is the agreed one.
	PacketSize PacketSize
	// Limits are the agreed ones of this direction: above them the peer is at fault.
	Limits Limits
	// CeilingBytes is what this side is willing to hold, in bytes of payload: above it nobody is at
	// fault, and the message is refused all the same. Servers give their agreed limit; clients, which
	// accept any limit, their ceiling (spec section 4).
	CeilingBytes uint32
}

// ErrAboveCeiling is what every [AboveCeilingError] is.
var ErrAboveCeiling = errors.New("the message is above this side's ceiling")

// AboveCeilingError: the message is within what was agreed, and above what this side is willing to hold.
type AboveCeilingError struct {
	// PayloadLen counts the bytes of payload that the message has.
	PayloadLen uint32
	// CeilingBytes is the configured ceiling, in bytes.
	CeilingBytes uint32
}

func (e AboveCeilingError) Error() string {
	return fmt.Sprintf("the message has %d bytes, above this side's ceiling of %d: raise it",
		e.PayloadLen, e.CeilingBytes)
}

// Is makes errors.Is find [ErrAboveCeiling].
func (e AboveCeilingError) Is(target error) bool { return target == ErrAboveCeiling }

// Reassembly puts the messages of one direction of a session together (spec section 3).
//
// Feed it every packet, in order. A message of one packet is checked and handed back where it lies,
// without a copy. A longer one is gathered in a buffer that is kept for the next: it grows by what
// arrives, never by what a header claims, and never above the smaller of the agreed limit and the
// ceiling. After an error the session must end; the half message is dropped.
type Reassembly struct {
	incoming Incoming
	buffer   []byte

	// The message of which packets are missing; its payload so far is in the buffer.
	partial bool
	header  Header
	next    uint32
	count   uint32
}

// Progress is what a packet did for the message that it belongs to; see [Reassembly.Advance].
type Progress uint8

const (
	// ProgressMore: more packets of the message are to come.
	ProgressMore Progress = iota
	// ProgressInPacket: the packet is the whole message; [MessageInPacket] opens it.
	ProgressInPacket
	// ProgressGathered: the packet was the last one; the payload is [Reassembly.Gathered].
	ProgressGathered
)

// NewReassembly is a receiver that holds no memory yet.
func NewReassembly(incoming Incoming) Reassembly {
	return Reassembly{incoming: incoming}
}

// Accept takes the next packet of the session. It is false when more packets are to come. The message
// may lie in packet or in the receiver's buffer: it is valid until either is used again.
//
// The errors are [DecodeError] and [AboveCeilingError]; the session must end. [DefectLimit], on a
// server, means a request above the agreed limit, which is answered [StatusLimitExceeded] first: the
// answer repeats the code and message id of [DecodeHeader] of that packet, its first.
func (r *Reassembly) Accept(packet []byte) (Message, bool, error) {
	var header Header
	progress, err := r.Advance(packet, &header)
	switch {
	case err != nil || progress == ProgressMore:
		return Message{}, false, err
	case progress == ProgressInPacket:
		return MessageInPacket(header, packet), true, nil
	default:
		return Message{Header: header, Payload: r.buffer}, true, nil
	}
}

// Advance is [Reassembly.Accept] for those who keep packet and receiver together and open the message
// later. What it leaves in header is the header of the whole message, when there is one, and else means nothing.
func (r *Reassembly) Advance(packet []byte, header *Header) (Progress, error) {
	if r.partial {
		r.partial = false
		return r.further(packet, header)
	}
	return r.first(packet, header)
}

// Gathered is the payload of the last message of several packets, until the next packet.
func (r *Reassembly) Gathered() []byte { return r.buffer }

// Exchange gives the memory of the last message of several packets for memory, so that it can be kept
// while the next ones arrive. What memory holds does not matter: it is reused. In the midst of a
// message it does nothing and hands memory back.
func (r *Reassembly) Exchange(memory []byte) []byte {
	if r.partial {
		return memory
	}
	gathered := r.buffer
	r.buffer = memory
	return gathered
}

// IsPartial tells whether a message has begun whose packets have not all arrived: the gap between
// chunks has a deadline of its own, and a peer that leaves now has broken off.
func (r *Reassembly) IsPartial() bool { return r.partial }

// HeldBytes is the memory held, in bytes.
func (r *Reassembly) HeldBytes() int { return cap(r.buffer) }

// Release gives the buffer back, for sessions that stay idle. It does nothing in the midst of a
// message.
func (r *Reassembly) Release() {
	if !r.partial {
		r.buffer = nil
	}
}

func (r *Reassembly) first(packet []byte, header *Header) (Progress, error) {
	in := &r.incoming
	if err := in.Direction.header(packet, &in.Limits, header); err != nil {
		return 0, err
	}
	if header.Status != StatusOK {
		return ProgressInPacket, nil
	}
	// What an int cannot count is above any ceiling that this host could serve.
	if header.PayloadLen > in.CeilingBytes || uint64(header.PayloadLen) > math.MaxInt-HeaderLen {
		return 0, AboveCeilingError{PayloadLen: header.PayloadLen, CeilingBytes: in.CeilingBytes}
	}
	payload, err := exactPayload(packet, in.PacketSize.ShareOf(header.PayloadLen, 0))
	if err != nil {
		return 0, err
	}
	count := in.PacketSize.PacketsOf(header.PayloadLen)
	if count == 1 {
		return ProgressInPacket, nil
	}
	if header.PayloadLen > MaxPayloadBytes {
		// No chunk header could continue it: its total length has no 32-bit value.
		return 0, NewDecodeError(DefectLength, HeaderLen)
	}
	r.buffer = r.buffer[:0]
	r.append(payload, int(header.PayloadLen))
	r.partial, r.header, r.next, r.count = true, *header, 1, count
	return ProgressMore, nil
}

func (r *Reassembly) further(packet []byte, header *Header) (Progress, error) {
	chunk, err := DecodeChunkHeader(packet)
	if err != nil {
		return 0, err
	}
	share := r.incoming.PacketSize.ShareOf(r.header.PayloadLen, r.next)
	switch {
	case chunk.MessageID != r.header.MessageID:
		err = NewDecodeError(DefectChunkSequence, offChunkMessageID)
	// The sum fits: first refuses longer payloads.
	case chunk.TotalMessageLen != HeaderLen+r.header.PayloadLen:
		err = NewDecodeError(DefectLength, offChunkTotalLen)
	case chunk.ChunkIndex != r.next:
		err = NewDecodeError(DefectChunkSequence, offChunkIndex)
	case chunk.ChunkCount != r.count:
		err = NewDecodeError(DefectCount, offChunkCount)
	case chunk.ChunkPayloadLen != share:
		err = NewDecodeError(DefectLength, offChunkPayloadLen)
	}
	if err != nil {
		return 0, err
	}
	payload, err := exactPayload(packet, share)
	if err != nil {
		return 0, err
	}
	r.append(payload, int(r.header.PayloadLen))
	r.next++
	if r.next == r.count {
		*header = r.header
		return ProgressGathered, nil
	}
	r.partial = true
	return ProgressMore, nil
}

// append adds to the buffer, which doubles as it needs to and stops at the message's own length.
func (r *Reassembly) append(payload []byte, messageLen int) {
	needed := len(r.buffer) + len(payload)
	if needed > cap(r.buffer) {
		wanted := max(needed, min(messageLen, 2*cap(r.buffer)))
		grown := make([]byte, len(r.buffer), wanted)
		copy(grown, r.buffer)
		r.buffer = grown
	}
	r.buffer = append(r.buffer, payload...)
}
