package payload

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"testing"
)

// An item of these tests is a number of 8 bytes and a name: its identity is both.
func testItem(number uint64, name string) []byte {
	return append(binary.NativeEndian.AppendUint64(nil, number), name...)
}

// testTable is an index of items, and how often two of them were compared while it was made.
type testTable struct {
	index    Index
	items    [][]byte
	compared int
}

func newTestTable(t *testing.T, items [][]byte) *testTable {
	t.Helper()
	length := DirectoryLen(0, len(items))
	for _, item := range items {
		length = AddElementLen(length, len(item))
	}
	var writer DirectoryWriter
	if err := writer.Reset(make([]byte, length), 0, len(items)); err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		writer.Add(copy(writer.Room(), item))
	}
	count, length, err := writer.Finish("items")
	if err != nil {
		t.Fatal(err)
	}
	directory, err := CheckDirectory(writer.out[:length], 0, count, false)
	if err != nil {
		t.Fatal(err)
	}
	table := &testTable{items: items}
	identities := testIdentities
	identities.Same = func(a, b []byte) bool {
		table.compared++
		return string(a) == string(b)
	}
	table.index = NewIndex(directory, &identities)
	return table
}

var testIdentities = Identities{
	Quick: func(item []byte) uint64 { return MixQuick(0, binary.NativeEndian.Uint64(item)) },
	Seeded: func(seed HashSeed, item []byte) uint64 {
		return FinishHash(MixText(MixHash(BeginHash(seed), binary.NativeEndian.Uint64(item)), item[8:]))
	},
}

// find searches as generated code does. It answers the item's place as well, 0 if there is none.
func (table *testTable) find(item []byte) (start uint32, found bool) {
	index := &table.index
	hash := testIdentities.Quick(item)
	if record := index.Nearest(hash); len(record) != 0 && string(record) == string(item) {
		return index.slots[index.first(hash)].start, true
	}
	if seed, seeded := index.Seed(); seeded {
		hash = testIdentities.Seeded(seed, item)
	}
	for at, end := index.Probe(hash); at != end; at++ {
		slot := index.Slot(at)
		if slot.IsFree() {
			break
		}
		if slot.Holds(hash) && string(index.Record(slot)) == string(item) {
			return slot.start, true
		}
	}
	return 0, false
}

func (table *testTable) check(t *testing.T, seeded bool) {
	t.Helper()
	if table.index.seeded != seeded {
		t.Fatalf("%d items: seeded is %v", len(table.items), table.index.seeded)
	}
	if table.index.probes > mostProbes {
		t.Fatalf("%d items: %d probes", len(table.items), table.index.probes)
	}
	if most := 4*len(table.items) + fewSteps; table.compared > most {
		t.Fatalf("%d items: %d comparisons", len(table.items), table.compared)
	}
	for _, item := range table.items {
		if _, found := table.find(item); !found {
			t.Fatalf("%q of %d items is lost", item, len(table.items))
		}
	}
	if _, found := table.find(testItem(0, "nobody")); found {
		t.Fatal("what is not there is found")
	}
}

// inverseOfGolden undoes the multiplication, by Newton's method: each step doubles the right bits.
func inverseOfGolden() uint64 {
	inverse := uint64(golden)
	for range 6 {
		inverse *= 2 - golden*inverse
	}
	return inverse
}

// numbersOfOneSlot are numbers that any table looks for in its first slot.
func numbersOfOneSlot(count int) []uint64 {
	numbers := make([]uint64, count)
	for i := range numbers {
		numbers[i] = uint64(i) * inverseOfGolden()
	}
	return numbers
}

func TestAnIndexOfNothingFindsNothing(t *testing.T) {
	newTestTable(t, nil).check(t, false)
	(&testTable{}).check(t, false)
}

func TestAnIndexFindsEveryNumberOfItemsAndNothingElse(t *testing.T) {
	for _, count := range []int{1, 2, 3, 5, 6, 16, 17, 100, 10_000} {
		var near, scattered [][]byte
		for i := range uint64(count) {
			near = append(near, testItem(i, "a"))
			scattered = append(scattered, testItem(i*0x0100_0193&0xFFFF_FFFF, "a"))
		}
		newTestTable(t, scattered).check(t, false)
		table := newTestTable(t, near)
		table.check(t, false)
		for i := range uint64(count) {
			for _, other := range [][]byte{testItem(i+uint64(count), "a"), testItem(i, "b")} {
				if _, found := table.find(other); found {
					t.Fatalf("%q is found", other)
				}
			}
		}
	}
}

func TestOfItemsWithOneIdentityTheFirstIsFoundAndTheRestCostNothing(t *testing.T) {
	items := make([][]byte, 10_000)
	for i := range items {
		items[i] = testItem(7, "a")
	}
	items = append(items, testItem(7, "b"))
	table := newTestTable(t, items)
	table.check(t, false)
	first := uint32(DirectoryLen(0, len(items)))
	if start, _ := table.find(items[0]); start != first {
		t.Fatalf("the item at byte %d is found, not the first at %d", start, first)
	}
}

func TestWhatLiesNearestIsAnItemOfThatHashOrNothing(t *testing.T) {
	for _, index := range []*Index{{}, &newTestTable(t, [][]byte{testItem(1<<63, "a")}).index} {
		// A free slot has the tag of this hash.
		if record := index.Nearest(0); len(record) != 0 {
			t.Fatalf("%q lies in a free slot", record)
		}
	}
	for _, count := range []int{16, 100, 1000, 10_000} {
		items := make([][]byte, count)
		for i := range items {
			// Hashes as those make them who know of one multiplication: by Knuth's factor.
			items[i] = testItem(uint64(uint32(i)*2_654_435_761), "a")
		}
		index, near := &newTestTable(t, items).index, 0
		for _, item := range items {
			hash := testIdentities.Quick(item)
			if record := index.Nearest(hash); string(record) == string(item) {
				near++
			} else if len(record) != 0 && uint32(testIdentities.Quick(record)) != uint32(hash) {
				t.Fatalf("%q lies nearest to %q", record, item)
			}
		}
		if least := count * 4 / 5; near < least {
			t.Fatalf("%d of %d items lie where they are looked for first", near, count)
		}
	}
}

func TestItemsOfOneNumberCostNoMoreThanOthers(t *testing.T) {
	var items [][]byte
	for i := range 20_000 {
		items = append(items, testItem(0, fmt.Sprint(i)))
	}
	newTestTable(t, items).check(t, true)
}

func TestNumbersThatAreChosenToCollideCostNoMoreThanOthers(t *testing.T) {
	for _, count := range []int{17, 1000} {
		var items [][]byte
		for _, number := range numbersOfOneSlot(count) {
			items = append(items, testItem(number, "a"))
		}
		newTestTable(t, items).check(t, true)
	}
}

func TestAFewThatCollideAreKeptNear(t *testing.T) {
	// Few enough for the steps of all, but too far for one.
	var items [][]byte
	for _, number := range numbersOfOneSlot(mostProbes + 1) {
		items = append(items, testItem(number, "a"))
	}
	for i := range uint64(10_000) {
		items = append(items, testItem(1<<32+i, "a"))
	}
	newTestTable(t, items).check(t, true)
}

func TestASearchGoesNoFartherThanTheFarthestItem(t *testing.T) {
	// Each in its own slot, one beside the other: a run without a free slot, as long as there are items.
	const count = 1000
	shift := uint8(64 - bits.Len(slotsPerItem*count-1))
	var items [][]byte
	for slot := range uint64(count) {
		items = append(items, testItem(slot<<shift*inverseOfGolden(), "a"))
	}
	table := newTestTable(t, items)
	table.check(t, false)
	if at, end := table.index.Probe(0); end-at != 1 {
		t.Fatalf("%d slots are searched, the first at %d", end-at, at)
	}
}
