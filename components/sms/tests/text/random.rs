//! Chance with a seed.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % n
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    pub(crate) fn one_of<T: Copy>(&mut self, some: &[T]) -> T {
        some[self.below(some.len())]
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.byte()).collect()
    }
}

/// Runs it in many rounds, each with a seed of its own.
pub(crate) fn rounds(usual: u64, run: fn(&mut Random)) {
    let set = |variable: &str| std::env::var(variable).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = set("SEED").unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
    for round in 0..set("ROUNDS").unwrap_or(usual) {
        let one = seed.wrapping_add(round);
        // Neighbouring seeds are to have nothing in common.
        let mixed = one.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let result = std::panic::catch_unwind(|| run(&mut Random(mixed)));
        assert!(result.is_ok(), "SEED={one} ROUNDS=1");
    }
}
