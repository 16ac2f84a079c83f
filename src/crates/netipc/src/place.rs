//! Where a part of a buffer lies in it.

/// How many bytes of `whole` come before `part`, which is borrowed from it.
pub(crate) fn offset_within(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().saturating_sub(whole.as_ptr().addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_where_it_was_taken() {
        let whole = [0_u8; 10];
        assert_eq!(offset_within(&whole, &whole[3..7]), 3);
        assert_eq!(offset_within(&whole, &whole[10..]), 10);
    }
}
