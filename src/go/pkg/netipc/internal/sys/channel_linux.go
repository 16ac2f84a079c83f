package sys

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A connected packet socket: one packet out, one packet in.
//
// # A peer that closes
//
// Closing a socket that has unread packets makes the kernel report ECONNRESET at the other end, once,
// before what is still queued there (spec section 6). So:
//
//   - receiving takes that report and reads on: it yields every packet that the peer sent, then
//     [ErrClosed]. There is no "reset" to handle.
//   - the kernel tells of the close, too, where packet and close came while it looked: receiving looks
//     once more.
//   - sending to a peer that closed is [ErrPeerGone]. A client that gets it receives once more before
//     it judges: the server's final answer (a refusal, say) may be queued.
//   - a server that has sent a final answer drains before it lets go, so that the answer is not
//     overtaken at peers that do not read once more.

const (
	// PacketOverheadBytes of SO_SNDBUF are what the kernel keeps for itself in each packet: one packet
	// carries SO_SNDBUF less these (spec section 6).
	PacketOverheadBytes = 32
	// joinedBytes is up to where copying a packet's pieces together costs less than telling the kernel
	// of two.
	joinedBytes = 1024
	// kernelTick is the longest tick of a kernel's clock.
	kernelTick = 10 * time.Millisecond
)

// PacketChannel is a connected AF_UNIX/SOCK_SEQPACKET socket.
//
// Packets keep their boundaries and their order; a packet goes out whole or not at all. One goroutine
// may receive at a time, and one send; everything else may be called by anybody at any time.
type PacketChannel struct {
	refs refs
	fd   int

	recv    socketParker
	waiting waiting
	// What the receiving goroutine's attempt works on while it is parked. An empty buffer only looks.
	recvBuffer []byte
	recvLen    int
	recvErr    error

	send socketParker
	// The same of the sending one.
	sendHead, sendBody []byte
	sendErr            error
	joined             [joinedBytes]byte
}

// newPacketChannel takes a connected, close-on-exec socket.
func newPacketChannel(fd int) (*PacketChannel, error) {
	// Blocking, for the receives that may sleep in the kernel; all others say MSG_DONTWAIT.
	slice := unix.NsecToTimeval(int64(blockingSlice))
	err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &slice)
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, refused("prepare a socket", err)
	}
	c := &PacketChannel{fd: fd}
	c.recv.attempt, c.send.attempt = c.attemptRecv, c.attemptSend
	return c, nil
}

// Send sends one packet, given in two pieces, whole; waits for room as long as wait says. The head may
// not be empty: an empty packet reads as a close at the other end.
//
// The errors are ErrAborted, ErrTimedOut, ErrPeerGone, ErrClosed, PacketTooLongError and SysError;
// nothing was sent then.
func (c *PacketChannel) Send(head, body []byte, wait *Wait) error {
	if !c.refs.enter() {
		return ErrClosed
	}
	defer c.leave()
	if wait.Ended() {
		return ErrAborted
	}
	sent, err := c.trySend(head, body)
	if sent || err != nil {
		return err
	}
	return c.sendSlowly(head, body, wait)
}

// TrySend sends one packet whole if there is room for it now; false if not, and nothing was sent.
func (c *PacketChannel) TrySend(head, body []byte) (bool, error) {
	if !c.refs.enter() {
		return false, ErrClosed
	}
	defer c.leave()
	return c.trySend(head, body)
}

func (c *PacketChannel) trySend(head, body []byte) (bool, error) {
	for {
		var errno syscall.Errno
		switch length := len(head) + len(body); {
		case len(body) == 0:
			errno = rawSend(c.fd, head)
		case length <= len(c.joined):
			copy(c.joined[copy(c.joined[:], head):], body)
			errno = rawSend(c.fd, c.joined[:length])
		default:
			errno = rawSendPieces(c.fd, head, body)
		}
		switch errno {
		case 0:
			// All of it: a packet socket sends no part of a packet.
			return true, nil
		case unix.EAGAIN:
			return false, nil
		case unix.EINTR:
			continue
		case unix.EPIPE, unix.ECONNRESET, unix.ENOTCONN:
			return false, ErrPeerGone
		case unix.EMSGSIZE:
			return false, c.tooLong(len(head) + len(body))
		}
		return false, refused("send a packet", errno)
	}
}

// sendSlowly sleeps until there is room. An abort comes before room, room before the deadline.
func (c *PacketChannel) sendSlowly(head, body []byte, wait *Wait) error {
	if err := c.send.list(c.fd, unix.EPOLLOUT); err != nil {
		return err
	}
	// Room is there again and again, and nobody waits for it.
	defer c.send.unlist(c.fd)
	c.sendHead, c.sendBody, c.sendErr = head, body, nil
	err := c.send.park(wait)
	c.sendHead, c.sendBody = nil, nil
	if err == ErrTimedOut {
		if sent, tried := c.trySend(head, body); sent || tried != nil {
			return tried
		}
	}
	if err != nil {
		return err
	}
	return c.sendErr
}

func (c *PacketChannel) attemptSend(uintptr) bool {
	sent, err := c.trySend(c.sendHead, c.sendBody)
	c.sendErr = err
	return sent || err != nil
}

// Recv receives one packet into buffer, which is not empty, and returns its length, which is never
// zero; waits for one as long as wait says. A packet longer than buffer is consumed, its rest lost; the
// length is its real one all the same.
//
// The errors are ErrAborted, ErrTimedOut, ErrClosed and SysError. What a peer sent before it closed
// comes before ErrClosed.
func (c *PacketChannel) Recv(buffer []byte, wait *Wait) (int, error) {
	if !c.refs.enter() {
		return 0, ErrClosed
	}
	defer c.leave()
	if wait.Ended() {
		return 0, ErrAborted
	}
	return c.await(buffer, wait)
}

// TryRecv receives one packet if one is there now; zero if not. The errors are ErrClosed and SysError.
func (c *PacketChannel) TryRecv(buffer []byte) (int, error) {
	if !c.refs.enter() {
		return 0, ErrClosed
	}
	defer c.leave()
	return c.tryRecv(buffer)
}

// WaitReadable sleeps until there is something to receive, the peer's close included. The errors are
// those of Recv.
func (c *PacketChannel) WaitReadable(wait *Wait) error {
	if !c.refs.enter() {
		return ErrClosed
	}
	defer c.leave()
	if wait.Ended() {
		return ErrAborted
	}
	_, err := c.parkRecv(nil, wait)
	if c.refs.closed() {
		return ErrClosed
	}
	return err
}

func (c *PacketChannel) tryRecv(buffer []byte) (int, error) {
	n, errno := rawRecv(c.fd, buffer, 0)
	return c.received(n, errno, buffer)
}

// received says what a receive came to; zero when there was nothing.
func (c *PacketChannel) received(n int, errno syscall.Errno, buffer []byte) (int, error) {
	wasReset, wasClosed := false, false
	for {
		switch {
		case errno == 0 && n > 0:
			return n, nil
		case errno == 0:
			// The kernel looks for a packet, and then for a close: both may have come in between.
			gone, err := c.peerGone()
			if wasClosed || !gone || err != nil {
				return 0, ErrClosed
			}
			wasClosed = true
		case errno == unix.EAGAIN:
			return 0, nil
		case errno == unix.EINTR:
		case errno == unix.ECONNRESET && !wasReset:
			wasReset = true
		case errno == unix.ECONNRESET:
			return 0, ErrClosed
		default:
			return 0, refused("receive a packet", errno)
		}
		n, errno = rawRecv(c.fd, buffer, 0)
	}
}

// openParkers makes what both directions wait with, for who has the channel before anybody else does. So an answer
// that finds no room, once there are no more descriptors, can wait all the same. Where it failed or was not called,
// each direction makes its own when it waits for the first time, and leaves the other's alone.
func (c *PacketChannel) openParkers() error {
	err := c.recv.open()
	if err == nil {
		err = c.send.open()
	}
	return err
}

// parkRecv sleeps with the poller. An abort comes before a packet, a packet before the deadline.
func (c *PacketChannel) parkRecv(buffer []byte, wait *Wait) (int, error) {
	if err := c.recv.list(c.fd, unix.EPOLLIN); err != nil {
		return 0, err
	}
	c.recvBuffer, c.recvLen, c.recvErr = buffer, 0, nil
	err := c.recv.park(wait)
	c.recvBuffer = nil
	if err == ErrTimedOut {
		// Looked at once more below.
		c.attemptRecvInto(buffer)
		if c.recvLen > 0 || c.recvErr != nil {
			err = nil
		}
	}
	if err != nil {
		return 0, err
	}
	return c.recvLen, c.recvErr
}

func (c *PacketChannel) attemptRecv(uintptr) bool {
	c.attemptRecvInto(c.recvBuffer)
	return c.recvLen > 0 || c.recvErr != nil
}

func (c *PacketChannel) attemptRecvInto(buffer []byte) {
	if buffer != nil {
		c.recvLen, c.recvErr = c.tryRecv(buffer)
		return
	}
	var look [1]byte
	n, errno := rawRecv(c.fd, look[:], unix.MSG_PEEK)
	switch errno {
	case 0:
		// A length of zero is the peer's close, which is something to receive.
		c.recvLen = max(n, 1)
	case unix.EAGAIN, unix.EINTR:
		c.recvLen = 0
	default:
		// A reset was consumed by this look; what is queued behind it shows at the next.
		c.recvLen = 1
	}
}

// PeerGone looks once, without waiting, whether the peer has closed its end. Consumes nothing: packets
// that it sent before can still be received.
func (c *PacketChannel) PeerGone() (bool, error) {
	if !c.refs.enter() {
		return true, nil
	}
	defer c.leave()
	return c.peerGone()
}

func (c *PacketChannel) peerGone() (bool, error) {
	look := [1]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLRDHUP}}
	for {
		_, err := unix.Poll(look[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false, refused("look at a socket", err)
		}
		return look[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLRDHUP) != 0, nil
	}
}

// Peer asks the kernel who is at the other end.
func (c *PacketChannel) Peer() (PeerIdentity, error) {
	if !c.refs.enter() {
		return PeerIdentity{}, ErrClosed
	}
	defer c.leave()
	return peerIdentity(c.fd)
}

// MaxPacketSize is the longest packet that the socket carries, in bytes.
func (c *PacketChannel) MaxPacketSize() (int, error) {
	if !c.refs.enter() {
		return 0, ErrClosed
	}
	defer c.leave()
	return maxPacketSize(c.fd)
}

func maxPacketSize(fd int) (int, error) {
	bytes, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil {
		return 0, refused("tell the size of the send buffer", err)
	}
	return max(0, bytes-PacketOverheadBytes), nil
}

func (c *PacketChannel) tooLong(length int) error {
	most, err := maxPacketSize(c.fd)
	if err != nil {
		return err
	}
	return &PacketTooLongError{Len: length, Max: most}
}

// FinishSending sends no more: the peer receives what was sent and then the close, and may still send.
func (c *PacketChannel) FinishSending() { c.shut(unix.SHUT_WR) }

// Shutdown closes the connection in both directions while the descriptor stays: those who wait return,
// in any goroutine. The peer receives what was sent and then the close.
func (c *PacketChannel) Shutdown() { c.shut(unix.SHUT_RDWR) }

func (c *PacketChannel) shut(how int) {
	if !c.refs.enter() {
		return
	}
	defer c.leave()
	// Its only failure is that the peer has left already.
	_ = unix.Shutdown(c.fd, how)
}

// Close closes the connection; the peer still gets what was sent. Those who wait return. It may be
// called from any goroutine, any number of times.
func (c *PacketChannel) Close() error {
	if c.refs.enter() {
		// Closed below, but not before those who are inside have left: this wakes them.
		defer c.leave()
	}
	first, _ := c.refs.close()
	if first && c.refs.state.Load()&^refsClosed > 1 {
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	}
	return nil
}

func (c *PacketChannel) leave() {
	if c.refs.leave() {
		c.recv.close()
		c.send.close()
		_ = unix.Close(c.fd)
	}
}
