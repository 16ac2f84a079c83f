//! Simulated peers: every time is computed, none is waited for.

use std::cell::Cell;
use std::rc::Rc;

use super::*;

/// What one look at a socket takes.
const LOOK_NS: u64 = 300;
/// From a message to a thread that slept on another, halted CPU.
const WAKE_NS: u64 = 50_000;
/// What a peer that is awake needs for an answer.
const ANSWER_NS: u64 = 1_500;
const SECOND_NS: u64 = 1_000_000_000;
const NEVER_NS: u64 = u64::MAX;

#[derive(Clone, Debug, Default)]
struct FakeClock {
    now_ns: Rc<Cell<u64>>,
    readings: Rc<Cell<u32>>,
}

impl Clock for FakeClock {
    fn now_ns(&self) -> u64 {
        self.readings.set(self.readings.get() + 1);
        self.now_ns.get()
    }
}

/// One end of a session.
struct End {
    clock: FakeClock,
    spin: Spin<FakeClock>,
    looked_ns: u64,
    met: u64,
    slept: u64,
}

impl End {
    fn new(limit: SpinLimit) -> Self {
        let clock = FakeClock::default();
        let spin = Spin::with_clock(limit, clock.clone());
        Self { clock, spin, looked_ns: 0, met: 0, slept: 0 }
    }

    /// Waits from `start_ns` for a message that comes at `arrival_ns`, or, if it never does while
    /// this end looks, as soon as it sleeps. Answers when it has the message.
    fn wait(&mut self, start_ns: u64, arrival_ns: u64) -> u64 {
        let now_ns = &self.clock.now_ns;
        now_ns.set(start_ns);
        let found = self.spin.wait(Look::SystemCall, || {
            let is_there = now_ns.get() >= arrival_ns;
            now_ns.set(now_ns.get() + LOOK_NS);
            is_there.then_some(())
        });
        let now_ns = now_ns.get();
        self.looked_ns += now_ns - start_ns;
        if found.is_some() {
            self.met += 1;
            return now_ns;
        }
        self.slept += 1;
        if arrival_ns == NEVER_NS { now_ns } else { now_ns.max(arrival_ns) + WAKE_NS }
    }

    /// Waits until a trial has made it hot; the peer answers at once.
    fn heated(limit: SpinLimit) -> (Self, u64) {
        let mut end = Self::new(limit);
        let mut now_ns = PERIOD_NS;
        for _ in 0..100 {
            now_ns = end.wait(now_ns, now_ns + ANSWER_NS);
        }
        assert!(end.spin.account.is_proven());
        (end, now_ns)
    }
}

/// Two ends that ask and answer without a pause for so long, on two CPUs; calls a second.
fn ping_pong(client: &mut End, server: &mut End, start_ns: u64, time_ns: u64) -> u64 {
    let (mut answered_ns, mut asked_ns, mut calls) = (start_ns, start_ns, 0);
    while asked_ns < start_ns + time_ns {
        let has_request_ns = server.wait(answered_ns, asked_ns);
        let sent_answer_ns = has_request_ns + ANSWER_NS;
        let has_answer_ns = client.wait(asked_ns, sent_answer_ns);
        answered_ns = sent_answer_ns;
        asked_ns = has_answer_ns + ANSWER_NS;
        calls += 1;
    }
    calls * SECOND_NS / time_ns
}

#[test]
fn two_busy_peers_find_each_other_within_two_windows_and_stay_together() {
    for offset_ns in (0..PERIOD_NS).step_by(1_234_567) {
        let (mut client, mut server) =
            (End::new(SpinLimit::default()), End::new(SpinLimit::default()));
        ping_pong(&mut client, &mut server, 7 * PERIOD_NS + offset_ns, 2 * PERIOD_NS);
        let start_ns = 9 * PERIOD_NS + offset_ns;
        let rate = ping_pong(&mut client, &mut server, start_ns, SECOND_NS);
        assert!(rate > 200_000, "{rate} calls/s from {offset_ns} ns into a window");
    }
}

#[test]
fn peers_that_have_failed_differently_often_still_meet() {
    for (client_stretch, server_stretch) in [(0, MAX_STRETCH), (3, 5), (MAX_STRETCH, 1)] {
        let (mut client, mut server) =
            (End::new(SpinLimit::default()), End::new(SpinLimit::default()));
        client.spin.account.stretch = client_stretch;
        server.spin.account.stretch = server_stretch;
        ping_pong(&mut client, &mut server, PERIOD_NS, (2 << MAX_STRETCH) * PERIOD_NS);
        let rate = ping_pong(&mut client, &mut server, SECOND_NS * 2, SECOND_NS);
        assert!(rate > 200_000, "{rate} calls/s after {client_stretch}, {server_stretch} failures");
    }
}

#[test]
fn a_peer_on_the_same_cpu_costs_next_to_nothing() {
    let mut end = End::new(SpinLimit::default());
    let mut now_ns = 0;
    while now_ns < 10 * SECOND_NS {
        now_ns = end.wait(now_ns, NEVER_NS) + 6_000;
    }
    assert_eq!(end.met, 0);
    let percent = end.looked_ns as f64 / now_ns as f64 * 100.0;
    assert!(percent > 0.0 && percent < 0.1, "{percent} % of the time");
}

#[test]
fn peers_with_pauses_are_slept_for_and_looked_for_rarely() {
    for (pause_ns, most_percent) in [(1_000_000, 0.0), (100_000, 0.2)] {
        let mut end = End::new(SpinLimit::default());
        let mut now_ns = 0;
        while now_ns < 10 * SECOND_NS {
            now_ns = end.wait(now_ns, now_ns + pause_ns);
        }
        let percent = end.looked_ns as f64 / now_ns as f64 * 100.0;
        assert!(percent <= most_percent, "{percent} % of the time, {pause_ns} ns between messages");
        assert!(end.slept > end.met * 100);
    }
}

#[test]
fn what_was_saved_bounds_what_is_lost_when_the_peer_falls_silent() {
    let (mut end, start_ns) = End::heated(SpinLimit::default());
    let looked_ns = end.looked_ns;
    let mut now_ns = start_ns;
    for _ in 0..1000 {
        now_ns = end.wait(now_ns, NEVER_NS) + 10 * PERIOD_NS;
    }
    let lost_ns = end.looked_ns - looked_ns;
    let readings_ns = 10 * u64::from(Look::SystemCall.per_reading()) * LOOK_NS;
    assert!(lost_ns >= MAX_BALANCE_NS && lost_ns <= MAX_BALANCE_NS + readings_ns, "{lost_ns} ns");
}

#[test]
fn one_long_pause_does_not_make_busy_peers_strangers() {
    let (mut end, now_ns) = End::heated(SpinLimit::default());
    let slept = end.slept;
    let woken_ns = end.wait(now_ns, now_ns + 3_000_000);
    assert_eq!(end.slept, slept + 1);
    let now_ns = end.wait(woken_ns, woken_ns + WAKE_NS + ANSWER_NS);
    end.wait(now_ns, now_ns + ANSWER_NS);
    assert_eq!(end.slept, slept + 1, "it met the peer that had to be woken, and then the peer");
}

#[test]
fn a_peer_that_takes_longer_than_a_sleep_costs_is_given_up() {
    for (answer_ns, stays) in [(SLEEP_WORTH_NS / 2, true), (SLEEP_WORTH_NS * 2, false)] {
        let (mut end, mut now_ns) = End::heated(SpinLimit::default());
        for _ in 0..100 {
            now_ns = end.wait(now_ns, now_ns + answer_ns);
        }
        assert_eq!(end.spin.account.is_proven(), stays, "answers after {answer_ns} ns");
    }
}

#[test]
fn no_wait_looks_longer_than_the_limit() {
    let limit = SpinLimit::at_most(Duration::from_micros(20));
    let (mut end, now_ns) = End::heated(limit);
    let looked_ns = end.looked_ns;
    end.wait(now_ns, NEVER_NS);
    let once_ns = end.looked_ns - looked_ns;
    let reading_ns = u64::from(Look::SystemCall.per_reading() + 1) * LOOK_NS;
    assert!((20_000..=20_000 + 2 * reading_ns).contains(&once_ns), "{once_ns} ns");
}

#[test]
fn never_is_never() {
    let mut end = End::new(SpinLimit::NEVER);
    assert_eq!(SpinLimit::at_most(Duration::ZERO), SpinLimit::NEVER);
    let mut now_ns = PERIOD_NS;
    for _ in 0..10_000 {
        now_ns = end.wait(now_ns, now_ns);
    }
    assert_eq!((end.met, end.looked_ns), (0, 0));
}

#[test]
fn whoever_answers_at_once_has_the_clock_not_read() {
    let (mut end, now_ns) = End::heated(SpinLimit::default());
    let readings = end.clock.readings.get();
    let mut now_ns = now_ns;
    for _ in 0..100 {
        now_ns = end.wait(now_ns, now_ns + LOOK_NS);
    }
    assert_eq!(end.clock.readings.get(), readings);
}

#[test]
fn what_is_there_already_proves_nothing() {
    let mut end = End::new(SpinLimit::default());
    let mut now_ns = PERIOD_NS;
    for _ in 0..1000 {
        now_ns = end.wait(now_ns, 0) + 1_000;
    }
    assert!(!end.spin.account.is_proven());
}

#[test]
fn how_soon_messages_come_is_known_of_those_that_are_slept_for() {
    let soon = Duration::from_millis(10);
    let mut end = End::new(SpinLimit::NEVER);
    end.wait(SECOND_NS, SECOND_NS);
    assert!(!end.spin.expects_within(soon), "nothing is known yet");
    end.wait(SECOND_NS + 1_000_000, SECOND_NS);
    assert!(end.spin.expects_within(soon));
    end.wait(SECOND_NS * 2, SECOND_NS);
    assert!(!end.spin.expects_within(soon));
}

#[test]
fn the_hosts_clock_goes_on() {
    let first_ns = HostClock.now_ns();
    assert!(first_ns > 0 && HostClock.now_ns() >= first_ns);
    let spin = Spin::new(SpinLimit::default());
    let limit_ns = DEFAULT_SPIN_LIMIT.as_nanos() as u64;
    let expected = if crate::platform::has_several_cpus() { limit_ns } else { 0 };
    assert_eq!(spin.limit_ns, expected);
}

/// How often a wait looks while it lets others go first, the last ones having begun `cycle_ns` apart.
fn turns_given(limit: SpinLimit, cycle_ns: u64) -> u32 {
    let mut end = End::new(limit);
    for start_ns in [SECOND_NS, SECOND_NS + cycle_ns] {
        end.wait(start_ns, NEVER_NS);
    }
    let looks = Cell::new(0);
    let found = end.spin.give_way(|| {
        looks.set(looks.get() + 1);
        None::<()>
    });
    assert_eq!(found, None);
    looks.get()
}

#[test]
fn a_peer_that_shares_the_cpu_goes_first_and_only_such_a_one() {
    let shared_ns = 5_000;
    assert_eq!(turns_given(SpinLimit::default(), shared_ns), TURNS_GIVEN);
    assert_eq!(turns_given(SpinLimit::default(), 2 * WAKE_NS), 0, "it is on another CPU");
    assert_eq!(turns_given(SpinLimit::NEVER, shared_ns), 0, "asked to sleep at once");
}

#[test]
fn nobody_is_let_first_once_the_message_is_there() {
    let mut end = End::new(SpinLimit::default());
    for start_ns in [SECOND_NS, SECOND_NS + 1_000] {
        end.wait(start_ns, NEVER_NS);
    }
    let looks = Cell::new(0);
    let found = end.spin.give_way(|| {
        looks.set(looks.get() + 1);
        Some("message")
    });
    assert_eq!((found, looks.get()), (Some("message"), 1));
}

/// Gives way to a peer whose message is there after `took_ns`; whether the next wait looks.
fn looks_after_turns_of(took_ns: u64) -> bool {
    let mut end = End::new(SpinLimit::default());
    for start_ns in [SECOND_NS, SECOND_NS + 1_000] {
        end.wait(start_ns, NEVER_NS);
    }
    let now_ns = Rc::clone(&end.clock.now_ns);
    let found = end.spin.give_way(|| {
        now_ns.set(now_ns.get() + took_ns);
        Some(())
    });
    assert_eq!(found, Some(()));
    end.spin.begin()
}

#[test]
fn an_answer_from_another_cpu_makes_hot_without_a_trial() {
    assert!(looks_after_turns_of(OTHER_CPU_NS - 1));
    assert!(!looks_after_turns_of(OTHER_CPU_NS), "the peer may share this CPU");
}

#[test]
fn no_turns_are_given_for_a_while_where_others_take_them() {
    let mut crowd = Crowd::default();
    let mut now_ns = SECOND_NS;
    let mut pauses = Vec::new();
    for _ in 0..MAX_CROWDED_STRETCH + 2 {
        crowd.turns_taken(now_ns, CROWDED_NS + 1);
        assert!(!crowd.is_gone(now_ns));
        pauses.push(crowd.until_ns - now_ns);
        now_ns = crowd.until_ns;
        assert!(crowd.is_gone(now_ns));
    }
    assert_eq!(pauses.first(), Some(&CROWDED_PAUSE_NS));
    assert!(pauses.windows(2).all(|pair| pair[1] >= pair[0]), "{pauses:?}");
    assert_eq!(pauses.last(), Some(&(CROWDED_PAUSE_NS << MAX_CROWDED_STRETCH)));

    for _ in 0..TURNS_FORGIVING {
        crowd.turns_taken(now_ns, CROWDED_NS);
    }
    crowd.turns_taken(now_ns, CROWDED_NS + 1);
    assert_eq!(crowd.until_ns - now_ns, CROWDED_PAUSE_NS, "forgiven");
}
