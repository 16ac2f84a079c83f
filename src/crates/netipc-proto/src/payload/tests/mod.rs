//! The building blocks one by one: what they promise, their edges, hostile bytes. How they work
//! together is tested by the generated codecs.

mod check;
mod directory;
mod labels;
mod lookup;
mod record;
mod strings;

use std::vec::Vec;

use super::StringSpan;

/// What buffers hold before they are written to.
const UNTOUCHED: u8 = 0xAA;

fn span(field_at: usize, offset: usize, length: usize) -> StringSpan {
    StringSpan { field_at, offset: offset as u32, length: length as u32 }
}

/// Numbers as a record has them.
fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}
