//! How often a test kills what it tests.

/// So often here; a soak says more in `KILLS`.
///
/// # Panics
/// Where `KILLS` is no number.
pub fn kills() -> u32 {
    const HERE: u32 = 5;
    std::env::var("KILLS").map_or(HERE, |kills| kills.parse().expect("KILLS is a number"))
}
