package sys

import "golang.org/x/sys/unix"

func peerIdentity(fd int) (PeerIdentity, error) {
	credentials, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return PeerIdentity{}, refused("tell who the peer is", err)
	}
	return PeerIdentity{
		PID: uint32(max(0, credentials.Pid)), UID: credentials.Uid, GID: credentials.Gid,
	}, nil
}
