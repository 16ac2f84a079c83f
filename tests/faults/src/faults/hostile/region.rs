//! A region as a hostile peer has it (spec section 7), at either end: its file, in which any byte is the peer's to
//! write, and its header's words, by which it wakes the other end and is woken.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use netipc_bench::Failure;
use netipc_sys::raw::SharedHeader;
use rustix::event::Timespec;
use rustix::thread::futex;

use super::fields::{Field, Reaction};
use super::raw::{PATIENCE, Raw, RawSession, Seen, told};
use super::wire::{self, HEADER_BYTES, Offer};

/// Where things are in a region's header.
pub(crate) const REGION_HEADER_BYTES: usize = 64;
const MAGIC: u32 = 0x4e53_484d;
const VERSION: u16 = 3;
const REQUEST_OFFSET: u64 = 16;
const RESPONSE_OFFSET: u64 = 24;
const REQ_SEQ: u64 = 32;
const RESP_SEQ: u64 = 40;
const REQ_LEN: u64 = 48;
const RESP_LEN: u64 = 52;
/// The words that are slept on, counted from the header's first.
const REQ_SIGNAL_WORD: usize = 14;
const RESP_SIGNAL_WORD: usize = 15;
/// Areas are so aligned.
const AREA_ALIGNMENT: usize = 64;
/// How long a wait does not look at the socket.
const SLICE: Duration = Duration::from_millis(2);

/// A region, seen from one of its ends.
#[derive(Debug)]
pub(crate) struct RawRegion {
    pub(crate) file: File,
    words: SharedHeader,
    out: Lane,
    back: Lane,
    /// Whether one message may be over another by when this end looks: it has not waited for the former.
    has_hurried: bool,
}

/// One direction.
#[derive(Clone, Copy, Debug)]
struct Lane {
    seq_at: u64,
    len_at: u64,
    signal: usize,
    area_at: u64,
    /// Messages so far.
    count: u64,
}

/// Where the region of a session is (spec section 5).
pub(crate) fn path_of(run_dir: &Path, service: &str, session_id: u64) -> PathBuf {
    run_dir.join(format!("{service}-{session_id:016x}.ipcshm"))
}

/// The header of a region with these areas, and the bytes of its file.
pub(crate) fn good_header(request_bytes: u32, response_bytes: u32) -> (Vec<u8>, usize) {
    let capacity = |bytes: u32| (HEADER_BYTES + bytes as usize).next_multiple_of(AREA_ALIGNMENT);
    let (request, response) = (capacity(request_bytes), capacity(response_bytes));
    let mut header = Vec::with_capacity(REGION_HEADER_BYTES);
    header.extend(MAGIC.to_ne_bytes());
    header.extend(VERSION.to_ne_bytes());
    header.extend((REGION_HEADER_BYTES as u16).to_ne_bytes());
    header.extend(std::process::id().to_ne_bytes());
    let words = [1, REGION_HEADER_BYTES, request, REGION_HEADER_BYTES + request, response];
    for word in words {
        header.extend((word as u32).to_ne_bytes());
    }
    header.resize(REGION_HEADER_BYTES, 0);
    (header, REGION_HEADER_BYTES + request + response)
}

impl RawRegion {
    /// Makes a region for a client to attach to: whatever `header` says.
    pub(crate) fn create(path: &Path, header: &[u8], file_bytes: usize) -> Result<Self, Failure> {
        const MODE: u32 = 0o600;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(MODE).open(path)?;
        file.set_len(file_bytes as u64)?;
        file.write_all_at(header, 0)?;
        Self::of(path, file, false)
    }

    /// Attaches to a server's.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Self::of(path, file, true)
    }

    fn of(path: &Path, file: File, is_client: bool) -> Result<Self, Failure> {
        let words = SharedHeader::open(path)?;
        let requests = Lane {
            seq_at: REQ_SEQ,
            len_at: REQ_LEN,
            signal: REQ_SIGNAL_WORD,
            area_at: u64::from(u32_at(&file, REQUEST_OFFSET)?),
            count: u64_at(&file, REQ_SEQ)?,
        };
        let responses = Lane {
            seq_at: RESP_SEQ,
            len_at: RESP_LEN,
            signal: RESP_SIGNAL_WORD,
            area_at: u64::from(u32_at(&file, RESPONSE_OFFSET)?),
            count: u64_at(&file, RESP_SEQ)?,
        };
        let (out, back) = if is_client { (requests, responses) } else { (responses, requests) };
        Ok(Self { file, words, out, back, has_hurried: false })
    }

    /// The number of the message that is published next.
    pub(crate) const fn next_seq(&self) -> u64 {
        self.out.count.wrapping_add(1)
    }

    /// Publishes a message, after which another comes before its answer.
    pub(crate) fn publish_in_haste(&mut self, message: &[u8]) -> Result<(), Failure> {
        self.has_hurried = true;
        self.publish(message)
    }

    /// Publishes a message as it must be.
    pub(crate) fn publish(&mut self, message: &[u8]) -> Result<(), Failure> {
        self.publish_as(message, message.len() as u32, self.next_seq())
    }

    /// Publishes bytes with any length and number.
    pub(crate) fn publish_as(&mut self, bytes: &[u8], len: u32, seq: u64) -> Result<(), Failure> {
        self.file.write_all_at(bytes, self.out.area_at)?;
        self.file.write_all_at(&len.to_ne_bytes(), self.out.len_at)?;
        self.file.write_all_at(&seq.to_ne_bytes(), self.out.seq_at)?;
        self.out.count = self.out.count.wrapping_add(1);
        self.wake();
        Ok(())
    }

    /// Writes the front of a message, and has the other end look, without publishing it.
    pub(crate) fn begin(&self, front: &[u8], len: u32) -> Result<(), Failure> {
        self.file.write_all_at(front, self.out.area_at)?;
        self.file.write_all_at(&len.to_ne_bytes(), self.out.len_at)?;
        self.wake();
        Ok(())
    }

    /// Writes a value into a field of the header.
    pub(crate) fn lie(&self, field: &Field, value: u64) -> Result<(), Failure> {
        let (mut whole, at) = ([0; 8], field.at as u64);
        match field.bytes {
            2 => whole[..2].copy_from_slice(&(value as u16).to_ne_bytes()),
            4 => whole[..4].copy_from_slice(&(value as u32).to_ne_bytes()),
            _ => whole.copy_from_slice(&value.to_ne_bytes()),
        }
        Ok(self.file.write_all_at(&whole[..field.bytes], at)?)
    }

    /// Has the other end look.
    pub(crate) fn wake(&self) {
        let word = &self.words[self.out.signal];
        // For the sleeper, who looks at the number before it sleeps, and by system calls; here nothing
        // depends on the order.
        word.fetch_add(1, Ordering::Release);
        let _woken = futex::wake(word, futex::Flags::empty(), 1);
    }

    /// What the other end publishes next, or how the session ended.
    pub(crate) fn recv(&mut self, socket: &Raw) -> Result<Seen, Failure> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            // With this value, what is looked at below is at least as new: the publisher's last step.
            let heard = self.words[self.back.signal].load(Ordering::Acquire);
            if let Some(message) = self.take()? {
                return Ok(Seen::Packet(message));
            }
            match socket.recv_within(Duration::ZERO)? {
                // What was published before the end comes before it.
                Seen::Closed => return Ok(self.take()?.map_or(Seen::Closed, Seen::Packet)),
                Seen::Packet(packet) => {
                    let packet = told(&Seen::Packet(packet));
                    return Err(format!("{packet} over the socket of shared memory").into());
                }
                Seen::Silence => {}
            }
            let most = Timespec { tv_sec: 0, tv_nsec: i64::from(SLICE.subsec_nanos()) };
            // Whatever ended it, it is looked at again.
            let word = &self.words[self.back.signal];
            let _ended = futex::wait(word, futex::Flags::empty(), heard, Some(&most));
        }
        Ok(Seen::Silence)
    }

    fn take(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let (seq, next) = (u64_at(&self.file, self.back.seq_at)?, self.back.count.wrapping_add(1));
        if seq != next && !(self.has_hurried && seq == next.wrapping_add(1)) {
            return Ok(None);
        }
        self.back.count = seq;
        let len = u32_at(&self.file, self.back.len_at)? as usize;
        let mut message = vec![0; len];
        self.file.read_exact_at(&mut message, self.back.area_at)?;
        Ok(Some(message))
    }
}

/// A session over shared memory of a hostile client.
#[derive(Debug)]
pub(crate) struct RegionSession {
    pub(crate) session: RawSession,
    pub(crate) region: RawRegion,
}

impl RegionSession {
    pub(crate) fn open(
        socket: &Path,
        run_dir: &Path,
        service: &str,
        offer: Offer,
    ) -> Result<Self, Failure> {
        let offer = Offer { supported: wire::BASELINE | wire::SHARED_MEMORY, ..offer };
        let session = RawSession::open(socket, &offer)?;
        if session.granted.selected != wire::SHARED_MEMORY {
            return Err(format!("a session of profile {}", session.granted.selected).into());
        }
        Self::attach(session, run_dir, service)
    }

    /// The same of one that was agreed on already, over shared memory.
    pub(crate) fn attach(
        session: RawSession,
        run_dir: &Path,
        service: &str,
    ) -> Result<Self, Failure> {
        let path = path_of(run_dir, service, session.granted.session_id);
        Ok(Self { session, region: RawRegion::open(&path)? })
    }

    /// What the server publishes next, or how the session ended.
    pub(crate) fn recv(&mut self) -> Result<Seen, Failure> {
        self.region.recv(&self.session.raw)
    }

    /// A request is served.
    pub(crate) fn must_serve(&mut self, id: u64, text: &[u8]) -> Result<(), Failure> {
        match self.recv()? {
            Seen::Packet(message) if message == wire::response(id, text) => Ok(()),
            seen => Err(format!("{} in place of the answer to {id}", told(&seen)).into()),
        }
    }

    /// That the server reacts so to what was published last.
    pub(crate) fn must_react(
        &mut self,
        reaction: Reaction,
        id: u64,
        text: &[u8],
    ) -> Result<(), Failure> {
        let seen = self.recv()?;
        let status = match &seen {
            Seen::Packet(message) => wire::status_of(message),
            _ => None,
        };
        let is_right = match (reaction, &seen) {
            (Reaction::Close | Reaction::End | Reaction::RefuseOrClose(_), Seen::Closed) => true,
            (Reaction::Refuse(right) | Reaction::RefuseOrClose(right), Seen::Packet(_)) => {
                return if status == Some(right) {
                    self.session.raw.must_close()
                } else {
                    Err(format!("{} in place of {right:?}", told(&seen)).into())
                };
            }
            (Reaction::Decline(right), Seen::Packet(_)) if status == Some(right) => {
                let next = id.wrapping_add(1);
                self.region.publish(&wire::request(next, text))?;
                return self.must_serve(next, text);
            }
            (Reaction::Serve, Seen::Packet(message)) => *message == wire::response(id, text),
            (Reaction::Answer, Seen::Packet(message)) => wire::id_of(message) == id,
            (Reaction::Any, Seen::Packet(_) | Seen::Closed) => true,
            _ => false,
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("{} in place of {reaction:?}", told(&seen)).into())
        }
    }
}

fn u32_at(file: &File, at: u64) -> Result<u32, Failure> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u32::from_ne_bytes(bytes))
}

fn u64_at(file: &File, at: u64) -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u64::from_ne_bytes(bytes))
}
