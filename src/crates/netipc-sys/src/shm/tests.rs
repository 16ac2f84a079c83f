//! The algorithm under loom, which runs each model in every interleaving, and lets every load return
//! every value that the memory model allows it: `tools/test loom`.
//!
//! The kernel's part is modelled as what it promises (futex(2)): comparing a word and going to sleep
//! are one step, and a wake-up reaches those who sleep. A wake-up that comes before the sleep is
//! lost, as it is in the kernel. An event that is set before the sleep ends it, and is unset by that.
//!
//! Each model runs once with each bell.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::{
    Bell, Cell, End, Event, Flagged, Futex, Lane, Publisher, Receiver, Refused, Signalled, Unsent,
};

impl Cell<u32> for AtomicU32 {
    fn load(&self, order: Ordering) -> u32 {
        Self::load(self, order)
    }

    fn store(&self, value: u32, order: Ordering) {
        Self::store(self, value, order);
    }
}

impl Cell<u64> for AtomicU64 {
    fn load(&self, order: Ordering) -> u64 {
        Self::load(self, order)
    }

    fn store(&self, value: u64, order: Ordering) {
        Self::store(self, value, order);
    }
}

/// A message fills two cells: torn is one whose cells differ.
const CELLS: usize = 2;
const LEN: usize = 16;

/// One direction of a region, with what its kernel has for those who sleep on it.
struct Memory<K> {
    seq: AtomicU64,
    len: AtomicU32,
    alarm: AtomicU32,
    area: [AtomicU64; CELLS],
    kernel: K,
}

type TheLane<'m> = Lane<'m, AtomicU64, AtomicU32>;

impl<K: Kernel> Memory<K> {
    fn new() -> Self {
        Self {
            seq: AtomicU64::new(0),
            len: AtomicU32::new(0),
            alarm: AtomicU32::new(0),
            area: std::array::from_fn(|_| AtomicU64::new(0)),
            kernel: K::new(),
        }
    }

    fn lane(&self) -> TheLane<'_> {
        Lane { seq: &self.seq, len: &self.len, alarm: &self.alarm, area: &self.area }
    }

    fn publish(&self, publisher: &Publisher, number: u8) {
        let bell = self.kernel.bell();
        publisher.publish(&self.lane(), &[&[number; LEN]], bell).expect("published");
    }

    /// The number that a whole message is made of.
    fn take(&self, receiver: &Receiver) -> Option<u8> {
        let mut buffer = [0; LEN];
        let bell = self.kernel.bell();
        let taken = receiver.take(&self.lane(), LEN, bell, |_| &mut buffer).expect("no breach");
        assert!(taken.is_none_or(|len| len == LEN));
        taken.map(|_| {
            assert!(buffer.iter().all(|byte| *byte == buffer[0]), "torn: {buffer:?}");
            buffer[0]
        })
    }

    fn receive(&self, receiver: &Receiver, end: &End<AtomicU32>) -> Option<u8> {
        let doze = |alarm: &AtomicU32, heard, own: &AtomicU32| {
            self.kernel.doze(alarm, heard, own);
            Ok(())
        };
        let woken: Result<bool, ()> = receiver.wait(&self.lane(), end, self.kernel.bell(), doze);
        woken.expect("it has no error").then(|| self.take(receiver).expect("it was ready"))
    }
}

/// A bell, and the kernel behind it.
trait Kernel: Send + Sync + Sized + 'static {
    type Bell: Bell<AtomicU64, AtomicU32>;
    fn new() -> Self;
    fn bell(&self) -> &Self::Bell;
    fn doze(&self, alarm: &AtomicU32, heard: u32, own: &AtomicU32);
}

struct Futexes {
    /// The lock under which words are compared and sleepers queued.
    sleepers: Mutex<()>,
    woken: Condvar,
}

impl Kernel for Signalled<Futexes> {
    type Bell = Self;

    fn new() -> Self {
        Self(Futexes { sleepers: Mutex::new(()), woken: Condvar::new() })
    }

    fn bell(&self) -> &Self {
        self
    }

    fn doze(&self, signal: &AtomicU32, heard: u32, own: &AtomicU32) {
        let sleepers = self.0.sleepers.lock().expect("not poisoned");
        // Relaxed: what the kernel reads is ordered by its lock alone.
        if signal.load(Ordering::Relaxed) == heard && own.load(Ordering::Relaxed) == 0 {
            drop(self.0.woken.wait(sleepers).expect("not poisoned"));
        }
    }
}

impl Futex<AtomicU32> for Futexes {
    fn wake_peer(&self, _word: &AtomicU32) {
        drop(self.sleepers.lock().expect("not poisoned"));
        self.woken.notify_one();
    }

    fn wake_all(&self, _word: &AtomicU32, _own: &AtomicU32) {
        drop(self.sleepers.lock().expect("not poisoned"));
        self.woken.notify_all();
    }
}

/// An auto-reset event, rung by the peer, and one of this process that stays set.
struct Events {
    set: Mutex<Set>,
    woken: Condvar,
}

#[derive(Default)]
struct Set {
    rung: bool,
    own: bool,
}

impl Kernel for Flagged<Events> {
    type Bell = Self;

    fn new() -> Self {
        Self(Events { set: Mutex::new(Set::default()), woken: Condvar::new() })
    }

    fn bell(&self) -> &Self {
        self
    }

    fn doze(&self, _alarm: &AtomicU32, _heard: u32, _own: &AtomicU32) {
        let mut set = self.0.set.lock().expect("not poisoned");
        while !set.rung && !set.own {
            set = self.0.woken.wait(set).expect("not poisoned");
        }
        set.rung = false;
    }
}

impl Event for Events {
    fn ring(&self) {
        self.set.lock().expect("not poisoned").rung = true;
        self.woken.notify_one();
    }

    fn ring_own(&self) {
        self.set.lock().expect("not poisoned").own = true;
        self.woken.notify_all();
    }
}

/// How often a thread may be interrupted where it need not be, in one run: with no bound the larger
/// models take days; published experience is that two or three find what there is to be found.
const PREEMPTIONS: usize = 3;

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(run);
}

fn never() -> End<AtomicU32> {
    End::new(AtomicU32::new(0))
}

/// Runs a model with each bell.
macro_rules! with_each_bell {
    ($with:ident) => {
        $with::<Signalled<Futexes>>();
        $with::<Flagged<Events>>();
    };
}

/// loom fails a model in which all threads sleep: so a lost wake-up shows.
#[test]
fn no_wake_up_is_lost() {
    fn with<K: Kernel>() {
        model(|| {
            let memory = Arc::new(Memory::<K>::new());
            let publishing = Arc::clone(&memory);
            let thread = thread::spawn(move || publishing.publish(&Publisher::new(0, 0), 7));
            assert_eq!(memory.receive(&Receiver::new(0), &never()), Some(7));
            thread.join().expect("published");
        });
    }
    with_each_bell!(with);
}

/// Both directions, both asleep by turns; the second request overwrites the first as soon as that was
/// answered.
#[test]
fn answers_go_back_and_areas_are_used_again_untorn() {
    fn with<K: Kernel>() {
        model(|| {
            let session = Arc::new((Memory::<K>::new(), Memory::<K>::new()));
            let serving = Arc::clone(&session);
            let server = thread::spawn(move || {
                let (requests, responses) = &*serving;
                let (publisher, receiver) = (Publisher::new(0, 0), Receiver::new(0));
                for _ in 0..2 {
                    let request = requests.receive(&receiver, &never()).expect("a request");
                    responses.publish(&publisher, request + 100);
                }
            });
            let (requests, responses) = &*session;
            let (publisher, receiver) = (Publisher::new(0, 0), Receiver::new(0));
            for request in 1..=2 {
                requests.publish(&publisher, request);
                assert_eq!(responses.receive(&receiver, &never()), Some(request + 100));
            }
            server.join().expect("served");
        });
    }
    with_each_bell!(with);
}

/// As those do who look in a loop and never sleep.
#[test]
fn who_looks_without_sleeping_sees_whole_messages() {
    fn with<K: Kernel>() {
        model(|| {
            let memory = Arc::new(Memory::<K>::new());
            let publishing = Arc::clone(&memory);
            let thread = thread::spawn(move || publishing.publish(&Publisher::new(0, 0), 7));
            let receiver = Receiver::new(0);
            loop {
                if let Some(number) = memory.take(&receiver) {
                    assert_eq!(number, 7);
                    break;
                }
                thread::yield_now();
            }
            assert_eq!(memory.take(&receiver), None);
            thread.join().expect("published");
        });
    }
    with_each_bell!(with);
}

#[test]
fn an_end_reaches_who_is_about_to_sleep() {
    fn with<K: Kernel>() {
        model(|| {
            let shared = Arc::new((Memory::<K>::new(), never()));
            let ending = Arc::clone(&shared);
            let thread = thread::spawn(move || {
                let (memory, end) = &*ending;
                end.come(&memory.lane(), memory.kernel.bell());
            });
            let (memory, end) = &*shared;
            assert_eq!(memory.receive(&Receiver::new(0), end), None);
            assert!(end.has_come());
            thread.join().expect("ended");
        });
    }
    with_each_bell!(with);
}

/// The last message and the end at once: one of them is what the receiver gets, and the message is
/// whole.
#[test]
fn an_end_and_a_message_at_once() {
    fn with<K: Kernel>() {
        model(|| {
            let shared = Arc::new((Memory::<K>::new(), never()));
            let publishing = Arc::clone(&shared);
            let publisher = thread::spawn(move || publishing.0.publish(&Publisher::new(0, 0), 7));
            let ending = Arc::clone(&shared);
            let ender =
                thread::spawn(move || ending.1.come(&ending.0.lane(), ending.0.kernel.bell()));
            let (memory, end) = &*shared;
            let receiver = Receiver::new(0);
            assert!(matches!(memory.receive(&receiver, end), None | Some(7)));
            publisher.join().expect("published");
            ender.join().expect("ended");
            // A message is never lost to an end: it is there to be taken, once.
            let _unless_taken = memory.take(&receiver);
            assert_eq!(memory.take(&receiver), None);
        });
    }
    with_each_bell!(with);
}

/// A peer that publishes its last message and leaves, which is an event apart from the region: whoever
/// learns of it looks once more, and finds the message.
#[test]
fn what_a_peer_published_before_it_left_is_found() {
    fn with<K: Kernel>() {
        model(|| {
            let shared = Arc::new((Memory::<K>::new(), AtomicBool::new(false)));
            let leaving = Arc::clone(&shared);
            let thread = thread::spawn(move || {
                let (memory, gone) = &*leaving;
                memory.publish(&Publisher::new(0, 0), 7);
                // The socket's close, which orders as a lock does.
                gone.store(true, Ordering::Release);
            });
            let (memory, gone) = &*shared;
            let receiver = Receiver::new(0);
            let left = gone.load(Ordering::Acquire);
            let found = memory.take(&receiver);
            assert!(!left || found == Some(7));
            thread.join().expect("left");
        });
    }
    with_each_bell!(with);
}

/// A peer that publishes although nothing was answered: what comes out may be mixed of both messages,
/// but it is of the length that was checked, and nothing else happens.
#[test]
fn a_peer_that_does_not_wait_for_answers_harms_its_messages_alone() {
    fn with<K: Kernel>() {
        model(|| {
            let memory = Arc::new(Memory::<K>::new());
            let publishing = Arc::clone(&memory);
            let thread = thread::spawn(move || {
                let publisher = Publisher::new(0, 0);
                publishing.publish(&publisher, 1);
                publishing.publish(&publisher, 2);
            });
            let receiver = Receiver::new(0);
            let mut buffer = [0; LEN];
            match receiver.take(&memory.lane(), LEN, memory.kernel.bell(), |_| &mut buffer) {
                Ok(None) | Err(Refused::Sequence { seen: 0 | 1, found: 2 }) => {}
                Ok(Some(len)) => {
                    assert_eq!(len, LEN);
                    assert!(buffer.iter().all(|byte| [1, 2].contains(byte)), "{buffer:?}");
                }
                Err(other) => panic!("it cannot be {other:?}"),
            }
            thread.join().expect("published");
        });
    }
    with_each_bell!(with);
}

/// Two threads of one end that send at once: who comes second is turned away, or goes on from what the first has
/// left. No number is used twice, and the area holds the last message whole.
#[test]
fn two_threads_that_publish_at_once_take_turns() {
    fn with<K: Kernel>() {
        model(|| {
            let shared = Arc::new((Memory::<K>::new(), Publisher::new(0, 0)));
            let publish = |shared: &(Memory<K>, Publisher), number| {
                let (memory, publisher) = shared;
                publisher.publish(&memory.lane(), &[&[number; LEN]], memory.kernel.bell())
            };
            let other = Arc::clone(&shared);
            let thread = thread::spawn(move || publish(&other, 1));
            let outcomes = [publish(&shared, 2), thread.join().expect("published or not")];

            assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(Unsent::Busy))));
            let published = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
            assert!(published > 0, "both were turned away");
            let lane = shared.0.lane();
            assert_eq!(lane.seq.load(Ordering::Relaxed), published);
            assert!(shared.0.take(&Receiver::new(published - 1)).is_some());
        });
    }
    with_each_bell!(with);
}

/// Two threads of one end that look at once: one of them gets the message, whole, and it is there until then.
#[test]
fn two_threads_that_take_at_once_get_a_message_once() {
    fn with<K: Kernel>() {
        model(|| {
            let shared = Arc::new((Memory::<K>::new(), Receiver::new(0)));
            shared.0.publish(&Publisher::new(0, 0), 7);
            let take = |shared: &(Memory<K>, Receiver)| {
                let (memory, receiver) = shared;
                let mut buffer = [0; LEN];
                let bell = memory.kernel.bell();
                let taken = receiver.take(&memory.lane(), LEN, bell, |_| &mut buffer);
                assert!(taken != Ok(Some(LEN)) || buffer == [7; LEN], "torn: {buffer:?}");
                taken
            };
            let other = Arc::clone(&shared);
            let thread = thread::spawn(move || take(&other));
            let outcomes = [take(&shared), thread.join().expect("taken or not")];

            let got = outcomes.iter().filter(|outcome| **outcome == Ok(Some(LEN))).count();
            assert_eq!(got, 1, "{outcomes:?}");
            assert!(
                outcomes.iter().all(|outcome| {
                    matches!(outcome, Ok(Some(LEN) | None) | Err(Refused::Busy))
                })
            );
        });
    }
    with_each_bell!(with);
}

/// Who learns of an end finds what the ending thread wrote before it.
#[test]
fn what_came_before_an_end_is_found_after_it() {
    model(|| {
        let shared = Arc::new((Memory::<Signalled<Futexes>>::new(), never(), AtomicU32::new(0)));
        let ending = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let (memory, end, reason) = &*ending;
            reason.store(1, Ordering::Relaxed);
            end.come(&memory.lane(), memory.kernel.bell());
        });
        let (_, end, reason) = &*shared;
        if end.has_come() {
            assert_eq!(reason.load(Ordering::Relaxed), 1);
        }
        thread.join().expect("ended");
    });
}
