//go:build failpoints

package sys

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// For tests alone (build tag failpoints): lets this process die between two steps of a publication, as one that
// is killed there does.

// nowhere is no step.
const nowhere publication = -1

// dieAfter is the step after which to die.
var dieAfter atomic.Int32

func init() { dieAfter.Store(int32(nowhere)) }

// DieAfter kills this process (SIGKILL: nothing is cleaned up) in its first publication from now on that gets to this
// step: Copied, Measured, Numbered, Signalled or Woken.
func DieAfter(step string) error {
	for at := copied; at <= woken; at++ {
		if at.String() == step {
			dieAfter.Store(int32(at))
			return nil
		}
	}
	return fmt.Errorf("there is no step %s", step)
}

func reached(step publication) {
	if publication(dieAfter.Load()) != step {
		return
	}
	_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
	// The signal may find another thread first; nothing goes on here.
	select {}
}
