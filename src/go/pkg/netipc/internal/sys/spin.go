package sys

import "time"

// How long to look for a message before sleeping: one policy for every transport, and the same in every
// language.
//
// A peer that is running on another CPU answers within a microsecond or two; to sleep meanwhile, and be
// woken, costs each side many times that, and tens of microseconds of time where the other CPU has
// halted. A peer that shares this CPU, or has nothing to say for a while, is not met by looking,
// however long. Which of the two it is can only be learnt by looking, so a Spin keeps an account, in
// nanoseconds:
//
//	           a message came while looking: + spinSleepWorth, - what was looked for it
//	           none came:                                      - what was looked in vain
//
//	 cold -- a trial: a loan, now and then --> hot -- the account is used up --> cold
//
// While the account has something, waits spin, each for the limit at most; when it is empty, they sleep
// at once. So looking costs at most what it has saved before, and the loans.
//
// Two peers find out that looking pays only if both do it at the same time: each, by itself, would meet
// a sleeper. So trials take place in windows of the host's monotonic clock, which both ends read: they
// meet without saying a word, whatever language the other one speaks. Trials that fail become rarer, by
// powers of two, so that the windows of both ends still coincide.
//
// Whether this process may run on several CPUs is not asked: two processes that are tied to one CPU
// each, but not to the same, gain the most of all. On a machine of one CPU nothing ever spins.

// DefaultSpinLimit is the longest look of one wait, unless configured: about the price of sleeping and
// being woken on a virtual machine whose CPUs halt when they are idle, twice over. A peer that has to be
// woken first, to be met at all, is met.
const DefaultSpinLimit = 150 * time.Microsecond

// NeverSpin, as a limit, sleeps at once, always.
const NeverSpin time.Duration = -1

// In nanoseconds, of the host's clock.
const (
	// spinSleepWorth is what a sleep and a wake-up cost the two ends, in CPU time and waiting: what a
	// message is worth that comes without. A peer that takes longer on average is slept for.
	spinSleepWorth = 25_000
	// spinMaxBalance is the most that can be saved up: a few waits of the longest kind, so that a peer
	// which was pushed aside for a moment is met again, and one that has moved to this CPU is soon
	// given up.
	spinMaxBalance = 600_000
	// spinMinBalance: with less than this it is not worth to begin.
	spinMinBalance = 5_000
	// spinLoan is what a trial may lose.
	spinLoan = 150_000
	// spinPeriod is from the start of one window to that of the next: 16.8 ms.
	spinPeriod = 1 << 24
	// spinWindow is the part of a period in which trials begin: two peers that sleep and wake each
	// other across CPUs both begin a wait in it.
	spinWindow = 400_000
	// spinMaxCycle: waits that begin further apart come from peers that have other things to do.
	spinMaxCycle = 250_000
	// spinSharedCPUCycle: peers that share a CPU and answer at once take less than this from one wait to
	// the next; to sleep and be woken across CPUs takes longer.
	spinSharedCPUCycle = 25_000
	// spinOtherCPU: a message that is there sooner than this, after a turn was given, came from another
	// CPU: to change over to a peer on this one and back takes longer.
	spinOtherCPU = 2_000
	// spinCrowded: turns that take longer than this went to somebody else than the peer: a thread that
	// computes keeps the CPU for milliseconds, while one that is woken soon has it.
	spinCrowded = 100_000
	// spinCrowdedPause is how long no way is given then, at first: 67 ms, so that such turns cost a few
	// percent at most.
	spinCrowdedPause = 1 << 26
)

const (
	// spinMaxStretch is the most by which failed trials stretch the period, as a power of two: 0.5 s.
	spinMaxStretch = 5
	// spinProof is how many messages met in a trial prove it: fewer may be chance.
	spinProof = 4
	// spinTurnsGiven is how often a wait lets others on its CPU go first: the peer answers in the first
	// turn, unless somebody else was given it.
	spinTurnsGiven = 2
	// spinMaxCrowdedStretch is the most by which crowded turns in a row stretch the pause, as a power of
	// two: 4.3 s.
	spinMaxCrowdedStretch = 6
	// spinTurnsForgiving: so many good turns, and a crowded one counts as the first again.
	spinTurnsForgiving = 1 << 16
	// Looks between two readings of the clock, about a microsecond: at a word of memory, and by a
	// system call.
	memoryLooksPerReading = 32
	systemLooksPerReading = 4
)

// Spin is what one waiting side has learnt of its peer. The zero value never spins.
//
//	if s.mayBegin() {
//		for look := s.begin(); ; {
//			(look looksPerReading times; if something was found: s.found(&look), done)
//			if !s.goOn(&look) { break }
//		}
//	}
//	for given := (turns{}); s.giveTurn(&given); {
//		(look; if something was found: s.metInTurn(&given), done)
//	}
//	sleep
type Spin struct {
	limit   int64
	balance int64
	// A trial is on until trialEnds, which is zero when there is none.
	trialEnds int64
	met       int
	// tried is the window of the last trial.
	tried int64
	// stretch is failed trials in a row, up to spinMaxStretch.
	stretch uint
	// lastWait is when the last wait began that the clock was read for, and cycle the time from the one
	// before to that.
	lastWait, cycle int64
	crowd           crowd
}

// look is one wait's looking.
type look struct{ allowed, started int64 }

// turns are those that one wait gives.
type turns struct {
	started int64
	given   int
}

// NewSpin is for a new session: cold. A limit of zero is [DefaultSpinLimit].
func NewSpin(limit time.Duration) Spin {
	if limit == 0 {
		limit = DefaultSpinLimit
	}
	if limit < 0 || !severalCPUs() {
		return Spin{}
	}
	return Spin{limit: int64(limit)}
}

// mayBegin tells whether the next wait looks before it sleeps.
func (s *Spin) mayBegin() bool {
	if s.limit == 0 {
		return false
	}
	return s.trialEnds == 0 && s.balance >= spinMinBalance || s.mayTry(hostNow())
}

// giveTurn is for before sleeping where looking does not pay: it lets others on this CPU run, for a peer
// that shares it and is about to answer. To be passed over costs less than to sleep and be woken. Then it
// is true, and the caller looks; false when it is time to sleep. Nothing is done where messages do not
// come one right after the other, nor for a while where others took those turns.
func (s *Spin) giveTurn(t *turns) bool {
	switch {
	case t.given == spinTurnsGiven:
		s.turnsTaken(t, hostNow())
		return false
	case t.given > 0:
	case !s.sharesCPU():
		return false
	default:
		t.started = hostNow()
	}
	t.given++
	yieldCPU()
	return true
}

// metInTurn is called when the look after a turn ended with a message.
func (s *Spin) metInTurn(t *turns) { s.metInTurnAt(t, hostNow()) }

func (s *Spin) metInTurnAt(t *turns, at int64) {
	if took := s.turnsTaken(t, at); took < spinOtherCPU {
		// So looking pays, and no trial has to find that out.
		s.earn(took)
	}
}

func (s *Spin) turnsTaken(t *turns, at int64) int64 {
	took := max(0, at-t.started)
	s.crowd.turnsTaken(at, took)
	return took
}

// sharesCPU tells whether the peer seems to share this CPU, so that giveTurn does something.
func (s *Spin) sharesCPU() bool {
	return s.limit != 0 && s.cycle <= spinSharedCPUCycle && s.crowd.isGone(s.lastWait)
}

func (s *Spin) begin() look { return look{allowed: min(s.balance, s.limit)} }

// goOn is called between looks in vain; false when it is time to sleep. Nobody who answers at once has
// the clock read.
func (s *Spin) goOn(l *look) bool { return s.goOnAt(l, hostNow()) }

func (s *Spin) goOnAt(l *look, at int64) bool {
	if l.started == 0 {
		l.started = at
	}
	if at-l.started < l.allowed {
		return true
	}
	s.missed(l.allowed)
	return false
}

// found is called when the look ended with a message.
func (s *Spin) found(l *look) {
	var looked int64
	if l.started != 0 {
		looked = min(hostNow()-l.started, l.allowed)
	}
	s.earn(looked)
}

func (s *Spin) earn(looked int64) {
	s.balance = min(max(0, s.balance+spinSleepWorth-looked), spinMaxBalance)
	if s.trialEnds == 0 {
		return
	}
	if looked < spinSleepWorth {
		s.met++
	}
	if s.met >= spinProof {
		s.trialEnds, s.stretch = 0, 0
	}
}

// mayTry: a wait begins that nothing earlier pays for. It may sleep only, or be part of a trial.
func (s *Spin) mayTry(at int64) bool {
	s.cycle, s.lastWait = at-s.lastWait, at
	if s.trialEnds != 0 {
		if at < s.trialEnds {
			return true
		}
		s.failed()
	}
	window, into := at/spinPeriod, at%spinPeriod
	due := into < spinWindow && window != s.tried && window%(1<<s.stretch) == 0 && s.cycle <= spinMaxCycle
	if due {
		s.tried, s.balance = window, spinLoan
		s.trialEnds, s.met = at+spinLoan+spinWindow, 0
	}
	return due
}

func (s *Spin) missed(looked int64) {
	s.balance = max(0, s.balance-looked)
	if s.trialEnds != 0 {
		s.failed()
	}
}

func (s *Spin) failed() {
	s.balance, s.trialEnds = 0, 0
	s.stretch = min(s.stretch+1, spinMaxStretch)
}

// crowd is whether others than the peer take the turns that are given.
type crowd struct {
	until   int64
	stretch uint
	good    int
}

func (c *crowd) isGone(at int64) bool { return at >= c.until }

func (c *crowd) turnsTaken(at, took int64) {
	if took > spinCrowded {
		c.until = at + spinCrowdedPause<<c.stretch
		c.stretch = min(c.stretch+1, spinMaxCrowdedStretch)
		c.good = 0
		return
	}
	c.good++
	if c.good >= spinTurnsForgiving {
		c.stretch = 0
	}
}
