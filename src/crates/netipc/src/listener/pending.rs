//! Connections that are not sessions yet: what to hear from them, what to tell them, and when their
//! time is up (spec section 4).

use std::io::IoSlice;
use std::time::Duration;

use netipc_proto::hello::MAX_HANDSHAKE_MESSAGE_LEN;
use netipc_proto::negotiate::{
    DEFAULT_PAYLOAD_BYTES, Peer, Policy, Rejection, negotiate, or_default,
};
use netipc_sys::{Deadline, PacketChannel, PeerIdentity, RecvError, SpinLimit, TrySend};

use super::config::{ListenerConfig, ResponseLimit};
use super::regions::{Prepared, Regions};
use crate::session::{Agreement, Drain, ReadyRegion, Role, packet_size};
use crate::{Endpoint, PLATFORM};

/// How long a client that was refused may take to read that and leave.
const REFUSAL_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// What it may send meanwhile, in bytes: more than that it never waited for HELLO_ACK.
const REFUSAL_DRAIN_BYTES: usize = 64 << 10;

/// What this server offers and demands.
#[derive(Debug)]
pub(super) struct Rules {
    /// All but the response limit and the packet size, which are of the moment and of the socket.
    policy: Policy,
    configured_packet_size: u32,
    /// The users that are admitted; `None` for this process's own and root.
    uids: Option<Vec<u32>>,
    pub(super) response_limit: ResponseLimit,
    pub(super) handshake_timeout: Duration,
    pub(super) regions: Regions,
    spin_limit: SpinLimit,
}

/// What hearing a client came to.
#[derive(Debug)]
pub(super) enum Step {
    /// Its HELLO is not there yet.
    Wait,
    /// It is to be told, and drained.
    Refused(Rejection),
    /// It left, or cannot be spoken to.
    Gone,
    /// It has been told, and the channel is a session, with a region if that was agreed.
    Agreed(Agreement, Option<ReadyRegion>),
}

impl Rules {
    pub(super) fn new(config: &ListenerConfig, endpoint: &Endpoint) -> Self {
        let supported = PLATFORM.supported(config.supported_profiles);
        let response_payload_bytes =
            or_default(config.response_payload_bytes, DEFAULT_PAYLOAD_BYTES);
        let policy = Policy {
            supported,
            preferred: config.preferred_profiles & supported,
            max_request_payload_bytes: or_default(
                config.max_request_payload_bytes,
                DEFAULT_PAYLOAD_BYTES,
            ),
            response_payload_bytes,
            auth_token: config.auth_token,
            packet_size: config.packet_size,
        };
        Self {
            policy,
            configured_packet_size: config.packet_size,
            uids: config.access.uids.clone(),
            response_limit: ResponseLimit::new(response_payload_bytes),
            handshake_timeout: config.handshake_timeout(),
            regions: Regions::new(endpoint, config.auth_token, config.max_region_bytes()),
            spin_limit: config.spin_limit,
        }
    }

    fn admits(&self, peer: &PeerIdentity) -> bool {
        match &self.uids {
            Some(uids) => uids.contains(&peer.uid),
            None => peer.is_own_or_privileged(),
        }
    }
}

/// Asked at the moment of a decision: one that was true a moment ago may cost somebody a session.
pub(super) type SessionFree<'f> = &'f mut dyn FnMut() -> bool;

/// Hears what a client has to say, if it is there, and tells it when it has a session, of this
/// number or a later one. A refusal is the caller's to tell.
pub(super) fn hear(
    channel: &PacketChannel,
    rules: &Rules,
    session_free: SessionFree<'_>,
    session_id: u64,
) -> Step {
    // One byte more than is allowed shows a longer HELLO.
    let mut hello = [0; MAX_HANDSHAKE_MESSAGE_LEN + 1];
    let len = match channel.try_recv(&mut hello) {
        Ok(None) => return Step::Wait,
        Ok(Some(len)) => len,
        Err(RecvError::TooLong { max, .. }) => max,
        Err(_) => return Step::Gone,
    };
    let (Ok(peer), Ok(packet_size)) =
        (channel.peer(), packet_size(channel, rules.configured_packet_size))
    else {
        return Step::Gone;
    };
    let policy =
        Policy { response_payload_bytes: rules.response_limit.get(), packet_size, ..rules.policy };
    let known = Peer {
        admitted: rules.admits(&peer),
        can_open_regions: peer.is_own_or_privileged(),
        session_free: true,
    };
    let agreed = match negotiate(hello.get(..len).unwrap_or_default(), &policy, &known) {
        Ok(agreed) => agreed,
        Err(rejection) => return Step::Refused(rejection),
    };
    // Asked last, as spec section 4 has it: the answer may cost a look at all sessions, which
    // clients that have no right to one should not cause.
    if !session_free() {
        return Step::Refused(Rejection::SessionsTaken);
    }
    let Prepared { agreed, session_id, region } = match rules.regions.prepare(agreed, session_id) {
        Ok(prepared) => prepared,
        Err(rejection) => return Step::Refused(rejection),
    };
    if !tell(channel, &agreed.message(session_id)) {
        return Step::Gone;
    }
    let agreement = Agreement {
        role: Role::Server,
        terms: *agreed.terms(),
        session_id,
        server_supported: rules.policy.supported,
        peer,
        ceiling_bytes: agreed.terms().request.payload_bytes,
        spin_limit: rules.spin_limit,
    };
    Step::Agreed(agreement, region)
}

/// Tells a client why it has no session.
pub(super) fn tell_refusal(channel: &PacketChannel, rejection: &Rejection) {
    // One that cannot be told has left.
    let _told = tell(channel, &rejection.message());
}

/// Sends a handshake message. Nothing was sent before it, so there is room.
fn tell(channel: &PacketChannel, message: &[u8]) -> bool {
    channel.try_send(&[IoSlice::new(message)]) == Ok(TrySend::Sent)
}

/// A connection that is not a session yet, or never will be.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) channel: PacketChannel,
    /// Once it was refused.
    pub(super) drain: Option<Drain>,
    deadline: Deadline,
}

impl Pending {
    /// Its HELLO is waited for.
    pub(super) fn waiting(channel: PacketChannel, timeout: Duration) -> Self {
        Self { channel, drain: None, deadline: Deadline::after(timeout) }
    }

    /// It was refused.
    pub(super) fn refused(channel: PacketChannel) -> Self {
        let mut pending = Self { channel, drain: None, deadline: Deadline::never() };
        pending.begin_drain();
        pending
    }

    pub(super) fn begin_drain(&mut self) {
        self.drain = Some(Drain::of(&self.channel, REFUSAL_DRAIN_BYTES));
        self.deadline = Deadline::after(REFUSAL_DRAIN_TIMEOUT);
    }
}

/// All pending connections, by their number in the wait set.
#[derive(Debug)]
pub(super) struct Pendings {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    max: usize,
    /// When the next of them may have expired: never late, perhaps early.
    next_deadline: Deadline,
    arrivals: u64,
}

#[derive(Debug)]
struct Slot {
    pending: Pending,
    arrival: u64,
}

impl Pendings {
    pub(super) const fn new(max: usize) -> Self {
        let next_deadline = Deadline::never();
        Self { slots: Vec::new(), free: Vec::new(), max, next_deadline, arrivals: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len() >= self.max
    }

    pub(super) const fn next_deadline(&self) -> Deadline {
        self.next_deadline
    }

    /// Its number; `None` when there are too many.
    pub(super) fn insert(&mut self, pending: Pending) -> Option<u64> {
        if self.is_full() {
            return None;
        }
        self.next_deadline = self.next_deadline.earlier(pending.deadline);
        self.arrivals += 1;
        let slot = Some(Slot { pending, arrival: self.arrivals });
        let index = match self.free.pop() {
            Some(index) => {
                *self.slots.get_mut(index)? = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        Some(token_of(index))
    }

    pub(super) fn get_mut(&mut self, token: u64) -> Option<&mut Pending> {
        let slot = self.slots.get_mut(index_of(token)?)?.as_mut()?;
        Some(&mut slot.pending)
    }

    pub(super) fn remove(&mut self, token: u64) -> Option<Pending> {
        let index = index_of(token)?;
        let slot = self.slots.get_mut(index)?.take()?;
        self.free.push(index);
        if self.len() == 0 {
            self.next_deadline = Deadline::never();
        }
        Some(slot.pending)
    }

    /// Its deadline is another now.
    pub(super) fn changed(&mut self, token: u64) {
        if let Some(pending) = self.get_mut(token) {
            let deadline = pending.deadline;
            self.next_deadline = self.next_deadline.earlier(deadline);
        }
    }

    /// The one that came first.
    pub(super) fn oldest(&self) -> Option<u64> {
        let taken = self.taken().min_by_key(|(_, slot)| slot.arrival)?;
        Some(token_of(taken.0))
    }

    /// One whose time is up, and whether it had been refused before.
    pub(super) fn expired(&mut self) -> Option<(u64, bool)> {
        if !self.next_deadline.has_passed() {
            return None;
        }
        let expired = self
            .taken()
            .find(|(_, slot)| slot.pending.deadline.has_passed())
            .map(|(index, slot)| (token_of(index), slot.pending.drain.is_some()));
        if expired.is_none() {
            self.next_deadline = self
                .taken()
                .fold(Deadline::never(), |next, (_, slot)| next.earlier(slot.pending.deadline));
        }
        expired
    }

    fn taken(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.as_ref()?)))
    }
}

/// Tokens start after the listening socket's.
const fn token_of(index: usize) -> u64 {
    index as u64 + 1
}

fn index_of(token: u64) -> Option<usize> {
    usize::try_from(token.checked_sub(1)?).ok()
}
