//! Networks, fronts, and two residents on the same rows, as chance has them; and what must be so at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tandem_component::{CallFailure, RequestId};
use tandem_messaging::message::{Message, Phase};
use tandem_sms::{Asked, Delivered, State, Submit, Submitted, status};

use crate::support::*;

/// What is drawn.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % n
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What a network says of a part that it has.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) network: String,
    pub(crate) network_id: String,
    pub(crate) state: State,
}

pub(crate) struct World {
    pub(crate) random: Random,
    desks: Vec<Desk>,
    /// Whose rows are those of the store.
    current: usize,
    /// Submissions that are not answered: of which desk.
    asked: Vec<(usize, RequestId)>,
    /// All messages that were there, with the final state where they have one.
    pub(crate) messages: BTreeMap<String, Option<State>>,
    /// Those that wanted a receipt for the state that they have now.
    owed: BTreeSet<String>,
    /// Of which messages fronts have taken receipts.
    told: BTreeSet<String>,
    /// Messages that had ended when no network and no front was asked anything.
    over: BTreeSet<String>,
    /// How often networks have a part.
    with: BTreeMap<(String, String), u32>,
    /// What networks have to say.
    pub(crate) receipts: Vec<Said>,
    /// What phones have said and was taken; and the names under which fronts were told.
    pub(crate) phones: BTreeMap<String, Option<String>>,
    names: u32,
    /// Whether nothing goes wrong any more.
    pub(crate) calm: bool,
    works: bool,
}

impl World {
    pub(crate) fn new(config: &Value, seed: u64) -> Self {
        let mut random = Random(seed | 1);
        let (late, carries) = (if random.one_in(3) { 0 } else { seed | 1 }, random.one_in(4));
        let mut desks = vec![Desk::open(config, late, carries), Desk::open(config, late, carries)];
        desks[1].wait(APART);
        let mut world = World {
            random,
            desks,
            current: 0,
            asked: Vec::new(),
            messages: BTreeMap::new(),
            owed: BTreeSet::new(),
            told: BTreeSet::new(),
            over: BTreeSet::new(),
            with: BTreeMap::new(),
            receipts: Vec::new(),
            phones: BTreeMap::new(),
            names: 0,
            calm: false,
            works: true,
        };
        (0..2).for_each(|at| world.draw_otherwise(at));
        world
    }

    /// A session that was opened anew draws other random numbers than those before it and beside it: with the same ones it would give
    /// two messages one name, which a host never does.
    fn draw_otherwise(&mut self, at: usize) {
        let seed = self.random.below(1 << 40) as u64;
        self.desks[at].session().draw_from(seed);
    }

    /// One of the desks, with all that is stored.
    pub(crate) fn desk(&mut self, at: usize) -> &mut Desk {
        if at != self.current {
            let (one, other) = self.desks.split_at_mut(1);
            let (one, other) = (&mut one[0], &mut other[0]);
            if at == 0 {
                one.follow(other)
            } else {
                other.follow(one)
            }
            self.current = at;
        }
        &mut self.desks[at]
    }

    pub(crate) fn name(&mut self, of: &str) -> String {
        self.names += 1;
        format!("{of}{}", self.names)
    }

    pub(crate) fn store(&mut self, works: bool) {
        self.works = works;
        (0..2).for_each(|at| self.desks[at].store(works));
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        (0..2).for_each(|at| self.desk(at).wait(span));
    }

    pub(crate) fn submit(&mut self, at: usize, submit: Submit) {
        let id = self.desk(at).request("esme", &Asked::Submit(submit));
        self.asked.push((at, id));
    }

    /// Sees what was answered: what was accepted is stored.
    pub(crate) fn hear(&mut self) {
        for (at, id) in std::mem::take(&mut self.asked) {
            let Some(submitted) = self.desk(at).session().response::<Submitted>(id) else {
                self.asked.push((at, id));
                continue;
            };
            if submitted.status == status::OK {
                let rows = self.desk(at).messages();
                assert!(rows.iter().any(|row| row.id == submitted.message_id), "accepted, and not stored");
            }
        }
    }

    /// Whether nobody waits for an answer to a submission.
    pub(crate) fn is_answered(&self) -> bool {
        self.asked.is_empty()
    }

    /// The gateway is killed, and another is started.
    pub(crate) fn restart(&mut self, after: Duration) {
        let other = 1 - self.current;
        (0..2).for_each(|at| self.lose(at));
        self.desks[self.current].restart(after);
        self.desks[other] = self.desks[self.current].another();
        (0..2).for_each(|at| self.draw_otherwise(at));
        self.store(self.works);
        self.desks[other].wait(APART);
        self.current = other;
        self.asked.clear();
    }

    /// A session is gone, and another is opened in its place.
    pub(crate) fn reopen(&mut self, at: usize) {
        self.desk(1 - at);
        self.lose(at);
        self.desks[at] = self.desks[1 - at].another();
        self.draw_otherwise(at);
        self.desks[at].store(self.works);
        self.desks[at].wait(APART);
        self.current = at;
        self.asked.retain(|asked| asked.0 != at);
    }

    /// What a desk has asked and will not hear the answer to: a network may have it.
    fn lose(&mut self, at: usize) {
        self.desks[at].store(false);
        while let Some((network, told)) = self.desks[at].called() {
            if let (Told::Submit(submit), true) = (told, self.random.one_in(2)) {
                self.take_over(&network, &submit);
            }
            self.desks[at].fail(CallFailure::Ended);
        }
    }

    /// A network has a part: what it calls it.
    fn take_over(&mut self, network: &str, submit: &Submit) -> String {
        let (id, part) = submit.id.rsplit_once('/').unwrap();
        *self.with.entry((id.to_owned(), part.to_owned())).or_default() += 1;
        let network_id = self.name("n");
        let states = [State::Delivered, State::Delivered, State::Undeliverable, State::Expired];
        let state = states[self.random.below(4)];
        self.receipts.push(Said { network: network.to_owned(), network_id: network_id.clone(), state });
        network_id
    }

    /// Whoever is asked something by a desk answers. False where nobody is.
    pub(crate) fn answer(&mut self, at: usize) -> bool {
        let chance = if self.calm { 99 } else { self.random.below(16) };
        match self.desk(at).called() {
            None => return false,
            Some((network, Told::Submit(submit))) => {
                let id = submit.id.rsplit_once('/').unwrap().0;
                assert!(!self.over.contains(id), "{id} was over, and is sent");
                match chance {
                    0 => self.desk(at).refuse(status::THROTTLED),
                    1 => self.desk(at).fail(CallFailure::Down),
                    2 => self.desk(at).refuse(status::REFUSED),
                    3..5 => {
                        if self.random.one_in(2) {
                            self.take_over(&network, &submit);
                        }
                        match chance {
                            3 => self.desk(at).fail(CallFailure::TimedOut),
                            _ => self.desk(at).reply(&"nonsense"),
                        }
                    }
                    _ => {
                        let network_id = self.take_over(&network, &submit);
                        self.desk(at).take(&network_id);
                    }
                }
            }
            Some((_, Told::Deliver(deliver))) => {
                match chance {
                    0 => self.desk(at).refuse(status::LATER),
                    1 => self.desk(at).fail(CallFailure::Down),
                    2 => self.desk(at).fail(CallFailure::TimedOut),
                    3 => self.desk(at).reply(&"nonsense"),
                    _ => self.desk(at).thanks(),
                }
                match deliver.receipt {
                    Some(report) => {
                        let id = &report.message_id;
                        let known = self.messages.get(id).copied().flatten();
                        assert!(known.is_none_or(|state| state == report.state), "{id} is {known:?}, told {report:?}");
                        assert!(self.desk(at).messages().iter().all(|row| row.id != *id || row.state == report.state));
                        if chance > 3 {
                            self.told.insert(report.message_id);
                        }
                    }
                    None => {
                        let said = String::from_utf8(deliver.sms.short_message).unwrap();
                        let name = self.phones.entry(said).or_default();
                        assert!(name.as_ref().is_none_or(|name| *name == deliver.id), "one name for each");
                        *name = Some(deliver.id);
                    }
                }
            }
        }
        true
    }

    /// A network says what has become of a part. Whether it need not say so again.
    pub(crate) fn report(&mut self, at: usize, said: &Said) -> bool {
        let known = self.desk(at).parts().iter().any(|part| part.network_id == said.network_id);
        let asked = Asked::Deliver(receipt(&said.network_id, said.state));
        let id = self.desk(at).request(&said.network, &asked);
        for _ in 0..5 {
            if let Some(Delivered { status }) = self.desk(at).session().response(id) {
                assert!(!known || status != status::UNWANTED, "{said:?} is known");
                return status != status::LATER;
            }
            self.wait(Duration::from_millis(600));
        }
        panic!("no answer to {said:?}");
    }

    /// A phone says something. It says it again until somebody has it.
    pub(crate) fn phone(&mut self, at: usize) {
        let said = self.name("p");
        if self.desk(at).delivered("smsc-a", from_a_phone("100", &said)) == status::OK {
            self.phones.entry(said).or_default();
        }
    }

    /// What must be so at any time.
    pub(crate) fn look(&mut self) {
        self.hear();
        for at in 0..2 {
            let fault = self.desk(at).session().fault().cloned();
            assert_eq!(fault, None);
        }
        let mut quiet = true;
        for at in 0..2 {
            quiet &= self.desk(at).is_quiet();
        }
        let rows = self.desk(0).messages();
        for row in &rows {
            self.look_at(row);
        }
        // Both are settled: what they would still send they would have sent.
        if quiet {
            self.over.extend(self.messages.iter().filter(|(_, state)| state.is_some()).map(|(id, _)| id.clone()));
        }
        let totals = self.desk(0).totals();
        let pending = |row: &&Message| !matches!(row.phase, Phase::Accepting | Phase::Owing | Phase::Ended);
        let more = self.desk(0).more();
        let ended = more.delivered_more + more.rejected_more + more.expired_more + more.cancelled_more;
        let in_parts: i64 = rows.iter().filter(pending).map(|row| i64::from(row.more)).sum();
        assert_eq!(more.accepted_more, ended + in_parts, "{more:?}");
        let pending = i64::try_from(rows.iter().filter(pending).count()).unwrap();
        assert_eq!(totals.accepted, totals.ended() + pending, "{totals:?}");
        assert_eq!(self.desk(0).waiting(), pending, "as many wait as are counted to");
        let accepted = rows.iter().filter(|row| row.phase == Phase::Accepting).count();
        assert_eq!(usize::try_from(totals.accepted).unwrap(), self.messages.len() - accepted);
    }

    fn look_at(&mut self, row: &Message) {
        let has_ended = matches!(row.phase, Phase::Ending | Phase::Owing | Phase::Ended);
        assert_eq!(has_ended, row.state != State::Enroute, "{row:?}");
        let known = self.messages.entry(row.id.clone()).or_default();
        assert!(known.is_none_or(|state| state == row.state), "{row:?} was {known:?}");
        *known = has_ended.then_some(row.state);
        let wants = row.wants_receipt == 1 || row.wants_receipt == 2 && row.state != State::Delivered;
        if has_ended && wants {
            self.owed.insert(row.id.clone());
        }
        let of_it = self.with.iter().filter(|((id, _), _)| *id == row.id);
        let most = of_it.map(|(_, times)| *times).max().unwrap_or_default();
        assert!(most <= 1 || row.maybe_twice, "{} is there {most} times, and not marked", row.id);
    }

    /// Whether all messages have ended and all fronts were told.
    pub(crate) fn is_done(&mut self) -> bool {
        let is_quiet = (0..2).all(|at| self.desk(at).is_quiet());
        let rows = self.desk(0).messages();
        is_quiet && rows.iter().all(|row| row.phase == Phase::Ended) && self.desk(0).incoming().is_empty()
    }

    /// What must be so in the end.
    pub(crate) fn look_back(&mut self) {
        assert!(self.owed.is_subset(&self.told), "{:?} were not told", self.owed.difference(&self.told));
        assert!(self.phones.values().all(Option::is_some), "{:?}", self.phones);
        let mut expected = Totals { accepted: i64::try_from(self.messages.len()).unwrap(), ..Totals::default() };
        for (id, state) in &self.messages {
            *match state.unwrap_or_else(|| panic!("{id} has not ended")) {
                State::Delivered => &mut expected.delivered,
                State::Expired => &mut expected.expired,
                State::Deleted => &mut expected.cancelled,
                _ => &mut expected.rejected,
            } += 1;
        }
        assert_eq!(self.desk(0).totals(), expected);
    }
}

/// The harness's chances are the same for all sessions: two that begin at one time would give the same names.
const APART: Duration = Duration::from_millis(7);
