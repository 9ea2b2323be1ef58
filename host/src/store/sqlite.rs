//! The store in SQLite: one file, one writer, as many readers as workers.
//!
//! The writer is a thread of its own. It takes all transactions that wait and commits them with one sync of the disk
//! (group commit), so the more sessions write, the less each pays. What fails by itself is taken out of its group.

pub mod backup;
mod group;
mod ledger;
mod migrations;
mod statement;
mod sums;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::ledger::{Balance, Books};
use super::schema::{self, Known};
use super::table::Table;
use super::{
    Failure, Found, Home, Migrant, Migration, Operation, Question, Reader, Settled, Step, Store, Transaction, Unfit,
};
use crate::observe::notice::{self, Notice};
use group::Groups;
use statement::Text;
use sums::Sums;

/// Where a worker takes what has been settled: a batch for each group commit. It must not wait.
pub type Deliver = Box<dyn Fn(usize, Vec<Settled>) + Send>;

/// The store in SQLite.
pub struct Sqlite {
    path: PathBuf,
    jobs: Option<Sender<Job>>,
    writer: Writing,
}

/// Who writes.
enum Writing {
    /// A thread; none once it has ended.
    Thread(Option<JoinHandle<()>>),
    /// Who calls [`Sqlite::step`], or waits for an answer.
    ByHand(Box<Mutex<(Writer, Receiver<Job>)>>),
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is something else.
    #[error("{path} is no SQLite file, or it is damaged ({reason}); move it away to begin with an empty store", path = path.display())]
    NotSqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// The file is a database of another program.
    #[error("{path} is the database of another program (application id {id:#x}); give `data` another directory", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its mark.
        id: i32,
    },
    /// A later Tandem has written it.
    #[error("{path} was written by a newer tandem (form {form}, this one reads up to {FORM}); upgrade the host", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        form: i32,
    },
    /// The system or another process does not let it be opened.
    #[error("{path} cannot be opened: {reason}", path = path.display())]
    Unopened {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

enum Job {
    Write(Transaction),
    /// Of the host's own: by itself, and answered.
    Own(Vec<Step>, Sender<Result<Vec<(u64, Found)>, Failure>>),
    /// With a rehearsal nothing is changed.
    Migrate {
        migration: Box<migrations::Wanted>,
        rehearsal: bool,
        reply: Sender<Result<(), Unfit>>,
    },
    History(Sender<Result<Vec<Migration>, Failure>>),
}

/// Marks the file as ours: `TNDM`.
const APPLICATION: i32 = 0x544e_444d;
/// The form of what is not the components' own. A later one is for what an older Tandem must not write to.
const FORM: i32 = 1;
/// How long another process that holds the file is waited for.
const BUSY: Duration = Duration::from_secs(1);
/// So many statements are kept ready a connection.
const STATEMENTS: usize = 512;

impl Sqlite {
    /// Opens the store in a file, which is made if it is not there. `deliver` is called on the writer's thread.
    ///
    /// # Errors
    /// The file is no store, is newer than this host, or cannot be opened.
    pub fn open(path: &Path, deliver: Deliver) -> Result<Self, OpenError> {
        let (jobs, waiting) = channel();
        let writer = Writer::new(path, deliver)?;
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || writer.run(&waiting));
        let thread =
            thread.map_err(|error| OpenError::Unopened { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Sqlite { path: path.to_owned(), jobs: Some(jobs), writer: Writing::Thread(Some(thread)) })
    }

    /// As [`open`](Sqlite::open), without a thread: what is given is written by [`step`](Sqlite::step), on the caller's thread.
    ///
    /// # Errors
    /// As for `open`.
    #[doc(hidden)] // For the simulation.
    pub fn open_by_hand(path: &Path, deliver: Deliver) -> Result<Self, OpenError> {
        let (jobs, waiting) = channel();
        let writer = Writing::ByHand(Box::new(Mutex::new((Writer::new(path, deliver)?, waiting))));
        Ok(Sqlite { path: path.to_owned(), jobs: Some(jobs), writer })
    }

    /// Writes what waits, as far as one group commit goes. False where nothing waits, or a thread writes.
    #[doc(hidden)] // For the simulation.
    pub fn step(&self) -> bool {
        let Writing::ByHand(writer) = &self.writer else { return false };
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, waiting) = &mut *writer;
        let Ok(first) = waiting.try_recv() else { return false };
        // Groups that know of none before wait for nobody.
        let mut next = writer.work(first, waiting, &mut Groups::default());
        while let Some(job) = next {
            next = writer.work(job, waiting, &mut Groups::default());
        }
        true
    }

    /// Waits for an answer.
    fn answer<T>(&self, answer: &Receiver<T>) -> Option<T> {
        // Where nobody else writes, it comes of what is written here.
        while let Writing::ByHand(_) = &self.writer
            && self.step()
        {}
        answer.recv().ok()
    }

    fn job<T>(&self, job: impl FnOnce(Sender<Result<T, Unfit>>) -> Job) -> Result<T, Unfit> {
        let (reply, answer) = channel();
        self.send(job(reply));
        self.answer(&answer).unwrap_or_else(|| Err(Unfit::Store(gone())))
    }

    fn send(&self, job: Job) {
        // The writer ends when the store is dropped, and not before. Where it has panicked, nobody answers, and whoever
        // waits is told so by the closed channel.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }
}

impl Drop for Sqlite {
    /// What was given to a thread is written first.
    fn drop(&mut self) {
        self.jobs = None;
        if let Writing::Thread(writer) = &mut self.writer
            && let Some(writer) = writer.take()
        {
            // A writer that panicked has said so.
            let _ = writer.join();
        }
    }
}

impl Store for Sqlite {
    fn reader(&self) -> Result<Box<dyn Reader>, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(failure)?;
        connection.busy_timeout(BUSY).map_err(failure)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Box::new(Reading { connection, text: Text::default() }))
    }

    fn give(&self, transaction: Transaction) {
        self.send(Job::Write(transaction));
    }

    fn write(&self, steps: Vec<Step>) -> Result<Vec<(u64, Found)>, Failure> {
        let (reply, answer) = channel();
        self.send(Job::Own(steps, reply));
        self.answer(&answer).unwrap_or_else(|| Err(gone()))
    }

    fn compare(&self, version: &Migrant<'_>, tables: &[Table]) -> Result<(), Unfit> {
        let migration = Box::new(migrations::Wanted::of(version, tables));
        self.job(|reply| Job::Migrate { migration, rehearsal: true, reply })
    }

    fn migrate(&self, version: &Migrant<'_>, tables: &[Table]) -> Result<(), Unfit> {
        let migration = Box::new(migrations::Wanted::of(version, tables));
        self.job(|reply| Job::Migrate { migration, rehearsal: false, reply })
    }

    fn history(&self) -> Result<Vec<Migration>, Failure> {
        let (reply, answer) = channel();
        self.send(Job::History(reply));
        self.answer(&answer).unwrap_or_else(|| Err(gone()))
    }
}

/// A worker's connection.
struct Reading {
    connection: Connection,
    text: Text,
}

impl Reader for Reading {
    fn ask(&mut self, table: &Table, question: &Question) -> Result<Found, Failure> {
        statement::ask(&self.connection, &mut self.text, table, question).map_err(failure)
    }

    fn balances(&mut self, books: &Books) -> Result<Vec<Balance>, Failure> {
        ledger::balances(&mut self.connection, books).map_err(failure)
    }
}

struct Writer {
    connection: Connection,
    text: Text,
    deliver: Deliver,
    /// The last group was not committed: the operator has been told.
    failing: bool,
}

impl Writer {
    fn new(path: &Path, deliver: Deliver) -> Result<Self, OpenError> {
        Ok(Writer { connection: open(path)?, text: Text::default(), deliver, failing: false })
    }

    /// Does one job, and with a transaction those that wait behind it. The job that has ended their row, if one has.
    fn work(&mut self, job: Job, jobs: &Receiver<Job>, groups: &mut Groups) -> Option<Job> {
        let mut next = None;
        match job {
            Job::Write(first) => {
                let (group, other) = groups.gather(first, jobs);
                next = other;
                groups.commit(group.len(), || self.write(group));
            }
            Job::Own(steps, reply) => {
                // Who waits may have gone.
                let _ = reply.send(self.write_own(steps));
            }
            Job::Migrate { migration, rehearsal, reply } => {
                let _ = reply.send(migration.carry_out(&mut self.connection, rehearsal));
            }
            Job::History(reply) => {
                let _ = reply.send(migrations::history(&self.connection).map_err(failure));
            }
        }
        next
    }

    fn run(mut self, jobs: &Receiver<Job>) {
        let (mut next, mut groups) = (None, Groups::default());
        while let Some(job) = next.take().or_else(|| jobs.recv().ok()) {
            next = self.work(job, jobs, &mut groups);
        }
        // A short file for who looks at it next; what is in the log is found there as well.
        let _ = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    }

    /// Commits a group, and tells each home.
    fn write(&mut self, group: Vec<Transaction>) {
        // Without savepoints first: that one of a group fails by itself is rare.
        let settled = match self.commit(&group, false) {
            Ok(settled) => Ok(settled),
            Err(Failure::Conflict(_)) => self.commit(&group, true),
            Err(unavailable) => Err(unavailable),
        };
        self.tell_operator(settled.as_ref().err());
        let settled = settled.unwrap_or_else(|failure| {
            group.iter().map(|one| Settled { home: one.home, outcome: Err(failure.clone()) }).collect()
        });
        let mut homes: Vec<Vec<Settled>> = Vec::new();
        for one in settled {
            let worker = one.home.worker;
            if homes.len() <= worker {
                homes.resize_with(worker + 1, Vec::new);
            }
            homes[worker].push(one);
        }
        for (worker, settled) in homes.into_iter().enumerate().filter(|(_, settled)| !settled.is_empty()) {
            (self.deliver)(worker, settled);
        }
    }

    fn write_own(&mut self, steps: Vec<Step>) -> Result<Vec<(u64, Found)>, Failure> {
        let home = Home { worker: 0, key: 0, session: 0 };
        let settled = self.commit(&[Transaction { home, steps }], false)?;
        settled.into_iter().next().map_or_else(|| Ok(Vec::new()), |one| one.outcome)
    }

    fn commit(&mut self, group: &[Transaction], apart: bool) -> Result<Vec<Settled>, Failure> {
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failure)?;
        let mut settled = Vec::with_capacity(group.len());
        let mut sums = Sums::default();
        for one in group {
            if apart {
                transaction.prepare_cached("SAVEPOINT one").and_then(|mut save| save.execute([])).map_err(failure)?;
            }
            let outcome = carry_out(&transaction, &mut self.text, &mut sums, one).and_then(|answers| {
                if apart {
                    sums.write_all(&transaction, &mut self.text)?;
                }
                Ok(answers)
            });
            let outcome = outcome.map_err(failure);
            if apart {
                let end = if outcome.is_ok() { "RELEASE one" } else { "ROLLBACK TO one" };
                transaction.prepare_cached(end).and_then(|mut end| end.execute([])).map_err(failure)?;
            }
            let outcome = match outcome {
                Err(Failure::Conflict(reason)) if apart => {
                    sums = Sums::default();
                    Err(Failure::Conflict(reason))
                }
                Err(failure) => return Err(failure),
                Ok(answers) => Ok(answers),
            };
            settled.push(Settled { home: one.home, outcome });
        }
        sums.write_all(&transaction, &mut self.text).map_err(failure)?;
        transaction.commit().map_err(failure)?;
        Ok(settled)
    }

    fn tell_operator(&mut self, failed: Option<&Failure>) {
        match failed {
            Some(failed) if !self.failing => {
                notice::give(Notice::StoreFailing, &format!("nothing can be written to the store: {failed}"));
            }
            None if self.failing => notice::give(Notice::StoreBack, "the store can be written to again"),
            _ => {}
        }
        self.failing = failed.is_some();
    }
}

fn carry_out(
    connection: &Connection,
    text: &mut Text,
    sums: &mut Sums,
    transaction: &Transaction,
) -> rusqlite::Result<Vec<(u64, Found)>> {
    let mut answers = Vec::new();
    // Up to the end of what is done on condition it is not.
    let mut skips = false;
    for step in &transaction.steps {
        let table = &step.table;
        match &step.operation {
            Operation::IfDone => skips = !matches!(answers.last(), Some((_, Found::Done(true)))),
            Operation::End => skips = false,
            _ if skips => {}
            Operation::Add { key, column, delta } => sums.add(connection, text, table, key, *column, *delta)?,
            _ => sums.write_those_of(connection, text, table)?,
        }
        if skips {
            continue;
        }
        let (token, found) = match &step.operation {
            Operation::Ask { question, token } => (token, statement::ask(connection, text, table, question)?),
            Operation::Insert { columns, token } => {
                (token, Found::Done(statement::insert(connection, text, table, columns)?))
            }
            Operation::Swap { key, expected, columns, token } => {
                (token, Found::Done(statement::update(connection, text, table, key, expected, columns)?))
            }
            Operation::Put(columns) => {
                statement::put(connection, text, table, columns)?;
                continue;
            }
            Operation::Update { key, columns } => {
                statement::update(connection, text, table, key, &[], columns)?;
                continue;
            }
            Operation::IfDone | Operation::End | Operation::Add { .. } => continue,
            Operation::Change { key, expected, columns } => {
                let whole = || table.key.iter().copied().zip(key.iter().cloned()).chain(columns.iter().cloned());
                if !statement::update(connection, text, table, key, expected, columns)?
                    && !statement::insert(connection, text, table, &whole().collect::<Vec<_>>())?
                {
                    return Err(conflict("a row is not as it was"));
                }
                continue;
            }
            Operation::Delete { key } => {
                statement::delete(connection, text, table, key)?;
                continue;
            }
        };
        answers.push((*token, found));
    }
    Ok(answers)
}

/// The failure of a transaction that finds the rows otherwise than it has to.
fn conflict(reason: &str) -> rusqlite::Error {
    let violation = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT);
    rusqlite::Error::SqliteFailure(violation, Some(reason.to_owned()))
}

fn open(path: &Path) -> Result<Connection, OpenError> {
    let refused = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::NotSqlite { path: path.to_owned(), reason: error.to_string() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Unopened {
            path: path.to_owned(),
            reason: "another process holds it locked; end that one, or give `data` another directory".to_owned(),
        },
        _ => OpenError::Unopened { path: path.to_owned(), reason: error.to_string() },
    };
    let connection = Connection::open(path).map_err(refused)?;
    connection.busy_timeout(BUSY).map_err(refused)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let (id, form) = (number("application_id").map_err(refused)?, number("user_version").map_err(refused)?);
    if id != 0 && id != APPLICATION {
        return Err(OpenError::Foreign { path: path.to_owned(), id });
    }
    if form > FORM {
        return Err(OpenError::Newer { path: path.to_owned(), form });
    }
    let set = |pragma: &str, value: &dyn rusqlite::ToSql| connection.pragma_update(None, pragma, value);
    set("journal_mode", &"WAL").map_err(refused)?;
    // Whoever got an answer can rely on what is behind it, after a power cut as well.
    set("synchronous", &"FULL").map_err(refused)?;
    set("wal_autocheckpoint", &4000).map_err(refused)?;
    // In KiB. With the 2 MB that SQLite takes by itself most pages of an index over random ids are read and written again and again.
    set("cache_size", &-32_768).map_err(refused)?;
    if id == 0 {
        migrations::begin(&connection).map_err(refused)?;
        set("application_id", &APPLICATION).map_err(refused)?;
        set("user_version", &FORM).map_err(refused)?;
    }
    Ok(connection)
}

/// Whose fault an error of SQLite is: the event's own, or the store's.
fn failure(error: rusqlite::Error) -> Failure {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            Failure::Conflict(error.to_string())
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Failure::Unavailable("another process holds the store locked".to_owned())
        }
        Some(ErrorCode::DiskFull) => Failure::Unavailable("its disk is full".to_owned()),
        _ => Failure::Unavailable(error.to_string()),
    }
}

fn gone() -> Failure {
    Failure::Unavailable("its writer has ended".to_owned())
}

/// What there is of a component's tables.
fn known(connection: &Connection, component: &str) -> rusqlite::Result<Vec<Known>> {
    let mut known = Vec::new();
    for (change, number) in migrations::of(connection, component)? {
        Known::take(&mut known, &change, &number);
    }
    Ok(known)
}

/// What a version would add.
fn additions(connection: &Connection, wanted: &migrations::Wanted) -> Result<Vec<schema::Change>, Unfit> {
    let known = known(connection, &wanted.component).map_err(failure)?;
    Ok(schema::additions(&known, &wanted.tables, &wanted.number)?)
}
