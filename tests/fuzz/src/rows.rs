//! Rows, keys and scans as components tell them: whatever the bytes are, they are refused in words or are read, and what was
//! read is written and read again as the same.

use std::sync::{Arc, LazyLock};

use serde_json::json;
use tandem::store::row::{self, Value};
use tandem::store::table::Table;
use tandem::store::{Step, Told};

use crate::input::Input;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (operation, table) = (u32::from(input.byte() % 12), input.one_of(&["all", "pair", "none"]));
    let number = i64::from(input.byte());
    let second = input.bytes();
    let first = input.rest();
    let told = Told { operation, table, first, second, number, token: 1 };
    let step = Step::of(&TABLES, &told);
    assert!(step.is_err() || table != "none", "a step on a table that is not there");
    for table in TABLES.iter() {
        if let Ok(columns) = row::read(table, first) {
            is_read_again(table, columns);
        }
        // A key of one column or of two: refused or read.
        if let Ok(key) = row::read_key(table, first) {
            assert_eq!(key.len(), table.key.len());
        }
    }
}

fn is_read_again(table: &Table, columns: row::Columns) {
    let mut values = vec![Value::Null; table.columns.len()];
    for (at, value) in columns {
        values[at] = value;
    }
    let mut written = Vec::new();
    row::write(table, &values, &mut written);
    let again = row::read(table, &written).expect("what we write we can read");
    let again: Vec<Value> = again.into_iter().map(|(_, value)| value).collect();
    // As text, so that what is no number is itself.
    assert_eq!(format!("{again:?}"), format!("{values:?}"));
}

static TABLES: LazyLock<Vec<Arc<Table>>> = LazyLock::new(|| {
    let manifests = json!([
        {"name": "all", "key": ["i"], "columns": [
            {"name": "i", "kind": "integer"}, {"name": "r", "kind": "real", "default": null},
            {"name": "t", "kind": "text", "default": "", "index": true}, {"name": "b", "kind": "blob", "default": null},
            {"name": "f", "kind": "boolean", "default": false}, {"name": "n", "kind": "nested", "default": null},
            {"name": "u", "kind": "integer", "default": null, "unique": true}]},
        {"name": "pair", "key": ["a", "b"], "columns": [
            {"name": "a", "kind": "text"}, {"name": "b", "kind": "integer"}, {"name": "n", "kind": "integer", "default": 0}]},
    ]);
    let manifests = serde_json::from_value::<Vec<_>>(manifests).expect("these are manifests");
    manifests.iter().map(|manifest| Arc::new(Table::of("fuzzed", manifest).expect("and tables"))).collect()
});
