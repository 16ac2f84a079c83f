//go:build linux

package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Where a region's header has what, for tests that play a hostile peer (spec section 7).
const (
	atRequestOffset = 16
	atReqSeq        = 32
	atRespSeq       = 40
	atReqLen        = 48
	atRespLen       = 52
)

// poke writes into a session's region, as a hostile peer would.
func poke(t *testing.T, dir string, at int64, value any) {
	t.Helper()
	names := regionsIn(t, dir)
	if len(names) != 1 {
		t.Fatal(names)
	}
	file, err := os.OpenFile(names[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var raw bytes.Buffer
	if err := binary.Write(&raw, binary.NativeEndian, value); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(raw.Bytes(), at); err != nil {
		t.Fatal(err)
	}
}

func TestSharedMemoryIsGoneWithItsSession(t *testing.T) {
	dir, client, server := sharedAt(t, sharedListener(), sharedProposal())
	names := regionsIn(t, dir)
	if len(names) != 1 {
		t.Fatal(names)
	}
	if info, err := os.Stat(names[0]); err != nil || info.Mode() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	done := make(chan error)
	go func() {
		_, err := server.Receive(server.NewInbox(), Wait{})
		done <- err
	}()
	_ = client.Close()
	if err := <-done; err != ErrClosed {
		t.Fatal(err)
	}
	_ = server.Close()
	if names := regionsIn(t, dir); len(names) != 0 {
		t.Fatal(names)
	}
}

func TestAClientThatLeavesAnIdleSessionSaysBye(t *testing.T) {
	_, client, server := sharedAt(t, sharedListener(), sharedProposal())
	_ = client.Close()
	buffer := byteRoom(make([]byte, 100))
	n, err := server.region.channel.TryReceive(buffer)
	if err != nil || !isBye(buffer[:n]) {
		t.Fatalf("%x, %v", []byte(buffer[:n]), err)
	}
}

// byteRoom is room of a fixed length.
type byteRoom []byte

func (b byteRoom) Room(int) []byte { return b }

func TestAHostileClientEndsItsOwnSessionAlone(t *testing.T) {
	for name, hostile := range map[string]func(dir string, client *Session){
		"a number far ahead": func(dir string, _ *Session) { poke(t, dir, atReqSeq, uint64(1)<<62) },
		"a number behind":    func(dir string, _ *Session) { poke(t, dir, atReqSeq, ^uint64(0)) },
		"two at once":        func(dir string, _ *Session) { poke(t, dir, atReqSeq, uint64(2)) },
		"a number ahead of a message that is there": func(dir string, client *Session) {
			request := protocol.RequestHeader(1, 1, 1)
			_ = client.Send(&request, []byte("x"), Wait{})
			poke(t, dir, atReqSeq, uint64(2))
		},
		"a message of no bytes": func(dir string, _ *Session) { poke(t, dir, atReqSeq, uint64(1)) },
		"a message too long for its area": func(dir string, _ *Session) {
			poke(t, dir, atReqLen, uint32(1<<31))
			poke(t, dir, atReqSeq, uint64(1))
		},
		"a length without a message": func(dir string, _ *Session) {
			// One that fits the limits, were it true: the area is 4160 bytes.
			poke(t, dir, atReqLen, uint32(4161))
			poke(t, dir, atReqSeq, uint64(1))
		},
		"noise": func(_ string, client *Session) { _ = client.region.channel.Send(pattern(50), nil) },
		"a message shorter than its header says": func(_ string, client *Session) {
			header := protocol.RequestHeader(1, 1, 100)
			head := header.Encode()
			_ = client.region.channel.Send(head[:], pattern(99))
		},
		"a message longer than its header says": func(_ string, client *Session) {
			header := protocol.RequestHeader(1, 1, 100)
			head := header.Encode()
			_ = client.region.channel.Send(head[:], pattern(101))
		},
		"another control message": func(_ string, client *Session) {
			header := protocol.ControlHeader(protocol.OpcodeHello, 0, 0)
			head := header.Encode()
			_ = client.region.channel.Send(head[:], nil)
		},
		"a shorter file": func(dir string, _ *Session) {
			if err := os.Truncate(regionsIn(t, dir)[0], 0); err != nil {
				t.Error(err)
			}
		},
	} {
		dir, client, server := sharedAt(t, sharedListener(), sharedProposal())
		hostile(dir, client)
		_, err := server.Receive(server.NewInbox(), within(soon))
		if FaultOf(err) != FaultPeerBroke || strings.Contains(name, "length") && !is[*BreachError](err) {
			t.Errorf("%s: %v", name, err)
		}
		request := protocol.RequestHeader(3, 1, 0)
		response := protocol.ResponseHeader(&request, 0)
		if err := server.Send(&response, nil, within(soon)); err == nil {
			t.Errorf("%s: the session goes on", name)
		}
		client.region.over.Store(true)
	}
}

func TestAHostileServerEndsTheClientsSession(t *testing.T) {
	for name, hostile := range map[string]func(dir string, server *Session){
		"a number far ahead": func(dir string, _ *Session) { poke(t, dir, atRespSeq, uint64(9)) },
		"a message too long for its area": func(dir string, _ *Session) {
			poke(t, dir, atRespLen, ^uint32(0))
			poke(t, dir, atRespSeq, uint64(1))
		},
		"a farewell": func(_ string, server *Session) {
			header := protocol.ControlHeader(protocol.OpcodeBye, 0, 0)
			head := header.Encode()
			_ = server.region.channel.Send(head[:], nil)
		},
		"a shorter file": func(dir string, _ *Session) {
			if err := os.Truncate(regionsIn(t, dir)[0], 0); err != nil {
				t.Error(err)
			}
		},
	} {
		dir, client, server := sharedAt(t, sharedListener(), sharedProposal())
		hostile(dir, server)
		_, err := client.Receive(client.NewInbox(), within(soon))
		if FaultOf(err) != FaultPeerBroke {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSendingIntoAShorterFileIsAnError(t *testing.T) {
	dir, client, _ := sharedAt(t, sharedListener(), sharedProposal())
	if err := os.Truncate(regionsIn(t, dir)[0], 0); err != nil {
		t.Fatal(err)
	}
	request := protocol.RequestHeader(3, 1, 1)
	if err := client.Send(&request, []byte("x"), within(soon)); FaultOf(err) != FaultPeerBroke {
		t.Fatal(err)
	}
}

func TestARegionOfALiveServerIsSteppedOver(t *testing.T) {
	endpoint := newEndpoint(t)
	listener := listen(t, endpoint, sharedListener())
	path, err := protocol.RegionPath(endpoint.runDir, endpoint.service, 1)
	if err != nil {
		t.Fatal(err)
	}
	live, err := sys.CreateRegion(sys.RegionName{Path: path}, sys.RegionSizes{RequestBytes: 100, ResponseBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	proposal := sharedProposal()
	client, err := Connect(endpoint, &proposal, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if client.ID() != 2 || !client.Terms().Profile.IsSharedMemory() {
		t.Fatal(client.ID(), client.Terms())
	}
	server, err := listener.Accept(within(soon))
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
}

func TestStaleRegionsAreRemovedAndNothingElse(t *testing.T) {
	endpoint := newEndpoint(t)
	// Nobody's: it has no header.
	stale := filepath.Join(endpoint.RunDir(), "svc-00000000000000aa.ipcshm")
	kept := []string{"svc-00000000000000aa.ipcshmx", "svc-aa.ipcshm", "other-00000000000000aa.ipcshm", "precious"}
	for _, name := range append(kept, filepath.Base(stale)) {
		if err := os.WriteFile(filepath.Join(endpoint.RunDir(), name), make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(endpoint.RunDir(), "svc-00000000000000bb.ipcshm")
	if err := os.Symlink("precious", link); err != nil {
		t.Fatal(err)
	}
	listen(t, endpoint, sharedListener())
	if _, err := os.Lstat(stale); !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, name := range append(kept, filepath.Base(link)) {
		if _, err := os.Lstat(filepath.Join(endpoint.RunDir(), name)); err != nil {
			t.Error(err)
		}
	}
}

func TestAClientBelievesNothingOfItsRegion(t *testing.T) {
	for name, tamper := range map[string]func(path string) error{
		"a link": func(path string) error {
			if err := os.Rename(path, path+".moved"); err != nil {
				return err
			}
			return os.Symlink(path+".moved", path)
		},
		"a directory":   func(path string) error { _ = os.Remove(path); return os.Mkdir(path, 0o700) },
		"nothing":       os.Remove,
		"a short file":  func(path string) error { return os.Truncate(path, 10) },
		"a shorter one": func(path string) error { return os.Truncate(path, 4096) },
		"a magic":       tamperAt(0, uint32(1)),
		"a version":     tamperAt(4, uint16(2)),
		"a header":      tamperAt(6, uint16(128)),
		"an offset":     tamperAt(atRequestOffset, uint32(65)),
		"an early area": tamperAt(atRequestOffset, uint32(0)),
		"a late area":   tamperAt(atRequestOffset, ^uint32(63)),
		"no capacity":   tamperAt(20, uint32(0)),
		"another user":  anotherUsers,
		"a small area":  tamperAt(20, uint32(64)),
		"an odd area":   tamperAt(20, uint32(8191)),
		"an overlap":    tamperAt(24, uint32(64)),
		"a huge area":   tamperAt(28, ^uint32(63)),
	} {
		endpoint := newEndpoint(t)
		scripted(t, endpoint, func(channel *sys.PacketChannel) {
			path, _ := protocol.RegionPath(endpoint.runDir, endpoint.service, 1)
			made, err := sys.CreateRegion(sys.RegionName{Path: path}, sys.RegionSizes{RequestBytes: 4128, ResponseBytes: 1056})
			if err != nil {
				t.Error(err)
				return
			}
			defer made.Close()
			if err := tamper(path); err != nil {
				t.Error(name, err)
			}
			_, _ = recvRaw(channel)
			ack := protocol.HelloAck{
				ServerSupported: both, Intersection: both, Selected: protocol.ProfilesShmHybrid,
				Request:  protocol.Limits{PayloadBytes: 4096, BatchItems: 10},
				Response: protocol.Limits{PayloadBytes: 1024, BatchItems: 10}, PacketSize: 4096, SessionID: 1,
			}
			message := ack.Message()
			_ = channel.Send(message[:], nil, &Wait{})
			_, _ = recvRaw(channel)
			_ = os.RemoveAll(path)
		})
		proposal := sharedProposal()
		_, err := Connect(endpoint, &proposal, within(soon))
		var shared *SharedMemoryError
		if !errors.As(err, &shared) || !errors.Is(err, ErrShared) || shared.Vanished {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// anotherUsers gives the region to another user; who may not is told the same by a mode that forbids all.
func anotherUsers(path string) error {
	const anotherUID = 12345
	if os.Geteuid() != 0 {
		return os.Chmod(path, 0)
	}
	return os.Chown(path, anotherUID, -1)
}

func tamperAt(at int64, value any) func(string) error {
	return func(path string) error {
		var raw bytes.Buffer
		if err := binary.Write(&raw, binary.NativeEndian, value); err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.WriteAt(raw.Bytes(), at)
		return err
	}
}

func TestARegionThatVanishedWithItsServerIsToldApart(t *testing.T) {
	endpoint := newEndpoint(t)
	scripted(t, endpoint, func(channel *sys.PacketChannel) {
		_, _ = recvRaw(channel)
		ack := protocol.HelloAck{
			ServerSupported: both, Intersection: both, Selected: protocol.ProfilesShmHybrid,
			Request:  protocol.Limits{PayloadBytes: 4096, BatchItems: 10},
			Response: protocol.Limits{PayloadBytes: 1024, BatchItems: 10}, PacketSize: 4096, SessionID: 1,
		}
		message := ack.Message()
		_ = channel.Send(message[:], nil, &Wait{})
	})
	proposal := sharedProposal()
	_, err := Connect(endpoint, &proposal, within(soon))
	var shared *SharedMemoryError
	if !errors.As(err, &shared) || !shared.Vanished {
		t.Fatal(err)
	}
	if met, _ := MetBy(err); met.What != protocol.MetRegionVanished {
		t.Fatalf("%+v", met)
	}
}
