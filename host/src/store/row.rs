//! Rows, as they cross to a component and as the store holds them.
//!
//! Across the boundary a row is MessagePack: a map of column names to values, so that either side may leave out what it
//! does not know. In the store it is one [`Value`] a column.

use rmpv::ValueRef;

use super::table::{Column, Kind, Table};

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A number, or a boolean as 0 or 1.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes, or a nested value as MessagePack.
    Blob(Vec<u8>),
}

/// The columns of a row that a component gives, by their places in its table.
pub type Columns = Vec<(usize, Value)>;

/// Reads a row, or a part of one.
///
/// # Errors
/// It is no map, or it has a column that the table has not, or a value of another kind: the component's mistake.
pub fn read(table: &Table, bytes: &[u8]) -> Result<Columns, String> {
    let row = rmpv::decode::read_value_ref(&mut &*bytes).map_err(|error| format!("{}: {error}", table.name))?;
    read_value(table, row)
}

/// Reads the key of a row: a struct with its columns, a tuple in its order, or the one value of a key of one column.
///
/// # Errors
/// It is none of these, or a value is of another kind.
pub fn read_key(table: &Table, bytes: &[u8]) -> Result<Vec<Value>, String> {
    let wrong = || {
        let names = table.key_names().join(", ");
        format!("the key of table `{}` is ({names}), and this is none", table.name)
    };
    let key = rmpv::decode::read_value_ref(&mut &*bytes).map_err(|_| wrong())?;
    let values = match key {
        ValueRef::Map(_) => return take_key(table, &mut read_value(table, key)?),
        ValueRef::Array(values) => values,
        value => vec![value],
    };
    if values.len() != table.key.len() {
        return Err(wrong());
    }
    let kinds = table.key.iter().map(|at| table.columns[*at].kind);
    let values = kinds.zip(values).map(|(kind, value)| of_kind(kind, value).filter(|value| *value != Value::Null));
    values.collect::<Option<_>>().ok_or_else(wrong)
}

/// Reads a row, or a part of one, that was read as MessagePack.
///
/// # Errors
/// As for [`read`].
pub fn read_value(table: &Table, row: ValueRef<'_>) -> Result<Columns, String> {
    let ValueRef::Map(entries) = row else {
        return Err(format!("a row of `{}` is a struct whose fields are its columns", table.name));
    };
    let mut columns = Columns::with_capacity(entries.len());
    let mut next = 0;
    for (name, value) in entries {
        let name = match &name {
            ValueRef::String(name) => name.as_str().unwrap_or_default(),
            _ => "",
        };
        // A struct has its fields mostly in the order of the columns.
        let at = match table.columns.get(next) {
            Some(column) if column.name == name => next,
            _ => table.column(name).ok_or_else(|| format!("table `{}` has no column `{name}`", table.name))?,
        };
        next = at + 1;
        let column = &table.columns[at];
        let found = kind_of(&value);
        let value = of_kind(column.kind, value).ok_or_else(|| {
            format!("column `{}` of table `{}` holds {}, not {found}", column.name, table.name, column.kind)
        })?;
        columns.push((at, value));
    }
    Ok(columns)
}

/// Reads the key of a row out of its columns, in the key's order, and takes it out of them.
///
/// # Errors
/// A column of the key is not there, or is null.
pub fn take_key(table: &Table, columns: &mut Columns) -> Result<Vec<Value>, String> {
    let mut key = Vec::with_capacity(table.key.len());
    for at in &table.key {
        let found = find_key(table, columns, *at)?;
        key.push(columns.swap_remove(found).1);
    }
    Ok(key)
}

/// Looks whether the key of a row is among its columns.
///
/// # Errors
/// As for [`take_key`].
pub fn check_key(table: &Table, columns: &Columns) -> Result<(), String> {
    table.key.iter().try_for_each(|at| find_key(table, columns, *at).map(drop))
}

fn find_key(table: &Table, columns: &Columns, at: usize) -> Result<usize, String> {
    let found = columns.iter().position(|(column, value)| *column == at && *value != Value::Null);
    found.ok_or_else(|| format!("the key of table `{}` wants `{}`", table.name, table.columns[at].name))
}

/// Writes a whole row, one value for each column of the table.
pub fn write(table: &Table, values: &[Value], out: &mut Vec<u8>) {
    let known = "a Vec takes what is written to it";
    rmp::encode::write_map_len(out, table.columns.len() as u32).expect(known);
    for (Column { name, kind, .. }, value) in table.columns.iter().zip(values) {
        rmp::encode::write_str(out, name).expect(known);
        match value {
            Value::Null => rmp::encode::write_nil(out).expect(known),
            Value::Integer(number) if *kind == Kind::Boolean => {
                rmp::encode::write_bool(out, *number != 0).expect(known);
            }
            Value::Integer(number) => drop(rmp::encode::write_sint(out, *number).expect(known)),
            Value::Real(number) => rmp::encode::write_f64(out, *number).expect(known),
            Value::Text(text) => rmp::encode::write_str(out, text).expect(known),
            Value::Blob(bytes) if *kind == Kind::Nested => out.extend_from_slice(bytes),
            Value::Blob(bytes) => rmp::encode::write_bin(out, bytes).expect(known),
        }
    }
}

/// The value, where it is of this kind.
pub(super) fn of_kind(kind: Kind, value: ValueRef<'_>) -> Option<Value> {
    Some(match (kind, value) {
        (_, ValueRef::Nil) => Value::Null,
        (Kind::Integer, ValueRef::Integer(number)) => Value::Integer(number.as_i64()?),
        (Kind::Real, ValueRef::F64(number)) => Value::Real(number),
        (Kind::Real, ValueRef::F32(number)) => Value::Real(number.into()),
        (Kind::Real, ValueRef::Integer(number)) => Value::Real(number.as_f64()?),
        (Kind::Text, ValueRef::String(text)) => Value::Text(text.as_str()?.to_owned()),
        (Kind::Blob, ValueRef::Binary(bytes)) => Value::Blob(bytes.to_owned()),
        // What serde makes of a `Vec<u8>` by itself.
        (Kind::Blob, ValueRef::Array(numbers)) => {
            let byte = |number: &ValueRef<'_>| number.as_u64().and_then(|number| u8::try_from(number).ok());
            Value::Blob(numbers.iter().map(byte).collect::<Option<_>>()?)
        }
        (Kind::Boolean, ValueRef::Boolean(flag)) => Value::Integer(flag.into()),
        (Kind::Nested, nested) => {
            let mut bytes = Vec::new();
            rmpv::encode::write_value_ref(&mut bytes, &nested).ok()?;
            Value::Blob(bytes)
        }
        _ => return None,
    })
}

fn kind_of(value: &ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Nil => "nothing",
        ValueRef::Boolean(_) => "a boolean",
        ValueRef::Integer(_) => "an integer (or one beyond 64 bits with a sign)",
        ValueRef::F32(_) | ValueRef::F64(_) => "a real",
        ValueRef::String(_) => "a text (or one that is not UTF-8)",
        ValueRef::Binary(_) => "bytes",
        ValueRef::Array(_) => "a list",
        ValueRef::Map(_) => "a nested value",
        ValueRef::Ext(..) => "an extension",
    }
}
