package service

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// Cache is Level 3: everything that a provider knows, kept here, read without waiting.
//
//	Refresh ──▶ SnapshotClient ──▶ Contents (payload + index), new and whole
//	                                  │ swapped in, atomically
//	Load, from any goroutine ◀────────┘   what was loaded stays while it is held
//
// The caller says when to refresh. Whatever a refresh meets, a provider that is gone or one that sends a
// malformed snapshot, what the cache had before is kept, and its status says how old that is. What it does
// not do: it starts no goroutine, refreshes nothing by itself, merges nothing: a snapshot replaces the one
// before it.
//
// Load and Ready are for any goroutine at any time; all else is used by one goroutine at a time.
type Cache[I comparable, Req, Resp, Item, RespB any] struct {
	client      *SnapshotClient[I, Req, Resp, Item, RespB]
	contents    atomic.Pointer[Contents[I, Req, Resp, Item, RespB]]
	filled      atomic.Bool
	refreshedAt time.Time
	refreshes   uint64
	failures    uint64
	lastError   error
}

// CacheStatus is everything that a supporter needs.
type CacheStatus struct {
	// Filled tells whether the cache was ever filled.
	Filled bool
	// Generation is that of what it holds, Items how many, PayloadBytes how long.
	Generation   uint64
	Items        int
	PayloadBytes int
	// Age is how old that is; zero before the cache was filled.
	Age time.Duration
	// Refreshes is how often it was filled, Failures how often it was not.
	Refreshes, Failures uint64
	// LastError is why the last refresh failed; nil when it did not.
	LastError error
	// Client is its client's.
	Client ClientStatus
}

// NewCache is an empty cache that has not connected yet: a refresh does. Generated packages have it as
// NewCache, too.
func NewCache[I comparable, Req, Resp, Item, RespB any](
	service *SnapshotService[I, Req, Resp, Item, RespB], endpoint Endpoint, config ClientConfig,
) *Cache[I, Req, Resp, Item, RespB] {
	cache := &Cache[I, Req, Resp, Item, RespB]{client: NewSnapshotClient(service, endpoint, config)}
	cache.contents.Store(&Contents[I, Req, Resp, Item, RespB]{service: service})
	return cache
}

// Refresh connects if need be and if it is time to, asks for everything, and replaces what the cache holds
// by it. It takes at most one connection's time (5 s) and one call's. It fails with a [CallError]; the cache
// holds what it held before then.
func (c *Cache[I, Req, Resp, Item, RespB]) Refresh(ctx context.Context) error {
	c.client.Refresh(ctx)
	err := c.fill(ctx)
	if err != nil {
		c.failures++
		c.lastError = err
		return err
	}
	c.refreshedAt, c.lastError = time.Now(), nil
	c.refreshes++
	c.filled.Store(true)
	return nil
}

func (c *Cache[I, Req, Resp, Item, RespB]) fill(ctx context.Context) error {
	answer, err := c.client.fetchPayload(ctx)
	if err != nil {
		return err
	}
	contents, err := newContents(c.client.service, answer)
	if err != nil {
		return c.client.malformed(err)
	}
	c.contents.Store(contents)
	return nil
}

// Load is what the cache holds now. It neither waits nor allocates, and finds nothing before the cache was
// filled; it is never nil.
func (c *Cache[I, Req, Resp, Item, RespB]) Load() *Contents[I, Req, Resp, Item, RespB] {
	return c.contents.Load()
}

// Ready tells whether the cache was ever filled: it may still hold no items.
func (c *Cache[I, Req, Resp, Item, RespB]) Ready() bool { return c.filled.Load() }

// Abort is a handle that ends a refresh which waits, from any goroutine, and refuses later ones until it is
// cleared.
func (c *Cache[I, Req, Resp, Item, RespB]) Abort() *transport.Abort { return c.client.Abort() }

// Close ends the session, if there is one. What the cache holds is kept; a refresh connects again.
func (c *Cache[I, Req, Resp, Item, RespB]) Close() error { return c.client.Close() }

// Status is everything that a supporter needs. It allocates.
func (c *Cache[I, Req, Resp, Item, RespB]) Status() CacheStatus {
	contents := c.Load()
	status := CacheStatus{
		Filled: c.Ready(), Generation: contents.Generation(), Items: contents.Len(),
		PayloadBytes: contents.PayloadBytes(), Refreshes: c.refreshes, Failures: c.failures,
		LastError: c.lastError, Client: c.client.Status(),
	}
	if status.Filled {
		status.Age = time.Since(c.refreshedAt)
	}
	return status
}
