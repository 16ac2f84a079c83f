package service

import (
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

const (
	// DefaultMaxWorkers is the most workers when ServerConfig.WorkerCount is zero: one for each CPU, at most
	// this many.
	DefaultMaxWorkers = 8
	// DefaultMaxSessions is ServerConfig.MaxSessions when zero.
	DefaultMaxSessions = 64
	// DefaultMaxInFlight is ServerConfig.MaxInFlightPerSession when zero.
	DefaultMaxInFlight = 16
	// SendTimeout is how long a client may take to make room for one answer before its session ends.
	SendTimeout = 10 * time.Second
	// StopTimeout is how long stopping waits for handlers that run.
	StopTimeout = 2 * time.Second
	// DrainTimeout is how long draining waits for answers.
	DrainTimeout = 5 * time.Second
)

// ServerConfig is what a server is made with. Zero means the default, everywhere.
type ServerConfig struct {
	// SupportedProfiles may be used by sessions; by default the baseline alone (spec section 4).
	SupportedProfiles protocol.Profiles
	// PreferredProfiles are those that the server would rather use.
	PreferredProfiles protocol.Profiles
	// MaxRequestPayloadBytes is the longest request payload that is granted, in bytes; by default 1 MiB.
	MaxRequestPayloadBytes uint32
	// MaxResponsePayloadBytes is the longest response payload, in bytes: a ceiling, up to which the limit of
	// later sessions grows (spec sections 4 and 11). By default 1 MiB for calls and lookups, 16 MiB for
	// snapshots.
	MaxResponsePayloadBytes uint32
	// AuthToken is what clients must know. It is a secret: String and %v leave it out.
	AuthToken uint64
	// WorkerCount is how many handlers run at a time; by default one for each CPU, at most 8. Servers of a
	// [Host] share its workers, and this is not looked at.
	WorkerCount int
	// MaxSessions at a time; by default 64. Clients above it are told BUSY.
	MaxSessions int
	// MaxInFlightPerSession is the requests of one session that are worked on at a time; by default 16.
	// More of them stay unread until there is room.
	MaxInFlightPerSession int
	// Access is who may connect: mode and group of the endpoint, and uids of peers. By default this
	// process's user and root.
	Access transport.AccessPolicy
	// Logger gets sessions, failing and panicking handlers. Nil: nobody does.
	Logger *slog.Logger
}

// String shows all but the secret.
func (c ServerConfig) String() string {
	return fmt.Sprintf("ServerConfig{SupportedProfiles: %v, PreferredProfiles: %v, "+
		"MaxRequestPayloadBytes: %d, MaxResponsePayloadBytes: %d, AuthToken: (secret), WorkerCount: %d, "+
		"MaxSessions: %d, MaxInFlightPerSession: %d, Access: %+v}",
		c.SupportedProfiles, c.PreferredProfiles, c.MaxRequestPayloadBytes, c.MaxResponsePayloadBytes,
		c.WorkerCount, c.MaxSessions, c.MaxInFlightPerSession, c.Access)
}

// GoString is String: %#v leaves the secret out too.
func (c ServerConfig) GoString() string { return c.String() }

// resolved is the configuration without zeros, for a service whose answers are at most responseCeiling
// bytes long unless configured.
func (c ServerConfig) resolved(responseCeiling uint32) ServerConfig {
	c.MaxRequestPayloadBytes = bufferable(protocol.OrDefault(c.MaxRequestPayloadBytes, protocol.DefaultRequestCeilingBytes))
	c.MaxResponsePayloadBytes = bufferable(protocol.OrDefault(c.MaxResponsePayloadBytes, responseCeiling))
	if c.MaxSessions <= 0 {
		c.MaxSessions = DefaultMaxSessions
	}
	// They are counted in 32 bits.
	c.MaxSessions = min(c.MaxSessions, math.MaxInt32)
	if c.MaxInFlightPerSession <= 0 {
		c.MaxInFlightPerSession = DefaultMaxInFlight
	}
	c.WorkerCount = workerCount(c.WorkerCount)
	return c
}

func workerCount(configured int) int {
	if configured > 0 {
		return configured
	}
	return min(runtime.GOMAXPROCS(0), DefaultMaxWorkers)
}

// bufferable is the limit, or the longest payload whose message has a buffer, where an int has 32 bits.
func bufferable(limit uint32) uint32 {
	return uint32(min(uint64(limit), math.MaxInt-protocol.HeaderLen))
}
