package service

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

const bothProfiles = protocol.ProfilesBaseline | protocol.ProfilesShmHybrid

func TestSharedMemoryThatFailedIsOfferedAgainLaterEachTime(t *testing.T) {
	why := errors.New("it is missing")
	var memory sharedMemory
	if memory.offer(bothProfiles, 0) != bothProfiles {
		t.Fatal("it is not offered at first")
	}
	now := uint64(1_000)
	for _, pause := range []uint64{10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000} {
		memory.failed(why, now)
		now += pause - 1
		if memory.offer(bothProfiles, now) != protocol.ProfilesBaseline || !errors.Is(memory.whyNot(now), why) {
			t.Fatalf("it is offered before %d ms", pause)
		}
		now++
		if memory.offer(bothProfiles, now) != bothProfiles || memory.whyNot(now) != nil {
			t.Fatalf("it is not offered after %d ms", pause)
		}
	}
	memory.works()
	if memory.failed(why, now); memory.offer(bothProfiles, now+10_000) != bothProfiles {
		t.Fatal("it does not start over")
	}
}

func TestSessionsInARowThatComeToNothingCostTheNextOneSharedMemory(t *testing.T) {
	var memory sharedMemory
	for range 3 {
		for range mostFruitless - 1 {
			if memory.cameToNothing(); memory.offer(bothProfiles, 0) != bothProfiles {
				t.Fatal("it is given up early")
			}
		}
		// Whoever does not get the next session either tries again.
		for range 2 {
			memory.cameToNothing()
			if memory.offer(bothProfiles, 0) != protocol.ProfilesBaseline || memory.whyNot(0) != errFruitless {
				t.Fatal("it is offered all the same")
			}
		}
		// What cannot be used is the reason before what came to nothing.
		why := errors.New("denied")
		if memory.failed(why, 0); !errors.Is(memory.whyNot(9_999), why) || memory.whyNot(10_000) != errFruitless {
			t.Fatal(memory.whyNot(9_999), memory.whyNot(10_000))
		}
		if memory.works(); memory.whyNot(0) != errFruitless {
			t.Fatal(memory.whyNot(0))
		}
		if memory.rowEnded(); memory.offer(bothProfiles, 0) != bothProfiles {
			t.Fatal("it is not offered again")
		}
	}
}

func TestAProfileIsExplainedByWhoLacksABetterOne(t *testing.T) {
	baseline := protocol.ProfilesBaseline
	for _, c := range []struct {
		selected        protocol.Profile
		offered, server protocol.Profiles
		notShared       error
		want            string
	}{
		{protocol.ProfileBaseline, baseline, baseline, nil, "neither"},
		{protocol.ProfileBaseline, 0, baseline, nil, "neither"},
		{protocol.ProfileBaseline, baseline, bothProfiles, nil, "the server could use 0x03"},
		{protocol.ProfileBaseline, bothProfiles, baseline, nil, "this client offers 0x03, the server can use"},
		{protocol.ProfileBaseline, bothProfiles, bothProfiles, nil, "could not make a region"},
		{protocol.ProfileShmHybrid, bothProfiles, bothProfiles, nil, "neither"},
		{protocol.ProfileBaseline, bothProfiles, bothProfiles, errors.New("denied"), "denied"},
	} {
		if why := profileReason(c.selected, c.offered, c.server, c.notShared); !strings.Contains(why, c.want) {
			t.Errorf("%q, want %q", why, c.want)
		}
	}
}

func TestErrorsSayWhoIsAtFault(t *testing.T) {
	broken := protocol.NewDecodeError(protocol.DefectTruncated, 3)
	for _, c := range []struct {
		err   *CallError
		fault transport.Fault
	}{
		{fail(KindNotReady, ErrNotReady), transport.FaultCaller},
		{requestTooLarge(5, 1), transport.FaultCaller},
		{fail(KindStatus, StatusError{protocol.StatusBadEnvelope}), transport.FaultCaller},
		{fail(KindTimedOut, ErrTimedOut), transport.FaultNobody},
		{fail(KindLost, ErrBusy), transport.FaultNobody},
		{fail(KindLost, ErrGenerationChanged), transport.FaultNobody},
		{fail(KindStatus, StatusError{protocol.StatusUnsupported}), transport.FaultPeerIncompatible},
		{fail(KindStatus, StatusError{protocol.StatusInternalError}), transport.FaultPeerBroke},
		{malformed(broken), transport.FaultPeerBroke},
	} {
		if fault := c.err.Fault(); fault != c.fault {
			t.Errorf("%v: %v", c.err, fault)
		}
	}
	if text := malformed(broken).Error(); !strings.Contains(text, "at byte 3") {
		t.Error(text)
	}
}

// batchOf is a batch whose items are their own numbers.
func batchOf(t testing.TB, count int) protocol.Batch {
	t.Helper()
	var builder protocol.BatchBuilder
	err := builder.Begin(nil, uint32(count), testLimit)
	for item := range count {
		if err == nil {
			err = builder.Push([]byte{byte(item)})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	payload, err := builder.Finish()
	if err != nil {
		t.Fatal(err)
	}
	batch, err := protocol.DecodeBatch(payload, uint32(count))
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

const testLimit = 4096

func echo(request, out []byte) (int, failure) { return copy(out, request), noFailure }

// splitOf is a batch of which the first items are answered.
func splitOf(t testing.TB, items, handled, workers int) *splitBatch {
	t.Helper()
	batch := batchOf(t, items)
	first := &answers{}
	first.reset(testLimit)
	for item := range handled {
		first.push(testLimit, batch.Item(item), echo)
	}
	return newSplitBatch(batch, testLimit, first, workers)
}

func claimAll(split *splitBatch) []batchPart {
	var parts []batchPart
	for {
		part, ok := split.claim()
		if !ok {
			return parts
		}
		parts = append(parts, part)
	}
}

// answerPart answers a part and finishes it. True for the last.
func answerPart(split *splitBatch, part batchPart, handle itemHandler) bool {
	return split.finish(part, split.answer(part, handle))
}

func TestEverySplitAnswersEveryItemOnceAndInOrder(t *testing.T) {
	for _, c := range [][3]int{{1, 0, 1}, {1, 0, 8}, {7, 0, 2}, {7, 3, 2}, {7, 7, 2}, {100, 1, 8}, {5, 2, 1}} {
		items, handled, workers := c[0], c[1], c[2]
		split := splitOf(t, items, handled, workers)
		parts := claimAll(split)
		if len(parts) != split.parts {
			t.Fatalf("%v: %d parts of %d", c, len(parts), split.parts)
		}
		finished := 0
		// Whatever the order: the last first.
		for i := len(parts) - 1; i >= 0; i-- {
			if answerPart(split, parts[i], echo) {
				finished++
			}
		}
		if finished != 1 {
			t.Fatalf("%v: finished %d times", c, finished)
		}
		payload, failed := split.assemble(nil)
		if failed != noFailure {
			t.Fatal(failed)
		}
		batch, err := protocol.DecodeBatch(payload, uint32(items))
		if err != nil {
			t.Fatal(err)
		}
		for index, item := range batch.Items() {
			if len(item) != 1 || int(item[0]) != index {
				t.Fatalf("%v: item %d is %x", c, index, item)
			}
		}
	}
}

// Where an int has 32 bits, the product of items and parts is more than it holds.
func TestALongBatchIsSplitAmongManyWithoutAGap(t *testing.T) {
	const items = 1 << 16
	// Items may share their bytes.
	batch, err := protocol.DecodeBatch(make([]byte, items*protocol.BatchEntryLen), items)
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for _, part := range claimAll(newSplitBatch(batch, testLimit, &answers{}, items)) {
		if part.start != next || part.end <= part.start {
			t.Fatalf("part %d goes from %d to %d, after %d", part.index, part.start, part.end, next)
		}
		next = part.end
	}
	if next != items {
		t.Fatalf("the last part ends at %d", next)
	}
}

func TestABatchFailsAsItsFirstFailingItemDoes(t *testing.T) {
	fails := func(request, _ []byte) (int, failure) {
		switch request[0] {
		case 60:
			return 0, failedEnvelope
		case 90:
			return 0, failedInternal
		}
		return 0, noFailure
	}
	for _, reversed := range []bool{false, true} {
		split := splitOf(t, 100, 0, 4)
		parts := claimAll(split)
		for i := range parts {
			if reversed {
				i = len(parts) - 1 - i
			}
			answerPart(split, parts[i], fails)
		}
		if _, failed := split.assemble(nil); failed != failedEnvelope {
			t.Errorf("reversed is %v: %d", reversed, failed)
		}
	}
}

func TestWhatFollowsAFailureIsLeftAloneAndWhatPrecedesItIsNot(t *testing.T) {
	split := splitOf(t, 100, 0, 3)
	parts := claimAll(split)
	answerPart(split, parts[1], func(_, _ []byte) (int, failure) { return 0, failedLimit })
	answerPart(split, parts[2], func(_, _ []byte) (int, failure) {
		t.Error("its answer is of no use")
		return 0, noFailure
	})
	if !answerPart(split, parts[0], func(_, _ []byte) (int, failure) { return 0, failedEnvelope }) {
		t.Fatal("it is not finished")
	}
	if _, failed := split.assemble(nil); failed != failedEnvelope {
		t.Fatal(failed)
	}
}

func TestAnAnswerAboveTheLimitIsRefusedNotCut(t *testing.T) {
	split := splitOf(t, 8, 0, 2)
	for _, part := range claimAll(split) {
		answerPart(split, part, func(_, _ []byte) (int, failure) { return 1024, noFailure })
	}
	if _, failed := split.assemble(nil); failed != failedLimit {
		t.Fatal(failed)
	}
	split = splitOf(t, 1, 0, 1)
	for _, part := range claimAll(split) {
		answerPart(split, part, func(_, out []byte) (int, failure) { return len(out) + 1, noFailure })
	}
	if _, failed := split.assemble(nil); failed != failedInternal {
		t.Fatal(failed)
	}
}

func TestZeroIsTheNamedDefault(t *testing.T) {
	client := ClientConfig{}.resolved(protocol.DefaultResponseCeilingBytes)
	want := ClientConfig{
		MaxRequestPayloadBytes: 1 << 20, MaxRequestBatchItems: 1024, MaxResponsePayloadBytes: 1 << 20,
		MaxResponseBatchItems: 1024, CallTimeout: DefaultCallTimeout, MaxLookupItems: 65_536,
		MaxLookupSubCalls: 4096, MaxLookupResponseBytes: 64 << 20,
	}
	if client != want {
		t.Errorf("%v", client)
	}
	server := ServerConfig{}.resolved(protocol.DefaultSnapshotCeilingBytes)
	if server.MaxSessions != 64 || server.MaxInFlightPerSession != 16 || server.WorkerCount < 1 ||
		server.WorkerCount > 8 || server.MaxRequestPayloadBytes != 1<<20 || server.MaxResponsePayloadBytes != 16<<20 {
		t.Errorf("%v", server)
	}
	for _, shown := range []string{ClientConfig{AuthToken: 123456}.String(), ServerConfig{AuthToken: 123456}.String()} {
		if strings.Contains(shown, "123456") {
			t.Error(shown)
		}
	}
}

// quitter is a service whose handlers end their goroutines.
type quitter struct{ entered int }

func (*quitter) info() serviceInfo { return serviceInfo{} }
func (*quitter) newBuilder() any   { return nil }
func (q *quitter) handle(*Context, any, []byte, []byte, bool) (int, failure) {
	q.entered++
	runtime.Goexit()
	return 0, noFailure
}

// The other workers' jobs are dropped when a server stops: then there is one who answers the parts of a batch,
// and if a handler ends his goroutine, another has to go on.
func TestABatchInOnePairOfHandsIsAnsweredThoughItsHandlersEndTheirGoroutines(t *testing.T) {
	quits := &quitter{}
	s := &served{
		service: &servedService{dispatch: quits}, session: &transport.Session{}, room: make(chan struct{}, 1),
		reading: true, inFlight: 1, waiting: true, ended: endStopped,
	}
	s.useless.Store(true)
	split := splitOf(t, 6, 0, 3)
	e := &engine{workers: 3}
	go e.perform(&worker{builders: []any{nil}}, job{help: &sharedBatch{served: s, split: split}})
	select {
	case <-s.room:
	case <-time.After(20 * time.Second):
		t.Fatal("the batch has no answer")
	}
	if left := split.left.Load(); left != 0 || quits.entered == 0 {
		t.Fatalf("%d parts are left, %d handlers were called", left, quits.entered)
	}
}
