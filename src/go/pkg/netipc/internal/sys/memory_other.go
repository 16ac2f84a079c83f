//go:build !amd64 && !arm64

package sys

import "sync/atomic"

// lookAt looks at word so many times until it holds something else than seen: true then. It fetches no message, and
// does not pause, where that would not pay.
func lookAt(word *uint64, seen uint64, _ *byte, times uint32) bool {
	for range times {
		if atomic.LoadUint64(word) != seen {
			return true
		}
	}
	return false
}

// storeRelease32 stores value: whoever finds it, by an atomic load, finds all that this goroutine stored before.
func storeRelease32(word *uint32, value uint32) { atomic.StoreUint32(word, value) }

// storeRelease64 is the same for 64 bits.
func storeRelease64(word *uint64, value uint64) { atomic.StoreUint64(word, value) }
