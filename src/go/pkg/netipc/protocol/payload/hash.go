package payload

import (
	"hash/maphash"
	"math/bits"
)

// BeginHash is the hash of an identity without fields; MixHash adds each. A peer that does not know
// the seed cannot make identities that collide.
func BeginHash(seed maphash.Seed) uint64 { return maphash.Bytes(seed, nil) }

// MixHash is the hash with one more number in it: the halves of a product that hides both factors.
func MixHash(hash, number uint64) uint64 {
	const odd = 0x9E3779B97F4A7C15 // 2^64 divided by the golden ratio: no pattern of its own
	high, low := bits.Mul64(hash^odd, number^bits.RotateLeft64(hash, 32))
	return high ^ low
}
