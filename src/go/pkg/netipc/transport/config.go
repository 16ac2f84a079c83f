package transport

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

const (
	// DefaultHandshakeTimeout is how long a client may take for its HELLO unless configured.
	DefaultHandshakeTimeout = 5 * time.Second
	// DefaultMaxPendingHandshakes is how many clients may be in their handshake at one time unless
	// configured.
	DefaultMaxPendingHandshakes = 512
)

// AccessPolicy says who may use an endpoint, beside those who know its token. The zero value admits this
// process's own user and root; on Windows, whom the pipe lets in: its own user, SYSTEM and administrators.
type AccessPolicy struct {
	// Mode is the permission bits of the socket, exactly, whatever the umask. Zero: 0600. Not used on Windows.
	Mode uint32
	// Group is the group of the socket, by id; nil leaves what the system gives. Not used on Windows.
	Group *uint32
	// UIDs are the users that are admitted. Nil: this process's own and root. On Windows they are compared with
	// the last part of the user's security identifier (18 is SYSTEM), and nobody is let in whom the pipe
	// refuses.
	UIDs []uint32
}

func (p *AccessPolicy) admits(peer PeerIdentity) bool {
	if p.UIDs == nil {
		return peer.IsOwnOrPrivileged()
	}
	for _, admitted := range p.UIDs {
		if peer.UID == admitted {
			return true
		}
	}
	return false
}

// ListenerConfig says how an endpoint is served. Zero means the named default everywhere.
type ListenerConfig struct {
	// Access is who may use it.
	Access AccessPolicy
	// SupportedProfiles may be used; zero is the baseline alone.
	SupportedProfiles protocol.Profiles
	// PreferredProfiles are those of them that this server would rather use.
	PreferredProfiles protocol.Profiles
	// MaxRequestPayloadBytes is the longest request payload granted, in bytes. Zero: 1024.
	MaxRequestPayloadBytes uint32
	// ResponsePayloadBytes is the limit of response payloads that sessions get at first, in bytes. Zero:
	// 1024.
	ResponsePayloadBytes uint32
	// AuthToken is what both ends know. It is a secret: String and %v leave it out.
	AuthToken uint64
	// PacketSize is the longest packet, in bytes; zero is what the socket carries, and never more.
	PacketSize uint32
	// Backlog is how many clients may wait to be accepted. Zero: 512.
	Backlog uint16
	// HandshakeTimeout is how long a client may take for its HELLO. Zero: [DefaultHandshakeTimeout].
	HandshakeTimeout time.Duration
	// MaxPendingHandshakes is how many clients may be in their handshake at one time; beyond it the oldest
	// gives way. Zero: [DefaultMaxPendingHandshakes].
	MaxPendingHandshakes int
	// SpinLimit is how long a wait for a message may look for it before it sleeps, at most. Zero:
	// [DefaultSpinLimit]; [NeverSpin] for none.
	SpinLimit time.Duration
	// RegionBytes is the shared memory that all sessions may have together, in bytes; beyond it they get
	// the baseline. Zero: [DefaultRegionBytes].
	RegionBytes uint64
	// Reserve takes a place for one session more; false tells the client BUSY. It is asked last, for a
	// client that could have a session but for that, by the goroutines of handshakes, many at a time. Nil:
	// there always is a place.
	Reserve func() bool
	// Unreserve gives a place back that was reserved for a session which then never came out of
	// [Listener.Accept]: its client left, or the listener was closed. Not nil if Reserve is not.
	Unreserve func()
}

// String shows all but the secret, and the functions.
func (c ListenerConfig) String() string {
	return fmt.Sprintf("ListenerConfig{Access: %+v, SupportedProfiles: %v, PreferredProfiles: %v, "+
		"MaxRequestPayloadBytes: %d, ResponsePayloadBytes: %d, AuthToken: (secret), PacketSize: %d, "+
		"Backlog: %d, HandshakeTimeout: %v, MaxPendingHandshakes: %d, SpinLimit: %v, RegionBytes: %d}",
		c.Access, c.SupportedProfiles, c.PreferredProfiles, c.MaxRequestPayloadBytes,
		c.ResponsePayloadBytes, c.PacketSize, c.Backlog, c.HandshakeTimeout, c.MaxPendingHandshakes,
		c.SpinLimit, c.RegionBytes)
}

// GoString is String: %#v leaves the secret out too.
func (c ListenerConfig) GoString() string { return c.String() }

// bindOptions are what the system is to make of it.
func (c *ListenerConfig) bindOptions() sys.BindOptions {
	options := sys.BindOptions{Mode: c.Access.Mode, Backlog: c.Backlog}
	if c.Access.Group != nil {
		options.Group, options.SetGroup = *c.Access.Group, true
	}
	return options
}

// ResponseLimit is the limit of responses that later sessions get, shared with those who grow it.
type ResponseLimit struct{ bytes atomic.Uint32 }

// Get is the limit, in bytes of payload.
func (l *ResponseLimit) Get() uint32 { return l.bytes.Load() }

// Grow doubles the limit for later sessions, up to ceiling, after LIMIT_EXCEEDED was answered on a
// session with sessionLimit (spec section 11). Many sessions that fail at one limit double it once. All
// in bytes of payload.
func (l *ResponseLimit) Grow(sessionLimit, ceiling uint32) {
	for {
		current := l.bytes.Load()
		grown := protocol.ServerLimitAfter(current, sessionLimit, ceiling)
		if grown == current || l.bytes.CompareAndSwap(current, grown) {
			return
		}
	}
}
