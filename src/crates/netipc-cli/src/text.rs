//! Texts of the wire are bytes (any but NUL): how they are shown, and how they pass through JSON.
//!
//! For people, what is not UTF-8 and what would steer a terminal is escaped: providers are not
//! trusted. For programs nothing is lost: a text that is UTF-8 is a JSON string; any other is an
//! object `{"hex": "…"}` of its bytes, which no string can be taken for.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// For people: on one line, without control characters.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                _ if is_harmless(character) => out.push(character),
                _ => out.extend(character.escape_default()),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// For programs, without loss.
pub(crate) fn json(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "hex": hex(bytes) }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Neither a control character nor one that reorders the text around it.
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_see_is_one_line_that_steers_nothing() {
        for (bytes, shown) in [
            (&b"/docker/ab"[..], "/docker/ab"),
            ("größe".as_bytes(), "größe"),
            (b"a\nb\x1b[31m", "a\\nb\\u{1b}[31m"),
            (b"\xff/\xc3", "\\xff/\\xc3"),
            (b"a\\xff", "a\\\\xff"),
            ("a\u{202e}b".as_bytes(), "a\\u{202e}b"),
        ] {
            assert_eq!(printable(bytes), shown);
        }
    }

    #[test]
    fn json_tells_every_text_from_every_other() {
        assert_eq!(json(b"/a\n"), json!("/a\n"));
        assert_eq!(json(b"/\xff"), json!({ "hex": "2fff" }));
        assert_eq!(json(b"{\"hex\": \"2fff\"}"), json!("{\"hex\": \"2fff\"}"));
    }
}
