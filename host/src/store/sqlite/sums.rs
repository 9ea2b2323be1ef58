//! What is added to one number several times is added at once: [`Sums`]. A count that each of many messages adds to is written once
//! for all that is committed together.

use std::sync::Arc;

use rusqlite::Connection;

use super::statement::{self, Text};
use crate::store::row::Value;
use crate::store::table::Table;

/// What is to be added, and is not yet. It is before anything else is done with its table, and before the commit.
#[derive(Default)]
pub(super) struct Sums(Vec<Sum>);

struct Sum {
    table: Arc<Table>,
    key: Vec<Value>,
    column: usize,
    delta: i64,
}

/// So many numbers are looked at for what is added to one.
const SUMS: usize = 16;

impl Sums {
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        text: &mut Text,
        table: &Arc<Table>,
        key: &[Value],
        column: usize,
        delta: i64,
    ) -> rusqlite::Result<()> {
        let same = |sum: &&mut Sum| Arc::ptr_eq(&sum.table, table) && sum.column == column && sum.key == key;
        if let Some(sum) = self.0.iter_mut().find(same)
            && let Some(more) = sum.delta.checked_add(delta)
        {
            sum.delta = more;
            return Ok(());
        }
        if self.0.len() >= SUMS {
            self.write_all(connection, text)?;
        }
        self.0.push(Sum { table: Arc::clone(table), key: key.to_vec(), column, delta });
        Ok(())
    }

    /// Adds what is to be added to a table, as any version knows it.
    pub(super) fn write_those_of(
        &mut self,
        connection: &Connection,
        text: &mut Text,
        table: &Arc<Table>,
    ) -> rusqlite::Result<()> {
        let of = |sum: &mut Sum| {
            Arc::ptr_eq(&sum.table, table) || sum.table.name == table.name && sum.table.component == table.component
        };
        self.0.extract_if(.., of).try_for_each(|sum| sum.write(connection, text))
    }

    pub(super) fn write_all(&mut self, connection: &Connection, text: &mut Text) -> rusqlite::Result<()> {
        self.0.drain(..).try_for_each(|sum| sum.write(connection, text))
    }
}

impl Sum {
    fn write(self, connection: &Connection, text: &mut Text) -> rusqlite::Result<()> {
        statement::add(connection, text, &self.table, &self.key, self.column, self.delta)
    }
}
