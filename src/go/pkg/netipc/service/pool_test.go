package service

import (
	"math"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
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
		if p.takeOrPush(job{served: jobs[i]}) != nil {
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
	if dropped := p.clear(); len(dropped) != waiting || dropped[0].served != jobs[rounds%waiting] {
		t.Fatalf("%d were dropped", len(dropped))
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
