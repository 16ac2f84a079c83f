//go:build linux

package sys

import "testing"

// due is a moment in a window in which trials begin.
const due = 7 * spinPeriod << spinMaxStretch

func TestASpinThatIsNeverPaidForNeverLooks(t *testing.T) {
	s := Spin{}
	if s.mayBegin() {
		t.Fatal("the zero value looks")
	}
	if s := NewSpin(NeverSpin); s.mayBegin() {
		t.Fatal("NeverSpin looks")
	}
}

func TestATrialThatMeetsThePeerProvesThatLookingPays(t *testing.T) {
	s := Spin{limit: int64(DefaultSpinLimit), lastWait: due - 1000}
	if !s.mayTry(due) {
		t.Fatal("no trial in the window")
	}
	for range spinProof {
		s.earn(2_000)
	}
	if s.trialEnds != 0 || s.balance < spinMinBalance || s.stretch != 0 {
		t.Fatalf("not proven: %+v", s)
	}
	if !s.mayBegin() {
		t.Fatal("what was saved is not spent")
	}
}

func TestTrialsThatFailBecomeRarerAndStayAligned(t *testing.T) {
	s := Spin{limit: int64(DefaultSpinLimit), lastWait: due - 1000}
	trials := 0
	for at := int64(due); at < due+64*spinPeriod; at += spinMaxCycle / 2 {
		if !s.mayTry(at) {
			continue
		}
		trials++
		if window := at / spinPeriod; window%(1<<min(spinMaxStretch, trials-1)) != 0 {
			t.Fatalf("trial %d is in window %d, out of step with the peer", trials, window)
		}
		l := s.begin()
		if s.goOnAt(&l, at) && s.goOnAt(&l, at+spinLoan) {
			t.Fatal("a trial goes on beyond its loan")
		}
	}
	if trials < 3 || trials > 8 {
		t.Fatalf("%d trials in 64 periods", trials)
	}
}

func TestAPeerWithOtherThingsToDoIsNotTried(t *testing.T) {
	s := Spin{limit: int64(DefaultSpinLimit), lastWait: due - spinMaxCycle - 1}
	if s.mayTry(due) {
		t.Fatal("a trial after a long pause")
	}
	s.lastWait = due
	if s.mayTry(due + spinWindow) {
		t.Fatal("a trial outside the window")
	}
}

func TestLookingInVainUsesUpWhatWasSaved(t *testing.T) {
	s := Spin{limit: 100_000, balance: spinMaxBalance}
	waits := 0
	for s.balance >= spinMinBalance {
		l := s.begin()
		for at := int64(due); s.goOnAt(&l, at); at += 10_000 {
		}
		waits++
	}
	if waits != spinMaxBalance/100_000 {
		t.Fatalf("gave up after %d waits", waits)
	}
	s.earn(1)
	if s.balance > spinMaxBalance {
		t.Fatal("more was saved than may be")
	}
}

func TestAPeerThatSharesTheCPUGoesFirstAndOnlySuchAOne(t *testing.T) {
	for cycle, gives := range map[int64]bool{5_000: true, spinSharedCPUCycle: true, spinSharedCPUCycle + 1: false} {
		s := Spin{limit: int64(DefaultSpinLimit)}
		s.mayTry(due + spinWindow)
		s.mayTry(due + spinWindow + cycle)
		if s.givesWay() != gives {
			t.Errorf("after %d ns: %v", cycle, !gives)
		}
	}
	if s := (Spin{}); s.givesWay() {
		t.Error("one that sleeps at once gives way")
	}
}
