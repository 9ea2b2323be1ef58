//! What waits to be verified: [`Queue`]. Pure; the threads around it are in `verifiers`.
//!
//! - Each account has a lane of its own, and the lanes have turns: whoever tries secrets on one keeps no other waiting. Names
//!   that are no account's share a few lanes.
//! - A lane, the lanes together, and those who wait for one answer have bounds. Beyond them an asker is turned away at once.
//! - Who asks what is being verified already waits for that answer: a thousand connections of one account are one verification.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use blake3::Hash;
use zeroize::Zeroizing;

use super::Account;

/// What is to be verified.
pub struct Subject {
    /// The name that was said.
    pub name: String,
    /// The account of that name; `None` where there is none.
    pub account: Option<Account>,
    /// The secret that was said.
    pub(super) secret: Zeroizing<Vec<u8>>,
}

/// Where an asker stands in line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// An account's own.
    Account(String),
    /// One of those for names that are no account's.
    Nobody(u8),
}

/// So many lanes are there for names that are no account's.
pub(super) const NOBODYS: u8 = 8;
/// So many verifications may wait in a lane, one that is under way not counted.
pub(super) const LANE_MAX: usize = 8;
/// So many may wait or be under way in all.
pub(super) const ALL_MAX: usize = 1024;
/// So many may wait for answers in all.
pub(super) const ASKERS_MAX: usize = 16 * 1024;

/// Why an asker is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Too many secrets are tried on one account.
    #[error("{LANE_MAX} other secrets of this account wait to be verified")]
    Lane,
    /// Too many are tried in all.
    #[error("too many wait to be authenticated")]
    All,
}

/// What waits, and who for it. `A` is an asker.
pub(super) struct Queue<A> {
    lanes: BTreeMap<Lane, VecDeque<Hash>>,
    /// The lanes in which something waits, in the order of their turns.
    turns: VecDeque<Lane>,
    /// What waits or is under way. By a MAC, so how its comparison takes its time says nothing.
    verifications: HashMap<Hash, Verification<A>>,
    askers: usize,
}

struct Verification<A> {
    subject: Arc<Subject>,
    askers: Vec<A>,
}

impl<A> Default for Queue<A> {
    fn default() -> Self {
        Queue { lanes: BTreeMap::new(), turns: VecDeque::new(), verifications: HashMap::new(), askers: 0 }
    }
}

impl<A> Queue<A> {
    /// Puts an asker in line; true where a thread has something more to do.
    ///
    /// # Errors
    /// There is no room.
    pub(super) fn push(
        &mut self,
        mac: Hash,
        lane: Lane,
        asker: A,
        subject: impl FnOnce() -> Subject,
    ) -> Result<bool, Full> {
        if self.askers >= ASKERS_MAX {
            return Err(Full::All);
        }
        if let Some(verification) = self.verifications.get_mut(&mac) {
            verification.askers.push(asker);
            self.askers += 1;
            return Ok(false);
        }
        if self.verifications.len() >= ALL_MAX {
            return Err(Full::All);
        }
        let waiting = self.lanes.entry(lane.clone()).or_default();
        if waiting.len() >= LANE_MAX {
            return Err(Full::Lane);
        }
        if waiting.is_empty() {
            self.turns.push_back(lane);
        }
        waiting.push_back(mac);
        self.verifications.insert(mac, Verification { subject: Arc::new(subject()), askers: vec![asker] });
        self.askers += 1;
        Ok(true)
    }

    /// Takes what is to be verified next. It is under way until it is [finished](Queue::finish).
    pub(super) fn take(&mut self) -> Option<(Hash, Arc<Subject>)> {
        let lane = self.turns.pop_front()?;
        let waiting = self.lanes.get_mut(&lane)?;
        let mac = waiting.pop_front()?;
        if waiting.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.turns.push_back(lane);
        }
        let subject = Arc::clone(&self.verifications.get(&mac)?.subject);
        Some((mac, subject))
    }

    /// Takes those who waited for it.
    pub(super) fn finish(&mut self, mac: Hash) -> Vec<A> {
        let askers = self.verifications.remove(&mac).map(|verification| verification.askers).unwrap_or_default();
        self.askers -= askers.len();
        askers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Line {
        queue: Queue<u32>,
        asked: u32,
    }

    impl Line {
        /// The `n`th secret of an account is tried, by the asker with the next number.
        fn ask(&mut self, name: &str, n: u32) -> Result<bool, Full> {
            self.asked += 1;
            let lane = Lane::Account(name.to_owned());
            let subject = || Subject { name: name.to_owned(), account: None, secret: Zeroizing::default() };
            self.queue.push(blake3::hash(format!("{name} {n}").as_bytes()), lane, self.asked, subject)
        }

        fn next(&mut self) -> Option<(String, Vec<u32>)> {
            let (mac, subject) = self.queue.take()?;
            Some((subject.name.clone(), self.queue.finish(mac)))
        }
    }

    #[test]
    fn accounts_have_turns() {
        let mut line = Line::default();
        for n in 0..4 {
            line.ask("loud", n).unwrap();
        }
        line.ask("a", 0).unwrap();
        line.ask("b", 0).unwrap();
        let order: Vec<String> = std::iter::from_fn(|| line.next()).map(|(name, _)| name).collect();
        assert_eq!(order, ["loud", "a", "b", "loud", "loud", "loud"]);
        assert!(line.queue.lanes.is_empty() && line.queue.verifications.is_empty() && line.queue.askers == 0);
    }

    #[test]
    fn who_asks_what_is_being_verified_waits_for_the_same_answer() {
        let mut line = Line::default();
        assert_eq!(line.ask("a", 0), Ok(true));
        assert_eq!(line.ask("a", 0), Ok(false));
        let (mac, _) = line.queue.take().unwrap();
        assert_eq!(line.ask("a", 0), Ok(false), "also while it is under way");
        assert_eq!(line.queue.finish(mac), [1, 2, 3]);
        assert_eq!(line.ask("a", 0), Ok(true), "but not afterwards");
    }

    #[test]
    fn a_lane_has_a_bound_that_is_no_others() {
        let mut line = Line::default();
        for n in 0..LANE_MAX as u32 {
            line.ask("a", n).unwrap();
        }
        assert_eq!(line.ask("a", 100), Err(Full::Lane));
        assert_eq!(line.ask("a", 1), Ok(false), "what waits already takes no room");
        assert_eq!(line.ask("b", 0), Ok(true));
        line.next().unwrap();
        assert_eq!(line.ask("a", 100), Ok(true));
    }

    #[test]
    fn all_together_have_bounds() {
        let mut line = Line::default();
        for n in 0..ALL_MAX {
            line.ask(&n.to_string(), 0).unwrap();
        }
        assert_eq!(line.ask("another", 0), Err(Full::All));
        for _ in ALL_MAX..ASKERS_MAX {
            line.ask("0", 0).unwrap();
        }
        assert_eq!(line.ask("0", 0), Err(Full::All));
        while line.next().is_some() {}
        assert_eq!(line.ask("another", 0), Ok(true));
    }
}
