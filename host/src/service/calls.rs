//! Whom a call to a service goes to: [`Callees`], the sessions that take requests, as one worker knows them.

use std::collections::HashMap;
use std::sync::Arc;

use tandem_component::abi::About;

use crate::clock::Nanos;
use crate::store::Home;

/// What one session asks of a service, on its way to the session that answers.
#[derive(Debug)]
pub struct Request {
    /// Its number, unique in this run of the host.
    pub id: u64,
    /// The place of the service that is asked in the snapshot.
    pub service: usize,
    /// Who asks, for whom, and what it is a part of: the bytes of an `About`.
    pub about: Arc<[u8]>,
    /// The session that asks.
    pub caller: Home,
    /// Until when it waits.
    pub deadline: Nanos,
    /// The same by the time of day, in nanoseconds since 1970.
    pub until: u64,
    /// How many requests wait for each other, this one among them.
    pub depth: u8,
    /// By what a canary may take it, where there is something.
    pub label: Option<Box<str>>,
    /// What is asked, in MessagePack.
    pub asked: Vec<u8>,
    /// Who did not take it.
    pub tried: Vec<Home>,
}

/// The sessions that take requests, by their services.
#[derive(Debug, Default)]
pub struct Callees {
    services: HashMap<usize, Serving>,
}

/// The sessions of one service. It is kept when the last one has gone: the service is one whose sessions serve.
#[derive(Debug, Default)]
struct Serving {
    callees: Vec<Callee>,
    /// Where the next choice begins.
    turn: usize,
}

#[derive(Debug)]
struct Callee {
    home: Home,
    /// Requests that this worker has sent it and that are not answered.
    outstanding: usize,
}

impl Request {
    /// Who asks, and for whom.
    pub fn about(&self) -> Option<About<'_>> {
        About::read(&self.about)
    }
}

impl Callees {
    /// A session takes requests from now on, or no more.
    pub fn serves(&mut self, service: usize, home: Home, serving: bool) {
        let callees = &mut self.services.entry(service).or_default().callees;
        callees.retain(|callee| callee.home != home);
        if serving {
            callees.push(Callee { home, outstanding: 0 });
        }
    }

    /// Whether sessions of this service have taken requests: one that has none now is down.
    pub fn has_served(&self, service: usize) -> bool {
        self.services.contains_key(&service)
    }

    /// Forgets the services that have no callee now: another version of them may have none at all.
    pub fn forget_empty(&mut self) {
        self.services.retain(|_, serving| !serving.callees.is_empty());
    }

    /// The session that gets the next request: of those that have not been tried, the one with the fewest requests
    /// outstanding, and between equals the one whose turn it is. The request counts as outstanding until [`done`](Callees::done).
    pub fn pick(&mut self, service: usize, tried: &[Home]) -> Option<Home> {
        let Serving { callees, turn } = self.services.get_mut(&service)?;
        let count = callees.len();
        let in_turn = (0..count).map(|n| (*turn + n) % count).filter(|at| !tried.contains(&callees[*at].home));
        // One that has nothing to do is as good as any; else the first of the least, which `min_by_key` gives.
        let idle = in_turn.clone().find(|at| callees[*at].outstanding == 0);
        let at = idle.or_else(|| in_turn.min_by_key(|at| callees[*at].outstanding))?;
        *turn = at + 1;
        callees[at].outstanding += 1;
        Some(callees[at].home)
    }

    /// A request that was sent to this session is answered, or is no longer wanted.
    pub fn done(&mut self, service: usize, home: Home) {
        let callees = self.services.get_mut(&service).map(|serving| &mut serving.callees);
        // One that has ended, or was opened for the one request, is not among them.
        if let Some(callee) = callees.and_then(|callees| callees.iter_mut().find(|callee| callee.home == home)) {
            callee.outstanding = callee.outstanding.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Callees;
    use crate::store::Home;

    const fn home(session: u64) -> Home {
        Home { worker: 0, key: 0, session }
    }

    fn picks(callees: &mut Callees, n: usize, tried: &[Home]) -> Vec<u64> {
        (0..n).filter_map(|_| callees.pick(0, tried)).map(|home| home.session).collect()
    }

    fn three() -> Callees {
        let mut callees = Callees::default();
        for session in [1, 2, 3] {
            callees.serves(0, home(session), true);
        }
        callees
    }

    #[test]
    fn callees_have_their_turns() {
        let mut callees = three();
        assert_eq!(picks(&mut callees, 7, &[]), [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn the_one_with_the_fewest_outstanding_comes_first() {
        let mut callees = three();
        picks(&mut callees, 6, &[]);
        callees.done(0, home(2));
        callees.done(0, home(2));
        callees.done(0, home(3));
        assert_eq!(picks(&mut callees, 4, &[]), [2, 3, 2, 3]);
    }

    #[test]
    fn one_that_answers_at_once_has_only_its_turn() {
        let mut callees = three();
        for expected in [1, 2, 3, 1, 2] {
            assert_eq!(picks(&mut callees, 1, &[]), [expected]);
            callees.done(0, home(expected));
        }
    }

    #[test]
    fn who_was_tried_or_serves_no_more_is_left_out() {
        let mut callees = three();
        assert_eq!(picks(&mut callees, 2, &[home(1), home(3)]), [2, 2]);
        callees.serves(0, home(2), false);
        assert_eq!(picks(&mut callees, 4, &[]), [1, 3, 1, 3]);
        assert!(picks(&mut callees, 1, &[home(1), home(3)]).is_empty());
        callees.done(0, home(2));
    }

    #[test]
    fn a_service_whose_callees_have_gone_has_served() {
        let mut callees = Callees::default();
        assert!(!callees.has_served(0));
        callees.serves(0, home(1), true);
        callees.serves(0, home(1), true);
        assert_eq!(picks(&mut callees, 2, &[]), [1, 1]);
        callees.serves(0, home(1), false);
        assert!(callees.has_served(0) && !callees.has_served(1));
        assert!(picks(&mut callees, 1, &[]).is_empty());
    }
}
