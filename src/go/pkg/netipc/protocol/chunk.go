package protocol

import (
	"fmt"
	"math"
)

// Messages longer than a packet (spec section 3).
//
//	one message:   | header 32 | payload …………………………………………………………… |
//	its packets:   | header 32 | payload, packet_size - 32 |
//	               | chunk  32 | payload, packet_size - 32 |
//	               | chunk  32 | the rest                  |
//
// [Split] says how to send a message, without copying it; [Reassembly] puts it together again and
// believes nothing that it can derive. Sending and receiving are not done here.
const (
	// ChunkMagic is the first field of every packet of a message but its first.
	ChunkMagic uint32 = 0x4e43484b
	// ChunkVersion is the only version of the chunk header.
	ChunkVersion uint16 = 1
	// ChunkHeaderLen is the length of the chunk header, in bytes: that of the message header, so that
	// every packet of a session has the same room.
	ChunkHeaderLen = HeaderLen
	// MaxPayloadBytes is the longest payload of a message, in bytes: total_message_len counts the
	// header too, and has 32 bits.
	MaxPayloadBytes uint32 = math.MaxUint32 - HeaderLen
)

// PacketSize is the longest packet of a session, in bytes, headers included: above 32, so that every
// packet has room for payload (spec section 4, step 7). Make one with [NewPacketSize].
type PacketSize struct {
	// room is the payload bytes of a full packet less one, so that the zero value is the smallest
	// packet size and not an impossible one.
	roomLessOne uint32
}

// MinPacketSize is the smallest that makes any progress.
var MinPacketSize = PacketSize{}

// NewPacketSize is false at 32 bytes and below.
func NewPacketSize(bytes uint32) (PacketSize, bool) {
	if bytes <= HeaderLen {
		return PacketSize{}, false
	}
	return PacketSize{roomLessOne: bytes - HeaderLen - 1}, true
}

// Bytes is the size in bytes.
func (s PacketSize) Bytes() uint32 { return s.Room() + HeaderLen }

// Room is the payload bytes of a full packet; at least 1.
func (s PacketSize) Room() uint32 { return s.roomLessOne + 1 }

// PacketsOf is how many packets a message with such a payload takes; at least 1.
func (s PacketSize) PacketsOf(payloadLen uint32) uint32 {
	if payloadLen <= s.Room() {
		return 1
	}
	return (payloadLen-1)/s.Room() + 1
}

// ShareOf is the payload bytes in packet index of a message with such a payload; 0 past its end.
func (s PacketSize) ShareOf(payloadLen, index uint32) uint32 {
	before := uint64(s.Room()) * uint64(index)
	if before >= uint64(payloadLen) {
		return 0
	}
	return min(payloadLen-uint32(before), s.Room())
}

// ChunkHeader is the header of every packet of a message but its first (spec section 3).
type ChunkHeader struct {
	// MessageID is that of the first packet.
	MessageID uint64
	// TotalMessageLen counts header and payload of the whole message, in bytes.
	TotalMessageLen uint32
	// ChunkIndex is 1, 2, …: the first packet is 0.
	ChunkIndex uint32
	// ChunkCount counts all packets of the message, the first included.
	ChunkCount uint32
	// ChunkPayloadLen counts the payload bytes in this packet; not 0.
	ChunkPayloadLen uint32
}

// Where the fields of a chunk header are, in bytes from the start of the packet.
const (
	offChunkMagic      = 0
	offChunkVersion    = 4
	offChunkFlags      = 6
	offChunkMessageID  = 8
	offChunkTotalLen   = 16
	offChunkIndex      = 20
	offChunkCount      = 24
	offChunkPayloadLen = 28
)

// DecodeChunkHeader reads the header from the start of packet; bytes after it are not looked at.
// Whether the chunk continues a message is for [Reassembly]. The defects are Truncated, Magic, Version,
// Flags, and Length for an empty chunk.
func DecodeChunkHeader(packet []byte) (ChunkHeader, error) {
	if len(packet) < ChunkHeaderLen {
		return ChunkHeader{}, NewDecodeError(DefectTruncated, len(packet))
	}
	p := (*[ChunkHeaderLen]byte)(packet)
	if order.Uint32(p[offChunkMagic:]) != ChunkMagic {
		return ChunkHeader{}, NewDecodeError(DefectMagic, offChunkMagic)
	}
	if order.Uint16(p[offChunkVersion:]) != ChunkVersion {
		return ChunkHeader{}, NewDecodeError(DefectVersion, offChunkVersion)
	}
	if order.Uint16(p[offChunkFlags:]) != 0 {
		return ChunkHeader{}, NewDecodeError(DefectFlags, offChunkFlags)
	}
	chunk := ChunkHeader{
		MessageID:       order.Uint64(p[offChunkMessageID:]),
		TotalMessageLen: order.Uint32(p[offChunkTotalLen:]),
		ChunkIndex:      order.Uint32(p[offChunkIndex:]),
		ChunkCount:      order.Uint32(p[offChunkCount:]),
		ChunkPayloadLen: order.Uint32(p[offChunkPayloadLen:]),
	}
	if chunk.ChunkPayloadLen == 0 {
		return ChunkHeader{}, NewDecodeError(DefectLength, offChunkPayloadLen)
	}
	return chunk, nil
}

// Put writes the 32 bytes of this header.
func (c *ChunkHeader) Put(to *[ChunkHeaderLen]byte) {
	order.PutUint32(to[offChunkMagic:], ChunkMagic)
	order.PutUint16(to[offChunkVersion:], ChunkVersion)
	order.PutUint16(to[offChunkFlags:], 0)
	order.PutUint64(to[offChunkMessageID:], c.MessageID)
	order.PutUint32(to[offChunkTotalLen:], c.TotalMessageLen)
	order.PutUint32(to[offChunkIndex:], c.ChunkIndex)
	order.PutUint32(to[offChunkCount:], c.ChunkCount)
	order.PutUint32(to[offChunkPayloadLen:], c.ChunkPayloadLen)
}

// Encode is the 32 bytes of this header.
func (c *ChunkHeader) Encode() [ChunkHeaderLen]byte {
	var bytes [ChunkHeaderLen]byte
	c.Put(&bytes)
	return bytes
}

// MessageTooLongError: the message needs several packets, and their headers cannot say its length. Only
// payloads above [MaxPayloadBytes] can do that; the caller's fault.
type MessageTooLongError struct {
	// PayloadLen is what the header said, in bytes.
	PayloadLen uint32
}

func (e MessageTooLongError) Error() string {
	return fmt.Sprintf("a payload of %d bytes is too long to be sent in chunks", e.PayloadLen)
}

// Split is the packets of one message, in the order in which they are sent. Nothing is copied: each
// packet is 32 bytes made here and a range of the caller's payload, to be sent together.
type Split struct {
	header Header
	size   PacketSize
	count  uint32
	next   uint32
}

// NewSplit is the packets of the message with this header, whose PayloadLen is the length of the
// caller's payload. It fails with [MessageTooLongError].
func NewSplit(header Header, size PacketSize) (Split, error) {
	count := size.PacketsOf(header.PayloadLen)
	if count > 1 && header.PayloadLen > MaxPayloadBytes {
		return Split{}, MessageTooLongError{PayloadLen: header.PayloadLen}
	}
	return Split{header: header, size: size, count: count}, nil
}

// PacketCount counts all packets of the message, those already taken included.
func (s *Split) PacketCount() uint32 { return s.count }

// Next writes the header of the next packet and tells which part of the payload follows it:
// payload[start:end]. It is false after the last packet.
func (s *Split) Next(head *[HeaderLen]byte) (start, end uint32, ok bool) {
	if s.next == s.count {
		return 0, 0, false
	}
	index := s.next
	s.next++
	share := s.size.ShareOf(s.header.PayloadLen, index)
	// Inside the payload, so inside 32 bits.
	start = s.size.Room() * index
	if index == 0 {
		s.header.Put(head)
	} else {
		chunk := ChunkHeader{
			MessageID:       s.header.MessageID,
			TotalMessageLen: HeaderLen + s.header.PayloadLen,
			ChunkIndex:      index,
			ChunkCount:      s.count,
			ChunkPayloadLen: share,
		}
		chunk.Put(head)
	}
	return start, start + share, true
}
