package service_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

// rawSocket is a peer that speaks packets, well or badly.
type rawSocket struct {
	channel    *sys.PacketChannel
	packetSize uint32
}

func connectRaw(t testing.TB, endpoint service.Endpoint) *rawSocket {
	t.Helper()
	return connectRawWith(t, endpoint, 200_000)
}

// connectRawWith proposes packets of this size, or the longest that there are.
func connectRawWith(t testing.TB, endpoint service.Endpoint, packetSize uint32) *rawSocket {
	t.Helper()
	channel, err := sys.Connect(endpoint.SocketPath(), rawWait(patience))
	if err != nil {
		t.Fatal(err)
	}
	socket := &rawSocket{channel: channel}
	t.Cleanup(socket.close)
	most, err := channel.MaxPacketSize()
	if err != nil {
		t.Fatal(err)
	}
	socket.packetSize = min(packetSize, uint32(most))
	hello := protocol.Hello{
		Supported: protocol.ProfilesBaseline, Request: protocol.Limits{PayloadBytes: 65_536, BatchItems: 1024},
		ResponseHint: protocol.Limits{PayloadBytes: 1024, BatchItems: 1}, PacketSize: socket.packetSize,
	}
	message := hello.Message()
	socket.write(t, message[:])
	if _, refusal := protocol.CheckReply(&hello, socket.read(t)); refusal != nil {
		t.Fatal(refusal)
	}
	return socket
}

func rawWait(timeout time.Duration) *sys.Wait { return &sys.Wait{Deadline: sys.After(timeout)} }

func (s *rawSocket) close() { _ = s.channel.Close() }

func (s *rawSocket) write(t testing.TB, packet []byte) {
	t.Helper()
	if err := s.channel.Send(packet, nil, rawWait(patience)); err != nil {
		t.Fatal(err)
	}
}

// send sends the first packet of a message, whatever was agreed: all of it, if that has room.
func (s *rawSocket) send(t testing.TB, header protocol.Header, payload []byte) {
	t.Helper()
	s.write(t, s.first(header, payload))
}

func (s *rawSocket) first(header protocol.Header, payload []byte) []byte {
	head := header.Encode()
	message := append(head[:], payload...)
	return message[:min(len(message), int(s.packetSize))]
}

// tryWrite sends a message if there is room for it, after a while.
func (s *rawSocket) tryWrite(t testing.TB, header protocol.Header, payload []byte) bool {
	t.Helper()
	err := s.channel.Send(s.first(header, payload), nil, rawWait(300*time.Millisecond))
	if err != nil && err != sys.ErrTimedOut {
		t.Fatal(err)
	}
	return err == nil
}

// read is the next packet; nil when the server closed.
func (s *rawSocket) read(t testing.TB) []byte {
	t.Helper()
	packet := make([]byte, 1<<20)
	length, err := s.channel.Recv(packet, rawWait(patience))
	switch err {
	case nil:
		return packet[:length]
	case sys.ErrClosed:
		return nil
	}
	t.Fatal(err)
	return nil
}

// number is the payload of an increment.
func number(value uint64) []byte { return binary.NativeEndian.AppendUint64(nil, value) }
