//! Each target on its corpus, and on mutations of it: a short run of what `scripts/fuzz` does for hours.
//!
//! `SEED` and `RUNS` choose others, for a soak: `RUNS=100000 cargo test -p tandem-fuzz`. An input that fails is kept beside
//! what was built; its place is said, and it belongs into the corpus.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

macro_rules! targets {
    ($($name:ident: $runs:literal,)*) => {
        $(#[test]
        fn $name() {
            fuzz(stringify!($name), $runs);
        })*

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            let all: Vec<&str> = tandem_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(run.as_slice(), all.as_slice());
        }
    };
}

// So many runs as take about a second without optimization.
targets! {
    smpp_pdu: 3000,
    smpp_session: 400,
    sms_text: 3000,
    http_head: 1500,
    http_chunks: 3000,
    http_pieces: 500,
    http_session: 600,
    echo_session: 1000,
    rows: 5000,
    remainder: 5000,
    saved: 10_000,
    manifest: 5000,
    configuration: 2000,
    proxy_header: 20_000,
}

fn fuzz(name: &str, runs: u64) {
    let target = tandem_fuzz::target(name);
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for (path, data) in &corpus {
        kept(name, data, || target(data), || path.display().to_string());
    }
    let set = |variable: &str| std::env::var(variable).ok().and_then(|value| value.parse().ok());
    let (seed, runs) = (set("SEED").unwrap_or(1), set("RUNS").unwrap_or(runs));
    println!("{name}: SEED={seed} RUNS={runs}");
    for seed in (seed..).take(usize::try_from(runs).expect("nobody waits for that many")) {
        let data = mutated(&corpus, &mut Random(seed));
        kept(name, &data, || target(&data), || format!("SEED={seed} RUNS=1"));
    }
}

/// Runs it; where it panics, keeps the input and says whence it is.
fn kept(name: &str, data: &[u8], run: impl FnOnce(), whence: impl FnOnce() -> String) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("failed-{name}"));
        fs::write(&place, data).expect("the target directory can be written to");
        panic!("{name}: {}: the input is kept as {}", whence(), place.display());
    }
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("it can be read"))).collect()
}

/// One of the corpus, changed in some places, sometimes with a part of another.
fn mutated(corpus: &[(PathBuf, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    const BYTES: [u8; 12] = [0, 1, 9, 0x0a, 0x0d, 0x15, 0x20, 0x3a, 0x7f, 0x80, 0xfe, 0xff];
    let mut data = corpus[random.below(corpus.len())].1.clone();
    for _ in 0..=random.below(6) {
        let at = random.below(data.len() + 1);
        let end = (at + random.below(16)).min(data.len());
        match random.below(7) {
            0 => drop(data.drain(at..end)),
            1 => data.insert(at, BYTES[random.below(BYTES.len())]),
            2 => data.insert(at, u8::try_from(random.below(256)).expect("it is below 256")),
            3 => {
                let part = data[at..end].to_vec();
                drop(data.splice(at..at, part));
            }
            4 => {
                let other = &corpus[random.below(corpus.len())].1;
                let from = random.below(other.len() + 1);
                drop(data.splice(at..end, other[from..(from + random.below(64)).min(other.len())].iter().copied()));
            }
            _ if at < data.len() => data[at] = data[at].wrapping_add(BYTES[random.below(BYTES.len())]),
            _ => data.truncate(at),
        }
    }
    data
}

/// SplitMix64: neighbouring seeds have nothing in common.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).expect("it is below a usize")
    }
}
