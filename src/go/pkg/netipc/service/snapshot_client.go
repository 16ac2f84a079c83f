package service

import (
	"context"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// SnapshotClient is a client of a service of the shape snapshot: everything that a provider knows, once. A
// [Cache] keeps it. It has one session at most, which Refresh makes, and is used by one goroutine at a time.
type SnapshotClient[I comparable, Req, Resp, Item, RespB any] struct {
	clientEngine
	service *SnapshotService[I, Req, Resp, Item, RespB]
}

// NewSnapshotClient is a client that has not connected yet: a refresh does. Generated packages have it as
// NewClient.
func NewSnapshotClient[I comparable, Req, Resp, Item, RespB any](
	service *SnapshotService[I, Req, Resp, Item, RespB], endpoint Endpoint, config ClientConfig,
) *SnapshotClient[I, Req, Resp, Item, RespB] {
	client := &SnapshotClient[I, Req, Resp, Item, RespB]{service: service}
	client.init(endpoint, config, serviceInfo{
		name: service.Name, method: service.Method, responseCeiling: protocol.DefaultSnapshotCeilingBytes,
	})
	return client
}

// Fetch asks for everything; the answer is borrowed until the next use of this client. It fails with a
// [CallError].
func (c *SnapshotClient[I, Req, Resp, Item, RespB]) Fetch(ctx context.Context) (Resp, error) {
	var none Resp
	if err := c.call(ctx, c.service.EncodeRequest); err != nil {
		return none, err
	}
	response, err := c.service.DecodeResponse(c.answerPayload())
	if err != nil {
		return none, c.malformed(err)
	}
	return response, nil
}

// fetchPayload is Fetch for who reads every item: with the payload that the answer was decoded from, and
// only if its items are no longer than that, all together.
//
// Items of a snapshot may lie in any order, so a directory may point at one of them a million times: to
// read each would take hours. Those that share no byte fit the payload.
func (c *SnapshotClient[I, Req, Resp, Item, RespB]) fetchPayload(ctx context.Context) ([]byte, error) {
	response, err := c.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	payload := c.answerPayload()
	records := c.service.Items(response)
	left := len(payload)
	for index := range records.Len() {
		if left -= len(records.At(index)); left < 0 {
			return nil, c.malformed(inside(payload, records.At(index), protocol.NewDecodeError(protocol.DefectOverlap, 0)))
		}
	}
	return payload, nil
}
