package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/appslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/iptoasn"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// Clients that keep several requests in flight on a session, at Level 1: the same for every service.

// depth is the requests that a pipeline has in flight.
const depth = 16

// about tells a request from the others: its number, and how much it asks for.
type about struct {
	first uint64
	count int
}

// asked is a request in flight, and when it was sent.
type asked struct {
	about
	at time.Time
}

// questions are what a service is asked: requests that all differ, and what their answers must be.
type questions interface {
	method() uint16
	// ask writes the next request to the beginning of out, which it may extend.
	ask(out []byte) (payload []byte, what about, err error)
	// check compares an answer with what it must be. It answers how many requests were handled for it, and
	// items.
	check(what about, message *protocol.Message) (requests, items uint64, err error)
}

// pipelined keeps several requests in flight.
type pipelined struct {
	single
	questions
	pipeline  *transport.Pipeline[asked]
	batches   bool
	payload   []byte
	submitted uint64
	so        answered
}

func newPipelined(o *options, q questions) (*pipelined, error) {
	session, err := connectByHand(o)
	if err != nil {
		return nil, err
	}
	return &pipelined{
		questions: q, pipeline: transport.NewPipeline[asked](session, depth), batches: o.scenario == "pipeline-batch",
	}, nil
}

func (p *pipelined) submit() error {
	at := time.Now()
	payload, what, err := p.ask(p.payload[:0])
	if err != nil {
		return err
	}
	p.payload = payload
	p.submitted++
	header := protocol.RequestHeader(p.method(), p.submitted, uint32(len(payload)))
	if p.batches {
		header = header.BatchOf(uint32(what.count))
	}
	return p.pipeline.Submit(&header, payload, asked{what, at}, transport.Wait{})
}

func (p *pipelined) take() (time.Duration, error) {
	what, message, err := p.pipeline.Receive(transport.Wait{})
	if err != nil {
		return 0, err
	}
	latency := time.Since(what.at)
	if message.Header.Status != protocol.StatusOK {
		return 0, fmt.Errorf("a failing answer: %v", message.Header.Status)
	}
	requests, items, err := p.check(what.about, &message)
	p.so.calls++
	p.so.requests += requests
	p.so.items += items
	return latency, err
}

func (p *pipelined) turn() (time.Duration, error) {
	for p.pipeline.InFlight() < depth {
		if err := p.submit(); err != nil {
			return 0, err
		}
	}
	return p.take()
}

func (p *pipelined) settle() error {
	for p.pipeline.InFlight() > 0 {
		if _, err := p.take(); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipelined) answered() answered { return p.so }

// room is out with so many bytes.
func room(out []byte, length int) []byte { return slices.Grow(out[:0], length)[:length] }

// numbers are asked for one or several in a request.
type numbers struct {
	builder protocol.BatchBuilder
	batches bool
	items   int
	value   uint64
	random  random
}

func newNumbers(o *options, place int) *numbers {
	return &numbers{
		batches: o.scenario == "pipeline-batch", items: min(o.items, batchItems), value: chainStart(place),
		random: newRandom(place),
	}
}

func (n *numbers) method() uint16 { return increment.Method }

func (n *numbers) ask(out []byte) ([]byte, about, error) {
	what := about{first: n.value, count: 1}
	if !n.batches {
		n.value++
		return binary.NativeEndian.AppendUint64(out, what.first), what, nil
	}
	what.count = n.random.upTo(n.items)
	n.value += uint64(what.count)
	if err := n.builder.Begin(out, uint32(what.count), batchBytes); err != nil {
		return out, what, err
	}
	var item [8]byte
	for i := range what.count {
		binary.NativeEndian.PutUint64(item[:], what.first+uint64(i))
		if err := n.builder.Push(item[:]); err != nil {
			return out, what, err
		}
	}
	payload, err := n.builder.Finish()
	return payload, what, err
}

func (n *numbers) check(what about, message *protocol.Message) (requests, items uint64, err error) {
	check := func(payload []byte, expected uint64) error {
		view, err := increment.DecodeResponse(payload)
		if err == nil && view.Value() != expected {
			err = wrong("increment", expected, view.Value())
		}
		return err
	}
	if !n.batches {
		return 1, 1, check(message.Payload, what.first+1)
	}
	batch, err := protocol.DecodeBatch(message.Payload, message.Header.ItemCount)
	if err != nil {
		return 0, 0, err
	}
	if batch.Len() != what.count {
		return 0, 0, wrong("how many items", uint64(what.count), uint64(batch.Len()))
	}
	for i, item := range batch.Items() {
		if err := check(item, what.first+uint64(i)+1); err != nil {
			return 0, 0, err
		}
	}
	return uint64(what.count), uint64(what.count), nil
}

// texts are strings, each with its number.
type texts struct {
	bytes int
	asked uint64
}

func (q *texts) method() uint16 { return stringreverse.Method }

// text is a number, again and again, and its end cut by that number: no two are alike.
func (q *texts) text(number uint64) []byte {
	bytes8 := binary.BigEndian.AppendUint64(nil, number)
	length := q.bytes - int(number%depth)
	return bytes.Repeat(bytes8, length/len(bytes8)+1)[:length]
}

func (q *texts) ask(out []byte) ([]byte, about, error) {
	what := about{first: q.asked}
	q.asked++
	request := stringreverse.Request{Bytes: string(q.text(what.first))}
	out = room(out, request.EncodedLen())
	_, err := request.Encode(out)
	return out, what, err
}

func (q *texts) check(what about, message *protocol.Message) (requests, items uint64, err error) {
	answer, err := stringreverse.DecodeResponse(message.Payload)
	if err != nil {
		return 0, 0, err
	}
	backwards := q.text(what.first)
	slices.Reverse(backwards)
	if !bytes.Equal(answer.Bytes(), backwards) {
		return 0, 0, fmt.Errorf("wrong answer to string %d", what.first)
	}
	return 1, 1, nil
}

// snapshots are the same question again and again.
type snapshots struct {
	groups     []group
	generation uint64
}

func (q *snapshots) method() uint16 { return cgroupssnapshot.Method }

func (q *snapshots) ask(out []byte) ([]byte, about, error) {
	request := cgroupssnapshot.Request{}
	out = room(out, request.EncodedLen())
	_, err := request.Encode(out)
	return out, about{}, err
}

func (q *snapshots) check(_ about, message *protocol.Message) (requests, items uint64, err error) {
	answer, err := cgroupssnapshot.DecodeResponse(message.Payload)
	if err != nil {
		return 0, 0, err
	}
	return 1, uint64(len(q.groups)), checkSnapshot(q.groups, q.generation, answer)
}

// keys are lookups of the first key, of the first two, and so on, and of one again after all.
type keys struct {
	things     []thing
	generation uint64
	asked      int
	code       uint16
	encode     func(out []byte, things []thing) ([]byte, error)
	// decode answers the generation, how many items there are, and whether one of them is right.
	decode func(payload []byte) (generation uint64, count int, right func(i int, t *thing) bool, err error)
}

func newKeys(o *options, code uint16) *keys {
	return &keys{things: things(o.items, o.mix, o.bytes), generation: o.current, code: code}
}

func (k *keys) method() uint16 { return k.code }

func (k *keys) ask(out []byte) ([]byte, about, error) {
	what := about{count: k.asked%len(k.things) + 1}
	k.asked++
	out, err := k.encode(out, k.things[:what.count])
	return out, what, err
}

func (k *keys) check(what about, message *protocol.Message) (requests, items uint64, err error) {
	generation, count, right, err := k.decode(message.Payload)
	if err != nil {
		return 0, 0, err
	}
	if generation != k.generation {
		return 0, 0, wrong("the generation", k.generation, generation)
	}
	if count != what.count {
		return 0, 0, wrong("how many keys", uint64(what.count), uint64(count))
	}
	for i := range count {
		if !right(i, &k.things[i]) {
			return 0, 0, fmt.Errorf("wrong answer: item of the lookup %d is another than it must be", i)
		}
	}
	return 1, uint64(count), nil
}

func cgroupsKeys(o *options) *keys {
	k, right := newKeys(o, cgroupslookup.Method), rightCgroup(labels(o.mix))
	k.encode = func(out []byte, things []thing) ([]byte, error) {
		var request cgroupslookup.Request
		for i := range things {
			request.Keys = append(request.Keys, things[i].path)
		}
		out = room(out, request.EncodedLen())
		_, err := request.Encode(out)
		return out, err
	}
	k.decode = func(payload []byte) (uint64, int, func(int, *thing) bool, error) {
		answer, err := cgroupslookup.DecodeResponse(payload)
		if err != nil {
			return 0, 0, nil, err
		}
		return answer.Generation(), answer.Len(), func(i int, t *thing) bool { return right(answer.At(i), t) }, nil
	}
	return k
}

func appsKeys(o *options) *keys {
	k, right := newKeys(o, appslookup.Method), rightApp(labels(o.mix))
	k.encode = func(out []byte, things []thing) ([]byte, error) {
		var request appslookup.Request
		for i := range things {
			request.Keys = append(request.Keys, things[i].pid)
		}
		out = room(out, request.EncodedLen())
		_, err := request.Encode(out)
		return out, err
	}
	k.decode = func(payload []byte) (uint64, int, func(int, *thing) bool, error) {
		answer, err := appslookup.DecodeResponse(payload)
		if err != nil {
			return 0, 0, nil, err
		}
		return answer.Generation(), answer.Len(), func(i int, t *thing) bool { return right(answer.At(i), t) }, nil
	}
	return k
}

func asnKeys(o *options) *keys {
	k := newKeys(o, iptoasn.Method)
	k.encode = func(out []byte, things []thing) ([]byte, error) {
		var request iptoasn.Request
		for i := range things {
			request.Keys = append(request.Keys, things[i].ip)
		}
		out = room(out, request.EncodedLen())
		_, err := request.Encode(out)
		return out, err
	}
	k.decode = func(payload []byte) (uint64, int, func(int, *thing) bool, error) {
		answer, err := iptoasn.DecodeResponse(payload)
		if err != nil {
			return 0, 0, nil, err
		}
		return answer.Generation(), answer.Len(), func(i int, t *thing) bool { return rightASN(answer.At(i), t) }, nil
	}
	return k
}
