//! The tables that a version reads and writes: [`Table`], declared as constants so that the manifest can list them.

/// One table, by name within the component.
///
/// ```
/// use tandem_component::prelude::*;
///
/// const MESSAGES: Table = Table {
///     name: "messages",
///     key: &["id"],
///     columns: &[
///         Column { name: "id", kind: Kind::Integer, default: None, index: false },
///         Column { name: "state", kind: Kind::Text, default: Some(Literal::Text("new")), index: true },
///     ],
/// };
/// assert_eq!(MESSAGES.columns[1].name, "state");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name: `messages`.
    pub name: &'static str,
    /// The columns of its primary key.
    pub key: &'static [&'static str],
    /// All its columns, the key's among them.
    pub columns: &'static [Column],
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What a row has that was written by a version without this column. Required of a column that is added later.
    pub default: Option<Literal>,
    /// Whether it can be scanned by.
    pub index: bool,
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
    /// Bytes.
    Blob,
    /// True or false.
    Boolean,
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
    /// No bytes, for [`Kind::Blob`].
    Empty,
}
