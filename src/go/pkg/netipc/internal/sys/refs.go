package sys

import "sync/atomic"

// refs counts who uses a resource, so that closing it from another goroutine never pulls it away under
// a system call: the number of a closed descriptor is soon another file's.
type refs struct{ state atomic.Int32 }

const (
	// refsClosed: nobody new may come in.
	refsClosed int32 = 1 << 30
	// refsReleased: nobody is in, and the resource was released, once.
	refsReleased int32 = 1 << 29
	// refsSending and refsReceiving: one of those inside sends, or receives, and nobody else may.
	refsSending   int32 = 1 << 28
	refsReceiving int32 = 1 << 27
)

// enter is false once closing has begun; otherwise leave must follow.
func (r *refs) enter() bool {
	// Never counted and taken back: he who leaves last in between would see somebody inside, and nobody
	// would release the resource.
	for {
		state := r.state.Load()
		if state&refsClosed != 0 {
			return false
		}
		if r.state.CompareAndSwap(state, state+1) {
			return true
		}
	}
}

// enterAs is the same for the only one inside who does what the flag says: ErrClosed, or ErrRegionBusy where
// somebody else does. Otherwise leaveAs must follow.
func (r *refs) enterAs(flag int32) error {
	for {
		state := r.state.Load()
		switch {
		case state&refsClosed != 0:
			return ErrClosed
		case state&flag != 0:
			return ErrRegionBusy
		case r.state.CompareAndSwap(state, (state+1)|flag):
			return nil
		}
	}
}

func (r *refs) leaveAs(flag int32) bool {
	return r.state.Add(-1-flag) == refsClosed && r.release()
}

// leave is true for the one who must release the resource.
func (r *refs) leave() bool {
	return r.state.Add(-1) == refsClosed && r.release()
}

// close keeps everybody out from now on. The first result is false if that was so already; the second
// is true if the caller must release the resource now, and false if whoever leaves last will.
func (r *refs) close() (first, release bool) {
	for {
		state := r.state.Load()
		if state&refsClosed != 0 {
			return false, false
		}
		if r.state.CompareAndSwap(state, state|refsClosed) {
			return true, state == 0 && r.release()
		}
	}
}

// closed tells whether closing has begun.
func (r *refs) closed() bool { return r.state.Load()&refsClosed != 0 }

func (r *refs) release() bool {
	return r.state.CompareAndSwap(refsClosed, refsClosed|refsReleased)
}
