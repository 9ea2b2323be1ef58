//! What is left of an account's agreements, where somebody asks: the [`Allowance`]s of all its counts, one for each limit.

use std::time::Duration;

use tandem_component::{Allowance, Limit, Time};

use super::Refusal;

/// What is left, one for each limit.
#[derive(Debug, Default)]
pub struct Left(Vec<Allowance>);

impl Left {
    /// Adds one. Of two of one limit that of which the least is left is the one that holds.
    pub fn add(&mut self, allowance: Allowance) {
        match self.0.iter_mut().find(|other| other.limit == allowance.limit) {
            Some(other) if (allowance.left, allowance.of) < (other.left, other.of) => *other = allowance,
            Some(_) => {}
            None => self.0.push(allowance),
        }
    }

    /// The one that is closest to its end first; of those, one that has refused is before all others, and frees when the refusal says.
    pub fn told(mut self, refusal: Option<Refusal>) -> Vec<Allowance> {
        // Of two fractions by their cross products.
        self.0.sort_by(|one, other| {
            let used = |left: u64, of: u64| u128::from(left) * u128::from(of.max(1));
            used(one.left, other.of).cmp(&used(other.left, one.of))
        });
        let Some(Refusal { limit, frees_at }) = refusal else { return self.0 };
        if limit == Limit::TimeOfDay {
            self.0.insert(0, Allowance::none_of(limit));
        } else if let Some(at) = self.0.iter().position(|allowance| allowance.limit == limit) {
            self.0[..=at].rotate_right(1);
        } else {
            return self.0;
        }
        self.0[0].frees_at = frees_at.map(Time::from_nanos);
        self.0
    }
}

/// Of so many in so many nanoseconds, until it frees by the time of day.
pub fn allowance(limit: Limit, (of, per): (u64, u64), left: u64, frees_at: Option<u64>) -> Allowance {
    let per = (per > 0).then(|| Duration::from_nanos(per));
    Allowance { limit, of, per, left: left.min(of), frees_at: frees_at.map(Time::from_nanos) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(limit: Limit, of: u64, left: u64) -> Allowance {
        allowance(limit, (of, 1), left, None)
    }

    fn told(all: &[Allowance], refusal: Option<Refusal>) -> Vec<Allowance> {
        let mut left = Left::default();
        all.iter().for_each(|one| left.add(*one));
        left.told(refusal)
    }

    #[test]
    fn of_two_agreements_the_one_with_less_left_holds() {
        let own = of(Limit::Day, 100, 50);
        let groups = of(Limit::Day, 1000, 49);
        assert_eq!(told(&[own, groups], None), [groups]);
        assert_eq!(told(&[groups, own], None), [groups]);
    }

    #[test]
    fn what_is_closest_to_its_end_is_first_and_what_has_refused_before_that() {
        let (minute, day) = (of(Limit::Minute, 10, 5), of(Limit::Day, 1000, 400));
        assert_eq!(told(&[minute, day], None), [day, minute]);
        let refusal = Refusal { limit: Limit::Minute, frees_at: Some(7) };
        let minute = Allowance { frees_at: Some(Time::from_nanos(7)), ..minute };
        assert_eq!(told(&[minute, day], Some(refusal)), [minute, day]);
        let closed = Refusal { limit: Limit::TimeOfDay, frees_at: Some(8) };
        let first = told(&[day], Some(closed))[0];
        assert_eq!((first.limit, first.left, first.frees_at), (Limit::TimeOfDay, 0, Some(Time::from_nanos(8))));
        let sender = Refusal { limit: Limit::Sender, frees_at: None };
        assert_eq!(told(&[day], Some(sender)), [day], "a sender is not a matter of how many");
    }
}
