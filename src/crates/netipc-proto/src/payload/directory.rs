//! Directories: `u32 offset, u32 length` a piece, and the elements that they point at, each at a
//! multiple of 8 from the start of the packed area (spec sections 10.3 to 10.5).

use core::marker::PhantomData;

use bstr::BStr;

use super::{ALIGNMENT, BuildError, DIRECTORY_ENTRY_LEN, align8, get_u32, pad, put_u32};
use crate::{DecodeError, Defect};

/// A kind of element that a directory holds.
pub trait Element {
    /// What reading one gives.
    type View<'a>;

    /// Reads an element that was checked. Must not fail on bytes that were not.
    fn view(element: &[u8]) -> Self::View<'_>;
}

/// The elements that are a string by themselves: its bytes and one NUL.
#[derive(Debug)]
pub enum BareString {}

impl Element for BareString {
    type View<'a> = &'a BStr;

    #[inline]
    fn view(element: &[u8]) -> &BStr {
        BStr::new(element.split_last().map_or(&[][..], |(_nul, text)| text))
    }
}

/// Any element, as the bytes that it is.
#[derive(Debug)]
pub enum RawElement {}

impl Element for RawElement {
    type View<'a> = &'a [u8];

    #[inline]
    fn view(element: &[u8]) -> &[u8] {
        element
    }
}

/// A directory that was checked, and the area behind it.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryView<'a> {
    entries: &'a [[u8; DIRECTORY_ENTRY_LEN]],
    packed: &'a [u8],
    /// Where the packed area starts in the payload, for errors.
    packed_at: usize,
}

impl<'a> DirectoryView<'a> {
    /// Checks the directory of `count` entries behind a header of `header_len` bytes: entries
    /// within `payload`, aligned, their elements within the packed area and, where `ascending`,
    /// in order and apart (spec section 10.7). What the elements hold is for the caller to check,
    /// with [`check_each`](Self::check_each).
    ///
    /// # Errors
    /// The first defect, in bytes from the start of `payload`.
    #[inline]
    pub fn decode(
        payload: &'a [u8],
        header_len: usize,
        count: u32,
        ascending: bool,
    ) -> Result<Self, DecodeError> {
        let len = (count as usize).checked_mul(DIRECTORY_ENTRY_LEN);
        let end = len.and_then(|len| header_len.checked_add(len));
        let Some(end) = end.filter(|end| *end <= payload.len()) else {
            return Err(DecodeError::new(Defect::Count, header_len));
        };
        let (entries, _) = payload[header_len..end].as_chunks();
        let packed_at = align8(end);
        let packed = payload.get(packed_at..).unwrap_or_default();
        let mut least = 0;
        for (index, entry) in entries.iter().enumerate() {
            let place = || header_len + index * DIRECTORY_ENTRY_LEN;
            let (offset, length) = (get_u32::<0, _>(entry), get_u32::<4, _>(entry));
            if !(offset as usize).is_multiple_of(ALIGNMENT) {
                return Err(DecodeError::new(Defect::Alignment, place()));
            }
            let end = u64::from(offset) + u64::from(length);
            if end > packed.len() as u64 {
                return Err(DecodeError::new(Defect::Bounds, place()));
            }
            if ascending && u64::from(offset) < least {
                return Err(DecodeError::new(Defect::Order, place()));
            }
            least = end;
        }
        Ok(Self { entries, packed, packed_at })
    }

    /// Runs `check` over each element. An error that it finds at a byte of the element is reported
    /// at the byte of the payload.
    ///
    /// # Errors
    /// The first that `check` finds.
    #[inline]
    pub fn check_each(
        self,
        check: impl Fn(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<Self, DecodeError> {
        for entry in self.entries {
            if let Err(error) = check(element_at(self.packed, entry)) {
                return Err(error.shifted(self.packed_at + get_u32::<0, _>(entry) as usize));
            }
        }
        Ok(self)
    }

    /// How many elements there are.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The elements, in order.
    #[inline]
    #[must_use]
    pub fn records<E: Element>(&self) -> Records<'a, E> {
        Records { entries: self.entries.iter(), packed: self.packed, element: PhantomData }
    }

    /// The element at `index`.
    #[inline]
    #[must_use]
    pub fn get<E: Element>(&self, index: usize) -> Option<E::View<'a>> {
        self.entries.get(index).map(|entry| E::view(element_at(self.packed, entry)))
    }
}

/// The bytes that an entry points at. Checking excluded places outside the area; they would read
/// as empty.
#[inline(always)]
fn element_at<'a>(packed: &'a [u8], entry: &[u8; DIRECTORY_ENTRY_LEN]) -> &'a [u8] {
    let start = get_u32::<0, _>(entry) as usize;
    let end = start.saturating_add(get_u32::<4, _>(entry) as usize);
    packed.get(start..end).unwrap_or_default()
}

/// The elements of a directory, in order.
#[derive(Debug)]
pub struct Records<'a, E> {
    entries: core::slice::Iter<'a, [u8; DIRECTORY_ENTRY_LEN]>,
    packed: &'a [u8],
    element: PhantomData<E>,
}

impl<E> Clone for Records<'_, E> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), packed: self.packed, element: PhantomData }
    }
}

impl<'a, E> Records<'a, E> {
    /// The entries, and the area that they point into, as the bytes that they are: for who reads
    /// elements in another language. Both were checked.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> (&'a [[u8; DIRECTORY_ENTRY_LEN]], &'a [u8]) {
        (self.entries.as_slice(), self.packed)
    }

    /// The same elements, as the bytes that they are: for who keeps them and reads them later.
    #[inline]
    #[must_use]
    pub fn raw(self) -> Records<'a, RawElement> {
        Records { entries: self.entries, packed: self.packed, element: PhantomData }
    }
}

impl<'a, E: Element> Iterator for Records<'a, E> {
    type Item = E::View<'a>;

    #[inline]
    fn next(&mut self) -> Option<E::View<'a>> {
        self.entries.next().map(|entry| E::view(element_at(self.packed, entry)))
    }

    /// Looks at no element on the way.
    #[inline]
    fn nth(&mut self, index: usize) -> Option<E::View<'a>> {
        self.entries.nth(index).map(|entry| E::view(element_at(self.packed, entry)))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl<E: Element> DoubleEndedIterator for Records<'_, E> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.entries.next_back().map(|entry| E::view(element_at(self.packed, entry)))
    }
}

impl<E: Element> ExactSizeIterator for Records<'_, E> {}

/// Bytes of a payload with a header of `header_len` bytes and elements of these lengths.
pub fn directory_len(header_len: usize, elements: impl ExactSizeIterator<Item = usize>) -> usize {
    let packed_at = align8(header_len + elements.len() * DIRECTORY_ENTRY_LEN);
    packed_at + elements.fold(0, |end, length| align8(end) + length)
}

/// Writes a directory and its elements behind a header that the caller fills in last.
///
/// ```text
/// header | capacity entries | packed area → | room | ← late entries
/// ```
///
/// Room for `capacity` entries is set aside at the start. Those of further elements wait at the end
/// of the buffer, so that elements fit whenever the finished payload does. Where elements turned out
/// to be more or fewer, finishing moves the packed area, which leaves offsets as they are: they
/// count from its start.
#[derive(Debug)]
pub struct DirectoryWriter<'b> {
    out: &'b mut [u8],
    header_len: usize,
    capacity: usize,
    count: usize,
    /// Where the packed area starts, behind `capacity` entries.
    packed_at: usize,
    /// Bytes of the packed area that are written.
    packed_len: usize,
}

impl<'b> DirectoryWriter<'b> {
    /// A directory without elements behind a header of `header_len` bytes, a multiple of 8.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`] if the header and `capacity` entries do not fit `out`.
    #[inline]
    pub fn new(out: &'b mut [u8], header_len: usize, capacity: usize) -> Result<Self, BuildError> {
        match packed_at(header_len, capacity) {
            Some(packed_at) if packed_at <= out.len() => {
                Ok(Self { out, header_len, capacity, count: 0, packed_at, packed_len: 0 })
            }
            _ => Err(BuildError::NoSpace),
        }
    }

    /// How many elements were added.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether none was added.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes that elements may take in all, if they are no more than there is capacity for.
    #[inline]
    #[must_use]
    pub(super) const fn packed_room(&self) -> usize {
        self.out.len().saturating_sub(self.packed_at)
    }

    /// Adds the element that `encode` writes at the start of the buffer it is given, of which it
    /// answers the length. On an error nothing was added.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`], and those of `encode`.
    #[inline]
    pub fn push(
        &mut self,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<(), BuildError> {
        if self.count < self.capacity {
            self.push_within(usize::MAX, encode)
        } else {
            self.push_late(encode)
        }
    }

    /// [`push`](Self::push) of an element that there is capacity for, and that must end within
    /// `packed_limit` bytes of the packed area.
    #[inline]
    pub(super) fn push_within(
        &mut self,
        packed_limit: usize,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<(), BuildError> {
        let (front, packed) =
            self.out.split_at_mut_checked(self.packed_at).ok_or(BuildError::NoSpace)?;
        let limit = packed_limit.min(packed.len());
        let directory = front.get_mut(self.header_len..).unwrap_or_default();
        let entry = directory.as_chunks_mut().0.get_mut(self.count).ok_or(BuildError::NoSpace)?;
        self.packed_len = write_element(&mut packed[..limit], self.packed_len, entry, encode)?;
        self.count += 1;
        Ok(())
    }

    /// [`push`](Self::push) of an element whose entry waits at the end of the buffer.
    #[cold]
    fn push_late(
        &mut self,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<(), BuildError> {
        let packed_at = self.packed_at;
        let late_len = (self.count + 1 - self.capacity) * DIRECTORY_ENTRY_LEN;
        let entry_at = self.out.len().checked_sub(late_len).filter(|at| *at >= packed_at);
        let (front, back) = self.out.split_at_mut(entry_at.ok_or(BuildError::NoSpace)?);
        let entry = back.first_chunk_mut().ok_or(BuildError::NoSpace)?;
        self.packed_len = write_element(&mut front[packed_at..], self.packed_len, entry, encode)?;
        self.count += 1;
        Ok(())
    }

    /// Ends the directory, and answers the header's bytes, to be filled in, with the number of
    /// elements and the length of the whole payload.
    ///
    /// # Errors
    /// [`BuildError::Count`] above `u32::MAX` elements.
    #[inline]
    pub fn finish<const HEADER: usize>(
        mut self,
        field: &'static str,
    ) -> Result<(&'b mut [u8; HEADER], u32, usize), BuildError> {
        if self.count != self.capacity {
            self.close_up();
        }
        let count = u32::try_from(self.count).map_err(|_| BuildError::Count { field })?;
        let packed_at = packed_at(self.header_len, self.count).ok_or(BuildError::NoSpace)?;
        let header = self.out.first_chunk_mut().ok_or(BuildError::NoSpace)?;
        Ok((header, count, packed_at + self.packed_len))
    }

    /// Brings the packed area behind the last entry, and late entries before it.
    #[cold]
    fn close_up(&mut self) {
        let from = self.packed_at;
        let Some(to) = packed_at(self.header_len, self.count) else { return };
        let packed_end = from + self.packed_len;
        let Some(late_len) = to.checked_sub(from) else {
            return self.out.copy_within(from..packed_end, to);
        };
        let late_at = self.out.len() - late_len;
        self.out[late_at..].as_chunks_mut::<DIRECTORY_ENTRY_LEN>().0.reverse();
        self.out.copy_within(late_at.., packed_end);
        self.out[from..packed_end + late_len].rotate_right(late_len);
    }
}

/// Where the packed area starts behind that many entries.
#[inline]
fn packed_at(header_len: usize, entries: usize) -> Option<usize> {
    header_len.checked_add(entries.checked_mul(DIRECTORY_ENTRY_LEN)?)
}

/// Writes an element behind the `written` bytes of `packed`, and its entry; answers how many bytes
/// are written then.
#[inline(always)]
fn write_element(
    packed: &mut [u8],
    written: usize,
    entry: &mut [u8; DIRECTORY_ENTRY_LEN],
    encode: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>,
) -> Result<usize, BuildError> {
    let start = align8(written);
    pad(packed, written, start);
    let room = packed.get_mut(start..).ok_or(BuildError::NoSpace)?;
    let length = encode(room)?.min(room.len());
    put_u32::<0, _>(entry, u32::try_from(start).map_err(|_| BuildError::NoSpace)?);
    put_u32::<4, _>(entry, u32::try_from(length).map_err(|_| BuildError::NoSpace)?);
    Ok(start + length)
}
