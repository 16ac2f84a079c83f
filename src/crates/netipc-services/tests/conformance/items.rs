//! The rules by which handlers answer and clients expect, written once.

/// Whether a process of this id is known.
pub(crate) const fn app_is_known(pid: u32) -> bool {
    !pid.is_multiple_of(3)
}

/// The name of a path: as long as the digits at its end say.
pub(crate) fn name_of(path: &[u8]) -> Vec<u8> {
    let digits = path.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let text = std::str::from_utf8(&path[path.len() - digits..]).expect("digits");
    vec![b'n'; text.parse().unwrap_or(0)]
}

/// A number in so many digits.
pub(crate) fn padded(index: u32, len: usize) -> String {
    format!("{index:0>len$}")
}

/// A path of so many bytes that ends in the index modulo 100, in so many digits.
pub(crate) fn path(index: u32, len: usize, digits: usize) -> String {
    let number = padded(index % 100, digits);
    format!("/{}{number}", "x".repeat(len - 1 - number.len()))
}
