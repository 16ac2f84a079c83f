package transport

import (
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
)

// Deadline is a point in monotonic time, or never, which is the zero value. It is made once, at the top
// of a logical call, and handed down by value. One that has passed does not stop work that needs no
// waiting: each call tries once first.
type Deadline = sys.Deadline

// Wait says until when a call may wait, and what ends it earlier: an [Abort], at once, or the closing of
// a context's Done, within [CancelSlice]. The zero value waits for ever.
type Wait = sys.Wait

// Abort ends the calls that wait with it, from any goroutine, and refuses later ones until cleared. The
// zero value is ready and not set; it must not be copied.
type Abort = sys.Abort

// CancelSlice is how late the closing of [Wait].Done is noticed at most.
const CancelSlice = sys.CancelSlice

// Never waits for ever.
func Never() Deadline { return sys.Never() }

// After is the point that comes timeout from now.
func After(timeout time.Duration) Deadline { return sys.After(timeout) }

// At is the deadline of a [time.Time]; the zero time is never.
func At(t time.Time) Deadline { return sys.At(t) }

// Until is a wait that only a deadline ends.
func Until(deadline Deadline) Wait { return Wait{Deadline: deadline} }

// DefaultSpinLimit is the longest look of one wait before it sleeps, unless configured.
const DefaultSpinLimit = sys.DefaultSpinLimit

// NeverSpin, as a limit, sleeps at once, always.
const NeverSpin = sys.NeverSpin

// PeerIdentity is the process at the other end, as the kernel recorded it when the connection was made.
type PeerIdentity = sys.PeerIdentity
