package service

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

const (
	// DefaultCallTimeout is how long a logical call may take, its reconnects included, unless
	// configured.
	DefaultCallTimeout = 30 * time.Second
	// ConnectTimeout is how long connecting, with its handshake, may take.
	ConnectTimeout = transport.DefaultHandshakeTimeout
	// DefaultLookupItems is the keys of one lookup, unless configured.
	DefaultLookupItems uint32 = 65_536
	// DefaultLookupSubCalls is the sub-requests of one lookup, unless configured.
	DefaultLookupSubCalls uint32 = 4_096
	// DefaultLookupResponseBytes is the response payload of one lookup, in bytes, unless configured.
	DefaultLookupResponseBytes uint64 = 64 << 20
)

// ClientConfig is what a client is made with. Zero means the default, everywhere.
type ClientConfig struct {
	// SupportedProfiles may be used; by default the baseline alone (spec section 4).
	SupportedProfiles protocol.Profiles
	// PreferredProfiles are those of them that are used rather than others.
	PreferredProfiles protocol.Profiles
	// MaxRequestPayloadBytes is the longest request that this client may send, in bytes of payload; by
	// default 1 MiB. Sessions start lower, and grow for a request that needs it (spec section 11).
	MaxRequestPayloadBytes uint32
	// MaxRequestBatchItems is the most items of a batch; by default 1,024.
	MaxRequestBatchItems uint32
	// MaxResponsePayloadBytes is the longest answer that this client holds, in bytes of payload; by
	// default 1 MiB for calls and lookups, 16 MiB for snapshots.
	MaxResponsePayloadBytes uint32
	// MaxResponseBatchItems is a hint of the most items of a batch's answer; by default that of requests.
	// Servers answer as many as were asked.
	MaxResponseBatchItems uint32
	// AuthToken is what both ends know (spec section 4); servers compare it, zero included. It is a
	// secret: String and %v leave it out.
	AuthToken uint64
	// CallTimeout is how long a logical call may take, its reconnects included; by default 30 s. A
	// context's deadline that comes earlier counts.
	CallTimeout time.Duration
	// MaxLookupItems is the most keys of one lookup; by default 65,536.
	MaxLookupItems uint32
	// MaxLookupSubCalls is the most sub-requests that one lookup is split into; by default 4,096.
	MaxLookupSubCalls uint32
	// MaxLookupResponseBytes is the most response payload of one lookup, in bytes; by default 64 MiB.
	MaxLookupResponseBytes uint64
	// Logger gets sessions made, refused and lost, and requests sent again. Nil: nobody does.
	Logger *slog.Logger
}

// String shows all but the secret.
func (c ClientConfig) String() string {
	return fmt.Sprintf("ClientConfig{SupportedProfiles: %v, PreferredProfiles: %v, "+
		"MaxRequestPayloadBytes: %d, MaxRequestBatchItems: %d, MaxResponsePayloadBytes: %d, "+
		"MaxResponseBatchItems: %d, AuthToken: (secret), CallTimeout: %v, MaxLookupItems: %d, "+
		"MaxLookupSubCalls: %d, MaxLookupResponseBytes: %d}",
		c.SupportedProfiles, c.PreferredProfiles, c.MaxRequestPayloadBytes, c.MaxRequestBatchItems,
		c.MaxResponsePayloadBytes, c.MaxResponseBatchItems, c.CallTimeout, c.MaxLookupItems,
		c.MaxLookupSubCalls, c.MaxLookupResponseBytes)
}

// GoString is String: %#v leaves the secret out too.
func (c ClientConfig) GoString() string { return c.String() }

// resolved is the configuration without zeros, for a service whose answers are at most responseCeiling
// bytes long unless configured.
func (c ClientConfig) resolved(responseCeiling uint32) ClientConfig {
	c.MaxRequestPayloadBytes = bufferable(protocol.OrDefault(c.MaxRequestPayloadBytes, protocol.DefaultRequestCeilingBytes))
	c.MaxRequestBatchItems = protocol.OrDefault(c.MaxRequestBatchItems, protocol.ProposedBatchItems)
	c.MaxResponsePayloadBytes = bufferable(protocol.OrDefault(c.MaxResponsePayloadBytes, responseCeiling))
	c.MaxResponseBatchItems = protocol.OrDefault(c.MaxResponseBatchItems, c.MaxRequestBatchItems)
	c.MaxLookupItems = protocol.OrDefault(c.MaxLookupItems, DefaultLookupItems)
	c.MaxLookupSubCalls = protocol.OrDefault(c.MaxLookupSubCalls, DefaultLookupSubCalls)
	if c.MaxLookupResponseBytes == 0 {
		c.MaxLookupResponseBytes = DefaultLookupResponseBytes
	}
	if c.CallTimeout <= 0 {
		c.CallTimeout = DefaultCallTimeout
	}
	return c
}

// serviceInfo is what the engine must know of a service.
type serviceInfo struct {
	name      string
	method    uint16
	batchable bool
	// responseCeiling is the longest answer, in bytes of payload, unless configured.
	responseCeiling uint32
	// hasHandler is of a server: whether it was given one.
	hasHandler bool
}
