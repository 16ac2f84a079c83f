package transport

import (
	"errors"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// ChunkGapTimeout is how long a peer may take between two packets of one message.
const ChunkGapTimeout = 5 * time.Second

// PacketBuffer is memory for one packet, or one message, of any session: it grows as needed and is kept.
// Lent with [Inbox.ExchangeBuffer], filled with [Inbox.HandOver]. The zero value holds nothing.
type PacketBuffer struct {
	bytes []byte
	held  held
}

// held is a message in its memory.
type held struct {
	where  place
	header protocol.Header
	// packetLen is the length of the packet that the message came in.
	packetLen int
}

// place is where the message is, or why there is none.
type place uint8

const (
	// nowhere: no message, or an unfinished one.
	nowhere place = iota
	// inPacket: as the packet that it came in.
	inPacket
	// gathered: its payload alone.
	gathered
	// ended: an error has ended the session.
	ended
)

// Message is the message that was handed over; false if none was, or the buffer was lent since.
func (b *PacketBuffer) Message() (protocol.Message, bool) { return b.held.message(b.bytes, b.bytes) }

func (h *held) message(packet, payload []byte) (protocol.Message, bool) {
	switch h.where {
	case inPacket:
		return protocol.MessageInPacket(h.header, packet[:h.packetLen]), true
	case gathered:
		return protocol.Message{Header: h.header, Payload: payload}, true
	}
	return protocol.Message{}, false
}

// Inbox is where the messages of a session arrive: what has arrived of an unfinished one, and room for
// one packet. Made by [Session.NewInbox], for that session only, and used by one goroutine at a time.
//
// Memory: one packet of the agreed size (less where no message is as long), and one message of at most
// the smaller of the agreed limit and this side's ceiling, when messages come in chunks. Both are made
// when first needed and kept.
type Inbox struct {
	reassembly protocol.Reassembly
	packet     []byte
	// room is the longest packet and one byte more, which is how a longer one shows.
	room int
	held held
	// gapEnds is set while, and only while, the reassembly is partial.
	gapEnds sys.Deadline
}

func newInbox(incoming protocol.Incoming) *Inbox {
	longest := uint64(min(incoming.Limits.PayloadBytes, incoming.CeilingBytes)) + protocol.HeaderLen
	room := min(uint64(incoming.PacketSize.Bytes()), longest) + 1
	return &Inbox{reassembly: protocol.NewReassembly(incoming), room: int(room)}
}

// Message is the message that was received last, once more. False before the first, once receiving goes
// on, and after an error.
func (in *Inbox) Message() (protocol.Message, bool) {
	return in.held.message(in.packet, in.reassembly.Gathered())
}

// Received is [Inbox.Message] in place: header and payload are overwritten when the inbox is used again. The header
// is nil where there is no message.
func (in *Inbox) Received() (header *protocol.Header, payload []byte) {
	switch in.held.where {
	case inPacket:
		return &in.held.header, protocol.PayloadInPacket(&in.held.header, in.packet[:in.held.packetLen])
	case gathered:
		return &in.held.header, in.reassembly.Gathered()
	}
	return nil, nil
}

// IsPartial tells whether a message has begun whose packets have not all arrived: [ChunkGapTimeout]
// after the last of them, receiving gives [ErrChunkGap].
func (in *Inbox) IsPartial() bool { return !in.gapEnds.IsNever() }

// ExchangeBuffer exchanges the memory for a packet, so that a goroutine lends it to a session while there
// is something to receive, and takes it back: an idle session then holds none. The last message is gone;
// an unfinished one stays.
func (in *Inbox) ExchangeBuffer(buffer *PacketBuffer) {
	in.packet, buffer.bytes = buffer.bytes, in.packet
	buffer.held = held{}
	in.forget()
}

// HandOver moves the last message into buffer, memory and all, for another goroutine to handle while
// this inbox receives the next; nothing is copied, and the inbox gets the memory that the buffer had.
// False, and nothing is done, when there is no message.
func (in *Inbox) HandOver(buffer *PacketBuffer) bool {
	switch in.held.where {
	case inPacket:
		in.packet, buffer.bytes = buffer.bytes, in.packet
	case gathered:
		buffer.bytes = in.reassembly.Exchange(buffer.bytes)
	default:
		return false
	}
	buffer.held, in.held = in.held, held{}
	return true
}

// HeldBytes is the memory held, in bytes.
func (in *Inbox) HeldBytes() int { return cap(in.packet) + in.reassembly.HeldBytes() }

// Release gives memory back, for a session that stays idle. An unfinished message stays.
func (in *Inbox) Release() {
	in.packet = nil
	in.reassembly.Release()
	in.forget()
}

func (in *Inbox) forget() {
	if in.held.where != ended {
		in.held.where = nowhere
	}
}

// roomForPacket is room for the next packet; the last message is gone.
func (in *Inbox) roomForPacket() ([]byte, error) {
	if in.held.where == ended {
		return nil, ErrEnded
	}
	in.held.where = nowhere
	if len(in.packet) < in.room {
		in.packet = make([]byte, in.room)
	}
	// Exactly the room of this session: a lent buffer may have more.
	return in.packet[:in.room], nil
}

// take takes the packet that was received into the room, of this length. True when a message is whole.
func (in *Inbox) take(length int) (bool, error) {
	packet := in.packet[:min(length, in.room)]
	progress, err := in.reassembly.Advance(packet, &in.held.header)
	if err != nil {
		return false, in.end(refusal(err, packet))
	}
	switch progress {
	case protocol.ProgressMore:
		in.gapEnds = sys.After(ChunkGapTimeout)
		return false, nil
	case protocol.ProgressInPacket:
		in.held.where, in.held.packetLen = inPacket, len(packet)
	default:
		in.held.where = gathered
	}
	in.gapEnds = sys.Never()
	return true, nil
}

// end records that the session has ended, by this error.
func (in *Inbox) end(err error) error {
	in.held.where = ended
	in.gapEnds = sys.Never()
	return err
}

// refusal is the reassembly's verdict as this level's error. An over-long message keeps its header: a
// server answers it.
func refusal(err error, packet []byte) error {
	var broken protocol.DecodeError
	if !errors.As(err, &broken) || broken.Defect != protocol.DefectLimit {
		return err
	}
	header, undecoded := protocol.DecodeHeader(packet)
	if undecoded != nil {
		return err
	}
	return &OverLimitError{Header: header, Err: broken}
}
