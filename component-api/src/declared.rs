//! What a component declares, looked at while it is compiled: names, tables, its ledger.
//!
//! The host looks at all of this again, in the manifest of each library that it finds. What is found here, whoever writes the
//! component learns from the compiler.

use crate::component::Component;
use crate::export::Exported;
use crate::ledger::Ledger;
use crate::table::{Column, Index, Kind, Literal, Table};

/// Fails the compilation of a library whose component the host would refuse for what it declares.
#[track_caller]
pub const fn check<X: Exported>(package: &str, name: &str) {
    if let Some(finding) = finding(package, name, X::Component::TABLES, X::Component::LEDGER) {
        panic!("{}", finding.text());
    }
}

const fn finding(package: &str, name: &str, tables: &[Table], ledger: Option<Ledger>) -> Option<Finding> {
    if !is_name(name, b'-') {
        return Some(Finding::of(&[
            "the package `",
            package,
            "` makes a component `",
            name,
            "`, which is no component's name: it takes a-z, then a-z, 0-9 and `-`, 64 at most; rename the package",
        ]));
    }
    if !tables.is_empty() && same(name, HOST) {
        return Some(Finding::of(&["the tables of `tandem` are the host's own; rename the package"]));
    }
    let mut at = 0;
    while at < tables.len() {
        if let Some(finding) = table(&tables[at]) {
            return Some(finding);
        }
        let mut earlier = 0;
        while earlier < at {
            if same(tables[earlier].name, tables[at].name) {
                return Some(wrong(
                    &tables[at],
                    None,
                    "it is declared twice in TABLES; declare all its columns in one",
                ));
            }
            earlier += 1;
        }
        at += 1;
    }
    match ledger {
        Some(it) => books(&it, tables),
        None => None,
    }
}

const fn table(table: &Table) -> Option<Finding> {
    if !is_name(table.name, b'_') {
        return Some(wrong(table, None, NAME_RULE));
    }
    let mut at = 0;
    while at < table.columns.len() {
        let column = &table.columns[at];
        if !is_name(column.name, b'_') {
            return Some(wrong(table, Some(column.name), NAME_RULE));
        }
        if place(table, column.name).expect("it is there") < at {
            return Some(wrong(table, Some(column.name), "it is declared twice; leave one of them out"));
        }
        if let Some(default) = &column.default
            && !fits(column.kind, default)
        {
            let reason = "its default is not of its kind; a `Literal` of the same name is, or `Literal::Null`";
            return Some(wrong(table, Some(column.name), reason));
        }
        if matches!(column.kind, Kind::Nested) && !matches!(column.index, Index::None) {
            let reason = "rows are not found by a nested value; index a column of another kind";
            return Some(wrong(table, Some(column.name), reason));
        }
        at += 1;
    }
    if table.key.is_empty() {
        return Some(wrong(
            table,
            None,
            "its key has no columns; name those that tell its rows apart: `key: &[\"id\"]`",
        ));
    }
    let mut at = 0;
    while at < table.key.len() {
        let name = table.key[at];
        let Some(declared) = place(table, name) else {
            return Some(wrong(table, Some(name), "it is in the key and not among the columns; declare it there"));
        };
        if matches!(table.columns[declared].kind, Kind::Nested) {
            return Some(wrong(table, Some(name), "a key's column holds a number, a text, bytes or a boolean"));
        }
        let mut earlier = 0;
        while earlier < at {
            if same(table.key[earlier], name) {
                return Some(wrong(table, Some(name), "it is in the key twice"));
            }
            earlier += 1;
        }
        at += 1;
    }
    None
}

const fn books(ledger: &Ledger, tables: &[Table]) -> Option<Finding> {
    const MISSING: &str = "LEDGER is to be read from it, and it is not in TABLES";
    let (Some(totals), Some(rows)) = (named(tables, ledger.totals), named(tables, ledger.rows)) else {
        let missing = if named(tables, ledger.totals).is_none() { ledger.totals } else { ledger.rows };
        return Some(Finding::of(&["table `", missing, "`: ", MISSING]));
    };
    let text_alone = totals.key.len() == 1 && kind(totals, totals.key[0], Kind::Text).is_none();
    if !text_alone {
        return Some(wrong(totals, None, "LEDGER needs the version alone to be its key, a column of Kind::Text"));
    }
    let mut at = 0;
    while at < Ledger::COUNTED.len() {
        if let Some(finding) = kind(totals, Ledger::COUNTED[at], Kind::Integer) {
            return Some(finding);
        }
        if let Some(finding) = kind(totals, Ledger::MORE[at], Kind::Integer) {
            return Some(finding);
        }
        at += 1;
    }
    let needed = [
        (ledger.version, Kind::Text),
        (ledger.more, Kind::Integer),
        (ledger.uncertain, Kind::Boolean),
        (ledger.phase, Kind::Text),
    ];
    let mut at = 0;
    while at < needed.len() {
        if let Some(finding) = kind(rows, needed[at].0, needed[at].1) {
            return Some(finding);
        }
        at += 1;
    }
    if ledger.pending.is_empty() {
        return Some(wrong(rows, Some(ledger.phase), "LEDGER names nothing that stands there while a row is pending"));
    }
    None
}

/// What is wrong with a column that the ledger needs to be of this kind.
const fn kind(table: &Table, name: &str, kind: Kind) -> Option<Finding> {
    match place(table, name) {
        Some(at) if table.columns[at].kind as u8 == kind as u8 => None,
        _ => Some(Finding::of(&[
            "table `",
            table.name,
            "`, column `",
            name,
            "`: LEDGER needs it, of the kind ",
            kind.word(),
        ])),
    }
}

const fn fits(kind: Kind, default: &Literal) -> bool {
    match default {
        Literal::Null => true,
        Literal::Integer(_) => matches!(kind, Kind::Integer | Kind::Real),
        Literal::Text(_) => matches!(kind, Kind::Text),
        Literal::Boolean(_) => matches!(kind, Kind::Boolean),
    }
}

/// The first column of that name.
const fn place(table: &Table, name: &str) -> Option<usize> {
    let columns: &[Column] = table.columns;
    let mut at = 0;
    while at < columns.len() {
        if same(columns[at].name, name) {
            return Some(at);
        }
        at += 1;
    }
    None
}

const fn named<'a>(tables: &'a [Table], name: &str) -> Option<&'a Table> {
    let mut at = 0;
    while at < tables.len() {
        if same(tables[at].name, name) {
            return Some(&tables[at]);
        }
        at += 1;
    }
    None
}

/// Whether it begins with a letter, and has small ones, digits and `joint` behind it.
const fn is_name(name: &str, joint: u8) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > 64 || !bytes[0].is_ascii_lowercase() {
        return false;
    }
    let mut at = 1;
    while at < bytes.len() {
        if !(bytes[at].is_ascii_lowercase() || bytes[at].is_ascii_digit() || bytes[at] == joint) {
            return false;
        }
        at += 1;
    }
    true
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

const fn wrong(table: &Table, column: Option<&str>, reason: &str) -> Finding {
    match column {
        Some(column) => Finding::of(&["table `", table.name, "`, column `", column, "`: ", reason]),
        None => Finding::of(&["table `", table.name, "`: ", reason]),
    }
}

/// What is wrong, in words. A part that has no room any more is left out.
struct Finding {
    bytes: [u8; 512],
    len: usize,
}

impl Finding {
    const fn of(parts: &[&str]) -> Self {
        let mut finding = Finding { bytes: [0; 512], len: 0 };
        let mut part = 0;
        while part < parts.len() {
            let bytes = parts[part].as_bytes();
            if bytes.len() <= finding.bytes.len() - finding.len {
                let mut at = 0;
                while at < bytes.len() {
                    finding.bytes[finding.len] = bytes[at];
                    finding.len += 1;
                    at += 1;
                }
            }
            part += 1;
        }
        finding
    }

    const fn text(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => unreachable!(),
        }
    }
}

/// Whose name no component with tables has.
const HOST: &str = "tandem";
const NAME_RULE: &str = "a name takes a-z, 0-9 and `_`, begins with a letter and has 64 characters at most";

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Column = Column::new("id", Kind::Integer);

    fn found(name: &str, tables: &[Table], ledger: Option<Ledger>) -> String {
        finding("package", name, tables, ledger).map_or_else(String::new, |finding| finding.text().to_owned())
    }

    fn of_table(key: &'static [&'static str], columns: &'static [Column]) -> String {
        found("lines", &[Table { name: "visits", key, columns }], None)
    }

    #[test]
    fn a_package_has_a_components_name() {
        assert_eq!(["lines", "my-proxy", "x25"].map(|name| found(name, &[], None)), ["", "", ""]);
        for name in ["", "Lines", "my_proxy", "9p", &"a".repeat(65)] {
            assert!(found(name, &[], None).contains("no component's name: it takes a-z"), "{name}");
        }
        let own = Table { name: "t", key: &["id"], columns: &[ID] };
        assert!(found("tandem", &[], None).is_empty());
        assert!(found("tandem", &[own], None).contains("the host's own; rename the package"));
    }

    #[test]
    fn a_table_is_named_with_its_column_and_the_reason() {
        const NESTED: Column = Column::new("more", Kind::Nested);
        const FOUND_BY: Column = NESTED.indexed();
        const HALF: Column = Column::new("n", Kind::Real).or(Literal::Integer(1));
        const UNLIKE: Column = ID.or(Literal::Text("1"));
        assert_eq!(of_table(&["id"], &[ID, NESTED, HALF]), "");
        for (said, found) in [
            ("table `visits`: its key has no columns", of_table(&[], &[ID])),
            ("table `visits`, column `nmae`: it is in the key and not among", of_table(&["nmae"], &[ID])),
            ("table `visits`, column `id`: it is in the key twice", of_table(&["id", "id"], &[ID])),
            ("table `visits`, column `more`: a key's column holds", of_table(&["more"], &[NESTED])),
            ("table `visits`, column `id`: it is declared twice", of_table(&["id"], &[ID, ID])),
            (
                "table `visits`, column `Id`: a name takes",
                of_table(&["Id"], &[const { Column::new("Id", Kind::Text) }]),
            ),
            ("table `visits`, column `more`: rows are not found", of_table(&["id"], &[ID, FOUND_BY])),
            ("table `visits`, column `id`: its default is not", of_table(&["id"], &[UNLIKE])),
        ] {
            assert!(found.starts_with(said), "{found}");
        }
        let table = Table { name: "visits", key: &["id"], columns: &[ID] };
        assert!(found("lines", &[table, table], None).starts_with("table `visits`: it is declared twice in TABLES"));
        let misnamed = Table { name: "my-visits", ..table };
        assert!(found("lines", &[misnamed], None).starts_with("table `my-visits`: a name takes"));
    }

    #[test]
    fn a_ledger_has_what_it_is_read_from() {
        const TOTALS: &[Column] = &[
            Column::new("version", Kind::Text),
            Column::new("accepted", Kind::Integer),
            Column::new("delivered", Kind::Integer),
            Column::new("rejected", Kind::Integer),
            Column::new("expired", Kind::Integer),
            Column::new("cancelled", Kind::Integer),
            Column::new("accepted_more", Kind::Integer),
            Column::new("delivered_more", Kind::Integer),
            Column::new("rejected_more", Kind::Integer),
            Column::new("expired_more", Kind::Integer),
            Column::new("cancelled_more", Kind::Integer),
        ];
        const ROWS: &[Column] = &[
            ID,
            Column::new("version", Kind::Text),
            Column::new("more", Kind::Integer).or(Literal::Integer(0)),
            Column::new("uncertain", Kind::Boolean),
            Column::new("phase", Kind::Text),
        ];
        const LEDGER: Ledger = Ledger {
            totals: "totals",
            rows: "rows",
            version: "version",
            more: "more",
            uncertain: "uncertain",
            phase: "phase",
            pending: &["queued"],
        };
        let totals = Table { name: "totals", key: &["version"], columns: TOTALS };
        let rows = Table { name: "rows", key: &["id"], columns: ROWS };
        let found = |tables: &[Table], ledger| found("lines", tables, Some(ledger));
        assert_eq!(found(&[totals, rows], LEDGER), "");
        assert_eq!(found(&[totals], LEDGER), "table `rows`: LEDGER is to be read from it, and it is not in TABLES");
        assert!(found(&[rows], LEDGER).starts_with("table `totals`: LEDGER"));
        let keyed = Table { key: &["accepted"], ..totals };
        assert!(found(&[keyed, rows], LEDGER).contains("the version alone to be its key"));
        let short = Table { columns: &TOTALS[..10], ..totals };
        assert!(
            found(&[short, rows], LEDGER).contains("column `cancelled_more`: LEDGER needs it, of the kind integer")
        );
        let unlike = Ledger { uncertain: "phase", ..LEDGER };
        assert!(found(&[totals, rows], unlike).contains("column `phase`: LEDGER needs it, of the kind boolean"));
        assert!(found(&[totals, rows], Ledger { pending: &[], ..LEDGER }).contains("names nothing that stands there"));
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let long = "ä".repeat(300);
        assert_eq!(Finding::of(&["table `", &long, "`: no"]).text(), "table ``: no");
    }
}
