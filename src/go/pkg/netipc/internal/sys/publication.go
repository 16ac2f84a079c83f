//go:build linux || windows

package sys

// publication is how far the publication of a message in a region has got. A process can die after each step.
type publication int32

const (
	// copied: the message is in the area; nothing tells of it.
	copied publication = iota
	// measured: its length is written.
	measured
	// numbered: its sequence number is written: a peer that looks finds it.
	numbered
	// signalled: the word that the peer sleeps on has changed; the peer, if it sleeps, still does. (There is no such
	// step where a flag says who sleeps.)
	signalled
	// woken: the peer is awake.
	woken
)

func (p publication) String() string {
	return [...]string{
		copied: "Copied", measured: "Measured", numbered: "Numbered", signalled: "Signalled", woken: "Woken",
	}[p]
}
