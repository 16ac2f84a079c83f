//! Where a client takes the time and the chance of its back-off from.

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

/// Time and chance, as [`netipc_proto::retry`] wants them. Real clients use
/// [`SystemEnvironment`]; tests and simulations bring their own.
///
/// Deadlines of calls are not its affair: they wait in the kernel, on the kernel's clock.
pub trait Environment: Send + Sync {
    /// Milliseconds of a clock that does not go back.
    fn now_ms(&self) -> u64;

    /// A number that others cannot guess, so that clients of one server spread.
    fn random(&mut self) -> u64;
}

/// The monotonic clock, and numbers from a seed that the standard library draws from the system.
#[derive(Debug)]
pub struct SystemEnvironment {
    start: Instant,
    chance: RandomState,
    drawn: u64,
}

impl Default for SystemEnvironment {
    fn default() -> Self {
        Self { start: Instant::now(), chance: RandomState::new(), drawn: 0 }
    }
}

impl Environment for SystemEnvironment {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.chance.hash_one(self.drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clients_draw_different_numbers() {
        let (mut a, mut b) = (SystemEnvironment::default(), SystemEnvironment::default());
        let drawn = [a.random(), a.random(), b.random(), b.random()];
        for (index, number) in drawn.iter().enumerate() {
            assert!(!drawn[..index].contains(number), "{drawn:?}");
        }
    }
}
