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
