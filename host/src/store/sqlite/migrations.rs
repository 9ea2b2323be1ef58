//! What was ever added to the tables, in a table of its own, and what a version adds.
//!
//! One row for each column and each index, with the version that brought it and when. What there is is known from these
//! rows and from nothing else.

use rusqlite::{Connection, params};
use semver::Version as Number;
use tandem_component::Index;

use super::{additions, failure, statement};
use crate::clock::time_of_day;
use crate::store::row::Value;
use crate::store::schema::{Change, Misfit, What, index_of, index_word};
use crate::store::table::{Column, Kind, Table};
use crate::store::{Failure, Migrant, Migration, Unfit};

/// A table with more columns than so many has long rows.
const SHORT: usize = 8;

/// What a version wants its tables to be.
pub(super) struct Wanted {
    pub(super) component: String,
    pub(super) number: Number,
    pub(super) version: String,
    pub(super) tables: Vec<Table>,
}

impl Wanted {
    pub(super) fn of(version: &Migrant<'_>, tables: &[Table]) -> Self {
        Wanted {
            component: version.component.to_owned(),
            number: version.number.clone(),
            version: version.name.to_owned(),
            tables: tables.to_vec(),
        }
    }

    /// Adds what is not there, in one transaction. A rehearsal does the same and takes it back, so that it finds whatever
    /// the real one would.
    pub(super) fn carry_out(&self, connection: &mut Connection, rehearsal: bool) -> Result<(), Unfit> {
        let changes = additions(connection, self)?;
        if changes.is_empty() {
            return Ok(());
        }
        let transaction = connection.transaction().map_err(failure)?;
        for change in &changes {
            self.add(&transaction, change, time_of_day()).map_err(|error| explained(change, failure(error)))?;
        }
        if rehearsal {
            return transaction.rollback().map_err(|error| failure(error).into());
        }
        transaction.commit().map_err(|error| failure(error).into())
    }

    fn add(&self, connection: &Connection, change: &Change, at: u64) -> rusqlite::Result<()> {
        let name = statement::name(&self.component, &change.table);
        match &change.what {
            What::Table { key, columns } => {
                let mut sql = format!("CREATE TABLE {name} (");
                for column in columns {
                    let strict = if key.contains(&column.name) { " NOT NULL" } else { "" };
                    sql.push_str(&format!("{}{strict}, ", declared(column)));
                }
                let quoted: Vec<String> = key.iter().map(|column| format!("\"{column}\"")).collect();
                // A number as the key is SQLite's own row number. Others are kept in the order of their key, but for long rows:
                // few of them fit into a page, and in that order they stand in all pages that lead to them.
                let lone = columns.iter().any(|column| *key == [column.name.as_str()] && column.kind == Kind::Integer);
                let long = columns.len() > SHORT || columns.iter().any(|column| column.kind == Kind::Nested);
                let order = if lone || long { "" } else { ", WITHOUT ROWID" };
                sql.push_str(&format!("PRIMARY KEY ({})) STRICT{order}", quoted.join(", ")));
                connection.execute_batch(&sql)?;
                for column in columns {
                    let place = key.iter().position(|name| *name == column.name);
                    self.write_down(connection, at, change, column, place)?;
                    self.index(connection, &change.table, &column.name, column.index)?;
                }
                Ok(())
            }
            What::Column(column) => {
                connection.execute_batch(&format!("ALTER TABLE {name} ADD COLUMN {}", declared(column)))?;
                self.write_down(connection, at, change, column, None)?;
                self.index(connection, &change.table, &column.name, column.index)
            }
            What::Index { column, index } => {
                connection.execute(
                    "INSERT INTO \"tandem.migrations\" (at, component, version, number, change, table_name, column_name, \
                     index_kind) VALUES (?, ?, ?, ?, 'index', ?, ?, ?)",
                    params![
                        at.cast_signed(),
                        self.component,
                        self.version,
                        self.number.to_string(),
                        change.table,
                        column,
                        index_word(*index)
                    ],
                )?;
                self.index(connection, &change.table, column, *index)
            }
        }
    }

    fn index(&self, connection: &Connection, table: &str, column: &str, index: Index) -> rusqlite::Result<()> {
        let unique = match index {
            Index::None => return Ok(()),
            Index::Plain => "",
            Index::Unique => "UNIQUE ",
        };
        let (name, of) =
            (statement::index_name(&self.component, table, column, index), statement::name(&self.component, table));
        let mut columns = format!("\"{column}\"");
        // Rows that share a value are found in the order of their key, whatever order they are kept in.
        let table = self.tables.iter().find(|it| it.name == table).filter(|_| index == Index::Plain);
        for other in table.iter().flat_map(|table| table.key_names()).filter(|other| *other != column) {
            columns.push_str(&format!(", \"{other}\""));
        }
        connection.execute_batch(&format!("CREATE {unique}INDEX {name} ON {of} ({columns})"))
    }

    fn write_down(
        &self,
        connection: &Connection,
        at: u64,
        change: &Change,
        column: &Column,
        place: Option<usize>,
    ) -> rusqlite::Result<()> {
        let word = if matches!(change.what, What::Table { .. }) { "table" } else { "column" };
        connection.execute(
            "INSERT INTO \"tandem.migrations\" (at, component, version, number, change, table_name, column_name, kind, \
             has_default, default_value, index_kind, key_place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                at.cast_signed(),
                self.component,
                self.version,
                self.number.to_string(),
                word,
                change.table,
                column.name,
                column.kind.word(),
                column.default.is_some(),
                column.default.as_ref().unwrap_or(&Value::Null),
                index_word(column.index),
                place.map(|place| place as i64),
            ],
        )?;
        Ok(())
    }
}

/// Makes the table that changes are written down in.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS \"tandem.migrations\" (
            id INTEGER PRIMARY KEY,
            at INTEGER NOT NULL, -- nanoseconds since 1970
            component TEXT NOT NULL,
            version TEXT NOT NULL,
            number TEXT NOT NULL,
            change TEXT NOT NULL, -- `table`: a column that came with its table, `column`: one that came later, `index`
            table_name TEXT NOT NULL,
            column_name TEXT NOT NULL,
            kind TEXT, -- null for `index`
            has_default INTEGER NOT NULL DEFAULT 0,
            default_value ANY,
            index_kind TEXT NOT NULL,
            key_place INTEGER -- null outside of the key
        ) STRICT",
    )
}

/// What was added to a component's tables, in order, with the number of the version that did.
pub(super) fn of(connection: &Connection, component: &str) -> rusqlite::Result<Vec<(Change, Number)>> {
    let mut changes: Vec<(Change, Number)> = Vec::new();
    for one in written(connection)?.into_iter().filter(|one| one.component == component) {
        let Ok(number) = Number::parse(&one.number) else { continue };
        let Some(column) = one.column else {
            let what = What::Index { column: one.name, index: one.index };
            changes.push((Change { table: one.table, what }, number));
            continue;
        };
        if one.change != "table" {
            changes.push((Change { table: one.table, what: What::Column(column) }, number));
            continue;
        }
        let made = changes.iter_mut().find_map(|(change, _)| match &mut change.what {
            What::Table { key, columns } if change.table == one.table => Some((key, columns)),
            _ => None,
        });
        let name = column.name.clone();
        let key = match made {
            Some((key, columns)) => {
                columns.push(column);
                key
            }
            None => {
                let what = What::Table { key: Vec::new(), columns: vec![column] };
                changes.push((Change { table: one.table, what }, number));
                let Some((Change { what: What::Table { key, .. }, .. }, _)) = changes.last_mut() else { continue };
                key
            }
        };
        if let Some(place) = one.place {
            key.resize(key.len().max(place + 1), String::new());
            key[place] = name;
        }
    }
    Ok(changes)
}

/// Every change, for the operator.
pub(super) fn history(connection: &Connection) -> rusqlite::Result<Vec<Migration>> {
    let written = written(connection)?;
    Ok(written
        .into_iter()
        .map(|one| {
            let what = match &one.column {
                Some(column) => What::Column(column.clone()),
                None => What::Index { column: one.name.clone(), index: one.index },
            };
            let mut change = Change { table: one.table.clone(), what }.words();
            if one.place.is_some() {
                change.push_str(" key");
            }
            Migration { at: one.at, component: one.component, version: one.version, table: one.table, change }
        })
        .collect())
}

/// A row of the table.
struct Written {
    at: u64,
    component: String,
    version: String,
    number: String,
    table: String,
    name: String,
    /// The column that was added; `None` where it was an index.
    column: Option<Column>,
    index: Index,
    place: Option<usize>,
    change: String,
}

fn written(connection: &Connection) -> rusqlite::Result<Vec<Written>> {
    let mut statement = connection.prepare(
        "SELECT at, component, version, number, table_name, column_name, kind, has_default, default_value, index_kind, \
         key_place, change FROM \"tandem.migrations\" ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| {
        let (name, kind): (String, Option<String>) = (row.get(5)?, row.get(6)?);
        let index = index_of(&row.get::<_, String>(9)?);
        let default = row.get::<_, bool>(7)?.then(|| row.get::<_, rusqlite::types::Value>(8)).transpose()?;
        let column = kind.as_deref().and_then(Kind::of).map(|kind| Column {
            name: name.clone(),
            kind,
            default: default.map(Value::from),
            index,
        });
        Ok(Written {
            at: row.get::<_, i64>(0)?.cast_unsigned(),
            component: row.get(1)?,
            version: row.get(2)?,
            number: row.get(3)?,
            table: row.get(4)?,
            name,
            column,
            index,
            place: row.get::<_, Option<u32>>(10)?.map(|place| place as usize),
            change: row.get(11)?,
        })
    })?;
    rows.collect()
}

impl From<rusqlite::types::Value> for Value {
    fn from(value: rusqlite::types::Value) -> Self {
        match value {
            rusqlite::types::Value::Null => Value::Null,
            rusqlite::types::Value::Integer(number) => Value::Integer(number),
            rusqlite::types::Value::Real(number) => Value::Real(number),
            rusqlite::types::Value::Text(text) => Value::Text(text),
            rusqlite::types::Value::Blob(bytes) => Value::Blob(bytes),
        }
    }
}

/// `"state" TEXT DEFAULT 'new'`
fn declared(column: &Column) -> String {
    let kind = match column.kind {
        Kind::Integer | Kind::Boolean => "INTEGER",
        Kind::Real => "REAL",
        Kind::Text => "TEXT",
        Kind::Blob | Kind::Nested => "BLOB",
    };
    let default = match &column.default {
        None | Some(Value::Null | Value::Blob(_)) => String::new(),
        Some(Value::Integer(number)) => format!(" DEFAULT {number}"),
        Some(Value::Real(number)) => format!(" DEFAULT {number:?}"),
        Some(Value::Text(text)) => format!(" DEFAULT '{}'", text.replace('\'', "''")),
    };
    format!("\"{}\" {kind}{default}", column.name)
}

/// What rows that are there break is the version's misfit; all else is the store's failure.
fn explained(change: &Change, failure: Failure) -> Unfit {
    match (failure, &change.what) {
        (Failure::Conflict(_), What::Index { column, .. }) => Unfit::Misfit(Misfit {
            table: change.table.clone(),
            column: Some(column.clone()),
            reason: "rows that are there share a value of it, and this version wants it unique; mend the rows first"
                .into(),
        }),
        (Failure::Conflict(_), What::Column(column)) => Unfit::Misfit(Misfit {
            table: change.table.clone(),
            column: Some(column.name.clone()),
            reason: "it is unique, and the rows that are there would share its default; add it without `unique` first"
                .into(),
        }),
        (failure, _) => Unfit::Store(failure),
    }
}
