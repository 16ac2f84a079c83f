package protocol

import (
	"crypto/subtle"
	"errors"
	"fmt"
)

// Policy is what a server grants.
type Policy struct {
	// Supported are the profiles that the server can use.
	Supported Profiles
	// Preferred are those of them that it would rather use.
	Preferred Profiles
	// MaxRequestPayloadBytes is the longest request payload that it grants, in bytes.
	MaxRequestPayloadBytes uint32
	// ResponsePayloadBytes is its current limit of response payloads, in bytes; see
	// [ServerLimitAfter].
	ResponsePayloadBytes uint32
	// AuthToken is what both ends know. It is a secret: String and %v leave it out.
	AuthToken uint64
	// PacketSize is the longest packet that it can send, in bytes, headers included.
	PacketSize uint32
}

// String shows all but the secret.
func (p Policy) String() string {
	return fmt.Sprintf("Policy{Supported: %v, Preferred: %v, MaxRequestPayloadBytes: %d, "+
		"ResponsePayloadBytes: %d, AuthToken: (secret), PacketSize: %d}",
		p.Supported, p.Preferred, p.MaxRequestPayloadBytes, p.ResponsePayloadBytes, p.PacketSize)
}

// GoString is String: %#v leaves the secret out too.
func (p Policy) GoString() string { return p.String() }

// Peer is what a server knows of the peer and of itself as a HELLO arrives.
type Peer struct {
	// Admitted tells whether the access policy admits the peer's user.
	Admitted bool
	// CanOpenRegions tells whether the peer's user could open a region of mode 0600 that the server
	// makes.
	CanOpenRegions bool
	// SessionFree tells whether the server may have one session more.
	SessionFree bool
}

// Agreed is what a server has agreed to. Only [Negotiate] makes one.
type Agreed struct {
	terms           Terms
	serverSupported Profiles
	intersection    Profiles
	clientPreferred Profiles
	serverPreferred Profiles
}

// RejectReason is why a server refuses a session.
type RejectReason uint8

const (
	// RejectMalformed: the message is not a HELLO as the contract wants it.
	RejectMalformed RejectReason = iota + 1
	// RejectOtherVersion: the peer speaks another version of the envelope or of HELLO.
	RejectOtherVersion
	// RejectNoCommonProfile: no profile in common.
	RejectNoCommonProfile
	// RejectNotAdmitted: the access policy does not admit the peer's user.
	RejectNotAdmitted
	// RejectWrongToken: the peer's token is another.
	RejectWrongToken
	// RejectRequestLimit: the peer wants to send longer requests than the server takes.
	RejectRequestLimit
	// RejectPacketSize: packets would have no room for payload.
	RejectPacketSize
	// RejectNoRegion: the region of the only common profile cannot be made now.
	RejectNoRegion
	// RejectSessionsTaken: all sessions are taken.
	RejectSessionsTaken
)

// Rejection says why a server refuses a session. Its message is sent out completely before the server
// closes.
type Rejection struct {
	// Reason is why.
	Reason RejectReason
	// Err, for Malformed and OtherVersion, is the [DecodeError].
	Err error
	// Asked is what the peer asked for, and Had what the server has or grants: profiles for
	// NoCommonProfile, bytes for RequestLimit; for PacketSize, Asked is the smaller of both sizes.
	Asked, Had uint32
}

func (r *Rejection) Error() string {
	switch r.Reason {
	case RejectMalformed:
		return fmt.Sprintf("malformed HELLO: %v", r.Err)
	case RejectOtherVersion:
		return fmt.Sprintf("the peer speaks another version: %v", r.Err)
	case RejectNoCommonProfile:
		return fmt.Sprintf("no profile in common: the peer has %v, this server %v",
			Profiles(r.Asked), Profiles(r.Had))
	case RejectNotAdmitted:
		return "the peer's user is not admitted"
	case RejectWrongToken:
		return "the peer's token is another"
	case RejectRequestLimit:
		return fmt.Sprintf("the peer asks for requests of %d bytes, above this server's maximum of %d",
			r.Asked, r.Had)
	case RejectPacketSize:
		return fmt.Sprintf("packets of %d bytes have no room for payload", r.Asked)
	case RejectNoRegion:
		return "shared memory, all that the peer offers, cannot be had now"
	default:
		return "all sessions are taken"
	}
}

// Unwrap is the [DecodeError] of a HELLO that does not decode.
func (r *Rejection) Unwrap() error { return r.Err }

// Status tells the client (spec section 4). AUTH_FAILED, UNSUPPORTED and INCOMPATIBLE make clients give
// up, so they stand for permanent causes only.
func (r *Rejection) Status() Status {
	switch r.Reason {
	case RejectMalformed:
		return StatusBadEnvelope
	case RejectOtherVersion, RejectPacketSize:
		return StatusIncompatible
	case RejectNoCommonProfile:
		return StatusUnsupported
	case RejectNotAdmitted, RejectWrongToken:
		return StatusAuthFailed
	case RejectRequestLimit:
		return StatusLimitExceeded
	default:
		return StatusBusy
	}
}

// Message is the answer to the client.
func (r *Rejection) Message() [HelloAckMessageLen]byte { return RejectionMessage(r.Status()) }

// Negotiate decides on the first message of a client, in the order of spec section 4. message is one
// whole packet as received; a receiver whose buffer could not hold it passes what it has, which is then
// too long.
func Negotiate(message []byte, policy *Policy, peer Peer) (Agreed, *Rejection) {
	hello, rejection := decodeHelloMessage(message)
	if rejection != nil {
		return Agreed{}, rejection
	}
	common := hello.Supported & policy.Supported
	if common == 0 {
		return Agreed{}, noCommonProfile(hello.Supported, policy.Supported)
	}
	if !peer.Admitted {
		return Agreed{}, &Rejection{Reason: RejectNotAdmitted}
	}
	if !sameToken(hello.AuthToken, policy.AuthToken) {
		return Agreed{}, &Rejection{Reason: RejectWrongToken}
	}
	asked, most := hello.Request.PayloadBytes, policy.MaxRequestPayloadBytes
	if asked > most {
		return Agreed{}, &Rejection{Reason: RejectRequestLimit, Asked: asked, Had: most}
	}
	bytes := min(hello.PacketSize, policy.PacketSize)
	packetSize, ok := NewPacketSize(bytes)
	if !ok {
		return Agreed{}, &Rejection{Reason: RejectPacketSize, Asked: bytes}
	}
	intersection := common
	if !peer.CanOpenRegions {
		intersection = common.Without(ProfilesSharedMemory)
	}
	profile, ok := selectProfile(intersection, hello.Preferred, policy.Preferred)
	if !ok {
		// That the peer's user is another is a permanent cause, so this is not BUSY.
		return Agreed{}, noCommonProfile(hello.Supported, policy.Supported.Without(ProfilesSharedMemory))
	}
	if !peer.SessionFree {
		return Agreed{}, &Rejection{Reason: RejectSessionsTaken}
	}
	return Agreed{
		terms: Terms{
			Profile: profile,
			Request: hello.Request,
			Response: Limits{
				PayloadBytes: policy.ResponsePayloadBytes,
				BatchItems:   hello.Request.BatchItems,
			},
			PacketSize: packetSize,
		},
		serverSupported: policy.Supported,
		intersection:    intersection,
		clientPreferred: hello.Preferred,
		serverPreferred: policy.Preferred,
	}, nil
}

// Terms are what the session goes by.
func (a *Agreed) Terms() Terms { return a.terms }

// WithoutSharedMemory is the same without shared memory, when its region cannot be made (spec section
// 4, step 9). It fails with [RejectNoRegion] when the peer offers nothing else.
func (a Agreed) WithoutSharedMemory() (Agreed, *Rejection) {
	a.intersection = a.intersection.Without(ProfilesSharedMemory)
	profile, ok := selectProfile(a.intersection, a.clientPreferred, a.serverPreferred)
	if !ok {
		return Agreed{}, &Rejection{Reason: RejectNoRegion}
	}
	a.terms.Profile = profile
	return a, nil
}

// Message is the answer to the client. A shared-memory profile is acknowledged only when its region is
// there and ready.
func (a *Agreed) Message(sessionID uint64) [HelloAckMessageLen]byte {
	ack := HelloAck{
		ServerSupported: a.serverSupported,
		Intersection:    a.intersection,
		Selected:        Profiles(a.terms.Profile),
		Request:         a.terms.Request,
		Response:        a.terms.Response,
		PacketSize:      a.terms.PacketSize.Bytes(),
		SessionID:       sessionID,
	}
	return ack.Message()
}

// decodeHelloMessage is step 1: the message, whole and exact. A strange version is told apart from
// nonsense, so that the client knows whether trying again can help.
func decodeHelloMessage(message []byte) (Hello, *Rejection) {
	hello, err := wholeHello(message)
	if err == nil {
		return hello, nil
	}
	reason := RejectMalformed
	if errors.Is(err, DefectVersion) || errors.Is(err, DefectLayout) {
		reason = RejectOtherVersion
	}
	return Hello{}, &Rejection{Reason: reason, Err: err}
}

func wholeHello(message []byte) (Hello, error) {
	header, err := DecodeHeader(message)
	if err != nil {
		return Hello{}, err
	}
	if header.Status != StatusOK {
		return Hello{}, NewDecodeError(DefectStatus, offStatus)
	}
	if err := header.CheckControl(OpcodeHello); err != nil {
		return Hello{}, err
	}
	payload, err := exactPayload(message, header.PayloadLen)
	if err != nil {
		return Hello{}, err
	}
	hello, err := DecodeHello(payload)
	return hello, shifted(err, HeaderLen)
}

// shifted is a decoder's error as seen from base bytes before what it decoded.
func shifted(err error, base int) error {
	var broken DecodeError
	if errors.As(err, &broken) {
		return broken.Shifted(base)
	}
	return err
}

// sameToken takes the same time whatever the tokens are.
func sameToken(a, b uint64) bool {
	var left, right [8]byte
	order.PutUint64(left[:], a)
	order.PutUint64(right[:], b)
	return subtle.ConstantTimeCompare(left[:], right[:]) == 1
}

func noCommonProfile(offered, supported Profiles) *Rejection {
	return &Rejection{Reason: RejectNoCommonProfile, Asked: uint32(offered), Had: uint32(supported)}
}

// selectProfile is steps 8 and 9: the highest bit that both prefer, else the highest that both have.
func selectProfile(intersection, clientPreferred, serverPreferred Profiles) (Profile, bool) {
	if profile, ok := (intersection & clientPreferred & serverPreferred).Highest(); ok {
		return profile, true
	}
	return intersection.Highest()
}
