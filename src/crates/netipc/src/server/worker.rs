//! A worker: reads a request, answers it, and looks for the next.
//!
//! The thread that reads a request answers it, so that a client which asks and waits costs no
//! hand-over between threads. Before it answers, the session is armed again: further requests of
//! the same session go to other workers.
//!
//! A worker that finds out that the next request comes sooner than it could sleep stays with the
//! session, keeps it to itself, and looks for the request, until that does not pay any more or somebody
//! else has something (docs/adr/0005).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netipc_proto::batch::Batch;
use netipc_proto::payload::ResponseBudget;
use netipc_sys::{Deadline, Events};

use super::batch::{Answers, SplitBatch, assemble, grow_blank};
use super::dispatch::{Context, Failure};
use super::engine::{Command, Engine, Phase, Place, WORK_TOKEN};
use super::served::Served;
use super::status::{End, add};
use super::work::{Job, SharedBatch};
use crate::events::Level;
use crate::panics::{discard, words_of};
use crate::{Header, Inbox, Message, PacketBuffer, ReceiveError, Session, Status};

/// Once the items of a batch have taken this long, the rest is shared with other workers: cheap
/// batches are not worth the hand-over.
const SPLIT_AFTER: Duration = Duration::from_micros(50);
/// Items between two looks at the clock; the first few are all looked at.
const ITEMS_PER_LOOK: usize = 8;
/// Looks at the session that a worker stays with between two at all others.
const LOOKS_PER_GLANCE: u32 = 8;

/// What a thread keeps from one request to the next, so that none allocates.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    packet: PacketBuffer,
    request: PacketBuffer,
    response: Vec<u8>,
    batch: Vec<u8>,
    answers: Answers,
    /// Counts looks for a session's next request, over all of them.
    looks: u32,
}

/// Runs until the server stops. `place` is this worker's.
pub(super) fn run(engine: &Engine, place: &Place) {
    let mut scratch = Scratch::default();
    // One event a look: what else is ready is for the others.
    let mut events = Events::with_capacity(1);
    let mut met = None;
    while engine.phase() != Phase::Stopping {
        if let Some(token) = met.take() {
            met = serve(engine, token, place, &mut scratch, &mut events);
        } else if let Some(job) = engine.work.take() {
            do_job(engine, job, &mut scratch);
        } else {
            met = wait(engine, &mut events);
        }
    }
    // Whoever was woken to end wakes the next.
    engine.wake_worker();
}

/// Sleeps until there is something to do.
fn wait(engine: &Engine, events: &mut Events) -> Option<u64> {
    engine.load.look();
    let waited = engine.requests.wait(events, Deadline::never());
    if engine.load.found() {
        engine.loop_waker.wake();
    }
    if let Err(error) = waited {
        // The set cannot be waited on: there is no server any more. The reason first: who sees the end asks for it.
        engine.threads.ended_with(Err(error));
        engine.enter(Phase::Stopping);
    }
    events.iter().next().map(|event| event.token)
}

/// Does what an event is for: answers a session's request, and those that come while it is worth
/// looking for them. May end because of another event, which it returns.
fn serve(
    engine: &Engine,
    token: u64,
    place: &Place,
    scratch: &mut Scratch,
    events: &mut Events,
) -> Option<u64> {
    if token == WORK_TOKEN {
        take_work(engine, scratch);
        return None;
    }
    let served = engine.session(token)?;
    let mut begun = receive(engine, &served, scratch, what_is_there);
    while begun {
        answer_received(engine, &served, scratch);
        begun = stay(engine, &served, place, scratch, events);
    }
    place.leave();
    events.iter().next().map(|event| event.token).filter(|met| *met != token)
}

/// Waits for the next request of the session that was just served, in whichever way pays.
fn stay(
    engine: &Engine,
    served: &Arc<Served>,
    place: &Place,
    scratch: &mut Scratch,
    events: &mut Events,
) -> bool {
    events.clear();
    let way = Way::choose(engine, &mut served.inbox());
    let begun = way != Way::Leave
        && served.hold(engine)
        && match way {
            Way::Look => look(engine, served, place, scratch, events),
            Way::Yield { alone: true } => {
                give_way(engine, served, place, scratch) || doze(engine, served, scratch)
            }
            Way::Yield { alone: false } => {
                !another_waits(engine, served, events) && give_way(engine, served, place, scratch)
            }
            Way::Doze => doze(engine, served, scratch),
            Way::Leave => false,
        };
    if !begun {
        served.release(engine);
    }
    begun
}

/// How a worker waits for the next request of the session that it has just served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It looks, and sees to the others now and then.
    Look,
    /// The client seems to share this CPU, and goes first. A worker that is `alone` with the session
    /// dozes then: a request that comes that fast is expected soon.
    Yield { alone: bool },
    /// Alone with the session, it sleeps for a moment in receiving.
    Doze,
    /// Not at all: it sleeps on all sessions.
    Leave,
}

impl Way {
    fn choose(engine: &Engine, inbox: &mut Inbox) -> Self {
        if inbox.begin_wait() {
            return Self::Look;
        }
        let alone = engine.has_one_of_each();
        if inbox.peer_shares_cpu() {
            Self::Yield { alone }
        } else if alone && inbox.expects_soon() {
            Self::Doze
        } else {
            Self::Leave
        }
    }
}

/// Tells the event loop of a session that is held: it gives it back should the next request be slow.
fn keep(engine: &Engine, served: &Arc<Served>, place: &Place) {
    if place.hold(served.token) && engine.load.watch() {
        engine.loop_waker.wake();
    }
}

/// Looks for the next request of a session that is held.
fn look(
    engine: &Engine,
    served: &Arc<Served>,
    place: &Place,
    scratch: &mut Scratch,
    events: &mut Events,
) -> bool {
    keep(engine, served, place);
    // Not from zero: a client whose next request is always there must not keep others waiting.
    let mut looks = scratch.looks;
    let mut interrupted = || {
        looks = looks.wrapping_add(1);
        engine.phase() != Phase::Running
            || !engine.work.is_empty()
            || served.is_over()
            || (looks.is_multiple_of(LOOKS_PER_GLANCE) && another_waits(engine, served, events))
    };
    let begun = receive(engine, served, scratch, |session, inbox| {
        Ok(session.look(inbox, &mut interrupted)?.map(payload_len))
    });
    scratch.looks = looks;
    begun
}

/// Lets the client go first: it shares this CPU, and its next request comes as soon as it runs.
/// That spares both ends a sleep, and this one the arming. Not when others wait for this worker.
fn give_way(engine: &Engine, served: &Arc<Served>, place: &Place, scratch: &mut Scratch) -> bool {
    keep(engine, served, place);
    if engine.phase() != Phase::Running || !engine.work.is_empty() {
        return false;
    }
    receive(engine, served, scratch, |session, inbox| Ok(session.give_way(inbox)?.map(payload_len)))
}

/// Sleeps for a moment in receiving from the only session of the only worker: one system call instead
/// of two. Whoever ends the session wakes it; a client that comes in this moment waits for its end.
fn doze(engine: &Engine, served: &Arc<Served>, scratch: &mut Scratch) -> bool {
    if !engine.work.is_empty() {
        return false;
    }
    receive(engine, served, scratch, |session, inbox| {
        engine.load.look();
        let received = session.receive_soon(inbox).map(|message| message.map(payload_len));
        if engine.load.found() {
            engine.loop_waker.wake();
        }
        received
    })
}

/// Whether another session has something, and nobody sleeps who would take it.
fn another_waits(engine: &Engine, served: &Arc<Served>, events: &mut Events) -> bool {
    if engine.load.has_idle()
        || engine.requests.wait(events, Deadline::after(Duration::ZERO)).is_err()
    {
        return false;
    }
    match events.iter().next() {
        None => false,
        Some(event) if event.token == served.token => {
            // The event loop has given the session back meanwhile, because this worker was away for
            // long. Whether it is read now is not said here, and nobody else is told a second time.
            served.arm_again(engine);
            false
        }
        Some(_another) => true,
    }
}

/// Reads from a session in the workers' stead, and leaves what came to the first that has time.
pub(super) fn stand_in(engine: &Engine, token: u64, scratch: &mut Scratch) {
    if token == WORK_TOKEN {
        // The signal was for a worker, who may have looked at the queue too early and be about to
        // sleep: it is armed again.
        return engine.wake_worker();
    }
    let Some(served) = engine.session(token) else { return };
    if receive(engine, &served, scratch, what_is_there) {
        engine.offer([Job::Request { served, request: std::mem::take(&mut scratch.request) }]);
    }
}

fn take_work(engine: &Engine, scratch: &mut Scratch) {
    let Some(job) = engine.work.take() else { return };
    if !engine.work.is_empty() {
        engine.wake_worker();
    }
    do_job(engine, job, scratch);
}

fn do_job(engine: &Engine, job: Job, scratch: &mut Scratch) {
    match job {
        Job::Request { served, request } => {
            scratch.request = request;
            answer_received(engine, &served, scratch);
        }
        Job::Help(batch) => {
            // Closed: the server stops, and nobody hears the answer.
            if let Some(_permit) = engine.permits.take() {
                help(engine, &batch, scratch);
            }
        }
    }
}

/// Answers the request that lies in `scratch.request`, which was begun, as soon as it may.
pub(super) fn answer_received(engine: &Engine, served: &Arc<Served>, scratch: &mut Scratch) {
    let Some(_permit) = engine.permits.take() else {
        // The client is told now, and not when other handlers have returned.
        return drop_request(engine, served);
    };
    let request = std::mem::take(&mut scratch.request);
    if let Some(Message { header, payload }) = request.message() {
        answer_request(engine, served, &header, payload, scratch);
    }
    scratch.request = request;
}

/// Gives up a request that was begun, and with it its session: the server stops, or the session is over.
fn drop_request(engine: &Engine, served: &Arc<Served>) {
    engine.end(served, End::Stopped);
    served.give_up();
}

/// Whether the rest of a batch is of no use: its session is over, or is to be.
fn is_useless(engine: &Engine, served: &Served) -> bool {
    served.is_over() || engine.stopping.load(Ordering::Relaxed)
}

/// Takes a message that is there already. Answers, as what [`receive`] is given, the length of its
/// payload.
fn what_is_there(session: &Session, inbox: &mut Inbox) -> Result<Option<u32>, ReceiveError> {
    Ok(session.try_receive(inbox)?.map(payload_len))
}

const fn payload_len(message: Message<'_>) -> u32 {
    message.header.payload_len
}

/// Takes what a session has, by `take`. True: there is a whole request, which is begun, and lies in
/// `scratch.request`.
pub(super) fn receive(
    engine: &Engine,
    served: &Arc<Served>,
    scratch: &mut Scratch,
    take: impl FnOnce(&Session, &mut Inbox) -> Result<Option<u32>, ReceiveError>,
) -> bool {
    let mut inbox = served.inbox();
    inbox.exchange_buffer(&mut scratch.packet);
    let received = take(&served.session, &mut inbox);
    // Out of the inbox, which is then free for whoever reads the next request.
    inbox.hand_over(&mut scratch.request);
    inbox.exchange_buffer(&mut scratch.packet);
    let is_partial = inbox.partial_since().is_some();
    if !is_partial {
        // An idle session holds no memory for messages (that of a region's thread stays with it).
        inbox.release();
    }
    drop(inbox);
    match received {
        Ok(Some(payload_len)) => served.begin(engine, payload_len),
        Ok(None) => {
            if is_partial && !served.gap_watched.swap(true, Ordering::Relaxed) {
                engine.command(Command::WatchGap(Arc::clone(served)));
            }
            served.arm_again(engine);
            false
        }
        Err(error) => {
            receive_failed(engine, served, error);
            false
        }
    }
}

#[cold]
fn receive_failed(engine: &Engine, served: &Arc<Served>, error: ReceiveError) {
    match error {
        ReceiveError::AboveLimit { header, .. } => {
            if served.begin_last(engine) {
                let answer = Header::failure(&header, Status::LIMIT_EXCEEDED);
                served.answer(engine, &answer, &[]);
            }
        }
        // Who dies in the midst of a message breaks no contract.
        ReceiveError::Closed | ReceiveError::BrokenOff => engine.end(served, End::Left),
        ReceiveError::Violation(_) | ReceiveError::BrokenRegion(_) => {
            engine.end(served, End::Violated);
        }
        ReceiveError::ChunkGap => engine.end(served, End::ChunkGap),
        _ => engine.end(served, End::Failed),
    }
}

/// Answers a request that was begun.
fn answer_request(
    engine: &Engine,
    served: &Arc<Served>,
    header: &Header,
    request: &[u8],
    scratch: &mut Scratch,
) {
    let dispatch = &served.service.dispatch;
    if served.is_over() {
        // It waited in the queue, and nobody hears the answer any more.
        return served.give_up();
    }
    if header.code != dispatch.method() {
        return served.answer(engine, &Header::failure(header, Status::UNSUPPORTED), &[]);
    }
    if header.is_batch() {
        return answer_batch(engine, served, header, request, scratch);
    }
    let limit_bytes = served.session.terms().response.payload_bytes as usize;
    grow_blank(&mut scratch.response, limit_bytes);
    let room = scratch.response.get_mut(..limit_bytes).unwrap_or_default();
    let outcome = handle(engine, served, request, room);
    let payload = outcome.and_then(|len| scratch.response.get(..len).ok_or(Failure::Internal));
    answer(engine, served, header, payload);
}

fn answer_batch(
    engine: &Engine,
    served: &Arc<Served>,
    header: &Header,
    request: &[u8],
    scratch: &mut Scratch,
) {
    let limit_bytes = served.session.terms().response.payload_bytes;
    match answer_items(engine, served, header, request, &mut scratch.answers) {
        Ok(Come::Through) => {
            let Scratch { answers, batch, .. } = scratch;
            let parts = std::iter::once(&*answers);
            let outcome = assemble(parts, header.item_count, limit_bytes, batch);
            answer(engine, served, header, outcome.map(|()| batch.as_slice()));
        }
        Ok(Come::Useless) => drop_request(engine, served),
        Ok(Come::Halfway) => {
            let handled = std::mem::take(&mut scratch.answers);
            let (count, workers) = (header.item_count, engine.worker_count());
            let split = SplitBatch::new(request.to_vec(), count, limit_bytes, handled, workers);
            share(engine, served, header, split, scratch);
        }
        Err(failure) => answer(engine, served, header, Err(failure)),
    }
}

/// How far a worker came with a batch by itself.
enum Come {
    Through,
    /// It takes so long that the rest is worth sharing.
    Halfway,
    /// The rest is of no use.
    Useless,
}

/// Answers the items of a batch.
fn answer_items(
    engine: &Engine,
    served: &Served,
    header: &Header,
    request: &[u8],
    answers: &mut Answers,
) -> Result<Come, Failure> {
    if !served.service.dispatch.batchable() {
        return Err(Failure::BadEnvelope);
    }
    let batch =
        Batch::decode(request, header.item_count).map_err(|_defect| Failure::BadEnvelope)?;
    // Items may share bytes: together they are no longer than a request may be, or one request
    // would have handlers read gigabytes.
    let items_bytes = batch.iter().map(<[u8]>::len).fold(0, usize::saturating_add);
    if items_bytes > served.session.terms().request.payload_bytes as usize {
        return Err(Failure::BadEnvelope);
    }
    let limit_bytes = served.session.terms().response.payload_bytes as usize;
    answers.reset(limit_bytes);
    let started = Instant::now();
    for (index, item) in batch.iter().enumerate() {
        let look = index > 0 && (index < ITEMS_PER_LOOK || index.is_multiple_of(ITEMS_PER_LOOK));
        if is_useless(engine, served) {
            return Ok(Come::Useless);
        }
        if look && engine.worker_count() > 1 && started.elapsed() >= SPLIT_AFTER {
            return Ok(Come::Halfway);
        }
        answers.push(limit_bytes, |out| handle(engine, served, item, out))?;
    }
    Ok(Come::Through)
}

/// Asks the other workers to help with a batch, and does what they leave.
fn share(
    engine: &Engine,
    served: &Arc<Served>,
    header: &Header,
    split: SplitBatch,
    scratch: &mut Scratch,
) {
    let helpers = split.part_count().saturating_sub(1);
    let (served, useless) = (Arc::clone(served), AtomicBool::new(false));
    let shared = Arc::new(SharedBatch { served, header: *header, split, useless });
    if helpers > 0 {
        engine.offer((0..helpers).map(|_| Job::Help(Arc::clone(&shared))));
    }
    help(engine, &shared, scratch);
}

/// Answers parts of a batch until none is left to claim. Who finishes the last answers the client.
fn help(engine: &Engine, shared: &SharedBatch, scratch: &mut Scratch) {
    let SharedBatch { served, header, split, useless } = shared;
    while let Some(part) = split.claim() {
        let is_last = split.answer(part, |item, out| {
            if is_useless(engine, served) {
                useless.store(true, Ordering::Relaxed);
                return Err(Failure::Internal);
            }
            handle(engine, served, item, out)
        });
        if is_last {
            let outcome = split.assemble(&mut scratch.batch);
            // Behind the lock that has ordered what all parts said.
            if useless.load(Ordering::Relaxed) {
                return drop_request(engine, served);
            }
            answer(engine, served, header, outcome.map(|()| scratch.batch.as_slice()));
        }
    }
}

/// Runs the handler on one request, and contains it.
fn handle(
    engine: &Engine,
    served: &Served,
    request: &[u8],
    out: &mut [u8],
) -> Result<usize, Failure> {
    let Served { session, service, .. } = served;
    let at_ceiling = session.terms().response.payload_bytes >= service.response_ceiling;
    let context = Context::new(*session.peer(), session.id(), &engine.stopping, service);
    // Of what a panic may leave half done, this side sees only the bytes in `out`, and does not
    // send them.
    let handler = AssertUnwindSafe(|| {
        service.dispatch.handle(&context, request, ResponseBudget { out, at_ceiling })
    });
    catch_unwind(handler).unwrap_or_else(|panic| {
        add(&service.counters.panics, 1);
        let words = words_of(&*panic);
        service.counters.last_error.set(&format_args!("the handler panicked: {words}"));
        service.tell(Level::Error, "handler panicked", session.id(), format_args!("{words}"));
        discard(panic);
        Err(Failure::Internal)
    })
}

fn answer(
    engine: &Engine,
    served: &Arc<Served>,
    request: &Header,
    outcome: Result<&[u8], Failure>,
) {
    match outcome {
        Ok(payload) => {
            // Within the session's limit, which has 32 bits.
            let header = Header::response(request, payload.len() as u32);
            served.answer(engine, &header, payload);
        }
        Err(failure) => {
            if failure == Failure::LimitExceeded {
                let session_limit = served.session.terms().response.payload_bytes;
                let service = &served.service;
                service.response_limit.grow(session_limit, service.response_ceiling);
            }
            served.answer(engine, &Header::failure(request, failure.status()), &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, PATIENCE, meets, met};
    use super::*;

    #[test]
    fn who_stands_in_leaves_the_signal_for_a_worker() {
        let engine = Engine::new(Vec::new(), 1).expect("an engine");
        engine.wake_worker();
        assert_eq!(met(&engine), Some(WORK_TOKEN));
        assert_eq!(met(&engine), None, "one worker alone is woken");
        stand_in(&engine, WORK_TOKEN, &mut Scratch::default());
        assert_eq!(met(&engine), Some(WORK_TOKEN));
    }

    #[test]
    fn a_request_that_a_worker_sees_beside_others_and_leaves_is_told_to_others() {
        let fixture = Fixture::new(2);
        let Fixture { engine, served, .. } = &fixture;
        let mut events = Events::with_capacity(1);
        // A worker stays with the session, is not run for long, and the event loop gives it back.
        assert!(served.hold(engine));
        served.release(engine);
        fixture.request();
        let until = Deadline::after(PATIENCE);
        while events.is_empty() && !until.has_passed() {
            assert!(!another_waits(engine, served, &mut events));
        }
        assert_eq!(events.len(), 1, "it has met the request's event");
        // It goes because there is work, and does not read.
        served.release(engine);
        assert_eq!(meets(engine), Some(served.token));
    }
}
