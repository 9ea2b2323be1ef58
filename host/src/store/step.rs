//! From an effect, as a component tells it, to a [`Step`]: read and checked.

use std::sync::Arc;

use rmpv::ValueRef;
use tandem_component::abi::row as operations;

use super::row;
use super::table::{Kind, Table};
use super::{Operation, Question, Scan, Step};

/// An operation on a table, as a component told it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// A number of `tandem_component::abi::row`.
    pub operation: u32,
    /// The table's name.
    pub table: &'a str,
    /// What the operation needs first …
    pub first: &'a [u8],
    /// … and second, in MessagePack or, for a column's name, as text.
    pub second: &'a [u8],
    /// How much is added.
    pub number: i64,
    /// Who is answered.
    pub token: u64,
}

/// So many rows a scan reads where it does not say how many, and at most.
const ROWS: u32 = 100;
const ROWS_MAX: u32 = 1000;

impl Step {
    /// Reads an operation of a version that declares these tables.
    ///
    /// # Errors
    /// What the component does wrong, in words: an unknown table or column, a value of another kind, a key that is not whole.
    pub fn of(tables: &[Arc<Table>], told: &Told<'_>) -> Result<Self, String> {
        let table = tables.iter().find(|table| table.name == told.table);
        let table = table.ok_or_else(|| format!("table `{}` is not among its tables", told.table))?;
        let token = told.token;
        let operation = match told.operation {
            operations::PUT => Operation::Put(whole(table, told.first)?),
            operations::INSERT => Operation::Insert { columns: whole(table, told.first)?, token },
            operations::UPDATE => {
                let mut columns = row::read(table, told.first)?;
                Operation::Update { key: row::take_key(table, &mut columns)?, columns }
            }
            operations::ADD => {
                let column = std::str::from_utf8(told.second).ok().and_then(|name| table.column(name));
                let number = |at: &usize| table.columns[*at].kind == Kind::Integer && !table.key.contains(at);
                let column = column.filter(number).ok_or_else(|| {
                    let name = String::from_utf8_lossy(told.second);
                    format!("table `{}` has no integer `{name}` outside of its key to add to", table.name)
                })?;
                Operation::Add { key: row::read_key(table, told.first)?, column, delta: told.number }
            }
            operations::DELETE => Operation::Delete { key: row::read_key(table, told.first)? },
            operations::SWAP => {
                let mut expected = row::read(table, told.first)?;
                let key = row::take_key(table, &mut expected)?;
                let mut columns = row::read(table, told.second)?;
                // What is to change may be a struct that has the key as well, as for an update.
                columns.retain(|(at, value)| !table.key.iter().zip(&key).any(|same| same == (at, value)));
                if columns.iter().any(|(at, _)| table.key.contains(at)) {
                    return Err(format!(
                        "the key of a row of table `{}` does not change; delete and put it",
                        table.name
                    ));
                }
                Operation::Swap { key, expected, columns, token }
            }
            operations::GET => {
                let question = Question::Get { key: row::read_key(table, told.first)? };
                Operation::Ask { question, token }
            }
            operations::IF_DONE => Operation::IfDone,
            operations::END => Operation::End,
            operations::SCAN => Operation::Ask { question: Question::Scan(scan(table, told.first)?), token },
            other => return Err(format!("this host knows no operation {other} on rows; upgrade the host first")),
        };
        Ok(Step { table: Arc::clone(table), operation })
    }

    /// The steps of a transaction.
    ///
    /// # Errors
    /// The first of theirs, or what is done on condition is not what may be.
    pub fn all(told: impl Iterator<Item = Result<Self, String>>) -> Result<Vec<Self>, String> {
        let mut steps: Vec<Step> = Vec::new();
        let mut on_condition = false;
        for step in told {
            let step = step?;
            let is_condition = steps.last().is_some_and(|last| last.operation.may_be_condition());
            on_condition = match step.operation {
                Operation::IfDone if !on_condition && is_condition => true,
                Operation::End if on_condition => false,
                Operation::IfDone | Operation::End => {
                    return Err("it begins or ends a condition where there is none".into());
                }
                _ if on_condition && step.operation.is_answered() => {
                    return Err("what it does on condition has an answer".into());
                }
                _ => on_condition,
            };
            steps.push(step);
        }
        if on_condition { Err("what it does on condition does not end".into()) } else { Ok(steps) }
    }

    /// The question, where it is nothing but one.
    pub fn question(&self) -> Option<(&Question, u64)> {
        match &self.operation {
            Operation::Ask { question, token } => Some((question, *token)),
            _ => None,
        }
    }
}

/// A row with its key.
fn whole(table: &Table, bytes: &[u8]) -> Result<row::Columns, String> {
    let columns = row::read(table, bytes)?;
    row::check_key(table, &columns)?;
    Ok(columns)
}

fn scan(table: &Table, bytes: &[u8]) -> Result<Scan, String> {
    let wrong = |what: &str| format!("a scan of table `{}`: {what}", table.name);
    let value = rmpv::decode::read_value_ref(&mut &*bytes).map_err(|error| wrong(&error.to_string()))?;
    let ValueRef::Map(entries) = value else { return Err(wrong("it is no map")) };
    let find = |wanted: &str| {
        let named = |name: &ValueRef<'_>| matches!(name, ValueRef::String(name) if name.as_str() == Some(wanted));
        entries.iter().find(|(name, _)| named(name)).map(|(_, value)| value)
    };
    let by = match find("by") {
        None => table.key[0],
        Some(ValueRef::String(name)) => {
            let name = name.as_str().unwrap_or_default();
            table.column(name).ok_or_else(|| wrong(&format!("there is no column `{name}`")))?
        }
        Some(_) => return Err(wrong("`by` is a column's name")),
    };
    let column = &table.columns[by];
    if !table.found_by(by) {
        return Err(wrong(&format!("column `{}` has no index; declare it `indexed()`", column.name)));
    }
    let bound = |name: &str| {
        let value = find(name).map(|value| row::of_kind(column.kind, value.clone()));
        value
            .map(|value| value.ok_or_else(|| wrong(&format!("`{name}` is not of the kind of `{}`", column.name))))
            .transpose()
    };
    let after = match find("after") {
        None => None,
        Some(row) => {
            let mut columns = row::read_value(table, row.clone())?;
            let value = columns.iter().find(|(at, _)| *at == by).map(|(_, value)| value.clone());
            let key = row::take_key(table, &mut columns)?;
            let value = value.ok_or_else(|| wrong(&format!("`after` has to have `{}`", column.name)))?;
            Some((value, key))
        }
    };
    let limit = match find("limit") {
        None => ROWS,
        Some(limit) => limit.as_u64().map_or(ROWS_MAX, |limit| u32::try_from(limit).unwrap_or(ROWS_MAX)).min(ROWS_MAX),
    };
    Ok(Scan { by, from: bound("from")?, to: bound("to")?, after, limit })
}

#[cfg(test)]
mod tests {
    use super::super::row::Value;
    use super::*;
    use crate::loader::manifest::TableManifest;

    fn tables() -> Vec<Arc<Table>> {
        let manifest: TableManifest = serde_json::from_value(serde_json::json!({"name": "t", "key": ["a", "b"], "columns": [
            {"name": "a", "kind": "integer"}, {"name": "b", "kind": "text"}, {"name": "n", "kind": "integer", "default": 0},
            {"name": "i", "kind": "text", "index": true}]}))
        .unwrap();
        vec![Arc::new(Table::of("c", &manifest).unwrap())]
    }

    fn told(operation: u32, first: impl serde::Serialize, second: &str) -> Result<Operation, String> {
        let first = rmp_serde::to_vec_named(&first).unwrap();
        let told = Told { operation, table: "t", first: &first, second: second.as_bytes(), number: 1, token: 5 };
        Step::of(&tables(), &told).map(|step| step.operation)
    }

    #[test]
    fn a_condition_follows_what_is_done_or_not_and_holds_for_what_is_not_answered() {
        use operations::{ADD, END, GET, IF_DONE, PUT, SWAP};
        let tables = tables();
        let row = rmp_serde::to_vec_named(&serde_json::json!({"a": 1, "b": "x"})).unwrap();
        let step = |operation| {
            let second = if operation == SWAP { &row[..] } else { b"n" };
            Step::of(&tables, &Told { operation, table: "t", first: &row, second, number: 1, token: 5 })
        };
        let takes = |told: &[u32]| Step::all(told.iter().map(|operation| step(*operation))).is_ok();
        assert!(takes(&[PUT, SWAP, IF_DONE, ADD, PUT, END, GET, SWAP, IF_DONE, END]));
        let wrong: [&[u32]; 6] = [
            &[IF_DONE, ADD, END],
            &[PUT, IF_DONE, ADD, END],
            &[SWAP, END],
            &[SWAP, IF_DONE, ADD],
            &[SWAP, IF_DONE, GET, END],
            &[SWAP, IF_DONE, SWAP, IF_DONE, END, END],
        ];
        for told in wrong {
            assert!(!takes(told), "{told:?}");
        }
        assert!(!takes(&[ADD, 99]));
    }

    #[test]
    fn a_key_is_a_struct_a_tuple_or_the_one_value() {
        for key in [serde_json::json!({"a": 1, "b": "x"}), serde_json::json!([1, "x"])] {
            let Operation::Delete { key } = told(operations::DELETE, &key, "").unwrap() else { panic!("{key}") };
            assert_eq!(key, [Value::Integer(1), Value::Text("x".into())]);
        }
        assert!(told(operations::DELETE, 1, "").unwrap_err().contains("the key of table `t`"));
        assert!(told(operations::GET, serde_json::json!({"a": 1}), "").unwrap_err().contains("wants `b`"));
    }

    #[test]
    fn a_swap_may_name_the_key_and_not_change_it() {
        let swap = |columns: serde_json::Value| {
            let second = rmp_serde::to_vec_named(&columns).unwrap();
            let first = rmp_serde::to_vec_named(&serde_json::json!({"a": 1, "b": "x", "n": 1})).unwrap();
            let told =
                Told { operation: operations::SWAP, table: "t", first: &first, second: &second, number: 0, token: 5 };
            Step::of(&tables(), &told).map(|step| step.operation)
        };
        for columns in [serde_json::json!({"n": 2}), serde_json::json!({"a": 1, "b": "x", "n": 2})] {
            let Operation::Swap { key, columns, .. } = swap(columns).unwrap() else { panic!("it is a swap") };
            assert_eq!(key, [Value::Integer(1), Value::Text("x".into())]);
            assert_eq!(columns, [(2, Value::Integer(2))]);
        }
        assert!(swap(serde_json::json!({"a": 2, "n": 2})).unwrap_err().contains("does not change"));
    }

    #[test]
    fn what_a_component_does_wrong_is_named() {
        let row = serde_json::json!({"a": 1, "b": "x", "n": "no number"});
        assert!(told(operations::PUT, row, "").unwrap_err().contains("column `n` of table `t` holds integer"));
        assert!(told(operations::PUT, serde_json::json!({"a": 1, "z": 1}), "").unwrap_err().contains("no column `z`"));
        assert!(told(operations::PUT, serde_json::json!({"a": 1}), "").unwrap_err().contains("wants `b`"));
        assert!(told(operations::ADD, serde_json::json!([1, "x"]), "i").unwrap_err().contains("no integer `i`"));
        assert!(told(operations::SCAN, serde_json::json!({"by": "n"}), "").unwrap_err().contains("no index"));
        assert!(told(99, 1, "").unwrap_err().contains("upgrade the host"));
    }
}
