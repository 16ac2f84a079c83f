//! Keys of a lookup: from the command line and, where `-` stands, from standard input, one a line.

use std::ffi::OsString;
use std::io::{self, BufRead};

use crate::failure::Failure;

/// In the order given. Empty lines are passed over; any bytes but a line's end are a key.
pub(super) fn keys(arguments: Vec<OsString>) -> Result<Vec<Vec<u8>>, Failure> {
    gather(arguments, io::stdin().lock())
}

fn gather(arguments: Vec<OsString>, mut input: impl BufRead) -> Result<Vec<Vec<u8>>, Failure> {
    let mut keys = Vec::with_capacity(arguments.len());
    for argument in arguments {
        if argument != "-" {
            keys.push(argument.into_encoded_bytes());
            continue;
        }
        for line in input.by_ref().split(b'\n') {
            let mut line = line.map_err(|error| {
                Failure::Failed(format!("cannot read keys from standard input: {error}"))
            })?;
            if line.ends_with(b"\r") {
                line.pop();
            }
            if !line.is_empty() {
                keys.push(line);
            }
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_stands_for_the_lines_of_the_input() {
        let input = b"2\r\n\n/a b\xff\n4";
        let arguments = ["1", "-", "5"].map(OsString::from).to_vec();
        let keys = gather(arguments, &input[..]).unwrap();
        assert_eq!(keys, [&b"1"[..], b"2", b"/a b\xff", b"4", b"5"]);
    }

    #[test]
    fn without_a_dash_the_input_is_left_alone() {
        let mut input = &b"1\n"[..];
        assert_eq!(gather(vec!["7".into()], &mut input).unwrap(), [b"7"]);
        assert_eq!(input, b"1\n");
    }
}
