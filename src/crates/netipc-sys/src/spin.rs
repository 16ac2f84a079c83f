//! How long to look for a message before sleeping: one policy for every transport.
//!
//! A peer that is running on another CPU answers within a microsecond or two; to sleep meanwhile,
//! and be woken, costs each side many times that, and tens of microseconds of time where the other
//! CPU has halted. A peer that shares this CPU, or has nothing to say for a while, is not met by
//! looking, however long. Which of the two it is can only be learnt by looking, so a [`Spin`] keeps
//! an account, in nanoseconds:
//!
//! ```text
//!            a message came while looking: + SLEEP_WORTH, − what was looked for it
//!            none came:                                   − what was looked in vain
//!
//!   cold ── a trial: a loan, now and then ──▶ hot ── the account is used up ──▶ cold
//! ```
//!
//! While the account has something, waits spin, each for [`SpinLimit`] at most; when it is empty,
//! they sleep at once. So looking costs at most what it has saved before, and the loans.
//!
//! Two peers find out that looking pays only if both do it at the same time: each, by itself, would
//! meet a sleeper. So trials take place in **windows** of the host's monotonic clock, which both
//! ends read: they meet without saying a word, whatever language the other one speaks. Trials that
//! fail become rarer, by powers of two, so that the windows of both ends still coincide.
//!
//! Whether this thread may run on several CPUs is not asked: two processes that are tied to one CPU
//! each, but not to the same, gain the most of all. On a machine of one CPU nothing ever spins.
//!
//! docs/adr/0005 has the reasons and the measurements. No message, no transport and no sleeping
//! here.

use std::time::Duration;

/// The longest look of one wait, unless configured: about the price of sleeping and being woken on
/// a virtual machine whose CPUs halt when they are idle, twice over. A peer that has to be woken
/// first, to be met at all, is met.
pub const DEFAULT_SPIN_LIMIT: Duration = Duration::from_micros(150);

/// What a sleep and a wake-up cost the two ends, in CPU time and waiting: what a message is worth
/// that comes without. A peer that takes longer on average is slept for.
const SLEEP_WORTH_NS: u64 = 25_000;
/// The most that can be saved up: a few waits of the longest kind, so that a peer which was pushed
/// aside for a moment is met again, and one that has moved to this CPU is soon given up.
const MAX_BALANCE_NS: u64 = 600_000;
/// With less than this it is not worth to begin.
const MIN_BALANCE_NS: u64 = 5_000;
/// What a trial may lose.
const LOAN_NS: u64 = 150_000;
/// From the start of one window to that of the next: 16.8 ms.
const PERIOD_NS: u64 = 1 << 24;
/// The part of a period in which trials begin: two peers that sleep and wake each other across CPUs
/// both begin a wait in it.
const WINDOW_NS: u64 = 400_000;
/// The most by which failed trials stretch the period, as a power of two: 0.5 s.
const MAX_STRETCH: u32 = 5;
/// Waits that begin further apart than this come from peers that have other things to do.
const MAX_CYCLE_NS: u64 = 250_000;
/// Messages met in a trial that prove it: fewer may be chance.
const PROOF: u32 = 4;
/// Peers that share a CPU and answer at once take less than this from one wait to the next; to sleep
/// and be woken across CPUs takes longer.
const SHARED_CPU_CYCLE: Duration = Duration::from_micros(25);
/// How often a wait lets others on its CPU go first: the peer answers in the first turn, unless
/// somebody else was given it.
const TURNS_GIVEN: u32 = 2;
/// A message that is there sooner than this, after a turn was given, came from another CPU: to change
/// over to a peer on this one and back takes longer.
const OTHER_CPU_NS: u64 = 2_000;
/// Turns that take longer than this went to somebody else than the peer: a thread that computes keeps
/// the CPU for milliseconds, while one that is woken soon has it.
const CROWDED_NS: u64 = 100_000;
/// How long no way is given then, at first: 67 ms, so that such turns cost a few percent at most.
const CROWDED_PAUSE_NS: u64 = 1 << 26;
/// The most by which crowded turns in a row stretch the pause, as a power of two: 4.3 s.
const MAX_CROWDED_STRETCH: u32 = 6;
/// So many good turns, and a crowded one counts as the first again.
const TURNS_FORGIVING: u32 = 1 << 16;

/// The longest look of one wait for a message, before sleeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpinLimit(Duration);

impl SpinLimit {
    /// Sleeps at once, always.
    pub const NEVER: Self = Self(Duration::ZERO);

    /// At most so long; zero is [`NEVER`](Self::NEVER). How long it really is, and whether, is
    /// learnt.
    #[must_use]
    pub const fn at_most(limit: Duration) -> Self {
        Self(limit)
    }

    /// The limit.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// [`DEFAULT_SPIN_LIMIT`].
impl Default for SpinLimit {
    fn default() -> Self {
        Self(DEFAULT_SPIN_LIMIT)
    }
}

/// What one look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// At a word of memory.
    Memory,
    /// A system call.
    SystemCall,
}

impl Look {
    /// Looks between two readings of the clock: about a microsecond.
    const fn per_reading(self) -> u32 {
        match self {
            Self::Memory => 32,
            Self::SystemCall => 4,
        }
    }
}

/// Nanoseconds of a clock that both ends of a session share, and that never goes back.
pub trait Clock {
    /// Now.
    fn now_ns(&self) -> u64;
}

/// The host's monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostClock;

impl Clock for HostClock {
    #[inline]
    fn now_ns(&self) -> u64 {
        crate::platform::monotonic_ns()
    }
}

/// What one waiting side has learnt of its peer. See the module's text.
#[derive(Debug)]
pub struct Spin<C = HostClock> {
    clock: C,
    limit_ns: u64,
    account: Account,
    crowd: Crowd,
}

impl Spin {
    /// For a new session: cold.
    #[must_use]
    pub fn new(limit: SpinLimit) -> Self {
        let limit = if crate::platform::has_several_cpus() { limit } else { SpinLimit::NEVER };
        Self::with_clock(limit, HostClock)
    }
}

impl<C: Clock> Spin<C> {
    /// [`Spin::new`] with a clock of the caller's, whatever the machine.
    #[must_use]
    pub fn with_clock(limit: SpinLimit, clock: C) -> Self {
        let limit_ns = u64::try_from(limit.get().as_nanos()).unwrap_or(u64::MAX);
        Self { clock, limit_ns, account: Account::default(), crowd: Crowd::default() }
    }

    /// Looks for a message as long as this wait may. `None`, perhaps without having looked at all:
    /// the caller sleeps.
    #[inline]
    pub fn wait<T>(&mut self, kind: Look, look: impl FnMut() -> Option<T>) -> Option<T> {
        if self.begin() { self.look(kind, look) } else { None }
    }

    /// A wait begins: whether it may look before it sleeps. The first half of
    /// [`wait`](Self::wait), for those who have to prepare for looking.
    #[inline]
    #[must_use]
    pub fn begin(&mut self) -> bool {
        if self.account.is_proven() {
            return true;
        }
        self.account.wait_begins(self.clock.now_ns());
        self.limit_ns != 0 && self.account.may_try()
    }

    /// The second half of [`wait`](Self::wait).
    #[inline]
    pub fn look<T>(&mut self, kind: Look, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        // What is there already says nothing of waiting.
        if let Some(found) = look() {
            return Some(found);
        }
        let allowed_ns = self.account.balance_ns.min(self.limit_ns);
        let mut started_ns = None;
        loop {
            for _ in 0..kind.per_reading() {
                if kind == Look::Memory {
                    std::hint::spin_loop();
                }
                if let Some(found) = look() {
                    let looked_ns = started_ns.map_or(0, |started_ns| self.since(started_ns));
                    self.account.found(looked_ns.min(allowed_ns));
                    return Some(found);
                }
            }
            // Nobody who answers at once has the clock read.
            let looked_ns = self.since(*started_ns.get_or_insert_with(|| self.clock.now_ns()));
            if looked_ns >= allowed_ns {
                self.account.missed(allowed_ns);
                return None;
            }
        }
    }

    /// The last thing before sleeping where looking does not pay: lets others on this CPU run, for a
    /// peer that shares it and is about to answer. To be passed over costs less than to sleep and be
    /// woken. Nothing is done where messages do not come one right after the other, nor for a while
    /// where others took those turns.
    #[inline]
    pub fn give_way<T>(&mut self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        if !self.shares_cpu() {
            return None;
        }
        let started_ns = self.clock.now_ns();
        let mut found = None;
        for _ in 0..TURNS_GIVEN {
            std::thread::yield_now();
            found = look();
            if found.is_some() {
                break;
            }
        }
        let now_ns = self.clock.now_ns();
        let took_ns = now_ns.saturating_sub(started_ns);
        self.crowd.turns_taken(now_ns, took_ns);
        if found.is_some() && took_ns < OTHER_CPU_NS {
            // So looking pays, and no trial has to find that out.
            self.account.found(took_ns);
        }
        found
    }

    /// Whether the peer seems to share this CPU, so that [`give_way`](Self::give_way) does something.
    #[inline]
    #[must_use]
    pub fn shares_cpu(&self) -> bool {
        self.limit_ns != 0
            && self.expects_within(SHARED_CPU_CYCLE)
            && self.crowd.is_gone(self.account.last_wait_ns)
    }

    /// Whether the next message is likely to come within `time`, going by the last waits that no
    /// look was for.
    #[inline]
    #[must_use]
    pub fn expects_within(&self, time: Duration) -> bool {
        u128::from(self.account.cycle_ns) <= time.as_nanos()
    }

    fn since(&self, started_ns: u64) -> u64 {
        self.clock.now_ns().saturating_sub(started_ns)
    }
}

/// The account, and when the next loan is due. Pure.
#[derive(Debug, Default)]
struct Account {
    balance_ns: u64,
    trial: Option<Trial>,
    /// The window of the last trial.
    tried: u64,
    /// Failed trials in a row, up to [`MAX_STRETCH`].
    stretch: u32,
    /// When the last wait began that the clock was read for.
    last_wait_ns: u64,
    /// From the one before to that.
    cycle_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    ends_ns: u64,
    met: u32,
}

impl Account {
    #[inline]
    const fn is_proven(&self) -> bool {
        self.trial.is_none() && self.balance_ns >= MIN_BALANCE_NS
    }

    #[inline]
    const fn wait_begins(&mut self, now_ns: u64) {
        self.cycle_ns = now_ns.saturating_sub(self.last_wait_ns);
        self.last_wait_ns = now_ns;
    }

    /// A wait has begun that nothing earlier pays for: it may sleep only, or be part of a trial.
    fn may_try(&mut self) -> bool {
        let now_ns = self.last_wait_ns;
        if let Some(trial) = self.trial {
            if now_ns < trial.ends_ns {
                return true;
            }
            self.failed();
        }
        let (window, into_ns) = (now_ns / PERIOD_NS, now_ns % PERIOD_NS);
        let is_due = into_ns < WINDOW_NS
            && window != self.tried
            && window.is_multiple_of(1 << self.stretch)
            && self.cycle_ns <= MAX_CYCLE_NS;
        if is_due {
            self.tried = window;
            self.balance_ns = LOAN_NS;
            self.trial = Some(Trial { ends_ns: now_ns + LOAN_NS + WINDOW_NS, met: 0 });
        }
        is_due
    }

    #[inline]
    fn found(&mut self, looked_ns: u64) {
        let earned_ns = self.balance_ns + SLEEP_WORTH_NS;
        self.balance_ns = earned_ns.saturating_sub(looked_ns).min(MAX_BALANCE_NS);
        if let Some(trial) = &mut self.trial {
            if looked_ns < SLEEP_WORTH_NS {
                trial.met += 1;
            }
            if trial.met >= PROOF {
                self.trial = None;
                self.stretch = 0;
            }
        }
    }

    #[cold]
    fn missed(&mut self, looked_ns: u64) {
        self.balance_ns = self.balance_ns.saturating_sub(looked_ns);
        if self.trial.is_some() {
            self.failed();
        }
    }

    fn failed(&mut self) {
        self.balance_ns = 0;
        self.trial = None;
        self.stretch = (self.stretch + 1).min(MAX_STRETCH);
    }
}

/// Whether others than the peer take the turns that are given. Pure.
#[derive(Debug, Default)]
struct Crowd {
    until_ns: u64,
    stretch: u32,
    good: u32,
}

impl Crowd {
    #[inline]
    const fn is_gone(&self, now_ns: u64) -> bool {
        now_ns >= self.until_ns
    }

    #[inline]
    fn turns_taken(&mut self, now_ns: u64, took_ns: u64) {
        if took_ns > CROWDED_NS {
            self.until_ns = now_ns.saturating_add(CROWDED_PAUSE_NS << self.stretch);
            self.stretch = (self.stretch + 1).min(MAX_CROWDED_STRETCH);
            self.good = 0;
            return;
        }
        self.good = self.good.saturating_add(1);
        if self.good >= TURNS_FORGIVING {
            self.stretch = 0;
        }
    }
}

#[cfg(test)]
mod tests;
