package payload

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Directory is a directory that was checked, and the area behind it: u32 offset, u32 length a
// piece, and the elements that they point at, each at a multiple of 8 from the start of the packed
// area (spec sections 10.3 to 10.5).
//
// It is small enough for the compiler to keep it in registers.
type Directory struct {
	payload []byte
	// Where the packed area starts in the payload, right behind the entries.
	packedAt uint32
	count    uint32
}

// CheckDirectory checks the directory of count entries behind a header of headerLen bytes, a
// multiple of 8: entries within payload, aligned, their elements within the packed area and, where
// ascending, in order and apart (spec section 10.7). What the elements hold is for the caller to
// check. Offsets of errors count from the start of payload.
func CheckDirectory(payload []byte, headerLen int, count uint32, ascending bool) (Directory, error) {
	// In 64 bits neither product nor sum can wrap.
	end := uint64(headerLen) + uint64(count)*DirectoryEntryLen
	if end > uint64(len(payload)) || end > math.MaxUint32 {
		return Directory{}, Reject(protocol.DefectCount, headerLen)
	}
	packedLen := uint64(len(payload)) - end
	least := uint64(0)
	for entries := payload[headerLen:end]; len(entries) >= DirectoryEntryLen; entries = entries[DirectoryEntryLen:] {
		offset := uint64(binary.NativeEndian.Uint32(entries[0:4]))
		elementEnd := offset + uint64(binary.NativeEndian.Uint32(entries[4:8]))
		if offset%Alignment != 0 || elementEnd > packedLen || ascending && offset < least {
			return Directory{}, rejectEntry(offset, elementEnd, packedLen, int(end)-len(entries))
		}
		least = elementEnd
	}
	return Directory{payload: payload, packedAt: uint32(end), count: count}, nil
}

// rejectEntry is the error for a directory's entry at byte at.
//
//go:noinline
func rejectEntry(offset, end, packedLen uint64, at int) error {
	switch {
	case offset%Alignment != 0:
		return Reject(protocol.DefectAlignment, at)
	case end > packedLen:
		return Reject(protocol.DefectBounds, at)
	default:
		return Reject(protocol.DefectOrder, at)
	}
}

// Len is how many elements there are.
func (d Directory) Len() int { return int(d.count) }

// Payload is all of the payload that the directory belongs to.
func (d Directory) Payload() []byte { return d.payload }

// At is the bytes of the element at index, from 0 to Len() - 1; it panics beyond with ErrIndex.
func (d Directory) At(index int) []byte {
	if uint(index) >= uint(d.count) {
		panic(ErrIndex)
	}
	entry := d.payload[int(d.packedAt)-(int(d.count)-index)*DirectoryEntryLen:][:DirectoryEntryLen]
	packed := d.payload[d.packedAt:]
	start := uint(binary.NativeEndian.Uint32(entry[0:4]))
	end := start + uint(binary.NativeEndian.Uint32(entry[4:8]))
	return packed[start:end:end]
}

// Place is where the element at index, from 0 to Len() - 1, lies in Payload.
func (d Directory) Place(index int) (start, end uint32) {
	element := d.At(index)
	entry := d.payload[int(d.packedAt)-(int(d.count)-index)*DirectoryEntryLen:]
	start = uint32(d.packedAt) + binary.NativeEndian.Uint32(entry[0:4])
	return start, start + uint32(len(element))
}

// ShiftError is an error that a check of the element at index found, as seen from the payload.
//
//go:noinline
func (d Directory) ShiftError(err error, index int) error {
	entry := d.payload[int(d.packedAt)-(int(d.count)-index)*DirectoryEntryLen:]
	return Shift(err, int(d.packedAt)+int(binary.NativeEndian.Uint32(entry[0:4])))
}

// DirectoryLen is the bytes of a payload with a header of headerLen bytes, a multiple of 8, and no
// elements yet of the many that it will have; AddElementLen adds each.
func DirectoryLen(headerLen, elements int) int { return headerLen + elements*DirectoryEntryLen }

// AddElementLen is the length of a payload of that length with one more element behind it.
func AddElementLen(length, element int) int { return Align8(length) + element }

// DirectoryWriter writes a directory and its elements behind a header that the caller fills in last.
//
//	header | capacity entries | packed area → | room | ← late entries
//
// Room for capacity entries is set aside at the start. Those of further elements wait at the end of
// the buffer, so that elements fit whenever the finished payload does. Where elements turned out to
// be more or fewer, Finish moves the packed area, which leaves offsets as they are: they count from
// its start.
//
// An element is encoded into Room, and then added. The zero DirectoryWriter has no room: Reset gives
// it some.
type DirectoryWriter struct {
	out       []byte
	headerLen int
	capacity  int
	count     int
	// Where the packed area starts behind capacity entries.
	packedAt int
	// Bytes of the packed area that are written.
	packedLen int
}

// Reset begins a directory without elements in out, behind a header of headerLen bytes, a multiple
// of 8. It fails with ErrNoSpace if the header and that many entries do not fit.
func (w *DirectoryWriter) Reset(out []byte, headerLen, capacity int) error {
	needed := uint64(headerLen) + uint64(max(capacity, 0))*DirectoryEntryLen
	if needed > uint64(len(out)) {
		*w = DirectoryWriter{}
		return ErrNoSpace
	}
	*w = DirectoryWriter{out: out, headerLen: headerLen, capacity: max(capacity, 0), packedAt: int(needed)}
	return nil
}

// Len is how many elements were added.
func (w *DirectoryWriter) Len() int { return w.count }

// Room is where the next element is to be encoded; nil if nothing fits any more.
func (w *DirectoryWriter) Room() []byte {
	start, end := w.packedAt+Align8(w.packedLen), len(w.out)
	if w.count >= w.capacity {
		end -= (w.count + 1 - w.capacity) * DirectoryEntryLen
	}
	if start > end {
		return nil
	}
	return w.out[start:end]
}

// Add adds the element of that many bytes that was encoded into Room.
func (w *DirectoryWriter) Add(length int) {
	entryAt := w.headerLen + w.count*DirectoryEntryLen
	if w.count >= w.capacity {
		entryAt = len(w.out) - (w.count+1-w.capacity)*DirectoryEntryLen
	}
	start := Align8(w.packedLen)
	clear(w.out[w.packedAt+w.packedLen : w.packedAt+start])
	entry := w.out[entryAt:][:DirectoryEntryLen]
	binary.NativeEndian.PutUint32(entry[0:4], uint32(start))
	binary.NativeEndian.PutUint32(entry[4:8], uint32(length))
	w.packedLen = start + length
	w.count++
}

// Finish ends the directory, and answers the number of elements and the length of the whole
// payload. field is the directory's name, for the error above what a u32 can count.
func (w *DirectoryWriter) Finish(field string) (count uint32, length int, err error) {
	if w.out == nil {
		return 0, 0, ErrNoSpace
	}
	if uint64(w.count) > math.MaxUint32 || uint64(w.packedLen) > math.MaxUint32 {
		return 0, 0, Forbid(field, FaultCount)
	}
	if w.count != w.capacity {
		w.closeUp()
	}
	return uint32(w.count), w.packedAt + w.packedLen, nil
}

// Header is the bytes before the directory, to be filled in.
func (w *DirectoryWriter) Header() []byte { return w.out[:w.headerLen] }

// closeUp brings the packed area behind the last entry, and late entries before it.
func (w *DirectoryWriter) closeUp() {
	from, to := w.packedAt, w.headerLen+w.count*DirectoryEntryLen
	packedEnd := from + w.packedLen
	late := w.out[len(w.out)-max(to-from, 0):]
	reverseEntries(late)
	if to+w.packedLen <= len(w.out)-len(late) {
		copy(w.out[to:], w.out[from:packedEnd])
		copy(w.out[to-len(late):to], late)
	} else {
		// The packed area would be moved over the entries that wait.
		copy(w.out[packedEnd:], late)
		rotateRight(w.out[from:packedEnd+len(late)], len(late))
	}
	w.capacity, w.packedAt = w.count, to
}

func reverseEntries(entries []byte) {
	var kept [DirectoryEntryLen]byte
	for low, high := 0, len(entries)-DirectoryEntryLen; low < high; {
		copy(kept[:], entries[low:])
		copy(entries[low:low+DirectoryEntryLen], entries[high:])
		copy(entries[high:], kept[:])
		low, high = low+DirectoryEntryLen, high-DirectoryEntryLen
	}
}

// rotateRight brings the last n bytes to the front.
func rotateRight(all []byte, n int) {
	slices.Reverse(all)
	slices.Reverse(all[:n])
	slices.Reverse(all[n:])
}
