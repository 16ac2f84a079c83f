package protocol

// The handshake as functions of their arguments (spec section 4).
//
//	client                                     server
//	Hello ── Hello.Message ────────────────▶ Negotiate(message, &Policy, Peer)
//	                                           │ *Rejection ─▶ Rejection.Message ────┐
//	                                           │ Agreed                              │
//	                                           │   a region cannot be made:          │
//	                                           │   Agreed.WithoutSharedMemory        │
//	CheckReply(&Hello, message) ◀── Agreed.Message(sessionID) ◀──────────────────────┘
//
// Deadlines, sending and receiving, the making of regions and the counting of sessions are the
// caller's. What a client does after a refusal is for [Retry].
const (
	// DefaultPayloadBytes is the limit of a payload that a configuration leaves at zero, in bytes.
	DefaultPayloadBytes uint32 = 1024
	// DefaultBatchItems is the limit of a batch that a configuration leaves at zero, in items.
	DefaultBatchItems uint32 = 1
)

// Terms are what both ends of a session go by for its whole life (spec section 4).
type Terms struct {
	// Profile is how messages move.
	Profile Profile
	// Request are the limits of requests.
	Request Limits
	// Response are the limits of responses.
	Response Limits
	// PacketSize is the longest packet.
	PacketSize PacketSize
}

// OrDefault is a configured value, where zero means the default (spec section 4).
func OrDefault(configured, byDefault uint32) uint32 {
	if configured == 0 {
		return byDefault
	}
	return configured
}

// LimitsOrDefault are configured limits, where zero means [DefaultPayloadBytes] and
// [DefaultBatchItems]. (The default profiles are [Platform.Supported]'s; the default packet size is
// what the transport can carry.)
func LimitsOrDefault(configured Limits) Limits {
	return Limits{
		PayloadBytes: OrDefault(configured.PayloadBytes, DefaultPayloadBytes),
		BatchItems:   OrDefault(configured.BatchItems, DefaultBatchItems),
	}
}
