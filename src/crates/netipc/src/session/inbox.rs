//! Where messages of a session arrive.
use crate::Message;
use std::time::Instant;

/// Room for one packet, of any session: it grows as needed and is kept.
#[derive(Debug, Default)]
pub struct PacketBuffer(#[allow(dead_code)] Vec<u8>);

/// What arrives on one session: a message in the making, and room for a packet.
#[derive(Debug)]
pub struct Inbox(());

impl Inbox {
    /// The message that was received last; `None` once the next is begun.
    #[must_use]
    pub fn message(&self) -> Option<Message<'_>> {
        todo!()
    }

    /// When the last packet of an unfinished message came; `None` when none is in the making. After
    /// [`CHUNK_GAP_TIMEOUT`](super::CHUNK_GAP_TIMEOUT) the session must end.
    #[must_use]
    pub fn partial_since(&self) -> Option<Instant> {
        todo!()
    }

    /// Exchanges the packet buffer, so that a thread that serves many sessions lends each the same
    /// one: an idle session then holds none. The last message may lie in it: it is gone.
    pub fn exchange_buffer(&mut self, _buffer: &mut PacketBuffer) {
        todo!()
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        todo!()
    }

    /// Gives memory back. Keeps an unfinished message.
    pub fn release(&mut self) {
        todo!()
    }
}
