//! Which exchanges bad versions may fail while they are deployed under traffic: [`Blame`]. Peers ask it whenever one of theirs has failed;
//! whoever deploys says what is bad, from when to when.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A component, by its place in the list of those that are deployed.
type Which = usize;

/// What is bad now, and what was.
#[derive(Debug, Default)]
pub struct Blame(Mutex<State>);

/// Whose sessions a bad version fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of all peers.
    All,
    /// Those that open on it. Those that are there go on with it, or stay where they are.
    New,
}

/// How an exchange has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Answered by the version that serves.
    Active,
    /// Answered by a bad version.
    Bad,
    /// Answered by either: nobody can tell.
    Either,
    /// Not answered as it should be.
    Failed,
}

/// How often a bad version has come and gone, of each component and for each reach: odd while one is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    all: [u64; 4],
    new: [u64; 4],
}

/// How a bad version was got rid of.
#[derive(Clone, Copy, Debug)]
pub struct TakenBack {
    /// How long after the first exchange that it has failed; where it failed none, after it was deployed.
    pub after: Duration,
    /// How long after the hundredth, where there were as many.
    pub after_hundred: Option<Duration>,
    /// How many exchanges failed.
    pub failed: u64,
}

/// What is seen of all bad canaries together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shares {
    /// How many there were.
    pub canaries: u64,
    /// How many of the peers were theirs: had an exchange with one, or one that failed.
    pub theirs: u64,
    /// How many peers were certainly asked beside one, and answered by what serves.
    pub spared: u64,
}

#[derive(Debug, Default)]
struct State {
    /// How the bad version that came last breaks.
    breaks: &'static str,
    turns: Turns,
    begun: Option<Instant>,
    first: Option<Instant>,
    hundredth: Option<Instant>,
    failed: u64,
    said: BTreeMap<(Which, u64), Vec<Said>>,
    canaries: Vec<Canary>,
}

/// One exchange beside a bad version.
#[derive(Debug)]
struct Said {
    peer: Ipv4Addr,
    begun: Instant,
    ended: Instant,
    by: By,
}

/// A bad canary, and when it was certainly out.
#[derive(Debug)]
struct Canary {
    which: Which,
    turn: u64,
    from: Instant,
    until: Instant,
}

impl Turns {
    /// The turn of the bad version that new sessions may have been opened on, of those that were opened between this and then.
    pub fn born_with(&self, then: &Turns, which: Which) -> Option<u64> {
        let (before, after) = (self.new[which], then.new[which]);
        (before % 2 == 1 || before != after).then_some(before | 1)
    }
}

impl Blame {
    /// What has come and gone so far.
    pub fn now(&self) -> Turns {
        self.state().turns
    }

    /// A bad version is about to be deployed.
    pub fn begins(&self, which: Which, reach: Reach, breaks: &'static str) {
        let mut state = self.state();
        *state.turn(which, reach) += 1;
        state.breaks = breaks;
        (state.begun, state.first, state.hundredth, state.failed) = (Some(Instant::now()), None, None, 0);
    }

    /// By whom an exchange was answered that went well, of a session that was opened for it, or of one that may have stood before: what a
    /// version refuses to take over stays where it is, and is well there.
    pub fn well(&self, opened: bool) -> By {
        match self.state().breaks {
            "seldom" | "overruns" => By::Either,
            "opens" if !opened => By::Either,
            _ => By::Active,
        }
    }

    /// It is gone. A canary was certainly out in between these times.
    pub fn ends(&self, which: Which, reach: Reach, canary: Option<(Instant, Instant)>) -> TakenBack {
        let mut state = self.state();
        let turn = *state.turn(which, reach);
        *state.turn(which, reach) += 1;
        state.canaries.extend(canary.map(|(from, until)| Canary { which, turn, from, until }));
        let since = state.first.or(state.begun).expect("it has begun");
        let after_hundred = state.hundredth.map(|at| at.elapsed());
        TakenBack { after: since.elapsed(), after_hundred, failed: state.failed }
    }

    /// An exchange has failed of a session that was last seen to be well when so much had come and gone. Its way led through these
    /// components, all of them or, where the session was opened on a bad version, by `born` with that.
    ///
    /// # Panics
    /// Where no bad version can have done it.
    #[track_caller]
    pub fn must_have_failed(&self, since: &Turns, way: &[Which], born: impl Fn(Which, u64) -> bool, what: &str) {
        let mut state = self.state();
        let now = state.turns;
        let all = |which: &Which| since.all[*which] % 2 == 1 || since.all[*which] != now.all[*which];
        let new = |which: &Which| {
            let (before, after) = (since.new[*which], now.new[*which]);
            (before % 2 == 1 || before != after) && born(*which, before | 1)
        };
        assert!(
            way.iter().any(|which| all(which) || new(which)),
            "no bad version is there: {what}: {since:?}, {now:?}"
        );
        state.first.get_or_insert_with(Instant::now);
        state.failed += 1;
        if state.failed == 100 {
            state.hundredth = Some(Instant::now());
        }
    }

    /// An exchange of a peer that asks in sessions of its own, which began when so much had come and gone, has ended.
    pub fn says(&self, which: Which, before: &Turns, peer: Ipv4Addr, begun: Instant, by: By) {
        let mut state = self.state();
        if before.new[which] % 2 == 1 || before.new[which] != state.turns.new[which] {
            let said = Said { peer, begun, ended: Instant::now(), by };
            state.said.entry((which, before.new[which] | 1)).or_default().push(said);
        }
    }

    /// What became of peers beside all the bad canaries.
    ///
    /// # Panics
    /// Where a peer of one was also the version's that serves, while the canary was certainly out.
    pub fn shares(&self) -> Shares {
        let state = self.state();
        let mut shares = Shares { canaries: state.canaries.len() as u64, ..Shares::default() };
        for canary in &state.canaries {
            let said = state.said.get(&(canary.which, canary.turn)).map(Vec::as_slice).unwrap_or_default();
            let out = |one: &&Said| one.begun >= canary.from && one.ended <= canary.until;
            let spared: BTreeSet<Ipv4Addr> =
                said.iter().filter(out).filter(|one| one.by == By::Active).map(|one| one.peer).collect();
            let bad = said.iter().filter(|one| matches!(one.by, By::Bad | By::Failed));
            let theirs: BTreeSet<Ipv4Addr> = bad.map(|one| one.peer).collect();
            let both: Vec<&Ipv4Addr> = spared.intersection(&theirs).collect();
            assert!(both.is_empty(), "{both:?} were no peers of {canary:?}, and had to do with it");
            shares.theirs += theirs.len() as u64;
            shares.spared += spared.len() as u64;
        }
        shares
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn turn(&mut self, which: Which, reach: Reach) -> &mut u64 {
        match reach {
            Reach::All => &mut self.turns.all[which],
            Reach::New => &mut self.turns.new[which],
        }
    }
}
