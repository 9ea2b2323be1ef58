//! What a worker has taken in advance of the counts: [`Shares`]. Most admissions touch nothing else.
//!
//! A share grows as long as it is used up before its time is over, and shrinks where most of it is left then: who asks seldom
//! takes one at a time, so little is taken that nobody uses. What is left of a quota goes back to its count.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tandem_component::abi::admission;
use tandem_component::{Allowance, Limit};

use super::count::{Count, Untaken};
use super::left::{Left, allowance};
use super::terms::{Agreement, Agreements};
use super::usage::{Request, Reserved, Usage};
use super::{Moment, Refusal};
use crate::store::{Failure, Home};

/// What a worker has taken.
pub struct Shares {
    usage: Arc<Usage>,
    worker: usize,
    /// The generation of the counts when these were made.
    generation: u64,
    agreements: Arc<Agreements>,
    /// By the service's number.
    services: Vec<Service>,
    shares: Vec<Share>,
    /// What waits for a reservation, in the order in which it was asked.
    waiting: Vec<Waiting>,
}

struct Service {
    name: Arc<str>,
    /// The places of the shares of its accounts, by name.
    places: HashMap<Box<str>, usize>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The service's number.
    pub service: usize,
    /// For whom.
    pub account: &'a str,
    /// Of which sender, where it has one.
    pub sender: Option<&'a str>,
    /// How much.
    pub units: u64,
    /// Bits of [`admission`].
    pub what: u32,
}

/// What is answered.
#[derive(Debug)]
pub enum Verdict {
    /// It may be done. What is held is there until this is dropped.
    Admitted(Option<Hold>),
    /// It may not; with what an operator is told, if that was not told a moment ago.
    Refused(Refusal, Option<String>),
    /// That is known later.
    Waits,
    /// The counts cannot be kept.
    Failed(Failure),
}

/// Who asks, and what is to be told.
#[derive(Debug)]
pub struct Told {
    /// Who.
    pub home: Home,
    /// Which of its questions.
    pub number: u64,
    /// What is answered.
    pub verdict: Verdict,
    /// What is left, where that was asked.
    pub left: Option<Vec<Allowance>>,
}

/// Something that counts for as long as it is there.
#[derive(Debug)]
pub struct Hold {
    counts: Arc<[Holding]>,
    session: bool,
}

/// A count, and its terms.
#[derive(Debug)]
struct Holding {
    count: Arc<Count>,
    terms: Arc<Agreement>,
}

/// One account's, of one service.
struct Share {
    /// How many are left of what was taken …
    left: u64,
    /// … and until when, by the steady clock.
    until: u64,
    /// Nothing but the units is to be looked at.
    plain: bool,
    /// Why nothing is admitted.
    barred: Option<&'static str>,
    counts: Arc<[Holding]>,
    /// Of which of them a reservation is asked.
    asked: Vec<bool>,
    /// When the last were taken.
    taken: Moment,
    /// How many are taken next, and at most.
    size: u64,
    size_max: u64,
    /// When an operator was last told of a refusal.
    told: u64,
}

struct Waiting {
    home: Home,
    number: u64,
    service: usize,
    account: Box<str>,
    sender: Option<Box<str>>,
    units: u64,
    what: u32,
}

/// So many accounts and services a worker has shares of at most; then it begins again.
const SHARES_MAX: usize = 64 * 1024;
/// So often an operator is told of the refusals of one account and service, in nanoseconds.
const TELLING: u64 = 1_000_000_000;

impl Shares {
    /// None yet.
    pub fn new(usage: Arc<Usage>, worker: usize) -> Self {
        Shares {
            usage,
            worker,
            generation: 0,
            agreements: Arc::default(),
            services: Vec::new(),
            shares: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// All that it has, for whoever takes its worker over.
    pub fn taken_over(&mut self) -> Self {
        let none = Shares::new(Arc::clone(&self.usage), self.worker);
        std::mem::replace(self, none)
    }

    /// A moment, of the worker's time.
    #[inline]
    pub fn moment(&self, now: u64, wall: u64) -> Moment {
        self.usage.moment(now, wall)
    }

    /// Whether agreements or accounts have changed since they were [renewed](Shares::renew).
    #[inline]
    pub fn is_stale(&self) -> bool {
        self.generation != self.usage.generation()
    }

    /// Takes the agreements of a publication, and the services by number. What was taken is given back.
    pub fn renew(&mut self, look: impl FnOnce() -> (Arc<Agreements>, Vec<Arc<str>>)) {
        // First: what changes while they are looked at is seen the next time.
        self.generation = self.usage.generation();
        self.give_all_back();
        let (agreements, services) = look();
        self.agreements = agreements;
        self.services = services.into_iter().map(|name| Service { name, places: HashMap::new() }).collect();
    }

    /// Gives everything back that was taken.
    pub fn give_all_back(&mut self) {
        self.shares.drain(..).for_each(|mut share| share.expire());
        self.services.iter_mut().for_each(|service| service.places.clear());
    }

    /// Gives back what was not used in its time.
    pub fn sweep(&mut self, at: Moment) {
        self.shares.iter_mut().filter(|share| share.until <= at.steady).for_each(Share::expire);
    }

    /// Whether something may be done. What then [waits](Shares::wait) is told later.
    #[inline]
    pub fn admit(&mut self, asked: &Asked<'_>, at: Moment) -> Verdict {
        let known = self.services.get(asked.service).and_then(|service| service.places.get(asked.account));
        let Some(place) = known.copied().or_else(|| self.find(asked)) else {
            return Verdict::Failed(Failure::Unavailable("there are too many counts of agreements".to_owned()));
        };
        let share = &mut self.shares[place];
        if share.plain && asked.what & admission::HELD == 0 && asked.units <= share.left && at.steady < share.until {
            share.left -= asked.units;
            return Verdict::Admitted(None);
        }
        // Who comes later waits behind those who wait.
        if self.waiting.iter().any(|one| one.is_of(asked)) {
            return Verdict::Waits;
        }
        self.admit_slowly(place, asked, at)
    }

    /// What waits is told when more is reserved.
    pub fn wait(&mut self, asked: &Asked<'_>, home: Home, number: u64) {
        let &Asked { service, account, sender, units, what } = asked;
        let (account, sender) = (account.into(), sender.map(Into::into));
        self.waiting.push(Waiting { home, number, service, account, sender, units, what });
    }

    /// What is left after a verdict, where that was asked and there is one. What is counted is counted for all workers: this looks at
    /// each count under its lock.
    pub fn left(&self, asked: &Asked<'_>, verdict: &Verdict, at: Moment) -> Option<Vec<Allowance>> {
        let refusal = match verdict {
            _ if asked.what & admission::TELL == 0 => return None,
            Verdict::Admitted(_) => None,
            Verdict::Refused(refusal, _) => Some(*refusal),
            Verdict::Waits | Verdict::Failed(_) => return None,
        };
        let share = self.services.get(asked.service).and_then(|service| service.places.get(asked.account));
        let mut left = Left::default();
        if let Some(place) = share {
            self.shares[*place].tell_left(asked.what, at, &mut left);
        }
        Some(left.told(refusal))
    }

    /// What is to be told now that something was reserved.
    pub fn reserved(&mut self, Reserved { count, outcome }: Reserved, at: Moment) -> Vec<Told> {
        let is_it = |holding: &Holding| Arc::ptr_eq(&holding.count, &count);
        for share in &mut self.shares {
            if let Some(nth) = share.counts.iter().position(is_it) {
                share.asked[nth] = false;
            }
        }
        let (mut told, mut waiting) = (Vec::new(), std::mem::take(&mut self.waiting));
        let mut left: Vec<Waiting> = Vec::new();
        for one in waiting.drain(..) {
            let asked = one.asked();
            let Some(place) = self.find(&asked) else { continue };
            let verdict = match &outcome {
                Err(failure) if self.shares[place].counts.iter().any(is_it) => Verdict::Failed(failure.clone()),
                // In their order, where they are of one account.
                _ if left.iter().any(|other| other.is_of(&asked)) => Verdict::Waits,
                _ => self.admit_slowly(place, &asked, at),
            };
            match verdict {
                Verdict::Waits => left.push(one),
                verdict => {
                    let left = self.left(&asked, &verdict, at);
                    told.push(Told { home: one.home, number: one.number, verdict, left });
                }
            }
        }
        self.waiting = left;
        told
    }

    /// The share of an account and a service, made where there is none.
    #[cold]
    fn find(&mut self, asked: &Asked<'_>) -> Option<usize> {
        if self.shares.len() >= SHARES_MAX {
            self.give_all_back();
        }
        let Service { name, places } = self.services.get_mut(asked.service)?;
        if let Some(place) = places.get(asked.account) {
            return Some(*place);
        }
        let counts = self.usage.of(&self.agreements, asked.account, name)?;
        let barred = self.usage.barred(asked.account);
        let place = self.shares.len();
        places.insert(asked.account.into(), place);
        self.shares.push(Share::of(counts, barred));
        Some(place)
    }

    #[cold]
    fn admit_slowly(&mut self, place: usize, asked: &Asked<'_>, at: Moment) -> Verdict {
        let share = &mut self.shares[place];
        match share.admit(asked, at, &self.usage, self.worker) {
            Verdict::Refused(refusal, Some(which)) => {
                let told = share.tell(at).then(|| {
                    let service = &self.services[asked.service].name;
                    let Asked { account, .. } = asked;
                    format!("service.{service}: account {account:?}: {which}{}", frees(refusal))
                });
                Verdict::Refused(refusal, told)
            }
            verdict => verdict,
        }
    }
}

impl Share {
    fn of(counts: Vec<(Arc<Count>, Arc<Agreement>)>, barred: Option<&'static str>) -> Self {
        let size_max = counts.iter().map(|(_, terms)| terms.share()).min().unwrap_or(u64::MAX);
        let free = counts.is_empty() && barred.is_none();
        let plain = barred.is_none() && counts.iter().all(|(_, terms)| !terms.asks_senders());
        Share {
            // Where nothing is counted there is no end of it.
            left: if free { u64::MAX } else { 0 },
            until: if free { u64::MAX } else { 0 },
            plain,
            barred,
            asked: vec![false; counts.len()],
            counts: counts.into_iter().map(|(count, terms)| Holding { count, terms }).collect(),
            taken: Moment { steady: 0, wall: 0 },
            size: 1,
            size_max,
            told: 0,
        }
    }

    /// Whether something may be done. A refusal says which agreement it is.
    fn admit(&mut self, asked: &Asked<'_>, at: Moment, usage: &Usage, worker: usize) -> Verdict {
        if let Some(why) = self.barred {
            let refusal = Refusal { limit: Limit::Suspended, frees_at: None };
            return Verdict::Refused(refusal, Some(why.to_owned()));
        }
        if let Some(sender) = asked.sender
            && let Some(holding) = self.counts.iter().find(|holding| !holding.terms.allows_sender(sender))
        {
            // As a literal: the peer chooses it.
            let more = format!(", sender {:?}", sender.chars().take(32).collect::<String>());
            return holding.refuses(Refusal { limit: Limit::Sender, frees_at: None }, &more);
        }
        // Of what takes no units, a session above all, nobody else looks at the hours.
        if asked.units == 0
            && let Some((holding, opens)) = self.counts.iter().find_map(|it| Some((it, it.closed(at.wall)?)))
        {
            return holding.refuses(Refusal { limit: Limit::TimeOfDay, frees_at: Some(opens) }, "");
        }
        let hold = match asked.what & (admission::HELD | admission::SESSION) {
            0 => None,
            what => match Hold::of(&self.counts, what & admission::SESSION != 0) {
                Ok(hold) => Some(hold),
                Err(refused) => return refused,
            },
        };
        if asked.what & admission::SESSION == 0
            && let Err(verdict) = self.use_units(asked.units, at, usage, worker)
        {
            return verdict;
        }
        Verdict::Admitted(hold)
    }

    fn use_units(&mut self, units: u64, at: Moment, usage: &Usage, worker: usize) -> Result<(), Verdict> {
        if at.steady >= self.until {
            self.expire();
        } else if units > self.left {
            // Used up in its time.
            self.size = self.size.saturating_mul(2).min(self.size_max);
        }
        if units > self.left {
            self.take(units - self.left, at, usage, worker)?;
        }
        self.left -= units;
        Ok(())
    }

    /// Takes so many of each count, and more in advance.
    fn take(&mut self, least: u64, at: Moment, usage: &Usage, worker: usize) -> Result<(), Verdict> {
        let mut units = least.max(self.size);
        let mut until = if self.left > 0 { self.until } else { u64::MAX };
        for (nth, holding) in self.counts.iter().enumerate() {
            let Holding { count, terms } = holding;
            let mut ask = |need| {
                if !std::mem::replace(&mut self.asked[nth], true) {
                    let (count, terms) = (Arc::clone(count), Arc::clone(terms));
                    usage.ask(Request { count, terms, at, need, worker });
                }
            };
            match count.take(terms, at, least, units, usage.workers) {
                Ok(taken) => {
                    if taken.reserve {
                        ask(0);
                    }
                    // Those before have given more than this one.
                    let surplus = units - taken.units;
                    self.counts[..nth].iter().for_each(|holding| holding.give_back(at, surplus));
                    (units, until) = (taken.units, until.min(taken.until));
                }
                Err(untaken) => {
                    self.counts[..nth].iter().for_each(|holding| holding.give_back(at, units));
                    return Err(match untaken {
                        Untaken::Refused(refusal) => holding.refuses(refusal, ""),
                        Untaken::Unreserved => {
                            ask(least);
                            Verdict::Waits
                        }
                    });
                }
            }
        }
        (self.left, self.until, self.taken) = (self.left + units, until, at);
        Ok(())
    }

    /// What is left, of what is asked.
    fn tell_left(&self, what: u32, at: Moment, left: &mut Left) {
        if self.barred.is_some() {
            return;
        }
        let taken = if at.steady < self.until { self.left } else { 0 };
        let session = what & admission::SESSION != 0;
        for holding in self.counts.iter() {
            if !session {
                holding.count.tell(&holding.terms, at, taken, left);
            }
            if what & (admission::HELD | admission::SESSION) != 0
                && let Some(limit) = holding.limit(session)
            {
                let now = Hold::counter(holding, session).load(std::sync::atomic::Ordering::Relaxed);
                let which = if session { Limit::Sessions } else { Limit::Concurrent };
                left.add(allowance(which, (limit, 0), limit.saturating_sub(now), None));
            }
        }
    }

    /// Gives back what was not used in its time.
    fn expire(&mut self) {
        let left = std::mem::take(&mut self.left);
        if self.counts.is_empty() || left == 0 {
            return;
        }
        if left > self.size / 2 {
            self.size = (self.size / 2).max(1);
        }
        for Holding { count, terms } in self.counts.iter() {
            count.give_back(terms, self.taken, left, false);
        }
    }

    /// Whether an operator is to be told of a refusal.
    fn tell(&mut self, at: Moment) -> bool {
        let due = at.steady.saturating_sub(self.told) >= TELLING;
        if due {
            self.told = at.steady;
        }
        due
    }
}

impl Holding {
    fn give_back(&self, at: Moment, units: u64) {
        if units > 0 {
            self.count.give_back(&self.terms, at, units, true);
        }
    }

    fn refuses(&self, refusal: Refusal, more: &str) -> Verdict {
        self.count.refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Verdict::Refused(refusal, Some(format!("agreement.{}: {}{more}", self.count.key.agreement, refusal.limit)))
    }

    /// When its hours begin, where it is none of them.
    fn closed(&self, wall: u64) -> Option<u64> {
        self.terms.hours?.open_until(wall).err()
    }

    fn limit(&self, session: bool) -> Option<u64> {
        if session { self.terms.sessions } else { self.terms.concurrent }
    }
}

impl Hold {
    /// Whether it is of a session, and not of an exchange.
    pub fn is_session(&self) -> bool {
        self.session
    }

    /// Counts one more, of each; or of none.
    fn of(counts: &Arc<[Holding]>, session: bool) -> Result<Self, Verdict> {
        for (nth, holding) in counts.iter().enumerate() {
            if !Count::enter(Hold::counter(holding, session), holding.limit(session)) {
                counts[..nth].iter().for_each(|holding| Count::leave(Hold::counter(holding, session)));
                let limit = if session { Limit::Sessions } else { Limit::Concurrent };
                return Err(holding.refuses(Refusal { limit, frees_at: None }, ""));
            }
        }
        Ok(Hold { counts: Arc::clone(counts), session })
    }

    fn counter(holding: &Holding, session: bool) -> &std::sync::atomic::AtomicU64 {
        if session { &holding.count.sessions } else { &holding.count.concurrent }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.counts.iter().for_each(|holding| Count::leave(Hold::counter(holding, self.session)));
    }
}

impl Waiting {
    fn asked(&self) -> Asked<'_> {
        let Waiting { service, account, sender, units, what, .. } = self;
        Asked { service: *service, account, sender: sender.as_deref(), units: *units, what: *what }
    }

    fn is_of(&self, asked: &Asked<'_>) -> bool {
        self.service == asked.service && *self.account == *asked.account
    }
}

/// When it frees, as an operator reads it.
fn frees(refusal: Refusal) -> String {
    refusal.frees_at.map_or_else(String::new, |at| {
        format!(", until {}", humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_nanos(at)))
    })
}
