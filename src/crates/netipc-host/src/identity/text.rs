//! Small readers of the text in cgroup names.

use std::borrow::Cow;

/// Hex digits of a container id in full.
const ID_DIGITS: usize = 64;

/// Hex digits of a container id as people read it.
const SHORT_ID_DIGITS: usize = 12;

/// The text, when it is a container id in full.
pub(super) fn container_id(text: &[u8]) -> Option<&[u8]> {
    (text.len() == ID_DIGITS && text.iter().all(|b| is_hex(*b))).then_some(text)
}

pub(super) fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// `PREFIX-ID` or `PREFIX-ID.scope`, in its two parts.
pub(super) fn prefixed_id(component: &[u8]) -> Option<(&[u8], &[u8])> {
    let component = component.strip_suffix(b".scope").unwrap_or(component);
    let dash = component.iter().rposition(|b| *b == b'-')?;
    Some((component.get(..dash)?, container_id(component.get(dash + 1..)?)?))
}

/// `docker-0123456789ab`.
pub(super) fn short_name(word: &str, id: &[u8]) -> Vec<u8> {
    let short = id.iter().copied().take(SHORT_ID_DIGITS);
    word.bytes().chain(Some(b'-')).chain(short).collect()
}

pub(super) fn between<'t>(text: &'t [u8], before: &[u8], after: &[u8]) -> Option<&'t [u8]> {
    text.strip_prefix(before)?.strip_suffix(after).filter(|inner| !inner.is_empty())
}

/// Undoes the escapes of systemd unit names: `\x2d` is a byte. An escaped NUL or `/` stays as it
/// is written: no name may hold the one, and the other would make a name look like a path.
pub(super) fn unescape(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'\\') {
        return Cow::Borrowed(name);
    }
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        if let (b'\\', Some(byte)) = (first, escaped(after)) {
            out.push(byte);
            rest = after.get(3..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = after;
        }
    }
    Cow::Owned(out)
}

/// The byte that `x2d` stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    let &[b'x', high, low] = text.get(..3)? else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let byte = digit(high)? << 4 | digit(low)?;
    (byte != 0 && byte != b'/').then_some(byte)
}
