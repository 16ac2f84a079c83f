//! Waiting for a peer to leave after a final answer.
use super::Session;
pub use netipc_sys::Drained;
use netipc_sys::SysError;

/// For a readiness loop: takes what a peer still sends after a final answer, until it leaves.
#[derive(Debug)]
pub struct Drain;

impl Drain {
    /// Begins: tells the peer that no more comes.
    #[must_use]
    pub fn begin(_session: &Session) -> Self {
        todo!()
    }

    /// Takes what is there now. `Some` when the session may be dropped. Call it when the session is
    /// readable, and once the deadline of the caller's own has passed drop the session.
    pub fn advance(&mut self, _session: &Session) -> Result<Option<Drained>, SysError> {
        todo!()
    }
}
