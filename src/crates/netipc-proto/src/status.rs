//! What a message says about its own envelope: `transport_status` (spec section 1).
//!
//! It never speaks of business outcomes: "not found" lives in a payload.

use core::fmt;

/// `transport_status` of a message header, an open set: values that this version does not know are
/// carried as they are (spec section 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Status {
    /// The envelope was understood and the payload is the answer. Always this in requests.
    pub const OK: Self = Self(0);
    /// The header, or the payload of a request, does not decode.
    pub const BAD_ENVELOPE: Self = Self(1);
    /// The peer's user is not admitted, or its token differs.
    pub const AUTH_FAILED: Self = Self(2);
    /// The peers have no version, layout or packet size in common.
    pub const INCOMPATIBLE: Self = Self(3);
    /// No profile in common, or a method that this endpoint does not serve.
    pub const UNSUPPORTED: Self = Self(4);
    /// A request or its answer is above an agreed limit.
    pub const LIMIT_EXCEEDED: Self = Self(5);
    /// The handler failed.
    pub const INTERNAL_ERROR: Self = Self(6);
    /// In HELLO_ACK: the server has all the sessions that it may have; try later. An extension:
    /// peers that lack it take it as any other refusal.
    pub const BUSY: Self = Self(0x0100);

    /// True for [`Status::OK`].
    #[inline]
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == Self::OK.0
    }

    /// Whether a session goes on after an answer with this status: both ends close it after any
    /// other (spec section 11).
    #[inline]
    #[must_use]
    pub const fn keeps_session(self) -> bool {
        matches!(self, Self::OK | Self::UNSUPPORTED)
    }

    /// The name that the contract gives this value; `None` for values that this version does not
    /// know.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::OK => "OK",
            Self::BAD_ENVELOPE => "BAD_ENVELOPE",
            Self::AUTH_FAILED => "AUTH_FAILED",
            Self::INCOMPATIBLE => "INCOMPATIBLE",
            Self::UNSUPPORTED => "UNSUPPORTED",
            Self::LIMIT_EXCEEDED => "LIMIT_EXCEEDED",
            Self::INTERNAL_ERROR => "INTERNAL_ERROR",
            Self::BUSY => "BUSY",
            _ => return None,
        })
    }
}

/// The contract's name, or the number of a status that this version does not know.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "status {:#06x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn names_are_the_contracts_and_unknown_values_show_their_number() {
        let names: [(u16, &str); 8] = [
            (0, "OK"),
            (1, "BAD_ENVELOPE"),
            (2, "AUTH_FAILED"),
            (3, "INCOMPATIBLE"),
            (4, "UNSUPPORTED"),
            (5, "LIMIT_EXCEEDED"),
            (6, "INTERNAL_ERROR"),
            (0x0100, "BUSY"),
        ];
        for (value, name) in names {
            assert_eq!(Status(value).to_string(), name);
        }
        assert_eq!(Status(7).name(), None);
        assert_eq!(Status(7).to_string(), "status 0x0007");
    }

    #[test]
    fn only_ok_and_unsupported_keep_a_session() {
        for value in (0..=6).chain([0x0100, 0xFFFF]) {
            let kept = value == 0 || value == 4;
            assert_eq!(Status(value).keeps_session(), kept, "{value}");
        }
    }
}
