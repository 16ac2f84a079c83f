package sys

// PeerIdentity is the process at the other end of a channel, as the kernel vouches for it
// (SO_PEERCRED; on Windows, the process id that the pipe has noted). For an accepted channel: who connected, as
// of that moment. For a connected one: who called listen, or made the pipe. The kernel recorded it then: it is
// no proof that the process still lives.
type PeerIdentity struct {
	// PID is its process id as this process would name it; 0 when it lives in a pid namespace that is
	// not visible from here (another container), or is on another machine.
	PID uint32
	// UID is its effective user id. On Windows, the last part of its user's security identifier, 18 for SYSTEM;
	// the highest number where this process may not know.
	UID uint32
	// GID is its effective group id. On Windows groups have no such number: the highest.
	GID uint32
}
