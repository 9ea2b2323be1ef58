//! The statements of the operations. Their text is made of a table's names, which were checked; values are bound.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};
use tandem_component::Index;

use crate::store::row::{self, Value};
use crate::store::table::{Kind, Table};
use crate::store::{Found, Question, Scan};

/// `"smpp.messages"`
pub(super) fn name(component: &str, table: &str) -> String {
    format!("\"{component}.{table}\"")
}

/// `"smpp.messages.state"`, for the index over a column.
pub(super) fn index_name(component: &str, table: &str, column: &str, index: Index) -> String {
    let strict = if index == Index::Unique { ".unique" } else { "" };
    format!("\"{component}.{table}.{column}{strict}\"")
}

/// What statements are written into. Those that write to one row, which most are, are kept: their text is long.
#[derive(Default)]
pub(super) struct Text {
    sql: String,
    written: VecDeque<Written>,
}

/// A statement that was written before.
struct Written {
    form: Form,
    /// Kept, so that no other table comes to lie where it lies.
    table: Arc<Table>,
    columns: Vec<usize>,
    sql: String,
}

/// What it does. With the columns that it is about, the text follows from it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Put,
    Insert,
    /// So many of the columns are to change; the others are as expected.
    Update(usize),
    Add,
}

/// So many are kept: a version writes to few tables, in few ways.
const WRITTEN: usize = 64;

impl Text {
    /// The statement that was written before, or is now.
    fn once(
        &mut self,
        form: Form,
        table: &Arc<Table>,
        columns: impl Iterator<Item = usize> + Clone,
        write: impl FnOnce(&mut String),
    ) -> &str {
        let same = |it: &Written| {
            it.form == form && Arc::ptr_eq(&it.table, table) && it.columns.iter().copied().eq(columns.clone())
        };
        let at = match self.written.iter().position(same) {
            Some(at) => at,
            None => {
                if self.written.len() >= WRITTEN {
                    self.written.pop_front();
                }
                let mut sql = String::new();
                write(&mut sql);
                self.written.push_back(Written { form, table: Arc::clone(table), columns: columns.collect(), sql });
                self.written.len() - 1
            }
        };
        &self.written[at].sql
    }
}

/// Makes the row be there with these columns.
pub(super) fn put(
    connection: &Connection,
    text: &mut Text,
    table: &Arc<Table>,
    columns: &[(usize, Value)],
) -> rusqlite::Result<()> {
    let sql = text.once(Form::Put, table, places(columns), |sql| put_into(sql, table, columns));
    execute(connection, sql, columns.iter().map(|(_, value)| value)).map(drop)
}

fn places(columns: &[(usize, Value)]) -> impl Iterator<Item = usize> + Clone {
    columns.iter().map(|(at, _)| *at)
}

fn put_into(sql: &mut String, table: &Table, columns: &[(usize, Value)]) {
    insert_into(sql, table, columns);
    sql.push_str(" ON CONFLICT (");
    list(sql, table.key_names());
    let others = columns.iter().filter(|(at, _)| !table.key.contains(at));
    let mut separator = ") DO UPDATE SET ";
    let mut some = false;
    for (at, _) in others {
        let column = &table.columns[*at].name;
        let _ = write!(sql, "{separator}\"{column}\" = excluded.\"{column}\"");
        (separator, some) = (", ", true);
    }
    if !some {
        sql.push_str(") DO NOTHING");
    }
}

/// Makes the row where there is none with its key. Whether it did; another unique column that stands in the way is an error.
pub(super) fn insert(
    connection: &Connection,
    text: &mut Text,
    table: &Arc<Table>,
    columns: &[(usize, Value)],
) -> rusqlite::Result<bool> {
    let sql = text.once(Form::Insert, table, places(columns), |sql| {
        insert_into(sql, table, columns);
        sql.push_str(" ON CONFLICT (");
        list(sql, table.key_names());
        sql.push_str(") DO NOTHING");
    });
    Ok(execute(connection, sql, columns.iter().map(|(_, value)| value))? > 0)
}

/// Changes columns of the row, where others are as expected. Whether there was such a row.
pub(super) fn update(
    connection: &Connection,
    text: &mut Text,
    table: &Arc<Table>,
    key: &[Value],
    expected: &[(usize, Value)],
    columns: &[(usize, Value)],
) -> rusqlite::Result<bool> {
    let form = Form::Update(columns.len());
    let sql = text.once(form, table, places(columns).chain(places(expected)), |sql| {
        let _ = write!(sql, "UPDATE {} SET ", name(&table.component, &table.name));
        let mut separator = "";
        for (at, _) in columns {
            let _ = write!(sql, "{separator}\"{}\" = ?", table.columns[*at].name);
            separator = ", ";
        }
        if columns.is_empty() {
            // Nothing to change: it is only asked whether the row is as expected.
            let _ = write!(sql, "\"{0}\" = \"{0}\"", table.columns[table.key[0]].name);
        }
        where_key(sql, table);
        for (at, _) in expected {
            let _ = write!(sql, " AND \"{}\" IS ?", table.columns[*at].name);
        }
    });
    let values = columns.iter().map(|(_, value)| value).chain(key).chain(expected.iter().map(|(_, value)| value));
    Ok(execute(connection, sql, values)? > 0)
}

/// Adds to a column; what is not there begins with the column's default, or with 0.
pub(super) fn add(
    connection: &Connection,
    text: &mut Text,
    table: &Arc<Table>,
    key: &[Value],
    at: usize,
    delta: i64,
) -> rusqlite::Result<()> {
    let column = &table.columns[at];
    let start = match column.default {
        Some(Value::Integer(start)) => start,
        _ => 0,
    };
    let sql = text.once(Form::Add, table, std::iter::once(at), |sql| {
        let _ = write!(sql, "INSERT INTO {} (", name(&table.component, &table.name));
        list(sql, table.key_names().into_iter().chain([column.name.as_str()]));
        sql.push_str(") VALUES (");
        let places = key.len();
        (0..places).for_each(|_| sql.push_str("?, "));
        let _ = write!(sql, "?{} + ?{}) ON CONFLICT (", places + 1, places + 2);
        list(sql, table.key_names());
        let _ = write!(
            sql,
            ") DO UPDATE SET \"{0}\" = coalesce(\"{0}\", ?{1}) + ?{2}",
            column.name,
            places + 1,
            places + 2
        );
    });
    let (start, delta) = (Value::Integer(start), Value::Integer(delta));
    execute(connection, sql, key.iter().chain([&start, &delta])).map(drop)
}

/// Makes the row go.
pub(super) fn delete(
    connection: &Connection,
    Text { sql, .. }: &mut Text,
    table: &Table,
    key: &[Value],
) -> rusqlite::Result<()> {
    sql.clear();
    let _ = write!(sql, "DELETE FROM {}", name(&table.component, &table.name));
    where_key(sql, table);
    execute(connection, sql, key.iter()).map(drop)
}

/// Answers a question.
pub(super) fn ask(
    connection: &Connection,
    Text { sql, .. }: &mut Text,
    table: &Table,
    question: &Question,
) -> rusqlite::Result<Found> {
    sql.clear();
    sql.push_str("SELECT ");
    list(sql, table.columns.iter().map(|column| column.name.as_str()));
    let _ = write!(sql, " FROM {}", name(&table.component, &table.name));
    match question {
        Question::Get { key } => {
            where_key(sql, table);
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(key))?;
            Ok(Found::Row(match rows.next()? {
                Some(row) => {
                    let mut out = Vec::new();
                    encode(table, row, &mut out)?;
                    Some(out)
                }
                None => None,
            }))
        }
        Question::Scan(scan) => {
            let values = where_scanned(sql, table, scan);
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values))?;
            let (mut count, mut body) = (0, Vec::new());
            while let Some(row) = rows.next()? {
                encode(table, row, &mut body)?;
                count += 1;
            }
            let mut out = Vec::with_capacity(body.len() + 5);
            rmp::encode::write_array_len(&mut out, count).expect("a Vec takes what is written to it");
            out.extend_from_slice(&body);
            Ok(Found::Rows(out))
        }
    }
}

/// Which rows, in which order. The values that are bound.
fn where_scanned<'a>(sql: &mut String, table: &Table, scan: &'a Scan) -> Vec<&'a Value> {
    let by = &table.columns[scan.by].name;
    let mut order = vec![by.as_str()];
    order.extend(table.key_names().into_iter().filter(|name| name != by));
    let mut values = Vec::new();
    let mut word = " WHERE ";
    for (bound, sign) in [(&scan.from, ">="), (&scan.to, "<=")] {
        if let Some(value) = bound {
            let _ = write!(sql, "{word}\"{by}\" {sign} ?");
            values.push(value);
            word = " AND ";
        }
    }
    if let Some((value, key)) = &scan.after {
        let _ = write!(sql, "{word}(");
        list(sql, order.iter().copied());
        sql.push_str(") > (");
        sql.push_str(&vec!["?"; order.len()].join(", "));
        sql.push(')');
        values.push(value);
        // The key's column that it is sorted by stands first already.
        values.extend(table.key.iter().zip(key).filter(|(at, _)| **at != scan.by).map(|(_, value)| value));
    }
    sql.push_str(" ORDER BY ");
    list(sql, order);
    let _ = write!(sql, " LIMIT {}", scan.limit);
    values
}

fn insert_into(sql: &mut String, table: &Table, columns: &[(usize, Value)]) {
    let _ = write!(sql, "INSERT INTO {} (", name(&table.component, &table.name));
    list(sql, columns.iter().map(|(at, _)| table.columns[*at].name.as_str()));
    sql.push_str(") VALUES (");
    for place in 0..columns.len() {
        sql.push_str(if place == 0 { "?" } else { ", ?" });
    }
    sql.push(')');
}

fn where_key(sql: &mut String, table: &Table) {
    let mut word = " WHERE ";
    for column in table.key_names() {
        let _ = write!(sql, "{word}\"{column}\" = ?");
        word = " AND ";
    }
}

fn list<'a>(sql: &mut String, names: impl IntoIterator<Item = &'a str>) {
    for (place, name) in names.into_iter().enumerate() {
        let _ = write!(sql, "{}\"{name}\"", if place == 0 { "" } else { ", " });
    }
}

fn execute<'a>(connection: &Connection, sql: &str, values: impl Iterator<Item = &'a Value>) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(rusqlite::params_from_iter(values))
}

fn encode(table: &Table, row: &rusqlite::Row<'_>, out: &mut Vec<u8>) -> rusqlite::Result<()> {
    let values = (0..table.columns.len()).map(|at| Ok(of(row.get_ref(at)?, table.columns[at].kind)));
    row::write(table, &values.collect::<rusqlite::Result<Vec<Value>>>()?, out);
    Ok(())
}

fn of(value: ValueRef<'_>, kind: Kind) -> Value {
    match (value, kind) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(number), _) => Value::Integer(number),
        (ValueRef::Real(number), _) => Value::Real(number),
        (ValueRef::Text(text), _) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        (ValueRef::Blob(bytes), _) => Value::Blob(bytes.to_owned()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
