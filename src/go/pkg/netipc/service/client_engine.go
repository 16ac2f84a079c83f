package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// clientEngine is requests and answers as bytes: one logical call at a time, over as many sessions as it
// takes.
//
//	build ──▶ fits the session? ──no──▶ reconnect, proposing just that
//	            │ yes
//	          send, receive ──lost──▶ reconnect, send once more (once)
//	            │
//	          OK ──▶ the answer      LIMIT_EXCEEDED ──▶ reconnect with a larger hint
//
// It has one session at most. Buffers are kept between calls: once they have grown, a call allocates
// nothing. What it does not do: it decodes no payload, splits nothing, connects for nobody but a call on a
// Ready client, starts no goroutine.
//
// One goroutine at a time uses a client; its [transport.Abort] is for all.
type clientEngine struct {
	service serviceInfo
	link    link
	// request is as long as its capacity; the request is the first requestLen bytes.
	request    []byte
	requestLen int
	// item is one item of a batch.
	item  []byte
	batch protocol.BatchBuilder
}

// logicalCall is what one logical call has used up.
type logicalCall struct {
	wait   transport.Wait
	resend protocol.Resend
	growth protocol.CallGrowth
}

// items is what a message has: those of a batch, or one without a directory.
type items struct {
	batch bool
	count uint32
}

func (i items) String() string {
	if i.batch {
		return fmt.Sprintf("%d batched", i.count)
	}
	return "one unbatched"
}

// onNewSession is what becomes of a request when its session is replaced in the midst of a call.
type onNewSession bool

const (
	// sendAgain: it is sent again as it is.
	sendAgain onNewSession = false
	// planAgain: the caller makes another, for it was made for the limits of its session.
	planAgain onNewSession = true
)

// firstBufferBytes is where buffers of requests start.
const firstBufferBytes = 1024

func (e *clientEngine) init(endpoint Endpoint, config ClientConfig, service serviceInfo) {
	e.service = service
	e.link.init(endpoint, config.resolved(service.responseCeiling))
}

// Endpoint is where the service is.
func (e *clientEngine) Endpoint() Endpoint { return e.link.endpoint }

// Refresh connects when there is no session and it is time to try, waiting for at most 5 s or the call
// timeout; with a session, it looks once, without waiting, whether it is still there.
//
// It answers whether the state changed, or the session is another. Why there is no session, Status says.
func (e *clientEngine) Refresh(ctx context.Context) bool { return e.link.refresh(ctx) }

// Ready tells whether there is a session: a flag, nothing is looked at.
func (e *clientEngine) Ready() bool { return e.link.state == protocol.StateReady }

// State is what the client is.
func (e *clientEngine) State() protocol.ClientState { return e.link.state }

// Status is everything that a supporter needs. It allocates.
func (e *clientEngine) Status() ClientStatus { return e.link.status() }

// Abort is a handle that ends a refresh or call which waits, from any goroutine, and refuses later ones
// until it is cleared.
func (e *clientEngine) Abort() *transport.Abort { return &e.link.abort }

// Close ends the session, if there is one, and gives up the memory of its answers. A refresh connects
// again.
//
// It is for the goroutine that uses the client, as everything is: another one ends a call by Abort, and who
// called closes then.
func (e *clientEngine) Close() error {
	e.link.close()
	return nil
}

// call is one request out, one answer in. build writes the request at the start of the buffer it is given,
// and answers its length; when that is too small for it, it is called again with a larger one.
func (e *clientEngine) call(ctx context.Context, build func(out []byte) (int, error)) error {
	var call logicalCall
	if err := e.begin(ctx, &call); err != nil {
		return e.end(ctx, err)
	}
	length, err := buildGrowing(&e.request, e.link.config.MaxRequestPayloadBytes, build)
	if err == nil {
		e.requestLen = length
		_, err = e.exchange(&call, items{count: 1}, sendAgain)
	}
	return e.end(ctx, err)
}

// callBatch is count requests out in one message, their answers in (spec section 2).
func (e *clientEngine) callBatch(ctx context.Context, count int, build func(index int, out []byte) (int, error)) error {
	var call logicalCall
	if err := e.begin(ctx, &call); err != nil {
		return e.end(ctx, err)
	}
	batch, err := e.buildBatch(count, build)
	if err == nil {
		_, err = e.exchange(&call, batch, sendAgain)
	}
	return e.end(ctx, err)
}

// begin begins a logical call.
func (e *clientEngine) begin(ctx context.Context, call *logicalCall) *CallError {
	if e.link.state != protocol.StateReady {
		return failf(KindNotReady, ErrNotReady, "it is %v", e.link.state)
	}
	done := ctx.Done()
	// A context that is never done has no error to tell of.
	if e.link.abort.IsSet() || done != nil && ctx.Err() != nil {
		return fail(KindAborted, ErrAborted)
	}
	e.link.counters.Calls++
	// Field by field: what is written in parts and copied whole a moment later keeps the copy waiting.
	call.wait.Deadline = transport.After(e.link.config.CallTimeout)
	if at, ok := ctx.Deadline(); ok {
		call.wait.Deadline = call.wait.Deadline.Earlier(transport.At(at))
	}
	call.wait.Abort, call.wait.Done = &e.link.abort, done
	return nil
}

// end ends a logical call: a failure is counted and shown in the status. Where the call's context is why,
// it says so.
func (e *clientEngine) end(ctx context.Context, err *CallError) error {
	if err == nil {
		return nil
	}
	if err.Kind == KindAborted || err.Kind == KindTimedOut {
		cause := ctx.Err()
		if at, ok := ctx.Deadline(); ok && err.Kind == KindTimedOut && cause == nil && transport.At(at).HasPassed() {
			cause = context.DeadlineExceeded
		}
		if errors.Is(cause, context.DeadlineExceeded) {
			err = &CallError{Kind: KindTimedOut, Err: fmt.Errorf("%w: %w", ErrTimedOut, cause)}
		} else if cause != nil {
			err = &CallError{Kind: KindAborted, Err: fmt.Errorf("%w: %w", ErrAborted, cause)}
		}
	}
	e.link.callFailed(err)
	return err
}

// malformed ends the session, whose answer does not decode.
func (e *clientEngine) malformed(err error) error {
	broken := malformed(err)
	e.link.lost(broken)
	e.link.callFailed(broken)
	return broken
}

// answer is the last one's header, nil if there is none, and payload.
func (e *clientEngine) answer() (*protocol.Header, []byte) {
	if e.link.inbox == nil {
		return nil, nil
	}
	return e.link.inbox.Received()
}

// answerPayload is the last one's payload.
func (e *clientEngine) answerPayload() []byte {
	_, payload := e.answer()
	return payload
}

// terms are those of the session; nil when there is none.
func (e *clientEngine) terms() *protocol.Terms {
	if e.link.session == nil {
		return nil
	}
	return e.link.session.Terms()
}

// buildExactly has write write a request of length bytes.
func (e *clientEngine) buildExactly(length int, write func(out []byte) (int, error)) *CallError {
	if len(e.request) < length {
		e.request = make([]byte, length)
	}
	written, err := write(e.request[:length])
	if err != nil {
		return cannotBuild(err)
	}
	e.requestLen = written
	return nil
}

// exchange sends the request until it is answered, as often as the contract lets it. It is true when there
// is a new session and planAgain was asked for; otherwise answer has the payload.
func (e *clientEngine) exchange(call *logicalCall, asked items, on onNewSession) (bool, *CallError) {
	for {
		terms := e.terms()
		if terms == nil {
			return false, failf(KindNotReady, ErrNotReady, "it is %v", e.link.state)
		}
		if uint64(e.requestLen) > uint64(terms.Request.PayloadBytes) {
			if err := e.enlargeForRequest(call); err != nil {
				return false, err
			}
			continue
		}
		status, err := e.roundTrip(call, asked)
		if err != nil {
			if err := e.recover(call, err); err != nil {
				return false, err
			}
			if on == planAgain {
				return true, nil
			}
			continue
		}
		e.link.gotAnswer()
		switch protocol.OnAnswer(status) {
		case protocol.AnswerTake:
			return false, nil
		case protocol.AnswerFailAndKeep:
			return false, fail(KindStatus, StatusError{status})
		case protocol.AnswerFailAndClose:
			return false, e.fail(fail(KindStatus, StatusError{status}))
		case protocol.AnswerGrow:
			if end := call.growth.LimitExceeded(&e.link.hint, terms.Response.PayloadBytes); end != nil {
				return false, e.fail(fail(KindLimit, end))
			}
			e.link.counters.Growths++
			if err := e.reconnect(call); err != nil {
				return false, err
			}
			if on == planAgain {
				return true, nil
			}
		}
	}
}

func (e *clientEngine) enlargeForRequest(call *logicalCall) *CallError {
	granted, err := e.enlarge(call, e.requestLen)
	switch {
	case err != nil:
		return err
	case granted == enlargedAboveCeiling:
		return e.requestTooLarge(e.requestLen)
	case granted == enlargedRefused:
		return failf(KindLimit, ErrRequestRefused, "it has %d bytes", e.requestLen)
	}
	return nil
}

// enlarged is whether a session for a larger request was granted.
type enlarged uint8

const (
	// enlargedGranted: there is a session that takes it.
	enlargedGranted enlarged = iota
	// enlargedAboveCeiling: it is above this client's own ceiling.
	enlargedAboveCeiling
	// enlargedRefused: the server refuses it. There is a session as before.
	enlargedRefused
)

// enlarge gets a session that takes requests of needed bytes, and no more than that.
func (e *clientEngine) enlarge(call *logicalCall, needed int) (enlarged, *CallError) {
	if uint64(needed) > uint64(e.link.config.MaxRequestPayloadBytes) || e.link.proposals.Need(uint32(needed)) != nil {
		return enlargedAboveCeiling, nil
	}
	e.link.counters.LargerRequests++
	err := e.connectWithin(call)
	if err == nil {
		return enlargedGranted, nil
	}
	if err == errRequestTooLarge {
		return enlargedRefused, e.reconnect(call)
	}
	return 0, noSession(call, err)
}

// fail ends the session for err, which is final for the call.
func (e *clientEngine) fail(err *CallError) *CallError {
	e.link.lost(err)
	return err
}

func (e *clientEngine) buildBatch(count int, build func(index int, out []byte) (int, error)) (items, *CallError) {
	terms := e.terms()
	ceiling := e.link.config.MaxRequestPayloadBytes
	switch {
	case !e.service.batchable:
		return items{}, fail(KindCaller, ErrNotBatchable)
	case terms == nil:
		return items{}, failf(KindNotReady, ErrNotReady, "it is %v", e.link.state)
	case count <= 0:
		return items{}, fail(KindCaller, ErrEmptyBatch)
	case uint64(count) > uint64(terms.Request.BatchItems):
		return items{}, failf(KindCaller, ErrTooManyItems, "%d, agreed were %d", count, terms.Request.BatchItems)
	}
	err := e.batch.Begin(e.request[:0], uint32(count), ceiling)
	for index := 0; index < count && err == nil; index++ {
		length, failed := buildGrowingAt(&e.item, ceiling, index, build)
		if failed != nil {
			return items{}, failed
		}
		err = e.batch.Push(e.item[:length])
	}
	if err != nil {
		return items{}, e.requestTooLarge(0)
	}
	request, err := e.batch.Finish()
	if err != nil {
		return items{}, fail(KindCaller, err)
	}
	e.request, e.requestLen = request[:cap(request)], len(request)
	return items{batch: true, count: uint32(count)}, nil
}

// requestTooLarge: of so many bytes, where that is known.
func (e *clientEngine) requestTooLarge(length int) *CallError {
	return requestTooLarge(length, e.link.config.MaxRequestPayloadBytes)
}

func requestTooLarge(length int, ceiling uint32) *CallError {
	if length > 0 && uint64(length) < 1<<32 {
		return fail(KindLimit, protocol.AboveRequestCeiling{Needed: uint32(length), Ceiling: ceiling})
	}
	return failf(KindLimit, ErrRequestTooLarge,
		"it is above this client's ceiling of %d bytes: ask for less, or raise MaxRequestPayloadBytes", ceiling)
}

// roundTrip sends the request once, and receives what answers it.
func (e *clientEngine) roundTrip(call *logicalCall, asked items) (protocol.Status, *CallError) {
	l := &e.link
	request := e.request[:e.requestLen]
	header := l.nextHeader(e.service.method, uint32(len(request)), asked)
	err := l.session.SendWithin(&header, request, &call.wait)
	switch {
	case err == nil:
		l.counters.SentBytes += messageLen(&header)
	case err == transport.ErrPeerGone:
		// An answer may be queued: LIMIT_EXCEEDED, for instance, to a request that the server did not
		// read to its end (spec section 6).
	default:
		return 0, sendError(err)
	}
	if err := l.session.ReceiveInPlace(l.inbox, &call.wait); err != nil {
		return 0, receiveError(err)
	}
	answer, _ := l.inbox.Received()
	if answer == nil {
		return 0, receiveError(transport.ErrEnded)
	}
	l.counters.ReceivedBytes += messageLen(answer)
	if err := checkAnswer(&header, answer, asked); err != nil {
		return 0, err
	}
	return answer.Status, nil
}

// recover is for after an exchange that failed: a new session when the call may use one, else the error.
func (e *clientEngine) recover(call *logicalCall, err *CallError) *CallError {
	e.fail(err)
	if !call.resend.After(lossOf(err)) {
		return err
	}
	if !e.link.mayTry() {
		return fail(KindLost, ErrBusy)
	}
	e.link.counters.Resends++
	e.link.log(slog.LevelInfo, "request sent again")
	return e.reconnect(call)
}

func (e *clientEngine) reconnect(call *logicalCall) *CallError {
	err := e.connectWithin(call)
	switch err {
	case nil:
		return nil
	case errRequestTooLarge:
		return failf(KindLimit, ErrRequestRefused, "it has %d bytes", e.requestLen)
	}
	return noSession(call, err)
}

func (e *clientEngine) connectWithin(call *logicalCall) error {
	wait := call.wait
	wait.Deadline = wait.Deadline.Earlier(transport.After(ConnectTimeout))
	if err := e.link.connect(wait); err != nil {
		return err
	}
	e.link.counters.Reconnects++
	return nil
}

// noSession is what a call reports that could not replace its session: its own end, where that was the
// cause.
func noSession(call *logicalCall, err error) *CallError {
	switch {
	case errors.Is(err, ErrAborted):
		return fail(KindAborted, ErrAborted)
	case errors.Is(err, ErrTimedOut) && call.wait.Deadline.HasPassed():
		return fail(KindTimedOut, ErrTimedOut)
	}
	return fail(KindLost, fmt.Errorf("%w: %w", ErrReconnect, err))
}

// buildGrowing writes a request into buffer, which grows until it fits, up to ceiling bytes.
func buildGrowing(buffer *[]byte, ceiling uint32, build func(out []byte) (int, error)) (int, *CallError) {
	// Nearly always it fits what the last one had.
	if room := min(uint64(len(*buffer)), uint64(ceiling)); room > 0 {
		if length, err := build((*buffer)[:room]); err == nil {
			return length, nil
		}
	}
	return buildGrowingAt(buffer, ceiling, 0, func(_ int, out []byte) (int, error) { return build(out) })
}

func buildGrowingAt(
	buffer *[]byte, ceiling uint32, index int, build func(index int, out []byte) (int, error),
) (int, *CallError) {
	most := uint64(ceiling)
	if len(*buffer) == 0 {
		*buffer = make([]byte, min(firstBufferBytes, most))
	}
	for {
		room := min(uint64(len(*buffer)), most)
		length, err := build(index, (*buffer)[:room])
		switch {
		case err == nil:
			return length, nil
		case !errors.Is(err, payload.ErrNoSpace):
			return 0, cannotBuild(err)
		case room == most:
			return 0, requestTooLarge(0, ceiling)
		}
		*buffer = make([]byte, min(2*uint64(len(*buffer)), most))
	}
}

func cannotBuild(err error) *CallError {
	return fail(KindCaller, fmt.Errorf("the request cannot be built: %w", err))
}

func messageLen(header *protocol.Header) uint64 {
	return protocol.HeaderLen + uint64(header.PayloadLen)
}

// checkAnswer tells whether answer is one to what was asked. A failure has neither items nor BATCH flag to
// check.
func checkAnswer(header, answer *protocol.Header, asked items) *CallError {
	switch answered := (items{batch: answer.IsBatch(), count: answer.ItemCount}); {
	case answer.MessageID != header.MessageID:
		return failf(KindViolation, ErrMismatch, "it answers message %d, in flight is %d",
			answer.MessageID, header.MessageID)
	case answer.Code != header.Code:
		return failf(KindViolation, ErrMismatch, "it answers method %d, asked was %d", answer.Code, header.Code)
	case answer.Status == protocol.StatusOK && answered != asked:
		return failf(KindViolation, ErrMismatch, "it has %v items, asked were %v", answered, asked)
	}
	return nil
}
