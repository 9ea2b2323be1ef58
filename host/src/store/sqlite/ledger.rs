//! Reads a ledger: both tables in one snapshot.

use std::collections::BTreeMap;

use rusqlite::{Connection, params_from_iter};
use tandem_component::Ledger;

use super::statement;
use crate::store::ledger::{Balance, Books, Sums};

/// What became of all that each version has accepted, by its name. It looks at all rows, since an index over what is pending would
/// cost each message more than this costs now and then.
pub(super) fn balances(connection: &mut Connection, books: &Books) -> rusqlite::Result<Vec<Balance>> {
    let mut balances: BTreeMap<String, Balance> = BTreeMap::new();
    // All that is read in one transaction is as it was when that began.
    let snapshot = connection.transaction()?;
    let of = |table: &crate::store::table::Table| statement::name(&table.component, &table.name);

    let numbers = Ledger::COUNTED.iter().chain(&Ledger::MORE);
    let numbers = numbers.map(|column| format!(", coalesce(\"{column}\", 0)")).collect::<String>();
    let totals = &books.totals;
    let sql = format!("SELECT \"{}\"{numbers} FROM {}", totals.key_names().join(""), of(totals));
    let mut statement = snapshot.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let version: String = row.get(0)?;
        let mut counted = [[0; 5]; 2];
        for (at, number) in counted.iter_mut().flatten().enumerate() {
            *number = row.get(1 + at)?;
        }
        let [whole, more] = counted.map(Sums::counted);
        balances.insert(version.clone(), Balance { version, whole, parts: whole + more });
    }
    drop(rows);

    let columns = &books.columns;
    let places = vec!["?"; columns.pending.len()].join(", ");
    let sql = format!(
        "SELECT \"{}\", \"{}\" IS TRUE, count(*), count(*) + sum(coalesce(\"{}\", 0)) FROM {} WHERE \"{}\" IN ({places}) GROUP BY 1, 2",
        columns.version,
        columns.uncertain,
        columns.more,
        of(&books.rows),
        columns.phase,
    );
    let mut pending = snapshot.prepare_cached(&sql)?;
    let mut rows = pending.query(params_from_iter(&columns.pending))?;
    while let Some(row) = rows.next()? {
        let (version, uncertain): (String, bool) = (row.get(0)?, row.get(1)?);
        let (whole, parts): (i64, i64) = (row.get(2)?, row.get::<_, Option<i64>>(3)?.unwrap_or_default());
        let pending =
            |number| Sums { pending: number, uncertain: if uncertain { number } else { 0 }, ..Sums::default() };
        let balance = balances.entry(version.clone()).or_insert_with(|| Balance { version, ..Balance::default() });
        balance.whole = balance.whole + pending(whole);
        balance.parts = balance.parts + pending(parts);
    }
    Ok(balances.into_values().collect())
}
