//! Writing a record: its strings and labels behind the fixed part.

use super::labels::ENTRY_LEN;
use super::{BuildError, align8, pad, put_u32};

/// Writes what stands behind a record's fixed part of `FIXED` bytes, in order, and checks on the
/// way what a decoder would reject.
#[derive(Debug)]
pub struct RecordWriter<'b, const FIXED: usize> {
    /// The buffer behind the fixed part.
    tail: &'b mut [u8],
    /// Bytes of it that are written.
    written: usize,
    /// Not zero if a string written since the fixed part holds a NUL.
    inner_nul: u64,
}

impl<'b, const FIXED: usize> RecordWriter<'b, FIXED> {
    /// The fixed part at the start of `out`, to be filled by the caller, and a writer of the rest.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`].
    #[inline]
    pub fn new(out: &'b mut [u8]) -> Result<(&'b mut [u8; FIXED], Self), BuildError> {
        let (fixed, tail) = out.split_first_chunk_mut().ok_or(BuildError::NoSpace)?;
        Ok((fixed, Self { tail, written: 0, inner_nul: 0 }))
    }

    /// Writes a string and its NUL, and its place into the field at byte `AT`.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`].
    #[inline]
    pub fn string<const AT: usize>(
        &mut self,
        fixed: &mut [u8; FIXED],
        text: &[u8],
    ) -> Result<(), BuildError> {
        put_u32::<AT, FIXED>(fixed, self.place()?);
        put_length::<AT, FIXED>(fixed, length_of(text)?);
        self.written = append(self.tail, self.written, text, &mut self.inner_nul)?;
        Ok(())
    }

    /// Refuses a NUL inside the strings written so far, which are `strings`, with their fields.
    ///
    /// # Errors
    /// [`BuildError::InnerNul`].
    #[inline]
    pub fn refuse_inner_nuls<const K: usize>(
        &self,
        strings: [(&'static str, &[u8]); K],
    ) -> Result<(), BuildError> {
        if self.inner_nul != 0 { Err(guilty_of_inner_nul(&strings)) } else { Ok(()) }
    }

    /// Writes a label table behind the strings (spec section 10.6). Keys take one byte or more; no
    /// string takes a NUL.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`], [`BuildError::Length`] for an empty key, [`BuildError::InnerNul`],
    /// [`BuildError::Count`] when the iterator does not keep its promise of a length.
    #[inline]
    pub fn labels<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        field: &'static str,
        labels: impl ExactSizeIterator<Item = (K, V)>,
    ) -> Result<(), BuildError> {
        let count = labels.len();
        if count == 0 {
            return Ok(());
        }
        let padding = align8(FIXED + self.written) - (FIXED + self.written);
        let table_at = self.written + padding;
        let table_len = count.checked_mul(ENTRY_LEN).ok_or(BuildError::NoSpace)?;
        let strings_at = table_at.checked_add(table_len).ok_or(BuildError::NoSpace)?;
        if strings_at > self.tail.len() {
            return Err(BuildError::NoSpace);
        }
        pad(self.tail, self.written, table_at);
        let (head, strings) = self.tail.split_at_mut(strings_at);
        let mut entries = head[table_at..].as_chunks_mut::<ENTRY_LEN>().0.iter_mut();
        let mut end = 0;
        let mut inner_nul = 0;
        for (key, value) in labels {
            let (key, value) = (key.as_ref(), value.as_ref());
            let entry = entries.next().ok_or(BuildError::Count { field })?;
            if key.is_empty() {
                return Err(empty_key(field));
            }
            put_u32::<0, _>(entry, place_of(FIXED + strings_at + end)?);
            put_u32::<4, _>(entry, length_of(key)?);
            end = append(strings, end, key, &mut inner_nul)?;
            put_u32::<8, _>(entry, place_of(FIXED + strings_at + end)?);
            put_u32::<12, _>(entry, length_of(value)?);
            end = append(strings, end, value, &mut inner_nul)?;
        }
        if entries.next().is_some() {
            return Err(BuildError::Count { field });
        }
        if inner_nul != 0 {
            return Err(BuildError::InnerNul { field });
        }
        self.written = strings_at + end;
        Ok(())
    }

    /// Bytes of the whole record.
    #[inline]
    #[must_use]
    pub const fn finish(self) -> usize {
        FIXED + self.written
    }

    #[inline(always)]
    fn place(&self) -> Result<u32, BuildError> {
        place_of(FIXED + self.written)
    }
}

/// Writes a string that is an element by itself, and answers its length with its NUL.
///
/// # Errors
/// [`BuildError::NoSpace`], [`BuildError::InnerNul`].
#[inline]
pub fn write_bare_string(
    out: &mut [u8],
    text: &[u8],
    field: &'static str,
) -> Result<usize, BuildError> {
    let mut inner_nul = 0;
    let length = append(out, 0, text, &mut inner_nul)?;
    if inner_nul != 0 { Err(BuildError::InnerNul { field }) } else { Ok(length) }
}

#[cold]
fn guilty_of_inner_nul(strings: &[(&'static str, &[u8])]) -> BuildError {
    let guilty = strings.iter().find(|(_, text)| memchr::memchr(0, text).is_some());
    BuildError::InnerNul { field: guilty.map_or("", |(field, _)| field) }
}

#[cold]
const fn empty_key(field: &'static str) -> BuildError {
    BuildError::Length { field, length: 0, min: 1, max: u32::MAX as usize }
}

/// The second half of a string field.
#[inline(always)]
fn put_length<const AT: usize, const N: usize>(fixed: &mut [u8; N], length: u32) {
    const { assert!(AT + 8 <= N) };
    fixed[AT + 4..AT + 8].copy_from_slice(&length.to_ne_bytes());
}

#[inline(always)]
fn place_of(offset: usize) -> Result<u32, BuildError> {
    u32::try_from(offset).map_err(|_| BuildError::NoSpace)
}

#[inline(always)]
fn length_of(text: &[u8]) -> Result<u32, BuildError> {
    u32::try_from(text.len()).map_err(|_| BuildError::NoSpace)
}

/// Writes `text` and a NUL at byte `at` of `out`, and answers where the NUL's successor stands.
/// Makes `inner_nul` other than zero if `text` holds a NUL.
#[inline(always)]
fn append(
    out: &mut [u8],
    at: usize,
    text: &[u8],
    inner_nul: &mut u64,
) -> Result<usize, BuildError> {
    let nul = at.checked_add(text.len()).ok_or(BuildError::NoSpace)?;
    if nul >= out.len() {
        return Err(BuildError::NoSpace);
    }
    *inner_nul |= copy_text(&mut out[at..nul], text);
    out[nul] = 0;
    Ok(nul + 1)
}

/// Copies a string of the same length, and answers what is zero unless it holds a NUL.
///
/// Most are short: those are moved by two registers that overlap, which costs a fraction of a call
/// to `memcpy`, and looked through while they are in the registers.
#[inline(always)]
fn copy_text(to: &mut [u8], from: &[u8]) -> u64 {
    match from.len() {
        0 => 0,
        1..4 => copy_bytes(to, from),
        4..8 => copy_overlapping::<4>(to, from),
        8..16 => copy_overlapping::<8>(to, from),
        16..=32 => copy_overlapping::<16>(to, from),
        _ => {
            to.copy_from_slice(from);
            memchr::memchr(0, from).is_some().into()
        }
    }
}

/// Copies `N..=2 * N` bytes: the first `N`, then the last `N`.
#[inline(always)]
fn copy_overlapping<const N: usize>(to: &mut [u8], from: &[u8]) -> u64 {
    let mut nul = 0;
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *to = *from;
        nul |= nul_in(from);
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
        nul |= nul_in(from);
    }
    nul
}

#[inline(always)]
fn copy_bytes(to: &mut [u8], from: &[u8]) -> u64 {
    let mut nul = 0;
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
        nul |= u64::from(*from == 0);
    }
    nul
}

/// Not zero if one of the bytes is: the words that they make, a few instructions each.
#[inline(always)]
fn nul_in<const N: usize>(chunk: &[u8; N]) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH_BITS: u64 = ONES << 7;
    // The high bit of a byte of this is set where the byte of the word is zero, or where a byte below
    // it is: enough to say whether there is one.
    let nul_in_word = |word: u64| word.wrapping_sub(ONES) & !word;
    let (words, rest) = chunk.as_chunks::<8>();
    let nul = words.iter().fold(0, |nul, word| nul | nul_in_word(u64::from_ne_bytes(*word)));
    let half = rest.first_chunk().map_or(0, |half: &[u8; 4]| {
        nul_in_word(u64::from(u32::from_ne_bytes(*half)) | ONES << u32::BITS)
    });
    (nul | half) & HIGH_BITS
}
