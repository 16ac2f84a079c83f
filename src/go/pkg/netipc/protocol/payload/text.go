package payload

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
)

// StringView is a string of a payload, read in place: it lives as long as the payload's bytes stay
// as they are. The contract's strings are bytes and mostly text.
type StringView []byte

// String is a copy of the string.
func (s StringView) String() string { return string(s) }

// Equal says whether the string is that one, without copying.
//
// Names are mostly of 8 to 16 bytes: two words at each end, which overlap, and no call of the runtime, before
// which everything that the caller has in registers would have to be put away.
func (s StringView) Equal(text string) bool {
	length := len(s)
	if uint(length-8) > 8 || length != len(text) {
		return string(s) == text
	}
	other := bytesOf(text)
	return binary.NativeEndian.Uint64(s) == binary.NativeEndian.Uint64(other) &&
		binary.NativeEndian.Uint64(s[length-8:]) == binary.NativeEndian.Uint64(other[length-8:])
}

// Text is a string that a builder was given, as a string or as bytes: the other one is empty. The
// zero Text is the empty string.
type Text struct {
	text string
	raw  []byte
}

// Set makes it that string, or those bytes, which must stay as they are until the builder has written
// them: one of the two is empty.
//
// It is set in place, since a Text is larger than what the compiler keeps in registers.
func (t *Text) Set(text string, raw []byte) { t.text, t.raw = text, raw }

// Len is its length in bytes.
func (t *Text) Len() int { return len(t.text) + len(t.raw) }

// EqualBytes says whether it is that string.
func (t *Text) EqualBytes(other []byte) bool {
	if t.text != "" {
		return t.text == string(other)
	}
	return bytes.Equal(t.raw, other)
}

// Within says whether it has min to max bytes.
func (t *Text) Within(min, max uint32) bool {
	length := uint64(t.Len())
	return length >= uint64(min) && length <= uint64(max)
}

// Fits says whether that many bytes fit a buffer, and can be pointed at.
func Fits(out []byte, length uint64) bool {
	return length <= uint64(len(out)) && length <= math.MaxUint32
}

// PutText writes a string and its NUL at byte end of a record whose room was made sure of, and its
// place into the field at byte field. It answers where the NUL's successor stands.
func PutText(record []byte, field, end int, text *Text) int {
	length := text.Len()
	span := record[field : field+8]
	binary.NativeEndian.PutUint32(span[0:4], uint32(end))
	binary.NativeEndian.PutUint32(span[4:8], uint32(length))
	room := record[end : end+length+1]
	if len(text.raw) != 0 {
		copy(room, text.raw)
	} else {
		copy(room, text.text)
	}
	room[length] = 0
	return end + length + 1
}

// PutBareString writes a string that is an element by itself, and answers its length with its NUL.
// field is its name, for errors.
func PutBareString(out []byte, text *Text, field string) (int, error) {
	length := text.Len()
	if !Fits(out, uint64(length)+1) {
		return 0, ErrNoSpace
	}
	if text.HoldsNUL() {
		return 0, Forbid(field, FaultInnerNul)
	}
	copy(out, text.text)
	copy(out, text.raw)
	out[length] = 0
	return length + 1, nil
}

// HoldsNUL says whether it holds a NUL. Builders ask it of what they were given, not of what they wrote:
// reading bytes that were written a moment ago waits for them.
func (t *Text) HoldsNUL() bool {
	if len(t.raw) != 0 {
		return bytes.IndexByte(t.raw, 0) >= 0
	}
	return strings.IndexByte(t.text, 0) >= 0
}

var nul = []byte{0}

// CountNULs is how many bytes of a region are NUL.
func CountNULs(region []byte) int { return bytes.Count(region, nul) }
