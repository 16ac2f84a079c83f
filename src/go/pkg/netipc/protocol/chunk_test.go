package protocol_test

import (
	"bytes"
	"errors"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	. "github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

func packetSize(t testing.TB, bytes uint32) PacketSize {
	t.Helper()
	size, ok := NewPacketSize(bytes)
	if !ok || size.Bytes() != bytes {
		t.Fatalf("no packet size of %d: %d", bytes, size.Bytes())
	}
	return size
}

func TestAPacketNeedsRoomForPayload(t *testing.T) {
	for _, bytes := range []uint32{0, 31, 32} {
		if _, ok := NewPacketSize(bytes); ok {
			t.Errorf("%d is taken", bytes)
		}
	}
	if room := packetSize(t, 33).Room(); room != 1 || MinPacketSize.Bytes() != 33 {
		t.Errorf("%d", room)
	}
}

func TestTheSharesOfAMessageSumUpAtEveryEdge(t *testing.T) {
	for _, c := range []struct{ bytes, payloadLen, packets uint32 }{
		{64, 0, 1}, {64, 31, 1}, {64, 32, 1}, {64, 33, 2}, {64, 64, 2}, {64, 65, 3}, {33, 5, 5},
	} {
		size := packetSize(t, c.bytes)
		if packets := size.PacketsOf(c.payloadLen); packets != c.packets {
			t.Errorf("%d packets of %d bytes, of %d", packets, c.bytes, c.payloadLen)
		}
		sum := uint32(0)
		for index := range c.packets {
			sum += size.ShareOf(c.payloadLen, index)
		}
		if sum != c.payloadLen || size.ShareOf(c.payloadLen, c.packets) != 0 {
			t.Errorf("they sum up to %d of %d", sum, c.payloadLen)
		}
	}
}

func TestTheLargestMessageDoesNotOverflow(t *testing.T) {
	const most = 1<<32 - 1
	size := MinPacketSize
	if size.PacketsOf(most) != most || size.ShareOf(most, most-1) != 1 || size.ShareOf(most, most) != 0 {
		t.Error("in packets of one byte")
	}
	size = packetSize(t, most)
	if size.PacketsOf(most) != 2 || size.ShareOf(most, 1) != 32 || size.ShareOf(most, 2) != 0 {
		t.Error("in the longest packets")
	}
	var tooLong MessageTooLongError
	_, err := NewSplit(RequestHeader(2, 5, MaxPayloadBytes+1), packetSize(t, 4096))
	if !errors.As(err, &tooLong) || tooLong.PayloadLen != most-31 {
		t.Error(err)
	}
	split, err := NewSplit(RequestHeader(2, 5, MaxPayloadBytes), packetSize(t, 1<<31))
	if err != nil {
		t.Fatal(err)
	}
	var head [HeaderLen]byte
	var end uint32
	for {
		_, to, ok := split.Next(&head)
		if !ok {
			break
		}
		end = to
	}
	if end != MaxPayloadBytes {
		t.Errorf("ends at %d", end)
	}
}

// incoming is a receiver of responses in packets of 64 bytes: 32 of header, 32 of payload.
func incoming(t testing.TB) Incoming {
	return Incoming{
		Direction: Responses, PacketSize: packetSize(t, 64),
		Limits: Limits{PayloadBytes: 1000, BatchItems: 4}, CeilingBytes: 1000,
	}
}

func response(payloadLen int) Header {
	request := RequestHeader(7, 42, 0)
	return ResponseHeader(&request, uint32(payloadLen))
}

func TestEveryMismatchOfAChunkEndsTheMessage(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789"), 10)
	sent := allPackets(t, response(len(payload)), payload, packetSize(t, 64))
	second, err := DecodeChunkHeader(sent[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*ChunkHeader)
		defect Defect
	}{
		{"id", func(c *ChunkHeader) { c.MessageID++ }, DefectChunkSequence},
		{"total", func(c *ChunkHeader) { c.TotalMessageLen++ }, DefectLength},
		{"index", func(c *ChunkHeader) { c.ChunkIndex = 2 }, DefectChunkSequence},
		{"index 0", func(c *ChunkHeader) { c.ChunkIndex = 0 }, DefectChunkSequence},
		{"count", func(c *ChunkHeader) { c.ChunkCount++ }, DefectCount},
		{"length", func(c *ChunkHeader) { c.ChunkPayloadLen-- }, DefectLength},
		{"empty", func(c *ChunkHeader) { c.ChunkPayloadLen = 0 }, DefectLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			reassembly := NewReassembly(incoming(t))
			accept(t, &reassembly, sent[0])
			changed := second
			c.change(&changed)
			head := changed.Encode()
			_, _, err := reassembly.Accept(append(head[:], sent[1][32:]...))
			wantDefect(t, err, c.defect)
			if reassembly.IsPartial() {
				t.Error("the half message is kept")
			}
		})
	}
	for name, c := range map[string]struct {
		packet []byte
		defect Defect
	}{
		"shorter than declared": {sent[1][:63], DefectTruncated},
		"longer than declared":  {append(bytes.Clone(sent[1]), 0), DefectTrailing},
		"another message":       {sent[0], DefectMagic},
		"nothing":               {nil, DefectTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			reassembly := NewReassembly(incoming(t))
			accept(t, &reassembly, sent[0])
			_, _, err := reassembly.Accept(c.packet)
			wantDefect(t, err, c.defect)
		})
	}
}

// accept feeds a packet after which more are to come.
func accept(t testing.TB, reassembly *Reassembly, packet []byte) {
	t.Helper()
	if _, whole, err := reassembly.Accept(packet); whole || err != nil {
		t.Fatalf("%v, %v", whole, err)
	}
}

func TestAFirstPacketIsExactlyAsLongAsItsShare(t *testing.T) {
	payload := make([]byte, 40)
	first := allPackets(t, response(40), payload, packetSize(t, 64))[0]
	for _, c := range []struct {
		packet []byte
		defect Defect
	}{
		{first[:63], DefectTruncated},
		{append(bytes.Clone(first), 0), DefectTrailing},
		{whole(response(1001), ""), DefectLimit},
	} {
		reassembly := NewReassembly(incoming(t))
		_, _, err := reassembly.Accept(c.packet)
		wantDefect(t, err, c.defect)
	}
}

func TestAMessageAboveTheCeilingIsNobodysFault(t *testing.T) {
	in := incoming(t)
	in.CeilingBytes = 99
	reassembly := NewReassembly(in)
	_, _, err := reassembly.Accept(allPackets(t, response(100), make([]byte, 100), in.PacketSize)[0])
	if !errors.Is(err, ErrAboveCeiling) || errors.Is(err, ErrContract) {
		t.Fatal(err)
	}
	var above AboveCeilingError
	if !errors.As(err, &above) || above != (AboveCeilingError{PayloadLen: 100, CeilingBytes: 99}) {
		t.Fatal(err)
	}
}

func TestMemoryGrowsByWhatArrivesAndIsKept(t *testing.T) {
	in := incoming(t)
	in.Limits.PayloadBytes, in.CeilingBytes = 1<<30, 1<<30
	reassembly := NewReassembly(in)
	accept(t, &reassembly, allPackets(t, response(1<<20), make([]byte, 1<<20), in.PacketSize)[0])
	if held := reassembly.HeldBytes(); held > 64 {
		t.Fatalf("a header that claims a megabyte makes it hold %d bytes", held)
	}
	reassembly = NewReassembly(in)
	payload := make([]byte, 1000)
	packets := allPackets(t, response(len(payload)), payload, in.PacketSize)
	receive := func() {
		for _, packet := range packets {
			if _, _, err := reassembly.Accept(packet); err != nil {
				t.Fatal(err)
			}
		}
	}
	receive()
	if held := reassembly.HeldBytes(); held != len(payload) {
		t.Fatalf("it holds %d bytes for %d", held, len(payload))
	}
	if allocations := testing.AllocsPerRun(10, receive); allocations != 0 {
		t.Fatalf("%v allocations a message", allocations)
	}
	if memory := reassembly.Exchange(nil); len(memory) != 1000 || reassembly.HeldBytes() != 0 {
		t.Fatal("the memory was not handed over")
	}
	accept(t, &reassembly, packets[0])
	if reassembly.Release(); reassembly.HeldBytes() == 0 || reassembly.Exchange(nil) != nil {
		t.Fatal("memory is given back in the midst of a message")
	}
}

func TestRandomMessagesInRandomPacketsComeOutWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		payload := make([]byte, random.IntN(5000))
		for i := range payload {
			payload[i] = byte(random.Uint32())
		}
		in := incoming(t)
		in.PacketSize = packetSize(t, 33+random.Uint32N(300))
		in.Limits.PayloadBytes, in.CeilingBytes = 5000, 5000
		reassembly := NewReassembly(in)
		packets := allPackets(t, response(len(payload)), payload, in.PacketSize)
		for i, packet := range packets {
			message, whole, err := reassembly.Accept(packet)
			if err != nil || whole != (i == len(packets)-1) {
				t.Fatalf("packet %d of %d: %v, %v", i, len(packets), whole, err)
			}
			if whole && !bytes.Equal(message.Payload, payload) {
				t.Fatal("another message came out")
			}
		}
	}
}

// What no chunk header could go on with is refused at its first packet: its total length has no 32-bit value.
func TestAMessageTooLongForItsChunksIsRefusedAtOnce(t *testing.T) {
	most := Limits{PayloadBytes: math.MaxUint32, BatchItems: 1}
	reassembly := NewReassembly(Incoming{
		Direction: Requests, PacketSize: packetSize(t, 4096), Limits: most, CeilingBytes: math.MaxUint32,
	})
	header := RequestHeader(2, 5, MaxPayloadBytes+1)
	packet := header.Encode()
	_, _, err := reassembly.Accept(append(packet[:], make([]byte, 4096-HeaderLen)...))
	// Where an int does not count such a payload, that is why.
	want := error(DefectLength)
	if bits.UintSize < 64 {
		want = ErrAboveCeiling
	}
	if !errors.Is(err, want) {
		t.Fatal(err)
	}
	if reassembly.HeldBytes() != 0 {
		t.Fatal("it holds memory for it")
	}
}
