//go:build linux || windows

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

// sharing is one whose last two waits began so far apart, and that sleeps.
func sharing(limit, cycle int64) Spin {
	s := Spin{limit: limit}
	s.mayTry(due + spinWindow)
	s.mayTry(due + spinWindow + cycle)
	return s
}

func TestAPeerThatSharesTheCPUGoesFirstAndOnlySuchAOne(t *testing.T) {
	for _, c := range []struct {
		limit, cycle int64
		given        int
	}{
		{int64(DefaultSpinLimit), 5_000, spinTurnsGiven},
		{int64(DefaultSpinLimit), spinSharedCPUCycle, spinTurnsGiven},
		{int64(DefaultSpinLimit), spinSharedCPUCycle + 1, 0},
		{0, 5_000, 0},
	} {
		s, given := sharing(c.limit, c.cycle), turns{}
		for s.giveTurn(&given) {
		}
		if given.given != c.given {
			t.Errorf("a limit of %d, %d ns from wait to wait: %d turns", c.limit, c.cycle, given.given)
		}
	}
}

func TestAnAnswerFromAnotherCPUMakesHotWithoutATrial(t *testing.T) {
	for took, looks := range map[int64]bool{spinOtherCPU - 1: true, spinOtherCPU: false} {
		s, given := sharing(int64(DefaultSpinLimit), 1_000), turns{}
		if !s.giveTurn(&given) {
			t.Fatal("no way is given")
		}
		s.metInTurnAt(&given, given.started+took)
		if hot := s.trialEnds == 0 && s.balance >= spinMinBalance; hot != looks {
			t.Errorf("after a turn of %d ns: %v", took, hot)
		}
	}
}

func TestNoTurnsAreGivenForAWhileWhereOthersTakeThem(t *testing.T) {
	s := sharing(int64(DefaultSpinLimit), 1_000)
	at, pause := s.lastWait, int64(0)
	for stretch := range spinMaxCrowdedStretch + 2 {
		given := turns{started: at - spinCrowded - 1, given: spinTurnsGiven}
		s.turnsTaken(&given, at)
		pause = s.crowd.until - at
		if pause != spinCrowdedPause<<min(stretch, spinMaxCrowdedStretch) {
			t.Fatalf("crowded turn %d stops the giving for %d ns", stretch, pause)
		}
		s.lastWait = s.crowd.until - 1
		if s.sharesCPU() {
			t.Fatal("way is given in the pause")
		}
		s.lastWait, at = s.crowd.until, s.crowd.until
		if !s.sharesCPU() {
			t.Fatal("no way is given after the pause")
		}
	}
	for range spinTurnsForgiving {
		s.metInTurnAt(&turns{started: at - spinCrowded, given: 1}, at)
	}
	s.turnsTaken(&turns{started: at - spinCrowded - 1, given: 1}, at)
	if pause := s.crowd.until - at; pause != spinCrowdedPause {
		t.Errorf("%d ns, so nothing was forgiven", pause)
	}
}
