package service

import (
	"bytes"
	"iter"

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
	index      payload.Index
}

// newContents is a copy of an answer, which was checked, with its index. Of items with one identity the
// first is found.
func newContents[I comparable, Req, Resp, Item, RespB any](
	service *SnapshotService[I, Req, Resp, Item, RespB], answer []byte,
) (*Contents[I, Req, Resp, Item, RespB], error) {
	c := &Contents[I, Req, Resp, Item, RespB]{
		service: service, payload: bytes.Clone(answer),
	}
	response, err := service.DecodeResponse(c.payload)
	if err != nil {
		return nil, err
	}
	c.response, c.generation, c.records = response, service.Generation(response), service.Items(response)
	c.index = payload.NewIndex(c.records, &service.Identities)
	return c, nil
}

// Get is the item with this identity: the fields of identity in the schema.
func (c *Contents[I, Req, Resp, Item, RespB]) Get(identity I) (Item, bool) {
	return c.service.Find(&c.index, identity)
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
