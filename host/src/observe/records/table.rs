//! Records as rows of the host's own table, written some at a time, and those that are too old go.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use tandem_component::Index;

use super::Line;
use crate::clock::{nanos, time_of_day};
use crate::observe::notice::{self, Notice};
use crate::store::row::Value;
use crate::store::table::{Column, Kind, Table};
use crate::store::{self, Failure, Found, Operation, Question, Reader, Scan, Step};

/// The table. `at` is nanoseconds since 1970; `number` tells records of one moment apart; `more` is a JSON object with what the protocol
/// has to say.
pub static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| {
    let column = |name: &str, kind, index| Column { name: name.to_owned(), kind, default: None, index };
    Arc::new(Table {
        component: store::HOST.to_owned(),
        name: "records".to_owned(),
        columns: vec![
            column("at", Kind::Integer, Index::None),
            column("number", Kind::Integer, Index::None),
            column("account", Kind::Text, Index::Plain),
            column("service", Kind::Text, Index::None),
            column("component", Kind::Text, Index::None),
            column("version", Kind::Text, Index::None),
            column("session", Kind::Integer, Index::None),
            column("peer", Kind::Text, Index::None),
            column("outcome", Kind::Text, Index::None),
            column("duration_us", Kind::Integer, Index::None),
            column("bytes_in", Kind::Integer, Index::None),
            column("bytes_out", Kind::Integer, Index::None),
            column("more", Kind::Text, Index::None),
            Column { default: Some(Value::Text(String::new())), ..column("trace", Kind::Text, Index::None) },
        ],
        key: vec![0, 1],
    })
});

/// So many are one transaction.
const TOGETHER: usize = 256;
/// So many go in one.
const GO_TOGETHER: u32 = 1000;
/// How often it is looked for some that are too old.
const LOOK: Duration = Duration::from_secs(10);

/// Writes rows.
pub(super) struct Rows {
    store: store::Handle,
    reader: Option<Box<dyn Reader>>,
    keep: u64,
    steps: Vec<Step>,
    number: i64,
    looked: u64,
}

/// Which row.
#[derive(Deserialize)]
struct Name {
    at: i64,
    number: i64,
}

impl Rows {
    /// Writes rows into this store, of which each stays for so long.
    pub(super) fn of(store: store::Handle, keep: Duration) -> Self {
        Rows { store, reader: None, keep: nanos(keep), steps: Vec::new(), number: 0, looked: 0 }
    }

    /// One more, some time.
    pub(super) fn add(&mut self, line: &Line) {
        let mut fields = line.fields();
        let component = Value::Text(line.component().to_owned());
        let mut text = |key: &str| match fields.remove(key) {
            Some(Json::String(text)) => Value::Text(text),
            _ => Value::Text(String::new()),
        };
        let (account, outcome, trace) = (text("account"), text("outcome"), text("trace"));
        let integer = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let mut number = |key: &str| integer(fields.remove(key).and_then(|number| number.as_u64()).unwrap_or_default());
        let (duration, bytes_in, bytes_out) = (number("duration_us"), number("bytes_in"), number("bytes_out"));
        let more = Value::Text(Json::Object(fields).to_string());
        self.number += 1;
        let columns = [
            integer(line.time),
            Value::Integer(self.number),
            account,
            Value::Text(line.service.to_string()),
            component,
            Value::Text(line.version.to_string()),
            integer(line.session),
            Value::Text(line.peer.to_string()),
            outcome,
            duration,
            bytes_in,
            bytes_out,
            more,
            trace,
        ];
        let operation = Operation::Put(columns.into_iter().enumerate().collect());
        self.steps.push(Step { table: Arc::clone(&TABLE), operation });
        if self.steps.len() >= TOGETHER {
            self.flush();
        }
    }

    /// Writes what is there, and has go what is too old.
    pub(super) fn flush(&mut self) {
        let (lost, now) = (self.steps.len(), time_of_day());
        let steps = std::mem::take(&mut self.steps);
        if let Err(failure) = self.write(steps) {
            notice::give(Notice::RecordsLost, &format!("{lost} are not in the table: {failure}"));
        }
        if now.saturating_sub(self.looked) > nanos(LOOK) {
            self.looked = now;
            if let Err(failure) = self.forget(now) {
                tracing::warn!("records that are too old stay in the table: {failure}");
            }
        }
    }

    fn write(&self, steps: Vec<Step>) -> Result<(), Failure> {
        match self.store.get() {
            _ if steps.is_empty() => Ok(()),
            Some(store) => store.write(steps).map(drop),
            None => Err(Failure::Unavailable("there is no store".to_owned())),
        }
    }

    fn forget(&mut self, now: u64) -> Result<(), Failure> {
        let until = i64::try_from(now.saturating_sub(self.keep)).unwrap_or(i64::MAX);
        loop {
            let names = self.too_old(until)?;
            let steps = names.iter().map(|name| {
                let key = vec![Value::Integer(name.at), Value::Integer(name.number)];
                Step { table: Arc::clone(&TABLE), operation: Operation::Delete { key } }
            });
            self.write(steps.collect())?;
            if names.len() < GO_TOGETHER as usize {
                return Ok(());
            }
        }
    }

    fn too_old(&mut self, until: i64) -> Result<Vec<Name>, Failure> {
        let reader = match (&mut self.reader, self.store.get()) {
            (Some(reader), _) => reader,
            (none, Some(store)) => none.insert(store.reader()?),
            (None, None) => return Ok(Vec::new()),
        };
        let to = Some(Value::Integer(until));
        let scan = Scan { by: 0, from: None, to, after: None, limit: GO_TOGETHER };
        match reader.ask(&TABLE, &Question::Scan(scan))? {
            Found::Rows(rows) => rmp_serde::from_slice(&rows)
                .map_err(|error| Failure::Unavailable(format!("the table of records: {error}"))),
            _ => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use semver::Version;

    use super::*;
    use crate::store::sqlite::Sqlite;
    use crate::store::{Migrant, Store};

    #[test]
    fn rows_have_what_each_record_says_and_go_when_they_are_too_old() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let store = Sqlite::open(&path, Box::new(|_, _| ())).unwrap();
        let migrant = Migrant { component: store::HOST, number: &Version::new(1, 0, 0), name: "tandem@1.0.0" };
        store.migrate(&migrant, &[Table::clone(&TABLE)]).unwrap();
        let handle = store::Handle::default();
        handle.set(Box::new(store));
        let mut rows = Rows::of(handle, Duration::from_secs(3600));
        let fields = serde_json::json!({ "account": "acme", "outcome": "done", "duration_us": 3, "bytes_in": 1, "bytes_out": 2, "trace": "4bf9",
            "status": 200 });
        let fields = rmp_serde::to_vec_named(&fields).unwrap();
        let line = |time| Line {
            time,
            service: Arc::from("web"),
            version: Arc::from("http@1.2.0#3fa9c1"),
            session: 7,
            peer: tandem_component::Peer::Unix,
            fields: fields.clone(),
            trace: None,
        };
        let now = time_of_day();
        let old = now - nanos(Duration::from_secs(3601));
        (0..2500).for_each(|_| rows.add(&line(old)));
        (0..3).for_each(|_| rows.add(&line(now)));
        rows.looked = 0;
        rows.flush();

        let store = rusqlite::Connection::open(path).unwrap();
        let count = || store.query_row("SELECT count(*) FROM \"tandem.records\"", [], |row| row.get::<_, i64>(0));
        assert_eq!(count(), Ok(3));
        let all = "SELECT account || component || outcome || duration_us || bytes_in || bytes_out || trace || more FROM \"tandem.records\"";
        let row: String = store.query_row(all, [], |row| row.get(0)).unwrap();
        assert_eq!(row, "acmehttpdone3124bf9{\"status\":200}");
    }
}
