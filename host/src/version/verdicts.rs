//! What was decided of versions beyond what their files say, and holds across reloads and restarts: tables of the host's own.
//!
//! [`ROLLOUTS`] has a row for each component that ever served: which version does, which did before it, and which is *held*: it serves
//! whatever else is there, until the component's files change or an operator ends that. [`QUARANTINE`] has a row for each content that
//! does not serve again before an operator says so.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use tandem_component::Index;

use crate::store::row::Value;
use crate::store::table::{Column, Kind, Table};
use crate::store::{self, Failure, Found, Operation, Question, Scan, Step};

/// The table of [`Rollout`]s.
pub static ROLLOUTS: LazyLock<Arc<Table>> = LazyLock::new(|| {
    let text = |name: &str| column(name, Kind::Text, Some(Value::Null));
    let columns = vec![
        column("component", Kind::Text, None),
        text("active"),
        text("before"),
        text("held"),
        text("files"),
        text("why"),
        column("since", Kind::Integer, Some(Value::Integer(0))),
    ];
    Arc::new(Table { component: store::HOST.to_owned(), name: "rollouts".to_owned(), columns, key: vec![0] })
});

/// The table of those that are [`Quarantined`].
pub static QUARANTINE: LazyLock<Arc<Table>> = LazyLock::new(|| {
    let columns = vec![
        column("digest", Kind::Text, None),
        column("version", Kind::Text, None),
        column("why", Kind::Text, None),
        column("since", Kind::Integer, None),
    ];
    Arc::new(Table { component: store::HOST.to_owned(), name: "quarantine".to_owned(), columns, key: vec![0] })
});

/// A row of [`ROLLOUTS`]. Versions are named with their whole digests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Rollout {
    /// The component.
    pub component: String,
    /// The version that serves.
    pub active: Option<String>,
    /// The one that served before it.
    pub before: Option<String>,
    /// The one that is held.
    pub held: Option<String>,
    /// The component's files as they were then: their digests, in order.
    pub files: Option<String>,
    /// Why it is held.
    pub why: Option<String>,
    /// Since when, in nanoseconds since 1970.
    pub since: i64,
}

/// A row of [`QUARANTINE`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Quarantined {
    /// What the content hashes to.
    pub digest: String,
    /// `http@1.2.0#3fa9c1`
    pub version: String,
    /// Why.
    pub why: String,
    /// Since when, in nanoseconds since 1970.
    pub since: i64,
}

impl Rollout {
    /// That nothing is held.
    pub fn let_go(&mut self) {
        (self.held, self.files, self.why, self.since) = (None, None, None, 0);
    }

    /// Writes it down.
    pub fn put(&self) -> Step {
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
        let columns = vec![
            (0, Value::Text(self.component.clone())),
            (1, text(&self.active)),
            (2, text(&self.before)),
            (3, text(&self.held)),
            (4, text(&self.files)),
            (5, text(&self.why)),
            (6, Value::Integer(self.since)),
        ];
        Step { table: Arc::clone(&ROLLOUTS), operation: Operation::Put(columns) }
    }
}

impl Quarantined {
    /// Writes it down.
    pub fn put(&self) -> Step {
        let columns = vec![
            (0, Value::Text(self.digest.clone())),
            (1, Value::Text(self.version.clone())),
            (2, Value::Text(self.why.clone())),
            (3, Value::Integer(self.since)),
        ];
        Step { table: Arc::clone(&QUARANTINE), operation: Operation::Put(columns) }
    }

    /// Makes the row of a content go.
    pub fn delete(digest: &str) -> Step {
        let key = vec![Value::Text(digest.to_owned())];
        Step { table: Arc::clone(&QUARANTINE), operation: Operation::Delete { key } }
    }
}

/// All rows of one of the tables.
///
/// # Errors
/// The store cannot be read, or has rows that a newer host has written.
pub fn read<T: for<'a> Deserialize<'a>>(reader: &mut dyn store::Reader, table: &Arc<Table>) -> Result<Vec<T>, Failure> {
    let all = Question::Scan(Scan { by: 0, from: None, to: None, after: None, limit: u32::MAX });
    match reader.ask(table, &all)? {
        Found::Rows(rows) => rmp_serde::from_slice(&rows)
            .map_err(|error| Failure::Unavailable(format!("the table of {}: {error}", table.name))),
        _ => Ok(Vec::new()),
    }
}

fn column(name: &str, kind: Kind, default: Option<Value>) -> Column {
    Column { name: name.to_owned(), kind, default, index: Index::None }
}

#[cfg(test)]
mod tests {
    use semver::Version;

    use super::*;
    use crate::store::sqlite::Sqlite;
    use crate::store::{Migrant, Store};

    #[test]
    fn rows_are_written_read_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&directory.path().join("store"), Box::new(|_, _| ())).unwrap();
        let migrant = Migrant { component: store::HOST, number: &Version::new(1, 0, 0), name: "tandem@1.0.0" };
        store.migrate(&migrant, &[Table::clone(&ROLLOUTS), Table::clone(&QUARANTINE)]).unwrap();
        let mut reader = store.reader().unwrap();
        assert_eq!(read::<Rollout>(&mut *reader, &ROLLOUTS), Ok(vec![]));
        let served = Rollout { component: "echo".into(), active: Some("echo@1.0.0#a".into()), ..Rollout::default() };
        let held = Rollout {
            held: Some("b".into()),
            files: Some("f".into()),
            why: Some("so".into()),
            since: 7,
            ..served.clone()
        };
        let bad = Quarantined { digest: "d".into(), version: "echo@2.0.0#d".into(), why: "it panics".into(), since: 8 };
        store.write(vec![served.put(), bad.put()]).unwrap();
        store.write(vec![held.put()]).unwrap();
        assert_eq!(read::<Rollout>(&mut *reader, &ROLLOUTS), Ok(vec![held.clone()]));
        assert_eq!(read::<Quarantined>(&mut *reader, &QUARANTINE), Ok(vec![bad]));
        let mut let_go = held;
        let_go.let_go();
        assert_eq!(let_go, served);
        store.write(vec![Quarantined::delete("d")]).unwrap();
        assert_eq!(read::<Quarantined>(&mut *reader, &QUARANTINE), Ok(vec![]));
    }
}
