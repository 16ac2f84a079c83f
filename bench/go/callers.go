package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
)

var background = context.Background()

const (
	// chainDistance: chains of two clients are this far apart, so that no two ask for one number.
	chainDistance = 1 << 40
	// defaultBatchItems is the most items of a batch unless configured.
	defaultBatchItems = 1_024
	// stringCount is how many strings a client sends in turn.
	stringCount = 4
	// findsPerTurn is the items of a cache that are found before the clock is looked at.
	findsPerTurn = 4_096
)

func newCaller(o *options, place int) (caller, error) {
	switch o.scenario {
	case "ping-level1":
		return newPingByHand(o, place)
	case "ping-level2":
		return newPing(o, place)
	case "batch":
		return newBatches(o, place)
	case "reverse":
		return newReverses(o)
	case "reverse-batch":
		return newReverseBatches(o, place)
	case "pipeline", "pipeline-batch":
		return newPipelined(o, newNumbers(o, place))
	case "pipeline-reverse":
		return newPipelined(o, &texts{bytes: o.bytes})
	case "pipeline-snapshot":
		return newPipelined(o, &snapshots{groups: groups(o.items), generation: o.current})
	case "pipeline-cgroups-lookup":
		return newPipelined(o, cgroupsKeys(o))
	case "pipeline-apps-lookup":
		return newPipelined(o, appsKeys(o))
	case "pipeline-asn-lookup":
		return newPipelined(o, asnKeys(o))
	case "snapshot", "snapshot-changing":
		return newRefreshes(o)
	case "fetch":
		return newFetches(o)
	case "cache", "cache-load":
		return newCacheReads(o)
	case "cgroups-lookup":
		return newCgroupsLookups(o)
	case "apps-lookup":
		return newAppsLookups(o)
	case "asn-lookup":
		return newASNLookups(o)
	case "codec-cgroups-lookup":
		return newCgroupsCodec(o)
	case "codec-apps-lookup":
		return newAppsCodec(o)
	}
	return nil, fmt.Errorf("this driver does not play %s", o.scenario)
}

// patience is how long one answer may take: on a machine that is busy with other things for as long, only
// what hangs takes longer.
const patience = 5 * time.Minute

func (o *options) clientConfig() service.ClientConfig {
	supported, preferred := o.profiles()
	config := service.ClientConfig{SupportedProfiles: supported, PreferredProfiles: preferred, CallTimeout: patience}
	if strings.HasSuffix(o.scenario, "batch") && o.items > defaultBatchItems {
		config.MaxRequestBatchItems = uint32(o.items)
	}
	return config
}

// single is what callers are that make one call a turn.
type single struct{ calls uint64 }

func (s *single) perTurn() int  { return 1 }
func (s *single) settle() error { return nil }
func (s *single) answered() answered {
	return answered{s.calls, s.calls, s.calls}
}

// refresh has the last client that was made connect anew where its server has left: who checks has one client,
// and what has a cache does so with every turn.
var refresh = func() {}

// connect makes sure that a client has a session, and which transport it has.
func connect[C interface {
	Refresh(ctx context.Context) bool
	Status() service.ClientStatus
}](o *options, client C) (C, error) {
	refresh = func() { client.Refresh(background) }
	refresh()
	return client, checkSession(o, client.Status())
}

func checkSession(o *options, status service.ClientStatus) error {
	if status.Session == nil {
		return fmt.Errorf("no session: %w", status.Reason)
	}
	return o.checkSelected(status.Session.Terms.Profile)
}

// ping asks for the number after the last answer.
type ping struct {
	single
	client *increment.Client
	value  uint64
}

func chainStart(place int) uint64 { return uint64(place+1) * chainDistance }

func newPing(o *options, place int) (*ping, error) {
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	client, err := connect(o, increment.NewClient(endpoint, o.clientConfig()))
	return &ping{client: client, value: chainStart(place)}, err
}

func (p *ping) agreedBytes() uint64 {
	terms := p.client.Status().Session.Terms
	return uint64(terms.Request.PayloadBytes) + uint64(terms.Response.PayloadBytes)
}

func (p *ping) turn() (time.Duration, error) {
	answer, err := p.client.Call(background, increment.Request{Value: p.value})
	if err != nil {
		return 0, err
	}
	p.value++
	if got := answer.Value(); got != p.value {
		return 0, wrong("increment", p.value, got)
	}
	p.calls++
	return 0, nil
}

// batches asks for random numbers of numbers in one message each.
type batches struct {
	single
	client   *increment.Client
	requests []increment.Request
	value    uint64
	random   random
	so       answered
}

func newBatches(o *options, place int) (*batches, error) {
	p, err := newPing(o, place)
	if err != nil {
		return nil, err
	}
	return &batches{
		client: p.client, value: p.value, random: newRandom(place), requests: make([]increment.Request, o.items),
	}, nil
}

func (b *batches) turn() (time.Duration, error) {
	requests := b.requests
	// The first, while warming up, is as long as any: what limits must grow to.
	if b.so.calls > 0 {
		requests = requests[:b.random.upTo(len(requests))]
	}
	for i := range requests {
		requests[i].Value = b.value + uint64(i)
	}
	answers, err := b.client.Batch(background, requests)
	if err != nil {
		return 0, err
	}
	if answers.Len() != len(requests) {
		return 0, wrong("how many items", uint64(len(requests)), uint64(answers.Len()))
	}
	for _, answer := range answers.All() {
		b.value++
		if got := answer.Value(); got != b.value {
			return 0, wrong("an item of a batch", b.value, got)
		}
	}
	b.so.calls++
	b.so.requests += uint64(len(requests))
	b.so.items += uint64(len(requests))
	return 0, nil
}

func (b *batches) answered() answered { return b.so }

// reverses asks for strings backwards. Each carries the number of its call.
type reverses struct {
	single
	client  *stringreverse.Client
	strings [stringCount][]byte
	// text is the string as it is sent, backwards what must come.
	text, backwards []byte
}

func newReverses(o *options) (*reverses, error) {
	if o.bytes < 8 {
		return nil, fmt.Errorf("a string has at least 8 bytes")
	}
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	r := &reverses{}
	for i := range r.strings {
		r.strings[i] = make([]byte, o.bytes)
		for at := range r.strings[i] {
			r.strings[i][at] = byte(at * (i + 1) % 251)
		}
	}
	r.client, err = connect(o, stringreverse.NewClient(endpoint, o.clientConfig()))
	return r, err
}

func (r *reverses) turn() (time.Duration, error) {
	r.text = append(r.text[:0], r.strings[r.calls%stringCount]...)
	binary.BigEndian.PutUint64(r.text, r.calls)
	r.backwards = append(r.backwards[:0], r.text...)
	slices.Reverse(r.backwards)
	answer, err := r.client.Call(background, stringreverse.Request{Bytes: string(r.text)})
	if err != nil {
		return 0, err
	}
	if !slices.Equal(answer.Bytes(), payload.StringView(r.backwards)) {
		return 0, fmt.Errorf("wrong answer to string %d", r.calls)
	}
	r.calls++
	return 0, nil
}

// reverseBatches asks for random numbers of strings backwards in one message each. Each string says which
// it is.
type reverseBatches struct {
	single
	client   *stringreverse.Client
	requests []stringreverse.Request
	bytes    int
	random   random
	so       answered
}

func newReverseBatches(o *options, place int) (*reverseBatches, error) {
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	client, err := connect(o, stringreverse.NewClient(endpoint, o.clientConfig()))
	return &reverseBatches{
		client: client, requests: make([]stringreverse.Request, o.items), bytes: o.bytes, random: newRandom(place),
	}, err
}

func (r *reverseBatches) turn() (time.Duration, error) {
	requests := r.requests
	// The first, while warming up, is as long as any: what limits must grow to.
	if r.so.calls > 0 {
		requests = requests[:r.random.upTo(len(requests))]
	}
	for i := range requests {
		number := binary.BigEndian.AppendUint64(nil, r.so.items+uint64(i))
		requests[i].Bytes = string(bytes.Repeat(number, r.bytes/len(number)+1)[:r.bytes])
	}
	answers, err := r.client.Batch(background, requests)
	if err != nil {
		return 0, err
	}
	if answers.Len() != len(requests) {
		return 0, wrong("how many items", uint64(len(requests)), uint64(answers.Len()))
	}
	for i, answer := range answers.All() {
		backwards := []byte(requests[i].Bytes)
		slices.Reverse(backwards)
		if !bytes.Equal(answer.Bytes(), backwards) {
			return 0, fmt.Errorf("wrong answer to string %d", r.so.items+uint64(i))
		}
	}
	r.so.calls++
	r.so.requests += uint64(len(requests))
	r.so.items += uint64(len(requests))
	return 0, nil
}

func (r *reverseBatches) answered() answered { return r.so }

// refreshes refreshes a cache, and reads all of it.
type refreshes struct {
	single
	cache  *cgroupssnapshot.Cache
	groups []group
	// least is the generation that the next answer has at least, and step by how much it grows with each.
	least, step uint64
}

func newRefreshes(o *options) (*refreshes, error) {
	cache, all, err := filled(o)
	r := &refreshes{cache: cache, groups: all, least: o.current}
	if o.scenario == "snapshot-changing" {
		r.least, r.step = o.current+1, 1
	}
	// The refresh that filled it is a call.
	r.calls = 1
	return r, err
}

func filled(o *options) (*cgroupssnapshot.Cache, []group, error) {
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, nil, err
	}
	cache, all := cgroupssnapshot.NewCache(endpoint, o.clientConfig()), groups(o.items)
	if err := cache.Refresh(background); err != nil {
		return nil, nil, err
	}
	if err := checkSession(o, cache.Status().Client); err != nil {
		return nil, nil, err
	}
	contents := cache.Load()
	if contents.Generation() != o.current {
		return nil, nil, wrong("the generation", o.current, contents.Generation())
	}
	return cache, all, checkGroups(all, contents.Len(), contents.At)
}

func (r *refreshes) turn() (time.Duration, error) {
	if err := r.cache.Refresh(background); err != nil {
		return 0, err
	}
	contents := r.cache.Load()
	// Where it changes, those of other clients lie between two of this one's.
	now := contents.Generation()
	if now < r.least || r.step == 0 && now != r.least {
		return 0, wrong("the generation", r.least, now)
	}
	r.least = now + r.step
	r.calls++
	return 0, checkGroups(r.groups, contents.Len(), contents.At)
}

func (r *refreshes) expectGeneration(generation uint64) { r.least = generation }

func (r *refreshes) expectNobody() error {
	if err := r.cache.Refresh(background); err == nil {
		return fmt.Errorf("a refresh that nobody answered came out well")
	}
	contents := r.cache.Load()
	if contents.Generation() != r.least {
		return wrong("the generation kept", r.least, contents.Generation())
	}
	return checkGroups(r.groups, contents.Len(), contents.At)
}

func (r *refreshes) answered() answered {
	return answered{r.calls, r.calls, r.calls * uint64(len(r.groups))}
}

func checkGroups(all []group, count int, at func(int) cgroupssnapshot.ItemView) error {
	if count != len(all) {
		return wrong("how many items", uint64(len(all)), uint64(count))
	}
	for i := range all {
		item, g := at(i), &all[i]
		if item.Hash() != g.hash || item.Options() != g.options || item.Enabled() != g.enabled ||
			!item.Name().Equal(g.name) || !item.Path().Equal(g.path) {
			return fmt.Errorf("wrong answer: item of the snapshot %d is another than it must be", i)
		}
	}
	return nil
}

// fetches fetches a snapshot, and reads all of it in place.
type fetches struct {
	single
	client     *cgroupssnapshot.Client
	groups     []group
	generation uint64
}

func newFetches(o *options) (*fetches, error) {
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	client, err := connect(o, cgroupssnapshot.NewClient(endpoint, o.clientConfig()))
	return &fetches{client: client, groups: groups(o.items), generation: o.current}, err
}

func (f *fetches) turn() (time.Duration, error) {
	answer, err := f.client.Fetch(background)
	if err != nil {
		return 0, err
	}
	f.calls++
	return 0, checkSnapshot(f.groups, f.generation, answer)
}

func (f *fetches) expectGeneration(generation uint64) { f.generation = generation }

func checkSnapshot(all []group, generation uint64, answer cgroupssnapshot.ResponseView) error {
	if answer.Generation() != generation {
		return wrong("the generation", generation, answer.Generation())
	}
	if answer.SystemdEnabled() != 1 {
		return wrong("whether there is systemd", 1, uint64(answer.SystemdEnabled()))
	}
	return checkGroups(all, answer.Len(), answer.At)
}

func (f *fetches) answered() answered {
	return answered{f.calls, f.calls, f.calls * uint64(len(f.groups))}
}

// cacheReads finds every item of a filled cache, over and over.
type cacheReads struct {
	single
	cache    *cgroupssnapshot.Cache
	groups   []group
	next     int
	loadEach bool
}

func newCacheReads(o *options) (*cacheReads, error) {
	cache, all, err := filled(o)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("a cache without items has nothing to find")
	}
	return &cacheReads{cache: cache, groups: all, loadEach: o.scenario == "cache-load"}, err
}

func (c *cacheReads) perTurn() int { return findsPerTurn }

func (c *cacheReads) turn() (time.Duration, error) {
	held := c.cache.Load()
	for range findsPerTurn {
		if c.loadEach {
			held = c.cache.Load()
		}
		// What was found has this hash and name, or it would not have been found; that it is the item of
		// this index, its own options say.
		g := &c.groups[c.next]
		item, found := held.Get(cgroupssnapshot.Identity{Hash: g.hash, Name: g.name})
		if !found || item.Options() != g.options {
			return 0, fmt.Errorf("wrong answer: item of the cache %d is another than it must be", c.next)
		}
		if c.next++; c.next == len(c.groups) {
			c.next = 0
		}
	}
	c.calls += findsPerTurn
	return 0, nil
}

func (c *cacheReads) answered() answered { return answered{c.calls, 0, c.calls} }

// random is Marsaglia's xorshift: the same numbers in each run.
type random struct{ state uint64 }

func newRandom(place int) random { return random{0x9E37_79B9_7F4A_7C15 ^ uint64(place+1)} }

// upTo is one of 1 to most.
func (r *random) upTo(most int) int {
	r.state ^= r.state << 13
	r.state ^= r.state >> 7
	r.state ^= r.state << 17
	return int(r.state%uint64(most)) + 1
}
