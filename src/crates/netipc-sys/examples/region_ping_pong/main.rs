//! How fast a message and its answer go through shared memory, against what the hardware allows: see
//! `linux.rs`. It ties processes to CPUs and uses futexes, so it is for Linux alone.

#[cfg(target_os = "linux")]
mod linux;

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    eprintln!("region_ping_pong measures Linux alone");
}
