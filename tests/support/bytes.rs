//! Bytes that can be told apart wherever they are cut: [`Bytes`], and chance that can be repeated: [`Chance`].

/// A long body, known byte for byte by both of its ends: blocks of the same noise, each beginning with its own number.
///
/// Made and compared at the speed of a copy, so that a gigabyte of it costs a test little. What is lost, doubled or
/// out of place is found, whatever its size.
#[derive(Clone, Debug)]
pub struct Bytes {
    block: [u8; BLOCK],
    at: u64,
}

impl Bytes {
    /// From the beginning.
    pub fn new() -> Self {
        let mut chance = Chance::seeded(1);
        let mut block = [0; BLOCK];
        block.chunks_mut(8).for_each(|word| word.copy_from_slice(&chance.draw().to_le_bytes()));
        Bytes { block, at: 0 }
    }

    /// How many have been made or compared.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Makes the next ones.
    pub fn fill(&mut self, into: &mut [u8]) {
        let mut rest = into;
        while !rest.is_empty() {
            let next = self.next(rest.len());
            let (now, later) = rest.split_at_mut(next.len());
            now.copy_from_slice(next);
            self.at += now.len() as u64;
            rest = later;
        }
    }

    /// Compares with the next ones.
    ///
    /// # Errors
    /// Where they differ: the offset of the piece that does.
    pub fn compare(&mut self, with: &[u8]) -> Result<(), u64> {
        let mut rest = with;
        while !rest.is_empty() {
            let next = self.next(rest.len());
            let (now, later) = rest.split_at(next.len());
            if now != next {
                return Err(self.at);
            }
            self.at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// What follows, to the end of its block at most.
    fn next(&mut self, max: usize) -> &[u8] {
        let (number, within) = (self.at / BLOCK as u64, (self.at % BLOCK as u64) as usize);
        self.block[..8].copy_from_slice(&number.to_le_bytes());
        &self.block[within..BLOCK.min(within + max)]
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Bytes::new()
    }
}

const BLOCK: usize = 4096;

/// Chance that can be repeated: its seed is printed, and taken from `SEED` where that is set.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// Of `SEED`, or of this process; says which.
    pub fn new() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(std::process::id().into());
        println!("SEED={seed}");
        Chance::seeded(seed)
    }

    /// Of this seed.
    pub fn seeded(seed: u64) -> Self {
        Chance(seed)
    }

    /// The next number (splitmix64).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound as u64) as usize
    }
}

impl Default for Chance {
    fn default() -> Self {
        Chance::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn what_is_cut_anywhere_is_the_same_and_what_is_lost_is_found() {
        let mut made = vec![0; 20_000];
        Bytes::new().fill(&mut made);
        let mut compared = Bytes::new();
        made.chunks(777).for_each(|piece| compared.compare(piece).unwrap());
        assert_eq!(compared.at(), 20_000);
        made.drain(4096..8192);
        assert_eq!(Bytes::new().compare(&made), Err(4096));
    }
}
