package main

import (
	"math/bits"
	"time"
)

// How calls are timed: one loop as fast as it goes, one paced by resting. At a high rate only every so
// manieth call is timed; its latency is that of one call in any case.
const (
	// timedPerSecond: more calls than these are not timed each.
	timedPerSecond = 100_000
	// mostCallsPerTiming: however fast calls are, one in so many is timed, and the loop's end is looked at.
	mostCallsPerTiming = 64
	// histogramBits of a latency are kept: off by one in a thousand at most.
	histogramBits = 10
)

// answered is what a client's calls came to so far.
type answered struct{ calls, requests, items uint64 }

// caller is a client that is called again and again, and verifies every answer.
type caller interface {
	// turn is one call. It answers how long that took where that is not the time of the turn itself.
	turn() (time.Duration, error)
	// perTurn is the calls that one turn makes: more where one alone cannot be timed.
	perTurn() int
	// settle takes the answers that are still to come.
	settle() error
	// answered is what all turns so far came to.
	answered() answered
}

// latencies count calls by how long they took, in parts of a nanosecond.
type latencies struct {
	counts [(64 - histogramBits + 1) << histogramBits]uint64
	timed  uint64
	most   uint64
}

// ticksPerNs: calls in process take a few nanoseconds.
const ticksPerNs = 1000

func (l *latencies) record(took time.Duration, calls int) {
	ticks := uint64(max(took, 0)) * ticksPerNs / uint64(calls)
	l.counts[bucketOf(ticks)]++
	l.timed++
	l.most = max(l.most, ticks)
}

// bucketOf is linear below 2^histogramBits, and so many buckets for each power of two above.
func bucketOf(ticks uint64) int {
	power := max(bits.Len64(ticks)-histogramBits, 0)
	if power == 0 {
		return int(ticks)
	}
	return power<<(histogramBits-1) + int(ticks>>power)
}

func valueOf(bucket int) uint64 {
	if bucket < 1<<histogramBits {
		return uint64(bucket)
	}
	power := bucket>>(histogramBits-1) - 1
	return uint64(bucket-power<<(histogramBits-1)) << power
}

func (l *latencies) add(other *latencies) {
	for i, count := range other.counts {
		l.counts[i] += count
	}
	l.timed += other.timed
	l.most = max(l.most, other.most)
}

func (l *latencies) percentileNs(percentile float64) float64 {
	left := uint64(float64(l.timed) * percentile / 100)
	for bucket, count := range l.counts {
		if count > left {
			return float64(min(valueOf(bucket), l.most)) / ticksPerNs
		}
		left -= count
	}
	return float64(l.most) / ticksPerNs
}

// runCalls calls for so long, and takes all answers. rate is of this client alone; zero for as fast as it
// goes. place is which of several clients this is: they call one after the other.
func runCalls(c caller, rate float64, place, places int, long time.Duration, turnsPerTiming int, l *latencies) (time.Duration, error) {
	start := time.Now()
	var err error
	if rate == 0 {
		err = asFastAsItGoes(c, long, turnsPerTiming, l)
	} else {
		err = paced(c, rate, place, places, long, l)
	}
	if err == nil {
		err = c.settle()
	}
	return time.Since(start), err
}

// turnsPerTiming is one turn in how many to time, from what a warm-up came to.
func turnsPerTiming(turns uint64, took time.Duration) int {
	perSecond := float64(turns) / max(took.Seconds(), 1e-9)
	return min(max(int(perSecond/timedPerSecond), 1), mostCallsPerTiming)
}

func asFastAsItGoes(c caller, long time.Duration, turnsPerTiming int, l *latencies) error {
	start := time.Now()
	for now := start; now.Sub(start) < long; {
		before := now
		if turnsPerTiming > 1 {
			for range turnsPerTiming - 1 {
				if _, err := c.turn(); err != nil {
					return err
				}
			}
			before = time.Now()
		}
		own, err := c.turn()
		if err != nil {
			return err
		}
		now = time.Now()
		if own == 0 {
			own = now.Sub(before)
		}
		l.record(own, c.perTurn())
	}
	return nil
}

// paced calls at fixed times, whatever the calls take: late ones follow at once.
func paced(c caller, rate float64, place, places int, long time.Duration, l *latencies) error {
	interval := float64(time.Second) / rate
	start := monotonicNs()
	end := start + uint64(long)
	first := interval * float64(place) / float64(places)
	for count := 0; ; count++ {
		at := start + uint64(first+interval*float64(count))
		if at >= end {
			break
		}
		now := monotonicNs()
		if now >= end && count > 0 {
			// Cannot keep up: the throughput shows it.
			return nil
		}
		if now < at {
			restUntil(at)
		}
		before := time.Now()
		own, err := c.turn()
		if err != nil {
			return err
		}
		if own == 0 {
			own = time.Since(before)
		}
		l.record(own, c.perTurn())
	}
	restUntil(end)
	return nil
}
