package sys

import "testing"

// Who comes too late and is counted for a moment makes the one who leaves last believe that somebody is
// still inside: then nobody releases the resource.
func TestWhoIsRefusedIsNeverCounted(t *testing.T) {
	const visits = 2_000_000
	var resource refs
	if !resource.enter() {
		t.Fatal("it is closed from the start")
	}
	if first, release := resource.close(); !first || release {
		t.Fatal("somebody is inside")
	}
	done := make(chan bool)
	go func() {
		refused := true
		for range visits {
			refused = !resource.enter() && refused
		}
		done <- refused
	}()
	for counted := false; ; {
		counted = counted || resource.state.Load() != refsClosed|1
		select {
		case refused := <-done:
			if counted || !refused {
				t.Fatalf("counted: %v, refused: %v", counted, refused)
			}
			if !resource.leave() {
				t.Fatal("nobody releases it")
			}
			return
		default:
		}
	}
}
