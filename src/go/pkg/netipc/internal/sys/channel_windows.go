package sys

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// A connected pipe of message type: one packet out, one packet in, each a message (spec section 8).
//
// # A peer that closes
//
// What it had sent is received first, then [ErrClosed]. Sending to it is [ErrPeerGone]. A pipe has no half that
// could be closed by itself: a peer that is to leave after a last answer leaves because that says so, or because
// this end closes.

const (
	// PacketOverheadBytes of a pipe's buffers are what the system keeps for itself in each packet.
	PacketOverheadBytes = 0
	// maxPacketBytes is the longest packet, and the buffers of a pipe in each direction (spec section 8).
	maxPacketBytes = 65_536
	// joinedBytes is up to where a packet's pieces are put together within the channel. Longer ones borrow
	// memory: a message is written in one piece.
	joinedBytes = 1024
	// restBytes are what is read at once of the rest of a packet that had no room.
	restBytes = 4096
)

// packetMemory is lent to those who send a long packet.
var packetMemory = sync.Pool{New: func() any { return new([maxPacketBytes]byte) }}

// restMemory is where the rests of packets go that nobody has room for.
var restMemory = sync.Pool{New: func() any { return new([restBytes]byte) }}

// PacketChannel is a connected named pipe.
//
// Packets keep their boundaries and their order; a packet goes out whole or not at all. One goroutine
// may receive at a time, and one send; everything else may be called by anybody at any time.
type PacketChannel struct {
	refs refs
	// fileMu: who uses the file keeps whoever closes from closing it for that moment. Zero once closed.
	fileMu sync.RWMutex
	file   windows.Handle
	// number is that at the completion port; zero for a client's.
	number uintptr
	// door is the listener whose instance this is, until a client has it.
	door atomic.Pointer[Listener]

	recv    operation
	waiting waiting
	// emptied: the peer has sent an empty message, which means the same as closing its end.
	emptied atomic.Bool

	send   operation
	joined [joinedBytes]byte
	// lent is what a long packet that is being sent lies in.
	lent *[maxPacketBytes]byte
}

// newClientChannel takes a pipe that this process has opened.
func newClientChannel(file windows.Handle) (*PacketChannel, error) {
	c := &PacketChannel{file: file}
	err := c.recv.initEvents()
	if err == nil {
		err = c.send.initEvents()
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// newServerChannel takes an instance of a pipe that this process has made, before anybody has connected.
func newServerChannel(file windows.Handle, door *Listener) (*PacketChannel, error) {
	c := &PacketChannel{file: file}
	c.door.Store(door)
	c.recv.initTold()
	c.send.initTold()
	number, err := port.add(file, c)
	if err != nil {
		closeHandle(file)
		return nil, err
	}
	c.number = number
	return c, nil
}

// SpinAtMost sets how long a wait may look before it sleeps: until it is called, none does. Before the
// first receive.
func (c *PacketChannel) SpinAtMost(limit time.Duration) { c.waiting = newWaiting(limit) }

// Send sends one packet, given in two pieces, whole; waits for room as long as wait says. The head may
// not be empty: an empty packet reads as a close at the other end.
//
// The errors are ErrAborted, ErrTimedOut, ErrPeerGone, ErrClosed, PacketTooLongError and SysError;
// nothing was sent then.
func (c *PacketChannel) Send(head, body []byte, wait *Wait) error {
	if err := checkLen(head, body); err != nil {
		return err
	}
	if !c.refs.enter() {
		return ErrClosed
	}
	defer c.leave()
	if wait.Ended() {
		return ErrAborted
	}
	// After what was begun before it.
	if err := c.send.await(wait); err != nil {
		return err
	}
	for {
		errno, err := c.transfer(&c.send, c.join(head, body), beginWrite, wait)
		c.giveBack()
		if err == nil && errno == windows.ERROR_OPERATION_ABORTED && !c.refs.closed() {
			continue
		}
		if err != nil {
			return err
		}
		return c.sent(errno)
	}
}

// TrySend sends one packet whole if there is room for it now; false if not, and nothing was sent. There is
// room unless the packet before it still waits for the peer.
func (c *PacketChannel) TrySend(head, body []byte) (bool, error) {
	if err := checkLen(head, body); err != nil {
		return false, err
	}
	if !c.refs.enter() {
		return false, ErrClosed
	}
	defer c.leave()
	if c.send.isPending() {
		return false, nil
	}
	c.giveBack()
	if ended, errno := c.begin(&c.send, c.join(head, body), beginWrite); ended {
		c.giveBack()
		err := c.sent(errno)
		return err == nil, err
	}
	return true, nil
}

func checkLen(head, body []byte) error {
	if length := len(head) + len(body); length > maxPacketBytes {
		return &PacketTooLongError{Len: length, Max: maxPacketBytes}
	}
	return nil
}

// join puts a packet together, for one who sends alone, where nothing is being sent.
func (c *PacketChannel) join(head, body []byte) []byte {
	memory := c.joined[:]
	if len(head)+len(body) > len(memory) {
		if c.lent == nil {
			c.lent = packetMemory.Get().(*[maxPacketBytes]byte)
		}
		memory = c.lent[:]
	}
	length := copy(memory, head)
	return memory[:length+copy(memory[length:], body)]
}

// giveBack gives lent memory back, which the system has no use for any more.
func (c *PacketChannel) giveBack() {
	if c.lent != nil {
		packetMemory.Put(c.lent)
		c.lent = nil
	}
}

func beginWrite(o *operation, file windows.Handle) error {
	return windows.WriteFile(file, o.bytes, &o.moved, &o.record)
}

func beginRead(o *operation, file windows.Handle) error {
	return windows.ReadFile(file, o.bytes, &o.moved, &o.record)
}

func (c *PacketChannel) sent(errno syscall.Errno) error {
	switch {
	case errno == 0:
		return nil
	case c.refs.closed():
		return ErrClosed
	case meansGone(errno):
		return ErrPeerGone
	}
	return refused("send a packet", errno)
}

// begin begins an operation: true if it has ended already.
func (c *PacketChannel) begin(
	o *operation, bytes []byte, start func(*operation, windows.Handle) error,
) (ended bool, errno syscall.Errno) {
	c.fileMu.RLock()
	defer c.fileMu.RUnlock()
	if c.file == 0 {
		return true, windows.ERROR_OPERATION_ABORTED
	}
	return o.begin(bytes, c.file, start)
}

// cancel asks the system to end an operation, unless it has ended, or the channel is closed, which does the same.
func (c *PacketChannel) cancel(o *operation) {
	c.fileMu.RLock()
	defer c.fileMu.RUnlock()
	if c.file != 0 {
		_ = windows.CancelIoEx(c.file, &o.record)
	}
}

// transfer does one operation, and waits for its end as long as wait says. The errors are those of waiting, and
// mean that it was not done.
func (c *PacketChannel) transfer(
	o *operation, bytes []byte, start func(*operation, windows.Handle) error, wait *Wait,
) (syscall.Errno, error) {
	ended, errno := c.begin(o, bytes, start)
	if ended {
		return errno, nil
	}
	givenUp := o.await(wait)
	if givenUp != nil {
		c.cancel(o)
		o.untilEnded()
	}
	errno = o.result()
	if errno != windows.ERROR_OPERATION_ABORTED {
		// It has ended by itself, before it was cancelled.
		givenUp = nil
	}
	return errno, givenUp
}

// meansGone: there is no peer (any more).
func meansGone(errno syscall.Errno) bool {
	switch errno {
	case windows.ERROR_BROKEN_PIPE, windows.ERROR_NO_DATA, windows.ERROR_PIPE_NOT_CONNECTED:
		return true
	}
	return false
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
	if c.waiting.spin.mayBegin() {
		if n, err := c.look(buffer); n > 0 || err != nil {
			return n, err
		}
	}
	for given := (turns{}); c.waiting.spin.giveTurn(&given); {
		if n, err := c.tryRecv(buffer); n > 0 || err != nil {
			c.waiting.spin.metInTurn(&given)
			return n, err
		}
	}
	return c.read(buffer, wait)
}

// look looks for a packet for as long as the spin allows. Zero when nothing came.
func (c *PacketChannel) look(buffer []byte) (int, error) {
	// What is there already says nothing of waiting.
	if n, err := c.tryRecv(buffer); n > 0 || err != nil {
		return n, err
	}
	spin := &c.waiting.spin
	for l := spin.begin(); ; {
		for range systemLooksPerReading {
			if n, err := c.tryRecv(buffer); n > 0 || err != nil {
				spin.found(&l)
				return n, err
			}
		}
		if !spin.goOn(&l) {
			return 0, nil
		}
	}
}

// TryRecv receives one packet if one is there now; zero if not. The errors are ErrClosed and SysError.
func (c *PacketChannel) TryRecv(buffer []byte) (int, error) {
	if !c.refs.enter() {
		return 0, ErrClosed
	}
	defer c.leave()
	return c.tryRecv(buffer)
}

func (c *PacketChannel) tryRecv(buffer []byte) (int, error) {
	available, gone, err := c.peek()
	if gone && err == nil {
		err = ErrClosed
	}
	if available == 0 || err != nil {
		return 0, err
	}
	return c.readSeen(buffer)
}

// atOnce waits for nothing.
var atOnce = Wait{Deadline: After(0)}

// readSeen receives a packet that was just seen. A peer can take one back that has not all found room, so it is
// not waited for: zero then.
func (c *PacketChannel) readSeen(buffer []byte) (int, error) {
	n, err := c.read(buffer, &atOnce)
	if err == ErrTimedOut {
		return 0, nil
	}
	return n, err
}

// read receives one packet, asleep until there is one.
func (c *PacketChannel) read(buffer []byte, wait *Wait) (int, error) {
	if c.emptied.Load() {
		return 0, ErrClosed
	}
	for {
		errno, err := c.transfer(&c.recv, buffer, beginRead, wait)
		if err != nil {
			return 0, err
		}
		length := int(c.recv.moved)
		switch {
		case errno == 0 && length > 0:
			return length, nil
		case errno == 0:
			c.emptied.Store(true)
			return 0, ErrClosed
		case errno == windows.ERROR_MORE_DATA:
			rest, err := c.dropRest()
			return length + rest, err
		case c.refs.closed(), meansGone(errno):
			return 0, ErrClosed
		case errno == windows.ERROR_OPERATION_ABORTED:
			// The thread that began it has ended, which is no reason to stop.
			continue
		}
		return 0, refused("receive a packet", errno)
	}
}

// dropRest reads what is left of a packet, which is there already, or was taken back, and answers how many bytes
// that was.
func (c *PacketChannel) dropRest() (int, error) {
	rest := restMemory.Get().(*[restBytes]byte)
	defer restMemory.Put(rest)
	for dropped := 0; ; {
		errno, err := c.transfer(&c.recv, rest[:], beginRead, &atOnce)
		switch err {
		case nil:
		case ErrTimedOut:
			return dropped, nil
		default:
			return dropped, err
		}
		dropped += int(c.recv.moved)
		switch {
		case errno == 0:
			return dropped, nil
		case errno == windows.ERROR_MORE_DATA:
		case c.refs.closed(), meansGone(errno):
			return dropped, ErrClosed
		default:
			return dropped, refused("receive a packet", errno)
		}
	}
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
	for {
		// A read of no bytes ends when there is a message, and leaves that where it is.
		errno, err := c.transfer(&c.recv, nil, beginRead, wait)
		switch {
		case c.refs.closed():
			return ErrClosed
		case err != nil:
			return err
		case errno == windows.ERROR_OPERATION_ABORTED:
			continue
		case errno == 0:
			c.emptied.Store(true)
		}
		return nil
	}
}

// PeerGone looks once, without waiting, whether the peer has closed its end and all that it sent has been
// received. Consumes nothing.
func (c *PacketChannel) PeerGone() (bool, error) {
	if !c.refs.enter() {
		return true, nil
	}
	defer c.leave()
	_, gone, err := c.peek()
	return gone, err
}

// peek looks what there is to receive, which it leaves there: how many bytes; and whether there is nothing, nor
// ever will be.
func (c *PacketChannel) peek() (available uint32, gone bool, err error) {
	if c.emptied.Load() {
		return 0, true, nil
	}
	c.fileMu.RLock()
	defer c.fileMu.RUnlock()
	if c.file == 0 {
		return 0, true, nil
	}
	available, errno := peekPipe(c.file)
	switch {
	case errno == 0:
		return available, false, nil
	case meansGone(errno):
		return 0, true, nil
	}
	return 0, false, refused("look at a pipe", errno)
}

// Peer asks the system who is at the other end.
func (c *PacketChannel) Peer() (PeerIdentity, error) {
	if !c.refs.enter() {
		return PeerIdentity{}, ErrClosed
	}
	defer c.leave()
	ask := windows.GetNamedPipeServerProcessId
	if c.number != 0 {
		ask = windows.GetNamedPipeClientProcessId
	}
	peer := PeerIdentity{UID: unknownUID, GID: unknownUID}
	c.fileMu.RLock()
	err := ask(c.file, &peer.PID)
	c.fileMu.RUnlock()
	if c.refs.closed() {
		return PeerIdentity{}, ErrClosed
	}
	if err != nil {
		return PeerIdentity{}, refused("tell who the peer is", err)
	}
	if peer.PID != 0 {
		peer.UID = uidOfProcess(peer.PID)
	}
	return peer, nil
}

// MaxPacketSize is the longest packet, in bytes (spec section 8).
func (c *PacketChannel) MaxPacketSize() (int, error) { return maxPacketBytes, nil }

// FinishSending does nothing: a pipe cannot be closed in one direction.
func (c *PacketChannel) FinishSending() {}

// Shutdown closes the connection: those who wait return, in any goroutine. The peer receives what was sent and
// then the close.
func (c *PacketChannel) Shutdown() { _ = c.Close() }

// Close closes the connection; the peer still gets what was sent. Those who wait return. It may be
// called from any goroutine, any number of times.
func (c *PacketChannel) Close() error {
	if !c.refs.enter() {
		return nil
	}
	defer c.leave()
	if first, _ := c.refs.close(); first {
		// At once, whoever is inside: the peer is to see it. What is pending ends; what comes later begins
		// nothing.
		c.fileMu.Lock()
		file := c.file
		c.file = 0
		c.fileMu.Unlock()
		_ = windows.CancelIoEx(file, nil)
		closeHandle(file)
	}
	return nil
}

func (c *PacketChannel) leave() {
	if !c.refs.leave() {
		return
	}
	if c.number != 0 {
		// Until it has ended, what was begun to be sent is kept there.
		port.remove(c.number)
		return
	}
	c.send.untilEnded()
	c.recv.closeEvents()
	c.send.closeEvents()
}

// told is for the completion port.
func (c *PacketChannel) told() {
	c.recv.hint()
	c.send.hint()
	if door := c.door.Load(); door != nil && !c.recv.isPending() {
		_, errno := resultOf(&c.recv.record)
		door.arrived(c, errno)
		door.listen()
	}
}

func (c *PacketChannel) isPending() bool { return c.recv.isPending() || c.send.isPending() }
