package main

import (
	"fmt"
	"time"
)

// call calls, and says how that went: as many clients as asked, each on a goroutine, measured between "go"
// and the last answer.
func call(o *options) error {
	if o.scenario == "idle" {
		return idle(o)
	}
	rate, err := o.perClient()
	if err != nil {
		return err
	}
	warm := make(chan error, o.clients)
	begin := make(chan struct{})
	shares := make(chan share, o.clients)
	for place := range o.clients {
		go func() { shares <- one(o, rate, place, warm, begin) }()
	}
	for range o.clients {
		if err := <-warm; err != nil {
			return err
		}
	}
	if err := waitForGo(); err != nil {
		return err
	}
	before := cpuNs()
	close(begin)
	total := share{latencies: &latencies{}}
	for range o.clients {
		s := <-shares
		if s.err != nil {
			return s.err
		}
		total.add(s)
	}
	return finish(total, cpuNs()-before, 0)
}

// share is what one client came to.
type share struct {
	answered  answered
	latencies *latencies
	took      time.Duration
	err       error
}

func (s *share) add(other share) {
	s.answered.calls += other.answered.calls
	s.answered.requests += other.answered.requests
	s.answered.items += other.answered.items
	s.latencies.add(other.latencies)
	s.took = max(s.took, other.took)
}

// one is one client: it warms up, says so, waits for the beginning, measures.
func one(o *options, rate float64, place int, warm chan<- error, begin <-chan struct{}) share {
	c, err := newCaller(o, place)
	if err != nil {
		warm <- err
		return share{err: err}
	}
	took, err := runCalls(c, rate, place, o.clients, seconds(o.warmUp), 1, &latencies{})
	warm <- err
	if err != nil {
		return share{err: err}
	}
	before := c.answered()
	each := turnsPerTiming(before.calls/uint64(c.perTurn()), took)
	s := share{latencies: &latencies{}}
	<-begin
	s.took, s.err = runCalls(c, rate, place, o.clients, seconds(o.seconds), each, s.latencies)
	after := c.answered()
	s.answered = answered{after.calls - before.calls, after.requests - before.requests, after.items - before.items}
	return s
}

func seconds(count float64) time.Duration { return time.Duration(count * float64(time.Second)) }

func waitForGo() error {
	if err := say(line{Event: "ready"}); err != nil {
		return err
	}
	if word, _ := hear(); word != "go" {
		return fmt.Errorf("the runner left")
	}
	return nil
}

// finish says what was measured, and stays until the runner has looked at what it wants to.
func finish(s share, cpu, agreedBytes uint64) error {
	rss := rssKib()
	l := s.latencies
	err := say(line{Event: "measured", CPUNs: &cpu, RSSKib: &rss, checked: &checked{
		Calls: s.answered.calls, Requests: s.answered.requests, Items: s.answered.items,
	}, measured: &measured{
		Seconds: s.took.Seconds(),
		P50Ns:   l.percentileNs(50), P95Ns: l.percentileNs(95), P99Ns: l.percentileNs(99), P999Ns: l.percentileNs(99.9),
		MaxNs: float64(l.most) / ticksPerNs, Timed: l.timed, AgreedBytes: agreedBytes,
	}})
	if err != nil {
		return err
	}
	hear()
	return nil
}

// idle is sessions that idle: it makes them after "go", and keeps them until the runner has looked.
func idle(o *options) error {
	// The first brings what a server has once, for any number of sessions.
	first, err := newPing(o, 0)
	if err == nil {
		_, err = first.turn()
	}
	if err == nil {
		err = waitForGo()
	}
	if err != nil {
		return err
	}
	before, start := cpuNs(), time.Now()
	s := share{latencies: &latencies{}}
	clients := make([]*ping, o.clients)
	for i := range clients {
		began := time.Now()
		if clients[i], err = newPing(o, i); err != nil {
			return err
		}
		if _, err := clients[i].turn(); err != nil {
			return err
		}
		s.latencies.record(time.Since(began), 1)
	}
	count := uint64(len(clients))
	s.answered, s.took = answered{count, count, count}, time.Since(start)
	return finish(s, cpuNs()-before, clients[0].agreedBytes())
}
