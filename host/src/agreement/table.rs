//! What was used, as the store has it: a table of the host's own.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use tandem_component::Index;

use super::count::{Arrival, Kept, Key, Quota, Used};
use crate::store::row::Value;
use crate::store::table::{Column, Kind, Table};
use crate::store::{self, Failure, Found, Operation, Question, Reader, Scan, Step};

/// The table. Times are nanoseconds since 1970.
pub static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| {
    let text = |name: &str| Column { name: name.to_owned(), kind: Kind::Text, default: None, index: Index::None };
    let number = |name: &str| Column { kind: Kind::Integer, default: Some(Value::Integer(0)), ..text(name) };
    let mut columns = vec![text("place"), text("agreement"), text("account"), text("service")];
    // When the window has begun, and what is used of it.
    columns.extend(["minute", "minute_used", "hour", "hour_used"].map(number));
    columns.extend(["day", "day_used", "month", "month_used"].map(number));
    // The rate's arrival time, and whether it is one that holds after a crash.
    columns.extend(["arrival", "arrival_holds"].map(number));
    Arc::new(Table { component: store::HOST.to_owned(), name: "agreements".to_owned(), columns, key: vec![0] })
});

/// Between the parts of a row's key.
const BETWEEN: char = '\u{1f}';
/// So many are read at once.
const PAGE: u32 = 500;

/// A row of it.
#[derive(Deserialize)]
struct Row {
    place: String,
    agreement: String,
    account: String,
    service: String,
    minute: u64,
    minute_used: u64,
    hour: u64,
    hour_used: u64,
    day: u64,
    day_used: u64,
    month: u64,
    month_used: u64,
    arrival: u64,
    arrival_holds: u64,
}

/// The step that writes down what is used.
pub fn put(key: &Key, used: &Used) -> Step {
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let (arrival, holds) = match used.kept {
        Kept::Until(arrival) => (arrival, 1),
        Kept::Open | Kept::No => (0, 0),
    };
    let quotas = used.quotas.iter().flat_map(|quota| [quota.start, quota.kept]);
    let numbers = quotas.chain([arrival, holds]).map(number);
    let texts = [place(key), key.agreement.clone(), key.account.clone(), key.service.clone()].map(Value::Text);
    let columns = texts.into_iter().chain(numbers).enumerate().collect();
    Step { table: Arc::clone(&TABLE), operation: Operation::Put(columns) }
}

/// Reads all that is written down.
///
/// # Errors
/// The store cannot be read, or it is not what was written.
pub fn all(reader: &mut dyn Reader) -> Result<Vec<(Key, Used)>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let scan = Scan { by: 0, from: None, to: None, after: after.take(), limit: PAGE };
        let Found::Rows(rows) = reader.ask(&TABLE, &Question::Scan(scan))? else { return Ok(all) };
        let rows: Vec<Row> = rmp_serde::from_slice(&rows)
            .map_err(|error| Failure::Unavailable(format!("the table of agreements: {error}")))?;
        let more = rows.len() == PAGE as usize;
        after = rows.last().map(|row| (Value::Text(row.place.clone()), vec![Value::Text(row.place.clone())]));
        all.extend(rows.into_iter().map(Row::read));
        if !more {
            return Ok(all);
        }
    }
}

impl Row {
    /// What was reserved and not used is lost: whether it was used nobody knows.
    fn read(self) -> (Key, Used) {
        let quota = |start, used| Quota { start, given: used, kept: used };
        let quotas = [
            quota(self.minute, self.minute_used),
            quota(self.hour, self.hour_used),
            quota(self.day, self.day_used),
            quota(self.month, self.month_used),
        ];
        let tat = if self.arrival_holds == 0 { Arrival::LOST } else { Arrival::Stored(self.arrival) };
        let key = Key { agreement: self.agreement, account: self.account, service: self.service };
        (key, Used { tat, kept: Kept::No, quotas })
    }
}

fn place(key: &Key) -> String {
    let Key { agreement, account, service } = key;
    format!("{agreement}{BETWEEN}{account}{BETWEEN}{service}")
}

#[cfg(test)]
mod tests {
    use semver::Version;

    use super::*;
    use crate::store::sqlite::Sqlite;
    use crate::store::{Migrant, Store};

    #[test]
    fn what_was_reserved_is_read_as_used() {
        let directory = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&directory.path().join("store"), Box::new(|_, _| ())).unwrap();
        let migrant = Migrant { component: store::HOST, number: &Version::new(1, 0, 0), name: "tandem@1.0.0" };
        store.migrate(&migrant, &[Table::clone(&TABLE)]).unwrap();
        let key = |n: usize| Key { agreement: format!("a{n:04}"), account: "acme".into(), service: "web".into() };
        let used = |n: u64, kept| {
            let quotas = [60, 3600, 86_400, 0].map(|start| Quota { start, given: n, kept: n + 5 });
            Used { tat: Arrival::At(7), kept, quotas }
        };
        let count = PAGE as usize * 2 + 1;
        store.write((0..count).map(|n| put(&key(n), &used(n as u64, Kept::Open))).collect()).unwrap();
        store.write(vec![put(&key(3), &used(4, Kept::Until(99)))]).unwrap();
        let rows = all(&mut *store.reader().unwrap()).unwrap();
        assert_eq!(rows.len(), count);
        let after = |n: u64, tat| {
            let quotas = [60, 3600, 86_400, 0].map(|start| Quota { start, given: n + 5, kept: n + 5 });
            Used { tat, kept: Kept::No, quotas }
        };
        assert_eq!(rows[2], (key(2), after(2, Arrival::LOST)));
        assert_eq!(rows[3], (key(3), after(4, Arrival::Stored(99))));
        assert_eq!(rows[count - 1], (key(count - 1), after(count as u64 - 1, Arrival::LOST)));
    }
}
