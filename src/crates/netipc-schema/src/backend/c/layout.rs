//! The sizes of structs in C, so that both sides of the boundary can be held to them.
//!
//! Of a 64-bit host alone: there pointers, `size_t` and the largest numbers all take 8 bytes and are
//! aligned to them, whatever the compiler. Elsewhere `repr(C)` says all that there is to say.

/// Bytes of `nipc_str_t`: a pointer and a length.
const TEXT_BYTES: usize = 16;
/// Bytes of a pointer and the count behind it: a list as callers give one.
const LIST_BYTES: usize = 16;
/// Bytes of `nipc_labels_view_t`.
const LABELS_VIEW_BYTES: usize = 24;
/// Bytes of `nipc_elements_t`.
const ELEMENTS_BYTES: usize = 16;
/// Bytes of a word that C does not look into, and what such words are aligned to.
const WORD_BYTES: usize = 8;

/// What a struct holds, in order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Member {
    /// A number of that many bytes, which is also its alignment.
    Number(usize),
    Text,
    List,
    LabelsView,
    Elements,
    /// `size_t`.
    Count,
    /// `uint64_t opaque_[N]`.
    Words(usize),
}

impl Member {
    const fn size(self) -> usize {
        match self {
            Self::Number(bytes) => bytes,
            Self::Text => TEXT_BYTES,
            Self::List => LIST_BYTES,
            Self::LabelsView => LABELS_VIEW_BYTES,
            Self::Elements => ELEMENTS_BYTES,
            Self::Count => WORD_BYTES,
            Self::Words(count) => count * WORD_BYTES,
        }
    }

    const fn align(self) -> usize {
        match self {
            Self::Number(bytes) => bytes,
            _ => WORD_BYTES,
        }
    }
}

/// Bytes of a struct of those members; of one without members, which holds a byte in their place.
pub(super) fn size(members: &[Member]) -> usize {
    let (mut size, mut align) = (0_usize, 1);
    for member in members {
        size = size.next_multiple_of(member.align()) + member.size();
        align = align.max(member.align());
    }
    size.next_multiple_of(align).max(1)
}

#[cfg(test)]
mod tests {
    use super::{Member, size};

    #[test]
    fn structs_are_padded_as_c_pads_them() {
        assert_eq!(size(&[]), 1);
        assert_eq!(size(&[Member::Number(2), Member::Number(1)]), 4);
        assert_eq!(size(&[Member::Number(1), Member::Number(4), Member::Number(1)]), 12);
        assert_eq!(size(&[Member::Number(2), Member::Text]), 24);
        assert_eq!(size(&[Member::Count, Member::Words(3)]), 32);
    }
}
