package payload

import (
	"encoding/binary"
	"iter"
	"strings"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Label tables are pairs of strings behind a record's last string (spec section 10.6):
//
//	… last string NUL | zeros to a multiple of 8 | entry 0 | entry 1 | … | key 0 | value 0 | key 1 …
//	entry = u32 key_offset, u32 key_length, u32 value_offset, u32 value_length

// labelEntryLen is the bytes of a label table's entry.
const labelEntryLen = 16

// Label is a pair of a label table, as builders take it and owned types hold it.
type Label struct {
	// Key is at least one byte.
	Key string
	// Value may be empty.
	Value string
}

// LabelView is a pair of a label table, read in place.
type LabelView struct {
	// Key is at least one byte.
	Key StringView
	// Value may be empty.
	Value StringView
}

// Labels are those of a record that was checked, read in place.
type Labels struct {
	record []byte
	// Where the table starts in the record, and the bytes of its entries.
	at, length uint32
}

// CheckLabels checks a record's label table, which must be the canonical one: at the first multiple
// of 8 behind stringsEnd, its strings packed in order, the record ending with the last of them.
// countAt is where the count field stands, for errors.
func CheckLabels(record []byte, stringsEnd int, count uint32, countAt int) error {
	if count == 0 {
		if len(record) != stringsEnd {
			return Reject(protocol.DefectTrailing, stringsEnd)
		}
		return nil
	}
	tableAt := Align8(stringsEnd)
	tableEnd := uint64(tableAt) + uint64(count)*labelEntryLen
	if tableEnd > uint64(len(record)) {
		return Reject(protocol.DefectBounds, countAt)
	}
	for _, padding := range record[stringsEnd:tableAt] {
		if padding != 0 {
			return Reject(protocol.DefectPadding, stringsEnd)
		}
	}
	end := tableEnd
	for entries := record[tableAt:tableEnd]; len(entries) >= labelEntryLen; entries = entries[labelEntryLen:] {
		keyLen := uint64(binary.NativeEndian.Uint32(entries[4:8]))
		valueAt := end + keyLen + 1
		next := valueAt + uint64(binary.NativeEndian.Uint32(entries[12:16])) + 1
		if keyLen == 0 || next > uint64(len(record)) ||
			uint64(binary.NativeEndian.Uint32(entries[0:4])) != end ||
			uint64(binary.NativeEndian.Uint32(entries[8:12])) != valueAt ||
			record[valueAt-1]|record[next-1] != 0 {
			return rejectLabel(record, entries, end, int(tableEnd)-len(entries))
		}
		end = next
	}
	if end != uint64(len(record)) {
		return Reject(protocol.DefectTrailing, int(end))
	}
	if CountNULs(record[tableEnd:]) != 2*int(count) {
		return Reject(protocol.DefectInnerNul, int(tableEnd))
	}
	return nil
}

// rejectLabel is the error for the label of entry, at byte at, whose key should start at expected.
//
//go:noinline
func rejectLabel(record, entry []byte, expected uint64, at int) error {
	if binary.NativeEndian.Uint32(entry[4:8]) == 0 {
		return Reject(protocol.DefectEmptyKey, at)
	}
	for _, field := range []int{0, 8} {
		offset := uint64(binary.NativeEndian.Uint32(entry[field : field+4]))
		nul := offset + uint64(binary.NativeEndian.Uint32(entry[field+4:field+8]))
		switch {
		case offset >= uint64(len(record)), offset == expected && nul >= uint64(len(record)):
			return Reject(protocol.DefectBounds, at)
		case offset < expected:
			return Reject(protocol.DefectOverlap, at)
		case offset > expected:
			return Reject(protocol.DefectTrailing, at)
		case record[nul] != 0:
			return Reject(protocol.DefectMissingNul, at)
		}
		expected = nul + 1
	}
	return Reject(protocol.DefectBounds, at)
}

// LabelsAt is the labels of a record that was checked: stringsEnd is where its last string ends,
// its NUL included.
func LabelsAt(record []byte, stringsEnd, count int) Labels {
	if count == 0 {
		return Labels{}
	}
	return Labels{record: record, at: uint32(Align8(stringsEnd)), length: uint32(count) * labelEntryLen}
}

// Len is how many labels there are.
func (l Labels) Len() int { return int(l.length / labelEntryLen) }

// At is the label at index, from 0 to Len() - 1; it panics beyond, as slices do.
func (l Labels) At(index int) LabelView {
	// What lies behind the table could be read like it, and a product may wrap.
	_ = l.record[:l.Len()][index]
	entries := l.entries()
	at := index * labelEntryLen
	return LabelView{Key: stringOf(l.record, entries[at:at+8]), Value: stringOf(l.record, entries[at+8:at+16])}
}

func (l Labels) entries() []byte { return l.record[l.at : l.at+l.length] }

// All is the labels, in order: keys and values.
func (l Labels) All() iter.Seq2[StringView, StringView] {
	return func(yield func(StringView, StringView) bool) {
		for entries := l.entries(); len(entries) >= labelEntryLen; entries = entries[labelEntryLen:] {
			if !yield(stringOf(l.record, entries[0:8]), stringOf(l.record, entries[8:16])) {
				return
			}
		}
	}
}

// ValueOf is the value of the first label with that key.
func (l Labels) ValueOf(key string) (value StringView, ok bool) {
	for entries := l.entries(); len(entries) >= labelEntryLen; entries = entries[labelEntryLen:] {
		if stringOf(l.record, entries[0:8]).Equal(key) {
			return stringOf(l.record, entries[8:16]), true
		}
	}
	return nil, false
}

// ToOwned is a copy of the labels; nil if there are none.
func (l Labels) ToOwned() []Label {
	if l.Len() == 0 {
		return nil
	}
	owned := make([]Label, 0, l.Len())
	for key, value := range l.All() {
		owned = append(owned, Label{Key: key.String(), Value: value.String()})
	}
	return owned
}

// PutLabels writes a label table behind the strings of a record, which end at byte end. Keys take
// one byte or more; no string takes a NUL. It answers where the table's last string ends. field is
// the table's name, for errors.
func PutLabels(record []byte, end int, labels []Label, field string) (int, error) {
	if len(labels) == 0 {
		return end, nil
	}
	tableAt := Align8(end)
	stringsAt := uint64(tableAt) + uint64(len(labels))*labelEntryLen
	if !Fits(record, stringsAt) {
		return 0, ErrNoSpace
	}
	clear(record[end:tableAt])
	at := int(stringsAt)
	table := record[tableAt:at]
	for i := range labels {
		label := &labels[i]
		if label.Key == "" {
			return 0, ForbidLength(field, 0, 1, Unlimited)
		}
		if !Fits(record, uint64(at)+uint64(len(label.Key))+uint64(len(label.Value))+2) {
			return 0, ErrNoSpace
		}
		entry := table[:labelEntryLen]
		table = table[labelEntryLen:]
		valueAt := at + len(label.Key) + 1
		binary.NativeEndian.PutUint32(entry[0:4], uint32(at))
		binary.NativeEndian.PutUint32(entry[4:8], uint32(len(label.Key)))
		binary.NativeEndian.PutUint32(entry[8:12], uint32(valueAt))
		binary.NativeEndian.PutUint32(entry[12:16], uint32(len(label.Value)))
		copy(record[at:], label.Key)
		record[valueAt-1] = 0
		at = valueAt + len(label.Value) + 1
		copy(record[valueAt:], label.Value)
		record[at-1] = 0
		if strings.IndexByte(label.Key, 0) >= 0 || strings.IndexByte(label.Value, 0) >= 0 {
			return 0, Forbid(field, FaultInnerNul)
		}
	}
	return at, nil
}

// LabelsLen is the bytes that labels add to a record whose strings end at byte stringsEnd.
func LabelsLen(stringsEnd int, labels []Label) int {
	if len(labels) == 0 {
		return 0
	}
	length := Align8(stringsEnd) - stringsEnd
	for _, label := range labels {
		length += labelEntryLen + len(label.Key) + len(label.Value) + 2
	}
	return length
}
