package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

const (
	// depth is the requests that a pipeline has in flight.
	depth = 16
	// batchBytes is a request of all items that a batch may have, and more.
	batchBytes = 65_536
	batchItems = 1_024
)

func connectByHand(o *options) (*transport.Session, error) {
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	limits := protocol.Limits{PayloadBytes: batchBytes, BatchItems: batchItems}
	session, err := transport.Connect(endpoint, &transport.Proposal{
		SupportedProfiles: o.profiles(), PreferredProfiles: o.profiles(), Request: limits, ResponseHint: limits,
	}, transport.Until(transport.After(patience)))
	if err != nil {
		return nil, err
	}
	return session, o.checkSelected(session.Terms().Profile)
}

// pingByHand asks for the number after the last answer, by a session and messages made by hand.
type pingByHand struct {
	single
	session *transport.Session
	inbox   *transport.Inbox
	value   uint64
	payload [8]byte
}

func newPingByHand(o *options, place int) (*pingByHand, error) {
	session, err := connectByHand(o)
	if err != nil {
		return nil, err
	}
	return &pingByHand{session: session, inbox: session.NewInbox(), value: chainStart(place)}, nil
}

func (p *pingByHand) turn() (time.Duration, error) {
	binary.NativeEndian.PutUint64(p.payload[:], p.value)
	header := protocol.RequestHeader(increment.Method, p.calls+1, uint32(len(p.payload)))
	// No deadline: reading a clock is none of what a message costs. The runner has patience.
	if err := p.session.Send(&header, p.payload[:], transport.Wait{}); err != nil {
		return 0, err
	}
	answer, err := p.session.Receive(p.inbox, transport.Wait{})
	if err != nil {
		return 0, err
	}
	if answer.Header.Status != protocol.StatusOK || answer.Header.MessageID != header.MessageID {
		return 0, wrong("request", header.MessageID, answer.Header.MessageID)
	}
	view, err := increment.DecodeResponse(answer.Payload)
	if err != nil {
		return 0, err
	}
	p.value++
	if view.Value() != p.value {
		return 0, wrong("increment", p.value, view.Value())
	}
	p.calls++
	return 0, nil
}

// asked is what a request in flight asked for, and when.
type asked struct {
	first uint64
	count int
	at    time.Time
}

// pipelined keeps several requests, or batches of them, in flight.
type pipelined struct {
	single
	pipeline  *transport.Pipeline[asked]
	batches   bool
	items     int
	builder   protocol.BatchBuilder
	payload   []byte
	value     uint64
	random    random
	submitted uint64
	so        answered
}

func newPipelined(o *options, place int) (*pipelined, error) {
	session, err := connectByHand(o)
	if err != nil {
		return nil, err
	}
	return &pipelined{
		pipeline: transport.NewPipeline[asked](session, depth), batches: o.scenario == "pipeline-batch",
		items: min(o.items, batchItems), value: chainStart(place), random: newRandom(place),
	}, nil
}

func (p *pipelined) submit() error {
	what := asked{first: p.value, count: 1, at: time.Now()}
	p.submitted++
	header := protocol.RequestHeader(increment.Method, p.submitted, 0)
	if p.batches {
		what.count = p.random.upTo(p.items)
		header = header.BatchOf(uint32(what.count))
		if err := p.builder.Begin(p.payload[:0], uint32(what.count), batchBytes); err != nil {
			return err
		}
		var item [8]byte
		for i := range what.count {
			binary.NativeEndian.PutUint64(item[:], what.first+uint64(i))
			if err := p.builder.Push(item[:]); err != nil {
				return err
			}
		}
		var err error
		if p.payload, err = p.builder.Finish(); err != nil {
			return err
		}
	} else {
		p.payload = binary.NativeEndian.AppendUint64(p.payload[:0], what.first)
	}
	header.PayloadLen = uint32(len(p.payload))
	p.value += uint64(what.count)
	return p.pipeline.Submit(&header, p.payload, what, transport.Wait{})
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
	check := func(payload []byte, expected uint64) error {
		view, err := increment.DecodeResponse(payload)
		if err == nil && view.Value() != expected {
			err = wrong("increment", expected, view.Value())
		}
		return err
	}
	if p.batches {
		batch, err := protocol.DecodeBatch(message.Payload, message.Header.ItemCount)
		if err != nil {
			return 0, err
		}
		if batch.Len() != what.count {
			return 0, wrong("how many items", uint64(what.count), uint64(batch.Len()))
		}
		for i, item := range batch.Items() {
			if err := check(item, what.first+uint64(i)+1); err != nil {
				return 0, err
			}
		}
	} else if err := check(message.Payload, what.first+1); err != nil {
		return 0, err
	}
	p.so.calls++
	p.so.requests += uint64(what.count)
	p.so.items += uint64(what.count)
	return latency, nil
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
