//! The hostile peer's sockets: packets go out as they are, and what comes back is told as it was seen.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use netipc_bench::Failure;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, accept_with, bind, connect, listen, recv, send, sendmsg, socket_with,
};

use super::fields::Reaction;
use super::wire::{self, Granted, Offer, Status};

/// What the other end may take for any answer of its own: far above every deadline under test, so that who
/// exceeds it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than any packet.
const BUFFER_BYTES: usize = 1 << 18;

/// What a peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Packet(Vec<u8>),
    Closed,
    /// Nothing, for as long as it was waited for.
    Silence,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Raw {
    socket: OwnedFd,
}

impl Raw {
    pub(crate) fn connect(path: &Path) -> Result<Self, Failure> {
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self { socket })
    }

    /// Sends a packet; false where the peer has left. A peer that reads nothing is waited for no longer than
    /// [`PATIENCE`].
    pub(crate) fn send(&self, packet: &[u8]) -> Result<bool, Failure> {
        Ok(!self.is_gone_within(packet, PATIENCE)?)
    }

    /// Sends a packet with descriptors in it, as many as `descriptors`: whether the peer was there.
    pub(crate) fn send_with(
        &self,
        packet: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<bool, Failure> {
        let mut space =
            vec![MaybeUninit::uninit(); SendAncillaryMessage::ScmRights(descriptors).size()];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err("no room for descriptors".into());
        }
        match sendmsg(&self.socket, &[IoSlice::new(packet)], &mut ancillary, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(true),
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends a packet as soon as there is room, unless the peer leaves first: whether it has. One that does
    /// neither within that time hangs.
    pub(crate) fn is_gone_within(&self, packet: &[u8], within: Duration) -> Result<bool, Failure> {
        let end = Instant::now() + within;
        loop {
            match send(&self.socket, packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(_) => return Ok(false),
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return Ok(true),
                Err(Errno::AGAIN) => {
                    if !ready(self.socket.as_fd(), PollFlags::OUT, end)? {
                        return Err(format!("it neither reads nor leaves in {within:?}").into());
                    }
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    pub(crate) fn recv(&self) -> Result<Seen, Failure> {
        self.recv_within(PATIENCE)
    }

    /// The next packet, or how the connection ended.
    pub(crate) fn recv_within(&self, within: Duration) -> Result<Seen, Failure> {
        let end = Instant::now() + within;
        let mut buffer = vec![0_u8; BUFFER_BYTES];
        loop {
            match recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Ok(Seen::Closed),
                Ok((length, _)) => return Ok(Seen::Packet(buffer[..length].to_vec())),
                // What was queued before comes behind this.
                Err(Errno::CONNRESET | Errno::INTR) => {}
                Err(Errno::PIPE | Errno::NOTCONN) => return Ok(Seen::Closed),
                Err(Errno::AGAIN) => {
                    if !ready(self.socket.as_fd(), PollFlags::IN, end)? {
                        return Ok(Seen::Silence);
                    }
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// The right text back, for a request of `id`.
    pub(crate) fn must_serve(&self, id: u64, text: &[u8]) -> Result<(), Failure> {
        match self.recv()? {
            Seen::Packet(packet) if packet == wire::response(id, text) => Ok(()),
            seen => Err(format!("{} in place of the answer to {id}", told(&seen)).into()),
        }
    }

    pub(crate) fn must_close(&self) -> Result<(), Failure> {
        match self.recv()? {
            Seen::Closed => Ok(()),
            seen => Err(format!("{} in place of the end", told(&seen)).into()),
        }
    }

    /// That the peer says `status`, to `id`, with an empty payload where that is not OK (but for HELLO_ACK).
    pub(crate) fn must_say(&self, status: Status) -> Result<(), Failure> {
        match self.recv()? {
            Seen::Packet(packet) if wire::status_of(&packet) == Some(status) => Ok(()),
            seen => Err(format!("{} in place of {status:?}", told(&seen)).into()),
        }
    }

    /// That the peer reacts so to a message with `id`; `text` is what it asked for, if it was a request. The
    /// answer to one that is outstanding may come before, after, or not at all where the session ends.
    pub(crate) fn must_react(
        &self,
        reaction: Reaction,
        id: u64,
        text: &[u8],
        outstanding: Option<u64>,
    ) -> Result<(), Failure> {
        let next = || loop {
            match self.recv()? {
                Seen::Packet(packet)
                    if outstanding.is_some_and(|other| {
                        other == wire::id_of(&packet)
                            && (other != id || reaction == Reaction::Close)
                    }) => {}
                seen => return Ok::<_, Failure>(seen),
            }
        };
        let is_end = |seen: &Seen| *seen == Seen::Closed;
        let says = |seen: &Seen, right| match seen {
            Seen::Packet(packet) => wire::status_of(packet) == Some(right),
            _ => false,
        };
        let seen = next()?;
        let is_right = match reaction {
            Reaction::Close => is_end(&seen),
            Reaction::Refuse(status) => says(&seen, status) && is_end(&next()?),
            Reaction::RefuseOrClose(status) => {
                is_end(&seen) || (says(&seen, status) && is_end(&next()?))
            }
            Reaction::Decline(status) => {
                says(&seen, status) && {
                    let id = id.wrapping_add(1);
                    self.send(&wire::request(id, text))?;
                    next()? == Seen::Packet(wire::response(id, text))
                }
            }
            Reaction::Serve => seen == Seen::Packet(wire::response(id, text)),
            Reaction::Answer => matches!(&seen, Seen::Packet(packet) if wire::id_of(packet) == id),
            Reaction::End => {
                let mut last = seen.clone();
                while matches!(last, Seen::Packet(_)) {
                    last = next()?;
                }
                is_end(&last)
            }
            Reaction::Any => seen != Seen::Silence,
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("{} in place of {reaction:?}", told(&seen)).into())
        }
    }
}

/// What was seen, in words.
pub(crate) fn told(seen: &Seen) -> String {
    match seen {
        Seen::Packet(packet) => {
            let status = wire::status_of(packet);
            let front = &packet[..packet.len().min(wire::HEADER_BYTES)];
            format!("a packet of {} bytes ({status:?}, {front:02x?})", packet.len())
        }
        Seen::Closed => "the end".to_owned(),
        Seen::Silence => format!("nothing in {PATIENCE:?}"),
    }
}

/// A session of a hostile client that was agreed on.
#[derive(Debug)]
pub(crate) struct RawSession {
    pub(crate) raw: Raw,
    pub(crate) granted: Granted,
}

impl RawSession {
    pub(crate) fn open(path: &Path, offer: &Offer) -> Result<Self, Failure> {
        let raw = Raw::connect(path)?;
        raw.send(&offer.hello())?;
        match raw.recv()? {
            Seen::Packet(packet) => {
                let granted = Granted::of_ack(&packet).ok_or_else(|| {
                    format!("{} in place of a session", told(&Seen::Packet(packet)))
                })?;
                Ok(Self { raw, granted })
            }
            seen => Err(format!("{} in place of a session", told(&seen)).into()),
        }
    }
}

/// An endpoint that accepts, and does nothing by itself.
#[derive(Debug)]
pub(crate) struct RawListener {
    socket: OwnedFd,
}

impl RawListener {
    pub(crate) fn bind(path: &Path) -> Result<Self, Failure> {
        const BACKLOG: i32 = 64;
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, BACKLOG)?;
        Ok(Self { socket })
    }

    pub(crate) fn accept(&self) -> Result<Raw, Failure> {
        if !ready(self.socket.as_fd(), PollFlags::IN, Instant::now() + PATIENCE)? {
            return Err("no client came".into());
        }
        Ok(Raw { socket: accept_with(&self.socket, SocketFlags::CLOEXEC)? })
    }

    /// A client, and what it proposes.
    pub(crate) fn greet(&self) -> Result<(Raw, Offer), Failure> {
        let raw = self.accept()?;
        match raw.recv()? {
            Seen::Packet(packet) => {
                let offer = Offer::of_hello(&packet).ok_or("a client's HELLO is none")?;
                Ok((raw, offer))
            }
            seen => Err(format!("{} in place of HELLO", told(&seen)).into()),
        }
    }
}

/// Whether it comes to that before `end`.
fn ready(socket: BorrowedFd<'_>, what: PollFlags, end: Instant) -> Result<bool, Failure> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left =
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::from_borrowed_fd(socket, what)], Some(&left)) {
            Ok(found) => return Ok(found > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
