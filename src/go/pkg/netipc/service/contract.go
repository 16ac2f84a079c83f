package service

import (
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// What generated code tells the engines of a service: one description a shape.
//
//	CallService  LookupService  SnapshotService     name, method, how payloads are decoded and built,
//	                                                and what the shape needs to see in them
//
// The schema compiler writes one variable of them a service, whose functions are plain: they keep
// nothing and do not allocate, but for errors. Clients, caches and servers are written once over these
// descriptions, and know no service. What is not here: behaviour of any kind.
//
// Views borrow from the payload that they were decoded from. Errors of decoders are
// [protocol.DecodeError]; those of builders are payload.ErrNoSpace where the buffer is too small, and
// otherwise what the schema forbids.

// CallService describes one typed request, one typed response. Q is the request as its caller gives it,
// a plain value; Req and Resp are the views; RespB writes a response.
type CallService[Q, Req, Resp, RespB any] struct {
	// Name is that of the service and its endpoint.
	Name string
	// Method is its method code (spec section 1).
	Method uint16
	// Batchable tells whether several requests may go in one message (spec section 2).
	Batchable bool
	// EncodeRequest writes a request at the start of out, and answers its length in bytes.
	EncodeRequest func(out []byte, request Q) (int, error)
	// DecodeRequest checks the payload of a request, all of it.
	DecodeRequest func(payload []byte) (Req, error)
	// DecodeResponse checks the payload of a response, all of it.
	DecodeResponse func(payload []byte) (Resp, error)
	// ResetResponse makes builder a blank response, to be written at the start of out.
	ResetResponse func(builder *RespB, out []byte)
	// FinishResponse ends a response, and answers its length in bytes. It fails with the first error of
	// all before.
	FinishResponse func(builder *RespB) (int, error)
}

// LookupService describes many keys in, one item a key out, in the order asked. K is a key as its caller
// gives it: string for text, a number, or a struct of numbers. Req and Item are views; RespB writes a
// response.
type LookupService[K comparable, Req, Item, RespB any] struct {
	// Name is that of the service and its endpoint.
	Name string
	// Method is its method code (spec section 1).
	Method uint16
	// RequestHeaderBytes is the bytes before the directory of a request.
	RequestHeaderBytes int
	// ResponseHeaderBytes is the bytes before the directory of a response.
	ResponseHeaderBytes int
	// KeyLen is the bytes of a key in a request, its NUL counted and its padding not.
	KeyLen func(key K) int
	// SmallestLen is the bytes of the smallest item that answers a key, its padding not counted.
	SmallestLen func(key K) int
	// EncodeRequest writes a request for keys at the start of out, and answers its length in bytes.
	EncodeRequest func(out []byte, keys []K) (int, error)
	// EncodeSmallest writes the smallest item that answers a key at the start of out, and answers its
	// length in bytes. overflow is not payload.OverflowNone.
	EncodeSmallest func(out []byte, key K, overflow payload.Overflow) (int, error)
	// DecodeRequest checks the payload of a request, all of it.
	DecodeRequest func(payload []byte) (Req, error)
	// DecodeResponse checks the payload of a response, all of it; ViewItem opens its items.
	DecodeResponse func(payload []byte) (generation uint64, items payload.Directory, err error)
	// ViewItem opens an item that was checked.
	ViewItem func(record []byte) Item
	// Echoes tells whether an item repeats a key.
	Echoes func(item Item, key K) bool
	// Overflow tells whether an item is answered without its contents.
	Overflow func(item Item) payload.Overflow
	// ResetResponse makes builder a response to request. It fails with payload.ErrLimitExceeded if not
	// even "ask again" for every key fits.
	ResetResponse func(builder *RespB, request Req, budget payload.ResponseBudget) error
	// FinishResponse ends a response, and answers its length in bytes. It fails with the first error of
	// all before.
	FinishResponse func(builder *RespB) (int, error)
}

// SnapshotService describes everything that a provider knows. I is what tells items apart, a comparable
// struct of the identity's fields with string for text; Req, Resp and Item are views; RespB writes a
// response.
type SnapshotService[I comparable, Req, Resp, Item, RespB any] struct {
	// Name is that of the service and its endpoint.
	Name string
	// Method is its method code (spec section 1).
	Method uint16
	// EncodeRequest writes the request at the start of out, and answers its length in bytes.
	EncodeRequest func(out []byte) (int, error)
	// DecodeRequest checks the payload of a request, all of it.
	DecodeRequest func(payload []byte) (Req, error)
	// DecodeResponse checks the payload of a response, all of it.
	DecodeResponse func(payload []byte) (Resp, error)
	// Generation is that of a response.
	Generation func(response Resp) uint64
	// Items are those of a response; ViewItem opens them.
	Items func(response Resp) payload.Directory
	// ViewItem opens an item that was checked.
	ViewItem func(record []byte) Item
	// Identities hashes and compares the identities of items, for the index that Find searches.
	Identities payload.Identities
	// Find is the item with this identity; false if there is none. It is the one call of a cache's lookup.
	Find func(index *payload.Index, identity I) (Item, bool)
	// ResetResponse makes builder a response for about expected items, to be written at the start of out.
	ResetResponse func(builder *RespB, out []byte, expected int) error
	// FinishResponse ends a response, and answers its length in bytes. It fails with the first error of
	// all before.
	FinishResponse func(builder *RespB) (int, error)
}
