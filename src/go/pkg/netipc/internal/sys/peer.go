package sys

import "os"

// PeerIdentity is the process at the other end of a channel, as the kernel vouches for it
// (SO_PEERCRED). For an accepted channel: who connected, as of that moment. For a connected one: who
// called listen. The kernel recorded it then: it is no proof that the process still lives.
type PeerIdentity struct {
	// PID is its process id as this process would name it; 0 when it lives in a pid namespace that is
	// not visible from here (another container).
	PID uint32
	// UID is its effective user id.
	UID uint32
	// GID is its effective group id.
	GID uint32
}

// RootUID is the user that may do everything.
const RootUID uint32 = 0

// OwnUID is the effective user id of this process: what a peer sees as [PeerIdentity].UID.
func OwnUID() uint32 { return uint32(os.Geteuid()) }
