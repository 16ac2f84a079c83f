package protocol

// HeaderLen is the length of the message header, in bytes.
const HeaderLen = 32

const (
	// Magic is the first field of every message.
	Magic uint32 = 0x4e495043
	// Version is the only version of the envelope.
	Version uint16 = 1
	// FlagBatch, in a header: the payload is a batch, with a directory (spec section 2).
	FlagBatch uint16 = 1
)

// Control opcodes: values of Header.Code in messages of [KindControl] (spec section 1).
const (
	// OpcodeHello is the client's first message.
	OpcodeHello uint16 = 1
	// OpcodeHelloAck is the server's answer to it.
	OpcodeHelloAck uint16 = 2
	// OpcodeBye, an extension: a client leaves an idle shared-memory session (spec section 7).
	OpcodeBye uint16 = 0x0100
	// OpcodeFirstExtensionProfile, an extension, is the first opcode that is only for sessions of an
	// extension profile.
	OpcodeFirstExtensionProfile uint16 = 0x0101
)

// Method codes: values of Header.Code in requests and responses (spec section 1).
const (
	// MethodIncrement is increment, a call.
	MethodIncrement uint16 = 1
	// MethodCgroupsSnapshot is cgroups-snapshot, a snapshot.
	MethodCgroupsSnapshot uint16 = 2
	// MethodStringReverse is string-reverse, a call.
	MethodStringReverse uint16 = 3
	// MethodCgroupsLookup is cgroups-lookup, a lookup.
	MethodCgroupsLookup uint16 = 4
	// MethodAppsLookup is apps-lookup, a lookup.
	MethodAppsLookup uint16 = 5
	// MethodFirstAdded, an extension, is the first code of the services that this project adds; those
	// from 6 up to it are kept free for peers in the field.
	MethodFirstAdded uint16 = 0x0100
)

// Kind is what a message is (spec section 1).
type Kind uint16

const (
	// KindRequest goes from client to server.
	KindRequest Kind = 1
	// KindResponse goes from server to client.
	KindResponse Kind = 2
	// KindControl is the handshake, and [OpcodeBye].
	KindControl Kind = 3
)

// Limits are those of one direction of a session, as agreed in the handshake (spec section 4).
type Limits struct {
	// PayloadBytes is the longest payload of a message, in bytes, the directory of a batch included.
	PayloadBytes uint32
	// BatchItems is the most items of a batch.
	BatchItems uint32
}

// Header is a decoded message header (spec section 1).
//
// [DecodeHeader] looks at structure alone. What else a receiver must check depends on who it is and
// what it waits for: CheckRequest, CheckResponse, CheckControl.
type Header struct {
	// MessageID is chosen by the client and echoed in the response; 0 in control messages.
	MessageID uint64
	// PayloadLen counts the bytes of the whole message after this header.
	PayloadLen uint32
	// ItemCount is 1, or the number of items of a batch.
	ItemCount uint32
	// Kind is what the message is.
	Kind Kind
	// Flags is [FlagBatch] or 0. Decoding keeps undefined bits; the checks refuse them.
	Flags uint16
	// Code is the method code, or control opcode.
	Code uint16
	// Status is [StatusOK] in requests.
	Status Status
}

// Where the fields of a header are, in bytes from the start of the message.
// headerWord is version and length as they stand one after the other.
var headerWord = word(uint64(Version), HeaderLen, 16)

const (
	offMagic      = 0
	offVersion    = 4
	offHeaderLen  = 6
	offKind       = 8
	offFlags      = 10
	offCode       = 12
	offStatus     = 14
	offPayloadLen = 16
	offItemCount  = 20
	offMessageID  = 24
)

// RequestHeader is the header of a request with one item.
func RequestHeader(code uint16, messageID uint64, payloadLen uint32) Header {
	return Header{Kind: KindRequest, Code: code, PayloadLen: payloadLen, ItemCount: 1, MessageID: messageID}
}

// ResponseHeader is the header of the answer to request, in kind: a batch is answered by a batch of as
// many items (spec section 2).
func ResponseHeader(request *Header, payloadLen uint32) Header {
	answer := *request
	answer.Kind, answer.Status, answer.PayloadLen = KindResponse, StatusOK, payloadLen
	return answer
}

// FailureHeader is the header of an answer to request that is not OK: empty payload, one item, no
// BATCH flag (spec section 1).
func FailureHeader(request *Header, status Status) Header {
	return Header{
		Kind: KindResponse, Code: request.Code, Status: status, ItemCount: 1, MessageID: request.MessageID,
	}
}

// ControlHeader is the header of a control message with payloadLen bytes after it.
func ControlHeader(opcode uint16, status Status, payloadLen uint32) Header {
	return Header{Kind: KindControl, Code: opcode, Status: status, PayloadLen: payloadLen, ItemCount: 1}
}

// BatchOf is this header, marked as that of a batch of itemCount items.
func (h Header) BatchOf(itemCount uint32) Header {
	h.Flags, h.ItemCount = FlagBatch, itemCount
	return h
}

// IsBatch tells whether the BATCH flag is set.
func (h *Header) IsBatch() bool { return h.Flags&FlagBatch != 0 }

// DecodeHeader reads the header from the start of message; bytes after it are not looked at. The
// defects are Truncated, Magic, Version, HeaderLen and Kind; every other rule is for the Check
// methods.
func DecodeHeader(message []byte) (Header, error) {
	var header Header
	if err := header.decode(message); err != nil {
		return Header{}, err
	}
	return header, nil
}

// decode is DecodeHeader in place: a header is more than the compiler keeps in registers. What is there after an
// error means nothing.
func (h *Header) decode(message []byte) error {
	if len(message) < HeaderLen {
		return NewDecodeError(DefectTruncated, len(message))
	}
	m := (*[HeaderLen]byte)(message)
	if order.Uint32(m[offMagic:]) != Magic {
		return NewDecodeError(DefectMagic, offMagic)
	}
	if order.Uint16(m[offVersion:]) != Version {
		return NewDecodeError(DefectVersion, offVersion)
	}
	if order.Uint16(m[offHeaderLen:]) != HeaderLen {
		return NewDecodeError(DefectHeaderLen, offHeaderLen)
	}
	kind := Kind(order.Uint16(m[offKind:]))
	if kind < KindRequest || kind > KindControl {
		return NewDecodeError(DefectKind, offKind)
	}
	h.MessageID = order.Uint64(m[offMessageID:])
	h.PayloadLen = order.Uint32(m[offPayloadLen:])
	h.ItemCount = order.Uint32(m[offItemCount:])
	h.Kind = kind
	h.Flags = order.Uint16(m[offFlags:])
	h.Code = order.Uint16(m[offCode:])
	h.Status = Status(order.Uint16(m[offStatus:]))
	return nil
}

// Put writes the 32 bytes of this header.
func (h *Header) Put(to *[HeaderLen]byte) {
	// Whole words: what is written in parts and read whole a moment later keeps the reader waiting.
	order.PutUint64(to[offMagic:], word(uint64(Magic), headerWord, 32))
	order.PutUint64(to[offKind:], word(
		word(uint64(h.Kind), uint64(h.Flags), 16), word(uint64(h.Code), uint64(h.Status), 16), 32))
	order.PutUint64(to[offPayloadLen:], word(uint64(h.PayloadLen), uint64(h.ItemCount), 32))
	order.PutUint64(to[offMessageID:], h.MessageID)
}

// Encode is the 32 bytes of this header.
func (h *Header) Encode() [HeaderLen]byte {
	var bytes [HeaderLen]byte
	h.Put(&bytes)
	return bytes
}

// CheckRequest is what a server checks in a request beyond structure (spec section 1). Any violation
// ends the session. [DefectLimit] alone is answered with [StatusLimitExceeded] first; it is given
// only when nothing else is wrong.
func (h *Header) CheckRequest(limits *Limits) error {
	if h.Kind != KindRequest {
		return NewDecodeError(DefectKind, offKind)
	}
	if h.Status != StatusOK {
		return NewDecodeError(DefectStatus, offStatus)
	}
	return h.checkCounts(limits)
}

// CheckResponse is what a client checks in a response beyond structure (spec section 1). When its
// status is not OK, flags, item count and payload are not looked at: some peers leave those of the
// request in place. Whether the message id is in flight is for [InFlight]. Any violation ends the
// session.
func (h *Header) CheckResponse(limits *Limits) error {
	if h.Kind != KindResponse {
		return NewDecodeError(DefectKind, offKind)
	}
	if h.Status != StatusOK {
		return nil
	}
	return h.checkCounts(limits)
}

// CheckControl is what both sides check in a control message: its opcode, no flags, one item, message
// id 0 (spec sections 4 and 7). When the status is not OK, none but the opcode is looked at; whether a
// status may be there at all, and how long the payload is, depends on the opcode and is the caller's
// to judge. A message id that is not 0 is [DefectReserved].
func (h *Header) CheckControl(opcode uint16) error {
	if h.Kind != KindControl {
		return NewDecodeError(DefectKind, offKind)
	}
	if h.Code != opcode {
		return NewDecodeError(DefectCode, offCode)
	}
	if h.Status != StatusOK {
		return nil
	}
	if h.Flags != 0 {
		return NewDecodeError(DefectFlags, offFlags)
	}
	if h.ItemCount != 1 {
		return NewDecodeError(DefectCount, offItemCount)
	}
	if h.MessageID != 0 {
		return NewDecodeError(DefectReserved, offMessageID)
	}
	return nil
}

// IsBye tells whether this is the [OpcodeBye] that a client may send on a shared-memory session: no
// payload, status OK, message id 0, one item (spec section 7). Any other control message after the
// handshake is a violation.
func (h *Header) IsBye() bool {
	return h.Status == StatusOK && h.PayloadLen == 0 && h.CheckControl(OpcodeBye) == nil
}

// checkCounts looks at flags, item count and limits, in this order, so that [DefectLimit] means:
// nothing else is wrong.
func (h *Header) checkCounts(limits *Limits) error {
	if h.Flags&^FlagBatch != 0 {
		return NewDecodeError(DefectFlags, offFlags)
	}
	if h.ItemCount == 0 || h.ItemCount != 1 && !h.IsBatch() {
		return NewDecodeError(DefectCount, offItemCount)
	}
	if h.PayloadLen > limits.PayloadBytes {
		return NewDecodeError(DefectLimit, offPayloadLen)
	}
	if h.IsBatch() && h.ItemCount > limits.BatchItems {
		return NewDecodeError(DefectLimit, offItemCount)
	}
	return nil
}
