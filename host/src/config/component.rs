//! What the configuration says of a component: `[component.NAME]`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use super::{Size, Span};

/// `[component.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Component {
    /// The only version that is to serve: `1.2.0`, or `1.2.0#3fa9c1`. The highest in the directory where it is not said.
    pub version: Option<String>,
    /// What becomes of versions that another has followed.
    pub versions: Versions,
    /// When a version is taken back by itself.
    pub rollback: Rollback,
    /// How a new version is tried before it serves; it serves at once where that is not said.
    pub canary: Option<Canary>,
    /// How much a version may allocate.
    pub memory: Memory,
}

/// `canary = { … }`: a new version takes a share of new sessions beside the one that serves, and is compared with it. Where it does worse
/// it is withdrawn and quarantined.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The share of the peers whose new sessions it takes.
    #[serde(default)]
    pub share: Share,
    /// The accounts whose sessions it takes once they have authenticated.
    #[serde(default)]
    pub accounts: BTreeSet<String>,
    /// What the exchanges that it takes are labelled with.
    #[serde(default)]
    pub labels: Labels,
    /// It serves after so long, where it did no worse; where that is not said an operator has to say so.
    #[serde(default, rename = "for")]
    pub span: Option<Span>,
    /// So many exchanges of each, or sessions where its protocol tells of no exchanges, are compared at least.
    #[serde(default = "default_samples")]
    pub samples: u32,
    /// By so much more of its exchanges may fail.
    #[serde(default = "default_worse")]
    pub worse: Share,
    /// So many times as long may nine in ten of its exchanges take, and a millisecond more.
    #[serde(default = "default_slower")]
    pub slower: f64,
}

/// Labels, as they are or, with a `*` at the end, by what they begin with.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeSet<String>")]
pub struct Labels(BTreeSet<String>);

impl Labels {
    /// Whether this is one of them.
    pub fn matches(&self, label: &str) -> bool {
        let is = |one: &String| match one.strip_suffix('*') {
            Some(begin) => label.starts_with(begin),
            None => label == one,
        };
        self.0.iter().any(is)
    }
}

impl TryFrom<BTreeSet<String>> for Labels {
    type Error = String;

    fn try_from(labels: BTreeSet<String>) -> Result<Self, String> {
        match labels
            .iter()
            .find(|label| matches!(label.as_str(), "" | "*") || label.trim_end_matches('*').contains('*'))
        {
            Some(label) => Err(format!("{label:?} is no label: it is a text, which may have a * at its end")),
            None => Ok(Labels(labels)),
        }
    }
}

fn default_samples() -> u32 {
    100
}

fn default_worse() -> Share {
    Share(0.01)
}

fn default_slower() -> f64 {
    2.0
}

/// `rollback = { … }`: a version that fails so often at work is followed by the one that served before, and is quarantined. What
/// counts as a failure is a panic, a fault, a broken rule or an overrun of its code.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rollback {
    /// So many failures; 0 is never.
    pub failures: u32,
    /// And at least this share of the sessions that it took meanwhile.
    pub share: Share,
    /// Within this time.
    pub within: Span,
}

impl Default for Rollback {
    fn default() -> Self {
        Rollback { failures: 10, share: Share(0.01), within: Span::seconds(60) }
    }
}

/// A share, written `1%` or `0.5%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
pub struct Share(f64);

impl Share {
    /// Between 0 and 1.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match percent.filter(|percent| (0.0..=100.0).contains(percent)) {
            Some(percent) => Ok(Share(percent / 100.0)),
            None => Err(format!("`{text}` is no share; write `1%`, up to `100%`")),
        }
    }
}

/// `memory = { … }`: how much a version may allocate, where its library counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// A version that serves and has more is followed by the one that served before, and is quarantined.
    pub soft: Option<Size>,
    /// There is never more: a worker that would allocate it does not come back.
    pub hard: Option<Size>,
}

/// `versions = { … }`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Versions {
    /// After so long, sessions that are still there are asked to say goodbye.
    pub drain: Span,
    /// How long each then gets.
    pub goodbye: Span,
    /// How many a second and worker are asked; 0 is all at once.
    pub rate: u32,
    /// How many earlier versions are kept loaded for a way back.
    pub keep: usize,
}

impl Versions {
    /// How long a worker waits between two that it asks.
    pub fn pause(&self) -> Duration {
        Duration::from_secs(1).checked_div(self.rate).unwrap_or_default()
    }
}

impl Default for Versions {
    fn default() -> Self {
        Versions { drain: Span::seconds(600), goodbye: Span::seconds(30), rate: 100, keep: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn a_share_is_written_in_percent() {
        let share = |text: &str| Share::try_from(text.to_owned()).map(Share::get);
        assert_eq!(["0%", "0.5%", "1 %", "100%"].map(share), [Ok(0.0), Ok(0.005), Ok(0.01), Ok(1.0)]);
        for text in ["", "%", "1", "-1%", "101%", "NaN%", "one%"] {
            assert_eq!(share(text), Err(format!("`{text}` is no share; write `1%`, up to `100%`")));
        }
    }
}
