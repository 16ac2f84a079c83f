package service

import (
	"context"
	"math"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// LookupClient is a client of a service of the shape lookup: many keys in, one item a key out, whatever the
// limits of the session. It has one session at most, which Refresh makes, and is used by one goroutine at a
// time.
//
//	keys ──▶ plan ──▶ sub-request ──▶ engine ──▶ stitch ──▶ Answer
//	          ▲                                    │
//	          └──── what is not answered yet ◀─────┘
type LookupClient[K comparable, Req, Item, RespB any] struct {
	clientEngine
	stitch stitch[K, Req, Item, RespB]
}

// NewLookupClient is a client that has not connected yet: a refresh does. Generated packages have it as
// NewClient.
func NewLookupClient[K comparable, Req, Item, RespB any](
	service *LookupService[K, Req, Item, RespB], endpoint Endpoint, config ClientConfig,
) *LookupClient[K, Req, Item, RespB] {
	client := &LookupClient[K, Req, Item, RespB]{}
	client.init(endpoint, config, serviceInfo{
		name: service.Name, method: service.Method, responseCeiling: protocol.DefaultResponseCeilingBytes,
	})
	client.stitch.service, client.stitch.config = service, &client.link.config
	return client
}

// Lookup asks for keys: one item each, in their order, borrowed until the next use of this client.
//
// Keys are split over as many sub-requests as the session's limits need, and what did not fit an answer is
// asked again; all of it within one call timeout. A key whose item fits no answer is answered "oversized".
//
// It fails with a [CallError]; with [ErrTooManyKeys], [ErrTooManySubCalls] or [ErrLookupTooLarge] for more
// than 65,536 keys, 4,096 sub-requests or 64 MiB of answers, unless configured.
func (c *LookupClient[K, Req, Item, RespB]) Lookup(ctx context.Context, keys []K) (Answer[Item], error) {
	var call logicalCall
	failed := c.begin(ctx, &call)
	if failed == nil {
		failed = c.lookUp(&call, keys)
		c.link.counters.SubCalls += uint64(c.stitch.subCalls)
		if c.stitch.restarted {
			c.link.counters.RestartedLookups++
		}
	}
	if err := c.end(ctx, failed); err != nil {
		return Answer[Item]{}, err
	}
	return c.stitch.answer(), nil
}

func (c *LookupClient[K, Req, Item, RespB]) lookUp(call *logicalCall, keys []K) *CallError {
	if err := c.stitch.begin(len(keys)); err != nil {
		return err
	}
	refusedLen := uint64(math.MaxUint64)
	for {
		terms := c.terms()
		if terms == nil {
			return failf(KindNotReady, ErrNotReady, "it is %v", c.link.state)
		}
		limits := subLimits{
			request: uint64(terms.Request.PayloadBytes),
			// What is above this client's ceiling it cannot take, whatever was agreed.
			response: uint64(min(terms.Response.PayloadBytes, c.link.hint.Ceiling())),
		}
		asked, more, err := c.stitch.next(keys, limits)
		if err != nil || !more {
			return err
		}
		if asked.length > limits.request {
			if err := c.oneLongKey(call, keys, asked, &refusedLen); err != nil {
				return err
			}
			continue
		}
		again, err := c.ask(call, keys, asked)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		if err := c.stitch.take(keys, asked, c.answerPayload()); err != nil {
			if err.Kind == KindViolation {
				return c.fail(err)
			}
			return err
		}
	}
}

// ask sends a sub-request. It is true when there is a new session instead of an answer.
func (c *LookupClient[K, Req, Item, RespB]) ask(call *logicalCall, keys []K, asked subRequest) (bool, *CallError) {
	err := c.buildExactly(int(asked.length), func(out []byte) (int, error) {
		return c.stitch.service.EncodeRequest(out, keys[asked.first:asked.first+asked.count])
	})
	if err != nil {
		return false, err
	}
	return c.exchange(call, items{count: 1}, planAgain)
}

// oneLongKey: a key that does not fit a request of this session gets a session of its own size, once; where
// the server refuses that, it is oversized, and so are all as long.
func (c *LookupClient[K, Req, Item, RespB]) oneLongKey(
	call *logicalCall, keys []K, asked subRequest, refusedLen *uint64,
) *CallError {
	if asked.length < *refusedLen {
		granted, err := c.enlarge(call, int(min(asked.length, math.MaxInt)))
		if err != nil {
			return err
		}
		if granted == enlargedGranted {
			return nil
		}
		*refusedLen = asked.length
	}
	if asked.count == 0 {
		// No key is too long: there is no room for the question itself.
		return c.requestTooLarge(int(asked.length))
	}
	return c.stitch.tooLong(keys[asked.first], asked.first)
}
