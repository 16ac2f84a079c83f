package payload_test

import (
	"hash/maphash"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

func TestHashesDependOnEveryFieldAndOnTheSeed(t *testing.T) {
	const numbers, buckets = 1 << 14, 1 << 10
	seen := map[uint64]bool{}
	for _, seed := range []maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()} {
		var full [2][buckets]int
		begin := payload.BeginHash(seed)
		for number := range uint64(numbers) {
			hash := payload.MixHash(begin, number)
			seen[hash] = true
			// Tables take places from the low half, and tags from the high one.
			full[0][hash%buckets]++
			full[1][hash>>32%buckets]++
			if payload.MixHash(payload.MixHash(begin, number), 1) == payload.MixHash(payload.MixHash(begin, 1), number) && number != 1 {
				t.Fatalf("the order of fields does not matter for %d", number)
			}
		}
		for half := range full {
			for bucket, count := range full[half] {
				// 16 a bucket on average.
				if count > 64 {
					t.Fatalf("half %d: %d hashes in bucket %d", half, count, bucket)
				}
			}
		}
	}
	if len(seen) != 2*numbers {
		t.Fatalf("%d hashes of %d", len(seen), 2*numbers)
	}
}
