package service_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// textRequest is the payload of a string-reverse.
func textRequest(t testing.TB, text string) []byte {
	t.Helper()
	request := stringreverse.Request{Bytes: text}
	payload := make([]byte, request.EncodedLen())
	if _, err := request.Encode(payload); err != nil {
		t.Fatal(err)
	}
	return payload
}

// lastByte begins the text that a handler keeps until all of its kind were read.
const lastByte = 'L'

// textsOf is a string-reverse of this length that begins with lastByte, or so many of them as a batch whose last
// item does.
func textsOf(t testing.TB, id uint64, length int, items uint32) (protocol.Header, []byte) {
	t.Helper()
	text := bytes.Repeat([]byte{byte('a' + id)}, length/int(items))
	header := protocol.RequestHeader(stringreverse.Method, id, 0)
	if items == 1 {
		text[0] = lastByte
		body := textRequest(t, string(text))
		header.PayloadLen = uint32(len(body))
		return header, body
	}
	var batch protocol.BatchBuilder
	err := batch.Begin(nil, items, 1<<20)
	for item := range items {
		if item == items-1 {
			text[0] = lastByte
		}
		err = errors.Join(err, batch.Push(textRequest(t, string(text))))
	}
	body, failed := batch.Finish()
	if err = errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	header.PayloadLen = uint32(len(body))
	return header.BatchOf(items), body
}

// echoesOnceAllAreRead answers with the view itself, after as many texts of the last kind were read. It fails when
// its view does not stay.
func echoesOnceAllAreRead(requests int) stringreverse.Handler {
	var all sync.WaitGroup
	all.Add(requests)
	return func(_ *service.Context, request stringreverse.RequestView, response *stringreverse.ResponseBuilder) error {
		view := request.Bytes()
		before := bytes.Clone(view)
		if view[0] == lastByte {
			all.Done()
			all.Wait()
		} else {
			spin(20 * time.Microsecond)
		}
		if !bytes.Equal(view, before) || !bytes.Equal(request.Bytes(), before) {
			return errors.New("the request changed while its handler ran")
		}
		response.BytesBytes(view)
		return nil
	}
}

// A handler that takes long is left with its request, and another goroutine reads on, into the same inbox: that
// must not reach the views of those who are at work, whether their message came in one packet or in several, alone
// or in a batch that is split.
func TestAViewStaysWhileItsHandlerRunsWhateverIsReadMeanwhile(t *testing.T) {
	const requests = 8
	for _, c := range []struct {
		name   string
		length int
		items  uint32
	}{
		{"a packet", 100, 1}, {"several packets", 5_000, 1},
		{"a batch in a packet", 400, 40}, {"a batch in several packets", 5_000, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			endpoint := endpointOf(t, stringreverse.Service)
			server, err := stringreverse.NewServer(endpoint, service.ServerConfig{WorkerCount: requests},
				echoesOnceAllAreRead(requests))
			start(t, server, err)
			wait := transport.Until(transport.After(patience))
			session, err := transport.Connect(endpoint, &transport.Proposal{
				Request: protocol.Limits{PayloadBytes: 1 << 20, BatchItems: c.items}, PacketSize: 2_000,
			}, wait)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = session.Close() })
			sent := map[uint64][]byte{}
			for id := range uint64(requests) {
				header, body := textsOf(t, id, c.length, c.items)
				if err := session.Send(&header, body, wait); err != nil {
					t.Fatal(err)
				}
				sent[id] = body
			}
			inbox := session.NewInbox()
			for range requests {
				answer, err := session.Receive(inbox, wait)
				if err != nil || answer.Header.Status != protocol.StatusOK {
					t.Fatalf("%v, %v: %v", answer.Header.Status, err, server.Status().LastError)
				}
				if !bytes.Equal(answer.Payload, sent[answer.Header.MessageID]) {
					t.Fatalf("request %d has another's answer", answer.Header.MessageID)
				}
				delete(sent, answer.Header.MessageID)
			}
		})
	}
}

// What an item was made of is its handler's again once the item is finished: here one buffer, and one slice of
// labels, for all of them. A handler may finish the response as well, which the server does once more.
func TestWhatAFinishedItemWasMadeOfMayChange(t *testing.T) {
	const keys = 50
	for _, finishes := range []bool{false, true} {
		endpoint := endpointOf(t, cgroupslookup.Service)
		server, err := cgroupslookup.NewServer(endpoint, service.ServerConfig{},
			func(_ *service.Context, request cgroupslookup.RequestView, response *cgroupslookup.ResponseBuilder) error {
				labels := make([]payload.Label, 1)
				key, name := []byte(nil), []byte(nil)
				for path := range request.Keys() {
					key = append(key[:0], path...)
					name = append(append(name[:0], "name of "...), path...)
					labels[0] = payload.Label{Key: "path", Value: path.String()}
					if err := response.Known(key).NameBytes(name).Labels(labels...).Finish(); err != nil {
						return err
					}
					clear(key)
					clear(name)
					clear(labels)
				}
				response.Generation(7)
				if !finishes {
					return nil
				}
				_, err := response.Finish()
				return err
			})
		start(t, server, err)
		client := ready(t, cgroupslookup.NewClient(endpoint, service.ClientConfig{}))
		paths := make([]string, keys)
		for i := range paths {
			paths[i] = fmt.Sprintf("/a/path/%d", i)
		}
		answer, err := client.Lookup(background, paths)
		if err != nil {
			t.Fatal(err, server.Status().LastError)
		}
		for i, path := range paths {
			item := answer.At(i)
			label, _ := item.Labels().ValueOf("path")
			if !item.Path().Equal(path) || !item.Name().Equal("name of "+path) || !label.Equal(path) {
				t.Fatalf("%q: %+v", path, item.ToOwned())
			}
		}
		if answer.Generation() != 7 {
			t.Error(answer.Generation())
		}
	}
}

// The same of a snapshot, whose server does not know how many items will come: they are moved when it is finished,
// and not once more.
func TestASnapshotIsTheSameHoweverOftenItIsFinished(t *testing.T) {
	for _, items := range []int{0, 1, 100} {
		for _, finishes := range []int{0, 1, 3} {
			endpoint := endpointOf(t, cgroupssnapshot.Service)
			server, err := cgroupssnapshot.NewServer(endpoint, service.ServerConfig{},
				func(_ *service.Context, _ cgroupssnapshot.RequestView, response *cgroupssnapshot.ResponseBuilder) error {
					var name []byte
					response.Generation(9).SystemdEnabled(1)
					for i := range items {
						name = fmt.Appendf(name[:0], "item %d", i)
						if err := response.Item().Hash(uint32(i)).NameBytes(name).PathBytes(name).Finish(); err != nil {
							return err
						}
						clear(name)
					}
					for range finishes {
						if _, err := response.Finish(); err != nil {
							return err
						}
					}
					return nil
				})
			start(t, server, err)
			client := ready(t, cgroupssnapshot.NewClient(endpoint, service.ClientConfig{}))
			answer, err := client.Fetch(background)
			if err != nil {
				t.Fatal(err, server.Status().LastError)
			}
			if answer.Len() != items || answer.Generation() != 9 || answer.SystemdEnabled() != 1 {
				t.Fatalf("%d items, generation %d", answer.Len(), answer.Generation())
			}
			for i := range items {
				want := fmt.Sprintf("item %d", i)
				if item := answer.At(i); item.Hash() != uint32(i) || !item.Name().Equal(want) || !item.Path().Equal(want) {
					t.Fatalf("finished %d times: %+v", finishes, item.ToOwned())
				}
			}
		}
	}
}
