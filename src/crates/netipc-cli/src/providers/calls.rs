//! The services that know nothing of the host: for tests, and to measure with.

use netipc::codec::BuildError;
use netipc_services::{increment, string_reverse};

/// The number plus one; the greatest is followed by 0.
pub(super) fn increment(
    request: &increment::RequestView<'_>,
    response: increment::ResponseBuilder<'_>,
) -> Result<usize, BuildError> {
    response.value(request.value().wrapping_add(1)).finish()
}

/// The bytes, the last first.
pub(super) fn string_reverse(
    request: &string_reverse::RequestView<'_>,
    response: string_reverse::ResponseBuilder<'_>,
) -> Result<usize, BuildError> {
    let reversed: Vec<u8> = request.bytes().iter().rev().copied().collect();
    response.bytes(&reversed).finish()
}
