package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

const (
	// batchSharedAfter is how long a worker answers the items of a batch alone, before the others help.
	batchSharedAfter = 50 * time.Microsecond
	// batchLookEvery is how many items are answered between two looks at the clock, beyond the first few.
	batchLookEvery = 16
)

// engine serves the sessions of one service, or of those of a host, with a set of workers.
type engine struct {
	services []*servedService
	workers  int
	pool     pool
	watchdog watchdog
	// context is done once the server is being stopped.
	context context.Context
	cancel  context.CancelFunc
	// stopLingering ends the wait for clients to leave after a final answer.
	stopLingering transport.Abort

	mu       sync.Mutex
	phase    phase
	sessions map[*served]struct{}
	// accepting counts the goroutines that take clients in.
	accepting int
	// empty is closed when the engine takes no more sessions and the last is gone.
	empty chan struct{}
}

type phase uint8

const (
	running phase = iota
	draining
	stopping
)

// servedService is one service of an engine: what its sessions share.
type servedService struct {
	info        serviceInfo
	dispatch    dispatch
	listener    *transport.Listener
	logger      *slog.Logger
	maxSessions int32
	maxInFlight int
	ceiling     uint32
	counters    counters
	sessions    atomic.Int32
	// index is the service's place among those of its engine.
	index int
}

// reserve takes a place for one session more, if there is one.
func (s *servedService) reserve() bool {
	for {
		taken := s.sessions.Load()
		if taken >= s.maxSessions {
			return false
		}
		if s.sessions.CompareAndSwap(taken, taken+1) {
			return true
		}
	}
}

func (s *servedService) unreserve() { s.sessions.Add(-1) }

// limitExceeded lets later sessions have more.
func (s *servedService) limitExceeded(sessionLimit uint32) {
	s.listener.ResponseLimit().Grow(sessionLimit, s.ceiling)
}

// report leaves word of why a handler fails.
func (s *servedService) report(err error) {
	s.counters.mu.Lock()
	s.counters.lastError = err
	s.counters.mu.Unlock()
	s.log(slog.LevelWarn, "handler failed", slog.Any("error", err))
}

func (s *servedService) log(level slog.Level, message string, attributes ...slog.Attr) {
	if s.logger == nil || !s.logger.Enabled(context.Background(), level) {
		return
	}
	s.logger.LogAttrs(context.Background(), level, "netipc server: "+message,
		append(attributes, slog.String("service", s.info.name))...)
}

// startEngine serves the services until it is stopped.
func startEngine(services []*servedService, workers int) *engine {
	e := &engine{
		services: services, workers: workers,
		sessions: make(map[*served]struct{}), accepting: len(services), empty: make(chan struct{}),
	}
	e.context, e.cancel = context.WithCancel(context.Background())
	all := make([]*worker, workers)
	for i := range all {
		all[i] = &worker{builders: make([]any, len(services))}
		for index, service := range services {
			all[i].builders[index] = service.dispatch.newBuilder()
		}
	}
	e.pool.free = append(e.pool.free, all...)
	e.watchdog.init(all)
	for index, service := range services {
		service.index = index
		go e.accept(service)
	}
	return e
}

// accept takes the clients of a service in, until its listener is closed.
func (e *engine) accept(service *servedService) {
	defer e.acceptedLast()
	for {
		session, err := service.listener.Accept(transport.Wait{})
		if err != nil {
			return
		}
		s := newServed(e, service, session)
		e.mu.Lock()
		taken := e.phase == running
		if taken {
			e.sessions[s] = struct{}{}
		}
		e.mu.Unlock()
		if !taken {
			_ = session.Close()
			service.unreserve()
			continue
		}
		service.log(slog.LevelDebug, "session", slog.Uint64("id", session.ID()),
			slog.Any("peer", session.Peer()))
		go s.read()
	}
}

// acceptedLast notes that nobody else is taken in: what was handed over when its listener was closed is
// closed, too.
func (e *engine) acceptedLast() {
	e.mu.Lock()
	e.accepting--
	e.checkEmpty()
	e.mu.Unlock()
}

// remove forgets a session that is over.
func (e *engine) remove(s *served, why end) {
	s.service.counters.ended[why].Add(1)
	s.service.unreserve()
	s.service.log(slog.LevelDebug, "session over", slog.Uint64("id", s.session.ID()),
		slog.String("why", endNames[why]))
	e.mu.Lock()
	delete(e.sessions, s)
	e.checkEmpty()
	e.mu.Unlock()
}

// checkEmpty notes that the last session is gone. The lock is held.
func (e *engine) checkEmpty() {
	if e.phase == running || e.accepting > 0 || len(e.sessions) > 0 {
		return
	}
	select {
	case <-e.empty:
	default:
		close(e.empty)
	}
}

// enter goes to a later phase: the endpoints are given back, and nothing more is read.
func (e *engine) enter(next phase) {
	for _, service := range e.services {
		_ = service.listener.Close()
	}
	e.mu.Lock()
	e.phase = max(e.phase, next)
	sessions := e.list()
	e.checkEmpty()
	e.mu.Unlock()
	if next == stopping {
		e.cancel()
		e.stopLingering.Trigger()
		for _, dropped := range e.pool.close() {
			e.drop(dropped)
		}
	}
	for _, s := range sessions {
		s.stopReader()
	}
}

// list is the sessions now. The lock is held.
func (e *engine) list() []*served {
	sessions := make([]*served, 0, len(e.sessions))
	for s := range e.sessions {
		sessions = append(sessions, s)
	}
	return sessions
}

// drain waits until all that was read is answered, at most as long as timeout says, and then stops.
func (e *engine) drain(timeout time.Duration) error {
	e.enter(draining)
	e.waitEmpty(timeout)
	return e.stop(StopTimeout)
}

// stop ends all sessions, and waits for handlers that run, at most as long as timeout says.
func (e *engine) stop(timeout time.Duration) error {
	e.enter(stopping)
	if e.waitEmpty(timeout) {
		e.watchdog.stop()
		return nil
	}
	e.mu.Lock()
	sessions := e.list()
	e.mu.Unlock()
	for _, s := range sessions {
		s.end(endStopped)
	}
	// Answers that found no room are gone now; only handlers can still run.
	if e.waitEmpty(stopGrace) {
		e.watchdog.stop()
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Errorf("%w: of %d sessions", ErrHandlersRunning, len(e.sessions))
}

// stopGrace is how long goroutines have to leave sessions that were ended.
const stopGrace = 50 * time.Millisecond

// waitEmpty waits until there is no session; false when there still is one after that long.
func (e *engine) waitEmpty(timeout time.Duration) bool {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-e.empty:
		return true
	case <-timer.C:
		return false
	}
}

// submit gives a job to a worker: a free one, on a goroutine of its own, or the next that becomes free. It is
// dropped once the server is being stopped.
func (e *engine) submit(j job) {
	switch w, taken := e.pool.takeOrPush(j); {
	case !taken:
		e.drop(j)
	case w != nil:
		go e.perform(w, j)
	}
}

// drop is for a job that nobody will begin. Parts of a batch are still answered by those who are at it.
func (e *engine) drop(j job) {
	if j.help == nil {
		j.served.done(0)
	}
}

// release gives a worker back, and sees to it that a job that waited for one is done.
func (e *engine) release(w *worker) {
	if next, waited := e.pool.give(w); waited {
		go e.perform(w, next)
	}
}

// perform does a job, and those that wait behind it, and gives the worker back. A handler that ends its
// goroutine (runtime.Goexit) takes this one with it: another does the rest.
func (e *engine) perform(w *worker, j job) {
	returned := false
	defer func() {
		switch {
		case returned:
		case j.help != nil:
			// Other parts of the batch may be left, and nobody else to answer them.
			go e.perform(w, j)
		default:
			e.release(w)
		}
	}()
	for {
		e.performOne(w, &j)
		next, waited := e.pool.give(w)
		if !waited {
			returned = true
			return
		}
		j = next
	}
}

// performOne does a job. One whose batch is split becomes the job to help with that.
func (e *engine) performOne(w *worker, j *job) {
	if j.help != nil {
		e.help(w, j.help)
		return
	}
	s := j.served
	message, ok := j.buffer.Message()
	if !ok {
		s.end(endFailed)
		s.done(0)
		return
	}
	result := result{failed: failedInternal}
	// Deferred, for a handler that ends its goroutine: that is an answer, too.
	defer func() {
		if result.split == nil {
			s.answer(w, &message.Header, result)
			packetBuffers.Put(j.buffer)
		}
	}()
	result = e.work(w, s, &message.Header, message.Payload)
	if result.split != nil {
		// The batch keeps the buffer.
		*j = job{help: &sharedBatch{served: s, header: message.Header, split: result.split}}
		e.callHelp(j.help)
		e.help(w, j.help)
	}
}

// result is what became of a request: an answer in the worker's memory, a failure, or a batch whose other
// items are still to be answered.
type result struct {
	payload []byte
	failed  failure
	split   *splitBatch
}

// work answers a request, or the first items of a batch.
func (e *engine) work(w *worker, s *served, header *protocol.Header, request []byte) result {
	service := s.service
	service.counters.requestBytes.Add(uint64(len(request)))
	switch {
	case header.Code != service.info.method:
		return result{failed: failedMethod}
	case header.IsBatch() && !service.info.batchable:
		return result{failed: failedEnvelope}
	case header.IsBatch():
		return e.workBatch(w, s, header, request)
	}
	limit := int(s.session.Terms().Response.PayloadBytes)
	w.response = grownBlank(w.response, limit)
	length, failed := e.handle(w, s, request, w.response[:limit:limit])
	if failed != noFailure {
		return result{failed: failed}
	}
	return result{payload: w.response[:length]}
}

func (e *engine) workBatch(w *worker, s *served, header *protocol.Header, request []byte) result {
	batch, err := protocol.DecodeBatch(request, header.ItemCount)
	if err != nil {
		return result{failed: failedEnvelope}
	}
	limitBytes := s.session.Terms().Response.PayloadBytes
	limit := int(limitBytes)
	w.answers.reset(limit)
	handle := func(item, out []byte) (int, failure) { return e.handle(w, s, item, out) }
	start := time.Now()
	for index, item := range batch.Items() {
		if failed := w.answers.push(limit, item, handle); failed != noFailure {
			return result{failed: failed}
		}
		answered := index + 1
		looks := answered%batchLookEvery == 0 || answered&(answered-1) == 0
		if looks && e.workers > 1 && answered < batch.Len() && time.Since(start) > batchSharedAfter {
			handled := w.answers
			w.answers = answers{}
			return result{split: newSplitBatch(batch, limitBytes, &handled, e.workers)}
		}
	}
	payload, failed := assemble(w.response, header.ItemCount, limitBytes, &w.answers)
	w.response = payload[:cap(payload)]
	if failed != noFailure {
		return result{failed: failed}
	}
	return result{payload: payload}
}

// handle runs the handler of one request, or item, and contains its panic. When the handler ends its
// goroutine, this does not return: callers answer by what they deferred.
func (e *engine) handle(w *worker, s *served, request, out []byte) (length int, failed failure) {
	service, returned := s.service, false
	defer func() {
		panicked := recover()
		if panicked == nil && returned {
			return
		}
		if panicked == nil {
			panicked = errGoexit
		}
		service.counters.panics.Add(1)
		service.log(slog.LevelError, "handler panicked", slog.Any("panic", panicked),
			slog.String("stack", string(debug.Stack())))
		service.report(fmt.Errorf("the handler panicked: %v", panicked))
		// What it had done to its builder is of no use.
		w.builders[service.index] = service.dispatch.newBuilder()
		length, failed = 0, failedInternal
	}()
	atCeiling := s.session.Terms().Response.PayloadBytes >= service.ceiling
	length, failed = service.dispatch.handle(&s.context, w.builders[service.index], request, out, atCeiling)
	returned = true
	if failed == noFailure && length > len(out) {
		return 0, failedInternal
	}
	return length, failed
}

// share answers a batch together with other workers, and gives the worker back.
func (e *engine) share(w *worker, shared *sharedBatch) {
	e.callHelp(shared)
	e.perform(w, job{help: shared})
}

// callHelp has other workers answer parts of a batch.
func (e *engine) callHelp(shared *sharedBatch) {
	for range shared.split.parts - 1 {
		e.submit(job{help: shared})
	}
}

// help answers parts of a batch until none is left. Whoever finishes the last sends the answer.
func (e *engine) help(w *worker, shared *sharedBatch) {
	handle := func(item, out []byte) (int, failure) { return e.handle(w, shared.served, item, out) }
	for {
		part, ok := shared.split.claim()
		if !ok {
			return
		}
		e.helpWith(w, shared, part, handle)
	}
}

// helpWith answers a part. Finishing it is deferred, for a handler that ends its goroutine.
func (e *engine) helpWith(w *worker, shared *sharedBatch, part batchPart, handle itemHandler) {
	outcome := partOutcome{failed: failedInternal}
	defer func() {
		if !shared.split.finish(part, outcome) {
			return
		}
		payload, failed := shared.split.assemble(w.response)
		w.response = payload[:cap(payload)]
		shared.served.answer(w, &shared.header, result{payload: payload, failed: failed})
	}()
	outcome = shared.split.answer(part, handle)
}

// errGoexit stands for the panic of a handler that ended its goroutine.
var errGoexit = errors.New("it ended its goroutine")
