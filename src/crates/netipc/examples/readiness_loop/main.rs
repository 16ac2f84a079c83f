//! Level 1 inside a loop of one's own: `unix.rs`. It polls descriptors, which Unix has.
#![forbid(unsafe_code)]

#[cfg(unix)]
mod unix;

#[cfg(unix)]
fn main() -> unix::Outcome<()> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("there are no descriptors to poll here");
}
