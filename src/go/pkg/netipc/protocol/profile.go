package protocol

import (
	"fmt"
	"math/bits"
)

// Profiles is a set of profiles, as bits: the ways in which two peers can move messages after the
// handshake (spec section 4). Bits that this version does not know are carried and never selected.
type Profiles uint32

const (
	// ProfilesBaseline is the socket or pipe on which the handshake travels; always there.
	ProfilesBaseline Profiles = 0x01
	// ProfilesShmHybrid is shared memory, waiting in the kernel.
	ProfilesShmHybrid Profiles = 0x02
	// ProfilesShmBusywait, on Windows, is shared memory that never waits in the kernel. On POSIX it is
	// reserved: peers in the field offer it and mean [ProfilesShmHybrid].
	ProfilesShmBusywait Profiles = 0x04
	// ProfilesReserved is reserved on every platform.
	ProfilesReserved Profiles = 0x08
	// ProfilesExtensions are bits that are ours; a peer that lacks them never selects them.
	ProfilesExtensions Profiles = ^Profiles(0x0F)
	// ProfilesSharedMemory are those that need a shared region.
	ProfilesSharedMemory = ProfilesShmHybrid | ProfilesShmBusywait
)

// Contains tells whether every profile of other is in this set.
func (p Profiles) Contains(other Profiles) bool { return p&other == other }

// Without is this set without the profiles of other.
func (p Profiles) Without(other Profiles) Profiles { return p &^ other }

// Highest is the highest bit of the set; false for an empty one.
func (p Profiles) Highest() (Profile, bool) {
	if p == 0 {
		return 0, false
	}
	return Profile(1) << (bits.Len32(uint32(p)) - 1), true
}

// Single is the one profile of a set of exactly one; false for any other.
func (p Profiles) Single() (Profile, bool) {
	if bits.OnesCount32(uint32(p)) != 1 {
		return 0, false
	}
	return Profile(p), true
}

// String is the bits in hexadecimal.
func (p Profiles) String() string { return fmt.Sprintf("0x%02x", uint32(p)) }

// Profile is exactly one profile, as its bit: that of a session.
type Profile uint32

const (
	// ProfileBaseline is [ProfilesBaseline] as that of a session.
	ProfileBaseline = Profile(ProfilesBaseline)
	// ProfileShmHybrid is [ProfilesShmHybrid] as that of a session.
	ProfileShmHybrid = Profile(ProfilesShmHybrid)
	// ProfileShmBusywait is [ProfilesShmBusywait] as that of a session.
	ProfileShmBusywait = Profile(ProfilesShmBusywait)
)

// IsSharedMemory tells whether the profile needs a shared region.
func (p Profile) IsSharedMemory() bool { return Profiles(p)&ProfilesSharedMemory != 0 }

// String is what to call the profile in status and logs.
func (p Profile) String() string {
	switch {
	case p == ProfileBaseline:
		return "baseline"
	case p == ProfileShmHybrid:
		return "shm-hybrid"
	case p == ProfileShmBusywait:
		return "shm-busywait"
	case Profiles(p)&ProfilesExtensions != 0:
		return "extension"
	}
	return "reserved"
}

// Platform says which profiles a platform may offer or select at all (spec section 4). It is data,
// not a build tag: the rules of every platform are tested on every platform.
type Platform struct {
	// Valid is what may be offered or selected.
	Valid Profiles
}

var (
	// PlatformPosix is any Unix with seqpacket sockets and the shared-memory transport: Linux.
	PlatformPosix = Platform{Valid: ProfilesBaseline | ProfilesShmHybrid}
	// PlatformPosixBaseline is a Unix without the shared-memory transport.
	PlatformPosixBaseline = Platform{Valid: ProfilesBaseline}
	// PlatformWindows is Windows.
	PlatformWindows = Platform{Valid: ProfilesBaseline | ProfilesShmHybrid | ProfilesShmBusywait}
)

// Supported is the set to offer or support, from a configured one: zero means the baseline alone, the
// baseline is always there, and what the platform does not have is left out.
func (p Platform) Supported(configured Profiles) Profiles {
	return configured&p.Valid | ProfilesBaseline
}
