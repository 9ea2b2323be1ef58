//! Rows, as they cross to a component and as the store holds them.
//!
//! Across the boundary a row is MessagePack: a map of column names to values, so that either side may leave out what it
//! does not know. In the store it is one [`Value`] a column.

use rmp::Marker;
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
    let mut rest = bytes;
    let entries = rmp::decode::read_map_len(&mut rest).map_err(|_| not_a_row(table))?;
    // Each takes two bytes at least.
    let mut columns = Columns::with_capacity((entries as usize).min(rest.len() / 2));
    let cut_off = || format!("{}: a row that ends in the middle", table.name);
    for _ in 0..entries {
        let (name, after) = rmp::decode::read_str_from_slice(rest).map_err(|_| not_a_row(table))?;
        rest = after;
        let at = place(table, columns.last(), name)?;
        let value = match table.columns[at].kind {
            // As it is: it is MessagePack already.
            Kind::Nested => {
                let whole = rest;
                skip(&mut rest).ok_or_else(cut_off)?;
                match &whole[..whole.len() - rest.len()] {
                    [NIL] => Value::Null,
                    nested => Value::Blob(nested.to_owned()),
                }
            }
            _ => {
                let value = rmpv::decode::read_value_ref(&mut rest).map_err(|_| cut_off())?;
                fitting(table, at, value)?
            }
        };
        columns.push((at, value));
    }
    Ok(columns)
}

fn not_a_row(table: &Table) -> String {
    format!("a row of `{}` is a struct whose fields are its columns", table.name)
}

/// The place of a column. A struct has its fields mostly in the order of the columns.
fn place(table: &Table, last: Option<&(usize, Value)>, name: &str) -> Result<usize, String> {
    let next = last.map_or(0, |(at, _)| at + 1);
    match table.columns.get(next) {
        Some(column) if column.name == name => Ok(next),
        _ => table.column(name).ok_or_else(|| format!("table `{}` has no column `{name}`", table.name)),
    }
}

/// A value that a column is to have.
fn fitting(table: &Table, at: usize, value: ValueRef<'_>) -> Result<Value, String> {
    let (column, found) = (&table.columns[at], kind_of(&value));
    of_kind(column.kind, value)
        .ok_or_else(|| format!("column `{}` of table `{}` holds {}, not {found}", column.name, table.name, column.kind))
}

const NIL: u8 = 0xc0;

/// Leaves out one value, with all that is in it. `None` where it is not whole, or none.
fn skip(rest: &mut &[u8]) -> Option<()> {
    // How many values are to come: nothing is on the stack for those that are in others.
    let mut values: u64 = 1;
    while values > 0 {
        let marker = Marker::from_u8(*rest.split_off_first()?);
        let mut length = |bytes: usize| {
            let digits = rest.split_off(..bytes)?;
            Some(digits.iter().fold(0, |length, digit| length << 8 | u64::from(*digit)))
        };
        let (bytes, inner) = match marker {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => (0, 0),
            Marker::U8 | Marker::I8 => (1, 0),
            Marker::U16 | Marker::I16 => (2, 0),
            Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
            Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
            Marker::FixStr(length) => (length.into(), 0),
            Marker::Str8 | Marker::Bin8 => (length(1)?, 0),
            Marker::Str16 | Marker::Bin16 => (length(2)?, 0),
            Marker::Str32 | Marker::Bin32 => (length(4)?, 0),
            Marker::FixArray(count) => (0, count.into()),
            Marker::Array16 => (0, length(2)?),
            Marker::Array32 => (0, length(4)?),
            Marker::FixMap(count) => (0, 2 * u64::from(count)),
            Marker::Map16 => (0, 2 * length(2)?),
            Marker::Map32 => (0, 2 * length(4)?),
            // With the byte that says of which type it is.
            Marker::FixExt1 => (2, 0),
            Marker::FixExt2 => (3, 0),
            Marker::FixExt4 => (5, 0),
            Marker::FixExt8 => (9, 0),
            Marker::FixExt16 => (17, 0),
            Marker::Ext8 => (1 + length(1)?, 0),
            Marker::Ext16 => (1 + length(2)?, 0),
            Marker::Ext32 => (1 + length(4)?, 0),
            Marker::Reserved => return None,
        };
        rest.split_off(..usize::try_from(bytes).ok()?)?;
        values = values - 1 + inner;
    }
    Some(())
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
    let ValueRef::Map(entries) = row else { return Err(not_a_row(table)) };
    let mut columns = Columns::with_capacity(entries.len());
    for (name, value) in entries {
        let name = match &name {
            ValueRef::String(name) => name.as_str().unwrap_or_default(),
            _ => "",
        };
        let at = place(table, columns.last(), name)?;
        columns.push((at, fitting(table, at, value)?));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_left_out_whole() {
        use rmpv::Value as V;
        let text = |length: usize| V::from("x".repeat(length));
        let list = |length: usize| V::Array(vec![V::from(length as u64); length]);
        let map = |length: usize| V::Map((0..length).map(|n| (V::from(n as u64), list(n % 20))).collect());
        let numbers = [0, 200, 60_000, 1 << 20, 1 << 40].into_iter().flat_map(|n: i64| [V::from(n), V::from(-n)]);
        let texts = [0, 31, 32, 255, 256, 65_536].into_iter().flat_map(|n| [text(n), V::Binary(vec![0; n])]);
        let lists = [0, 15, 16, 65_536].into_iter().map(list);
        let maps = [0, 15, 16, 65_536].into_iter().map(map);
        let types = [1, 2, 3, 4, 8, 16, 255, 256, 65_536].into_iter().map(|n| V::Ext(1, vec![0; n]));
        let others = [V::Nil, V::Boolean(true), V::F32(1.0), V::F64(1.0)];
        for value in numbers.chain(texts).chain(lists).chain(maps).chain(types).chain(others) {
            let mut bytes = Vec::new();
            rmpv::encode::write_value(&mut bytes, &value).unwrap();
            let whole = bytes.len();
            bytes.extend([1, 2, 3]);
            let mut rest = &bytes[..];
            assert_eq!((skip(&mut rest), rest.len()), (Some(()), 3), "{value:.20}");
            let ends = (0..whole).step_by(whole / 50 + 1);
            for end in ends {
                assert_eq!(skip(&mut &bytes[..end]), None, "{value:.20}, cut off at {end}");
            }
        }
        assert_eq!(skip(&mut &[0xc1][..]), None);
    }

    /// A table with a column of each kind.
    fn table() -> Table {
        let kinds = ["integer", "real", "text", "blob", "boolean", "nested"];
        let columns: Vec<_> = kinds.iter().map(|kind| serde_json::json!({"name": kind, "kind": kind})).collect();
        let manifest = serde_json::json!({"name": "t", "key": ["integer"], "columns": columns});
        Table::of("smpp", &serde_json::from_value(manifest).unwrap()).unwrap()
    }

    fn packed(value: &rmpv::Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).unwrap();
        bytes
    }

    fn struct_of(fields: &[(&str, rmpv::Value)]) -> rmpv::Value {
        rmpv::Value::Map(fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    /// What is read of one column, either way of reading, which agree.
    fn read_one(column: &str, value: &rmpv::Value) -> Result<Value, String> {
        let table = table();
        let bytes = packed(&struct_of(&[(column, value.clone())]));
        let columns = read(&table, &bytes);
        assert_eq!(columns, read_value(&table, rmpv::decode::read_value_ref(&mut &bytes[..]).unwrap()));
        let mut columns = columns?;
        assert_eq!((columns.len(), columns[0].0), (1, table.column(column).unwrap()));
        Ok(columns.remove(0).1)
    }

    #[test]
    fn a_value_of_each_kind_comes_back_as_it_went() {
        use rmpv::Value as V;
        let nested = struct_of(&[("list", V::Array(vec![1.into(), "two".into(), V::Nil])), ("map", struct_of(&[]))]);
        let rows = [
            [V::from(i64::MIN), V::F64(-0.5), "ä".into(), V::Binary(vec![0, 255]), true.into(), nested],
            [V::from(i64::MAX), V::F64(f64::MAX), "".into(), V::Binary(Vec::new()), false.into(), V::Array(Vec::new())],
            [V::from(0), V::Nil, V::Nil, V::Nil, V::Nil, V::Nil],
        ];
        let table = table();
        for values in rows {
            let names = table.columns.iter().map(|column| column.name.as_str());
            let fields: Vec<(&str, V)> = names.zip(values).collect();
            let bytes = packed(&struct_of(&fields));
            let columns = read(&table, &bytes).unwrap();
            assert!(columns.iter().map(|(at, _)| *at).eq(0..table.columns.len()));

            let values: Vec<Value> = columns.into_iter().map(|(_, value)| value).collect();
            let mut written = Vec::new();
            write(&table, &values, &mut written);

            let written = rmpv::decode::read_value(&mut &written[..]).unwrap();
            assert_eq!(written, struct_of(&fields));
        }
    }

    #[test]
    fn what_a_column_takes_is_made_its_kind() {
        use rmpv::Value as V;
        assert_eq!(read_one("real", &V::F32(0.5)), Ok(Value::Real(0.5)));
        assert_eq!(read_one("real", &V::from(-3)), Ok(Value::Real(-3.0)));
        assert_eq!(read_one("boolean", &V::from(true)), Ok(Value::Integer(1)));
        let numbers = |numbers: &[i64]| V::Array(numbers.iter().map(|number| V::from(*number)).collect());
        assert_eq!(read_one("blob", &numbers(&[0, 7, 255])), Ok(Value::Blob(vec![0, 7, 255])));
        assert_eq!(read_one("blob", &numbers(&[])), Ok(Value::Blob(Vec::new())));
        for nested in [V::from(1), "text".into(), V::Binary(vec![1]), numbers(&[1]), struct_of(&[("a", V::F64(1.5))])] {
            assert_eq!(read_one("nested", &nested), Ok(Value::Blob(packed(&nested))));
        }
        for column in ["integer", "real", "text", "blob", "boolean", "nested"] {
            assert_eq!(read_one(column, &V::Nil), Ok(Value::Null), "{column}");
        }
    }

    #[test]
    fn a_value_of_another_kind_is_said_with_its_column() {
        use rmpv::Value as V;
        let wrong = [
            ("integer", V::F64(1.0), "integer", "a real"),
            ("integer", V::from(u64::MAX), "integer", "an integer (or one beyond 64 bits with a sign)"),
            ("real", "1.5".into(), "real", "a text (or one that is not UTF-8)"),
            ("text", V::Binary(b"text".to_vec()), "text", "bytes"),
            ("blob", V::Array(vec![256.into()]), "blob", "a list"),
            ("blob", V::Array(vec![V::from(-1)]), "blob", "a list"),
            ("blob", "text".into(), "blob", "a text (or one that is not UTF-8)"),
            ("boolean", V::from(1), "boolean", "an integer (or one beyond 64 bits with a sign)"),
            ("integer", true.into(), "integer", "a boolean"),
            ("text", struct_of(&[]), "text", "a nested value"),
            ("text", V::Ext(1, vec![2]), "text", "an extension"),
        ];
        for (column, value, kind, found) in wrong {
            let kind = Kind::of(kind).unwrap();
            let said = format!("column `{column}` of table `t` holds {kind}, not {found}");
            assert_eq!(read_one(column, &value), Err(said));
        }
        let of_no_column = read_one("colour", &V::from(1)).unwrap_err();
        assert_eq!(of_no_column, "table `t` has no column `colour`");
    }
}
