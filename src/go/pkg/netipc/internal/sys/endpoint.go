package sys

// MaxSocketPathBytes is the longest path of an endpoint, in bytes (spec section 5): sun_path less its
// NUL.
const MaxSocketPathBytes = 107

// EndpointState is what [InspectEndpoint] found.
type EndpointState uint8

// The states.
const (
	// EndpointAbsent: nothing is there.
	EndpointAbsent EndpointState = iota
	// EndpointLive: a server listens.
	EndpointLive
	// EndpointStale: a socket on which nobody listens: its server died.
	EndpointStale
	// EndpointForeign: not an endpoint.
	EndpointForeign
	// EndpointDenied: a socket that this user may not connect to.
	EndpointDenied
)

// Inspection is the outcome of [InspectEndpoint].
type Inspection struct {
	// State is what is there.
	State EndpointState
	// Server is whose it is, for EndpointLive; its UID and PID are zero and Busy is set when the
	// backlog is full, so that nobody could be asked.
	Server PeerIdentity
	// Busy: the server's backlog is full.
	Busy bool
	// Kind is what is there, for EndpointForeign.
	Kind EntryKind
}
