//go:build !windows

package sys

import "os"

// rootUID is the user that may do everything.
const rootUID uint32 = 0

// OwnUID is the effective user id of this process: what a peer sees as [PeerIdentity].UID.
func OwnUID() uint32 { return uint32(os.Geteuid()) }

// IsOwnOrPrivileged tells whether it is this process's user, or one that may do everything here anyway.
func (p PeerIdentity) IsOwnOrPrivileged() bool { return p.UID == OwnUID() || p.UID == rootUID }
