//! What the seed decides: [`Chance`]; and what was decided and came of it: [`Trace`].

use std::collections::VecDeque;
use std::fmt;

/// Numbers that follow from a seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Chance(seed ^ 0x5bd1_e995_7a4d_1ec5)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `of`, which is not 0.
    pub(crate) fn below(&mut self, of: u64) -> u64 {
        self.next() % of
    }

    /// So many times in a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).expect("an index")]
    }

    /// The place of one of so many.
    pub(crate) fn place(&mut self, of: usize) -> usize {
        usize::try_from(self.below(of as u64)).expect("an index")
    }
}

/// What has happened, step by step: the last of it, and a hash of all.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    last: VecDeque<String>,
    steps: u64,
    hash: u64,
}

const KEPT: usize = 50;

impl Trace {
    pub(crate) fn tell(&mut self, step: fmt::Arguments<'_>) {
        let line = step.to_string();
        // FNV-1a: the same on every machine.
        for byte in line.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.steps += 1;
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(format!("{:>6} {line}", self.steps));
    }

    /// Two runs with the same have done the same.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.last.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
