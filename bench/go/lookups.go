package main

import (
	"fmt"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/appslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/iptoasn"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

// lookups looks things up: Item is the view of an item.
type lookups[K comparable, Item any] struct {
	single
	things []thing
	keys   []K
	// generation is what answers carry.
	generation uint64
	right      func(item Item, t *thing) bool
	look       func(keys []K) (service.Answer[Item], error)
	status     func() service.ClientStatus
}

func newCgroupsLookups(o *options) (caller, error) {
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	client, err := connect(o, cgroupslookup.NewClient(endpoint, o.clientConfig()))
	l := &lookups[string, cgroupslookup.ItemView]{
		things: things(o.items, o.mix, o.bytes), status: client.Status, generation: o.current,
		look: func(keys []string) (service.Answer[cgroupslookup.ItemView], error) {
			return client.Lookup(background, keys)
		},
	}
	for _, t := range l.things {
		l.keys = append(l.keys, t.path)
	}
	l.right = rightCgroup(labels(o.mix))
	return l, err
}

// rightCgroup tells whether an item is what is known of a thing, all of it.
func rightCgroup(with []payload.Label) func(cgroupslookup.ItemView, *thing) bool {
	return func(item cgroupslookup.ItemView, t *thing) bool {
		if !item.Path().Equal(t.path) || !t.known {
			return item.Path().Equal(t.path) && item.Status() == cgroupslookup.StatusUnknownPermanent
		}
		return item.Status() == cgroupslookup.StatusKnown && item.Orchestrator() == cgroupslookup.OrchestratorDocker &&
			item.Name().Equal(t.name) && hasLabels(item.Labels(), with)
	}
}

func newAppsLookups(o *options) (caller, error) {
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	client, err := connect(o, appslookup.NewClient(endpoint, o.clientConfig()))
	l := &lookups[uint32, appslookup.ItemView]{
		things: things(o.items, o.mix, o.bytes), status: client.Status, generation: o.current,
		look: func(keys []uint32) (service.Answer[appslookup.ItemView], error) {
			return client.Lookup(background, keys)
		},
	}
	for _, t := range l.things {
		l.keys = append(l.keys, t.pid)
	}
	l.right = rightApp(labels(o.mix))
	return l, err
}

// rightApp tells whether an item is what is known of a thing, all of it.
func rightApp(with []payload.Label) func(appslookup.ItemView, *thing) bool {
	return func(item appslookup.ItemView, t *thing) bool {
		if item.PID() != t.pid || !t.known {
			return item.PID() == t.pid && item.Status() == appslookup.StatusUnknown
		}
		return item.Status() == appslookup.StatusKnown && item.CgroupStatus() == appslookup.CgroupStatusKnown &&
			item.Orchestrator() == appslookup.OrchestratorDocker && item.PPID() == 1 && item.UID() == t.pid &&
			item.Starttime() == uint64(t.pid) && item.Comm().Equal(t.comm) && item.CgroupPath().Equal(t.path) &&
			item.CgroupName().Equal(t.name) && hasLabels(item.Labels(), with)
	}
}

func newASNLookups(o *options) (caller, error) {
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	client, err := connect(o, iptoasn.NewClient(endpoint, o.clientConfig()))
	l := &lookups[string, iptoasn.ItemView]{
		things: things(o.items, o.mix, o.bytes), status: client.Status, generation: o.current,
		look: func(keys []string) (service.Answer[iptoasn.ItemView], error) {
			return client.Lookup(background, keys)
		},
	}
	for _, t := range l.things {
		l.keys = append(l.keys, t.ip)
	}
	l.right = rightASN
	return l, err
}

// rightASN tells whether an item is what is known of a thing, all of it.
func rightASN(item iptoasn.ItemView, t *thing) bool {
	if !item.IP().Equal(t.ip) || !t.known {
		return item.IP().Equal(t.ip) && item.Status() == iptoasn.StatusUnknown && item.ASN() == 0
	}
	return item.Status() == iptoasn.StatusKnown && item.ASN() == t.pid && item.AsName().Equal(t.name) &&
		item.Country().Equal(country)
}

func hasLabels(given payload.Labels, wanted []payload.Label) bool {
	if given.Len() != len(wanted) {
		return false
	}
	for i, want := range wanted {
		if label := given.At(i); !label.Key.Equal(want.Key) || !label.Value.Equal(want.Value) {
			return false
		}
	}
	return true
}

func (l *lookups[K, Item]) turn() (time.Duration, error) {
	answer, err := l.look(l.keys)
	if err != nil {
		return 0, err
	}
	if answer.Generation() != l.generation {
		return 0, wrong("the generation", l.generation, answer.Generation())
	}
	if answer.Len() != len(l.things) {
		return 0, wrong("how many keys", uint64(len(l.things)), uint64(answer.Len()))
	}
	for i := range l.things {
		if !l.right(answer.At(i), &l.things[i]) {
			return 0, fmt.Errorf("wrong answer: item of the lookup %d is another than it must be", i)
		}
	}
	l.calls++
	return 0, nil
}

func (l *lookups[K, Item]) expectGeneration(generation uint64) { l.generation = generation }

func (l *lookups[K, Item]) answered() answered {
	return answered{l.calls, l.status().Counters.SubCalls, l.calls * uint64(len(l.things))}
}
