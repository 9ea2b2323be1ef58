//! Rows as a component reads them: [`Row`] and [`Rows`], and which it reads: [`Scan`].

use serde::{Deserialize, Serialize};

use crate::named;
use crate::session::Fault;
use crate::table::Table;

/// A row that was asked for. It has the columns that this version knows, and those only.
///
/// A column is a field of the struct that it is read into; one that may be null is an `Option`, one of
/// [`Kind::Blob`](crate::Kind::Blob) has `#[serde(with = "serde_bytes")]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a>(pub(crate) &'a [u8]);

impl<'a> Row<'a> {
    /// Reads the row.
    ///
    /// # Errors
    /// It does not fit `T`: a mistake of this component, since the table's columns are its own.
    pub fn read<T: Deserialize<'a>>(&self) -> Result<T, Fault> {
        read(self.0)
    }
}

/// Rows that were asked for, in the order of the scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows<'a>(pub(crate) &'a [u8]);

impl<'a> Rows<'a> {
    /// Reads all of them.
    ///
    /// # Errors
    /// As for [`Row::read`].
    pub fn read<T: Deserialize<'a>>(&self) -> Result<Vec<T>, Fault> {
        read(self.0)
    }
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Fault> {
    named::read(bytes).map_err(|(path, why)| Fault::from(format!("a row does not fit at {path}: {why}")))
}

/// Why nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFailure {
    /// The store cannot be written or read now. Later it may: answer with the protocol's temporary error.
    Unavailable,
    /// What is there does not allow it: a value that no two rows may share, a sum beyond 64 bits.
    Conflict,
}

/// Which rows to read: those of a table, in the order of a column and then of the key.
///
/// ```
/// use tandem_component::prelude::*;
/// # const DUE: Table = Table { name: "due", key: &["id"], columns: &[
/// #     Column::new("id", Kind::Integer), Column::new("at", Kind::Integer).indexed()] };
/// #[derive(Serialize)]
/// struct Last {
///     id: u64,
///     at: u64,
/// }
/// let first = Scan::of(&DUE).by("at").to(&1_700_000_000).limit(100);
/// let next = Scan::of(&DUE).by("at").to(&1_700_000_000).after(&Last { id: 7, at: 1_600_000_000 }).limit(100);
/// # let _ = (first, next);
/// ```
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    pub(crate) table: &'a Table,
    /// The entries of a map in MessagePack, and how many there are.
    entries: Vec<u8>,
    count: u32,
}

impl<'a> Scan<'a> {
    /// Rows of a table, in the order of the key; 100 where no other limit is said.
    pub fn of(table: &'a Table) -> Self {
        Scan { table, entries: Vec::new(), count: 0 }
    }

    /// In the order of this column, which has an index.
    #[must_use]
    pub fn by(self, column: &str) -> Self {
        self.with("by", &column)
    }

    /// Whose value of that column is not less.
    #[must_use]
    pub fn from(self, value: &impl Serialize) -> Self {
        self.with("from", value)
    }

    /// Whose value of that column is not greater.
    #[must_use]
    pub fn to(self, value: &impl Serialize) -> Self {
        self.with("to", value)
    }

    /// With this value of that column.
    #[must_use]
    pub fn at(self, value: &impl Serialize) -> Self {
        self.with("from", value).with("to", value)
    }

    /// After this row: the last one of the page before. A struct with that column and the key's.
    #[must_use]
    pub fn after(self, row: &impl Serialize) -> Self {
        self.with("after", row)
    }

    /// So many at most, up to 1000.
    #[must_use]
    pub fn limit(self, rows: u32) -> Self {
        self.with("limit", &rows)
    }

    fn with(mut self, name: &str, value: &impl Serialize) -> Self {
        const TAKEN: &str = "a value of a column can be serialized";
        name.serialize(&mut rmp_serde::Serializer::new(&mut self.entries)).expect(TAKEN);
        value.serialize(&mut rmp_serde::Serializer::new(&mut self.entries).with_struct_map()).expect(TAKEN);
        self.count += 1;
        self
    }

    /// The whole map.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // A map of at most 15 entries begins with one byte.
        let mut bytes = vec![0x80 | self.count.min(15) as u8];
        bytes.extend_from_slice(&self.entries);
        bytes
    }
}
