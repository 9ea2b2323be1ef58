//! The harness's store: tables in memory, with the rules of the host's.
//!
//! A row keeps the columns of every version that wrote it; a version sees those that it declares, with their defaults.

use std::collections::BTreeMap;

use rmpv::Value;

use super::Harness;
use crate::abi::{kind, row, unstored};
use crate::component::Component;
use crate::table::{Index, Kind, Literal, Table};

impl<C: Component> Harness<C> {
    /// What another session of the same store has written: from now on this one finds the rows that the other finds now.
    pub fn copy_rows<D: Component>(&mut self, other: &mut Harness<D>) {
        other.settle();
        self.host.tables.clone_from(&other.host.tables);
    }
}

/// The rows of all tables, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    tables: BTreeMap<String, BTreeMap<Vec<u8>, Row>>,
}

type Row = BTreeMap<String, Value>;
/// A map as MessagePack has it.
type Entries = Vec<(Value, Value)>;

/// One operation, as it was told.
pub(super) struct Operation<'a> {
    pub(super) operation: u32,
    pub(super) table: &'a str,
    pub(super) first: &'a [u8],
    pub(super) second: &'a [u8],
    pub(super) number: i64,
}

/// What an operation comes to.
pub(super) enum Outcome {
    /// It has no answer.
    Silent,
    /// The kind of the answer, its detail, its bytes.
    Answer(u32, u32, Vec<u8>),
    /// The rows that are there do not allow it: a number of [`unstored`].
    Failed(u32),
}

/// Whether an operation writes.
pub(super) fn writes(operation: u32) -> bool {
    !matches!(operation, row::GET | row::SCAN)
}

impl Tables {
    /// Carries out one operation of a version that declares these tables.
    ///
    /// # Errors
    /// What the component does wrong, in words.
    pub(super) fn carry_out(&mut self, declared: &[Table], told: &Operation<'_>) -> Result<Outcome, String> {
        let table = declared.iter().find(|table| table.name == told.table);
        let table = table.ok_or_else(|| format!("table `{}` is not among the TABLES", told.table))?;
        let rows = self.tables.entry(table.name.to_owned()).or_default();
        if told.operation == row::SCAN {
            return scan(table, rows, told.first);
        }
        let mut first = columns(table, told.first, matches!(told.operation, row::ADD | row::DELETE | row::GET))?;
        let key = take_key(table, &mut first)?;
        let at = order(table.key.iter().map(|name| &key[*name]));
        let there = rows.contains_key(&at);
        let changed = |done: bool| Outcome::Answer(kind::CHANGED, u32::from(done), Vec::new());
        match told.operation {
            row::GET => {
                let bytes = rows.get(&at).map(|found| encode(&Value::Map(known(table, found))));
                return Ok(Outcome::Answer(kind::ROW, u32::from(there), bytes.unwrap_or_default()));
            }
            row::DELETE => {
                rows.remove(&at);
                return Ok(Outcome::Silent);
            }
            row::UPDATE if !there => return Ok(Outcome::Silent),
            row::INSERT if there => return Ok(changed(false)),
            row::SWAP => {
                let columns = columns(table, told.second, false)?;
                if key.iter().any(|(name, value)| columns.get(name).is_some_and(|other| other != value)) {
                    return Err(format!("the key of a row of table `{}` does not change", table.name));
                }
                let expected = |found: &Row| {
                    let found = known(table, found).collect_names();
                    first.iter().all(|(name, value)| found.get(name) == Some(value))
                };
                if !rows.get(&at).is_some_and(expected) {
                    return Ok(changed(false));
                }
                first = columns;
            }
            row::ADD => {
                let name = String::from_utf8_lossy(told.second).into_owned();
                let column = table.columns.iter().find(|column| column.name == name && column.kind == Kind::Integer);
                column.ok_or_else(|| format!("table `{}` has no integer `{name}` to add to", table.name))?;
                let found = rows.get(&at).map(|found| known(table, found)).unwrap_or_else(|| known(table, &Row::new()));
                let old = found.collect_names().get(&name).and_then(Value::as_i64).unwrap_or(0);
                let Some(sum) = old.checked_add(told.number) else { return Ok(Outcome::Failed(unstored::CONFLICT)) };
                first.insert(name, sum.into());
            }
            _ => {}
        }
        let shares = |(name, value): (&String, &Value)| {
            let unique = table.columns.iter().any(|column| column.name == name && column.index == Index::Unique);
            unique && !value.is_nil() && rows.iter().any(|(other, row)| *other != at && row.get(name) == Some(value))
        };
        if first.iter().any(shares) {
            return Ok(Outcome::Failed(unstored::CONFLICT));
        }
        let row = rows.entry(at).or_insert(key);
        row.extend(first);
        Ok(if matches!(told.operation, row::INSERT | row::SWAP) { changed(true) } else { Outcome::Silent })
    }

    /// All rows of a table, as a version that declares it sees them.
    pub(super) fn all(&self, table: &Table) -> Vec<Vec<u8>> {
        let rows = self.tables.get(table.name).into_iter().flat_map(BTreeMap::values);
        rows.map(|row| encode(&Value::Map(known(table, row)))).collect()
    }
}

fn scan(table: &Table, rows: &BTreeMap<Vec<u8>, Row>, scan: &[u8]) -> Result<Outcome, String> {
    let entries = map(scan).ok_or("a scan is a map")?.collect_names();
    let by = entries.get("by").and_then(Value::as_str).unwrap_or(table.key[0]).to_owned();
    let indexed = table.columns.iter().any(|column| column.name == by && column.index != Index::None);
    if !indexed && table.key[0] != by {
        return Err(format!("column `{by}` of table `{}` has no index to scan by", table.name));
    }
    let of = |row: &BTreeMap<String, Value>| row.get(&by).cloned().unwrap_or(Value::Nil);
    let place = |row: &BTreeMap<String, Value>| {
        let key = table.key.iter().filter(|name| **name != by).map(|name| row.get(*name).unwrap_or(&Value::Nil));
        order([&of(row)].into_iter().chain(key))
    };
    let bound = |name: &str| entries.get(name).map(|value| order([value]));
    let (from, to) = (bound("from"), bound("to"));
    let after = entries.get("after").and_then(|value| match value {
        Value::Map(map) => Some(place(&map.clone().collect_names())),
        _ => None,
    });
    let limit = entries.get("limit").and_then(Value::as_u64).unwrap_or(100).min(1000);
    let mut found: Vec<(Vec<u8>, Entries)> = rows
        .values()
        .map(|row| known(table, row))
        .filter(|row| {
            let at = order([&of(&row.clone().collect_names())]);
            from.as_ref().is_none_or(|from| at >= *from) && to.as_ref().is_none_or(|to| at <= *to)
        })
        .map(|row| (place(&row.clone().collect_names()), row))
        .filter(|(place, _)| after.as_ref().is_none_or(|after| place > after))
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let rows = found.into_iter().take(usize::try_from(limit).unwrap_or(1000)).map(|(_, row)| Value::Map(row)).collect();
    Ok(Outcome::Answer(kind::ROWS, 0, encode(&Value::Array(rows))))
}

/// The columns that a version declares, with their defaults where the row has none.
fn known(table: &Table, row: &Row) -> Entries {
    let value = |column: &crate::table::Column| {
        row.get(column.name).cloned().unwrap_or(match column.default {
            Some(Literal::Integer(number)) => number.into(),
            Some(Literal::Text(text)) => text.into(),
            Some(Literal::Boolean(flag)) => flag.into(),
            Some(Literal::Null) | None => Value::Nil,
        })
    };
    table.columns.iter().map(|column| (column.name.into(), value(column))).collect()
}

/// Reads a row, or a key: a struct, a tuple in the key's order, or the one value.
fn columns(table: &Table, bytes: &[u8], key: bool) -> Result<Row, String> {
    let value = rmpv::decode::read_value(&mut &*bytes).map_err(|error| error.to_string())?;
    let row = match value {
        Value::Map(map) => map.collect_names(),
        Value::Array(values) if key && values.len() == table.key.len() => {
            table.key.iter().map(|name| (*name).to_owned()).zip(values).collect()
        }
        value if key && table.key.len() == 1 => Row::from([(table.key[0].to_owned(), value)]),
        _ => return Err(format!("a row of `{}` is a struct whose fields are its columns", table.name)),
    };
    for (name, value) in &row {
        let column = table.columns.iter().find(|column| column.name == name);
        let column = column.ok_or_else(|| format!("table `{}` has no column `{name}`", table.name))?;
        let fits = match column.kind {
            Kind::Integer => value.as_i64().is_some(),
            Kind::Real => value.as_f64().is_some(),
            Kind::Text => value.as_str().is_some(),
            Kind::Blob => value.is_bin() || value.is_array(),
            Kind::Boolean => value.is_bool(),
            Kind::Nested => true,
        };
        if !fits && !value.is_nil() {
            return Err(format!("column `{name}` of table `{}` holds {}", table.name, column.kind.word()));
        }
    }
    Ok(row)
}

fn take_key(table: &Table, columns: &mut Row) -> Result<Row, String> {
    let mut key = Row::new();
    for name in table.key {
        let value = columns.remove(*name).filter(|value| !value.is_nil());
        key.insert(
            (*name).to_owned(),
            value.ok_or_else(|| format!("the key of table `{}` wants `{name}`", table.name))?,
        );
    }
    Ok(key)
}

/// Bytes that sort as the values do: nothing first, then numbers, text, bytes.
fn order<'v>(values: impl IntoIterator<Item = &'v Value>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        match value {
            Value::Boolean(flag) => bytes.extend([1, u8::from(*flag)]),
            Value::Integer(number) => {
                bytes.push(2);
                let number = number.as_i64().unwrap_or(i64::MAX);
                bytes.extend((number.cast_unsigned() ^ 1 << 63).to_be_bytes());
            }
            Value::F64(number) => {
                let bits = number.to_bits();
                let sorted = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
                bytes.push(3);
                bytes.extend(sorted.to_be_bytes());
            }
            Value::String(text) => {
                bytes.push(4);
                bytes.extend(text.as_bytes());
                bytes.push(0);
            }
            Value::Binary(binary) => {
                bytes.push(5);
                bytes.extend(binary);
                bytes.push(0);
            }
            _ => bytes.push(0),
        }
    }
    bytes
}

fn map(bytes: &[u8]) -> Option<Entries> {
    match rmpv::decode::read_value(&mut &*bytes).ok()? {
        Value::Map(map) => Some(map),
        _ => None,
    }
}

fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).expect("a Vec takes what is written to it");
    bytes
}

/// A map by the names of its entries.
trait Names {
    fn collect_names(self) -> Row;
}

impl Names for Entries {
    fn collect_names(self) -> Row {
        self.into_iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value))).collect()
    }
}
