//go:build linux || windows

package sys

import (
	"runtime"
	"sync/atomic"
	"testing"
)

func TestLookingFindsAnotherNumberAndNothingElse(t *testing.T) {
	var word uint64
	var message byte
	for _, times := range []uint32{1, 2, memoryLooksPerReading} {
		for _, seen := range []uint64{0, 1, 1 << 32, 1<<64 - 1} {
			storeRelease64(&word, seen)
			if lookAt(&word, seen, &message, times) {
				t.Fatalf("%d is found to be another number", seen)
			}
			for _, other := range []uint64{seen + 1, seen ^ 1<<32, seen ^ 1<<63} {
				storeRelease64(&word, other)
				if !lookAt(&word, seen, &message, times) {
					t.Fatalf("%d is not found to be another number than %d", other, seen)
				}
			}
		}
	}
}

func TestWhoLooksFindsWhatIsStoredMeanwhile(t *testing.T) {
	const messages = 10_000
	var there, back, body uint64
	var message byte
	go func() {
		for number := uint64(1); number <= messages; number++ {
			for !lookAt(&there, number-1, &message, memoryLooksPerReading) {
				runtime.Gosched()
			}
			storeRelease64(&back, atomic.LoadUint64(&body))
		}
	}()
	for number := uint64(1); number <= messages; number++ {
		atomic.StoreUint64(&body, number)
		storeRelease64(&there, number)
		for !lookAt(&back, number-1, &message, memoryLooksPerReading) {
			runtime.Gosched()
		}
		if got := atomic.LoadUint64(&back); got != number {
			t.Fatalf("%d came back for %d", got, number)
		}
	}
}
