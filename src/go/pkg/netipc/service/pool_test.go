package service

import (
	"math"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// Where workers are always busy the queue may never be empty: it must not keep what was done long ago.
func TestAQueueThatIsNeverEmptyDoesNotGrow(t *testing.T) {
	const waiting, rounds = 100, 100_000
	const most = 4 * waiting
	var p pool
	w := new(worker)
	jobs := make([]*served, waiting)
	for i := range jobs {
		jobs[i] = new(served)
		if w, taken := p.takeOrPush(job{served: jobs[i]}); w != nil || !taken {
			t.Fatal("a worker from nowhere")
		}
	}
	for round := range rounds {
		next, waited := p.give(w)
		if !waited || next.served != jobs[round%waiting] {
			t.Fatalf("round %d: not the next in line", round)
		}
		p.takeOrPush(next)
	}
	if room := cap(p.queue); room > most {
		t.Fatalf("%d jobs wait in room for %d", waiting, room)
	}
	if dropped := p.close(); len(dropped) != waiting || dropped[0].served != jobs[rounds%waiting] {
		t.Fatalf("%d were dropped", len(dropped))
	}
}

// A session is read for a moment more while its server stops: what it reads then is not left to a worker that
// becomes free after the stop.
func TestWhatIsReadWhileAServerStopsIsDropped(t *testing.T) {
	e := &engine{workers: 1}
	w := new(worker)
	e.pool.close()
	s := &served{
		service: new(servedService), session: &transport.Session{}, room: make(chan struct{}, 1), reading: true,
		inFlight: 2,
	}
	for _, left := range []int{1, 0} {
		e.submit(job{served: s})
		if s.inFlight != left || len(e.pool.queue) != 0 {
			t.Fatalf("%d requests are in flight, %d wait", s.inFlight, len(e.pool.queue))
		}
		// With a worker that is free it is the same.
		e.release(w)
	}
	if e.pool.take() != nil {
		t.Fatal("a reader may begin a request")
	}
	// Nobody is needed to help with a batch: who began it answers all of it.
	e.submit(job{help: new(sharedBatch)})
	if len(e.pool.queue) != 0 {
		t.Fatal("a batch waits for help")
	}
}

func TestSessionsWithoutAnEndAreNotNone(t *testing.T) {
	for _, most := range []int{math.MaxInt, math.MaxInt32} {
		config := ServerConfig{MaxSessions: most}.resolved(protocol.DefaultResponseCeilingBytes)
		service := &servedService{maxSessions: int32(config.MaxSessions)}
		if !service.reserve() {
			t.Errorf("of %d sessions, not one", most)
		}
	}
}

// Where an int has 32 bits, no buffer is as long as the largest limit that can be agreed.
func TestLimitsAreNoLongerThanABufferCanBe(t *testing.T) {
	server := ServerConfig{MaxRequestPayloadBytes: math.MaxUint32, MaxResponsePayloadBytes: math.MaxUint32}.
		resolved(protocol.DefaultResponseCeilingBytes)
	client := ClientConfig{MaxRequestPayloadBytes: math.MaxUint32, MaxResponsePayloadBytes: math.MaxUint32}.
		resolved(protocol.DefaultResponseCeilingBytes)
	for _, limit := range []uint32{
		server.MaxRequestPayloadBytes, server.MaxResponsePayloadBytes,
		client.MaxRequestPayloadBytes, client.MaxResponsePayloadBytes,
	} {
		if length := int(limit); length <= 0 || length+protocol.HeaderLen <= 0 {
			t.Errorf("a buffer of %d bytes for a limit of %d", length, limit)
		}
	}
}
