package protocol

import "fmt"

const (
	// HelloLen is the length of the HELLO payload, in bytes.
	HelloLen = 44
	// HelloAckLen is the length of the HELLO_ACK payload, in bytes.
	HelloAckLen = 48
	// HelloMessageLen is the length of a whole HELLO message, in bytes.
	HelloMessageLen = HeaderLen + HelloLen
	// HelloAckMessageLen is the length of a whole HELLO_ACK message, in bytes.
	HelloAckMessageLen = HeaderLen + HelloAckLen
	// MaxHandshakeMessageLen is the longest handshake message, in bytes (spec section 4): what a
	// receive buffer must hold, plus one byte to notice a longer one.
	MaxHandshakeMessageLen = 128
	// LayoutVersion is the layout_version of both payloads.
	LayoutVersion uint16 = 1
)

// Hello is what a client proposes (spec section 4): layout only. What the values mean, and which are
// refused, is for [Negotiate].
type Hello struct {
	// Supported are the profiles that the client can use.
	Supported Profiles
	// Preferred are those of them that it would rather use.
	Preferred Profiles
	// Request are the limits of its requests; granted as they are or not at all.
	Request Limits
	// ResponseHint are the limits of responses that it would like; servers go by their own.
	ResponseHint Limits
	// AuthToken is what both ends know. It is a secret: String and %v leave it out.
	AuthToken uint64
	// PacketSize is the longest packet that the client can send, in bytes, headers included.
	PacketSize uint32
}

// String shows all but the secret.
func (h Hello) String() string {
	return fmt.Sprintf("Hello{Supported: %v, Preferred: %v, Request: %+v, ResponseHint: %+v, "+
		"AuthToken: (secret), PacketSize: %d}",
		h.Supported, h.Preferred, h.Request, h.ResponseHint, h.PacketSize)
}

// GoString is String: %#v leaves the secret out too.
func (h Hello) GoString() string { return h.String() }

// HelloAck is what a server grants (spec section 4).
type HelloAck struct {
	// ServerSupported are the profiles that the server can use.
	ServerSupported Profiles
	// Intersection are the profiles that this session could have used.
	Intersection Profiles
	// Selected is the profile of this session: one bit.
	Selected Profiles
	// Request are the limits of requests: those of the proposal.
	Request Limits
	// Response are the limits of responses.
	Response Limits
	// PacketSize is the longest packet of this session, in bytes, headers included.
	PacketSize uint32
	// SessionID is 1, 2, … for the server's lifetime.
	SessionID uint64
}

// Where the fields of HELLO are, in bytes from the start of its payload; HELLO_ACK has its own below.
const (
	offHandshakeLayout = 0
	offHandshakeFlags  = 2

	offHelloSupported     = 4
	offHelloPreferred     = 8
	offHelloRequestBytes  = 12
	offHelloRequestItems  = 16
	offHelloResponseBytes = 20
	offHelloResponseItems = 24
	offHelloReserved      = 28
	offHelloToken         = 32
	offHelloPacketSize    = 40

	offAckSupported     = 4
	offAckIntersection  = 8
	offAckSelected      = 12
	offAckRequestBytes  = 16
	offAckRequestItems  = 20
	offAckResponseBytes = 24
	offAckResponseItems = 28
	offAckPacketSize    = 32
	offAckReserved      = 36
	offAckSessionID     = 40
)

// DecodeHello reads the payload of a HELLO message: exactly 44 bytes. The defects are Truncated,
// Trailing, Layout, Flags, Reserved, and ZeroLimit: none of the four limits may be 0.
func DecodeHello(payload []byte) (Hello, error) {
	if err := checkHandshake(payload, HelloLen, offHelloReserved); err != nil {
		return Hello{}, err
	}
	p := (*[HelloLen]byte)(payload)
	for at := offHelloRequestBytes; at <= offHelloResponseItems; at += 4 {
		if order.Uint32(p[at:]) == 0 {
			return Hello{}, NewDecodeError(DefectZeroLimit, at)
		}
	}
	return Hello{
		Supported: Profiles(order.Uint32(p[offHelloSupported:])),
		Preferred: Profiles(order.Uint32(p[offHelloPreferred:])),
		Request: Limits{
			PayloadBytes: order.Uint32(p[offHelloRequestBytes:]),
			BatchItems:   order.Uint32(p[offHelloRequestItems:]),
		},
		ResponseHint: Limits{
			PayloadBytes: order.Uint32(p[offHelloResponseBytes:]),
			BatchItems:   order.Uint32(p[offHelloResponseItems:]),
		},
		AuthToken:  order.Uint64(p[offHelloToken:]),
		PacketSize: order.Uint32(p[offHelloPacketSize:]),
	}, nil
}

// Encode is the 44 bytes of this payload. The limits are written as they are: a caller resolves zeros
// to defaults before (see [LimitsOrDefault]).
func (h *Hello) Encode() [HelloLen]byte {
	var p [HelloLen]byte
	order.PutUint16(p[offHandshakeLayout:], LayoutVersion)
	order.PutUint32(p[offHelloSupported:], uint32(h.Supported))
	order.PutUint32(p[offHelloPreferred:], uint32(h.Preferred))
	order.PutUint32(p[offHelloRequestBytes:], h.Request.PayloadBytes)
	order.PutUint32(p[offHelloRequestItems:], h.Request.BatchItems)
	order.PutUint32(p[offHelloResponseBytes:], h.ResponseHint.PayloadBytes)
	order.PutUint32(p[offHelloResponseItems:], h.ResponseHint.BatchItems)
	order.PutUint64(p[offHelloToken:], h.AuthToken)
	order.PutUint32(p[offHelloPacketSize:], h.PacketSize)
	return p
}

// Message is the whole message: the first that a client sends after connecting.
func (h *Hello) Message() [HelloMessageLen]byte {
	var message [HelloMessageLen]byte
	header := ControlHeader(OpcodeHello, StatusOK, HelloLen)
	header.Put((*[HeaderLen]byte)(message[:]))
	payload := h.Encode()
	copy(message[HeaderLen:], payload[:])
	return message
}

// DecodeHelloAck reads the payload of a HELLO_ACK message whose status is OK: exactly 48 bytes. (The
// payload of one that is not OK is not looked at.) The defects are Truncated, Trailing, Layout, Flags
// and Reserved.
func DecodeHelloAck(payload []byte) (HelloAck, error) {
	if err := checkHandshake(payload, HelloAckLen, offAckReserved); err != nil {
		return HelloAck{}, err
	}
	p := (*[HelloAckLen]byte)(payload)
	return HelloAck{
		ServerSupported: Profiles(order.Uint32(p[offAckSupported:])),
		Intersection:    Profiles(order.Uint32(p[offAckIntersection:])),
		Selected:        Profiles(order.Uint32(p[offAckSelected:])),
		Request: Limits{
			PayloadBytes: order.Uint32(p[offAckRequestBytes:]),
			BatchItems:   order.Uint32(p[offAckRequestItems:]),
		},
		Response: Limits{
			PayloadBytes: order.Uint32(p[offAckResponseBytes:]),
			BatchItems:   order.Uint32(p[offAckResponseItems:]),
		},
		PacketSize: order.Uint32(p[offAckPacketSize:]),
		SessionID:  order.Uint64(p[offAckSessionID:]),
	}, nil
}

// Encode is the 48 bytes of this payload.
func (a *HelloAck) Encode() [HelloAckLen]byte {
	var p [HelloAckLen]byte
	order.PutUint16(p[offHandshakeLayout:], LayoutVersion)
	order.PutUint32(p[offAckSupported:], uint32(a.ServerSupported))
	order.PutUint32(p[offAckIntersection:], uint32(a.Intersection))
	order.PutUint32(p[offAckSelected:], uint32(a.Selected))
	order.PutUint32(p[offAckRequestBytes:], a.Request.PayloadBytes)
	order.PutUint32(p[offAckRequestItems:], a.Request.BatchItems)
	order.PutUint32(p[offAckResponseBytes:], a.Response.PayloadBytes)
	order.PutUint32(p[offAckResponseItems:], a.Response.BatchItems)
	order.PutUint32(p[offAckPacketSize:], a.PacketSize)
	order.PutUint64(p[offAckSessionID:], a.SessionID)
	return p
}

// Message is the whole message of an accepted handshake.
func (a *HelloAck) Message() [HelloAckMessageLen]byte {
	return ackMessage(StatusOK, a.Encode())
}

// RejectionMessage is the whole message of a refused handshake: the status, and a payload of zeros but
// for its layout version (spec section 4).
func RejectionMessage(status Status) [HelloAckMessageLen]byte {
	var payload [HelloAckLen]byte
	order.PutUint16(payload[offHandshakeLayout:], LayoutVersion)
	return ackMessage(status, payload)
}

func ackMessage(status Status, payload [HelloAckLen]byte) [HelloAckMessageLen]byte {
	var message [HelloAckMessageLen]byte
	header := ControlHeader(OpcodeHelloAck, status, HelloAckLen)
	header.Put((*[HeaderLen]byte)(message[:]))
	copy(message[HeaderLen:], payload[:])
	return message
}

// checkHandshake checks what both payloads have in common. The version comes before the length: another
// version may well have another length, and is answered differently (spec section 4, step 1).
func checkHandshake(payload []byte, length, reserved int) error {
	if len(payload) < 2 {
		return NewDecodeError(DefectTruncated, len(payload))
	}
	if order.Uint16(payload[offHandshakeLayout:]) != LayoutVersion {
		return NewDecodeError(DefectLayout, offHandshakeLayout)
	}
	if len(payload) < length {
		return NewDecodeError(DefectTruncated, len(payload))
	}
	if len(payload) > length {
		return NewDecodeError(DefectTrailing, length)
	}
	if order.Uint16(payload[offHandshakeFlags:]) != 0 {
		return NewDecodeError(DefectFlags, offHandshakeFlags)
	}
	if order.Uint32(payload[reserved:]) != 0 {
		return NewDecodeError(DefectReserved, reserved)
	}
	return nil
}
