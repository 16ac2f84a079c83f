package transport

import "github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"

// MaxDrainBytes is what a peer may still send after a final answer, in bytes, before it is let go: enough
// for the rest of a long request, so that a client that sends before it reads comes to read the answer.
const MaxDrainBytes = 16 << 20

// Drained is how draining ended. Whichever it is, the session may be closed now.
type Drained uint8

const (
	// DrainedPeerClosed: the peer closed: it has seen everything.
	DrainedPeerClosed Drained = iota
	// DrainedTooMuch: the peer sent more than it was granted.
	DrainedTooMuch
	// DrainedTimedOut: the peer did not close before the deadline.
	DrainedTimedOut
	// DrainedAborted: the wait was aborted.
	DrainedAborted
)

// drain tells the peer that no more comes, and drops what it still sends until it closes: at most
// maxBytes.
func drain(channel *sys.PacketChannel, maxBytes int, wait *Wait) (Drained, error) {
	channel.FinishSending()
	// The piece of a packet that is looked at; the kernel drops its rest.
	piece := make([]byte, 1)
	for left := maxBytes; ; {
		length, err := channel.Recv(piece, wait)
		switch err {
		case nil:
		case ErrClosed:
			return DrainedPeerClosed, nil
		case ErrTimedOut:
			return DrainedTimedOut, nil
		case ErrAborted:
			return DrainedAborted, nil
		default:
			return DrainedPeerClosed, err
		}
		if left -= length; left < 0 {
			return DrainedTooMuch, nil
		}
		// Packets that are there at once would be taken without a look at the clock.
		if wait.Deadline.HasPassed() {
			return DrainedTimedOut, nil
		}
	}
}
