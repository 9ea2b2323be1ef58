//! Which of the versions in the components directory is to serve: a pure decision.

use semver::Version as Number;

/// A version that lies in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub number: Number,
    /// Its digest, of which an operator names as many digits as it takes.
    pub digest: String,
    /// Counts versions in the order in which the host saw them first; newer between equal numbers is what came later.
    pub seen: u64,
}

/// The candidates, the one that is to serve first, then those that stand in for it where it is refused. `wanted` names the
/// only one that is allowed to: `1.2.0`, or `1.2.0#3fa9c1`.
pub fn order(mut candidates: Vec<Candidate>, wanted: Option<&str>) -> Vec<Candidate> {
    if let Some(wanted) = wanted {
        candidates.retain(|candidate| candidate.is(wanted));
    }
    candidates.sort_by(|one, other| (&other.number, other.seen).cmp(&(&one.number, one.seen)));
    candidates
}

impl Candidate {
    /// Whether that is a name of it.
    pub fn is(&self, name: &str) -> bool {
        let (number, digest) = name.split_once('#').unwrap_or((name, ""));
        Number::parse(number).is_ok_and(|number| number == self.number) && self.digest.starts_with(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Number, order};

    fn candidate(number: &str, digest: &str, seen: u64) -> Candidate {
        Candidate { number: Number::parse(number).unwrap(), digest: digest.into(), seen }
    }

    fn digests(candidates: &[Candidate]) -> Vec<&str> {
        candidates.iter().map(|candidate| candidate.digest.as_str()).collect()
    }

    #[test]
    fn the_highest_number_comes_first() {
        let all = vec![candidate("1.9.0", "a", 1), candidate("1.10.0", "b", 0), candidate("1.10.0-rc.1", "c", 2)];
        assert_eq!(digests(&order(all, None)), ["b", "c", "a"]);
    }

    #[test]
    fn between_equal_numbers_the_one_seen_later_comes_first() {
        let all = vec![candidate("1.0.0", "a", 7), candidate("1.0.0", "b", 9)];
        assert_eq!(digests(&order(all, None)), ["b", "a"]);
    }

    #[test]
    fn the_configuration_may_name_one() {
        let all = vec![candidate("2.0.0", "a1", 1), candidate("1.0.0", "b2", 0), candidate("1.0.0", "c3", 2)];
        assert_eq!(digests(&order(all.clone(), Some("1.0.0"))), ["c3", "b2"]);
        assert_eq!(digests(&order(all.clone(), Some("1.0.0#b2"))), ["b2"]);
        assert!(order(all, Some("3.0.0")).is_empty());
    }
}
