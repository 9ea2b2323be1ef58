//! What an account's agreements still allow of a service: an [`Allowance`] for each limit that counts something.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admission::Limit;
use crate::component::Time;
use crate::named;

/// What is left of one limit. Where several agreements have it, of the one of which the least is left.
///
/// ```
/// use std::time::Duration;
/// use tandem_component::{Allowance, Limit};
/// let day = Allowance { of: 1000, per: Some(Duration::from_secs(86_400)), left: 17, ..Allowance::none_of(Limit::Day) };
/// assert_eq!((day.limit, day.frees_at), (Limit::Day, None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Which it is.
    pub limit: Limit,
    /// How many there are: of a rate the burst, of a quota what a whole window has. 0 where it is not a matter of how many.
    pub of: u64,
    /// In what time: how long a used up burst takes to come back whole, or the window. `None` for what is at a time.
    pub per: Option<Duration>,
    /// How many there are still. At least: what other workers have taken in advance and not used counts as used.
    pub left: u64,
    /// When there are more: of what was refused as many as it needs, of a rate one, of a quota all. `None` where nothing is used, or
    /// that is not a matter of time alone.
    pub frees_at: Option<Time>,
}

impl Allowance {
    /// Of a limit of which nothing is left, for good.
    pub const fn none_of(limit: Limit) -> Self {
        Allowance { limit, of: 0, per: None, left: 0, frees_at: None }
    }

    /// Appends them to a buffer, as they cross the boundary.
    ///
    /// # Panics
    /// Never: numbers can be written.
    #[doc(hidden)]
    pub fn write(allowances: &[Allowance]) -> Vec<u8> {
        let crossing: Vec<Crossing> = allowances.iter().map(Crossing::of).collect();
        named::write(&crossing).expect("numbers can be written")
    }
}

/// What is left of each limit that counts something, the one that is closest to its end first; of those that have refused, first of all.
/// There is none where no agreement counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowances<'a>(pub(crate) &'a [u8]);

impl Allowances<'_> {
    /// They.
    pub fn to_vec(&self) -> Vec<Allowance> {
        let crossing: Vec<Crossing> = named::read(self.0).unwrap_or_default();
        crossing.iter().map(Crossing::allowance).collect()
    }
}

/// One, as it crosses the boundary. What a host does not say is 0, which stands for none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Crossing {
    limit: u32,
    of: u64,
    per: u64,
    left: u64,
    frees_at: u64,
}

impl Crossing {
    fn of(allowance: &Allowance) -> Self {
        let Allowance { limit, of, per, left, frees_at } = *allowance;
        let per = per.map_or(0, |span| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        Crossing { limit: limit.number(), of, per, left, frees_at: frees_at.map_or(0, Time::nanos) }
    }

    fn allowance(&self) -> Allowance {
        let Crossing { limit, of, per, left, frees_at } = *self;
        Allowance {
            limit: Limit::of(limit),
            of,
            per: (per > 0).then(|| Duration::from_nanos(per)),
            left,
            frees_at: (frees_at > 0).then(|| Time::from_nanos(frees_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let day = Allowance {
            of: 10,
            per: Some(Duration::from_secs(86_400)),
            left: 3,
            frees_at: Some(Time::from_nanos(7)),
            ..Allowance::none_of(Limit::Day)
        };
        let all = [day, Allowance::none_of(Limit::Concurrent)];
        assert_eq!(Allowances(&Allowance::write(&all)).to_vec(), all);
        assert_eq!(Allowances(&Allowance::write(&[])).to_vec(), []);
        assert!(!Allowance::write(&[]).is_empty(), "nothing at all is that nobody was told");
    }

    #[test]
    fn a_host_may_say_more_or_less() {
        #[derive(Serialize)]
        struct Later {
            left: u64,
            colour: &'static str,
            limit: u32,
        }
        let said = named::write(&[Later { left: 5, colour: "red", limit: 4711 }]).unwrap();
        assert_eq!(Allowances(&said).to_vec(), [Allowance { left: 5, ..Allowance::none_of(Limit::Other) }]);
        assert_eq!(Allowances(b"?").to_vec(), []);
    }
}
