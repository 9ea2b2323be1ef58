//! The harness's agreements: a test says what is refused, and sees what was admitted.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::Harness;
use crate::abi::{RawEvent, admission, kind};
use crate::admission::Limit;
use crate::allowance::Allowance;
use crate::component::{Component, Time};

/// What the session was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// For whom.
    pub account: String,
    /// Of which sender, where it has one.
    pub sender: Option<String>,
    /// How much it counts.
    pub units: u64,
    /// Whether it is a session.
    pub session: bool,
    /// Whether it is still held.
    pub held: bool,
    token: u64,
}

/// What is admitted, and what was.
#[derive(Default)]
pub(super) struct Admissions {
    refused: Option<(Limit, Option<Duration>)>,
    suspended: BTreeSet<String>,
    admitted: Vec<Admitted>,
    left: Vec<Allowance>,
    /// What is told with an answer, by token.
    told: HashMap<u64, Vec<u8>>,
}

impl<C: Component> Harness<C> {
    /// From now on nothing is admitted, for this limit, which frees after so long; or everything again, with `None`.
    pub fn refuse_admissions(&mut self, refused: Option<(Limit, Option<Duration>)>) {
        self.host.admissions.refused = refused;
    }

    /// From now on so much is left, and whoever asks is told. An admission takes its units of each; what takes more than there are
    /// is refused.
    pub fn allow(&mut self, left: &[Allowance]) {
        self.host.admissions.left = left.to_vec();
    }

    /// All that was admitted, in the order in which it was asked.
    pub fn admitted(&mut self) -> &[Admitted] {
        self.settle();
        &self.host.admissions.admitted
    }
}

impl Admissions {
    pub(super) fn admit(
        &mut self,
        account: &str,
        sender: &str,
        units: u64,
        what: u32,
        token: u64,
        now: u64,
    ) -> RawEvent<'static> {
        let answer = RawEvent { token, ..RawEvent::new(kind::ADMITTED, 0) };
        let suspended = self.suspended.contains(account).then_some((Limit::Suspended, 0));
        let refused = self.refused.map(|(limit, frees)| {
            let at = |span: Duration| now.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
            (limit, frees.map_or(0, at))
        });
        let used_up = self.left.iter().position(|allowance| allowance.left < units);
        if let Some(at) = used_up {
            self.left[..=at].rotate_right(1);
        }
        let used_up = used_up.map(|_| (self.left[0].limit, self.left[0].frees_at.map_or(0, Time::nanos)));
        let refused = suspended.or(refused).or(used_up);
        if refused.is_none() {
            self.left.iter_mut().for_each(|allowance| allowance.left -= units);
        }
        if what & admission::TELL != 0 {
            self.told.insert(token, Allowance::write(&self.left));
        }
        if let Some((limit, frees)) = refused {
            return RawEvent { detail: limit.number(), number: frees, ..answer };
        }
        self.admitted.push(Admitted {
            account: account.to_owned(),
            sender: (what & admission::SENDER != 0).then(|| sender.to_owned()),
            units,
            session: what & admission::SESSION != 0,
            held: what & admission::HELD != 0,
            token,
        });
        answer
    }

    pub(super) fn done(&mut self, token: u64) {
        self.admitted.iter_mut().filter(|one| one.token == token).for_each(|one| one.held = false);
    }

    /// What is told with the answer.
    pub(super) fn take_told(&mut self, token: u64) -> Vec<u8> {
        self.told.remove(&token).unwrap_or_default()
    }

    /// The answer is given again.
    pub(super) fn tell_again(&mut self, event: &RawEvent<'_>) {
        self.told.insert(event.token, event.more.as_slice().to_vec());
    }

    /// The question is taken back: what it was answered counts no more.
    pub(super) fn cancel(&mut self, token: u64) {
        self.told.remove(&token);
        self.done(token);
    }

    pub(super) fn suspend(&mut self, name: &str) {
        self.suspended.insert(name.to_owned());
    }
}
