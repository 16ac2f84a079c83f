package service

import (
	"context"
	"errors"
	"iter"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// CallClient is a client of a service of the shape call. It has one session at most, which Refresh makes,
// and is used by one goroutine at a time.
type CallClient[Q, Req, Resp, RespB any] struct {
	clientEngine
	service *CallService[Q, Req, Resp, RespB]
}

// NewCallClient is a client that has not connected yet: a refresh does. Generated packages have it as
// NewClient.
func NewCallClient[Q, Req, Resp, RespB any](
	service *CallService[Q, Req, Resp, RespB], endpoint Endpoint, config ClientConfig,
) *CallClient[Q, Req, Resp, RespB] {
	client := &CallClient[Q, Req, Resp, RespB]{service: service}
	client.init(endpoint, config, serviceInfo{
		name: service.Name, method: service.Method, batchable: service.Batchable,
		responseCeiling: protocol.DefaultResponseCeilingBytes,
	})
	return client
}

// Call is one request out, one answer in, which is borrowed until the next use of this client. It fails
// with a [CallError]; a failed call is not sent again but for what spec section 11 says.
func (c *CallClient[Q, Req, Resp, RespB]) Call(ctx context.Context, request Q) (Resp, error) {
	var none Resp
	err := c.call(ctx, func(out []byte) (int, error) { return c.service.EncodeRequest(out, request) })
	if err != nil {
		return none, err
	}
	response, err := c.service.DecodeResponse(c.answerPayload())
	if err != nil {
		return none, c.malformed(err)
	}
	return response, nil
}

// Batch is requests in one message, their answers in the same order, borrowed until the next use of this
// client. It fails with a [CallError]; with [ErrTooManyItems] above what the session takes.
func (c *CallClient[Q, Req, Resp, RespB]) Batch(ctx context.Context, requests []Q) (BatchView[Resp], error) {
	err := c.callBatch(ctx, len(requests), func(index int, out []byte) (int, error) {
		return c.service.EncodeRequest(out, requests[index])
	})
	if err != nil {
		return BatchView[Resp]{}, err
	}
	header, answer := c.answer()
	batch, err := protocol.DecodeBatch(answer, header.ItemCount)
	if err != nil {
		return BatchView[Resp]{}, c.malformed(err)
	}
	view := BatchView[Resp]{items: batch, decode: c.service.DecodeResponse}
	for _, item := range batch.Items() {
		if _, err := view.decode(item); err != nil {
			return BatchView[Resp]{}, c.malformed(inside(answer, item, err))
		}
	}
	return view, nil
}

// inside is an error that a decoder found in item, as seen from the payload, as all offsets of errors are.
func inside(payload, item []byte, err error) error {
	var broken protocol.DecodeError
	if !errors.As(err, &broken) {
		return err
	}
	// Both end where the payload's memory does, but for what was cut off their capacities: the item's is
	// cut at its end, so its place is found by looking for its first byte.
	for at := range payload {
		if len(item) > 0 && &payload[at] == &item[0] {
			return broken.Shifted(at)
		}
	}
	return err
}

// BatchView is the answers to a batch, each checked, in the order asked.
type BatchView[Resp any] struct {
	items  protocol.Batch
	decode func(payload []byte) (Resp, error)
}

// Len is how many answers there are: as many as were asked.
func (b BatchView[Resp]) Len() int { return b.items.Len() }

// At is the answer to request index, from 0 to Len() - 1; it panics beyond, as slices do.
func (b BatchView[Resp]) At(index int) Resp {
	// Decoded before, without an error.
	response, _ := b.decode(b.items.Item(index))
	return response
}

// All is the answers with their indices, in the order asked.
func (b BatchView[Resp]) All() iter.Seq2[int, Resp] {
	return func(yield func(int, Resp) bool) {
		for index := range b.Len() {
			if !yield(index, b.At(index)) {
				return
			}
		}
	}
}
