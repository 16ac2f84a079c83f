package payload

// Building the answer to a lookup within the session's response limit (spec section 11).
//
// Before an item is written, room is kept for the smallest answer to every key behind it. When an
// item does not fit what is left, it and all behind it get that smallest answer ("ask again"), and
// the client asks again for just those. The first item has nobody to make room: it is answered
// "oversized" and the others go on.

// Overflow is why an item is answered without its contents.
type Overflow uint8

const (
	// OverflowNone: the item has its contents.
	OverflowNone Overflow = iota
	// OverflowRetry: it did not fit behind the items before it: the client asks again (role=retry).
	OverflowRetry
	// OverflowOversized: it does not fit a response of its own: final (role=oversized).
	OverflowOversized
)

// ResponseBudget is what a response may take.
type ResponseBudget struct {
	// Out is where it is written; as long as the session's response limit.
	Out []byte
	// AtCeiling says whether the limit can grow no further. Below the ceiling a single key whose
	// item does not fit is ErrLimitExceeded instead of oversized.
	AtCeiling bool
}

// Smallest is how long the smallest item that answers a key is.
type Smallest struct {
	// Bytes is its length without the key's text.
	Bytes int
	// WithKey says whether the key is a bare string, which the item repeats.
	WithKey bool
}

func (s Smallest) length(key []byte) int {
	if s.WithKey {
		return s.Bytes + len(key) - 1
	}
	return s.Bytes
}

// LookupWriter writes the items of a lookup's response, one a key, in the order asked:
//
//	Turn: whose turn it is → Full? → Room, encode, Add; or Overflowed, and the smallest item
//
// The zero LookupWriter has no keys: Reset gives it some.
type LookupWriter struct {
	items    DirectoryWriter
	keys     Directory
	smallest Smallest
	// The index of the next key.
	next int
	// Bytes that the smallest answers to the keys left take, each padded.
	reserved int
	// Padding of the last of them, which is not written.
	lastPadding int
	// An item did not fit: all that follow are answered OverflowRetry.
	full      bool
	atCeiling bool
	// The first error: the response cannot be finished any more.
	failure error
}

// Reset begins a response to keys, behind a header of headerLen bytes, a multiple of 8. It fails
// with ErrLimitExceeded if not even the smallest answers fit.
func (w *LookupWriter) Reset(keys Directory, budget ResponseBudget, headerLen int, smallest Smallest) error {
	count := keys.Len()
	// A uint64 does not wrap: a request has fewer than 2^32 keys, each shorter than 2^32 bytes.
	reserved, last := uint64(0), 0
	if smallest.WithKey {
		for i := range count {
			last = smallest.length(keys.At(i))
			reserved += uint64(Align8(last))
		}
	} else if count > 0 {
		last = smallest.Bytes
		reserved = uint64(count) * uint64(Align8(last))
	}
	lastPadding := Align8(last) - last
	needed := reserved + uint64(headerLen) + uint64(count)*DirectoryEntryLen - uint64(lastPadding)
	*w = LookupWriter{
		keys: keys, smallest: smallest, lastPadding: lastPadding, atCeiling: budget.AtCeiling,
	}
	if needed > uint64(len(budget.Out)) {
		w.keys = Directory{}
		w.failure = ErrLimitExceeded
		return ErrLimitExceeded
	}
	w.reserved = int(reserved)
	return w.items.Reset(budget.Out, headerLen, count)
}

// Full says whether an item did not fit. All further items would be answered "ask again", and
// finishing does that for the keys left: a handler may stop.
func (w *LookupWriter) Full() bool { return w.full }

// Fail makes the response one that cannot be finished, and answers the error.
func (w *LookupWriter) Fail(err error) error {
	if w.failure == nil {
		w.failure = err
	}
	return err
}

// Turn is the key whose turn it is, as it stands in the request. It fails with ErrTooManyItems when
// all were answered.
func (w *LookupWriter) Turn() (key []byte, err error) {
	if w.next >= w.keys.Len() {
		return nil, w.Fail(ErrTooManyItems)
	}
	key = w.keys.At(w.next)
	w.next++
	w.reserved -= Align8(w.smallest.length(key))
	return key, nil
}

// Room is where the item that answers the key of Turn is to be encoded, leaving room for the
// smallest answers to all keys behind it.
func (w *LookupWriter) Room() []byte {
	limit := len(w.items.out)
	if w.next < w.keys.Len() {
		room := limit - w.items.packedAt + w.lastPadding - w.reserved
		limit = w.items.packedAt + room&^(Alignment-1)
	}
	start := w.items.packedAt + Align8(w.items.packedLen)
	if start > limit {
		return nil
	}
	return w.items.out[start:limit]
}

// Add adds the item of that many bytes that was encoded into Room.
func (w *LookupWriter) Add(length int) { w.items.Add(length) }

// Overflowed says how an item is answered that does not fit Room, or fails with ErrLimitExceeded.
func (w *LookupWriter) Overflowed() (Overflow, error) {
	if w.items.Len() > 0 {
		w.full = true
		return OverflowRetry, nil
	}
	if w.next == w.keys.Len() && !w.atCeiling {
		return OverflowNone, w.Fail(ErrLimitExceeded)
	}
	return OverflowOversized, nil
}

// Left is the next key that is still to be answered "ask again" when the response is finished; ok
// is false when there is none. It fails with the first error of all before, or ErrTooFewItems.
func (w *LookupWriter) Left() (key []byte, ok bool, err error) {
	if w.failure != nil {
		return nil, false, w.failure
	}
	if w.next >= w.keys.Len() {
		return nil, false, nil
	}
	if !w.full {
		return nil, false, w.Fail(ErrTooFewItems)
	}
	key, err = w.Turn()
	return key, err == nil, err
}

// Finish ends the response once there is none Left: see DirectoryWriter.
func (w *LookupWriter) Finish(field string) (count uint32, length int, err error) {
	if w.failure != nil {
		return 0, 0, w.failure
	}
	return w.items.Finish(field)
}

// Header is the bytes before the directory, to be filled in.
func (w *LookupWriter) Header() []byte { return w.items.Header() }
