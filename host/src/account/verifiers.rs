//! The threads that verify secrets: [`Verifiers`]. Slow on purpose, so never on a worker.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tandem_component::Peer;
use zeroize::Zeroizing;

use super::attempts::{Attempts, Limits};
use super::hashed::{Hashed, Verdict};
use super::queue::{Lane, NOBODYS, Queue};
use super::remembered::Remembered;
use super::{Account, SECRET_MAX};
use crate::clock::Nanos;
use crate::store::Home;
use crate::system;

pub use super::queue::{Full, Subject};

/// Who asks.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The session.
    pub home: Home,
    /// Which of its questions it is.
    pub number: u64,
    /// The service that it is a session of.
    pub service: Arc<str>,
    /// Its other side.
    pub peer: Peer,
    /// When it asks.
    pub now: Nanos,
}

/// What became of a question, for one who has asked it.
pub struct Verified {
    /// Who.
    pub asker: Asker,
    /// What was verified.
    pub subject: Arc<Subject>,
    /// Whether it is the account's secret.
    pub verdict: Verdict,
}

/// Where a worker takes what was verified for its sessions. It must not wait.
pub type Deliver = Box<dyn Fn(usize, Verified) + Send + Sync>;

/// What becomes of a question at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is the account's secret: it was verified before.
    Known,
    /// A thread will find out.
    Waits,
    /// It is not looked at before then: too many wrong ones were tried.
    PutOff(Nanos),
}

/// The threads, and what they do.
pub struct Verifiers(Arc<Shared>);

struct Shared {
    /// A lock: taken for a few operations in memory, a connection once.
    state: Mutex<State>,
    more: Condvar,
    deliver: Deliver,
    /// What is verified where there is no such account, so that it takes as long.
    nobodys: Hashed,
    /// Which lane a name that is no account's has: nobody can choose it.
    lots: RandomState,
}

struct State {
    queue: Queue<Asker>,
    remembered: Remembered,
    attempts: Attempts,
    ended: bool,
}

/// So many accounts are remembered: a few megabytes.
const REMEMBERED_MAX: usize = 32 * 1024;
/// Of so many accounts and addresses it is known what was tried.
const ATTEMPTS_MAX: usize = 64 * 1024;
/// So many threads at most: each needs what a hash says of memory, 19 MiB mostly.
const THREADS_MAX: usize = 4;

impl Verifiers {
    /// Starts threads for a machine with so many processors: half of them, that workers have the rest.
    ///
    /// # Errors
    /// No thread or no random numbers can be had.
    pub fn start(processors: usize, deliver: Deliver) -> io::Result<Self> {
        let remembered = Remembered::new(REMEMBERED_MAX).map_err(io::Error::other)?;
        let attempts = Attempts::new(Limits::default(), ATTEMPTS_MAX);
        let state = State { queue: Queue::default(), remembered, attempts, ended: false };
        let verifiers = Verifiers(Arc::new(Shared {
            state: Mutex::new(state),
            more: Condvar::new(),
            deliver,
            nobodys: Hashed::nobodys(),
            lots: RandomState::new(),
        }));
        for _ in 0..(processors / 2).clamp(1, THREADS_MAX) {
            let shared = Arc::clone(&verifiers.0);
            std::thread::Builder::new().name("verifier".into()).spawn(move || shared.run())?;
        }
        Ok(verifiers)
    }

    /// From now on so many wrong secrets may be tried.
    pub fn limit(&self, limits: Limits) {
        self.0.state().attempts.limit(limits);
    }

    /// Asks whether a secret is an account's; of none it never is. Only where it is `hasty` is it answered by what is
    /// remembered.
    ///
    /// # Errors
    /// Too many ask.
    pub fn ask(
        &self,
        name: &str,
        secret: &[u8],
        account: Option<Account>,
        hasty: bool,
        asker: Asker,
    ) -> Result<Asked, Full> {
        // What is longer is nobody's: `Hashed` makes nothing of it.
        let account = account.filter(|_| secret.len() <= SECRET_MAX);
        let secret = &secret[..secret.len().min(SECRET_MAX)];
        let mut state = self.0.state();
        if let Err(until) = state.attempts.may_try(name, asker.peer, asker.now) {
            return Ok(Asked::PutOff(until));
        }
        let hashed = account.as_ref().map_or(&self.0.nobodys, |account| &account.secret);
        let mac = state.remembered.mac(name, hashed, secret);
        if hasty && account.is_some() && state.remembered.knows(name, mac) {
            state.attempts.right(name, asker.peer);
            return Ok(Asked::Known);
        }
        let lane = match account {
            Some(_) => Lane::Account(name.to_owned()),
            None => Lane::Nobody((self.0.lots.hash_one(name) % u64::from(NOBODYS)) as u8),
        };
        let subject = || Subject { name: name.to_owned(), account, secret: Zeroizing::new(secret.to_vec()) };
        if state.queue.push(mac, lane, asker, subject)? {
            self.0.more.notify_one();
        }
        Ok(Asked::Waits)
    }
}

impl Drop for Verifiers {
    /// What is being verified is still answered; what waits is not.
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.more.notify_all();
    }
}

impl Shared {
    fn run(&self) {
        // Nobody's traffic waits for a secret that is tried.
        if let Err(error) = system::give_way() {
            tracing::debug!("a verifier keeps its priority: {error}");
        }
        while let Some((mac, subject)) = self.next() {
            let verdict = self.verify(&subject);
            let askers = {
                let mut state = self.state();
                let askers = state.queue.finish(mac);
                if verdict == Verdict::Right {
                    state.remembered.keep(&subject.name, mac);
                }
                // Whoever asked it on many connections has tried one secret.
                let peers: BTreeMap<_, &Asker> = askers.iter().map(|asker| (asker.peer.ip(), asker)).collect();
                for Asker { peer, now, .. } in peers.into_values() {
                    match verdict {
                        Verdict::Right => state.attempts.right(&subject.name, *peer),
                        Verdict::Wrong => state.attempts.wrong(&subject.name, *peer, *now),
                        Verdict::Undecided => {}
                    }
                }
                askers
            };
            for asker in askers {
                let worker = asker.home.worker;
                (self.deliver)(worker, Verified { asker, subject: Arc::clone(&subject), verdict });
            }
        }
    }

    fn next(&self) -> Option<(blake3::Hash, Arc<Subject>)> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if let Some(next) = state.queue.take() {
                return Some(next);
            }
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn verify(&self, subject: &Subject) -> Verdict {
        match &subject.account {
            Some(account) => account.secret.verify(&subject.secret),
            None => match self.nobodys.verify(&subject.secret) {
                Verdict::Right => Verdict::Wrong,
                verdict => verdict,
            },
        }
    }

    /// A poisoned lock is one whose holder panicked between two whole operations.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    fn start() -> (Verifiers, Receiver<Verified>) {
        let (told, tell) = channel();
        let deliver = move |_, verified| told.send(verified).unwrap();
        (Verifiers::start(2, Box::new(deliver)).unwrap(), tell)
    }

    fn account(secret: &str) -> Account {
        Account { secret: Hashed::of(secret.as_bytes()).unwrap(), services: None, suspended: false }
    }

    fn asker(number: u64) -> Asker {
        let home = Home { worker: 0, key: 0, session: 0 };
        // Long after the last one, so that none is put off.
        Asker { home, number, service: "x".into(), peer: Peer::Unix, now: number * 3_600_000_000_000 }
    }

    #[test]
    fn what_was_verified_is_known_and_what_was_wrong_is_verified_again() {
        let (verifiers, told) = start();
        let acme = account("right");
        let mut number = 0;
        let mut ask = |name: &str, secret: &str, account: Option<&Account>, hasty| {
            number += 1;
            let asked = verifiers.ask(name, secret.as_bytes(), account.cloned(), hasty, asker(number)).unwrap();
            let told = (asked == Asked::Waits).then(|| told.recv_timeout(SOON).unwrap());
            assert!(told.as_ref().is_none_or(|told| told.asker.number == number && told.subject.name == name));
            (asked, told.map(|told| told.verdict))
        };
        for _ in 0..2 {
            assert_eq!(ask("acme", "wrong", Some(&acme), true), (Asked::Waits, Some(Verdict::Wrong)));
            assert_eq!(ask("nobody", "right", None, true), (Asked::Waits, Some(Verdict::Wrong)));
        }
        assert_eq!(ask("acme", "right", Some(&acme), true), (Asked::Waits, Some(Verdict::Right)));
        assert_eq!(ask("acme", "right", Some(&acme), true), (Asked::Known, None));
        assert_eq!(ask("acme", "right", Some(&acme), false), (Asked::Waits, Some(Verdict::Right)));
        assert_eq!(ask("acme", "wrong", Some(&acme), true), (Asked::Waits, Some(Verdict::Wrong)));
        assert_eq!(ask("acme", "right", None, true), (Asked::Waits, Some(Verdict::Wrong)), "it was removed");
        let changed = account("right");
        assert_eq!(ask("acme", "right", Some(&changed), true), (Asked::Waits, Some(Verdict::Right)), "another hash");
        let long = "right".repeat(SECRET_MAX);
        assert_eq!(ask("acme", &long, Some(&acme), true), (Asked::Waits, Some(Verdict::Wrong)));
    }

    #[test]
    fn all_who_ask_the_same_are_answered_by_one_verification() {
        let (verifiers, told) = start();
        let acme = account("right");
        let waits = (0..1000).filter(|number| {
            let asked = verifiers.ask("acme", b"right", Some(acme.clone()), true, asker(*number)).unwrap();
            asked == Asked::Waits
        });
        let waits: Vec<u64> = waits.collect();
        for number in waits {
            let told = told.recv_timeout(SOON).unwrap();
            assert_eq!((told.asker.number, told.verdict), (number, Verdict::Right));
        }
    }

    #[test]
    fn who_tries_many_secrets_is_turned_away() {
        let (verifiers, told) = start();
        let acme = account("right");
        let tried = (0..100).map(|n| verifiers.ask("acme", &[n], Some(acme.clone()), true, asker(n.into())));
        let (waiting, away): (Vec<_>, Vec<_>) = tried.partition(Result::is_ok);
        assert!(away.len() > 50 && away.iter().all(|away| *away == Err(Full::Lane)), "{away:?}");
        assert_eq!(verifiers.ask("another", b"x", Some(acme), true, asker(200)), Ok(Asked::Waits));
        for _ in 0..=waiting.len() {
            told.recv_timeout(SOON).unwrap();
        }
    }
}
