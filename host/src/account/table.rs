//! The accounts that `tandem account` keeps: a table of the host's own.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use tandem_component::Index;

use super::{Account, Hashed};
use crate::store::row::Value;
use crate::store::table::{Column, Kind, Table};
use crate::store::{self, Failure, Found, Operation, Question, Scan, Step};

/// The table.
pub static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| {
    let column = |name: &str, kind, default| Column { name: name.to_owned(), kind, default, index: Index::None };
    Arc::new(Table {
        component: store::HOST.to_owned(),
        name: "accounts".to_owned(),
        columns: vec![
            column("name", Kind::Text, None),
            column("secret", Kind::Text, None),
            column("services", Kind::Nested, Some(Value::Null)),
            column("suspended", Kind::Boolean, Some(Value::Integer(0))),
        ],
        key: vec![0],
    })
});

/// A row of it.
#[derive(Deserialize)]
struct Row {
    name: String,
    secret: String,
    services: Option<BTreeSet<String>>,
    suspended: bool,
}

/// Which row an account has.
pub fn get(name: &str) -> Question {
    Question::Get { key: vec![Value::Text(name.to_owned())] }
}

/// All rows, by name.
pub fn all() -> Question {
    Question::Scan(Scan { by: 0, from: None, to: None, after: None, limit: u32::MAX })
}

/// Makes a row, which is answered by whether there was none; or `over` the one that is there.
pub fn put(name: &str, account: &Account, over: bool) -> Step {
    let services = account.services.as_ref().map_or(Value::Null, |services| {
        Value::Blob(rmp_serde::to_vec(services).expect("a set of texts can be written"))
    });
    let secret = Value::Text(account.secret.text().to_owned());
    let suspended = Value::Integer(account.suspended.into());
    let columns = vec![(0, Value::Text(name.to_owned())), (1, secret), (2, services), (3, suspended)];
    let operation = if over { Operation::Put(columns) } else { Operation::Insert { columns, token: 0 } };
    Step { table: Arc::clone(&TABLE), operation }
}

/// Makes a row go.
pub fn delete(name: &str) -> Step {
    Step { table: Arc::clone(&TABLE), operation: Operation::Delete { key: vec![Value::Text(name.to_owned())] } }
}

/// Reads what was found.
///
/// # Errors
/// It is not what was written: another hand, or a newer host.
pub fn read(found: Found) -> Result<Vec<(String, Account)>, Failure> {
    let unreadable = |error: rmp_serde::decode::Error| Failure::Unavailable(format!("the table of accounts: {error}"));
    let rows: Vec<Row> = match found {
        Found::Row(None) | Found::Done(_) => Vec::new(),
        Found::Row(Some(row)) => vec![rmp_serde::from_slice(&row).map_err(unreadable)?],
        Found::Rows(rows) => rmp_serde::from_slice(&rows).map_err(unreadable)?,
    };
    rows.into_iter()
        .map(|Row { name, secret, services, suspended }| {
            let secret = Hashed::parse(&secret)
                .map_err(|unfit| Failure::Unavailable(format!("the table of accounts, row {name:?}: {unfit}")))?;
            Ok((name, Account { secret, services, suspended }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use semver::Version;

    use super::*;
    use crate::store::sqlite::Sqlite;
    use crate::store::{Migrant, Store};

    #[test]
    fn rows_are_made_once_replaced_read_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&directory.path().join("store"), Box::new(|_, _| ())).unwrap();
        let migrant = Migrant { component: store::HOST, number: &Version::new(1, 0, 0), name: "tandem@1.0.0" };
        store.migrate(&migrant, &[Table::clone(&TABLE)]).unwrap();
        let mut reader = store.reader().unwrap();
        let mut rows = |question: &Question| read(reader.ask(&TABLE, question).unwrap()).unwrap();
        let everywhere = Account { secret: Hashed::nobodys(), services: None, suspended: false };
        let services = Some(["web".to_owned(), "esme".to_owned()].into());
        let somewhere = Account { services, suspended: true, ..everywhere.clone() };

        assert_eq!(rows(&get("a")), []);
        assert_eq!(store.write(vec![put("b", &everywhere, false)]), Ok(vec![(0, Found::Done(true))]));
        assert_eq!(store.write(vec![put("b", &somewhere, false)]), Ok(vec![(0, Found::Done(false))]));
        assert_eq!(store.write(vec![put("a", &somewhere, true)]), Ok(vec![]));
        assert_eq!(rows(&all()), [("a".to_owned(), somewhere.clone()), ("b".to_owned(), everywhere.clone())]);
        store.write(vec![put("a", &everywhere, true), delete("b")]).unwrap();
        assert_eq!(rows(&get("a")), [("a".to_owned(), everywhere)]);
        assert_eq!(rows(&get("b")), []);
    }
}
