package protocol_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

func TestEveryRowOfTheClientsStateTable(t *testing.T) {
	rejected := func(status Status) Met { return Met{What: MetRejected, Status: status} }
	for _, c := range []struct {
		met   Met
		state ClientState
		next  NextTry
	}{
		{Met{What: MetNoEndpoint}, StateNotFound, NextTryAtOnce},
		{Met{What: MetUnreachable}, StateDisconnected, NextTryAtOnce},
		{Met{What: MetNoAnswer}, StateDisconnected, NextTryAtOnce},
		{Met{What: MetBadAnswer}, StateDisconnected, NextTryAtOnce},
		{rejected(StatusBadEnvelope), StateDisconnected, NextTryAtOnce},
		{rejected(StatusInternalError), StateDisconnected, NextTryAtOnce},
		{rejected(StatusLimitExceeded), StateDisconnected, NextTryAtOnce},
		{rejected(0x0200), StateDisconnected, NextTryAtOnce},
		{rejected(StatusBusy), StateDisconnected, NextTryBusy},
		{Met{What: MetRegionVanished}, StateDisconnected, NextTryBusy},
		{rejected(StatusAuthFailed), StateAuthFailed, NextTryRarely},
		{rejected(StatusUnsupported), StateIncompatible, NextTryRarely},
		{rejected(StatusIncompatible), StateIncompatible, NextTryRarely},
		{Met{What: MetSessionLost}, StateBroken, NextTryAtOnce},
	} {
		var retry Retry
		verdict := retry.Met(c.met, 1000, 0)
		if verdict.State != c.state || verdict.NextTry != c.next {
			t.Errorf("%+v gives %+v", c.met, verdict)
		}
		if at, waits := retry.RetryAtMs(); waits != (c.next != NextTryAtOnce) || waits && at <= 1000 {
			t.Errorf("%+v waits: %v, until %d", c.met, waits, at)
		}
	}
}

func TestBusyDoublesFrom100MsTo5SWithinAQuarter(t *testing.T) {
	for _, c := range []struct {
		earlier uint32
		middle  uint64
	}{{0, 100}, {1, 200}, {5, 3200}, {6, 5000}, {40, 5000}, {math.MaxUint32, 5000}} {
		low, high := c.middle*3/4, c.middle*5/4
		for random, want := range map[uint64]uint64{0: low, high - low: high, high - low + 1: low} {
			if delay := BusyBackoff.DelayMs(c.earlier, random); delay != want {
				t.Errorf("%d ms after %d, want %d", delay, c.earlier, want)
			}
		}
		if delay := BusyBackoff.DelayMs(c.earlier, math.MaxUint64); delay < low || delay > high {
			t.Errorf("%d ms", delay)
		}
	}
	for earlier, want := range map[uint32]uint64{0: 10_000, 1: 20_000, 4: 160_000, 5: 300_000, 100: 300_000} {
		if delay := RareBackoff.DelayMs(earlier, 77); delay != want {
			t.Errorf("rarely: %d ms after %d, want %d", delay, earlier, want)
		}
	}
}

func TestABusyServerIsLeftAloneUntilItsTime(t *testing.T) {
	var retry Retry
	busy := Met{What: MetRejected, Status: StatusBusy}
	want := func(nowMs, random, at uint64) {
		t.Helper()
		if verdict := retry.Met(busy, nowMs, random); verdict.RetryAtMs != at {
			t.Fatalf("%+v, want %d", verdict, at)
		}
	}
	want(1000, 25, 1100)
	if retry.MayTry(1099) || !retry.MayTry(1100) {
		t.Fatal("it is not left alone until 1100")
	}
	want(1100, 50, 1300)
	// A refusal of another kind in between does not start the delays over; an answer does.
	if retry.Met(Met{What: MetNoEndpoint}, 1300, 0); !retry.MayTry(0) {
		t.Fatal("it waits for no endpoint")
	}
	want(1300, 100, 1700)
	if retry.Answered(); !retry.MayTry(1301) {
		t.Fatal("it waits after an answer")
	}
	want(2000, 25, 2100)
	// The end of the clock does not wrap.
	want(math.MaxUint64, 0, math.MaxUint64)
}

func TestTheSecondEarlyCloseInARowMeansFull(t *testing.T) {
	var retry Retry
	early := Met{What: MetClosedEarly}
	if verdict := retry.Met(early, 0, 25); verdict.State != StateBroken {
		t.Fatalf("%+v", verdict)
	}
	full := retry.Met(early, 0, 25)
	if full != (Verdict{State: StateDisconnected, NextTry: NextTryBusy, RetryAtMs: 100}) {
		t.Fatalf("%+v", full)
	}
	// Still full at the next attempt: the delay doubles.
	if verdict := retry.Met(early, 100, 50); verdict.RetryAtMs != 300 {
		t.Fatalf("%+v", verdict)
	}
	// Anything else in between breaks the row.
	retry.Met(Met{What: MetNoEndpoint}, 300, 0)
	if verdict := retry.Met(early, 300, 0); verdict.State != StateBroken {
		t.Fatalf("%+v", verdict)
	}
	retry.Answered()
	if verdict := retry.Met(early, 400, 0); verdict.State != StateBroken {
		t.Fatalf("%+v", verdict)
	}
}

func TestARequestIsSentAgainOnceAndOnlyForALostPeer(t *testing.T) {
	for _, loss := range []Loss{LossViolation, LossTimeout, LossAbort} {
		var resend Resend
		if resend.After(loss) || !resend.After(LossPeerGone) || resend.After(LossPeerGone) {
			t.Errorf("loss %d", loss)
		}
	}
}

func TestEveryStatusHasItsAction(t *testing.T) {
	for status, action := range map[Status]AnswerAction{
		StatusOK: AnswerTake, StatusLimitExceeded: AnswerGrow, StatusUnsupported: AnswerFailAndKeep,
		StatusBadEnvelope: AnswerFailAndClose, StatusInternalError: AnswerFailAndClose,
		StatusBusy: AnswerFailAndClose, 999: AnswerFailAndClose,
	} {
		if got := OnAnswer(status); got != action {
			t.Errorf("%v: %d, want %d", status, got, action)
		}
	}
}

func TestAServerStartsLowAndDoublesToItsCeiling(t *testing.T) {
	if StartingLimit(1000) != 1000 || StartingLimit(1<<20) != 65_536 {
		t.Error("it starts elsewhere")
	}
	if Doubled(65_536, 1<<20) != 131_072 || Doubled(65_536, 100_000) != 100_000 ||
		Doubled(math.MaxUint32, math.MaxUint32) != math.MaxUint32 {
		t.Error("it does not double")
	}
	// Two sessions that fail at the same limit double it once, a lower one never shrinks it.
	once := ServerLimitAfter(65_536, 65_536, 1<<20)
	if ServerLimitAfter(once, 65_536, 1<<20) != 131_072 || ServerLimitAfter(1<<19, 65_536, 1<<20) != 1<<19 {
		t.Error("sessions of one limit double it twice")
	}
}

func TestACallGrowsWithItsServerUpToItsCeiling(t *testing.T) {
	const ceiling = 1 << 20
	hint := NewResponseHint(ceiling)
	var call CallGrowth
	agreed := uint32(65_536)
	for call.LimitExceeded(&hint, agreed) == nil {
		if agreed = Doubled(agreed, ceiling); hint.Bytes() != agreed {
			t.Fatalf("hints %d, agreed %d", hint.Bytes(), agreed)
		}
	}
	if agreed != ceiling || call.Growths() != 4 {
		t.Fatalf("%d after %d", agreed, call.Growths())
	}
	if err := call.LimitExceeded(&hint, agreed); !errors.Is(err, ErrGrowthCeiling) {
		t.Fatal(err)
	}
}

func TestAServerThatDoesNotGrowIsAskedTwiceAndALateOneIsWaitedFor(t *testing.T) {
	hint := NewResponseHint(1 << 20)
	var late CallGrowth
	for _, agreed := range []uint32{65_536, 65_536, 131_072, 131_072, 262_144, 262_144} {
		if err := late.LimitExceeded(&hint, agreed); err != nil {
			t.Fatal(err)
		}
	}
	var call CallGrowth
	for range MaxGrowthsInVain {
		if err := call.LimitExceeded(&hint, 65_536); err != nil {
			t.Fatal(err)
		}
	}
	err := call.LimitExceeded(&hint, 65_536)
	if !errors.Is(err, ErrGrowthInVain) || !strings.Contains(err.Error(), "65536") {
		t.Fatal(err)
	}
}

func TestOneCallGrowsEightTimesAndTheNextGoesOn(t *testing.T) {
	hint := NewResponseHint(math.MaxUint32)
	var call CallGrowth
	agreed := uint32(1024)
	for range MaxGrowthsPerCall {
		if err := call.LimitExceeded(&hint, agreed); err != nil {
			t.Fatal(err)
		}
		agreed *= 2
	}
	if err := call.LimitExceeded(&hint, agreed); !errors.Is(err, ErrGrowthOften) || hint.Bytes() != 65_536<<8 ||
		!strings.Contains(err.Error(), "8 reconnects") {
		t.Fatalf("%v at %d", err, hint.Bytes())
	}
	var next CallGrowth
	if err := next.LimitExceeded(&hint, agreed); err != nil || hint.Bytes() != 65_536<<9 {
		t.Fatalf("%v at %d", err, hint.Bytes())
	}
}

func TestARefusedProposalFallsTo1024AtOnceAndIsRemembered(t *testing.T) {
	proposals := NewRequestProposals(1<<20, 1024)
	if proposals.Limits() != (Limits{PayloadBytes: 65_536, BatchItems: 1024}) {
		t.Fatal(proposals.Limits())
	}
	if proposals.Refused() != RefusedProposeAgain || proposals.Limits().PayloadBytes != 1024 {
		t.Fatal(proposals.Limits())
	}
	proposals.Accepted()
	if proposals.Limits().PayloadBytes != 1024 || proposals.Refused() != RefusedGiveUp {
		t.Fatal("the refusal is not remembered")
	}
	// A low ceiling is never exceeded.
	low := NewRequestProposals(500, 1)
	if low.Limits().PayloadBytes != 500 || low.Refused() != RefusedGiveUp {
		t.Fatal(low.Limits())
	}
}

func TestALargerRequestProposesJustThatAndGoesBackWhenRefused(t *testing.T) {
	proposals := NewRequestProposals(1<<20, 1024)
	proposals.Accepted()
	need := func(bytes uint32) {
		t.Helper()
		if err := proposals.Need(bytes); err != nil || proposals.Limits().PayloadBytes != bytes {
			t.Fatalf("%v, proposes %d", err, proposals.Limits().PayloadBytes)
		}
	}
	need(200_000)
	if proposals.Refused() != RefusedTooLarge || proposals.Limits().PayloadBytes != 65_536 {
		t.Fatal(proposals.Limits())
	}
	need(200_000)
	if proposals.ForgetNeed(); proposals.Limits().PayloadBytes != 65_536 {
		t.Fatal(proposals.Limits())
	}
	need(1 << 20)
	proposals.Accepted()
	err := proposals.Need(1<<20 + 1)
	if !errors.Is(err, ErrRequestTooLarge) || proposals.Limits().PayloadBytes != 1<<20 {
		t.Fatalf("%v, proposes %d", err, proposals.Limits().PayloadBytes)
	}
}

func TestTheTableOfMessagesInFlightDoesWhatAMapDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		capacity := 1 + random.IntN(11)
		table := NewInFlight[int](capacity)
		model := map[uint64]int{}
		for step := range 200 {
			// Few ids, so that they meet; some far apart.
			id := random.Uint64N(24)
			if random.IntN(4) == 0 {
				id = random.Uint64N(8) << 60
			}
			switch random.IntN(17) {
			case 0:
				table.Drain(func(id uint64, value int) {
					if model[id] != value {
						t.Fatalf("drained %d of %d", value, id)
					}
					delete(model, id)
				})
				if len(model) != 0 {
					t.Fatalf("not drained: %v", model)
				}
			case 1, 2, 3, 4, 5, 6, 7, 8:
				var want error
				if _, there := model[id]; there {
					want = ErrDuplicateID
				} else if len(model) == capacity {
					want = ErrInFlightFull
				} else {
					model[id] = step
				}
				if err := table.Insert(id, step); err != want {
					t.Fatalf("%v, want %v", err, want)
				}
			default:
				value, ok := table.Take(id)
				if want, there := model[id]; ok != there || value != want {
					t.Fatalf("took %d, %v", value, ok)
				}
				delete(model, id)
			}
			if table.Len() != len(model) {
				t.Fatalf("%d, want %d", table.Len(), len(model))
			}
			for id := range model {
				if !table.Contains(id) {
					t.Fatalf("%d is lost", id)
				}
			}
		}
	}
	if one := NewInFlight[int](0); one.Capacity() != 1 || one.Insert(math.MaxUint64, 1) != nil {
		t.Fatal("there is no room for one")
	}
}

// Who is handed what was in flight may panic: the rest stays in flight.
func TestATableIsWholeWhateverIsDoneWhileItIsDrained(t *testing.T) {
	const capacity = 4
	table := NewInFlight[int](capacity)
	fill := func() {
		t.Helper()
		for id := uint64(0); table.Len() < capacity; id++ {
			if err := table.Insert(id, 0); err != nil && err != ErrDuplicateID {
				t.Fatal(err)
			}
		}
		if err := table.Insert(100, 0); err != ErrInFlightFull {
			t.Fatalf("%v, want %v", err, ErrInFlightFull)
		}
	}
	for range 3 {
		fill()
		taken := uint64(0)
		func() {
			defer func() { _ = recover() }()
			table.Drain(func(id uint64, _ int) {
				taken = id
				panic("enough")
			})
		}()
		if table.Len() != capacity-1 || table.Contains(taken) {
			t.Fatalf("%d are in flight", table.Len())
		}
		for id := range uint64(capacity) {
			if id != taken && !table.Contains(id) {
				t.Fatalf("%d is lost", id)
			}
		}
	}
}

func serviceName(t testing.TB, name string) ServiceName {
	t.Helper()
	service, err := NewServiceName(name)
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func TestNamesAreAsLongAsTheyMayBeAndNoLonger(t *testing.T) {
	service := serviceName(t, "svc")
	for _, c := range []struct {
		most int
		rest string
		make func(runDir string) (string, error)
	}{
		{107, "/svc.sock", func(d string) (string, error) { return SocketPath(d, service, MaxSocketPathLen) }},
		{103, "/svc.sock", func(d string) (string, error) { return SocketPath(d, service, MaxSocketPathLenMacOS) }},
		{255, "/svc-0000000000000001.ipcshm", func(d string) (string, error) { return RegionPath(d, service, 1) }},
		{255, `\\.\pipe\netipc-0123456789abcdef-`, func(d string) (string, error) { return PipeName("", serviceName(t, d)) }},
		{255, `Local\netipc-0123456789abcdef--p4-s0123456789abcdef-resp_event`, func(d string) (string, error) {
			session := WindowsSession{Service: serviceName(t, d), Profile: ProfileShmBusywait, SessionID: 1}
			return session.ObjectName(ObjectResponseEvent)
		}},
	} {
		just := strings.Repeat("d", c.most-len(c.rest))
		if name, err := c.make(just); err != nil || len(name) != c.most {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := c.make(just + "d"); !errors.Is(err, ErrName) ||
			!strings.Contains(err.Error(), fmt.Sprintf("at most %d are possible: use a shorter", c.most)) {
			t.Error(err)
		}
	}
	if _, err := SocketPath("/d\x00/e", service, 107); !errors.Is(err, ErrName) {
		t.Error("a NUL in a path is taken")
	}
}

func TestRefusedServiceNamesSayWhy(t *testing.T) {
	for name, why := range map[string]string{
		"a/b": `'/' at byte 1`, "..": `".."`, ".": `"."`, "": "empty", "é": "at byte 0", "a\x00": "at byte 1",
	} {
		if _, err := NewServiceName(name); !errors.Is(err, ErrName) || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", name, err)
		}
	}
	serviceName(t, "...")
}

func TestOnlyAServicesOwnRegionsAreRecognised(t *testing.T) {
	service := serviceName(t, "svc")
	if id, ok := RegionSessionID(service, "svc-000000000000001f.ipcshm"); !ok || id != 0x1f {
		t.Errorf("%d, %v", id, ok)
	}
	for _, other := range []string{
		"svc-000000000000001.ipcshm", "svc-00000000000000001.ipcshm", "svc-+000000000000001.ipcshm",
		"svc-000000000000000g.ipcshm", "svc-0000000000000001.ipcshm.bak", "svc-0000000000000001.sock",
		"svc_0000000000000001.ipcshm", "svc2-0000000000000001.ipcshm", "svc-b-0000000000000001.ipcshm",
		"xsvc-0000000000000001.ipcshm", "svc-0x00000000000001.ipcshm", "svc-0_00000000000001.ipcshm", "",
	} {
		if id, ok := RegionSessionID(service, other); ok {
			t.Errorf("%q is session %d", other, id)
		}
	}
}

func TestAUUIDIsReadInTextualOrderWithOrWithoutHyphens(t *testing.T) {
	want := [16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	for _, text := range []string{
		"6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
		"6ba7b8109dad11d180b400c04fd430c8",
	} {
		if uuid, err := ParseUUID(text); err != nil || uuid != want {
			t.Errorf("%s is %x: %v", text, uuid, err)
		}
	}
	for _, text := range []string{
		"", "6ba7b810-9dad-11d1-80b4-00c04fd430c", "6ba7b810-9dad-11d1-80b4-00c04fd430c8\n",
		"6ba7b8109-dad-11d1-80b4-00c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430cg",
		"6ba7b810+9dad-11d1-80b4-00c04fd430c8", "6ba7b8109dad11d180b400c04fd430-8",
		"{6ba7b810-9dad-11d1-80b4-00c04fd43}", "6ba7b8109dad11d180b400c04fd430é",
	} {
		if _, err := ParseUUID(text); !errors.Is(err, ErrNotAUUID) {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	const token = 12345678901234567890
	for _, value := range []any{
		Hello{AuthToken: token}, Policy{AuthToken: token}, WindowsSession{AuthToken: token},
		&Hello{AuthToken: token}, &Policy{AuthToken: token},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if shown := fmt.Sprintf(verb, value); strings.Contains(shown, "1234567890") ||
				!strings.Contains(shown, "(secret)") {
				t.Errorf("%s shows %s", verb, shown)
			}
		}
	}
}
