package service

import (
	"context"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// Context is what a handler is told beside the request. As a context.Context it is done once the server is
// being stopped: a long handler looks now and then, and returns early. It is not done while the server
// merely drains, which waits for handlers.
type Context struct {
	context.Context
	peer      transport.PeerIdentity
	sessionID uint64
	service   *servedService
}

// Peer is the process that asks, as the kernel vouches for it.
func (c *Context) Peer() transport.PeerIdentity { return c.peer }

// SessionID is the session that the request came on: 1, 2, … for the server's lifetime.
func (c *Context) SessionID() uint64 { return c.sessionID }

// Report leaves word of why a handler fails in the server's status and log, for whoever looks there: the
// client is told no more than INTERNAL_ERROR. The error that a handler returns is reported by itself.
func (c *Context) Report(err error) { c.service.report(err) }

// dispatch answers the requests of one endpoint. Called by several goroutines at once.
type dispatch interface {
	info() serviceInfo
	// newBuilder is memory for handle, for one worker.
	newBuilder() any
	// handle answers one request, which is one item of a batch where the request came as one. The response
	// is written from the start of out, which holds whatever was there before; answers its length in bytes.
	handle(ctx *Context, builder any, request []byte, out []byte, atCeiling bool) (int, failure)
}

// failure is why a request has no answer (spec section 11).
type failure uint8

const (
	noFailure failure = iota
	// failedEnvelope: the request does not decode: the client is at fault.
	failedEnvelope
	// failedLimit: the answer does not fit the session. It wins over failedInternal where a handler failed
	// because of it.
	failedLimit
	// failedInternal: the handler failed.
	failedInternal
	// failedMethod: another method; the session goes on.
	failedMethod
)

func (f failure) status() protocol.Status {
	switch f {
	case failedEnvelope:
		return protocol.StatusBadEnvelope
	case failedLimit:
		return protocol.StatusLimitExceeded
	case failedMethod:
		return protocol.StatusUnsupported
	case failedInternal:
		return protocol.StatusInternalError
	}
	return protocol.StatusOK
}
