//! Bytes into cells and out of them, each cell touched once.
//!
//! Relaxed accesses: the sequence number's release and acquire order them all.

use std::sync::atomic::Ordering::Relaxed;

use super::{CELL_BYTES, Cell};

/// Copies the pieces, one after the other, to the front of `area`. Stops at its end; the last cell is
/// filled up with zeros.
#[inline]
pub(super) fn copy_in<Long: Cell<u64>>(area: &[Long], pieces: &[&[u8]]) {
    let mut cells = area.iter();
    let mut begun = [0; CELL_BYTES];
    let mut filled = 0;
    for piece in pieces {
        let mut rest = *piece;
        if filled > 0 {
            let (now, later) = rest.split_at(rest.len().min(CELL_BYTES - filled));
            begun[filled..filled + now.len()].copy_from_slice(now);
            filled += now.len();
            if filled < CELL_BYTES {
                continue;
            }
            put(&mut cells, begun);
            rest = later;
        }
        let (whole, tail) = rest.as_chunks();
        // The bytes first: they must not run out after a cell was taken for them.
        for (bytes, cell) in whole.iter().zip(cells.by_ref()) {
            cell.store(u64::from_ne_bytes(*bytes), Relaxed);
        }
        begun = [0; CELL_BYTES];
        begun[..tail.len()].copy_from_slice(tail);
        filled = tail.len();
    }
    if filled > 0 {
        put(&mut cells, begun);
    }
}

fn put<'a, Long: Cell<u64> + 'a>(
    cells: &mut impl Iterator<Item = &'a Long>,
    bytes: [u8; CELL_BYTES],
) {
    if let Some(cell) = cells.next() {
        cell.store(u64::from_ne_bytes(bytes), Relaxed);
    }
}

/// Fills `out` from the front of `area`, as far as that goes.
#[inline]
pub(super) fn copy_out<Long: Cell<u64>>(area: &[Long], out: &mut [u8]) {
    let (whole, tail) = out.as_chunks_mut();
    let (cells, beyond) = area.split_at(area.len().min(whole.len()));
    for (bytes, cell) in whole.iter_mut().zip(cells) {
        *bytes = cell.load(Relaxed).to_ne_bytes();
    }
    if let (false, Some(cell)) = (tail.is_empty(), beyond.first()) {
        tail.copy_from_slice(&cell.load(Relaxed).to_ne_bytes()[..tail.len()]);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn area(cells: usize) -> Vec<AtomicU64> {
        (0..cells).map(|_| AtomicU64::new(u64::MAX)).collect()
    }

    #[test]
    fn whatever_the_pieces_the_bytes_come_out_as_they_went_in() {
        let bytes: Vec<u8> = (1..=61).collect();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let area = area(8);
                copy_in(&area, &[&bytes[..first], &bytes[first..second], &bytes[second..]]);
                for len in 0..=bytes.len() {
                    let mut out = vec![0; len];
                    copy_out(&area, &mut out);
                    assert_eq!(out, bytes[..len]);
                }
            }
        }
    }

    #[test]
    fn only_the_cells_that_a_message_needs_are_touched() {
        let area = area(4);
        copy_in(&area, &[b"123456789"]);
        assert_eq!(area[1].load(Relaxed).to_ne_bytes(), *b"9\0\0\0\0\0\0\0");
        assert_eq!(area[2].load(Relaxed), u64::MAX);
    }

    #[test]
    fn nothing_goes_beyond_the_area() {
        let area = area(2);
        copy_in(&area, &[&[1; 7], &[2; 7], &[3; 7]]);
        let mut out = [9; 20];
        copy_out(&area, &mut out);
        assert_eq!(out[..16], [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3]);
    }
}
