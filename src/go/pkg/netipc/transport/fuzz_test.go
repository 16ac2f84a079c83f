//go:build linux

package transport

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// script cuts fuzzed bytes into a hostile peer's steps: a length in two bytes, and so many bytes.
func script(data []byte) (steps [][]byte) {
	const most = 64
	for len(data) >= 2 && len(steps) < most {
		length := min(int(binary.LittleEndian.Uint16(data)), len(data)-2)
		steps = append(steps, data[2:2+length])
		data = data[2+length:]
	}
	return steps
}

func scripted16(steps ...[]byte) (data []byte) {
	for _, step := range steps {
		data = append(binary.LittleEndian.AppendUint16(data, uint16(len(step))), step...)
	}
	return data
}

// judgedReceive receives until an error, and fails on what a peer must not cause.
func judgedReceive(t *testing.T, session *Session) {
	t.Helper()
	inbox := session.NewInbox()
	for {
		message, ok, err := session.TryReceive(inbox)
		if err != nil {
			if fault := FaultOf(err); fault != FaultPeerBroke && !errors.Is(err, ErrClosed) {
				t.Fatalf("%v is the fault of %v", err, fault)
			}
			if _, _, again := session.TryReceive(inbox); again == nil {
				t.Fatal("the session goes on after", err)
			}
			return
		}
		if !ok {
			return
		}
		if uint32(len(message.Payload)) != message.Header.PayloadLen ||
			message.Header.CheckRequest(&session.Terms().Request) != nil {
			t.Fatalf("%+v was let through", message.Header)
		}
	}
}

func FuzzPacketsOfAClient(f *testing.F) {
	header := protocol.RequestHeader(1, 1, 100)
	whole := header.Encode()
	chunk := protocol.ChunkHeader{MessageID: 1, TotalMessageLen: 132, ChunkIndex: 1, ChunkCount: 4, ChunkPayloadLen: 32}
	second := chunk.Encode()
	f.Add(scripted16(append(whole[:], pattern(32)...), append(second[:], pattern(32)...)))
	short := protocol.RequestHeader(1, 1, 8)
	one := short.Encode()
	f.Add(scripted16(append(one[:], pattern(8)...), []byte("noise")))
	f.Fuzz(func(t *testing.T, data []byte) {
		client, server := pair(t, wideListener(), Proposal{
			Request: protocol.Limits{PayloadBytes: 200, BatchItems: 2}, PacketSize: 64,
		})
		for _, packet := range script(data) {
			if len(packet) == 0 {
				continue
			}
			if _, err := client.socket.channel.TrySend(packet, nil); err != nil {
				t.Fatal(err)
			}
			judgedReceive(t, server)
		}
		_, _ = client.Close(), server.Close()
	})
}

func FuzzHelloOfAClient(f *testing.F) {
	hello := goodHello()
	message := hello.Message()
	f.Add(message[:])
	for _, bad := range badHellos() {
		f.Add(bad.packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) == 0 || len(packet) > 100_000 {
			return
		}
		endpoint := newEndpoint(t)
		listener := listen(t, endpoint, ListenerConfig{AuthToken: 7})
		channel := rawClient(t, endpoint)
		if _, err := channel.TrySend(packet, nil); err != nil {
			t.Fatal(err)
		}
		answer, err := recvRaw(channel)
		if err != nil {
			t.Fatal(err)
		}
		header, err := protocol.DecodeHeader(answer)
		if err != nil || header.CheckControl(protocol.OpcodeHelloAck) != nil || len(answer) != protocol.HelloAckMessageLen {
			t.Fatalf("answered %x", answer)
		}
		counts := listener.Counts()
		if (header.Status == protocol.StatusOK) != (counts.Sessions == 1) {
			t.Fatalf("%v, %+v", header.Status, counts)
		}
		_, _ = channel.Close(), listener.Close()
	})
}

// FuzzRegionOfAClient lets a client write anything anywhere into a region between its messages.
func FuzzRegionOfAClient(f *testing.F) {
	header := protocol.RequestHeader(1, 1, 8)
	head := header.Encode()
	f.Add(scripted16(append([]byte{64, 0}, head[:]...), []byte{32, 0, 1}, []byte{48, 0, 40}, []byte{32, 0, 2}))
	f.Add(scripted16([]byte{32, 0, 1}, []byte{40, 0, 9}, []byte{48, 0, 0xff, 0xff, 0xff, 0xff}))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir, client, server := sharedAt(t, sharedListener(), sharedProposal())
		file, err := os.OpenFile(regionsIn(t, dir)[0], os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		request := protocol.RequestHeader(1, 1, 0)
		answer := protocol.ResponseHeader(&request, 0)
		for _, step := range script(data) {
			if len(step) < 2 {
				continue
			}
			at := int64(binary.LittleEndian.Uint16(step)) % info.Size()
			// The file keeps its length: a fault is another test's.
			room := min(int64(len(step)-2), info.Size()-at)
			if _, err := file.WriteAt(step[2:2+room], at); err != nil {
				t.Fatal(err)
			}
			judgedReceive(t, server)
			_ = server.Send(&answer, nil, Wait{})
			_, _, _ = client.TryReceive(client.NewInbox())
		}
		client.region.over.Store(true)
		_, _ = client.Close(), server.Close()
		if left := regionsIn(t, dir); len(left) != 0 {
			t.Fatal(left)
		}
	})
}

// FuzzRegionHeader lets a server tell anything of its region.
func FuzzRegionHeader(f *testing.F) {
	f.Add(make([]byte, 64), uint32(8192))
	f.Add([]byte("MHSN\x03\x00\x40\x00"), uint32(64))
	f.Fuzz(func(t *testing.T, header []byte, length uint32) {
		const most = 1 << 16
		endpoint := newEndpoint(t)
		path, err := protocol.RegionPath(endpoint.runDir, endpoint.service, 1)
		if err != nil {
			t.Fatal(err)
		}
		file := make([]byte, length%most)
		copy(file, header)
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		socket, err := sys.Bind(endpoint.socket, &sys.BindOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		channel := rawClient(t, endpoint)
		attached, err := sys.AttachRegion(sys.RegionName{Path: path}, sys.RegionSizes{RequestBytes: 100, ResponseBytes: 100},
			sys.OwnUID(), channel, &Wait{Deadline: After(0)})
		if err != nil {
			return
		}
		if attached.Bytes() > uint64(len(file)) {
			t.Fatalf("%d bytes of %d are used", attached.Bytes(), len(file))
		}
		_ = attached.Send(pattern(64), pattern(64))
		_, _ = attached.TryReceive(byteRoom(make([]byte, 100)))
		attached.Close()
	})
}
