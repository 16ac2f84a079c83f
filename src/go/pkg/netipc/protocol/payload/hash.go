package payload

import (
	"hash/maphash"
	"math/bits"
)

// HashSeed is drawn for each table: a peer that does not know it cannot make identities that collide.
type HashSeed uint64

// NewHashSeed is one that nobody can guess.
func NewHashSeed() HashSeed { return HashSeed(maphash.Bytes(maphash.MakeSeed(), nil)) }

// golden is 2^64 divided by the golden ratio in its upper bits, so that numbers that follow one another
// spread evenly, and a prime (of xxHash) in its lower ones: numbers that were multiplied by the golden ratio
// before, as hashes often were, would stick together if they were once more.
const golden = 0x9E3779B185EBCA87

// finisher is MurmurHash3's: odd, with every bit of a product depending on many of the factor's.
const finisher = 0xFF51AFD7ED558CCD

// BeginHash is the hash of an identity without fields; MixHash and MixText add each, and FinishHash makes
// what tables take places from.
func BeginHash(seed HashSeed) uint64 { return uint64(seed) }

// MixHash is the hash with one more number in it.
func MixHash(hash, number uint64) uint64 {
	return fold(hash^golden, number^bits.RotateLeft64(hash, 32))
}

// MixText is the hash with one more text in it; the same for a string and its bytes.
func MixText[T ~string | ~[]byte](hash uint64, text T) uint64 {
	hash ^= uint64(len(text)) * golden
	for len(text) > 16 {
		hash = fold(hash^load64(text), load64(text[8:])^golden)
		text = text[16:]
	}
	var first, last uint64
	switch {
	case len(text) >= 8:
		first, last = load64(text), load64(text[len(text)-8:])
	case len(text) >= 4:
		first, last = load32(text), load32(text[len(text)-4:])
	case len(text) > 0:
		first, last = uint64(text[0])|uint64(text[len(text)/2])<<8, uint64(text[len(text)-1])
	}
	return fold(hash^first, last^bits.RotateLeft64(hash, 32)^golden)
}

// MixQuick is a quick hash with one more number in it: a multiplication, whose high bits are the good ones.
// It keeps nobody from making numbers that collide: see [Index] for what does. The first is mixed into 0.
func MixQuick(hash, number uint64) uint64 { return (bits.RotateLeft64(hash, 32) ^ number) * golden }

// FinishHash spreads what was mixed over all bits. Numbers that follow one another leave patterns in the
// halves of a product where a secret factor happens to have many zeros at its end, and would share places.
func FinishHash(hash uint64) uint64 {
	hash ^= hash >> 33
	hash *= finisher
	return hash ^ hash>>33
}

// fold is the halves of a product, which hides both factors.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// load64 is the first eight bytes, in one load where the machine has that.
func load64[T ~string | ~[]byte](t T) uint64 {
	_ = t[7]
	return uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
		uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
}

func load32[T ~string | ~[]byte](t T) uint64 {
	_ = t[3]
	return uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24
}
