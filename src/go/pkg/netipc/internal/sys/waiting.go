package sys

import "time"

// waiting is what one receiving side has learnt of its peer.
type waiting struct {
	spin Spin
	resting
}

func newWaiting(limit time.Duration) waiting {
	return waiting{spin: NewSpin(limit), resting: newResting()}
}
