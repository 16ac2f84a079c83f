package service

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// A batch that several workers answer (spec section 2).
//
//	the worker that read it          handled | part 1 | part 2 | part 3     contiguous items
//	answers items until it takes     ^ part 0   ^ claimed one by one, by the reader too
//	too long, then splits the rest
//
// Whoever finishes the last part puts the answer together, so nobody ever waits for another. A batch fails
// as its first failing item does, whatever the order in which parts were answered. No goroutines, no session
// and no queue here.
//
// A split allocates: each part has its own buffer for answers, as long as the session's response limit. Only
// batches that take longer than batchSharedAfter are split, and beside that time the buffers cost little.

// itemHandler answers one item of a batch at the start of out.
type itemHandler func(request, out []byte) (int, failure)

// answers are those to some items in a row.
type answers struct {
	// buffer is as long as the session's response limit; only the start is used.
	buffer []byte
	used   int
	// lengths of the answers, in bytes; each starts at a multiple of 8.
	lengths []int
}

// reset starts again, for a session with this response limit. Keeps its memory.
func (a *answers) reset(limit int) {
	a.buffer = grownBlank(a.buffer, limit)
	a.used, a.lengths = 0, a.lengths[:0]
}

// push adds the answer of handle to request; limit as given to reset.
func (a *answers) push(limit int, request []byte, handle itemHandler) failure {
	room := a.buffer[min(a.used, limit):limit]
	length, failed := handle(request, room)
	switch {
	case failed != noFailure:
		return failed
	case length > len(room):
		return failedInternal
	}
	a.used += align8(length)
	a.lengths = append(a.lengths, length)
	return noFailure
}

// pushInto adds the answers to the batch that is being built.
func (a *answers) pushInto(builder *protocol.BatchBuilder) failure {
	start := 0
	for _, length := range a.lengths {
		if builder.Push(a.buffer[start:start+length]) != nil {
			return failedLimit
		}
		start += align8(length)
	}
	return noFailure
}

func align8(length int) int { return (length + 7) &^ 7 }

// grownBlank is buffer, at least so long. New memory is asked for blank, which the system gives without
// touching it: a limit of megabytes costs nothing until an answer needs it.
func grownBlank(buffer []byte, length int) []byte {
	if len(buffer) < length {
		return make([]byte, length)
	}
	return buffer
}

// assemble writes the payload of a batch's answer into buffer.
func assemble(buffer []byte, itemCount, limit uint32, parts ...*answers) ([]byte, failure) {
	var builder protocol.BatchBuilder
	if builder.Begin(buffer[:0], itemCount, limit) != nil {
		return buffer, failedLimit
	}
	for _, part := range parts {
		if failed := part.pushInto(&builder); failed != noFailure {
			return buffer, failed
		}
	}
	payload, err := builder.Finish()
	if err != nil {
		return buffer, failedInternal
	}
	return payload, noFailure
}

// splitBatch is a batch whose items are answered by whoever claims a part of them.
type splitBatch struct {
	batch protocol.Batch
	limit uint32
	// handled is the items that were answered before the split; they are part 0.
	handled int
	// parts behind part 0.
	parts int
	// next is the next part that nobody has claimed, from 1.
	next atomic.Int64
	// left counts the parts that are not finished.
	left atomic.Int64
	// failed is the lowest part that failed; parts behind it need no answer.
	failed atomic.Int64

	mu       sync.Mutex
	outcomes []partOutcome
}

type partOutcome struct {
	answers *answers
	failed  failure
}

// batchPart is a part of a batch: who holds it is the only one to answer it.
type batchPart struct{ index, start, end int }

// newSplitBatch splits what follows the items that handled answers into at most workers parts.
func newSplitBatch(batch protocol.Batch, limit uint32, handled *answers, workers int) *splitBatch {
	rest := batch.Len() - len(handled.lengths)
	parts := max(1, min(workers, rest))
	split := &splitBatch{
		batch: batch, limit: limit, handled: len(handled.lengths), parts: parts,
		outcomes: make([]partOutcome, parts+1),
	}
	split.outcomes[0].answers = handled
	split.next.Store(1)
	split.left.Store(int64(parts))
	split.failed.Store(math.MaxInt64)
	return split
}

// claim is a part that nobody has, if one is left.
func (b *splitBatch) claim() (batchPart, bool) {
	// Looked at first, so that late helpers do not count it up for ever.
	if b.next.Load() > int64(b.parts) {
		return batchPart{}, false
	}
	index := int(b.next.Add(1) - 1)
	if index > b.parts {
		return batchPart{}, false
	}
	return batchPart{index: index, start: b.startOf(index), end: b.startOf(index + 1)}, true
}

// startOf is the first item of a part, and the end of the one before it.
func (b *splitBatch) startOf(index int) int {
	// In 64 bits the product fits, whatever an int has.
	rest := int64(b.batch.Len() - b.handled)
	return b.handled + int(rest*int64(index-1)/int64(b.parts))
}

// finish notes what became of a part. True for the part that was finished last: its caller assembles.
func (b *splitBatch) finish(part batchPart, outcome partOutcome) bool {
	if outcome.failed != noFailure {
		for lowest := b.failed.Load(); int64(part.index) < lowest; lowest = b.failed.Load() {
			if b.failed.CompareAndSwap(lowest, int64(part.index)) {
				break
			}
		}
	}
	b.mu.Lock()
	b.outcomes[part.index] = outcome
	b.mu.Unlock()
	return b.left.Add(-1) == 0
}

// answer answers a part item by item; what comes of that is to be finished.
func (b *splitBatch) answer(part batchPart, handle itemHandler) partOutcome {
	given := &answers{}
	given.reset(int(b.limit))
	for index := part.start; index < part.end; index++ {
		if b.failed.Load() < int64(part.index) {
			// What an earlier item said decides; this says only that the rest was left.
			return partOutcome{given, failedInternal}
		}
		if failed := given.push(int(b.limit), b.batch.Item(index), handle); failed != noFailure {
			return partOutcome{given, failed}
		}
	}
	return partOutcome{given, noFailure}
}

// assemble puts the answer together once all parts are finished.
func (b *splitBatch) assemble(buffer []byte) ([]byte, failure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	parts := make([]*answers, 0, len(b.outcomes))
	for _, outcome := range b.outcomes {
		if outcome.failed != noFailure {
			return buffer, outcome.failed
		}
		parts = append(parts, outcome.answers)
	}
	return assemble(buffer, uint32(b.batch.Len()), b.limit, parts...)
}
