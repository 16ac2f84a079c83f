package payload

import (
	"bytes"
	"encoding/binary"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Span is a string field as it stands in its record's fixed part.
type Span struct {
	// At is where the field itself stands, for errors; bytes from the start of the record.
	At uint32
	// Offset is where the string starts; bytes from the start of the record.
	Offset uint32
	// Length is that of the string in bytes, without its NUL.
	Length uint32
}

// SpanAt reads the string field at byte at of a record's fixed part.
func SpanAt(fixed []byte, at int) Span {
	field := fixed[at : at+8]
	return Span{
		At:     uint32(at),
		Offset: binary.NativeEndian.Uint32(field[0:4]),
		Length: binary.NativeEndian.Uint32(field[4:8]),
	}
}

// StringAt is the string whose field stands at byte at of a record that was checked.
func StringAt(record []byte, at int) StringView { return stringOf(record, record[at:at+8]) }

// stringOf is the string that a field of 8 bytes points at.
func stringOf(record, field []byte) StringView {
	start := uint(binary.NativeEndian.Uint32(field[0:4]))
	end := start + uint(binary.NativeEndian.Uint32(field[4:8]))
	return StringView(record[start:end:end])
}

// CheckStrings checks a record's strings: inside the record, behind the fixed part, ended by NUL,
// sharing no byte, and, where noInnerNUL, free of NULs (spec section 10.7). It answers where the
// last one ends, its NUL included, in bytes from the start of the record.
//
// Strings as encoders write them (in field order, without gaps) cost one pass over their bytes.
func CheckStrings(record []byte, fixedLen int, noInnerNUL bool, spans ...Span) (int, error) {
	// Sums of a uint32 or two never wrap in 64 bits.
	end := uint64(fixedLen)
	for i := range spans {
		span := &spans[i]
		if uint64(span.Offset) != end {
			return checkScattered(record, fixedLen, noInnerNUL, spans)
		}
		nul := end + uint64(span.Length)
		if nul >= uint64(len(record)) {
			return 0, Reject(protocol.DefectBounds, int(span.At))
		}
		if record[nul] != 0 {
			return 0, Reject(protocol.DefectMissingNul, int(span.At))
		}
		end = nul + 1
	}
	if noInnerNUL && CountNULs(record[fixedLen:end]) != len(spans) {
		return 0, rejectInnerNUL(record, fixedLen, spans)
	}
	return int(end), nil
}

// checkScattered is CheckStrings for strings that do not lie as encoders lay them: rare, but valid.
func checkScattered(record []byte, fixedLen int, noInnerNUL bool, spans []Span) (int, error) {
	last := uint64(fixedLen)
	for i, span := range spans {
		start, end := uint64(span.Offset), uint64(span.Offset)+uint64(span.Length)
		if start < uint64(fixedLen) || end >= uint64(len(record)) {
			return 0, Reject(protocol.DefectBounds, int(span.At))
		}
		if record[end] != 0 {
			return 0, Reject(protocol.DefectMissingNul, int(span.At))
		}
		for _, other := range spans[:i] {
			if start <= uint64(other.Offset)+uint64(other.Length) && uint64(other.Offset) <= end {
				return 0, Reject(protocol.DefectOverlap, int(span.At))
			}
		}
		last = max(last, end+1)
	}
	if noInnerNUL {
		for _, span := range spans {
			if holdsNUL(record, span) {
				return 0, rejectInnerNUL(record, fixedLen, spans)
			}
		}
	}
	return int(last), nil
}

// holdsNUL says whether a string that lies in the record holds a NUL.
func holdsNUL(record []byte, span Span) bool {
	return bytes.IndexByte(record[span.Offset:span.Offset+span.Length], 0) >= 0
}

// rejectInnerNUL is the error for the first of spans that holds a NUL; one of them does.
func rejectInnerNUL(record []byte, fixedLen int, spans []Span) error {
	for _, span := range spans {
		if holdsNUL(record, span) {
			return Reject(protocol.DefectInnerNul, int(span.At))
		}
	}
	return Reject(protocol.DefectInnerNul, fixedLen)
}

// CheckBareString checks an element that is a string by itself: min to max bytes, at least one, and
// its NUL, which element includes, and no other NUL (spec section 10.4).
func CheckBareString(element []byte, min, max uint32) error {
	if len(element) == 0 {
		return Reject(protocol.DefectEmptyKey, 0)
	}
	length := len(element) - 1
	if uint64(length) < uint64(min) || uint64(length) > uint64(max) {
		if length == 0 {
			return Reject(protocol.DefectEmptyKey, 0)
		}
		return Reject(protocol.DefectStringLength, 0)
	}
	if at := bytes.IndexByte(element, 0); at != length {
		if at < 0 {
			return Reject(protocol.DefectMissingNul, length)
		}
		return Reject(protocol.DefectInnerNul, at)
	}
	return nil
}

// BareString is the string that an element is by itself, which was checked.
func BareString(element []byte) StringView {
	end := len(element) - 1
	return StringView(element[:end:end])
}

// StringEnd is where the string of a checked record ends whose field stands at byte at, its NUL
// included.
func StringEnd(record []byte, at int) int {
	field := record[at : at+8]
	return int(binary.NativeEndian.Uint32(field[0:4])) + int(binary.NativeEndian.Uint32(field[4:8])) + 1
}
