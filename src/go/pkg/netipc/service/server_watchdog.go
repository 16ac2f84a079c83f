package service

import (
	"sync/atomic"
	"time"
)

// passOnAfter is how long a handler may run on its session's reader, at least, before another goroutine
// becomes the reader; at most twice as long.
const passOnAfter = 5 * time.Millisecond

// watchdog sees to it that a session is read while a handler of it runs for long: its next requests are
// begun, and its client's leaving is noticed.
//
// A reader runs handlers itself, because a hand-over would cost as much as the handler. So somebody else
// has to notice that one takes long. The watchdog looks at the workers while any is at work, and sleeps
// without a timer when none has been for as long as it takes to look twice: an idle server is not woken.
type watchdog struct {
	workers []*worker
	// awake: the timer is set.
	awake atomic.Bool
	timer *time.Timer
	off   atomic.Bool
}

func (d *watchdog) init(workers []*worker) {
	d.workers = workers
	d.timer = time.AfterFunc(time.Hour, d.look)
	d.timer.Stop()
}

// wake is called whenever a reader has begun to run a handler.
func (d *watchdog) wake() {
	if !d.awake.Load() && d.awake.CompareAndSwap(false, true) {
		d.timer.Reset(passOnAfter)
	}
}

// stop is for when no session is left.
func (d *watchdog) stop() {
	d.off.Store(true)
	d.timer.Stop()
}

func (d *watchdog) look() {
	if d.off.Load() {
		return
	}
	if d.lookOnce() {
		d.timer.Reset(passOnAfter)
		return
	}
	d.awake.Store(false)
	// A handler that began before that found the watchdog awake.
	for _, w := range d.workers {
		if w.inlineOf.Load() != nil {
			d.wake()
			return
		}
	}
}

// lookOnce passes the reading on for handlers that ran at the last look already. False when no worker has
// been at work since then.
func (d *watchdog) lookOnce() bool {
	active := false
	for _, w := range d.workers {
		of, turn := w.inlineOf.Load(), w.inlineTurn.Load()
		if of != nil && of == w.seenOf && turn == w.seenTurn && of.handling.CompareAndSwap(turn, 0) {
			of.passOn()
		}
		active = active || of != nil || turn != w.seenTurn
		w.seenOf, w.seenTurn = of, turn
	}
	return active
}
