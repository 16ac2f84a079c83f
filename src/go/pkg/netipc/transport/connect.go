package transport

import (
	"fmt"
	"math"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Proposal is what a client proposes (spec section 4). Zero means the default everywhere.
type Proposal struct {
	// SupportedProfiles may be used; the baseline always is, and what this platform lacks is left out.
	SupportedProfiles protocol.Profiles
	// PreferredProfiles are those of them that this client would rather use.
	PreferredProfiles protocol.Profiles
	// Request are the limits of requests: granted as they are, or the session is refused. Default: 1024
	// bytes, 1 item.
	Request protocol.Limits
	// ResponseHint are the limits of responses, a hint: servers go by their own. Default: 1024 bytes, 1
	// item.
	ResponseHint protocol.Limits
	// ResponseCeilingBytes is the longest response payload that this client holds, in bytes, whatever is
	// agreed; a longer one ends the session. Default: none but the agreed limit.
	ResponseCeilingBytes uint32
	// AuthToken is what both ends know. It is a secret: String and %v leave it out.
	AuthToken uint64
	// PacketSize is the longest packet, in bytes, headers included. Default: what the socket carries, and
	// never more than that.
	PacketSize uint32
	// SpinLimit is how long a wait for a message may look for it before it sleeps, at most. Default:
	// [DefaultSpinLimit]; [NeverSpin] for none.
	SpinLimit time.Duration
}

// String shows all but the secret.
func (p Proposal) String() string {
	return fmt.Sprintf("Proposal{SupportedProfiles: %v, PreferredProfiles: %v, Request: %+v, "+
		"ResponseHint: %+v, ResponseCeilingBytes: %d, AuthToken: (secret), PacketSize: %d, SpinLimit: %v}",
		p.SupportedProfiles, p.PreferredProfiles, p.Request, p.ResponseHint, p.ResponseCeilingBytes,
		p.PacketSize, p.SpinLimit)
}

// GoString is String: %#v leaves the secret out too.
func (p Proposal) GoString() string { return p.String() }

// Connect connects to the server of an endpoint and agrees on terms with it, as long as wait says.
//
// Where shared memory is agreed on, its region is attached to before this returns; one that is not there
// yet is waited for a while. One that cannot be used is a [SharedMemoryError]: try again with the baseline
// alone, unless it vanished.
//
// The errors are those of the way there ([ErrNotFound], [ErrRefused], [ErrDenied], [ErrBacklogFull],
// [ForeignError]), [protocol.Refusal], [ErrNoAnswer], [ErrSilent], [ErrAborted], [SysError] and
// [ErrUnsupported]; [MetBy] is what decides when to try again.
func Connect(endpoint Endpoint, proposal *Proposal, wait Wait) (*Session, error) {
	channel, err := sys.Connect(endpoint.socket, &wait)
	if err != nil {
		return nil, err
	}
	session, err := shakeHands(endpoint, channel, proposal, &wait)
	if err != nil {
		_ = channel.Close()
		return nil, err
	}
	return session, nil
}

func shakeHands(
	endpoint Endpoint, channel *sys.PacketChannel, proposal *Proposal, wait *Wait,
) (*Session, error) {
	peer, err := channel.Peer()
	if err != nil {
		return nil, err
	}
	packetSize, err := packetSizeOf(channel, proposal.PacketSize)
	if err != nil {
		return nil, err
	}
	hello := proposal.hello(packetSize)
	accepted, err := askForTerms(channel, &hello, wait)
	if err != nil {
		return nil, err
	}
	terms := accepted.Terms()
	var shared *sys.RegionChannel
	if terms.Profile.IsSharedMemory() {
		name, err := regionName(endpoint, proposal.AuthToken, terms.Profile, accepted.SessionID())
		if err != nil {
			return nil, &SharedMemoryError{Err: err}
		}
		if shared, err = attach(name, &terms, channel, peer.UID, wait); err != nil {
			return nil, err
		}
	}
	return newSession(channel, shared, func() {}, agreement{
		role:            client,
		terms:           terms,
		sessionID:       accepted.SessionID(),
		serverSupported: accepted.ServerSupported(),
		peer:            peer,
		ceilingBytes:    protocol.OrDefault(proposal.ResponseCeilingBytes, math.MaxUint32),
		spinLimit:       proposal.SpinLimit,
	}), nil
}

// hello is the proposal as it travels, with every default resolved.
func (p *Proposal) hello(packetSize uint32) protocol.Hello {
	supported := platform.Supported(p.SupportedProfiles)
	return protocol.Hello{
		Supported:    supported,
		Preferred:    p.PreferredProfiles & supported,
		Request:      protocol.LimitsOrDefault(p.Request),
		ResponseHint: protocol.LimitsOrDefault(p.ResponseHint),
		AuthToken:    p.AuthToken,
		PacketSize:   packetSize,
	}
}

// platform says which profiles this build can use: where there is no transport, none is ever asked.
var platform = platformOf(sys.OwnFamily)

func platformOf(family sys.Family) protocol.Platform {
	if family == sys.FamilyWindows {
		return protocol.PlatformWindows
	}
	return protocol.PlatformPosix
}

// packetSizeOf is the packet size of one side: what was configured, or what the socket carries, and
// never more than that: peers in the field propose packets that cannot be sent (spec section 6).
func packetSizeOf(channel *sys.PacketChannel, configured uint32) (uint32, error) {
	most, err := channel.MaxPacketSize()
	if err != nil {
		return 0, err
	}
	carried := uint32(min(uint64(most), math.MaxUint32))
	if configured == 0 {
		return carried, nil
	}
	return min(configured, carried), nil
}

func askForTerms(channel *sys.PacketChannel, hello *protocol.Hello, wait *Wait) (protocol.Accepted, error) {
	message := hello.Message()
	err := channel.Send(message[:], nil, wait)
	// A server that left may have said why before: receive in any case.
	if err != nil && err != ErrPeerGone {
		return protocol.Accepted{}, unanswered(err)
	}
	// One byte more than is allowed shows a longer answer.
	answer := make([]byte, protocol.MaxHandshakeMessageLen+1)
	length, err := channel.Recv(answer, wait)
	if err != nil {
		return protocol.Accepted{}, unanswered(err)
	}
	accepted, refusal := protocol.CheckReply(hello, answer[:min(length, len(answer))])
	if refusal != nil {
		return protocol.Accepted{}, refusal
	}
	return accepted, nil
}

// unanswered is what ends a handshake that has no answer.
func unanswered(err error) error {
	switch err {
	case ErrClosed:
		return ErrNoAnswer
	case ErrTimedOut:
		return ErrSilent
	}
	return err
}
