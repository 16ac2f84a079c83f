//! Profiles: the ways in which two peers can move messages after the handshake (spec section 4).
//!
//! Which of them a platform has is data here, not `cfg`: the rules of every platform are tested on
//! every platform.

use core::fmt;
use core::ops::{BitAnd, BitOr};

/// A set of profiles, as bits. Bits that this version does not know are carried and never selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Profiles(pub u32);

impl Profiles {
    /// No profile.
    pub const NONE: Self = Self(0);
    /// The socket or pipe on which the handshake travels; always there.
    pub const BASELINE: Self = Self(0x01);
    /// Shared memory, waiting in the kernel.
    pub const SHM_HYBRID: Self = Self(0x02);
    /// Windows: shared memory, never waiting in the kernel. On POSIX reserved: peers in the field
    /// offer it and mean [`Profiles::SHM_HYBRID`].
    pub const SHM_BUSYWAIT: Self = Self(0x04);
    /// Reserved on every platform.
    pub const RESERVED: Self = Self(0x08);
    /// Extension: bits that are ours; a peer that lacks them never selects them.
    pub const EXTENSIONS: Self = Self(!0x0F);
    /// Those that need a shared region.
    pub const SHARED_MEMORY: Self = Self(0x02 | 0x04);

    /// Whether there is no profile in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every profile of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without the profiles of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The highest bit of the set.
    #[must_use]
    pub const fn highest(self) -> Option<Profile> {
        match self.0.checked_ilog2() {
            Some(bit) => Some(Profile(1 << bit)),
            None => None,
        }
    }

    /// The one profile of a set of exactly one.
    #[must_use]
    pub const fn single(self) -> Option<Profile> {
        if self.0.is_power_of_two() { Some(Profile(self.0)) } else { None }
    }
}

impl BitAnd for Profiles {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Profiles {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The bits in hexadecimal.
impl fmt::Display for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

/// Exactly one profile: that of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile(u32);

impl Profile {
    /// [`Profiles::BASELINE`].
    pub const BASELINE: Self = Self(Profiles::BASELINE.0);
    /// [`Profiles::SHM_HYBRID`].
    pub const SHM_HYBRID: Self = Self(Profiles::SHM_HYBRID.0);
    /// [`Profiles::SHM_BUSYWAIT`].
    pub const SHM_BUSYWAIT: Self = Self(Profiles::SHM_BUSYWAIT.0);

    /// Its bit.
    #[must_use]
    pub const fn bit(self) -> u32 {
        self.0
    }

    /// Whether it needs a shared region.
    #[must_use]
    pub const fn is_shared_memory(self) -> bool {
        self.0 & Profiles::SHARED_MEMORY.0 != 0
    }

    /// What to call it in status and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BASELINE => "baseline",
            Self::SHM_HYBRID => "shm-hybrid",
            Self::SHM_BUSYWAIT => "shm-busywait",
            _ if self.0 & Profiles::EXTENSIONS.0 != 0 => "extension",
            _ => "reserved",
        }
    }
}

impl From<Profile> for Profiles {
    fn from(profile: Profile) -> Self {
        Self(profile.0)
    }
}

/// Which profiles a platform may offer or select at all (spec section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// What may be offered or selected.
    pub valid: Profiles,
}

impl Platform {
    /// Any Unix with seqpacket sockets. Shared memory is for Linux alone; elsewhere use
    /// [`Platform::POSIX_BASELINE`].
    pub const POSIX: Self = Self { valid: Profiles(0x01 | 0x02) };
    /// A Unix without the shared-memory transport.
    pub const POSIX_BASELINE: Self = Self { valid: Profiles::BASELINE };
    /// Windows.
    pub const WINDOWS: Self = Self { valid: Profiles(0x01 | 0x02 | 0x04) };

    /// The profiles to offer or support, from a configured set: zero means the baseline alone, the
    /// baseline is always there, and what the platform does not have is left out.
    #[must_use]
    pub fn supported(self, configured: Profiles) -> Profiles {
        (configured & self.valid) | Profiles::BASELINE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_bit_and_the_single_bit() {
        assert_eq!(Profiles::NONE.highest(), None);
        assert_eq!(Profiles(0x13).highest().map(Profile::bit), Some(0x10));
        assert_eq!(Profiles(u32::MAX).highest().map(Profile::bit), Some(1 << 31));
        assert_eq!(Profiles(4).single(), Some(Profile::SHM_BUSYWAIT));
        assert_eq!(Profiles(6).single(), None);
        assert_eq!(Profiles::NONE.single(), None);
    }

    #[test]
    fn posix_never_offers_the_bit_that_peers_treat_as_shm_hybrid() {
        assert_eq!(Platform::POSIX.supported(Profiles(u32::MAX)), Profiles(0x03));
        assert_eq!(Platform::WINDOWS.supported(Profiles(u32::MAX)), Profiles(0x07));
        assert_eq!(Platform::POSIX_BASELINE.supported(Profiles(u32::MAX)), Profiles(0x01));
    }

    #[test]
    fn zero_means_the_baseline_and_it_is_always_there() {
        assert_eq!(Platform::POSIX.supported(Profiles::NONE), Profiles::BASELINE);
        assert_eq!(Platform::POSIX.supported(Profiles::SHM_HYBRID), Profiles(0x03));
    }
}
