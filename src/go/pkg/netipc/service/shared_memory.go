package service

import (
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// sharedMemory is what a client remembers of its server's shared memory: where a region could not be
// attached (spec section 4), it is not offered for a while, and the status says why.
type sharedMemory struct {
	why error
	// count is the failures in a row.
	count          uint32
	offerAgainAtMs uint64
}

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
	if nowMs >= m.offerAgainAtMs {
		return nil
	}
	return m.why
}

// failed notes that a region could not be attached.
func (m *sharedMemory) failed(why error, nowMs uint64) {
	m.why = why
	// No chance is in it: this back-off has no jitter.
	m.offerAgainAtMs = nowMs + protocol.RareBackoff.DelayMs(m.count, 0)
	m.count++
}

// works notes that a region was attached: what was before does not matter any more.
func (m *sharedMemory) works() { *m = sharedMemory{} }
