//! What tables there are, and what a version may make of them: it may add, and nothing else. A pure decision.
//!
//! The store keeps every change that was ever made ([`Change`]), with the version that made it; from these it knows what
//! there is ([`Known`]). A version is compared with that before any of its code takes traffic ([`additions`]).

use semver::Version as Number;
use tandem_component::Index;

use super::row::Value;
use super::table::{Column, Table};

/// One change to the tables of a component.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The table.
    pub table: String,
    /// What is new.
    pub what: What,
}

/// What a change adds.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The table itself, with the columns of its key.
    Table {
        /// The names of the key's columns.
        key: Vec<String>,
        /// All its columns.
        columns: Vec<Column>,
    },
    /// A column.
    Column(Column),
    /// An index over a column that was there.
    Index {
        /// The column.
        column: String,
        /// Which kind.
        index: Index,
    },
}

/// What there is of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its name within the component.
    pub name: String,
    /// The names of the key's columns.
    pub key: Vec<String>,
    /// Its columns, with the number of the version that added each.
    pub columns: Vec<(Column, Number)>,
}

/// Why a version's tables do not fit those that there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("table `{table}`{}: {reason}", column.as_ref().map(|column| format!(", column `{column}`")).unwrap_or_default())]
pub struct Misfit {
    /// The table.
    pub table: String,
    /// The column, where it is about one.
    pub column: Option<String>,
    /// What does not fit, and what would.
    pub reason: String,
}

/// What has to be added so that a version with this number finds its tables.
///
/// A version with a lower number than the one that added a column is an older one, which need not know it; one with a
/// higher number that leaves it out would drop it.
///
/// # Errors
/// The version drops, renames or retypes a column, changes a key or a default, or adds a column that rows which are there
/// would have no value of.
pub fn additions(known: &[Known], declared: &[Table], number: &Number) -> Result<Vec<Change>, Misfit> {
    let mut changes = Vec::new();
    for table in declared {
        match known.iter().find(|known| known.name == table.name) {
            Some(known) => changes.extend(known.additions(table, number)?),
            None => changes.push(Change {
                table: table.name.clone(),
                what: What::Table {
                    key: table.key_names().into_iter().map(str::to_owned).collect(),
                    columns: table.columns.clone(),
                },
            }),
        }
    }
    let gone =
        known.iter().find(|known| declared.iter().all(|table| table.name != known.name) && known.since() < number);
    if let Some(gone) = gone {
        return Err(Misfit {
            table: gone.name.clone(),
            column: None,
            reason: format!("it is there since version {}, and this one has dropped it; {KEEP}", gone.since()),
        });
    }
    Ok(changes)
}

const KEEP: &str = "declare it, even if nothing uses it";

impl Known {
    fn additions(&self, table: &Table, number: &Number) -> Result<Vec<Change>, Misfit> {
        let misfit = |column: Option<&str>, reason: String| Misfit {
            table: self.name.clone(),
            column: column.map(str::to_owned),
            reason,
        };
        if table.key_names() != self.key {
            let (old, new) = (self.key.join(", "), table.key_names().join(", "));
            return Err(misfit(None, format!("its key is ({old}), and this version's is ({new}); take another table")));
        }
        let mut changes = Vec::new();
        for column in &table.columns {
            let misfit = |reason| misfit(Some(&column.name), reason);
            let add = |what| Change { table: self.name.clone(), what };
            let Some((there, since)) = self.columns.iter().find(|(there, _)| there.name == column.name) else {
                if column.default.is_none() {
                    return Err(misfit(
                        "it is new, and rows that are there have no value of it; give it a default".into(),
                    ));
                }
                changes.push(add(What::Column(column.clone())));
                continue;
            };
            if there.kind != column.kind {
                let reason = format!(
                    "it is {} since version {since}, and {} in this one; add a column with another name",
                    there.kind, column.kind
                );
                return Err(misfit(reason));
            }
            if there.default != column.default {
                let reason = format!(
                    "its default is {} since version {since}, and {} in this one; a default stays as it is",
                    shown(there.default.as_ref()),
                    shown(column.default.as_ref())
                );
                return Err(misfit(reason));
            }
            match (there.index, column.index) {
                (Index::None, index @ (Index::Plain | Index::Unique)) | (Index::Plain, index @ Index::Unique) => {
                    changes.push(add(What::Index { column: column.name.clone(), index }));
                }
                _ => {}
            }
        }
        let dropped = self.columns.iter().find(|(there, since)| table.column(&there.name).is_none() && since < number);
        if let Some((dropped, since)) = dropped {
            let reason = format!("it is there since version {since}, and this one has dropped or renamed it; {KEEP}");
            return Err(misfit(Some(&dropped.name), reason));
        }
        Ok(changes)
    }

    /// The version that made the table.
    fn since(&self) -> &Number {
        self.columns.iter().map(|(_, since)| since).min().expect("a table has columns")
    }

    /// Takes a change in that was made by a version with this number.
    pub fn take(known: &mut Vec<Known>, change: &Change, number: &Number) {
        match (&change.what, known.iter_mut().find(|known| known.name == change.table)) {
            (What::Table { key, columns }, None) => known.push(Known {
                name: change.table.clone(),
                key: key.clone(),
                columns: columns.iter().map(|column| (column.clone(), number.clone())).collect(),
            }),
            (What::Column(column), Some(known)) => known.columns.push((column.clone(), number.clone())),
            (What::Index { column, index }, Some(known)) => {
                if let Some((there, _)) = known.columns.iter_mut().find(|(there, _)| there.name == *column) {
                    there.index = *index;
                }
            }
            // What was written down was compared before it was.
            (What::Table { .. }, Some(_)) | (What::Column(_) | What::Index { .. }, None) => {}
        }
    }
}

fn shown(default: Option<&Value>) -> String {
    match default {
        None => "none".to_owned(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Real(number)) => number.to_string(),
        Some(Value::Text(text)) => format!("`{text}`"),
        Some(Value::Blob(bytes)) => format!("{} bytes", bytes.len()),
    }
}

/// The word under which an index is written down.
pub fn index_word(index: Index) -> &'static str {
    match index {
        Index::None => "none",
        Index::Plain => "plain",
        Index::Unique => "unique",
    }
}

/// What a word that was written down means.
pub fn index_of(word: &str) -> Index {
    match word {
        "plain" => Index::Plain,
        "unique" => Index::Unique,
        _ => Index::None,
    }
}

impl Change {
    /// In words: `column later integer default 0`.
    pub fn words(&self) -> String {
        let column = |column: &Column| {
            let default = column.default.as_ref().map(|default| format!(" default {}", shown(Some(default))));
            let index = match column.index {
                Index::None => String::new(),
                index => format!(" index {}", index_word(index)),
            };
            format!("{} {}{}{index}", column.name, column.kind, default.unwrap_or_default())
        };
        match &self.what {
            What::Table { key, columns } => {
                let columns: Vec<String> = columns.iter().map(column).collect();
                format!("table ({}) key ({})", columns.join(", "), key.join(", "))
            }
            What::Column(added) => format!("column {}", column(added)),
            What::Index { column, index } => format!("index {} on {column}", index_word(*index)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::table::Kind;

    fn column(name: &str, kind: Kind) -> Column {
        Column { name: name.into(), kind, default: None, index: Index::None }
    }

    fn or(column: Column, default: Value) -> Column {
        Column { default: Some(default), ..column }
    }

    fn table(columns: Vec<Column>) -> Table {
        Table { component: "smpp".into(), name: "messages".into(), columns, key: vec![0] }
    }

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    /// Known: `id`, `state` since 1.0.0; `later` since 2.0.0.
    fn known() -> Vec<Known> {
        let mut known = Vec::new();
        let one = table(vec![column("id", Kind::Integer), column("state", Kind::Text)]);
        for change in additions(&known.clone(), &[one], &number("1.0.0")).unwrap() {
            Known::take(&mut known, &change, &number("1.0.0"));
        }
        let two = vec![column("id", Kind::Integer), column("state", Kind::Text), later()];
        let changes = additions(&known, &[table(two)], &number("2.0.0")).unwrap();
        assert_eq!(changes, [Change { table: "messages".into(), what: What::Column(later()) }]);
        changes.iter().for_each(|change| Known::take(&mut known, change, &number("2.0.0")));
        known
    }

    fn later() -> Column {
        or(column("later", Kind::Integer), Value::Integer(0))
    }

    fn refused(columns: Vec<Column>, version: &str) -> String {
        additions(&known(), &[table(columns)], &number(version)).unwrap_err().to_string()
    }

    fn base() -> Vec<Column> {
        vec![column("id", Kind::Integer), column("state", Kind::Text), later()]
    }

    #[test]
    fn an_older_version_need_not_know_what_a_later_one_added() {
        for version in ["1.0.0", "1.9.0", "2.0.0-rc.1", "2.0.0"] {
            let two = vec![column("id", Kind::Integer), column("state", Kind::Text)];
            assert_eq!(additions(&known(), &[table(two)], &number(version)), Ok(Vec::new()), "{version}");
        }
    }

    #[test]
    fn a_later_version_that_leaves_a_column_or_a_table_out_is_refused() {
        let reason = refused(vec![column("id", Kind::Integer), column("state", Kind::Text)], "2.0.1");
        assert!(reason.starts_with("table `messages`, column `later`: it is there since version 2.0.0"), "{reason}");
        let reason = additions(&known(), &[], &number("3.0.0")).unwrap_err().to_string();
        assert!(reason.starts_with("table `messages`: it is there since version 1.0.0"), "{reason}");
        assert_eq!(additions(&known(), &[], &number("0.9.0")), Ok(Vec::new()), "an older one need not know the table");
    }

    #[test]
    fn a_retyped_column_a_changed_key_and_a_changed_default_are_refused() {
        let mut columns = base();
        columns[1].kind = Kind::Blob;
        assert!(refused(columns, "3.0.0").contains("column `state`: it is text since version 1.0.0, and blob"));
        let mut columns = base();
        columns[2].default = Some(Value::Integer(1));
        assert!(refused(columns, "3.0.0").contains("its default is 0 since version 2.0.0, and 1"));
        let other = Table { key: vec![0, 1], ..table(base()) };
        let reason = additions(&known(), &[other], &number("3.0.0")).unwrap_err().to_string();
        assert!(reason.contains("its key is (id), and this version's is (id, state)"), "{reason}");
    }

    #[test]
    fn a_new_column_has_a_default() {
        let mut columns = base();
        columns.push(column("more", Kind::Text));
        assert!(refused(columns, "3.0.0").contains("column `more`: it is new"));
    }

    #[test]
    fn an_index_may_come_and_grow_strict_but_does_not_go() {
        let with = |index| {
            let mut columns = base();
            columns[1].index = index;
            additions(&known(), &[table(columns)], &number("3.0.0")).unwrap()
        };
        for index in [Index::Plain, Index::Unique] {
            let what = What::Index { column: "state".into(), index };
            assert_eq!(with(index), [Change { table: "messages".into(), what }]);
        }
        let mut known = known();
        known[0].columns[1].0.index = Index::Unique;
        assert_eq!(additions(&known, &[table(base())], &number("3.0.0")), Ok(Vec::new()));
    }
}
