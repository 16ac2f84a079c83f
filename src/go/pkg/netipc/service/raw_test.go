package service_test

import (
	"encoding/binary"
	"syscall"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

// rawSocket is a peer that speaks packets, well or badly.
type rawSocket struct {
	fd         int
	packetSize uint32
}

func connectRaw(t testing.TB, endpoint service.Endpoint) *rawSocket {
	t.Helper()
	return connectRawWith(t, endpoint, 200_000)
}

func connectRawWith(t testing.TB, endpoint service.Endpoint, packetSize uint32) *rawSocket {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	socket := &rawSocket{fd: fd, packetSize: packetSize}
	t.Cleanup(socket.close)
	timeout := syscall.NsecToTimeval(patience.Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: endpoint.SocketPath()}); err != nil {
		t.Fatal(err)
	}
	hello := protocol.Hello{
		Supported: protocol.ProfilesBaseline, Request: protocol.Limits{PayloadBytes: 65_536, BatchItems: 1024},
		ResponseHint: protocol.Limits{PayloadBytes: 1024, BatchItems: 1}, PacketSize: packetSize,
	}
	message := hello.Message()
	socket.write(t, message[:])
	if _, refusal := protocol.CheckReply(&hello, socket.read(t)); refusal != nil {
		t.Fatal(refusal)
	}
	return socket
}

func (s *rawSocket) close() {
	if s.fd >= 0 {
		_ = syscall.Close(s.fd)
		s.fd = -1
	}
}

func (s *rawSocket) write(t testing.TB, packet []byte) {
	t.Helper()
	if err := syscall.Sendto(s.fd, packet, syscall.MSG_NOSIGNAL, nil); err != nil {
		t.Fatal(err)
	}
}

// send sends a message in one packet, whatever was agreed.
func (s *rawSocket) send(t testing.TB, header protocol.Header, payload []byte) {
	t.Helper()
	head := header.Encode()
	s.write(t, append(head[:], payload...))
}

// tryWrite sends a message if there is room for it, after a while.
func (s *rawSocket) tryWrite(t testing.TB, header protocol.Header, payload []byte) bool {
	t.Helper()
	soon := syscall.NsecToTimeval((300 * time.Millisecond).Nanoseconds())
	if err := syscall.SetsockoptTimeval(s.fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &soon); err != nil {
		t.Fatal(err)
	}
	head := header.Encode()
	err := syscall.Sendto(s.fd, append(head[:], payload...), syscall.MSG_NOSIGNAL, nil)
	if err != nil && err != syscall.EAGAIN {
		t.Fatal(err)
	}
	return err == nil
}

// read is the next packet; nil when the server closed.
func (s *rawSocket) read(t testing.TB) []byte {
	t.Helper()
	packet := make([]byte, 1<<20)
	for {
		length, _, err := syscall.Recvfrom(s.fd, packet, 0)
		switch err {
		case nil:
			if length == 0 {
				return nil
			}
			return packet[:length]
		case syscall.EINTR:
		case syscall.ECONNRESET:
		default:
			t.Fatal(err)
		}
	}
}

// number is the payload of an increment.
func number(value uint64) []byte { return binary.NativeEndian.AppendUint64(nil, value) }
