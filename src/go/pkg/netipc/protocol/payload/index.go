package payload

import "math/bits"

// Index tells where the items of a snapshot are found: a table of open addressing, made once, never
// changed.
//
//	identity ─▶ hash ─▶ slot ─▶ slot ─▶ …      each 12 bytes: tag, start, end of the item
//	                      │ the tag is the same: look at the item itself
//
// Items mostly bring a number that their producer made to tell them apart, and one multiplication spreads
// it over the table: no string is hashed. A producer may send numbers that are no good, on purpose or not.
// Filling the table shows it, by the steps that it takes; then everything that makes an identity is hashed,
// with a seed that no producer knows.
//
// It has no type parameters, and generated code searches it by the methods below, which are small enough
// for the compiler to put in place: a search calls nothing but the comparison of long strings.
//
//	record := index.Nearest(quick)                     nearly always: compare it, done
//	hash := …                                          quick, or by Seed
//	for at, end := index.Probe(hash); at != end; at++ {
//		slot := index.Slot(at)                     free: no item has the identity
//		                                           holds the hash: compare index.Record(slot)
//	}
//
// The zero Index has no items.
type Index struct {
	payload []byte
	// slots are a power of two, or none.
	slots []IndexSlot
	// probes is how many slots are looked at for an item: one more than any lies behind its own.
	probes uint
	// What is left of a hash after this many bits is the number of a slot.
	shift uint8
	// seeded tells that identities are hashed with the seed.
	seeded bool
	seed   HashSeed
}

// IndexSlot is a place in an Index.
type IndexSlot struct {
	// tag is bits of the hash that do not say where the slot is.
	tag uint32
	// start and end are where the item lies in the payload. An item has an identity, and so is not
	// empty: an end of zero is a free slot.
	start, end uint32
}

// Identities is how the identities of a snapshot's items, each its bytes that were checked, are hashed and
// compared.
type Identities struct {
	// Quick is MixQuick of the identity's numbers, from 0.
	Quick func(item []byte) uint64
	// Seeded is the whole identity's: BeginHash, MixHash and MixText of each field, FinishHash.
	Seeded func(seed HashSeed, item []byte) uint64
	// Same tells whether two items have one identity.
	Same func(a, b []byte) bool
}

const (
	// slotsPerItem is before they are rounded up to a power of two: nearly every item is then where it is
	// looked for first, and the end of a search that finds nothing is near.
	slotsPerItem = 3
	// stepsPerItem and fewSteps are the steps from slot to slot that filling a table may take if quick
	// hashes are to be kept: as many an item, and some for tables of few. Good ones take 0.25 an item.
	stepsPerItem = 1
	fewSteps     = 16
	// mostProbes is the most slots that may then be looked at for an item. Good hashes of a million items
	// reach half.
	mostProbes = 65
)

// NewIndex is an index of items. Of those with one identity the first is found.
func NewIndex(items Directory, identities *Identities) Index {
	if items.Len() == 0 {
		return Index{}
	}
	index := blankIndex(items)
	if index.fill(items, identities, fewSteps+stepsPerItem*uint(items.Len()), mostProbes) {
		return index
	}
	index = blankIndex(items)
	index.seeded, index.seed = true, NewHashSeed()
	// Nobody can choose these hashes, so there is no number of steps to fear.
	const unlimited = ^uint(0)
	index.fill(items, identities, unlimited, unlimited)
	return index
}

func blankIndex(items Directory) Index {
	width := bits.Len(uint(slotsPerItem*items.Len() - 1))
	return Index{payload: items.Payload(), slots: make([]IndexSlot, 1<<width), shift: uint8(64 - width)}
}

// fill answers false once it takes more steps, or an item more probes.
func (x *Index) fill(items Directory, identities *Identities, steps, mostProbes uint) bool {
	for number := range items.Len() {
		start, end := items.Place(number)
		taken, done := x.insert(IndexSlot{start: start, end: end}, identities, min(steps, mostProbes-1))
		if !done {
			return false
		}
		steps -= taken
	}
	return true
}

// insert puts an item in the first free slot, unless one with its identity comes before. It answers how
// many steps that took; false if more than steps were needed.
func (x *Index) insert(slot IndexSlot, identities *Identities, steps uint) (taken uint, done bool) {
	item := x.Record(&slot)
	hash := identities.Quick(item)
	if x.seeded {
		hash = identities.Seeded(x.seed, item)
	}
	slot.tag = uint32(hash)
	for first := x.first(hash); taken <= steps; taken++ {
		there := x.Slot(first + taken)
		if there.IsFree() {
			*there = slot
			x.probes = max(x.probes, taken+1)
			return taken, true
		}
		if there.Holds(hash) && identities.Same(x.Record(there), item) {
			return taken, true
		}
	}
	return taken, false
}

// Seed is what identities are to be hashed with; false if their quick hash is to be taken.
func (x *Index) Seed() (HashSeed, bool) { return x.seed, x.seeded }

// Nearest is the item that lies where one of this hash, the quick one, is looked for first: nearly every item
// that there is. Empty when another lies there, or none.
//
// What it finds may be taken, though the table has seeded hashes: there is one item of an identity in it at most.
func (x *Index) Nearest(hash uint64) []byte {
	at := x.first(hash)
	if at >= uint(len(x.slots)) || !x.slots[at].Holds(hash) {
		return nil
	}
	// A free slot's item is empty.
	return x.Record(&x.slots[at])
}

// Probe is the first slot to look at for a hash, and the one behind the last.
func (x *Index) Probe(hash uint64) (at, end uint) {
	first := x.first(hash)
	return first, first + x.probes
}

// Slot is a slot from Probe, or one more than that.
func (x *Index) Slot(at uint) *IndexSlot { return &x.slots[at&uint(len(x.slots)-1)] }

// Record is the item of a slot that is not free.
func (x *Index) Record(slot *IndexSlot) []byte { return x.payload[slot.start:slot.end:slot.end] }

// IsFree tells that nothing lies in a slot, nor behind it what would lie in it.
func (s *IndexSlot) IsFree() bool { return s.end == 0 }

// Holds tells whether the item of a slot that is not free may have this hash.
func (s *IndexSlot) Holds(hash uint64) bool { return s.tag == uint32(hash) }

func (x *Index) first(hash uint64) uint {
	// The compiler sees that no shift is too long.
	return uint(hash >> (x.shift & 63))
}
