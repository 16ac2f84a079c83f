package protocol

import (
	"errors"
	"math/bits"
)

var (
	// ErrInFlightFull: as many messages are in flight as this session may have. Take an answer first.
	ErrInFlightFull = errors.New("as many messages are in flight as this session may have")
	// ErrDuplicateID: a message with this id is in flight already; the caller's fault.
	ErrDuplicateID = errors.New("a message with this id is in flight already")
)

// InFlight holds message ids in flight, each with what its sender wants to find again (spec section 1).
// It has a bounded size, allocates when it is made and never after. It does not choose message ids and
// does not know of time.
//
// Ids come from a caller or a peer in any order: a lookup costs the same for all but adversarial sets
// of them, and is bounded by the capacity for those.
type InFlight[T any] struct {
	// slots is a hash table with open addressing, at most half full. A slot that its id would rather
	// have than its own is never free, so that a search may stop at the first free one.
	slots    []inFlightSlot[T]
	len      int
	capacity int
}

type inFlightSlot[T any] struct {
	id    uint64
	taken bool
	value T
}

const (
	// maxInFlight is a bound that no session needs, so that the number of slots cannot overflow.
	maxInFlight = 1 << 24
	// goldenRatio is 2^64 divided by the golden ratio: spreads consecutive ids.
	goldenRatio = 0x9E3779B97F4A7C15
)

// NewInFlight is an empty table for at most capacity messages, at least 1.
func NewInFlight[T any](capacity int) *InFlight[T] {
	capacity = min(max(capacity, 1), maxInFlight)
	slots := 1 << bits.Len(uint(capacity*2-1))
	return &InFlight[T]{slots: make([]inFlightSlot[T], slots), capacity: capacity}
}

// Len counts the messages in flight.
func (t *InFlight[T]) Len() int { return t.len }

// Capacity is the most messages that may be in flight.
func (t *InFlight[T]) Capacity() int { return t.capacity }

// Contains tells whether a message with this id is in flight.
func (t *InFlight[T]) Contains(messageID uint64) bool {
	_, found := t.find(messageID)
	return found
}

// Insert puts a message in flight: before it is sent. It fails with [ErrDuplicateID] or
// [ErrInFlightFull].
func (t *InFlight[T]) Insert(messageID uint64, value T) error {
	at, found := t.find(messageID)
	if found {
		return ErrDuplicateID
	}
	if t.len == t.capacity {
		return ErrInFlightFull
	}
	t.slots[at] = inFlightSlot[T]{id: messageID, taken: true, value: value}
	t.len++
	return nil
}

// Take takes the message that an answer belongs to. false means that no such message is in flight: a
// violation that ends the session.
func (t *InFlight[T]) Take(messageID uint64) (T, bool) {
	hole, found := t.find(messageID)
	if !found {
		var none T
		return none, false
	}
	value := t.slots[hole].value
	t.len--
	// Moves later ids of the same run into the hole, where they are not past their place.
	mask := len(t.slots) - 1
	for at := (hole + 1) & mask; t.slots[at].taken; at = (at + 1) & mask {
		fromHome := (at - t.home(t.slots[at].id)) & mask
		fromHole := (at - hole) & mask
		if fromHome >= fromHole {
			t.slots[hole] = t.slots[at]
			hole = at
		}
	}
	t.slots[hole] = inFlightSlot[T]{}
	return value, true
}

// Drain takes all messages, in no order: when the session ends, nobody answers them.
func (t *InFlight[T]) Drain(each func(messageID uint64, value T)) {
	// One by one: a panic of each leaves a whole table.
	for at, left := 0, t.len; left > 0 && at < len(t.slots); {
		if !t.slots[at].taken {
			at++
			continue
		}
		id := t.slots[at].id
		// A later one may come to lie in its place.
		value, _ := t.Take(id)
		left--
		each(id, value)
	}
}

// find is the slot of an id, or the free one where it would go.
func (t *InFlight[T]) find(messageID uint64) (int, bool) {
	mask := len(t.slots) - 1
	// Half of the slots are free, so this ends.
	for at := t.home(messageID); ; at = (at + 1) & mask {
		if !t.slots[at].taken {
			return at, false
		}
		if t.slots[at].id == messageID {
			return at, true
		}
	}
}

// home is where an id would rather be.
func (t *InFlight[T]) home(messageID uint64) int {
	return int(messageID*goldenRatio>>32) & (len(t.slots) - 1)
}
