//! Where the token comes from (spec section 4): a file or the environment, never the command line,
//! which every user of the host can read with `ps`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use netipc::token::{parse_uuid, token_from_session_uuid};

use crate::failure::Failure;

/// The environment variable that holds a token.
const TOKEN_VARIABLE: &str = "NETIPC_TOKEN";

/// What providers and clients must both know. Without any of these the token is 0, or what the
/// environment variable NETIPC_TOKEN holds.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct TokenSource {
    /// A file that holds the token, a number, decimal or 0x….
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file that holds the session UUID of an agent, from which the token is computed.
    #[arg(long, value_name = "UUID-FILE")]
    session_id: Option<PathBuf>,
}

impl TokenSource {
    /// What was named on the command line, else the environment variable, else 0.
    pub(crate) fn token(&self) -> Result<u64, Failure> {
        if let Some(path) = &self.token_file {
            let text = read(path)?;
            return parse(&text).ok_or_else(|| {
                Failure::Usage(format!("{} holds no token: {NEEDED}", path.display()))
            });
        }
        if let Some(path) = &self.session_id {
            let uuid = parse_uuid(read(path)?.trim())
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
            return Ok(token_from_session_uuid(&uuid));
        }
        match env::var_os(TOKEN_VARIABLE) {
            None => Ok(0),
            Some(text) => text.to_str().and_then(parse).ok_or_else(|| {
                Failure::Usage(format!("{TOKEN_VARIABLE} holds no token: {NEEDED}"))
            }),
        }
    }
}

/// The text of a token is never repeated in an error.
const NEEDED: &str = "a number from 0 to 2^64 - 1 is needed, decimal or 0x…";

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        Failure::Failed(format!("cannot read {path}: {error}; name a text file that you may read"))
    })
}

fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // from_str_radix takes a sign, which no token has.
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if text.starts_with('+') => None,
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_numbers_of_64_bits_in_either_notation() {
        for (text, token) in [
            ("0", 0),
            (" 42\n", 42),
            ("18446744073709551615", u64::MAX),
            ("0xff", 255),
            ("0XFFFFFFFFFFFFFFFF", u64::MAX),
        ] {
            assert_eq!(parse(text), Some(token), "{text}");
        }
        for text in ["", "+1", "0x+1", "-1", "0x", "ff", "1 2", "18446744073709551616"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
