package main

import (
	"testing"
	"time"
)

func TestAProviderFindsWhatIsKnownAndNothingElse(t *testing.T) {
	all := things(300, "mixed", 0)
	for i := range all {
		thing := &all[i]
		wanted := thing
		if !thing.known {
			wanted = nil
		}
		byPath, byPID, byIP := ofPath(all, []byte(thing.path)), ofPID(all, thing.pid), ofIP(all, []byte(thing.ip))
		if byPath != wanted || byPID != wanted || byIP != wanted {
			t.Fatalf("%s is found as %v, %v, %v", thing.path, byPath, byPID, byIP)
		}
		if len(thing.path) != 27 || len(thing.name) != 10 || len(thing.comm) > 15 {
			t.Fatalf("%+v", thing)
		}
	}
	if ofPath(all, []byte("/system.slice/docker-00000x")) != nil || ofPath(all, []byte("/system.slice/docker-000300")) != nil {
		t.Fatal("nobody is found")
	}
}

func TestLatenciesAreOffByOneInAThousandAtMost(t *testing.T) {
	for value := uint64(1); value < 1<<60; value = value*3 + 1 {
		back := valueOf(bucketOf(value))
		if back > value || float64(value-back) > float64(value)/500 {
			t.Errorf("%d is counted as %d", value, back)
		}
	}
	l := &latencies{}
	for i := range 1000 {
		l.record(time.Duration(i+1)*time.Microsecond, 1)
	}
	for percentile, want := range map[float64]float64{50: 501_000, 99: 991_000, 99.9: 1_000_000} {
		if got := l.percentileNs(percentile); got < want*0.997 || got > want*1.003 {
			t.Errorf("%v %%: %v, want %v", percentile, got, want)
		}
	}
}

func TestRandomCountsAreWithinTheirBoundsAndReachThem(t *testing.T) {
	r := newRandom(0)
	seen := map[int]bool{}
	for range 10_000 {
		seen[r.upTo(10)] = true
	}
	if len(seen) != 10 || seen[0] || seen[11] {
		t.Errorf("%v", seen)
	}
}
