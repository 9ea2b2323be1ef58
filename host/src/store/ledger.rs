//! What became of all that a component has accepted: [`Books`] say where it stands, a [`Balance`] whether it adds up.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tandem_component::Ledger;

use super::table::{Kind, Misdeclared, Table};
use crate::loader::manifest::LedgerManifest;

/// Where the ledger of a component stands, checked: the tables have these columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Books {
    /// A row for each version.
    pub totals: Arc<Table>,
    /// A row for each thing that was accepted.
    pub rows: Arc<Table>,
    /// Its columns, and what stands in one of them.
    pub columns: LedgerManifest,
}

/// What became of all that one version has accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Balance {
    /// The version that has accepted it: `messaging@1.2.0#3fa9c1`.
    pub version: String,
    /// In whole.
    pub whole: Sums,
    /// Its parts.
    pub parts: Sums,
}

/// So many were accepted, and have come to this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sums {
    /// All.
    pub accepted: i64,
    /// They have arrived.
    pub delivered: i64,
    /// They will not: somebody has refused them, or nobody knows them any more.
    pub rejected: i64,
    /// Their time was over first.
    pub expired: i64,
    /// Whoever sent them has taken them back.
    pub cancelled: i64,
    /// They have not come to an end.
    pub pending: i64,
    /// Of these, so many that somebody else may have or not.
    pub uncertain: i64,
}

impl Sums {
    /// How many of those that were accepted nobody knows anything of. Where it is less than 0, more has come of them than was accepted.
    pub fn missing(&self) -> i64 {
        let Sums { accepted, delivered, rejected, expired, cancelled, pending, .. } = *self;
        let known = [delivered, rejected, expired, cancelled, pending].into_iter().fold(0_i64, i64::saturating_add);
        accepted.saturating_sub(known)
    }

    /// Of those that were counted, in the order of [`Ledger::COUNTED`].
    pub(super) fn counted([accepted, delivered, rejected, expired, cancelled]: [i64; 5]) -> Self {
        Sums { accepted, delivered, rejected, expired, cancelled, ..Sums::default() }
    }

    fn parts(self) -> [i64; 7] {
        let Sums { accepted, delivered, rejected, expired, cancelled, pending, uncertain } = self;
        [accepted, delivered, rejected, expired, cancelled, pending, uncertain]
    }
}

impl std::ops::Add for Sums {
    type Output = Sums;

    fn add(self, other: Sums) -> Sums {
        let (one, other) = (self.parts(), other.parts());
        let mut sums = one.into_iter().zip(other).map(|(one, other)| one.saturating_add(other));
        let mut next = || sums.next().unwrap_or_default();
        Sums {
            accepted: next(),
            delivered: next(),
            rejected: next(),
            expired: next(),
            cancelled: next(),
            pending: next(),
            uncertain: next(),
        }
    }
}

/// `accepted 5 = delivered 1 + rejected 0 + expired 0 + cancelled 0 + pending 3, and 1 missing`
impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sums { accepted, delivered, rejected, expired, cancelled, pending, .. } = self;
        write!(f, "accepted {accepted} = delivered {delivered} + rejected {rejected} + expired {expired}")?;
        write!(f, " + cancelled {cancelled} + pending {pending}")?;
        match self.missing() {
            0 => Ok(()),
            missing @ 1.. => write!(f, ", and {missing} missing"),
            surplus => write!(f, ", which is {} too many", surplus.unsigned_abs()),
        }
    }
}

impl Balance {
    /// How it does not add up, where it does not: in whole, or in parts.
    pub fn wrong(&self) -> Option<String> {
        let Balance { version, whole, parts } = self;
        match (whole.missing(), parts.missing()) {
            (0, 0) => None,
            (0, _) => Some(format!("{version}, in parts: {parts}")),
            _ => Some(format!("{version}: {whole}")),
        }
    }
}

impl Books {
    /// Checks what a manifest says of these tables of the component.
    ///
    /// # Errors
    /// A table or a column is not there, or cannot hold what it is to hold.
    pub fn of(ledger: &LedgerManifest, tables: &[Table]) -> Result<Self, Misdeclared> {
        let wrong = |table: &str, column: Option<&str>, reason: &str| Misdeclared {
            table: table.to_owned(),
            column: column.map(str::to_owned),
            reason: format!("the ledger {reason}"),
        };
        let table = |name: &str| {
            let found = tables.iter().find(|table| table.name == name);
            found.ok_or_else(|| wrong(name, None, "is to be read from it, and it is not declared"))
        };
        let (totals, rows) = (table(&ledger.totals)?, table(&ledger.rows)?);
        let column = |table: &Table, name: &str, kind: Kind| match table.column(name) {
            None => Err(wrong(&table.name, Some(name), "needs it, and it is not declared")),
            Some(at) if table.columns[at].kind != kind => {
                Err(wrong(&table.name, Some(name), &format!("needs it to be of the kind {kind}")))
            }
            Some(at) => Ok(at),
        };
        let [key] = totals.key.as_slice() else {
            return Err(wrong(&totals.name, None, "needs the version alone to be its key"));
        };
        if totals.columns[*key].kind != Kind::Text {
            return Err(wrong(&totals.name, Some(&totals.columns[*key].name), "needs it to be of the kind text"));
        }
        for name in Ledger::COUNTED.iter().chain(&Ledger::MORE) {
            column(totals, name, Kind::Integer)?;
        }
        column(rows, &ledger.version, Kind::Text)?;
        column(rows, &ledger.more, Kind::Integer)?;
        column(rows, &ledger.uncertain, Kind::Boolean)?;
        column(rows, &ledger.phase, Kind::Text)?;
        if ledger.pending.is_empty() {
            return Err(wrong(
                &rows.name,
                Some(&ledger.phase),
                "names nothing that stands there while a row is pending",
            ));
        }
        Ok(Books { totals: Arc::new(totals.clone()), rows: Arc::new(rows.clone()), columns: ledger.clone() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Books, Sums};
    use crate::store::table::Table;

    fn books(of: impl FnOnce(&mut Value, &mut Value)) -> Result<Books, String> {
        let number = |name: &str| json!({"name": name, "kind": "integer", "default": 0});
        let counted = tandem_component::Ledger::COUNTED.iter().chain(&tandem_component::Ledger::MORE);
        let columns = [json!({"name": "version", "kind": "text"})].into_iter().chain(counted.map(|name| number(name)));
        let totals = json!({"name": "totals", "key": ["version"], "columns": columns.collect::<Vec<_>>()});
        let rows = json!({"name": "messages", "key": ["id"], "columns": [
            {"name": "id", "kind": "text"}, {"name": "version", "kind": "text"}, {"name": "more", "kind": "integer"},
            {"name": "uncertain", "kind": "boolean"}, {"name": "phase", "kind": "text"}]});
        let mut tables = json!([totals, rows]);
        let mut ledger = json!({"totals": "totals", "rows": "messages", "version": "version", "more": "more",
            "uncertain": "uncertain", "phase": "phase", "pending": ["queued"]});
        of(&mut tables, &mut ledger);
        let tables = tables.as_array().unwrap().iter().cloned();
        let tables = tables.map(|table| Table::of("m", &serde_json::from_value(table).unwrap()).unwrap());
        let ledger = serde_json::from_value(ledger).unwrap();
        Books::of(&ledger, &tables.collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_ledger_lacks_is_named() {
        books(|_, _| {}).unwrap();
        let refused = |of: fn(&mut Value, &mut Value), reason: &str| {
            let said = books(of).unwrap_err();
            assert!(said.contains(reason), "{said}");
        };
        refused(|_, ledger| ledger["rows"] = "no".into(), "table `no`: the ledger is to be read from it");
        refused(
            |tables, _| drop(tables[0]["columns"].as_array_mut().unwrap().pop()),
            "column `cancelled_more`: the ledger",
        );
        refused(
            |tables, _| tables[1]["columns"][3]["kind"] = "text".into(),
            "`uncertain`: the ledger needs it to be of the kind boolean",
        );
        refused(
            |tables, _| tables[0]["key"] = json!(["version", "accepted"]),
            "table `totals`: the ledger needs the version alone",
        );
        refused(|_, ledger| ledger["pending"] = json!([]), "column `phase`: the ledger names nothing");
    }

    #[test]
    fn what_is_missing_is_said_and_what_is_too_much() {
        let sums = Sums { accepted: 5, delivered: 1, pending: 3, ..Sums::default() };
        assert!(sums.to_string().ends_with("pending 3, and 1 missing"), "{sums}");
        let sums = Sums { accepted: 3, ..sums };
        assert_eq!(sums.missing(), -1);
        assert!(sums.to_string().ends_with("which is 1 too many"), "{sums}");
        assert_eq!((sums + sums).missing(), -2);
    }
}
