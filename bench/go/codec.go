package main

import (
	"fmt"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/appslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// Codecs in process: a request decoded, its answer built, checked and read, all of it.

const (
	// itemBytes is those of a key or an item, and more.
	itemBytes   = 512
	headerBytes = 1_024
	// itemsPerTurn is the items that are coded before the clock is looked at, about.
	itemsPerTurn = 256
)

// codec is a request, the room for its answer, and what must be in that.
type codec struct {
	single
	things       []thing
	request, out []byte
	once         func(c *codec) error
}

func newCodec(o *options, encode func(out []byte, all []thing) (int, error)) (*codec, error) {
	c := &codec{things: things(o.items, o.mix, o.bytes)}
	room := headerBytes + len(c.things)*itemBytes
	c.request, c.out = make([]byte, room), make([]byte, room)
	length, err := encode(c.request, c.things)
	if err != nil {
		return nil, err
	}
	c.request = c.request[:length]
	return c, nil
}

func newCgroupsCodec(o *options) (caller, error) {
	c, err := newCodec(o, func(out []byte, all []thing) (int, error) {
		var request cgroupslookup.Request
		for _, t := range all {
			request.Keys = append(request.Keys, t.path)
		}
		return request.Encode(out)
	})
	if err != nil {
		return nil, err
	}
	answer, right := answerCgroups(c.things, labels(o.mix)), rightCgroup(labels(o.mix))
	var response cgroupslookup.ResponseBuilder
	c.once = func(c *codec) error {
		request, err := cgroupslookup.DecodeRequest(c.request)
		if err == nil {
			err = response.Reset(request, payload.ResponseBudget{Out: c.out, AtCeiling: true})
		}
		if err == nil {
			response.Generation(generation)
			err = answer(request, &response)
		}
		if err != nil {
			return err
		}
		length, err := response.Finish()
		if err != nil {
			return err
		}
		given, err := cgroupslookup.DecodeResponse(c.out[:length])
		if err != nil {
			return err
		}
		ok := given.Generation() == generation && given.Len() == len(c.things)
		for i := 0; ok && i < len(c.things); i++ {
			ok = right(given.At(i), &c.things[i])
		}
		return c.judge(ok)
	}
	return c, nil
}

func newAppsCodec(o *options) (caller, error) {
	c, err := newCodec(o, func(out []byte, all []thing) (int, error) {
		var request appslookup.Request
		for _, t := range all {
			request.Keys = append(request.Keys, t.pid)
		}
		return request.Encode(out)
	})
	if err != nil {
		return nil, err
	}
	answer, right := answerApps(c.things, labels(o.mix)), rightApp(labels(o.mix))
	var response appslookup.ResponseBuilder
	c.once = func(c *codec) error {
		request, err := appslookup.DecodeRequest(c.request)
		if err == nil {
			err = response.Reset(request, payload.ResponseBudget{Out: c.out, AtCeiling: true})
		}
		if err == nil {
			response.Generation(generation)
			err = answer(request, &response)
		}
		if err != nil {
			return err
		}
		length, err := response.Finish()
		if err != nil {
			return err
		}
		given, err := appslookup.DecodeResponse(c.out[:length])
		if err != nil {
			return err
		}
		ok := given.Generation() == generation && given.Len() == len(c.things)
		for i := 0; ok && i < len(c.things); i++ {
			ok = right(given.At(i), &c.things[i])
		}
		return c.judge(ok)
	}
	return c, nil
}

func (c *codec) judge(ok bool) error {
	if !ok {
		return fmt.Errorf("the codec wrote another answer than it must")
	}
	return nil
}

// perTurn is one, but where the clock would be looked at too often.
func (c *codec) perTurn() int { return max(itemsPerTurn/max(len(c.things), 1), 1) }

func (c *codec) turn() (time.Duration, error) {
	for range c.perTurn() {
		if err := c.once(c); err != nil {
			return 0, err
		}
	}
	c.calls += uint64(c.perTurn())
	return 0, nil
}

func (c *codec) answered() answered { return answered{c.calls, 0, c.calls * uint64(len(c.things))} }
