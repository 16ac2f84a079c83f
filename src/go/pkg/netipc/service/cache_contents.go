package service

import (
	"bytes"
	"iter"
	"math/bits"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// Contents is one snapshot, checked and indexed: everything that a provider knew at one moment. It never
// changes once it is made, and stays valid for as long as it is held.
type Contents[I comparable, Req, Resp, Item, RespB any] struct {
	service    *SnapshotService[I, Req, Resp, Item, RespB]
	payload    []byte
	records    payload.Directory
	response   Resp
	generation uint64
	// index is a hash table with open addressing, at most half full.
	index []indexEntry
	// seed is drawn for each snapshot: a provider cannot choose names that collide.
	seed payload.HashSeed
}

// indexEntry is an item in the index.
type indexEntry struct {
	// tag is the half of the hash that did not choose the slot.
	tag uint32
	// start and end are where the item lies in the payload. An item has an identity, and so is not
	// empty: an end of zero is a free slot.
	start, end uint32
}

// newContents is a copy of an answer, which was checked, with its index. Of items with one identity the
// first is found.
func newContents[I comparable, Req, Resp, Item, RespB any](
	service *SnapshotService[I, Req, Resp, Item, RespB], answer []byte,
) (*Contents[I, Req, Resp, Item, RespB], error) {
	c := &Contents[I, Req, Resp, Item, RespB]{
		service: service, payload: bytes.Clone(answer), seed: payload.NewHashSeed(),
	}
	response, err := service.DecodeResponse(c.payload)
	if err != nil {
		return nil, err
	}
	c.response, c.generation, c.records = response, service.Generation(response), service.Items(response)
	count := c.records.Len()
	if count == 0 {
		return c, nil
	}
	c.index = make([]indexEntry, 1<<bits.Len(uint(2*count-1)))
	for item := range count {
		c.insert(item)
	}
	return c, nil
}

func (c *Contents[I, Req, Resp, Item, RespB]) insert(index int) {
	item := c.At(index)
	hash := payload.FinishHash(c.service.HashItem(c.seed, item))
	tag, mask := uint32(hash>>32), uint32(len(c.index)-1)
	for at := uint32(hash) & mask; ; at = (at + 1) & mask {
		entry := &c.index[at]
		if entry.end == 0 {
			start, end := c.records.Place(index)
			*entry = indexEntry{tag: tag, start: start, end: end}
			return
		}
		if entry.tag == tag && c.service.SameIdentity(c.view(entry), item) {
			return
		}
	}
}

func (c *Contents[I, Req, Resp, Item, RespB]) view(entry *indexEntry) Item {
	return c.service.ViewItem(c.payload[entry.start:entry.end:entry.end])
}

// Get is the item with this identity: the fields of identity in the schema.
func (c *Contents[I, Req, Resp, Item, RespB]) Get(identity I) (Item, bool) {
	var none Item
	if len(c.index) == 0 {
		return none, false
	}
	hash := payload.FinishHash(c.service.HashIdentity(c.seed, identity))
	tag, mask := uint32(hash>>32), uint32(len(c.index)-1)
	for at := uint32(hash) & mask; ; at = (at + 1) & mask {
		entry := &c.index[at]
		if entry.end == 0 {
			return none, false
		}
		if entry.tag == tag {
			if item := c.view(entry); c.service.Is(item, identity) {
				return item, true
			}
		}
	}
}

// Len is how many items there are.
func (c *Contents[I, Req, Resp, Item, RespB]) Len() int { return c.records.Len() }

// At is item index, in the provider's order, from 0 to Len() - 1; it panics beyond, as slices do.
func (c *Contents[I, Req, Resp, Item, RespB]) At(index int) Item {
	return c.service.ViewItem(c.records.At(index))
}

// Items are the items, in the provider's order.
func (c *Contents[I, Req, Resp, Item, RespB]) Items() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for index := range c.Len() {
			if !yield(c.At(index)) {
				return
			}
		}
	}
}

// Generation is the number of the provider's state; 0 before the cache was filled.
func (c *Contents[I, Req, Resp, Item, RespB]) Generation() uint64 { return c.generation }

// Response is the whole answer, for its own fields; false before the cache was filled.
func (c *Contents[I, Req, Resp, Item, RespB]) Response() (Resp, bool) {
	return c.response, c.payload != nil
}

// PayloadBytes is the length of the answer; 0 before the cache was filled.
func (c *Contents[I, Req, Resp, Item, RespB]) PayloadBytes() int { return len(c.payload) }
