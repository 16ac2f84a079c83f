package protocol_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/testkit"
	. "github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// No bytes make a decoder panic, and what it takes is what the encoder writes.

// seed adds the golden vectors of a category, and every one of them with a byte more and a byte less.
func seed(f *testing.F, category string) {
	for _, vector := range testkit.LoadOwn(f, category) {
		f.Add(vector.Bytes)
		f.Add(append(bytes.Clone(vector.Bytes), 0))
		if len(vector.Bytes) > 0 {
			f.Add(vector.Bytes[:len(vector.Bytes)-1])
		}
	}
}

// refused tells whether err is a refusal, which must be the peer's fault.
func refused(t *testing.T, err error) bool {
	if err != nil && !errors.Is(err, ErrContract) {
		t.Fatalf("nobody's fault: %v", err)
	}
	return err != nil
}

func FuzzHeader(f *testing.F) {
	seed(f, "header")
	f.Fuzz(func(t *testing.T, message []byte) {
		header, err := DecodeHeader(message)
		if refused(t, err) {
			return
		}
		if again := header.Encode(); !bytes.Equal(again[:], message[:HeaderLen]) {
			t.Fatalf("%x of %x", again, message)
		}
		for _, direction := range []Direction{Requests, Responses} {
			opened, err := direction.Message(message, &testLimits)
			if !refused(t, err) && opened.Header.Status == StatusOK &&
				len(opened.Payload) != len(message)-HeaderLen {
				t.Fatalf("a payload of %d bytes in %d", len(opened.Payload), len(message))
			}
		}
	})
}

func FuzzHello(f *testing.F) {
	seed(f, "hello")
	f.Fuzz(func(t *testing.T, payload []byte) {
		hello, err := DecodeHello(payload)
		if refused(t, err) {
			return
		}
		if again := hello.Encode(); !bytes.Equal(again[:], payload) {
			t.Fatalf("%x of %x", again, payload)
		}
	})
}

func FuzzHelloAck(f *testing.F) {
	seed(f, "hello_ack")
	f.Fuzz(func(t *testing.T, payload []byte) {
		ack, err := DecodeHelloAck(payload)
		if refused(t, err) {
			return
		}
		if again := ack.Encode(); !bytes.Equal(again[:], payload) {
			t.Fatalf("%x of %x", again, payload)
		}
	})
}

func FuzzChunk(f *testing.F) {
	seed(f, "chunk")
	f.Fuzz(func(t *testing.T, packet []byte) {
		chunk, err := DecodeChunkHeader(packet)
		if refused(t, err) {
			return
		}
		if again := chunk.Encode(); !bytes.Equal(again[:], packet[:ChunkHeaderLen]) {
			t.Fatalf("%x of %x", again, packet)
		}
	})
}

func FuzzBatch(f *testing.F) {
	for _, vector := range testkit.LoadOwn(f, "batch") {
		f.Add(vector.Bytes, vector.Entry.Uint32(f, "item_count"))
	}
	f.Fuzz(func(t *testing.T, payload []byte, itemCount uint32) {
		batch, err := DecodeBatch(payload, itemCount)
		if refused(t, err) {
			return
		}
		total := 0
		for _, item := range batch.Items() {
			total += len(item)
		}
		if batch.Len() != int(itemCount) || total > batch.Len()*len(payload) {
			t.Fatalf("%d items of %d bytes in %d", batch.Len(), total, len(payload))
		}
	})
}

func FuzzHandshake(f *testing.F) {
	hello := testHello.Message()
	granted := agreed(f, testHello, testPeer)
	reply := granted.Message(1)
	f.Add(hello[:], reply[:])
	f.Fuzz(func(t *testing.T, hello, reply []byte) {
		if granted, rejection := Negotiate(hello, &testPolicy, testPeer); rejection == nil {
			// Whatever was accepted is a HELLO in canonical form.
			decoded, err := DecodeHello(hello[HeaderLen:])
			if err != nil || decoded.AuthToken != testPolicy.AuthToken ||
				granted.Terms().Request.PayloadBytes > testPolicy.MaxRequestPayloadBytes {
				t.Fatalf("%v: %+v", err, granted)
			}
			if again := decoded.Message(); !bytes.Equal(again[:], hello) {
				t.Fatalf("%x of %x", again, hello)
			}
		}
		if accepted, refusal := CheckReply(&testHello, reply); refusal == nil {
			terms := accepted.Terms()
			if !testHello.Supported.Contains(Profiles(terms.Profile)) || terms.Request != testHello.Request ||
				terms.PacketSize.Bytes() > testHello.PacketSize {
				t.Fatalf("%+v", terms)
			}
		}
	})
}

// FuzzReassembly feeds packets that are cut out of its input: a byte says how long the next one is.
func FuzzReassembly(f *testing.F) {
	payload := bytes.Repeat([]byte{1}, 100)
	var stream []byte
	for _, packet := range allPackets(f, response(len(payload)), payload, packetSize(f, 64)) {
		stream = append(append(stream, byte(len(packet))), packet...)
	}
	f.Add(stream)
	f.Fuzz(func(t *testing.T, stream []byte) {
		in := incoming(t)
		reassembly := NewReassembly(in)
		for len(stream) > 0 {
			length := min(int(stream[0]), len(stream)-1)
			packet := stream[1 : 1+length]
			stream = stream[1+length:]
			message, whole, err := reassembly.Accept(packet)
			if refused(t, err) {
				return
			}
			if whole && message.Header.Status == StatusOK && len(message.Payload) != int(message.Header.PayloadLen) {
				t.Fatalf("%d bytes, announced were %d", len(message.Payload), message.Header.PayloadLen)
			}
			if held := reassembly.HeldBytes(); held > int(in.CeilingBytes) {
				t.Fatalf("it holds %d bytes", held)
			}
		}
	})
}
