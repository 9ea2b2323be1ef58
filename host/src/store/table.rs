//! A table as one version knows it, checked: [`Table`].

use std::fmt;

use serde_json::Value as Json;
use tandem_component::Index;

use super::row::Value;
use crate::loader::manifest::{ColumnManifest, TableManifest};

/// A table as one version knows it. Names and defaults are fit for use, the key's columns are there.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The component that it belongs to: `smpp`.
    pub component: String,
    /// Its name within the component: `messages`.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The places of the key's columns among them.
    pub key: Vec<usize>,
}

/// A column as one version knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// What a row has that was written without it.
    pub default: Option<Value>,
    /// Whether rows are found by it.
    pub index: Index,
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
    /// Any other value, as MessagePack with named fields.
    Nested,
}

/// Why a declared table cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("table `{table}`{}: {reason}", column.as_ref().map(|column| format!(", column `{column}`")).unwrap_or_default())]
pub struct Misdeclared {
    /// The table.
    pub table: String,
    /// The column, where it is about one.
    pub column: Option<String>,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Table {
    /// Checks what a manifest says.
    ///
    /// # Errors
    /// A name that is none, a key without columns, a kind that this host does not know, a default of another kind.
    pub fn of(component: &str, manifest: &TableManifest) -> Result<Self, Misdeclared> {
        let wrong = |column: Option<&str>, reason: String| Misdeclared {
            table: manifest.name.clone(),
            column: column.map(str::to_owned),
            reason,
        };
        if component == super::HOST {
            let reason = format!("the tables of `{component}` are the host's own; give the component another name");
            return Err(wrong(None, reason));
        }
        if !is_name(&manifest.name) {
            return Err(wrong(None, NAME_RULE.to_owned()));
        }
        let mut columns: Vec<Column> = Vec::new();
        for column in &manifest.columns {
            let wrong = |reason| wrong(Some(&column.name), reason);
            if !is_name(&column.name) {
                return Err(wrong(NAME_RULE.to_owned()));
            }
            if columns.iter().any(|known| known.name == column.name) {
                return Err(wrong("it is declared twice".to_owned()));
            }
            columns.push(Column::of(column).map_err(wrong)?);
        }
        if manifest.key.is_empty() {
            return Err(wrong(None, "its key has no columns".to_owned()));
        }
        let mut key = Vec::new();
        for name in &manifest.key {
            let at = columns.iter().position(|column| column.name == *name);
            let at = at.ok_or_else(|| wrong(Some(name), "it is in the key and is not declared".to_owned()))?;
            if key.contains(&at) {
                return Err(wrong(Some(name), "it is in the key twice".to_owned()));
            }
            if columns[at].kind == Kind::Nested {
                return Err(wrong(Some(name), "a key's column holds a number, a text, bytes or a boolean".to_owned()));
            }
            key.push(at);
        }
        Ok(Table { component: component.to_owned(), name: manifest.name.clone(), columns, key })
    }

    /// The place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Whether rows can be found by a column: it has an index, or the key begins with it.
    pub fn found_by(&self, at: usize) -> bool {
        self.key[0] == at || self.columns[at].index != Index::None
    }

    /// The names of the key's columns.
    pub fn key_names(&self) -> Vec<&str> {
        self.key.iter().map(|at| self.columns[*at].name.as_str()).collect()
    }
}

impl Column {
    fn of(manifest: &ColumnManifest) -> Result<Self, String> {
        let kind = Kind::of(&manifest.kind)
            .ok_or_else(|| format!("this host does not know what `{}` is; upgrade the host first", manifest.kind))?;
        let default = manifest.default.as_ref().map(|default| kind.literal(default)).transpose()?;
        let index = match (manifest.index, manifest.unique) {
            (_, true) => Index::Unique,
            (true, false) => Index::Plain,
            (false, false) => Index::None,
        };
        if index != Index::None && kind == Kind::Nested {
            return Err("rows are not found by a nested value".to_owned());
        }
        Ok(Column { name: manifest.name.clone(), kind, default, index })
    }
}

impl Kind {
    /// What a word of the manifest means.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "integer" => Kind::Integer,
            "real" => Kind::Real,
            "text" => Kind::Text,
            "blob" => Kind::Blob,
            "boolean" => Kind::Boolean,
            "nested" => Kind::Nested,
            _ => return None,
        })
    }

    /// The word that stands in the manifest.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Integer => "integer",
            Kind::Real => "real",
            Kind::Text => "text",
            Kind::Blob => "blob",
            Kind::Boolean => "boolean",
            Kind::Nested => "nested",
        }
    }

    /// A default of this kind.
    fn literal(self, default: &Json) -> Result<Value, String> {
        let value = match (self, default) {
            (_, Json::Null) => Some(Value::Null),
            (Kind::Integer, Json::Number(number)) => number.as_i64().map(Value::Integer),
            (Kind::Real, Json::Number(number)) => number.as_f64().map(Value::Real),
            (Kind::Text, Json::String(text)) => Some(Value::Text(text.clone())),
            (Kind::Boolean, Json::Bool(flag)) => Some(Value::Integer(i64::from(*flag))),
            _ => None,
        };
        value.ok_or_else(|| format!("its default {default} is not of its kind, {}", self.word()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

const NAME_RULE: &str = "a name takes a-z, 0-9 and `_`, begins with a letter and has 64 characters at most";

fn is_name(name: &str) -> bool {
    let rest = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    name.len() <= 64 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(rest)
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::loader::manifest::TableManifest;

    fn refused(json: serde_json::Value) -> String {
        let manifest: TableManifest = serde_json::from_value(json).unwrap();
        Table::of("smpp", &manifest).unwrap_err().to_string()
    }

    #[test]
    fn no_component_has_the_tables_of_the_host() {
        let json =
            serde_json::json!({"name": "accounts", "key": ["id"], "columns": [{"name": "id", "kind": "integer"}]});
        let manifest: TableManifest = serde_json::from_value(json).unwrap();
        assert!(Table::of("tandem-x", &manifest).is_ok());
        let refused = Table::of("tandem", &manifest).unwrap_err().to_string();
        assert!(refused.starts_with("table `accounts`: the tables of `tandem` are the host's own"), "{refused}");
    }

    #[test]
    fn what_is_declared_wrong_is_named() {
        let id = serde_json::json!({"name": "id", "kind": "integer"});
        let with = |column: serde_json::Value| serde_json::json!({"name": "t", "key": ["id"], "columns": [id, column]});
        assert!(
            refused(serde_json::json!({"name": "T", "key": ["id"], "columns": [id]})).starts_with("table `T`: a name")
        );
        assert!(refused(serde_json::json!({"name": "t", "key": [], "columns": [id]})).contains("key has no columns"));
        assert!(refused(serde_json::json!({"name": "t", "key": ["no"], "columns": [id]})).contains("column `no`"));
        assert!(refused(with(id.clone())).contains("column `id`: it is declared twice"));
        assert!(refused(with(serde_json::json!({"name": "x", "kind": "uuid"}))).contains("upgrade the host first"));
        assert!(
            refused(with(serde_json::json!({"name": "x", "kind": "text", "default": 1}))).contains("its default 1")
        );
        assert!(
            refused(with(serde_json::json!({"name": "x", "kind": "nested", "index": true}))).contains("not found by")
        );
    }
}
