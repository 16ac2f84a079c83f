package protocol

import (
	"errors"
	"fmt"
	"iter"
	"math"
)

// Several items in one message (spec section 2).
//
//	| entry 0 | entry 1 | … | item 0 | pad | item 1 | pad | …
//	  8 bytes: offset, length  ^ offsets count from here; each item starts at a multiple of 8
//
// [Batch] reads such a payload where it lies, [BatchBuilder] writes one. The number of items is the
// message header's. What the items mean is not looked at here.
const (
	// BatchEntryLen is the bytes of directory for each item.
	BatchEntryLen = 8
	// BatchItemAlignment: items start at multiples of this, in bytes.
	BatchItemAlignment = 8

	offEntryOffset = 0
	offEntryLength = 4
)

// AddBatchItem is the length of the payload of a batch of payloadLen bytes with one more item, its
// directory entry and padding included: what a caller compares with the agreed limit. It is false when
// the sum is above 32 bits. Begin with 0.
func AddBatchItem(payloadLen uint32, itemLen int) (uint32, bool) {
	sum := uint64(payloadLen) + BatchEntryLen + alignUp(uint64(itemLen))
	if itemLen < 0 || sum > math.MaxUint32 {
		return 0, false
	}
	return uint32(sum), true
}

// Batch is the payload of a batch, checked, read where it lies. Items are borrowed from the payload.
type Batch struct {
	directory []byte
	items     []byte
}

// DecodeBatch opens a payload whose message header has the BATCH flag and this item count. The padding
// of the last item may be missing (spec section 2). The defects are Count for no items, Truncated for
// a directory that does not fit, Alignment and Bounds for an entry.
func DecodeBatch(payload []byte, itemCount uint32) (Batch, error) {
	if itemCount == 0 {
		return Batch{}, NewDecodeError(DefectCount, 0)
	}
	directoryLen := uint64(itemCount) * BatchEntryLen
	if directoryLen > uint64(len(payload)) {
		return Batch{}, NewDecodeError(DefectTruncated, len(payload))
	}
	batch := Batch{directory: payload[:directoryLen:directoryLen], items: payload[directoryLen:]}
	room := uint64(len(batch.items))
	for place := 0; place < len(batch.directory); place += BatchEntryLen {
		entry := batch.directory[place : place+BatchEntryLen]
		offset := order.Uint32(entry[offEntryOffset:])
		if offset%BatchItemAlignment != 0 {
			return Batch{}, NewDecodeError(DefectAlignment, place+offEntryOffset)
		}
		if uint64(offset)+uint64(order.Uint32(entry[offEntryLength:])) > room {
			return Batch{}, NewDecodeError(DefectBounds, place)
		}
	}
	return batch, nil
}

// Len is the number of items; at least 1.
func (b Batch) Len() int { return len(b.directory) / BatchEntryLen }

// Item is item index, which is below Len; it panics for others, as slices do.
func (b Batch) Item(index int) []byte {
	// The product may wrap.
	_ = b.directory[:b.Len()][index]
	entry := b.directory[index*BatchEntryLen:][:BatchEntryLen]
	start := order.Uint32(entry[offEntryOffset:])
	// Checked when the batch was opened.
	end := start + order.Uint32(entry[offEntryLength:])
	return b.items[start:end:end]
}

// Items are all items with their indices, in order.
func (b Batch) Items() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for index := range b.Len() {
			if !yield(index, b.Item(index)) {
				return
			}
		}
	}
}

var (
	// ErrBatchDoesNotFit: the batch with this item is above the budget. The item was not added; shorter
	// ones may still be.
	ErrBatchDoesNotFit = errors.New("the batch does not fit")
	// ErrBatchCount: not as many items as were announced. The caller's fault.
	ErrBatchCount = errors.New("the batch has another number of items than announced")
)

// BatchBuilder writes the payload of a batch into a caller's buffer, which is reused: nothing is
// allocated once it has grown. Start with [BatchBuilder.Begin].
type BatchBuilder struct {
	buffer []byte
	// base is where the payload starts in the buffer.
	base      int
	announced uint32
	pushed    uint32
	budget    uint32
}

// Begin starts a batch of exactly itemCount items after what buffer holds; the payload may have
// budgetBytes, the agreed limit of its direction. It fails with [ErrBatchDoesNotFit] when not even the
// directory fits, and with [ErrBatchCount] for a batch of no items.
func (b *BatchBuilder) Begin(buffer []byte, itemCount, budgetBytes uint32) error {
	*b = BatchBuilder{buffer: buffer, base: len(buffer), announced: itemCount, budget: budgetBytes}
	if itemCount == 0 {
		return ErrBatchCount
	}
	needed := uint64(itemCount) * BatchEntryLen
	if needed > uint64(budgetBytes) || needed > math.MaxInt {
		return fmt.Errorf("%w: %d bytes, of %d", ErrBatchDoesNotFit, needed, budgetBytes)
	}
	b.buffer = appendZeros(b.buffer, int(needed))
	return nil
}

// Push adds the next item and its padding. It fails with [ErrBatchDoesNotFit], and with [ErrBatchCount]
// for an item more than announced.
func (b *BatchBuilder) Push(item []byte) error {
	if b.pushed == b.announced {
		return fmt.Errorf("%w: %d were", ErrBatchCount, b.announced)
	}
	start := len(b.buffer) - b.base
	end := uint64(start) + alignUp(uint64(len(item)))
	if end > uint64(b.budget) {
		return fmt.Errorf("%w: %d bytes, of %d", ErrBatchDoesNotFit, end, b.budget)
	}
	entry := b.buffer[b.base+int(b.pushed)*BatchEntryLen:][:BatchEntryLen]
	// Both fit 32 bits, for the budget does.
	order.PutUint32(entry[offEntryOffset:], uint32(start-int(b.announced)*BatchEntryLen))
	order.PutUint32(entry[offEntryLength:], uint32(len(item)))
	b.buffer = append(b.buffer, item...)
	b.buffer = appendZeros(b.buffer, int(end)-start-len(item))
	b.pushed++
	return nil
}

// Finish ends the batch, and hands back the buffer with the payload appended. It fails with
// [ErrBatchCount] when items are missing.
func (b *BatchBuilder) Finish() ([]byte, error) {
	if b.pushed != b.announced {
		return b.buffer, fmt.Errorf("%w: %d, of %d", ErrBatchCount, b.pushed, b.announced)
	}
	return b.buffer, nil
}

// alignUp rounds up to the next multiple of 8. Lengths are far below the end of 64 bits.
func alignUp(length uint64) uint64 {
	return (length + BatchItemAlignment - 1) &^ (BatchItemAlignment - 1)
}

func appendZeros(buffer []byte, count int) []byte {
	if cap(buffer)-len(buffer) >= count {
		end := len(buffer) + count
		clear(buffer[len(buffer):end])
		return buffer[:end]
	}
	return append(buffer, make([]byte, count)...)
}
