package service

import (
	"fmt"
	"iter"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// stitch puts the answers to a lookup's sub-requests together in the order asked (spec section 11).
//
//	keys      0 1 2 3 4 5 6 7
//	answer 1  K K O K r r           r: "ask again", O: "oversized", K: any other
//	alone         K                 an oversized one among several is asked again alone, once
//	answer 2          K K K K       the suffix, and what follows it
//
// A state machine: next says what to ask, take is given what came. Items are copied into one buffer that
// later lookups use again.
type stitch[K comparable, Req, Item, RespB any] struct {
	service *LookupService[K, Req, Item, RespB]
	config  *ClientConfig

	items []byte
	// places has one for each key answered, in the order asked.
	places []place
	// oversized is the keys answered so among several, to be asked again alone.
	oversized     []int
	generation    uint64
	hasGeneration bool
	restarted     bool
	subCalls      uint32
	responseBytes uint64
}

// place is where an item lies in the buffer.
type place struct{ start, end int }

// begin forgets the last answer, and starts a lookup of that many keys.
func (s *stitch[K, Req, Item, RespB]) begin(keys int) *CallError {
	s.forget()
	s.restarted, s.subCalls, s.responseBytes = false, 0, 0
	if uint64(keys) > uint64(s.config.MaxLookupItems) {
		return failf(KindCaller, ErrTooManyKeys, "%d, and it may have %d", keys, s.config.MaxLookupItems)
	}
	return nil
}

// next is what to ask next; false when all is answered.
func (s *stitch[K, Req, Item, RespB]) next(keys []K, limits subLimits) (subRequest, bool, *CallError) {
	var asked subRequest
	if last := len(s.oversized) - 1; last >= 0 {
		asked = s.service.alone(keys[s.oversized[last]], s.oversized[last])
	} else if len(s.places) == len(keys) && s.hasGeneration {
		return subRequest{}, false, nil
	} else {
		// A lookup of no keys asks as well: for the generation.
		asked = s.service.plan(keys, len(s.places), limits)
	}
	if s.subCalls == s.config.MaxLookupSubCalls {
		return subRequest{}, false, failf(KindLimit, ErrTooManySubCalls, "at most %d", s.subCalls)
	}
	return asked, true, nil
}

// take takes the answer to asked. Errors of [KindViolation] are the peer's fault, and end the session.
func (s *stitch[K, Req, Item, RespB]) take(keys []K, asked subRequest, answer []byte) *CallError {
	s.subCalls++
	s.responseBytes += uint64(len(answer))
	if most := s.config.MaxLookupResponseBytes; s.responseBytes > most {
		return failf(KindLimit, ErrLookupTooLarge, "%d bytes", most)
	}
	generation, records, err := s.service.DecodeResponse(answer)
	if err != nil {
		return malformed(err)
	}
	if records.Len() != asked.count {
		return violation("%d items answer %d keys", records.Len(), asked.count)
	}
	if s.hasGeneration && s.generation != generation {
		if s.restarted {
			return fail(KindLost, ErrGenerationChanged)
		}
		s.forget()
		s.restarted = true
		return nil
	}
	s.generation, s.hasGeneration = generation, true
	return s.takeItems(keys, asked, &records)
}

func (s *stitch[K, Req, Item, RespB]) takeItems(keys []K, asked subRequest, records *payload.Directory) *CallError {
	askAgain := false
	for offset := range asked.count {
		index := asked.first + offset
		record := records.At(offset)
		item := s.service.ViewItem(record)
		if !s.service.Echoes(item, keys[index]) {
			return violation("the item for key %d repeats another key", index)
		}
		overflow := s.service.Overflow(item)
		switch {
		case overflow == payload.OverflowRetry && offset == 0:
			return violation(`the first item of an answer says "ask again"`)
		case overflow == payload.OverflowRetry:
			askAgain = true
		case askAgain:
			return violation(`the item for key %d follows one that says "ask again"`, index)
		default:
			s.keep(index, record)
		}
		if overflow == payload.OverflowOversized && asked.count > 1 {
			s.oversized = append(s.oversized, index)
		}
	}
	s.askedAlone(asked.first, asked.count)
	return nil
}

// askedAlone notes that an oversized key was asked again alone, which is final.
func (s *stitch[K, Req, Item, RespB]) askedAlone(index, count int) bool {
	last := len(s.oversized) - 1
	if count != 1 || last < 0 || s.oversized[last] != index {
		return false
	}
	s.oversized = s.oversized[:last]
	return true
}

// tooLong answers a key that no request may hold "oversized".
func (s *stitch[K, Req, Item, RespB]) tooLong(key K, index int) *CallError {
	if s.askedAlone(index, 1) {
		// It is answered so already.
		return nil
	}
	start := len(s.items)
	s.items = append(s.items, make([]byte, s.service.SmallestLen(key))...)
	length, err := s.service.EncodeSmallest(s.items[start:], key, payload.OverflowOversized)
	if err != nil {
		return cannotBuild(err)
	}
	s.places = append(s.places, place{start, start + length})
	return nil
}

// keep keeps the item for the key at index: the next one, or one that was asked again.
func (s *stitch[K, Req, Item, RespB]) keep(index int, record []byte) {
	kept := place{len(s.items), len(s.items) + len(record)}
	s.items = append(s.items, record...)
	if index < len(s.places) {
		s.places[index] = kept
	} else {
		s.places = append(s.places, kept)
	}
}

func (s *stitch[K, Req, Item, RespB]) forget() {
	s.items, s.places, s.oversized = s.items[:0], s.places[:0], s.oversized[:0]
	s.generation, s.hasGeneration = 0, false
}

func (s *stitch[K, Req, Item, RespB]) answer() Answer[Item] {
	return Answer[Item]{
		items: s.items, places: s.places, generation: s.generation, view: s.service.ViewItem,
	}
}

func violation(format string, args ...any) *CallError {
	return fail(KindViolation, fmt.Errorf("%w: %s", protocol.ErrContract, fmt.Sprintf(format, args...)))
}

// Answer is the items that answer a lookup, one a key, in the order asked. It is borrowed from its client
// until the next use of that.
type Answer[Item any] struct {
	items      []byte
	places     []place
	generation uint64
	view       func(record []byte) Item
}

// Len is how many items there are: as many as keys were asked.
func (a Answer[Item]) Len() int { return len(a.places) }

// Generation is the number of the provider's state that all items agree on.
func (a Answer[Item]) Generation() uint64 { return a.generation }

// At is the item for key index, from 0 to Len() - 1; it panics beyond, as slices do.
func (a Answer[Item]) At(index int) Item {
	at := a.places[index]
	return a.view(a.items[at.start:at.end:at.end])
}

// Items are the items, in the order asked.
func (a Answer[Item]) Items() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for index := range a.places {
			if !yield(a.At(index)) {
				return
			}
		}
	}
}
