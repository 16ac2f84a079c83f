package protocol_test

import (
	"bytes"
	"path"
	"slices"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/testkit"
	. "github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Every golden vector of the envelope: the fields given, the same bytes again, every bad one refused
// (payloads are tested where their codecs are).

// Widths of the integers of each layout, in bytes: what a big-endian host swaps.
var (
	headerWidths   = []int{4, 2, 2, 2, 2, 2, 2, 4, 4, 8}
	helloWidths    = []int{2, 2, 4, 4, 4, 4, 4, 4, 4, 8, 4}
	helloAckWidths = []int{2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 8}
	chunkWidths    = []int{4, 2, 2, 8, 4, 4, 4, 4}
)

// check tests the vectors of one layout: what decode makes of the bytes is what expected makes of the
// fields, and encode makes the bytes of it again.
func check[T comparable](
	t *testing.T, category string, widths []int, decode func([]byte) (T, error),
	expected func(testkit.Fields) T, encode func(T) []byte,
) {
	for _, vector := range testkit.Load(t, category) {
		t.Run(vector.Name, func(t *testing.T) {
			host := testkit.ToHost(vector.Bytes, widths...)
			decoded, err := decode(host)
			if (err == nil) != vector.Valid {
				t.Fatalf("valid is %v, decoded gives %v", vector.Valid, err)
			}
			if err != nil {
				return
			}
			if want := expected(vector.Fields); decoded != want {
				t.Fatalf("%+v, want %+v", decoded, want)
			}
			if again := encode(decoded); vector.Canonical && !bytes.Equal(again, host) {
				t.Fatalf("encodes to %x, want %x", again, host)
			}
		})
	}
}

func limits(t testing.TB, fields testkit.Fields, payload, items string) Limits {
	return Limits{PayloadBytes: fields.Uint32(t, payload), BatchItems: fields.Uint32(t, items)}
}

func profiles(t testing.TB, fields testkit.Fields, name string) Profiles {
	return Profiles(fields.Uint32(t, name))
}

func TestHeaderVectors(t *testing.T) {
	check(t, "header", headerWidths, DecodeHeader,
		func(f testkit.Fields) Header {
			return Header{
				Kind:       Kind(f.Uint(t, "kind")),
				Flags:      uint16(f.Uint(t, "flags")),
				Code:       uint16(f.Uint(t, "code")),
				Status:     Status(f.Uint(t, "status")),
				PayloadLen: f.Uint32(t, "plen"),
				ItemCount:  f.Uint32(t, "items"),
				MessageID:  f.Uint(t, "mid"),
			}
		},
		func(h Header) []byte { b := h.Encode(); return b[:] })
}

func TestHelloVectors(t *testing.T) {
	check(t, "hello", helloWidths, DecodeHello,
		func(f testkit.Fields) Hello {
			return Hello{
				Supported:    profiles(t, f, "sup"),
				Preferred:    profiles(t, f, "pref"),
				Request:      limits(t, f, "rq", "rqi"),
				ResponseHint: limits(t, f, "rs", "rsi"),
				AuthToken:    f.Uint(t, "tok"),
				PacketSize:   f.Uint32(t, "ps"),
			}
		},
		func(h Hello) []byte { b := h.Encode(); return b[:] })
}

func TestHelloAckVectors(t *testing.T) {
	check(t, "hello_ack", helloAckWidths, DecodeHelloAck,
		func(f testkit.Fields) HelloAck {
			return HelloAck{
				ServerSupported: profiles(t, f, "sup"),
				Intersection:    profiles(t, f, "inter"),
				Selected:        profiles(t, f, "sel"),
				Request:         limits(t, f, "rq", "rqi"),
				Response:        limits(t, f, "rs", "rsi"),
				PacketSize:      f.Uint32(t, "ps"),
				SessionID:       f.Uint(t, "sid"),
			}
		},
		func(a HelloAck) []byte { b := a.Encode(); return b[:] })
}

func TestChunkVectors(t *testing.T) {
	check(t, "chunk", chunkWidths, DecodeChunkHeader,
		func(f testkit.Fields) ChunkHeader {
			return ChunkHeader{
				MessageID:       f.Uint(t, "mid"),
				TotalMessageLen: f.Uint32(t, "total"),
				ChunkIndex:      f.Uint32(t, "idx"),
				ChunkCount:      f.Uint32(t, "cnt"),
				ChunkPayloadLen: f.Uint32(t, "plen"),
			}
		},
		func(c ChunkHeader) []byte { b := c.Encode(); return b[:] })
}

func TestBatchVectors(t *testing.T) {
	for _, vector := range testkit.Load(t, "batch") {
		t.Run(vector.Name, func(t *testing.T) {
			itemCount := vector.Entry.Uint32(t, "item_count")
			// No vector has more entries than bytes.
			entries := min(int(itemCount), len(vector.Bytes))
			payload := testkit.ToHost(vector.Bytes, slices.Repeat([]int{4}, entries*2)...)
			batch, err := DecodeBatch(payload, itemCount)
			if (err == nil) != vector.Valid {
				t.Fatalf("valid is %v, decoded gives %v", vector.Valid, err)
			}
			if err != nil {
				return
			}
			var builder BatchBuilder
			if err := builder.Begin(nil, itemCount, 1<<32-1); err != nil {
				t.Fatal(err)
			}
			texts := vector.Fields.Texts(t, "items")
			if batch.Len() != len(texts) {
				t.Fatalf("%d items, want %d", batch.Len(), len(texts))
			}
			for index, item := range batch.Items() {
				if want := testkit.Unhex(t, texts[index]); !bytes.Equal(item, want) {
					t.Fatalf("item %d is %x, want %x", index, item, want)
				}
				if err := builder.Push(item); err != nil {
					t.Fatal(err)
				}
			}
			again, err := builder.Finish()
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(again, payload) != vector.Canonical {
				t.Fatalf("canonical is %v, builds %x of %x", vector.Canonical, again, payload)
			}
		})
	}
}

// allPackets are the packets of a message, as they are sent.
func allPackets(t testing.TB, header Header, payload []byte, size PacketSize) [][]byte {
	t.Helper()
	split, err := NewSplit(header, size)
	if err != nil {
		t.Fatal(err)
	}
	packets := make([][]byte, 0, split.PacketCount())
	var head [HeaderLen]byte
	for {
		start, end, ok := split.Next(&head)
		if !ok {
			return packets
		}
		packets = append(packets, append(head[:len(head):len(head)], payload[start:end]...))
	}
}

func TestChunkedMessageVectors(t *testing.T) {
	var entries []testkit.Fields
	testkit.LoadJSON(t, "chunked_messages", &entries)
	for _, entry := range entries {
		t.Run(entry.Text(t, "name"), func(t *testing.T) {
			size, ok := NewPacketSize(entry.Uint32(t, "packet_size"))
			if !ok {
				t.Fatal("no such packet size")
			}
			payload := make([]byte, entry.Uint32(t, "payload_len"))
			for i := range payload {
				payload[i] = byte(i*7 + len(payload))
			}
			header := Header{
				Kind: Kind(entry.Uint(t, "kind")), Code: uint16(entry.Uint(t, "code")), ItemCount: 1,
				PayloadLen: uint32(len(payload)), MessageID: entry.Uint(t, "message_id"),
			}
			sent := allPackets(t, header, payload, size)
			lengths := entry.Uints(t, "packet_lengths")
			if len(sent) != len(lengths) {
				t.Fatalf("%d packets, want %d", len(sent), len(lengths))
			}
			for i, packet := range sent {
				if uint64(len(packet)) != lengths[i] {
					t.Fatalf("packet %d has %d bytes, want %d", i, len(packet), lengths[i])
				}
			}
			if entry.Has("packets") {
				for i, text := range entry.Texts(t, "packets") {
					widths := headerWidths
					if i > 0 {
						widths = chunkWidths
					}
					want := testkit.ToHost(testkit.Unhex(t, text), widths...)
					if !bytes.Equal(sent[i], want) {
						t.Fatalf("packet %d is %x, want %x", i, sent[i], want)
					}
				}
			}
			direction := Responses
			if header.Kind == KindRequest {
				direction = Requests
			}
			reassembly := NewReassembly(Incoming{
				Direction: direction, PacketSize: size,
				Limits:       Limits{PayloadBytes: header.PayloadLen, BatchItems: 1},
				CeilingBytes: header.PayloadLen,
			})
			for i, packet := range sent {
				message, whole, err := reassembly.Accept(packet)
				if err != nil || whole != (i == len(sent)-1) {
					t.Fatalf("packet %d of %d: %v, %v", i, len(sent), whole, err)
				}
				if whole && (message.Header != header || !bytes.Equal(message.Payload, payload)) {
					t.Fatalf("%+v came out", message.Header)
				}
			}
		})
	}
}

func TestNegotiationVectorsAreAnsweredByteForByte(t *testing.T) {
	peer := Peer{Admitted: true, CanOpenRegions: true, SessionFree: true}
	var entries []testkit.Fields
	testkit.LoadJSON(t, "negotiation", &entries)
	for _, entry := range entries {
		t.Run(entry.Text(t, "name"), func(t *testing.T) {
			server := entry.Object(t, "server")
			policy := Policy{
				Supported:              profiles(t, server, "sup"),
				Preferred:              profiles(t, server, "pref"),
				MaxRequestPayloadBytes: server.Uint32(t, "rq"),
				ResponsePayloadBytes:   server.Uint32(t, "rs"),
				AuthToken:              server.Uint(t, "tok"),
				PacketSize:             server.Uint32(t, "ps"),
			}
			hello := testkit.ToHost(entry.Bytes(t, "hello_message"), slices.Concat(headerWidths, helloWidths)...)
			want := testkit.ToHost(entry.Bytes(t, "reply_message"), slices.Concat(headerWidths, helloAckWidths)...)
			status := StatusOK
			var answer [HelloAckMessageLen]byte
			agreed, rejection := Negotiate(hello, &policy, peer)
			if rejection != nil {
				status, answer = rejection.Status(), rejection.Message()
			} else {
				answer = agreed.Message(server.Uint(t, "sid"))
			}
			if status != Status(entry.Uint(t, "status")) {
				t.Fatalf("%v: %v", status, rejection)
			}
			if !bytes.Equal(answer[:], want) {
				t.Fatalf("answers %x, want %x", answer, want)
			}
			if proposal, err := DecodeHello(hello[HeaderLen:]); err == nil {
				_, refusal := CheckReply(&proposal, want)
				if (refusal == nil) != (status == StatusOK) {
					t.Fatalf("the client says %v to %v", refusal, status)
				}
			}
		})
	}
}

func TestNameVectorsAreMadeByteForByte(t *testing.T) {
	var file testkit.Fields
	testkit.LoadJSON(t, "names", &file)
	for _, entry := range file.Objects(t, "names") {
		runDir := entry.Text(t, "run_dir")
		service, err := NewServiceName(entry.Text(t, "service"))
		if err != nil {
			t.Fatal(err)
		}
		sessionID := entry.Uint(t, "session_id")
		same := func(field string) func(string, error) {
			return func(name string, err error) {
				t.Helper()
				if want := entry.Text(t, field); err != nil || name != want {
					t.Fatalf("%s is %q, want %q: %v", field, name, want, err)
				}
			}
		}
		same("socket")(SocketPath(runDir, service, MaxSocketPathLen))
		same("region")(RegionPath(runDir, service, sessionID))
		same("pipe")(PipeName(runDir, service))
		if id, ok := RegionSessionID(service, path.Base(entry.Text(t, "region"))); !ok || id != sessionID {
			t.Fatalf("the region is session %d, %v", id, ok)
		}
		session := WindowsSession{
			RunDir: runDir, Service: service, AuthToken: entry.Uint(t, "auth_token"),
			Profile: ProfileShmHybrid, SessionID: sessionID,
		}
		for _, kind := range []ObjectKind{ObjectMapping, ObjectRequestEvent, ObjectResponseEvent} {
			same(string(kind))(session.ObjectName(kind))
		}
	}
	for _, name := range file.Texts(t, "refused_services") {
		if _, err := NewServiceName(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestTokenVectors(t *testing.T) {
	var entries []testkit.Fields
	testkit.LoadJSON(t, "token", &entries)
	for _, entry := range entries {
		uuid, err := ParseUUID(entry.Text(t, "uuid"))
		if err != nil || !bytes.Equal(uuid[:], entry.Bytes(t, "bytes")) {
			t.Fatalf("%x: %v", uuid, err)
		}
		if token := TokenFromSessionUUID(uuid); token != entry.Uint(t, "token") {
			t.Fatalf("%d, want %d", token, entry.Uint(t, "token"))
		}
	}
}
