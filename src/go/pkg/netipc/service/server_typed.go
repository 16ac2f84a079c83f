package service

import (
	"errors"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// Handler answers a request of a service: a function of the view and the service's builder, which last
// until it returns. Several goroutines call it at once.
//
// A handler of a call fills the builder; one of a lookup answers each key of the request, in order; one of a
// snapshot adds everything that it knows. When it fails, the client is told INTERNAL_ERROR, or
// LIMIT_EXCEEDED where the answer did not fit (spec section 11). A panic in it is contained, and so is
// runtime.Goexit: the client gets INTERNAL_ERROR and the server goes on.
type Handler[Req, RespB any] = func(ctx *Context, request Req, response *RespB) error

// NewCallServer takes an endpoint for a service of the shape call: from here on, nobody else can. It serves
// once it is started. Generated packages have it as NewServer. It fails with ErrNoHandler, or as
// transport.Listen does.
func NewCallServer[Q, Req, Resp, RespB any](
	service *CallService[Q, Req, Resp, RespB], endpoint Endpoint, config ServerConfig, handler Handler[Req, RespB],
) (*Server, error) {
	return bind(endpoint, config, &callDispatch[Q, Req, Resp, RespB]{service, handler})
}

// NewLookupServer is [NewCallServer] for a service of the shape lookup.
func NewLookupServer[K comparable, Req, Item, RespB any](
	service *LookupService[K, Req, Item, RespB], endpoint Endpoint, config ServerConfig, handler Handler[Req, RespB],
) (*Server, error) {
	return bind(endpoint, config, &lookupDispatch[K, Req, Item, RespB]{service, handler})
}

// NewSnapshotServer is [NewCallServer] for a service of the shape snapshot.
func NewSnapshotServer[I comparable, Req, Resp, Item, RespB any](
	service *SnapshotService[I, Req, Resp, Item, RespB], endpoint Endpoint, config ServerConfig,
	handler Handler[Req, RespB],
) (*Server, error) {
	return bind(endpoint, config, &snapshotDispatch[I, Req, Resp, Item, RespB]{service, handler})
}

type callDispatch[Q, Req, Resp, RespB any] struct {
	service *CallService[Q, Req, Resp, RespB]
	handler Handler[Req, RespB]
}

func (d *callDispatch[Q, Req, Resp, RespB]) info() serviceInfo {
	return serviceInfo{
		name: d.service.Name, method: d.service.Method, batchable: d.service.Batchable,
		responseCeiling: protocol.DefaultResponseCeilingBytes, hasHandler: d.handler != nil,
	}
}

func (d *callDispatch[Q, Req, Resp, RespB]) newBuilder() any { return new(RespB) }

func (d *callDispatch[Q, Req, Resp, RespB]) handle(
	ctx *Context, builder any, request []byte, out []byte, _ bool,
) (int, failure) {
	view, err := d.service.DecodeRequest(request)
	if err != nil {
		return 0, failedEnvelope
	}
	response := builder.(*RespB)
	d.service.ResetResponse(response, out)
	handled := d.handler(ctx, view, response)
	length, finished := d.service.FinishResponse(response)
	return filled(ctx, handled, length, finished)
}

type lookupDispatch[K comparable, Req, Item, RespB any] struct {
	service *LookupService[K, Req, Item, RespB]
	handler Handler[Req, RespB]
}

func (d *lookupDispatch[K, Req, Item, RespB]) info() serviceInfo {
	return serviceInfo{
		name: d.service.Name, method: d.service.Method, responseCeiling: protocol.DefaultResponseCeilingBytes,
		hasHandler: d.handler != nil,
	}
}

func (d *lookupDispatch[K, Req, Item, RespB]) newBuilder() any { return new(RespB) }

func (d *lookupDispatch[K, Req, Item, RespB]) handle(
	ctx *Context, builder any, request []byte, out []byte, atCeiling bool,
) (int, failure) {
	view, err := d.service.DecodeRequest(request)
	if err != nil {
		return 0, failedEnvelope
	}
	response := builder.(*RespB)
	err = d.service.ResetResponse(response, view, payload.ResponseBudget{Out: out, AtCeiling: atCeiling})
	if err != nil {
		return 0, failureOf(ctx, err)
	}
	handled := d.handler(ctx, view, response)
	length, finished := d.service.FinishResponse(response)
	return filled(ctx, handled, length, finished)
}

type snapshotDispatch[I comparable, Req, Resp, Item, RespB any] struct {
	service *SnapshotService[I, Req, Resp, Item, RespB]
	handler Handler[Req, RespB]
}

func (d *snapshotDispatch[I, Req, Resp, Item, RespB]) info() serviceInfo {
	return serviceInfo{
		name: d.service.Name, method: d.service.Method, responseCeiling: protocol.DefaultSnapshotCeilingBytes,
		hasHandler: d.handler != nil,
	}
}

func (d *snapshotDispatch[I, Req, Resp, Item, RespB]) newBuilder() any { return new(RespB) }

func (d *snapshotDispatch[I, Req, Resp, Item, RespB]) handle(
	ctx *Context, builder any, request []byte, out []byte, _ bool,
) (int, failure) {
	view, err := d.service.DecodeRequest(request)
	if err != nil {
		return 0, failedEnvelope
	}
	response := builder.(*RespB)
	// How many items will come is not known: the builder makes room as they do.
	if err := d.service.ResetResponse(response, out, 0); err != nil {
		return 0, failureOf(ctx, err)
	}
	handled := d.handler(ctx, view, response)
	length, finished := d.service.FinishResponse(response)
	return filled(ctx, handled, length, finished)
}

// filled is the answer of a handler that was given a builder to fill: what does not fit wins over any other
// failure (spec section 11).
func filled(ctx *Context, handled error, length int, finished error) (int, failure) {
	switch {
	case handled == nil && finished == nil:
		return length, noFailure
	case finished != nil && doesNotFit(finished):
		return 0, failedLimit
	case handled != nil:
		return 0, failureOf(ctx, handled)
	}
	return 0, failureOf(ctx, finished)
}

// failureOf is what the client is told; the server's status tells the rest.
func failureOf(ctx *Context, err error) failure {
	if doesNotFit(err) {
		return failedLimit
	}
	ctx.Report(err)
	return failedInternal
}

func doesNotFit(err error) bool {
	return errors.Is(err, payload.ErrNoSpace) || errors.Is(err, payload.ErrLimitExceeded)
}
