//! The runner's binary: see the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    netipc_bench::runner::main()
}
