//! The store: the rows of the components' tables, kept across versions, restarts and crashes.
//!
//! | module | what it is about |
//! |---|---|
//! | [`table`] | a table as one version knows it |
//! | [`schema`] | what tables there are, and what a version may add |
//! | [`row`] | rows, as they cross to a component and as they are held |
//! | [`ledger`] | whether what a component has accepted adds up with what became of it |
//! | [`bindings`] | which version a keyed conversation is bound to: rows of the host's own |
//! | [`sqlite`] | the store that needs nothing: SQLite |
//!
//! Everything behind the [`Store`] trait is an operation that a distributed SQL engine has as well: rows by key, named
//! columns, sums, scans by an index, compare-and-set, and one transaction for the writes of one event. No component can
//! tell how soon it answers.
//!
//! Invariants:
//! - What a [`Transaction`] writes is committed as a whole or not at all, and settled only then.
//! - Transactions of one session are settled in the order in which they were given.
//! - An error of one transaction (two rows that may not share a value) fails that one alone.

pub mod bindings;
pub mod ledger;
pub mod row;
pub mod schema;
pub mod sqlite;
mod step;
pub mod table;

use std::fmt;
use std::sync::{Arc, OnceLock};

use semver::Version as Number;
use serde::{Deserialize, Serialize};

use ledger::{Balance, Books};
use row::{Columns, Value};
use schema::Misfit;
use table::Table;

pub use step::Told;

/// The component whose tables are the host's own. No component has this name and tables as well.
pub const HOST: &str = "tandem";

/// A store. Several gateways may share one.
pub trait Store: Send + Sync {
    /// A reader of what is committed, for one worker.
    ///
    /// # Errors
    /// The store cannot be reached.
    fn reader(&self) -> Result<Box<dyn Reader>, Failure>;

    /// Writes a transaction, and tells its home once it is committed or has failed.
    fn give(&self, transaction: Transaction);

    /// Writes something of the host's own, and waits until it is committed. The answers to what it asks, with their tokens.
    ///
    /// # Errors
    /// It is not committed.
    fn write(&self, steps: Vec<Step>) -> Result<Vec<(u64, Found)>, Failure>;

    /// Compares a version's tables with those that there are, without changing anything.
    ///
    /// # Errors
    /// They do not fit, or the store cannot be reached.
    fn compare(&self, version: &Migrant<'_>, tables: &[Table]) -> Result<(), Unfit>;

    /// Adds what a version's tables have and the store has not, in one transaction.
    ///
    /// # Errors
    /// They do not fit, rows that are there break a new index, or the store cannot be reached: nothing was changed.
    fn migrate(&self, version: &Migrant<'_>, tables: &[Table]) -> Result<(), Unfit>;

    /// Every change that was made to the tables, oldest first.
    ///
    /// # Errors
    /// The store cannot be reached.
    fn history(&self) -> Result<Vec<Migration>, Failure>;
}

/// The store of a host, once it has one: it is opened for the first version that has tables.
#[derive(Clone, Default)]
pub struct Handle(Arc<OnceLock<Box<dyn Store>>>);

impl Handle {
    /// The store, where there is one.
    pub fn get(&self) -> Option<&dyn Store> {
        self.0.get().map(Box::as_ref)
    }

    /// From now on there is one.
    pub fn set(&self, store: Box<dyn Store>) {
        // The host's thread alone opens it, and once.
        let _ = self.0.set(store);
    }
}

/// Reads what is committed.
pub trait Reader: Send {
    /// Answers a question, as MessagePack.
    ///
    /// # Errors
    /// The store cannot be reached.
    fn ask(&mut self, table: &Table, question: &Question) -> Result<Found, Failure>;

    /// What became of all that each version of a component has accepted, at one moment. It looks at all rows: for a thread that
    /// may wait.
    ///
    /// # Errors
    /// The store cannot be reached.
    fn balances(&mut self, books: &Books) -> Result<Vec<Balance>, Failure>;
}

/// What one event writes, and what it asks after that.
#[derive(Debug)]
pub struct Transaction {
    /// Who is told.
    pub home: Home,
    /// In this order.
    pub steps: Vec<Step>,
}

/// Where a session is that waits for an answer: from the store, or from another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The worker.
    pub worker: usize,
    /// The session's key in the worker's slab …
    pub key: usize,
    /// … and its number, since keys are used again.
    pub session: u64,
}

/// One operation on one table.
#[derive(Clone, Debug)]
pub struct Step {
    /// The table, as the version knows it.
    pub table: Arc<Table>,
    /// What is done with it.
    pub operation: Operation,
}

/// What is done with a table.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A row is there with these columns; others keep what they have, or their default.
    Put(Columns),
    /// A row that is there gets these columns. None is made.
    Update {
        /// Which.
        key: Vec<Value>,
        /// What changes.
        columns: Columns,
    },
    /// A number is added to a column; the row is made where there is none.
    Add {
        /// Which row.
        key: Vec<Value>,
        /// Which column.
        column: usize,
        /// How much.
        delta: i64,
    },
    /// A row goes.
    Delete {
        /// Which.
        key: Vec<Value>,
    },
    /// A row is made where there is none. Answered by whether it was.
    Insert {
        /// The row.
        columns: Columns,
        /// Who is answered.
        token: u64,
    },
    /// A row gets these columns where others have the values that are expected. Answered by whether it did.
    Swap {
        /// Which.
        key: Vec<Value>,
        /// What it has to have.
        expected: Columns,
        /// What it then gets.
        columns: Columns,
        /// Who is answered.
        token: u64,
    },
    /// A row gets these columns, where it is not there or has the values that are expected. Where it is there with others, the
    /// transaction is a conflict.
    Change {
        /// Which.
        key: Vec<Value>,
        /// What it has to have.
        expected: Columns,
        /// What it then gets.
        columns: Columns,
    },
    /// What follows, up to the [`End`](Operation::End), is done only where the insert or the swap before it is.
    IfDone,
    /// See [`IfDone`](Operation::IfDone).
    End,
    /// A question that comes after writes, and sees them.
    Ask {
        /// What is asked.
        question: Question,
        /// Who is answered.
        token: u64,
    },
}

impl Operation {
    /// Whether others may be done only where it is.
    fn may_be_condition(&self) -> bool {
        matches!(self, Operation::Insert { .. } | Operation::Swap { .. })
    }

    /// Whether who tells it is answered.
    fn is_answered(&self) -> bool {
        self.may_be_condition() || matches!(self, Operation::Ask { .. })
    }
}

/// What is read.
#[derive(Clone, Debug)]
pub enum Question {
    /// The row with a key.
    Get {
        /// The key.
        key: Vec<Value>,
    },
    /// Rows in the order of a column and then of the key.
    Scan(Scan),
}

/// Which rows a scan reads.
#[derive(Clone, Debug)]
pub struct Scan {
    /// By which column; the key's first where it is not said.
    pub by: usize,
    /// Rows whose value is not less.
    pub from: Option<Value>,
    /// Rows whose value is not greater.
    pub to: Option<Value>,
    /// Rows after the one with this value of the column and this key.
    pub after: Option<(Value, Vec<Value>)>,
    /// So many at most.
    pub limit: u32,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A row, as MessagePack; `None` where there is none.
    Row(Option<Vec<u8>>),
    /// Rows, as a list in MessagePack.
    Rows(Vec<u8>),
    /// Whether an insert or a swap was done.
    Done(bool),
}

/// What became of a transaction.
#[derive(Debug)]
pub struct Settled {
    /// Whose it is.
    pub home: Home,
    /// The answers to what it asked, with their tokens, once it is committed.
    pub outcome: Result<Vec<(u64, Found)>, Failure>,
}

/// Why a transaction is not committed, or a question not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The store cannot be written or read now: its disk is full, another process holds it. Later it may.
    Unavailable(String),
    /// What is there does not allow it: a value that no two rows may share, a number beyond its bounds.
    Conflict(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Unavailable(reason) | Failure::Conflict(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for Failure {}

/// The version whose tables are compared.
#[derive(Clone, Copy, Debug)]
pub struct Migrant<'a> {
    /// Its component.
    pub component: &'a str,
    /// Its number.
    pub number: &'a Number,
    /// Its name: `smpp@1.2.0#3fa9c1`.
    pub name: &'a str,
}

/// Why a version's tables are not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The version would change or drop what is there.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The store could not be asked.
    #[error("the store cannot take its tables: {0}")]
    Store(#[from] Failure),
}

/// One change to a table, as it was written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Migration {
    /// When, in nanoseconds since 1970.
    pub at: u64,
    /// Whose table.
    pub component: String,
    /// The version that brought it: `smpp@1.2.0#3fa9c1`.
    pub version: String,
    /// The table.
    pub table: String,
    /// What was added, in words.
    pub change: String,
}
