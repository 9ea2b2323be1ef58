//! The tables that a version reads and writes: [`Table`], declared as constants so that the manifest can list them.

/// One table, by name within the component. Each version declares the columns that it knows; the host keeps those of all
/// versions, and a version may only add to them.
///
/// ```
/// use tandem_component::prelude::*;
///
/// const MESSAGES: Table = Table {
///     name: "messages",
///     key: &["id"],
///     columns: &[
///         Column::new("id", Kind::Integer),
///         Column::new("state", Kind::Text).or(Literal::Text("new")).indexed(),
///     ],
/// };
/// assert_eq!(MESSAGES.columns[1].name, "state");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name: `messages`. It takes `a-z`, `0-9` and `_`, and begins with a letter, as a column's does.
    pub name: &'static str,
    /// The columns of its primary key, in the order in which rows are sorted.
    pub key: &'static [&'static str],
    /// All its columns, the key's among them.
    pub columns: &'static [Column],
}

/// One column of a table.
///
/// ```
/// use tandem_component::{Column, Index, Kind, Literal};
/// const SENDER: Column = Column::new("sender", Kind::Text).or(Literal::Text("")).indexed();
/// assert_eq!((SENDER.default, SENDER.index), (Some(Literal::Text("")), Index::Plain));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What a row has that was written by a version without this column. Required of a column that is added later.
    pub default: Option<Literal>,
    /// Whether rows can be found by it.
    pub index: Index,
}

impl Column {
    /// A column without a default that rows are not found by.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Column { name, kind, default: None, index: Index::None }
    }

    /// With a default.
    #[must_use]
    pub const fn or(mut self, default: Literal) -> Self {
        self.default = Some(default);
        self
    }

    /// That can be scanned by.
    #[must_use]
    pub const fn indexed(mut self) -> Self {
        self.index = Index::Plain;
        self
    }

    /// That can be scanned by, and whose value no two rows share.
    #[must_use]
    pub const fn unique(mut self) -> Self {
        self.index = Index::Unique;
        self
    }
}

/// Whether rows can be found by a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// They cannot.
    None,
    /// They can.
    Plain,
    /// They can, and no two have the same value.
    Unique,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A signed 64-bit number.
    Integer,
    /// A 64-bit floating-point number.
    Real,
    /// UTF-8 text.
    Text,
    /// Bytes: a field with `#[serde(with = "serde_bytes")]`, or a list of small numbers.
    Blob,
    /// True or false.
    Boolean,
    /// Any other value of serde: a struct, an enum, a list. Kept with the names of its fields.
    Nested,
}

impl Kind {
    /// The word that stands in the manifest.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Integer => "integer",
            Kind::Real => "real",
            Kind::Text => "text",
            Kind::Blob => "blob",
            Kind::Boolean => "boolean",
            Kind::Nested => "nested",
        }
    }
}

/// A column's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// For [`Kind::Integer`], and [`Kind::Real`] where it is whole.
    Integer(i64),
    /// For [`Kind::Text`].
    Text(&'static str),
    /// For [`Kind::Boolean`].
    Boolean(bool),
    /// Nothing: `None`, for a field that is an `Option`.
    Null,
}
