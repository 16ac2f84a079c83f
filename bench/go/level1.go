package main

import (
	"encoding/binary"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

const (
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
	supported, preferred := o.profiles()
	session, err := transport.Connect(endpoint, &transport.Proposal{
		SupportedProfiles: supported, PreferredProfiles: preferred, Request: limits, ResponseHint: limits,
		PacketSize: uint32(o.packetBytes),
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
