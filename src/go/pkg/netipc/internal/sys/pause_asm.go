//go:build amd64 || arm64

package sys

// cpuPause tells the CPU that this is a loop that waits for memory: it saves power, leaves the core to
// its twin, and leaves the loop without the penalty of having speculated.
//
//go:noescape
func cpuPause()
