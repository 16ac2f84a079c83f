package sys

import (
	"sync"

	"golang.org/x/sys/windows"
)

// Who may open what this process makes: its own user, SYSTEM, and administrators (spec section 8). And which
// users processes belong to.

// unknownUID is the number of a user that could not be found out.
const unknownUID uint32 = 1<<32 - 1

// security is what is given to the system with everything that has a name.
var security = sync.OnceValues(func() (*windows.SecurityAttributes, error) {
	const operation = "say who may connect"
	user, err := sidOf(windows.CurrentProcess())
	if err != nil {
		return nil, refused(operation, err)
	}
	// Protected from what would be inherited: all rights to SYSTEM, administrators, the own user.
	descriptor, err := windows.SecurityDescriptorFromString("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;" + user.String() + ")")
	if err != nil {
		return nil, refused(operation, err)
	}
	return attributesOf(descriptor), nil
})

var ownUID = sync.OnceValue(func() uint32 { return uidOf(windows.CurrentProcess()) })

// OwnUID is the number of this process's user: the last part of its security identifier, which tells users of
// one machine or domain apart. What a peer sees as [PeerIdentity].UID.
func OwnUID() uint32 { return ownUID() }

// IsOwnOrPrivileged tells whether it is this process's user, or one that may do everything here anyway. Nobody
// else can open a pipe that this library has made: the system has looked at that when the peer connected.
func (p PeerIdentity) IsOwnOrPrivileged() bool { return true }

// uidOfProcess is the number of the user of a process, if this one may know.
func uidOfProcess(pid uint32) uint32 {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return unknownUID
	}
	defer closeHandle(process)
	return uidOf(process)
}

// uidOf is that of S-1-5-21-…-1001: the number is the last part.
func uidOf(process windows.Handle) uint32 {
	user, err := sidOf(process)
	if err != nil || user.SubAuthorityCount() == 0 {
		return unknownUID
	}
	return user.SubAuthority(uint32(user.SubAuthorityCount()) - 1)
}

// sidOf is the security identifier of the user of a process, which is open for queries.
func sidOf(process windows.Handle) (*windows.SID, error) {
	var token windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token); err != nil {
		return nil, err
	}
	defer token.Close()
	user, err := token.GetTokenUser()
	if err != nil {
		return nil, err
	}
	return user.User.Sid.Copy()
}

// closeHandle: its only failure would be a handle that is none.
func closeHandle(handle windows.Handle) {
	if handle != 0 {
		_ = windows.CloseHandle(handle)
	}
}
