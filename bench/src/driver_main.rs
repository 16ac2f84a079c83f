//! The Rust driver's binary: see the library, and README.md for its command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    netipc_bench::driver::main()
}
