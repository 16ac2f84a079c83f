package service

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

const (
	// heldAnswerBytes of answers that wait for their reader, from which on no further request of a session
	// is read; one answer of the session's limit may be more. Enough for a client that sends its requests
	// before it reads its answers, as long as both are of the usual size.
	heldAnswerBytes = 1 << 20
	// idleAfter is how long a session may be silent before it gives up its memory for messages.
	idleAfter = time.Second
	// lingerTimeout is how long a client may take to leave after a final answer.
	lingerTimeout = 5 * time.Second
)

// served is a session and what the server knows of it.
//
//	reader ── receive ── a worker is free ──▶ handler, answer ── receive ── …
//	             │            └─ it takes long ──▶ another goroutine becomes the reader
//	             └ no worker is free ──▶ queue
//
// One goroutine at a time is its reader. It runs the handler itself, so a client that asks and waits costs
// no hand-over between goroutines. What cannot be sent at once is sent by a goroutine of its own. What a
// session holds is bounded by its in-flight limit, because an answer that was not sent still counts.
type served struct {
	engine  *engine
	service *servedService
	session *transport.Session
	inbox   *transport.Inbox
	context Context
	// stopReading ends the reader's wait.
	stopReading transport.Abort

	// turn counts the requests that the reader answered itself. The reader's own, as the next are.
	turn uint64
	// idleAt is when a look is due whether the session idles: the clock is not read for each request.
	idleAt transport.Deadline
	// wait is for its next request.
	wait transport.Wait
	// received counts the requests, and lookedAt those at the last such look.
	received, lookedAt uint64
	// handling is the turn in which the reader runs a handler; zero while it does not. Whoever sets it back
	// to zero is the reader from then on.
	handling atomic.Uint64
	// room wakes a reader that waits for room for another request.
	room chan struct{}

	mu sync.Mutex
	// reading: there is a reader.
	reading bool
	// inFlight counts the requests read, and not answered all the way.
	inFlight int
	// heldBytes of answers wait for their reader.
	heldBytes int
	waiting   bool
	// last: a final answer was given: nothing is read or answered after it.
	last bool
	// ended is why the session is over; its answers are of no use then.
	ended end
	// useless is last, or ended: to be looked at without the lock.
	useless atomic.Bool
}

func newServed(e *engine, service *servedService, session *transport.Session) *served {
	s := &served{
		engine: e, service: service, session: session, inbox: session.NewInbox(), reading: true,
		room: make(chan struct{}, 1), idleAt: transport.After(idleAfter),
		context: Context{
			Context: e.context, peer: session.Peer(), sessionID: session.ID(), service: service,
		},
	}
	s.wait.Abort = &s.stopReading
	return s
}

// read is the reader: it returns when the session is over, or another goroutine is the reader.
func (s *served) read() {
	for {
		if !s.receive() || !s.begin() {
			s.stopped()
			return
		}
		if w := s.engine.pool.take(); w != nil {
			if !s.handleInline(w) {
				return
			}
		} else if !s.enqueue() {
			s.stopped()
			return
		}
		if !s.waitForRoom() {
			s.stopped()
			return
		}
	}
}

// receive waits for the next request. False when none will come.
func (s *served) receive() bool {
	for {
		s.wait.Deadline = s.idleAt
		err := s.session.ReceiveInPlace(s.inbox, &s.wait)
		if err == nil {
			s.received++
			return true
		}
		if err == transport.ErrTimedOut {
			err = s.lookWhetherIdle()
		}
		if err != nil {
			s.failedToReceive(err)
			return false
		}
	}
}

// lookWhetherIdle gives up the memory for messages of a session that has received nothing for as long as
// there is between two looks, and sleeps until there is something to receive.
func (s *served) lookWhetherIdle() error {
	idle := s.received == s.lookedAt && !s.inbox.IsPartial()
	s.lookedAt = s.received
	if idle {
		s.inbox.Release()
		if err := s.session.WaitReadable(transport.Wait{Abort: &s.stopReading}); err != nil {
			return err
		}
	}
	s.idleAt = transport.After(idleAfter)
	return nil
}

// failedToReceive says what the end of reading means.
func (s *served) failedToReceive(err error) {
	var over *transport.OverLimitError
	switch {
	case errors.Is(err, transport.ErrAborted):
		// Whoever stopped the reading says what becomes of the session.
	case errors.Is(err, transport.ErrClosed), errors.Is(err, transport.ErrBrokenOff):
		s.end(endLeft)
	case errors.Is(err, transport.ErrChunkGap):
		s.end(endChunkGap)
	case errors.As(err, &over):
		if s.begin() {
			s.answerFailure(&over.Header, failedLimit)
		}
	case errors.Is(err, protocol.ErrContract), isBreach(err):
		s.end(endViolated)
	default:
		s.end(endFailed)
	}
}

// begin notes that a request was read. False when nothing may come of it.
func (s *served) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last || s.ended != endNone {
		return false
	}
	s.inFlight++
	s.service.counters.inFlight.Add(1)
	return true
}

// waitForRoom waits until the session may have another request in flight, and does not leave too many
// answers unread. False when none will be read.
func (s *served) waitForRoom() bool {
	for {
		s.mu.Lock()
		if s.last || s.ended != endNone || s.stopReading.IsSet() {
			s.mu.Unlock()
			return false
		}
		s.waiting = s.inFlight >= s.service.maxInFlight || s.heldBytes >= heldAnswerBytes
		waits := s.waiting
		s.mu.Unlock()
		if !waits {
			return true
		}
		<-s.room
	}
}

// wakeReader wakes a reader that waits for room. The lock is held.
func (s *served) wakeReader() {
	if s.waiting {
		s.waiting = false
		select {
		case s.room <- struct{}{}:
		default:
		}
	}
}

// handleInline answers a request on the reader's own goroutine. False when that is the reader no longer.
func (s *served) handleInline(w *worker) bool {
	// Before the watchdog may make another goroutine the reader, which receives into the inbox.
	received, payload := s.inbox.Received()
	header := *received
	s.turn++
	turn := s.turn
	s.handling.Store(turn)
	w.inlineTurn.Store(turn)
	w.inlineOf.Store(s)
	s.engine.watchdog.wake()

	returned := false
	defer func() {
		if !returned {
			s.handlerExited(w, turn, &header)
		}
	}()
	result := s.engine.work(w, s, &header, payload)
	returned = true
	w.inlineOf.Store(nil)
	// The watchdog may have made another goroutine the reader meanwhile.
	reader := s.handling.CompareAndSwap(turn, 0)
	if result.split != nil {
		// The batch keeps the request's memory, and this goroutine is busy with it for a while.
		if reader {
			s.passOn()
		}
		s.engine.share(w, &sharedBatch{served: s, header: header, split: result.split})
		return false
	}
	s.answer(w, &header, result)
	s.engine.release(w)
	return reader
}

// handlerExited sees to what is left when a handler ends its goroutine (runtime.Goexit), which was the
// reader's: the client is answered, the worker is free, and another goroutine reads on.
func (s *served) handlerExited(w *worker, turn uint64, request *protocol.Header) {
	w.inlineOf.Store(nil)
	reader := s.handling.CompareAndSwap(turn, 0)
	s.answerFailure(request, failedInternal)
	s.engine.release(w)
	if reader {
		s.passOn()
	}
}

// passOn makes another goroutine the reader. The memory of the last request stays with who handles it. Only
// who is the reader, or took that from a handler by its turn, may do so.
func (s *served) passOn() {
	s.inbox.HandOver(new(transport.PacketBuffer))
	go s.resumeReading()
}

// resumeReading is a new reader.
func (s *served) resumeReading() {
	if !s.waitForRoom() {
		s.stopped()
		return
	}
	s.read()
}

// enqueue leaves the request to the next worker that is free. False when the session is over.
func (s *served) enqueue() bool {
	buffer, ok := packetBuffers.Get().(*transport.PacketBuffer)
	if !ok {
		buffer = new(transport.PacketBuffer)
	}
	if !s.inbox.HandOver(buffer) {
		s.end(endFailed)
		s.done(0)
		return false
	}
	s.engine.submit(job{served: s, buffer: buffer})
	return true
}

// packetBuffers are those of requests that waited for a worker.
var packetBuffers sync.Pool

// answer sends what a handler made, from the worker's memory.
func (s *served) answer(w *worker, request *protocol.Header, result result) {
	if result.failed != noFailure {
		s.answerFailure(request, result.failed)
		return
	}
	s.service.counters.answered(noFailure)
	header := protocol.ResponseHeader(request, uint32(len(result.payload)))
	sent, final := s.trySend(&header, result.payload)
	if final {
		s.done(0)
		return
	}
	if sent {
		s.service.counters.responseBytes.Add(uint64(len(result.payload)))
		s.done(0)
		return
	}
	// The worker goes on with other memory.
	w.response = nil
	s.hold(header, result.payload)
}

// noWait tries once.
var noWait = transport.Wait{Deadline: transport.After(0)}

// trySend sends an answer if there is room for all of it now. final is true when it is not to be sent at
// all.
func (s *served) trySend(header *protocol.Header, payload []byte) (sent, final bool) {
	if s.useless.Load() {
		return false, true
	}
	// In shared memory no answer is in pieces, and none waits for room.
	terms := s.session.Terms()
	if !terms.Profile.IsSharedMemory() && terms.PacketSize.PacketsOf(header.PayloadLen) > 1 {
		return false, false
	}
	switch err := s.session.Send(header, payload, noWait); err {
	case nil:
		return true, false
	case transport.ErrTimedOut:
		return false, false
	default:
		s.failedToSend(err)
		return false, true
	}
}

// hold has a goroutine of its own wait for room for an answer.
func (s *served) hold(header protocol.Header, payload []byte) {
	s.mu.Lock()
	s.heldBytes += len(payload)
	s.mu.Unlock()
	go func() {
		if err := s.session.Send(&header, payload, sendWait()); err != nil {
			s.failedToSend(err)
		} else {
			s.service.counters.responseBytes.Add(uint64(len(payload)))
		}
		s.done(len(payload))
	}()
}

func sendWait() transport.Wait { return transport.Wait{Deadline: transport.After(SendTimeout)} }

func (s *served) failedToSend(err error) {
	switch {
	case errors.Is(err, transport.ErrTimedOut):
		s.end(endNotRead)
	case errors.Is(err, transport.ErrPeerGone), errors.Is(err, transport.ErrClosed):
		s.end(endLeft)
	case errors.Is(err, transport.ErrOutOfTurn), isBreach(err):
		// Out of turn: the client asked once more before it was answered, in shared memory.
		s.end(endViolated)
	case errors.Is(err, transport.ErrEnded):
		// Another's answer was cut short, who says why.
	default:
		s.service.report(err)
		s.end(endFailed)
	}
}

// answerFailure tells the client why there is no answer. Unless the session goes on, that is the last that
// it hears.
func (s *served) answerFailure(request *protocol.Header, failed failure) {
	status := failed.status()
	header := protocol.FailureHeader(request, status)
	s.mu.Lock()
	useless := s.last || s.ended != endNone
	if !useless && !status.KeepsSession() {
		s.last = true
		s.useless.Store(true)
	}
	s.mu.Unlock()
	if useless {
		s.done(0)
		return
	}
	s.service.counters.answered(failed)
	if failed == failedLimit {
		s.service.limitExceeded(s.session.Terms().Response.PayloadBytes)
	}
	switch err := s.session.Send(&header, nil, noWait); err {
	case nil:
		s.lastAnswerSent(status)
		s.done(0)
	case transport.ErrTimedOut:
		go func() {
			if err := s.session.Send(&header, nil, sendWait()); err != nil {
				s.failedToSend(err)
			}
			s.lastAnswerSent(status)
			s.done(0)
		}()
	default:
		s.failedToSend(err)
		s.done(0)
	}
}

// lastAnswerSent ends the session's reading, if the answer was its last.
func (s *served) lastAnswerSent(status protocol.Status) {
	if !status.KeepsSession() {
		s.end(endAnswered)
	}
}

// done notes that a request was answered all the way, or is of no use; heldBytes of its answer waited.
func (s *served) done(heldBytes int) {
	s.service.counters.inFlight.Add(-1)
	s.mu.Lock()
	s.inFlight--
	s.heldBytes -= heldBytes
	s.wakeReader()
	over := !s.reading && s.inFlight == 0
	s.mu.Unlock()
	if over {
		s.finish()
	}
}

// end notes why the session is over, the first time, and ends its reading.
func (s *served) end(why end) {
	s.mu.Lock()
	first := s.ended == endNone
	if first {
		s.ended = why
		s.useless.Store(true)
	}
	s.mu.Unlock()
	if !first {
		return
	}
	s.stopReader()
	if why != endAnswered {
		// Those who wait for room return.
		s.session.Shutdown()
	}
}

// stopReader ends the reading; what was read is answered.
func (s *served) stopReader() {
	s.stopReading.Trigger()
	s.mu.Lock()
	s.wakeReader()
	s.mu.Unlock()
}

// stopped notes that there is no reader any more.
func (s *served) stopped() {
	s.mu.Lock()
	s.reading = false
	over := s.inFlight == 0
	s.mu.Unlock()
	if over {
		s.finish()
	}
}

// finish closes the session, once nobody works for it. It does not wait: a worker may call it.
func (s *served) finish() {
	s.mu.Lock()
	if s.ended == endNone {
		s.ended = endStopped
	}
	why := s.ended
	s.mu.Unlock()
	if why == endAnswered {
		go s.linger()
		return
	}
	s.close(why)
}

// linger waits for the client to leave: the final answer is not to be overtaken by a reset.
func (s *served) linger() {
	// However it ends, the session is closed.
	_, _ = s.session.Drain(transport.Wait{
		Deadline: transport.After(lingerTimeout), Abort: &s.engine.stopLingering,
	})
	s.close(endAnswered)
}

func (s *served) close(why end) {
	// The client gets what was sent; nothing else can go wrong.
	_ = s.session.Close()
	s.engine.remove(s, why)
}
