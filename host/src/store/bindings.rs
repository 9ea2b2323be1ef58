//! Which version a keyed conversation is bound to, and the state that it was saved with: rows of a table of the host's own.
//!
//! A binding lives until nobody has named its conversation for the service's idle time, and there are no more of a service
//! than it may have: the one that would end first makes room.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tandem_component::Index;

use super::row::{Columns, Value};
use super::table::{Column, Kind, Table};
use super::{Failure, Found, HOST, Operation, Question, Reader, Scan, Step};

/// A key has so many bytes at most.
pub const KEY_MAX: usize = 255;

/// Between the parts of a column that is found by more than one thing. No name of a service has it that a person writes.
const BETWEEN: char = '\u{1f}';
/// The places of the columns.
const SERVICE: usize = 0;
const KEY: usize = 1;
const PLACE: usize = 2;
const EXPIRY: usize = 3;
const STATE: usize = 4;
const SAVES: usize = 5;
/// So many are read at once.
const PAGE: u32 = 500;

/// A conversation's binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The version, with the whole digest: `http@1.2.0#3fa9c1…`.
    pub version: String,
    /// When it ends, in nanoseconds since 1970.
    pub until: u64,
    /// The session that was saved, as it saves itself.
    pub state: Option<Vec<u8>>,
    /// How often one was saved: whoever saves the next has to have resumed this one.
    pub saves: i64,
}

/// A row of the table, as it is read.
#[derive(Deserialize)]
struct Row {
    #[serde(with = "serde_bytes")]
    key: Vec<u8>,
    place: String,
    expiry: String,
    #[serde(default, with = "serde_bytes")]
    state: Option<Vec<u8>>,
    #[serde(default)]
    saves: i64,
}

/// The bindings of all services.
pub struct Bindings {
    table: Arc<Table>,
    /// The same without the states, for whoever looks at many.
    without_state: Table,
    /// How many there are, by service: counted once, and kept. Written only where a binding comes or goes.
    counts: Mutex<HashMap<String, u64>>,
    /// The services that have had some in this run: those without are spared all looking after them.
    used: Mutex<HashSet<String>>,
}

impl Default for Bindings {
    fn default() -> Self {
        let column =
            |name: &str, kind, index| Column { name: name.to_owned(), kind, default: Some(Value::Null), index };
        let columns = vec![
            column("service", Kind::Text, Index::None),
            column("key", Kind::Blob, Index::None),
            column("place", Kind::Text, Index::Plain),
            column("expiry", Kind::Text, Index::Plain),
            column("state", Kind::Blob, Index::None),
            Column { default: Some(Value::Integer(0)), ..column("saves", Kind::Integer, Index::None) },
        ];
        let table = Table { component: HOST.to_owned(), name: "bindings".to_owned(), columns, key: vec![SERVICE, KEY] };
        let columns = table.columns[..STATE].to_vec();
        let without_state = Table { columns, ..table.clone() };
        Bindings { table: Arc::new(table), without_state, counts: Mutex::default(), used: Mutex::default() }
    }
}

impl Bindings {
    /// The table that they are rows of.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Counts those that there are.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn count(&self, reader: &mut dyn Reader) -> Result<(), Failure> {
        let (mut counts, mut after): (HashMap<String, u64>, Option<String>) = (HashMap::new(), None);
        loop {
            let from = after.map(|expiry| Value::Text(format!("{expiry}{BETWEEN}")));
            let rows = self.scan(reader, EXPIRY, from, None, PAGE)?;
            for row in &rows {
                *counts.entry(row.service().to_owned()).or_default() += 1;
            }
            // Rows that share the last one's nanosecond are left out at most.
            after = rows.last().map(|row| row.expiry.clone());
            if rows.len() < PAGE as usize {
                break;
            }
        }
        self.used().extend(counts.keys().cloned());
        *self.counts() = counts;
        Ok(())
    }

    /// The binding of a conversation, also where its time is up.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn find(&self, reader: &mut dyn Reader, service: &str, key: &[u8]) -> Result<Option<Binding>, Failure> {
        let found = reader.ask(&self.table, &Question::Get { key: row_key(service, key) })?;
        Binding::read(&found)
    }

    /// The steps that bind a conversation to a version, where `known` is what it is bound to by now. The last one answers with
    /// the binding as it is then: another may have been faster. One whose time is up is another conversation's, which begins
    /// without what the one before has saved.
    pub fn bind(&self, service: &str, key: &[u8], binding: &Binding, known: Option<&Binding>, now: u64) -> Vec<Step> {
        let mut columns = binding.columns(service);
        if known.is_some_and(|known| known.until <= now) {
            columns.push((STATE, Value::Null));
        }
        let write = match known {
            None => {
                let key = [SERVICE, KEY].into_iter().zip(row_key(service, key));
                Operation::Insert { columns: key.chain(columns).collect(), token: 0 }
            }
            Some(known) => {
                Operation::Swap { key: row_key(service, key), expected: known.columns(service), columns, token: 0 }
            }
        };
        let question = Question::Get { key: row_key(service, key) };
        [write, Operation::Ask { question, token: 0 }].map(|operation| self.step(operation)).into()
    }

    /// The step that lets one live on until then.
    pub fn touch(&self, service: &str, key: &[u8], until: u64) -> Step {
        // Not the version, which another may have changed meanwhile.
        let columns = vec![(EXPIRY, Value::Text(expiry(service, until)))];
        self.step(Operation::Update { key: row_key(service, key), columns })
    }

    /// The step that keeps the state of a session with its binding. It is a conflict where another session has saved that
    /// conversation meanwhile; a binding whose time was up while its session lived is there again.
    pub fn save(&self, service: &str, key: &[u8], binding: Binding) -> Step {
        let mut columns = binding.columns(service);
        columns.extend([
            (STATE, binding.state.map_or(Value::Null, Value::Blob)),
            (SAVES, Value::Integer(binding.saves + 1)),
        ]);
        let expected = vec![(SAVES, Value::Integer(binding.saves))];
        self.step(Operation::Change { key: row_key(service, key), expected, columns })
    }

    /// The step that ends a conversation.
    pub fn forget(&self, service: &str, key: &[u8]) -> Step {
        self.went(service);
        self.step(Operation::Delete { key: row_key(service, key) })
    }

    /// A binding has come.
    pub fn came(&self, service: &str) {
        self.used().insert(service.to_owned());
        *self.counts().entry(service.to_owned()).or_default() += 1;
    }

    /// Whether a service has had some in this run, also such as are on their way to the store.
    pub fn has_had_some(&self, service: &str) -> bool {
        self.used().contains(service)
    }

    /// The step that makes room for another of a service where it has as many as it may have.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn make_room(&self, reader: &mut dyn Reader, service: &str, max: u64) -> Result<Option<Step>, Failure> {
        if self.counts().get(service).is_none_or(|count| *count < max) {
            return Ok(None);
        }
        let (from, to) = (expiry(service, 0), expiry(service, u64::MAX));
        let first = self.scan(reader, EXPIRY, Some(Value::Text(from)), Some(Value::Text(to)), 1)?;
        Ok(first.first().map(|row| self.drop(service, row)))
    }

    /// The steps that drop bindings of a service whose time was up by then; `PAGE` of them at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn expire(&self, reader: &mut dyn Reader, service: &str, then: u64) -> Result<Vec<Step>, Failure> {
        let (from, to) = (expiry(service, 0), expiry(service, then));
        let rows = self.scan(reader, EXPIRY, Some(Value::Text(from)), Some(Value::Text(to)), PAGE)?;
        Ok(rows.iter().map(|row| self.drop(service, row)).collect())
    }

    /// Whether a conversation is bound to a version.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn any(&self, reader: &mut dyn Reader, service: &str, version: &str) -> Result<bool, Failure> {
        let place = Value::Text(place(service, version));
        Ok(!self.scan(reader, PLACE, Some(place.clone()), Some(place), 1)?.is_empty())
    }

    /// The conversations that are bound to a version, by key, and until when. So many at most, and no more than a page.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn of(
        &self,
        reader: &mut dyn Reader,
        service: &str,
        version: &str,
        most: usize,
    ) -> Result<Vec<(Vec<u8>, u64)>, Failure> {
        let place = Value::Text(place(service, version));
        let most = u32::try_from(most).unwrap_or(PAGE).min(PAGE);
        let rows = self.scan(reader, PLACE, Some(place.clone()), Some(place), most)?;
        Ok(rows.into_iter().map(|row| (row.key.clone(), row.until())).collect())
    }

    /// The versions that conversations of a service are bound to.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn versions(&self, reader: &mut dyn Reader, service: &str) -> Result<Vec<String>, Failure> {
        let (mut versions, mut from) = (Vec::new(), place(service, ""));
        let to = Value::Text(place(service, &char::MAX.to_string()));
        while let Some(row) = self.scan(reader, PLACE, Some(Value::Text(from)), Some(to.clone()), 1)?.pop() {
            from = format!("{}{BETWEEN}", row.place);
            versions.push(row.version().to_owned());
        }
        Ok(versions)
    }

    /// One has gone, or has not come.
    pub fn went(&self, service: &str) {
        if let Some(count) = self.counts().get_mut(service) {
            *count = count.saturating_sub(1);
        }
    }

    fn drop(&self, service: &str, row: &Row) -> Step {
        self.went(service);
        self.step(Operation::Delete { key: row_key(service, &row.key) })
    }

    fn step(&self, operation: Operation) -> Step {
        Step { table: Arc::clone(&self.table), operation }
    }

    fn scan(
        &self,
        reader: &mut dyn Reader,
        by: usize,
        from: Option<Value>,
        to: Option<Value>,
        limit: u32,
    ) -> Result<Vec<Row>, Failure> {
        match reader.ask(&self.without_state, &Question::Scan(Scan { by, from, to, after: None, limit }))? {
            Found::Rows(rows) => read(&rows),
            other => Err(Failure::Unavailable(format!("a scan was answered with {other:?}"))),
        }
    }

    fn used(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts. A poisoned lock is one whose holder panicked between two whole operations.
    fn counts(&self) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Binding {
    /// To a version, from now on for this long.
    pub fn new(version: &str, now: u64, idle: Duration) -> Self {
        let idle = u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
        Binding { version: version.to_owned(), until: now.saturating_add(idle), state: None, saves: 0 }
    }

    /// What a question for one has found.
    ///
    /// # Errors
    /// It is no row of the table.
    pub fn read(found: &Found) -> Result<Option<Self>, Failure> {
        let Found::Row(Some(row)) = found else { return Ok(None) };
        let row: Row = read(row)?;
        let (version, until) = (row.version().to_owned(), row.until());
        Ok(Some(Binding { version, until, state: row.state, saves: row.saves }))
    }

    fn columns(&self, service: &str) -> Columns {
        let (place, expiry) = (place(service, &self.version), expiry(service, self.until));
        vec![(PLACE, Value::Text(place)), (EXPIRY, Value::Text(expiry))]
    }
}

impl Row {
    fn service(&self) -> &str {
        self.place.split(BETWEEN).next().unwrap_or_default()
    }

    fn version(&self) -> &str {
        self.place.split(BETWEEN).nth(1).unwrap_or_default()
    }

    fn until(&self) -> u64 {
        self.expiry.split(BETWEEN).nth(1).and_then(|until| until.parse().ok()).unwrap_or(0)
    }
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Failure> {
    rmp_serde::from_slice(bytes).map_err(|error| Failure::Unavailable(format!("a binding cannot be read: {error}")))
}

fn row_key(service: &str, key: &[u8]) -> Vec<Value> {
    vec![Value::Text(service.to_owned()), Value::Blob(key.to_vec())]
}

fn place(service: &str, version: &str) -> String {
    format!("{service}{BETWEEN}{version}")
}

/// Sorts as the times do.
fn expiry(service: &str, until: u64) -> String {
    format!("{service}{BETWEEN}{until:020}")
}
