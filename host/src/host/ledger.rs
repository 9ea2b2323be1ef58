//! Whether the ledgers add up: [`Auditor`], which looks at them on a thread of its own, when it is asked and from time to time.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::Host;
use crate::admin::{Answer, LedgerStatus, Reply};
use crate::clock;
use crate::observe::notice::{self, Notice};
use crate::store::ledger::{Balance, Books};
use crate::store::{self, Failure, Reader};

/// Has ledgers looked at.
pub(super) struct Auditor(Sender<Job>);

enum Job {
    /// From now on these are the ledgers, by component.
    Books(BTreeMap<String, Books>),
    /// How they stand.
    Asked(Reply),
}

/// So long after a publication they are looked at …
const FIRST: Duration = Duration::from_secs(1);
/// … and at least so long after each time …
const PAUSE: Duration = Duration::from_secs(60);
/// … or so many times as long as that has taken: a large table costs no more than this part of a processor.
const PART: u32 = 100;

impl Auditor {
    /// Begins to look at ledgers in this store, once there is one.
    ///
    /// # Errors
    /// No thread can be had.
    pub(super) fn start(store: store::Handle) -> io::Result<Self> {
        let (jobs, asked) = channel();
        let audit = Audit { store, reader: None, books: BTreeMap::new(), missing: BTreeMap::new() };
        std::thread::Builder::new().name("auditor".into()).spawn(move || audit.run(&asked))?;
        Ok(Auditor(jobs))
    }

    /// Tells which ledgers there are.
    pub(super) fn keep(&self, books: BTreeMap<String, Books>) {
        // It ends with the host.
        let _ = self.0.send(Job::Books(books));
    }

    /// Has them looked at for an operator, who waits for it; this thread does not.
    pub(super) fn ask(&self, reply: Reply) {
        let _ = self.0.send(Job::Asked(reply));
    }
}

impl Host {
    /// The ledgers of the versions that serve.
    pub(super) fn ledgers(&self) -> BTreeMap<String, Books> {
        let snapshot = self.table.current();
        let serving = snapshot.services.iter().filter_map(|service| service.instance.as_ref());
        let books = serving.filter_map(|instance| {
            let manifest = &self.versions.iter().find(|version| version.name() == *instance.version)?.manifest;
            // It was checked when the file was taken.
            Some((manifest.name.clone(), manifest.books().ok()??))
        });
        books.collect()
    }
}

struct Audit {
    store: store::Handle,
    reader: Option<Box<dyn Reader>>,
    books: BTreeMap<String, Books>,
    /// What was missing when it was looked at last, in whole and in parts, by version: said once.
    missing: BTreeMap<String, (i64, i64)>,
}

impl Audit {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut next: Option<Instant> = None;
        loop {
            let job = match next {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(next) => jobs.recv_timeout(next.saturating_duration_since(clock::instant())),
            };
            let mut replies = Vec::new();
            match job {
                Ok(job) => {
                    // One look is for all who have asked before it.
                    for job in std::iter::once(job).chain(jobs.try_iter()) {
                        match job {
                            Job::Books(books) => {
                                self.books = books;
                                next = Some(clock::instant() + FIRST).filter(|_| !self.books.is_empty());
                            }
                            Job::Asked(reply) => replies.push(reply),
                        }
                    }
                    if replies.is_empty() {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let began = clock::instant();
            let looked = self.look();
            next = Some(clock::instant() + PAUSE.max(began.elapsed() * PART)).filter(|_| !self.books.is_empty());
            let answer = match looked {
                Ok(ledgers) => Answer::Ledger(ledgers),
                Err(failure) => Answer::Refused(format!("the ledger cannot be read: {failure}")),
            };
            for reply in replies {
                // Who asked may have gone.
                let _ = reply.send(answer.clone());
            }
        }
    }

    /// Looks at all of them, and tells the operator what does not add up and has not been said.
    fn look(&mut self) -> Result<Vec<LedgerStatus>, Failure> {
        let mut ledgers = Vec::new();
        let mut failed = None;
        for (component, books) in self.books.clone() {
            match self.balances(&books) {
                Ok(Some(balances)) => {
                    balances.iter().for_each(|balance| self.tell(balance));
                    ledgers.push(LedgerStatus { component, balances });
                }
                Ok(None) => {}
                // The others are looked at all the same, and this one again with another reader.
                Err(failure) => {
                    notice::give(Notice::LedgerUnread, &format!("{component}: {failure}"));
                    (self.reader, failed) = (None, Some(failure));
                }
            }
        }
        failed.map_or(Ok(ledgers), Err)
    }

    fn balances(&mut self, books: &Books) -> Result<Option<Vec<Balance>>, Failure> {
        let reader = match (&mut self.reader, self.store.get()) {
            (Some(reader), _) => reader,
            (none, Some(store)) => none.insert(store.reader()?),
            (None, None) => return Ok(None),
        };
        reader.balances(books).map(Some)
    }

    fn tell(&mut self, balance: &Balance) {
        let missing = (balance.whole.missing(), balance.parts.missing());
        let said = self.missing.insert(balance.version.clone(), missing).unwrap_or_default();
        if let Some(wrong) = balance.wrong().filter(|_| missing != said) {
            notice::give(Notice::LedgerUnbalanced, &wrong);
        }
    }
}
