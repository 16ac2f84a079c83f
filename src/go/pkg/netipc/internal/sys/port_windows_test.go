package sys

import (
	"runtime"
	"testing"
)

// What the port tells of an operation may come when its channel is gone, and the collector has its memory.
func TestTheCollectorIsShownNothingThatIsGone(t *testing.T) {
	const rounds, atOnce = 200, 100
	// There is a port from the first listener on.
	channels(t)
	port.mu.Lock()
	handle := port.handle
	port.mu.Unlock()
	address := freedAddress()
	for range rounds {
		for range atOnce {
			if err := postStale(handle, 0, address); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
	}
}
