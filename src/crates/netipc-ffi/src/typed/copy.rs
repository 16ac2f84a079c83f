//! Copies of responses: a payload of one's own, which is read as any payload.

use netipc::codec::{BString, BuildError, DecodeError, Defect};
use netipc::service::{Service, Snapshot};

use crate::boundary::Caller;
use crate::failure::Failure;
use crate::object::Object;
use crate::text::{LabelsIn, nipc_labels_view_t};

/// What a copy keeps.
#[derive(Debug)]
pub(crate) struct Payload(Box<[u8]>);

impl Payload {
    pub(crate) const fn payload(&self) -> &[u8] {
        &self.0
    }
}

/// Fills a vacant copy with the payload of `len` bytes that `encode` writes.
pub(crate) fn make<C: Object<Inner = Payload>>(
    caller: Caller<'_>,
    copy: *mut C,
    len: usize,
    encode: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>,
) -> Result<(), Failure> {
    let place = caller.vacant(copy)?;
    let mut payload = vec![0; len];
    let written = encode(&mut payload)?;
    payload.truncate(written);
    place.fill(Payload(payload.into_boxed_slice()));
    Ok(())
}

/// Labels of the caller's, copied.
pub(crate) fn labels(labels: LabelsIn<'_>) -> Vec<(BString, BString)> {
    labels.map(|(key, value)| (key.into(), value.into())).collect()
}

/// Labels that a view has, copied.
#[allow(dead_code, reason = "for calls that have labels")]
pub(crate) fn labels_of(
    caller: Caller<'_>,
    labels: &nipc_labels_view_t,
) -> Result<Vec<(BString, BString)>, Failure> {
    caller.labels_of(labels, "view")
}

/// A directory of a snapshot may point at one item a million times: copies of each would be longer than
/// any payload. Those that share no byte are no longer than what they lie in.
pub(crate) fn refuse_overlap<S: Snapshot>(
    response: &<S as Service>::Response<'_>,
) -> Result<(), Failure> {
    let items = || S::items(response).raw().map(<[u8]>::as_ptr_range);
    let start = items().map(|item| item.start).min();
    let end = items().map(|item| item.end).max();
    let Some((start, end)) = start.zip(end) else { return Ok(()) };
    let mut left = end.addr() - start.addr();
    for item in items() {
        let at = item.start.addr() - start.addr();
        left = left
            .checked_sub(item.end.addr() - item.start.addr())
            .ok_or_else(|| DecodeError::new(Defect::Overlap, at))?;
    }
    Ok(())
}
