package service

import (
	"fmt"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// ClientStatus is what a client is, why, and what it has done so far.
type ClientStatus struct {
	// State is what it is.
	State protocol.ClientState
	// Reason is why it has no session, or what its last failed call met. Nil when nothing went wrong
	// since the session was made.
	Reason error
	// NextTry is whether the next refresh tries at once, later because the server is full, or rarely.
	NextTry protocol.NextTry
	// RetryIn is how long a refresh still refrains from connecting; zero when it tries at once.
	RetryIn time.Duration
	// Session is what the session goes by; nil when there is none.
	Session *SessionStatus
	// Counters are what was counted since the client was made.
	Counters ClientCounters
}

// SessionStatus is what a session goes by.
type SessionStatus struct {
	// ID is the server's number for it.
	ID uint64
	// Terms are the agreed profile, limits and packet size.
	Terms protocol.Terms
	// ProfileReason is why the profile is no better one.
	ProfileReason string
	// ServerSupported is what the server could have used.
	ServerSupported protocol.Profiles
	// Peer is the server's process and user.
	Peer transport.PeerIdentity
}

// ClientCounters is what a client has counted, none of which ever goes back.
type ClientCounters struct {
	// Connects: sessions made.
	Connects uint64
	// Reconnects: those of them made inside a call: after a loss, or for a larger limit.
	Reconnects uint64
	// FailedConnects: attempts that gave no session.
	FailedConnects uint64
	// Calls: logical calls begun on a ready client.
	Calls uint64
	// Resends: requests sent once more because their session was lost (spec section 11).
	Resends uint64
	// Growths: requests sent once more for a larger response limit.
	Growths uint64
	// LargerRequests: sessions made for a larger request.
	LargerRequests uint64
	// SubCalls: sub-requests that lookups were split into.
	SubCalls uint64
	// RestartedLookups: lookups started again because the provider's generation changed.
	RestartedLookups uint64
	// SentBytes of messages, headers included, chunk headers not.
	SentBytes uint64
	// ReceivedBytes of messages, headers included, chunk headers not.
	ReceivedBytes uint64
	// Errors: failed calls, by kind.
	Errors ErrorCounters
}

// ErrorCounters are failed calls, by [ErrorKind].
type ErrorCounters [errorKinds]uint64

// Total is all of them.
func (c ErrorCounters) Total() uint64 {
	total := uint64(0)
	for _, count := range c {
		total += count
	}
	return total
}

// profileReason is why a session has the profile that it has, and no better one.
func profileReason(selected protocol.Profile, offered, server protocol.Profiles, notShared error) string {
	if notShared != nil && selected == protocol.ProfileBaseline {
		return notShared.Error()
	}
	offered |= protocol.ProfilesBaseline
	better := func(profiles protocol.Profiles) bool {
		highest, ok := profiles.Highest()
		return ok && highest > selected
	}
	switch {
	case !better(offered) && !better(server):
		return "neither peer offers a better one"
	case !better(offered):
		return fmt.Sprintf("the server could use %v, this client offers %v", server, offered)
	case !better(server):
		return fmt.Sprintf("this client offers %v, the server can use %v", offered, server)
	}
	return fmt.Sprintf("this client offers %v, the server could use %v: they share no better one, "+
		"one of them prefers this, or the server could not make a region", offered, server)
}
