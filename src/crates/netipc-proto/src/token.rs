//! The convention by which agents give all their plugins one token (spec section 4).
//!
//! The library takes a number; this is a helper for those who have a session UUID. Finding the
//! UUID (an environment variable, a file) is not done here.

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a UUID: 32 hexadecimal digits are needed, alone or in groups of 8-4-4-4-12")]
pub struct NotAUuid;

/// The auth token of a session UUID: XXH3-64, seed 0, of its 16 bytes in textual order.
#[must_use]
pub fn token_from_session_uuid(uuid: &[u8; UUID_LEN]) -> u64 {
    xxh3_64(uuid)
}

/// The 16 bytes of a UUID, in textual order: the first digit written is the high half of the first
/// byte. Digits may be of either case; hyphens stand in their usual four places, or nowhere.
/// Nothing is trimmed.
///
/// # Errors
/// [`NotAUuid`] for anything else.
pub fn parse_uuid(text: &str) -> Result<[u8; UUID_LEN], NotAUuid> {
    let hyphenated = match text.len() {
        HYPHENATED_LEN => true,
        PLAIN_LEN => false,
        _ => return Err(NotAUuid),
    };
    let mut uuid = [0; UUID_LEN];
    let mut digits = 0;
    for (at, byte) in text.bytes().enumerate() {
        if hyphenated && HYPHENS.contains(&at) {
            if byte != b'-' {
                return Err(NotAUuid);
            }
            continue;
        }
        let digit = char::from(byte).to_digit(16).ok_or(NotAUuid)? as u8;
        let place: &mut u8 = uuid.get_mut(digits / 2).ok_or(NotAUuid)?;
        *place = *place << 4 | digit;
        digits += 1;
    }
    Ok(uuid)
}

/// Length of a UUID, in bytes.
const UUID_LEN: usize = 16;
/// Length of its text without hyphens.
const PLAIN_LEN: usize = 32;
/// Length of its text with hyphens.
const HYPHENATED_LEN: usize = 36;
/// Where the hyphens stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] = [
        0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30,
        0xc8,
    ];

    #[test]
    fn a_uuid_is_read_in_textual_order_with_or_without_hyphens() {
        for text in [
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
            "6ba7b8109dad11d180b400c04fd430c8",
        ] {
            assert_eq!(parse_uuid(text), Ok(BYTES));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "6ba7b810-9dad-11d1-80b4-00c04fd430c",
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8\n",
            "6ba7b8109-dad-11d1-80b4-00c04fd430c8",
            "6ba7b810-9dad-11d1-80b4-00c04fd430cg",
            "6ba7b810+9dad-11d1-80b4-00c04fd430c8",
            "6ba7b8109dad11d180b400c04fd430-8",
            "{6ba7b810-9dad-11d1-80b4-00c04fd43}",
            "6ba7b8109dad11d180b400c04fd430é",
        ] {
            assert_eq!(parse_uuid(text), Err(NotAUuid), "{text}");
        }
    }
}
