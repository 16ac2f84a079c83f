package protocol

// Direction is what a receiver waits for, which decides what it checks.
type Direction uint8

const (
	// Requests: a server waits for them.
	Requests Direction = iota
	// Responses: a client waits for them.
	Responses
)

// Message is a received message, checked for its direction (spec section 1). The payload of a response
// that is not OK is empty here, whatever the peer sent with it.
type Message struct {
	// Header was checked for the direction.
	Header Header
	// Payload is as long as the header says. For a batch, see [DecodeBatch].
	Payload []byte
}

// MessageInPacket opens a packet that is a whole message, of which this is the header, checked before.
func MessageInPacket(header Header, packet []byte) Message {
	return Message{Header: header, Payload: PayloadInPacket(&header, packet)}
}

// PayloadInPacket is the payload of a message that is a packet; nil where a failure has none.
func PayloadInPacket(header *Header, packet []byte) []byte {
	if header.Status != StatusOK || uint64(len(packet)) < HeaderLen+uint64(header.PayloadLen) {
		return nil
	}
	end := HeaderLen + int(header.PayloadLen)
	return packet[HeaderLen:end:end]
}

// Header decodes and checks the header at the start of bytes (spec section 1): [DecodeHeader], then
// CheckRequest or CheckResponse.
func (d Direction) Header(bytes []byte, limits *Limits) (Header, error) {
	var header Header
	if err := d.header(bytes, limits, &header); err != nil {
		return Header{}, err
	}
	return header, nil
}

// header is Header in place.
func (d Direction) header(bytes []byte, limits *Limits, header *Header) error {
	if err := header.decode(bytes); err != nil {
		return err
	}
	if d == Requests {
		return header.CheckRequest(limits)
	}
	return header.CheckResponse(limits)
}

// Message opens bytes, which must be one whole message: what shared memory carries (spec section 7).
// Beside what Header finds, the defect is Truncated or Trailing when the payload is not exactly as long
// as the header says.
func (d Direction) Message(bytes []byte, limits *Limits) (Message, error) {
	header, err := d.Header(bytes, limits)
	if err != nil {
		return Message{}, err
	}
	if header.Status == StatusOK {
		if _, err := exactPayload(bytes, header.PayloadLen); err != nil {
			return Message{}, err
		}
	}
	return MessageInPacket(header, bytes), nil
}

// exactPayload is what follows the 32 bytes of a packet's header, which must be length bytes.
func exactPayload(packet []byte, length uint32) ([]byte, error) {
	if len(packet) < HeaderLen {
		return nil, NewDecodeError(DefectTruncated, len(packet))
	}
	payload := packet[HeaderLen:]
	if uint64(len(payload)) < uint64(length) {
		return nil, NewDecodeError(DefectTruncated, len(packet))
	}
	if uint64(len(payload)) > uint64(length) {
		return nil, NewDecodeError(DefectTrailing, HeaderLen+int(length))
	}
	return payload, nil
}
