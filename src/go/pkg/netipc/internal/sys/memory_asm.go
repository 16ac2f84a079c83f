//go:build amd64 || arm64

package sys

// lookAt looks at word so many times until it holds something else than seen: true then. Each time it fetches the
// line of message as well, so that who finds the one need not wait for the other; and in between it tells the CPU
// that this is a loop that waits for memory: it saves power, leaves the core to its twin, and leaves the loop
// without the penalty of having speculated.
//
//go:noescape
func lookAt(word *uint64, seen uint64, message *byte, times uint32) bool

// storeRelease32 stores value: whoever finds it, by an atomic load, finds all that this goroutine stored before.
// Unlike an atomic store it does not wait until nobody else has the line.
//
//go:noescape
func storeRelease32(word *uint32, value uint32)

// storeRelease64 is the same for 64 bits.
//
//go:noescape
func storeRelease64(word *uint64, value uint64)
