//! Requests and answers as bytes: one logical call at a time, over as many sessions as it takes.
//!
//! ```text
//!   build ──▶ fits the session? ──no──▶ reconnect, proposing just that
//!               │ yes
//!             send, receive ──lost──▶ reconnect, send once more (once)
//!               │
//!             OK ──▶ the answer      LIMIT_EXCEEDED ──▶ reconnect with a larger hint
//! ```
//!
//! What it does **not** do: it decodes no payload, splits nothing, connects for nobody but a call
//! on a Ready client, starts no thread.

use netipc_proto::call::{AnswerAction, Loss, Resend, on_answer};
use netipc_proto::growth::CallGrowth;
use netipc_proto::header::HEADER_LEN;
use netipc_proto::retry::ClientState;
use netipc_sys::ConnectError as SysConnectError;

use super::config::{CONNECT_TIMEOUT, ClientConfig, ServiceInfo};
use super::environment::{Environment, SystemEnvironment};
use super::error::{CallError, Items, Mismatch};
use super::link::{Link, NoSession};
use super::status::{ClientStatus, Reason};
use crate::batch::{Batch, BatchBuilder, BuildError as BatchError};
use crate::codec::{BuildError, DecodeError};
use crate::{
    Abort, ConnectError, Deadline, Endpoint, Header, Inbox, Limits, Message, ReceiveError,
    SendError, Status, SysError,
};

/// A client of one service, as bytes: what the typed clients are made of.
///
/// It has one session at most, and one call at a time. Buffers are kept between calls: once they
/// have grown, a call allocates nothing.
#[derive(Debug)]
pub struct Engine {
    service: ServiceInfo,
    pub(super) link: Link,
    /// Where the last answer lies, the session's or, once it is lost, still the answer's.
    inbox: Option<Inbox>,
    /// Written from its start; longer than the request in it.
    request: Vec<u8>,
    request_len: usize,
    /// One item of a batch.
    item: Vec<u8>,
}

/// One logical call: what it has used up.
#[derive(Debug)]
pub(super) struct LogicalCall {
    deadline: Deadline,
    resend: Resend,
    growth: CallGrowth,
}

/// What becomes of a request when its session is replaced in the midst of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnNewSession {
    /// It is sent again as it is.
    SendAgain,
    /// The caller makes another, for it was made for the limits of its session.
    PlanAgain,
}

/// How an exchange went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchanged {
    /// [`Engine::answer`] has the payload.
    Answered,
    /// There is a new session, and [`OnNewSession::PlanAgain`] was asked for.
    PlanAgain,
}

/// Whether a session for a larger request was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enlarged {
    /// There is a session that takes it.
    Granted,
    /// It is above this client's own ceiling.
    AboveCeiling,
    /// The server refuses it. There is a session as before.
    Refused,
}

impl Engine {
    /// A client that has not connected yet: [`Engine::refresh`] does.
    #[must_use]
    pub fn new(endpoint: Endpoint, config: ClientConfig, service: ServiceInfo) -> Self {
        Self::with_environment(endpoint, config, service, Box::new(SystemEnvironment::default()))
    }

    /// [`Engine::new`] with a clock and a source of chance for its back-off: for tests.
    #[must_use]
    pub fn with_environment(
        endpoint: Endpoint,
        config: ClientConfig,
        service: ServiceInfo,
        environment: Box<dyn Environment>,
    ) -> Self {
        let link = Link::new(endpoint, config, &service, environment);
        let (request, item) = (Vec::new(), Vec::new());
        Self { service, link, inbox: None, request, request_len: 0, item }
    }

    /// Where the service is.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        self.link.endpoint()
    }

    /// Connects when there is no session and it is time to try, waiting for at most 5 s or the call
    /// timeout; with a session, looks once, without waiting, whether it is still there.
    ///
    /// Answers whether the state changed, or the session is another. Why there is no session, the
    /// [status](Self::status) says.
    pub fn refresh(&mut self) -> bool {
        let changed = self.link.refresh();
        if changed {
            self.take_inbox();
        }
        changed
    }

    /// Whether there is a session: a flag, nothing is looked at.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.link.state() == ClientState::Ready
    }

    /// What the client is.
    #[must_use]
    pub const fn state(&self) -> ClientState {
        self.link.state()
    }

    /// Everything that a supporter needs. Allocates.
    #[must_use]
    pub fn status(&self) -> ClientStatus {
        self.link.status()
    }

    /// A handle that ends a refresh or call which waits, from any thread, within 50 ms, and refuses
    /// later ones until it is cleared.
    ///
    /// # Errors
    /// No descriptor for it.
    pub fn abort_handle(&mut self) -> Result<Abort, SysError> {
        self.link.abort()
    }

    /// Ends the session, if there is one, and gives up the memory of its answers. A refresh
    /// connects again.
    pub fn close(&mut self) {
        self.link.close();
        self.inbox = None;
    }

    /// One request out, one answer in. `build` writes the request at the start of the buffer it is
    /// given, and answers its length; when that is too small for it, it is called again with a
    /// larger one. The answer is borrowed until the next use.
    ///
    /// # Errors
    /// [`CallError`] says what became of the session.
    pub fn call(
        &mut self,
        build: impl Fn(&mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<&[u8], CallError> {
        self.exchange_call(build)?;
        Ok(self.answer().payload)
    }

    /// `count` requests out in one message, their answers in (spec section 2); `build` writes
    /// request `index` as for [`Engine::call`].
    ///
    /// # Errors
    /// [`CallError`] says what became of the session; `NotBatchable` and `TooManyItems` besides.
    pub fn batch(
        &mut self,
        count: usize,
        build: impl Fn(usize, &mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<Batch<'_>, CallError> {
        self.exchange_batch(count, build)?;
        self.decode(|answer| Batch::decode(answer.payload, answer.header.item_count))
    }

    /// [`Engine::call`] without the answer.
    pub(super) fn exchange_call(
        &mut self,
        build: impl Fn(&mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<(), CallError> {
        let mut call = self.begin()?;
        let ceiling = self.request_ceiling();
        let exchanged = build_growing(&mut self.request, ceiling, build)
            .and_then(|len| {
                self.request_len = len;
                self.exchange(&mut call, Items::One, OnNewSession::SendAgain)
            })
            .map(|_| ());
        self.end(exchanged)
    }

    /// [`Engine::batch`] without the answer.
    pub(super) fn exchange_batch(
        &mut self,
        count: usize,
        build: impl Fn(usize, &mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<(), CallError> {
        let mut call = self.begin()?;
        let exchanged = self
            .build_batch(count, build)
            .and_then(|items| self.exchange(&mut call, items, OnNewSession::SendAgain))
            .map(|_| ());
        self.end(exchanged)
    }

    /// Begins a logical call.
    pub(super) fn begin(&mut self) -> Result<LogicalCall, CallError> {
        let state = self.link.state();
        if state != ClientState::Ready {
            return self.end(Err(CallError::NotReady { state }));
        }
        if self.link.is_aborted() {
            return self.end(Err(CallError::Aborted));
        }
        self.link.counters.calls += 1;
        let deadline = Deadline::after(self.link.config().call_timeout());
        Ok(LogicalCall { deadline, resend: Resend::default(), growth: CallGrowth::default() })
    }

    /// Ends a logical call: a failure is counted and shown in the status.
    pub(super) fn end<T>(&mut self, result: Result<T, CallError>) -> Result<T, CallError> {
        if let Err(error) = &result {
            self.link.call_failed(error);
        }
        result
    }

    /// Agreed limits of requests and responses.
    pub(super) fn limits(&self) -> Result<(Limits, Limits), CallError> {
        self.link.limits().ok_or(CallError::NotReady { state: self.link.state() })
    }

    /// Has `write` write a request of `len` bytes.
    pub(super) fn build_exactly(
        &mut self,
        len: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<(), CallError> {
        if self.request.len() < len {
            self.request.resize(len, 0);
        }
        let out = self.request.get_mut(..len).unwrap_or_default();
        self.request_len = write(out).map_err(CallError::Build)?;
        Ok(())
    }

    /// The last answer. Empty when there is none.
    pub(super) fn answer(&self) -> Message<'_> {
        answer_in(self.inbox.as_ref())
    }

    /// The last answer, decoded. One that does not decode ends the session.
    pub(super) fn decode<'a, T>(
        &'a mut self,
        decode: impl FnOnce(Message<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, CallError> {
        let Self { link, inbox, .. } = self;
        decode(answer_in(inbox.as_ref())).map_err(|error| link.malformed(error))
    }

    /// Sends the request that was built, and receives its answer.
    pub(super) fn exchange(
        &mut self,
        call: &mut LogicalCall,
        items: Items,
        on_new_session: OnNewSession,
    ) -> Result<Exchanged, CallError> {
        loop {
            let (request_limits, response_limits) = self.limits()?;
            if self.request_len > request_limits.payload_bytes as usize {
                match self.enlarge(call, self.request_len)? {
                    Enlarged::Granted => continue,
                    Enlarged::AboveCeiling | Enlarged::Refused => {
                        return Err(self.too_large(self.request_len));
                    }
                }
            }
            let status = match self.round_trip(call.deadline, items) {
                Ok(status) => status,
                Err(error) => {
                    self.recover(call, error)?;
                    if on_new_session == OnNewSession::PlanAgain {
                        return Ok(Exchanged::PlanAgain);
                    }
                    continue;
                }
            };
            self.link.answered();
            match on_answer(status) {
                AnswerAction::Take => return Ok(Exchanged::Answered),
                AnswerAction::FailAndKeep => return Err(CallError::Status(status)),
                AnswerAction::FailAndClose => return Err(self.fail(CallError::Status(status))),
                AnswerAction::Grow => {
                    let agreed = response_limits.payload_bytes;
                    if let Err(end) = call.growth.limit_exceeded(&mut self.link.hint, agreed) {
                        return Err(self.fail(CallError::LimitExceeded(end)));
                    }
                    self.link.counters.growths += 1;
                    self.reconnect(call)?;
                    if on_new_session == OnNewSession::PlanAgain {
                        return Ok(Exchanged::PlanAgain);
                    }
                }
            }
        }
    }

    /// Gets a session that takes requests of `needed` bytes, and no more than that.
    pub(super) fn enlarge(
        &mut self,
        call: &LogicalCall,
        needed: usize,
    ) -> Result<Enlarged, CallError> {
        if !self.link.need(needed) {
            return Ok(Enlarged::AboveCeiling);
        }
        self.link.counters.larger_requests += 1;
        match self.connect_within(call) {
            Ok(()) => Ok(Enlarged::Granted),
            Err(NoSession::RequestTooLarge) => {
                self.reconnect(call)?;
                Ok(Enlarged::Refused)
            }
            Err(NoSession::Met(error)) => Err(no_session(call, error)),
        }
    }

    /// Why a request of `needed` bytes, for which no session is to be had, is not sent.
    pub(super) fn too_large(&self, needed: usize) -> CallError {
        let ceiling = self.request_ceiling();
        match needed > ceiling as usize {
            true => CallError::RequestTooLarge { ceiling },
            false => CallError::RequestRefused { needed },
        }
    }

    /// Ends the session for `error`, which is final for the call.
    pub(super) fn fail(&mut self, error: CallError) -> CallError {
        self.link.lost(Reason::Call(error.clone()));
        error
    }

    /// The longest answer that this client takes, in bytes of payload.
    pub(super) const fn response_ceiling(&self) -> u32 {
        self.link.hint.ceiling()
    }

    fn request_ceiling(&self) -> u32 {
        self.link.config().request_ceiling_bytes()
    }

    fn build_batch(
        &mut self,
        count: usize,
        build: impl Fn(usize, &mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<Items, CallError> {
        if !self.service.batchable {
            return Err(CallError::NotBatchable);
        }
        let (limits, _) = self.limits()?;
        let agreed = limits.batch_items;
        let item_count = u32::try_from(count).ok().filter(|count| *count <= agreed);
        let item_count = item_count.ok_or(CallError::TooManyItems { given: count, agreed })?;
        let ceiling = self.request_ceiling();
        let batch_error = |error| match error {
            BatchError::DoesNotFit { .. } => CallError::RequestTooLarge { ceiling },
            error @ BatchError::WrongCount { .. } => CallError::Batch(error),
        };
        let mut builder =
            BatchBuilder::new(&mut self.request, item_count, ceiling).map_err(batch_error)?;
        for index in 0..count {
            let len = build_growing(&mut self.item, ceiling, |out| build(index, out))?;
            let item = self.item.get(..len).unwrap_or_default();
            builder.push(item).map_err(batch_error)?;
        }
        self.request_len = builder.finish().map_err(batch_error)?.len();
        Ok(Items::Batch(item_count))
    }

    /// Sends the request once, and receives what answers it.
    fn round_trip(&mut self, deadline: Deadline, items: Items) -> Result<Status, CallError> {
        let state = self.link.state();
        let (Some((live, abort, counters)), Some(inbox)) = (self.link.parts(), self.inbox.as_mut())
        else {
            return Err(CallError::NotReady { state });
        };
        let payload = self.request.get(..self.request_len).unwrap_or_default();
        let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let asked = live.next_header(self.service.method, payload_len, items);
        match live.session.send(&asked, payload, deadline, abort) {
            Ok(()) => counters.sent_bytes += message_len(&asked),
            // An answer may be queued: LIMIT_EXCEEDED, for instance, to a request that the server
            // did not read to its end (spec section 6).
            Err(SendError::PeerGone) => {}
            Err(error) => return Err(send_error(error)),
        }
        let received = live.session.receive(inbox, deadline, abort);
        let answer = received.map_err(|error| receive_error(error, asked.message_id))?;
        counters.received_bytes += message_len(&answer.header);
        check_answer(&asked, &answer.header, items).map_err(CallError::Mismatch)?;
        Ok(answer.header.status)
    }

    /// After an exchange that failed: a new session when the call may use one, else the error.
    fn recover(&mut self, call: &mut LogicalCall, error: CallError) -> Result<(), CallError> {
        let error = self.fail(error);
        if !call.resend.after(loss_of(&error)) {
            return Err(error);
        }
        if !self.link.may_try() {
            return Err(CallError::Busy);
        }
        self.link.resends();
        self.reconnect(call)
    }

    fn reconnect(&mut self, call: &LogicalCall) -> Result<(), CallError> {
        self.connect_within(call).map_err(|none| match none {
            NoSession::Met(error) => no_session(call, error),
            NoSession::RequestTooLarge => CallError::RequestRefused { needed: self.request_len },
        })
    }

    fn connect_within(&mut self, call: &LogicalCall) -> Result<(), NoSession> {
        self.link.connect(call.deadline.earlier(Deadline::after(CONNECT_TIMEOUT)))?;
        self.link.counters.reconnects += 1;
        self.take_inbox();
        Ok(())
    }

    fn take_inbox(&mut self) {
        if let Some(live) = self.link.live() {
            self.inbox = Some(live.session.inbox());
        }
    }
}

/// Writes a request into `buffer`, which grows until it fits, up to `ceiling` bytes.
fn build_growing(
    buffer: &mut Vec<u8>,
    ceiling: u32,
    build: impl Fn(&mut [u8]) -> Result<usize, BuildError>,
) -> Result<usize, CallError> {
    let ceiling_len = ceiling as usize;
    if buffer.is_empty() {
        buffer.resize(FIRST_BUFFER_BYTES.min(ceiling_len), 0);
    }
    loop {
        let room = buffer.len().min(ceiling_len);
        match build(buffer.get_mut(..room).unwrap_or_default()) {
            Err(BuildError::NoSpace) if room == ceiling_len => {
                return Err(CallError::RequestTooLarge { ceiling });
            }
            Err(BuildError::NoSpace) => {
                buffer.resize(buffer.len().saturating_mul(2).min(ceiling_len), 0);
            }
            built => return built.map_err(CallError::Build),
        }
    }
}

fn answer_in(inbox: Option<&Inbox>) -> Message<'_> {
    let none = Message { header: Header::request(0, 0, 0), payload: &[] };
    inbox.and_then(Inbox::message).unwrap_or(none)
}

const fn message_len(header: &Header) -> u64 {
    HEADER_LEN as u64 + header.payload_len as u64
}

/// Whether `answer` is one to what was asked. A failure has neither items nor BATCH flag to check.
fn check_answer(asked: &Header, answer: &Header, items: Items) -> Result<(), Mismatch> {
    if answer.message_id != asked.message_id {
        let (asked, answered) = (asked.message_id, answer.message_id);
        return Err(Mismatch::MessageId { asked, answered });
    }
    if answer.code != asked.code {
        return Err(Mismatch::Method { asked: asked.code, answered: answer.code });
    }
    let answered = if answer.is_batch() { Items::Batch(answer.item_count) } else { Items::One };
    if answer.status.is_ok() && answered != items {
        return Err(Mismatch::Items { asked: items, answered });
    }
    Ok(())
}

fn send_error(error: SendError) -> CallError {
    match error {
        SendError::TimedOut => CallError::TimedOut,
        SendError::Aborted => CallError::Aborted,
        SendError::PeerGone | SendError::Ended => CallError::PeerGone,
        error @ (SendError::AboveLimit { .. }
        | SendError::Malformed(_)
        | SendError::OutOfTurn
        | SendError::PacketTooLong { .. }) => CallError::NotSent(error),
        SendError::BrokenRegion(breach) => CallError::BrokenRegion(breach),
        SendError::Os(error) => CallError::System(error),
    }
}

fn receive_error(error: ReceiveError, asked: u64) -> CallError {
    match error {
        ReceiveError::TimedOut => CallError::TimedOut,
        ReceiveError::Aborted => CallError::Aborted,
        ReceiveError::Closed | ReceiveError::BrokenOff | ReceiveError::Ended => CallError::PeerGone,
        ReceiveError::ChunkGap => CallError::BrokenOff,
        ReceiveError::AboveLimit { error, .. } | ReceiveError::Violation(error) => {
            CallError::Malformed(error)
        }
        ReceiveError::BrokenRegion(breach) => CallError::BrokenRegion(breach),
        ReceiveError::UnknownId { message_id: answered } => {
            CallError::Mismatch(Mismatch::MessageId { asked, answered })
        }
        ReceiveError::TooLarge(error) => CallError::AnswerTooLarge(error),
        ReceiveError::Os(error) => CallError::System(error),
    }
}

/// How the session ended, as the decision to send again wants to know it. What is no loss of the
/// peer is never sent again.
const fn loss_of(error: &CallError) -> Loss {
    match error {
        CallError::PeerGone => Loss::PeerGone,
        CallError::TimedOut => Loss::Timeout,
        CallError::Aborted => Loss::Abort,
        _ => Loss::Violation,
    }
}

/// What a call reports that could not replace its session: its own end, where that was the cause.
fn no_session(call: &LogicalCall, error: ConnectError) -> CallError {
    match error {
        ConnectError::Aborted | ConnectError::Endpoint(SysConnectError::Aborted) => {
            CallError::Aborted
        }
        ConnectError::TimedOut | ConnectError::Endpoint(SysConnectError::TimedOut)
            if call.deadline.has_passed() =>
        {
            CallError::TimedOut
        }
        error => CallError::Reconnect(error),
    }
}

/// Where buffers of requests start, in bytes.
const FIRST_BUFFER_BYTES: usize = 1024;
