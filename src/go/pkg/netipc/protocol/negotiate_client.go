package protocol

import "fmt"

// Accepted is what a server has granted, checked against what was proposed. Only [CheckReply] makes
// one.
type Accepted struct {
	terms           Terms
	serverSupported Profiles
	sessionID       uint64
}

// Terms are what the session goes by.
func (a *Accepted) Terms() Terms { return a.terms }

// ServerSupported is what the server could have used: why the session has no better profile.
func (a *Accepted) ServerSupported() Profiles { return a.serverSupported }

// SessionID is the server's number for the session, part of its region's name.
func (a *Accepted) SessionID() uint64 { return a.sessionID }

// RefusalKind is why there is no session.
type RefusalKind uint8

const (
	// RefusalRejected: the server refused, and says why by its status.
	RefusalRejected RefusalKind = iota + 1
	// RefusalMalformed: the server's answer is not a HELLO_ACK as the contract wants it.
	RefusalMalformed
	// RefusalProfile: the selected profile is not exactly one bit that was offered.
	RefusalProfile
	// RefusalRequestLimits: the request limits are not those that were proposed.
	RefusalRequestLimits
	// RefusalPacketSize: the packet size is above the proposal, or too small for any payload.
	RefusalPacketSize
)

// Refusal says why there is no session; the last three kinds are the server's fault: it granted
// something else than was proposed.
type Refusal struct {
	// Kind is why.
	Kind RefusalKind
	// Status is the server's, when it rejected the session.
	Status Status
	// Err is the [DecodeError] of a malformed answer.
	Err error
	// Proposed and Granted are the fields that disagree.
	Proposed, Granted struct {
		// Profiles are those offered or selected.
		Profiles Profiles
		// Request are the limits of requests.
		Request Limits
		// PacketSize is in bytes.
		PacketSize uint32
	}
}

func (r *Refusal) Error() string {
	const contradiction = "the server's HELLO_ACK does not answer the proposal: "
	switch r.Kind {
	case RefusalRejected:
		return fmt.Sprintf("the server refused the session: %v%s", r.Status, refusalCause(r.Status))
	case RefusalMalformed:
		return fmt.Sprintf("malformed HELLO_ACK: %v", r.Err)
	case RefusalProfile:
		return fmt.Sprintf(contradiction+"it selects profile %v, offered were %v",
			r.Granted.Profiles, r.Proposed.Profiles)
	case RefusalRequestLimits:
		return fmt.Sprintf(
			contradiction+"it grants requests of %d bytes and %d items, proposed were %d and %d",
			r.Granted.Request.PayloadBytes, r.Granted.Request.BatchItems,
			r.Proposed.Request.PayloadBytes, r.Proposed.Request.BatchItems)
	default:
		return fmt.Sprintf(contradiction+"it grants packets of %d bytes, proposed were %d",
			r.Granted.PacketSize, r.Proposed.PacketSize)
	}
}

// Unwrap is the [DecodeError] of a malformed answer.
func (r *Refusal) Unwrap() error { return r.Err }

// Is makes errors.Is find [ErrContract] in every refusal that is the server's fault.
func (r *Refusal) Is(target error) bool {
	return target == ErrContract && r.Kind != RefusalRejected
}

// Met is what the refusal is to [Retry].
func (r *Refusal) Met() Met {
	if r.Kind == RefusalRejected {
		return Met{What: MetRejected, Status: r.Status}
	}
	return Met{What: MetBadAnswer}
}

// refusalCause is what a status means in answer to HELLO, and what helps; nothing for those it does not
// have there.
func refusalCause(status Status) string {
	switch status {
	case StatusBadEnvelope:
		return ": it finds HELLO malformed"
	case StatusAuthFailed:
		return ": another token, or a user that it does not admit"
	case StatusIncompatible:
		return ": another version of the contract, or a packet size too small"
	case StatusUnsupported:
		return ": no profile in common"
	case StatusLimitExceeded:
		return ": it takes no requests as long as proposed"
	case StatusBusy:
		return ": it has all the sessions that it may have; try later"
	}
	return ""
}

// CheckReply judges the answer to proposal. message is one whole packet as received. After a refusal
// the connection is closed, and [Retry] says what comes then.
func CheckReply(proposal *Hello, message []byte) (Accepted, *Refusal) {
	ack, refusal := decodeReply(message)
	if refusal != nil {
		return Accepted{}, refusal
	}
	refusal = &Refusal{}
	refusal.Proposed.Profiles, refusal.Granted.Profiles = proposal.Supported, ack.Selected
	refusal.Proposed.Request, refusal.Granted.Request = proposal.Request, ack.Request
	refusal.Proposed.PacketSize, refusal.Granted.PacketSize = proposal.PacketSize, ack.PacketSize

	profile, ok := ack.Selected.Single()
	if !ok || !proposal.Supported.Contains(ack.Selected) {
		refusal.Kind = RefusalProfile
		return Accepted{}, refusal
	}
	if ack.Request != proposal.Request {
		refusal.Kind = RefusalRequestLimits
		return Accepted{}, refusal
	}
	packetSize, ok := NewPacketSize(ack.PacketSize)
	if !ok || ack.PacketSize > proposal.PacketSize {
		refusal.Kind = RefusalPacketSize
		return Accepted{}, refusal
	}
	return Accepted{
		terms: Terms{
			Profile: profile, Request: ack.Request, Response: ack.Response, PacketSize: packetSize,
		},
		serverSupported: ack.ServerSupported,
		sessionID:       ack.SessionID,
	}, nil
}

func decodeReply(message []byte) (HelloAck, *Refusal) {
	header, err := DecodeHeader(message)
	if err == nil {
		err = header.CheckControl(OpcodeHelloAck)
	}
	if err != nil {
		return HelloAck{}, &Refusal{Kind: RefusalMalformed, Err: err}
	}
	if header.Status != StatusOK {
		return HelloAck{}, &Refusal{Kind: RefusalRejected, Status: header.Status}
	}
	payload, err := exactPayload(message, header.PayloadLen)
	if err != nil {
		return HelloAck{}, &Refusal{Kind: RefusalMalformed, Err: err}
	}
	ack, err := DecodeHelloAck(payload)
	if err != nil {
		return HelloAck{}, &Refusal{Kind: RefusalMalformed, Err: shifted(err, HeaderLen)}
	}
	return ack, nil
}
