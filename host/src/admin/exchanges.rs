//! What the interface says of exchanges.

use serde::{Deserialize, Serialize};
use tandem_component::Outcome;
use utoipa::ToSchema;

use crate::version::Counted;

/// How exchanges have ended, and how long they took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExchangesStatus {
    /// All of them.
    pub ended: u64,
    /// Those that have failed, for a reason of ours or of those behind us.
    pub failed: u64,
    /// Those in which whoever has asked was refused.
    #[serde(default)]
    pub refused: u64,
    /// Those whose asker went before they were over.
    #[serde(default)]
    pub abandoned: u64,
    /// How many microseconds all of them took together.
    #[serde(default)]
    pub took_us: u64,
    /// How many took how long: by spans of time, the shortest first, that follow each other.
    #[serde(default)]
    pub spans: Vec<SpanStatus>,
    /// Nine in ten took so many microseconds at most.
    pub nine_in_ten_us: u64,
}

/// How many exchanges took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpanStatus {
    /// So many microseconds at most; nothing where it is longer than what is told apart.
    pub up_to_us: Option<u64>,
    /// How many.
    pub count: u64,
}

impl ExchangesStatus {
    /// How many have ended how.
    pub fn by_outcome(&self) -> [(Outcome, u64); 4] {
        let done = self.ended.saturating_sub(self.refused + self.failed + self.abandoned);
        let counts = [done, self.refused, self.failed, self.abandoned];
        std::array::from_fn(|at| (Outcome::ALL[at], counts[at]))
    }
}

impl From<&Counted> for ExchangesStatus {
    fn from(counted: &Counted) -> Self {
        ExchangesStatus {
            ended: counted.ended(),
            failed: counted.failed(),
            refused: counted.ended_as(Outcome::Refused),
            abandoned: counted.ended_as(Outcome::Abandoned),
            took_us: counted.micros(),
            spans: counted.spans().map(|(up_to_us, count)| SpanStatus { up_to_us, count }).collect(),
            nine_in_ten_us: counted.ninth_tenth(),
        }
    }
}
