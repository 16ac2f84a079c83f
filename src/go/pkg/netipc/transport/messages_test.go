//go:build linux || windows

package transport

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// wide are limits that hold long messages and batches.
var wide = protocol.Limits{PayloadBytes: 1 << 20, BatchItems: 100}

func wideListener() ListenerConfig {
	return ListenerConfig{MaxRequestPayloadBytes: wide.PayloadBytes, ResponsePayloadBytes: wide.PayloadBytes}
}

func pattern(length int) []byte {
	payload := make([]byte, length)
	for i := range payload {
		payload[i] = byte(i * 31)
	}
	return payload
}

func send(t *testing.T, session *Session, header protocol.Header, payload []byte) {
	t.Helper()
	if err := session.Send(&header, payload, within(soon)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, session *Session, inbox *Inbox) protocol.Message {
	t.Helper()
	message, err := session.Receive(inbox, within(soon))
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func TestCallsGoBackAndForth(t *testing.T) {
	client, server := pair(t, ListenerConfig{}, Proposal{})
	done := make(chan error, 1)
	go func() { done <- increment(server, nil) }()
	calls := newCounter(client)
	for range 1000 {
		if err := calls.call(within(soon)); err != nil {
			t.Fatal(err)
		}
	}
	_ = client.Close()
	if err := <-done; err != ErrClosed {
		t.Fatalf("the server's side ended with %v", err)
	}
}

func TestMessagesOfEveryLengthArriveWhole(t *testing.T) {
	for _, packetSize := range []uint32{0, 33, 64, 4096} {
		client, server := pair(t, wideListener(), Proposal{Request: wide, PacketSize: packetSize})
		inbox := server.NewInbox()
		lengths := []int{0, 1, 31, 32, 33, 64, 65, 1000, 4064, 4065}
		switch packetSize {
		case 33:
		case 64:
			lengths = append(lengths, 100_000)
		default:
			lengths = append(lengths, 300_000, 1<<20)
		}
		for id, length := range lengths {
			payload := pattern(length)
			sent := make(chan error, 1)
			go func() {
				header := protocol.RequestHeader(3, uint64(id), uint32(length))
				sent <- client.Send(&header, payload, within(soon))
			}()
			message := receive(t, server, inbox)
			if message.Header.MessageID != uint64(id) || !bytes.Equal(message.Payload, payload) {
				t.Fatalf("%d bytes in packets of %d did not arrive", length, packetSize)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			if again, ok := inbox.Message(); !ok || !bytes.Equal(again.Payload, payload) {
				t.Fatal("the message is gone")
			}
		}
	}
}

func TestMessagesOfManySendersLeaveWhole(t *testing.T) {
	const senders, messages = 8, 50
	client, server := pair(t, wideListener(), Proposal{Request: wide, PacketSize: 64})
	var w sync.WaitGroup
	for sender := range senders {
		w.Add(1)
		go func() {
			defer w.Done()
			payload := bytes.Repeat([]byte{byte(sender)}, 500)
			for id := range messages {
				header := protocol.RequestHeader(3, uint64(sender*messages+id), 500)
				if err := client.Send(&header, payload, within(soon)); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	inbox := server.NewInbox()
	for range senders * messages {
		message := receive(t, server, inbox)
		sender := byte(message.Header.MessageID / messages)
		if len(message.Payload) != 500 || bytes.Count(message.Payload, []byte{sender}) != 500 {
			t.Fatal("messages are mixed")
		}
	}
	w.Wait()
}

func TestNobodySendsWhatThePeerWouldRefuse(t *testing.T) {
	client, server := pair(t, ListenerConfig{}, Proposal{})
	limits := client.Terms().Request
	request := protocol.RequestHeader(1, 1, 8)
	for name, refused := range map[string]struct {
		header  protocol.Header
		payload int
		limit   bool
	}{
		"too long":         {protocol.RequestHeader(1, 1, limits.PayloadBytes+1), int(limits.PayloadBytes + 1), true},
		"too many":         {protocol.RequestHeader(1, 1, 8).BatchOf(limits.BatchItems + 1), 8, true},
		"another length":   {request, 9, false},
		"a response":       {protocol.ResponseHeader(&request, 8), 8, false},
		"no items":         {protocol.Header{Kind: protocol.KindRequest, PayloadLen: 8}, 8, false},
		"an unknown flag":  {protocol.Header{Kind: protocol.KindRequest, PayloadLen: 8, ItemCount: 1, Flags: 2}, 8, false},
		"a status":         {protocol.Header{Kind: protocol.KindRequest, PayloadLen: 8, ItemCount: 1, Status: 1}, 8, false},
		"a control of our": {protocol.ControlHeader(protocol.OpcodeBye, 0, 0), 0, false},
	} {
		err := client.Send(&refused.header, make([]byte, refused.payload), within(soon))
		var above *AboveLimitError
		var malformed *MalformedError
		if refused.limit != errors.As(err, &above) || refused.limit == errors.As(err, &malformed) {
			t.Errorf("%s: %v", name, err)
		}
		if FaultOf(err) != FaultCaller {
			t.Errorf("%s is the fault of %v", name, FaultOf(err))
		}
	}
	failure := protocol.FailureHeader(&request, protocol.StatusInternalError)
	failure.ItemCount = 2
	if err := server.Send(&failure, nil, within(soon)); FaultOf(err) != FaultCaller {
		t.Error(err)
	}
	if _, ok, err := server.TryReceive(server.NewInbox()); ok || err != nil {
		t.Fatal("something was sent:", ok, err)
	}
}

func TestAnInboxLendsAndHandsOverItsMemory(t *testing.T) {
	client, server := pair(t, wideListener(), Proposal{Request: wide, PacketSize: 1024})
	inbox := server.NewInbox()
	var buffer PacketBuffer
	if inbox.HandOver(&buffer) {
		t.Fatal("nothing was handed over")
	}
	var kept []*PacketBuffer
	for id, length := range []int{10, 5000, 20, 6000} {
		send(t, client, protocol.RequestHeader(3, uint64(id), uint32(length)), pattern(length))
		receive(t, server, inbox)
		buffer := new(PacketBuffer)
		if !inbox.HandOver(buffer) {
			t.Fatal("no message to hand over")
		}
		if _, ok := inbox.Message(); ok {
			t.Fatal("the message is in two places")
		}
		kept = append(kept, buffer)
	}
	for id, length := range []int{10, 5000, 20, 6000} {
		message, ok := kept[id].Message()
		if !ok || message.Header.MessageID != uint64(id) || !bytes.Equal(message.Payload, pattern(length)) {
			t.Fatalf("message %d was overwritten", id)
		}
	}
	inbox.Release()
	if inbox.HeldBytes() != 0 {
		t.Fatalf("%d bytes are held", inbox.HeldBytes())
	}
	inbox.ExchangeBuffer(kept[0])
	if inbox.HeldBytes() == 0 {
		t.Fatal("nothing was lent")
	}
	send(t, client, protocol.RequestHeader(3, 9, 4), pattern(4))
	if message := receive(t, server, inbox); message.Header.MessageID != 9 {
		t.Fatal(message)
	}
}

func TestTryReceiveKeepsAPartialMessage(t *testing.T) {
	client, server := pair(t, wideListener(), Proposal{Request: wide, PacketSize: 64})
	inbox := server.NewInbox()
	if _, ok, err := server.TryReceive(inbox); ok || err != nil {
		t.Fatal(ok, err)
	}
	var head [protocol.HeaderLen]byte
	packets, err := protocol.NewSplit(protocol.RequestHeader(3, 7, 100), client.Terms().PacketSize)
	if err != nil {
		t.Fatal(err)
	}
	payload := pattern(100)
	for n := 1; ; n++ {
		start, end, more := packets.Next(&head)
		if !more {
			break
		}
		if err := client.socket.channel.Send(head[:], payload[start:end], &Wait{}); err != nil {
			t.Fatal(err)
		}
		message, ok, err := server.TryReceive(inbox)
		last := uint32(n) == packets.PacketCount()
		if err != nil || ok != last || inbox.IsPartial() == last {
			t.Fatal(n, ok, err)
		}
		if ok && !bytes.Equal(message.Payload, payload) {
			t.Fatal("another message")
		}
	}
	// A peer that leaves in the midst has broken off.
	again, _ := protocol.NewSplit(protocol.RequestHeader(3, 8, 100), client.Terms().PacketSize)
	start, end, _ := again.Next(&head)
	_ = client.socket.channel.Send(head[:], payload[start:end], &Wait{})
	_ = client.Close()
	if _, err := server.Receive(inbox, within(soon)); err != ErrBrokenOff {
		t.Fatal(err)
	}
	if _, err := server.Receive(inbox, within(soon)); err != ErrEnded {
		t.Fatal(err)
	}
}

func TestAMessageThatIsNotGoneOnWithEndsTheSession(t *testing.T) {
	for name, receive := range map[string]func(*Session, *Inbox) error{
		"waiting": func(s *Session, in *Inbox) error { _, err := s.Receive(in, within(soon)); return err },
		"looking": func(s *Session, in *Inbox) error {
			for {
				if _, _, err := s.TryReceive(in); err != nil {
					return err
				}
			}
		},
	} {
		client, server := pair(t, wideListener(), Proposal{Request: wide, PacketSize: 64})
		inbox := server.NewInbox()
		header := protocol.RequestHeader(3, 7, 100)
		head := header.Encode()
		if err := client.socket.channel.Send(head[:], pattern(32), &Wait{}); err != nil {
			t.Fatal(err)
		}
		for !inbox.IsPartial() {
			if _, _, err := server.TryReceive(inbox); err != nil {
				t.Fatal(err)
			}
		}
		if left, _ := inbox.gapEnds.Remaining(); left > ChunkGapTimeout || left < ChunkGapTimeout/2 {
			t.Fatalf("%v are left", left)
		}
		// The rest is due at once, in place of a test that takes as long.
		inbox.gapEnds = After(20 * time.Millisecond)
		if err := receive(server, inbox); err != ErrChunkGap || FaultOf(err) != FaultPeerBroke {
			t.Fatal(name, err)
		}
		if _, err := server.Receive(inbox, within(soon)); err != ErrEnded {
			t.Fatal(name, err)
		}
	}
}

func TestADeadlineThatCutsAMessageEndsTheSession(t *testing.T) {
	client, _ := pair(t, wideListener(), Proposal{Request: wide, PacketSize: 4096})
	header := protocol.RequestHeader(3, 1, wide.PayloadBytes)
	payload := make([]byte, wide.PayloadBytes)
	start := time.Now()
	if err := client.Send(&header, payload, within(50*time.Millisecond)); err != ErrTimedOut {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Fatal(took)
	}
	if err := client.Send(&header, payload, within(soon)); err != ErrEnded {
		t.Fatal(err)
	}
}

func TestAPipelineMatchesAnswersInAnyOrder(t *testing.T) {
	client, server := pair(t, ListenerConfig{}, Proposal{})
	pipeline := NewPipeline[string](client, 3)
	for id, value := range []string{"a", "b", "c"} {
		header := protocol.RequestHeader(3, uint64(id), 1)
		if err := pipeline.Submit(&header, []byte(value), value, within(soon)); err != nil {
			t.Fatal(err)
		}
	}
	header := protocol.RequestHeader(3, 9, 1)
	if err := pipeline.Submit(&header, []byte("d"), "d", within(soon)); !errors.Is(err, ErrInFlight) {
		t.Fatal(err)
	}
	header.MessageID = 1
	if err := pipeline.Submit(&header, []byte("d"), "d", within(soon)); !errors.Is(err, ErrDuplicateID) {
		t.Fatal(err)
	}
	if pipeline.InFlight() != 3 {
		t.Fatalf("%d requests are in flight", pipeline.InFlight())
	}
	inbox := server.NewInbox()
	for range 3 {
		receive(t, server, inbox)
	}
	for _, id := range []uint64{2, 0, 1} {
		request := protocol.RequestHeader(3, id, 1)
		send(t, server, protocol.ResponseHeader(&request, 1), []byte{'A' + byte(id)})
		value, message, err := pipeline.Receive(within(soon))
		if err != nil || value != string('a'+rune(id)) || string(message.Payload) != string('A'+rune(id)) {
			t.Fatal(value, message, err)
		}
	}
	send(t, server, protocol.ResponseHeader(&header, 1), []byte("x"))
	var unknown *UnknownIDError
	if _, _, err := pipeline.Receive(within(soon)); !errors.As(err, &unknown) || FaultOf(err) != FaultPeerBroke {
		t.Fatal(err)
	}
	if _, _, err := pipeline.Receive(within(soon)); err != ErrEnded {
		t.Fatal(err)
	}
}

func TestWhatNobodyAnswersIsTakenOutOfAPipelineWhoseSessionEnded(t *testing.T) {
	client, server := pair(t, ListenerConfig{}, Proposal{})
	pipeline := NewPipeline[string](client, 3)
	for id, value := range []string{"a", "b"} {
		header := protocol.RequestHeader(3, uint64(id), 1)
		if err := pipeline.Submit(&header, []byte(value), value, Until(Never())); err != nil {
			t.Fatal(err)
		}
	}
	_ = server.Close()
	if _, _, err := pipeline.Receive(within(soon)); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	left := map[uint64]string{}
	pipeline.Abandon(func(id uint64, value string) { left[id] = value })
	if len(left) != 2 || left[0] != "a" || left[1] != "b" || pipeline.InFlight() != 0 {
		t.Errorf("%v was taken out, %d are left", left, pipeline.InFlight())
	}
}

func TestACallAllocatesNothing(t *testing.T) {
	client, server := pair(t, ListenerConfig{}, Proposal{})
	clientInbox, serverInbox := client.NewInbox(), server.NewInbox()
	payload := make([]byte, 8)
	var abort Abort
	wait := Wait{Deadline: After(soon), Abort: &abort, Done: make(chan struct{})}
	request := protocol.RequestHeader(1, 1, 8)
	response := protocol.ResponseHeader(&request, 8)
	allocated := testing.AllocsPerRun(500, func() {
		if err := client.Send(&request, payload, wait); err != nil {
			t.Error(err)
		}
		if _, err := server.Receive(serverInbox, wait); err != nil {
			t.Error(err)
		}
		if err := server.Send(&response, payload, wait); err != nil {
			t.Error(err)
		}
		if _, err := client.Receive(clientInbox, wait); err != nil {
			t.Error(err)
		}
	})
	if allocated != 0 {
		t.Fatalf("%v allocations", allocated)
	}
}
