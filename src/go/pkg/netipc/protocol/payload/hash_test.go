package payload

import (
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestATextHashesAsItsBytesDoAndAsNothingElse(t *testing.T) {
	seed := NewHashSeed()
	seen := map[uint64]string{}
	check := func(text string) {
		t.Helper()
		hash := MixText(BeginHash(seed), text)
		if other, found := seen[hash]; found && other != text {
			t.Fatalf("%q and %q have one hash", text, other)
		}
		seen[hash] = text
		if MixText(BeginHash(seed), []byte(text)) != hash || MixText(BeginHash(seed), StringView(text)) != hash {
			t.Fatalf("%q hashes otherwise as bytes", text)
		}
	}
	for length := range 70 {
		base := strings.Repeat("x", length)
		check(base)
		// Every byte counts.
		for at := range length {
			check(base[:at] + "y" + base[at+1:])
		}
	}
	if other := NewHashSeed(); other == seed || MixText(BeginHash(other), "a") == MixText(BeginHash(seed), "a") {
		t.Fatal("the seed does not count")
	}
}

func TestEachBitOfATextChangesHalfOfTheHash(t *testing.T) {
	changed, changes := 0, 0
	for _, length := range []int{1, 3, 5, 8, 13, 16, 17, 40} {
		text := []byte(strings.Repeat("k", length))
		hash := MixText(1, text)
		for bit := range 8 * length {
			text[bit/8] ^= 1 << (bit % 8)
			changed += bits.OnesCount64(hash ^ MixText(1, text))
			changes++
			text[bit/8] ^= 1 << (bit % 8)
		}
	}
	if average := float64(changed) / float64(changes); average < 24 || average > 40 {
		t.Fatalf("%v of 64 bits change", average)
	}
}

func TestNumbersThatFollowOneAnotherSpread(t *testing.T) {
	const places, each = 1 << 10, 16
	// A place of 16 on average that has 64 does not come by chance.
	const most = 4 * each
	seeds := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		seed := HashSeed(seeds.Uint64())
		for _, stride := range []uint64{1, 8, 4096, 1 << 32} {
			var low, high [places]int
			for i := range uint64(places * each) {
				hash := FinishHash(MixHash(BeginHash(seed), i*stride))
				low[hash%places]++
				high[hash>>32%places]++
			}
			for place := range places {
				if low[place] > most || high[place] > most {
					t.Fatalf("seed %x, stride %d: %d and %d in place %d", seed, stride, low[place], high[place], place)
				}
			}
		}
	}
}
