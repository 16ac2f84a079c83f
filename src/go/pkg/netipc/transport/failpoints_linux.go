//go:build failpoints

package transport

import "github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"

// DieAfter is for tests, and there only where they build with the tag failpoints: this process kills itself in its
// first publication through shared memory from now on that gets to this step, which is one of Copied, Measured,
// Numbered, Signalled and Woken.
func DieAfter(step string) error { return sys.DieAfter(step) }
