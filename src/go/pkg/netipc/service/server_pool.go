package service

import (
	"sync"
	"sync/atomic"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// worker is the right to run one handler, and the memory for it: one response of the largest limit that it
// has met. It is no goroutine: whoever has a request takes a worker and runs the handler itself.
type worker struct {
	// builders has one for each service of the engine.
	builders []any
	response []byte
	answers  answers

	// What the watchdog looks at: whose reader runs a handler, and which of its turns that is.
	inlineOf   atomic.Pointer[served]
	inlineTurn atomic.Uint64
	// seenTurn is the watchdog's own.
	seenOf   *served
	seenTurn uint64
}

// job is something for a worker to do.
type job struct {
	// served and buffer: a request that was read and not begun.
	served *served
	buffer *transport.PacketBuffer
	// help: a batch that could use help; its parts may all be claimed by now.
	help *sharedBatch
}

// sharedBatch is a batch in the hands of several workers, and where its answer goes.
type sharedBatch struct {
	served *served
	header protocol.Header
	split  *splitBatch
}

// pool is the workers that are free, and the jobs for which none was. Most requests never come here as jobs:
// the goroutine that reads one takes a free worker and answers it. The queue's length is bounded by the
// requests that sessions may have in flight, and by the workers that a batch may have.
type pool struct {
	mu    sync.Mutex
	free  []*worker
	queue []job
	// head is where the queue starts.
	head int
	// closed: nothing is begun any more.
	closed bool
}

// take is a free worker; nil when there is none, or nothing is begun any more.
func (p *pool) take() *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free) - 1
	if last < 0 || p.closed {
		return nil
	}
	w := p.free[last]
	p.free = p.free[:last]
	return w
}

// takeOrPush is a free worker; nil when there is none, and the job waits for one. False when it does not,
// because nothing is begun any more.
func (p *pool) takeOrPush(j job) (w *worker, taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false
	}
	if last := len(p.free) - 1; last >= 0 {
		w = p.free[last]
		p.free = p.free[:last]
		return w, true
	}
	if len(p.queue) == cap(p.queue) && p.head > len(p.queue)/2 {
		// Half of it was done long ago: where workers are always busy, nothing else takes that away.
		left := copy(p.queue, p.queue[p.head:])
		clear(p.queue[left:])
		p.queue, p.head = p.queue[:left], 0
	}
	p.queue = append(p.queue, j)
	return nil, true
}

// give takes a worker back. True when a job waited for it: the caller keeps the worker, and does the job.
func (p *pool) give(w *worker) (job, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head == len(p.queue) {
		p.free = append(p.free, w)
		return job{}, false
	}
	next := p.queue[p.head]
	p.queue[p.head] = job{}
	p.head++
	if p.head == len(p.queue) {
		p.queue, p.head = p.queue[:0], 0
	}
	return next, true
}

// close drops all jobs, and hands them back. No other is taken from here on: sessions are read for a moment
// more.
func (p *pool) close() []job {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	dropped := append([]job(nil), p.queue[p.head:]...)
	clear(p.queue)
	p.queue, p.head = p.queue[:0], 0
	return dropped
}
