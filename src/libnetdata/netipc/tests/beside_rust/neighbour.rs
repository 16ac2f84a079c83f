//! Another Rust static library of the same program: it has a standard library, a panic runtime and an
//! allocator of its own, with the names that libnetipc.a keeps to itself.

use std::collections::HashMap;

/// Adds what a map, a thread and a contained panic come to.
///
/// # Panics
/// Never: the one inside is contained.
#[no_mangle]
pub extern "C" fn neighbour_sum(count: u64) -> u64 {
    let squares: HashMap<u64, u64> = (0..count).map(|n| (n, n * n)).collect();
    let summing = std::thread::spawn(move || squares.values().sum::<u64>());
    let contained = std::panic::catch_unwind(|| {
        std::panic::resume_unwind(Box::new("contained"));
    });
    summing.join().unwrap_or(0) + u64::from(contained.is_err())
}
