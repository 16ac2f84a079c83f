package service

import (
	"fmt"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// sharedMemory is what a client remembers of its server's shared memory: where a region could not be
// attached (spec section 4), it is not offered for a while, and not to the next session where several of
// its sessions came to nothing; the status says why.
type sharedMemory struct {
	why error
	// count is the failures in a row.
	count          uint32
	offerAgainAtMs uint64
	// fruitless is its sessions in a row that ended before their first answer.
	fruitless uint32
}

// mostFruitless is how many sessions in a row may come to nothing: two mean a server that is full, to which
// shared memory is offered still.
const mostFruitless = 3

// errFruitless is why shared memory is not offered for one session.
var errFruitless = fmt.Errorf("shared memory was not offered this time, the last %d sessions over it "+
	"ended before their first answer", mostFruitless)

// offer is what is offered now, of what is configured.
func (m *sharedMemory) offer(configured protocol.Profiles, nowMs uint64) protocol.Profiles {
	if m.whyNot(nowMs) == nil {
		return configured
	}
	// Empty means the baseline, which is what is left at least.
	return configured.Without(protocol.ProfilesSharedMemory)
}

// whyNot is why it is not offered now; nil when it is.
func (m *sharedMemory) whyNot(nowMs uint64) error {
	if m.why != nil && nowMs < m.offerAgainAtMs {
		return m.why
	}
	if m.fruitless >= mostFruitless {
		return errFruitless
	}
	return nil
}

// failed notes that a region could not be attached.
func (m *sharedMemory) failed(why error, nowMs uint64) {
	m.why = fmt.Errorf("shared memory is not offered for a while, it could not be used: %w", why)
	// No chance is in it: this back-off has no jitter.
	m.offerAgainAtMs = nowMs + protocol.RareBackoff.DelayMs(m.count, 0)
	m.count++
}

// works notes that a region was attached: what could not be before does not matter any more.
func (m *sharedMemory) works() { m.why, m.count, m.offerAgainAtMs = nil, 0, 0 }

// cameToNothing notes that a session over it was asked, or about to be, and ended before its first answer: its
// region broke or was gone, or the server left. Whose doing that is cannot be told from here, and a full
// server looks alike (spec section 11); but somebody who breaks every new region must not keep a client from
// being served.
func (m *sharedMemory) cameToNothing() {
	if m.fruitless < mostFruitless {
		m.fruitless++
	}
}

// rowEnded notes that a session was answered, or is over the socket, or cannot be: the row of those that came
// to nothing has ended.
func (m *sharedMemory) rowEnded() { m.fruitless = 0 }
