//go:build linux || windows

package transport

import (
	"bytes"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Whole, in chunks, and as a failure without a payload: what lies in the inbox is what Message says.
func TestWhatIsReceivedInPlaceIsTheMessage(t *testing.T) {
	client, server := pair(t, wideListener(), Proposal{Request: wide, PacketSize: 4096})
	wait := within(soon)
	requests, answers := server.NewInbox(), client.NewInbox()
	if header, payload := requests.Received(); header != nil || payload != nil {
		t.Fatal("there is a message before the first")
	}
	for id, length := range []int{0, 8, 4064, 5000} {
		payload := pattern(length)
		request := protocol.RequestHeader(3, uint64(id), uint32(length))
		if err := client.SendWithin(&request, payload, &wait); err != nil {
			t.Fatal(err)
		}
		if err := server.ReceiveInPlace(requests, &wait); err != nil {
			t.Fatal(err)
		}
		header, got := requests.Received()
		message, _ := requests.Message()
		if header == nil || *header != request || message.Header != request {
			t.Fatalf("%+v arrived, %+v was sent", header, request)
		}
		if !bytes.Equal(got, payload) || !bytes.Equal(message.Payload, payload) {
			t.Fatalf("%d bytes did not arrive", length)
		}
	}
	failure := protocol.FailureHeader(&protocol.Header{Code: 3, MessageID: 3}, protocol.StatusUnsupported)
	if err := server.SendWithin(&failure, nil, &wait); err != nil {
		t.Fatal(err)
	}
	if err := client.ReceiveInPlace(answers, &wait); err != nil {
		t.Fatal(err)
	}
	if header, payload := answers.Received(); header == nil || *header != failure || payload != nil {
		t.Fatalf("%+v arrived, %+v was sent", header, failure)
	}
	_ = client.Close()
	if err := server.ReceiveInPlace(requests, &wait); err != ErrClosed {
		t.Fatal(err)
	}
	if header, _ := requests.Received(); header != nil {
		t.Fatalf("%+v is there after the end", header)
	}
}
