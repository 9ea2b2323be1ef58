//! Whether `docs/configuration.md` says of a configuration what its types say: each key, its kind, its default, and nothing else.
//!
//! The keys come from the types themselves: what a type asks a deserializer for is what it takes. [`Probe`] follows one path of keys, and
//! fails at its end with what was asked for there. The host and each component with a configuration include this file in their own tests.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display};

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde::{Deserialize, de};
use serde_json::{Map, Value};

const FILE: &str = "docs/configuration.md";
const TEXT: &str = include_str!("../../docs/configuration.md");

/// Compares a part of the reference, `## TITLE`, with the type that is read.
///
/// `whole` is a configuration with each table that can be left out, but for those of a choice, and of their keys no others than those
/// that are needed.
pub(crate) fn check<C: for<'de> Deserialize<'de> + Debug>(title: &str, whole: &Value) {
    let mut there = BTreeMap::new();
    walk::<C>(&mut Vec::new(), &mut there);
    let mut wrong = Vec::new();
    let told = rows(title, &mut wrong);
    for (key, kind) in &there {
        let Some(row) = told.get(key) else {
            wrong.push(format!("no line tells of `{key}`: write | `{key}` | {kind} | its default | what it does |"));
            continue;
        };
        if !kind.fits(&row.kind) {
            wrong.push(format!("`{key}` is told to be \"{}\", and is {kind}", row.kind));
        }
        if let Err(reason) = row.default.check::<C>(key, whole) {
            wrong.push(format!("`{key}`: {reason}"));
        }
    }
    wrong.extend(told.keys().filter(|key| !there.contains_key(*key)).map(|key| format!("`{key}` is no key")));
    assert!(wrong.is_empty(), "{FILE}, ## {title}:\n{}", wrong.join("\n"));
}

/// A line of a table.
struct Row {
    kind: String,
    default: Told,
}

/// What a line says of a default.
enum Told {
    /// `needed`
    Needed,
    /// A value.
    Is(Value),
    /// In words.
    Words,
}

fn rows(title: &str, wrong: &mut Vec<String>) -> BTreeMap<String, Row> {
    let heading = format!("## {title}");
    let mut lines = TEXT.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "{FILE} has no part {heading}");
    let mut table = String::new();
    let mut rows = BTreeMap::new();
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        if let Some(name) = line.strip_prefix("### ") {
            // `### [service.NAME]`: what the keys below stand in.
            table = name.trim_matches(['`', '[', ']']).to_owned();
            continue;
        }
        let Some(line) = line.strip_prefix("| `") else { continue };
        let cells: Vec<&str> = line.trim_end_matches('|').split('|').map(str::trim).collect();
        let [key, kind, default, what] = cells[..] else {
            wrong.push(format!("a line has key, kind, default and what it does: | `{line}"));
            continue;
        };
        let key = key.trim_end_matches('`');
        let key = if table.contains(' ') || table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
        let default = match default.strip_prefix('`').and_then(|text| text.strip_suffix('`')) {
            Some(text) => serde_json::from_str(text).map_or(Told::Words, Told::Is),
            None if default == "needed" => Told::Needed,
            None => Told::Words,
        };
        if what.is_empty() {
            wrong.push(format!("of `{key}` it is not told what it does"));
        }
        if rows.insert(key.clone(), Row { kind: kind.to_owned(), default }).is_some() {
            wrong.push(format!("`{key}` is there twice"));
        }
    }
    rows
}

impl Told {
    fn check<C: for<'de> Deserialize<'de> + Debug>(&self, key: &str, whole: &Value) -> Result<(), String> {
        let read = |value: &Value| C::deserialize(value).map(|config| format!("{config:?}"));
        let path: Vec<&str> = key.split('.').collect();
        let mut without = whole.clone();
        at(&mut without, &path, false, |table, key| {
            table.remove(key);
        });
        match (self, read(&without)) {
            (Told::Needed, Ok(_)) => Err("it is told to be needed, and can be left out".to_owned()),
            (Told::Needed, Err(_)) => Ok(()),
            (_, Err(error)) => Err(format!("it is not told to be \"needed\", but without it: {error}")),
            (Told::Words, Ok(_)) => Ok(()),
            (Told::Is(value), Ok(left_out)) => {
                let mut with = whole.clone();
                at(&mut with, &path, true, |table, key| {
                    table.insert(key.to_owned(), value.clone());
                });
                match read(&with) {
                    Ok(said) if said == left_out => Ok(()),
                    Ok(said) => Err(format!("{value} is not its default: with it\n{said}\nand without\n{left_out}")),
                    Err(error) => Err(format!("{value} is told to be its default: {error}")),
                }
            }
        }
    }
}

/// Does something with the table in which a key stands. Where the table is not there it is made, if it is to be.
fn at(value: &mut Value, path: &[&str], make: bool, change: impl FnOnce(&mut Map<String, Value>, &str)) {
    let Value::Object(table) = value else { panic!("{path:?} leads through {value}") };
    let [key, rest @ ..] = path else { panic!("no key is named") };
    let list = key.strip_suffix("[]");
    if rest.is_empty() {
        return change(table, key);
    }
    // What has a name of the operator's has one in `whole`, whichever it is.
    let inner = match (*key, list) {
        ("NAME", _) => table.values_mut().next(),
        (_, Some(list)) => table.get_mut(list).and_then(|list| list.get_mut(0)),
        (key, None) if make => Some(table.entry(key).or_insert_with(|| Map::new().into())),
        (key, None) => table.get_mut(key),
    };
    match inner {
        Some(inner) => at(inner, rest, make, change),
        None => assert!(!make, "the configuration of the test has no {key}"),
    }
}

/// What a type asks for.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Keys(&'static [&'static str]),
    /// Keys that operators choose.
    Names,
    List,
    ListOf(Box<Kind>),
    Choice(&'static [&'static str]),
    /// Of a choice: it has nothing more to say.
    Word,
    Text,
    Number,
    Boolean,
    /// It takes what comes.
    Any,
}

impl Kind {
    fn fits(&self, told: &str) -> bool {
        let other = ["number", "boolean", "list"];
        match self {
            Kind::Choice(words) => words.iter().all(|word| told.contains(&format!("`\"{word}\"`"))),
            Kind::ListOf(_) => told.starts_with("list of "),
            Kind::Number => told.starts_with("number"),
            Kind::Boolean => told == "boolean",
            _ => !told.is_empty() && !other.iter().any(|word| told.starts_with(word)),
        }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Choice(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
                f.write_str(&words.join(", "))
            }
            Kind::ListOf(kind) => write!(f, "list of {kind}"),
            Kind::Number => f.write_str("number"),
            Kind::Boolean => f.write_str("boolean"),
            _ => f.write_str("text"),
        }
    }
}

fn walk<C: for<'de> Deserialize<'de>>(path: &mut Vec<&'static str>, there: &mut BTreeMap<String, Kind>) {
    let mut below = |key: &'static str, path: &mut Vec<&'static str>| {
        path.push(key);
        walk::<C>(path, there);
        path.pop();
    };
    match asked::<C>(path) {
        Kind::Keys(keys) => keys.iter().for_each(|key| below(key, path)),
        Kind::Names => below("NAME", path),
        Kind::List => below("[]", path),
        Kind::Choice(words) if has_more::<C>(path, words) => words.iter().for_each(|word| below(word, path)),
        kind => {
            let lists = path.iter().rev().take_while(|key| **key == "[]").count();
            let key = path[..path.len() - lists].join(".").replace(".[]", "[]");
            there.insert(key, (0..lists).fold(kind, |kind, _| Kind::ListOf(kind.into())));
        }
    }
}

/// Whether one of several has something of its own to say.
fn has_more<C: for<'de> Deserialize<'de>>(path: &mut Vec<&'static str>, words: &[&'static str]) -> bool {
    words.iter().any(|word| {
        path.push(word);
        let kind = asked::<C>(path);
        path.pop();
        kind != Kind::Word
    })
}

fn asked<C: for<'de> Deserialize<'de>>(path: &[&'static str]) -> Kind {
    match C::deserialize(Probe(path)) {
        Err(Asked(kind)) => kind,
        Ok(_) => panic!("{path:?} leads nowhere"),
    }
}

/// What was asked for at the end of a path.
#[derive(Debug)]
struct Asked(Kind);

impl Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Asked {}

impl de::Error for Asked {
    fn custom<T: Display>(_: T) -> Self {
        Asked(Kind::Any)
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Asked(Kind::Keys(expected))
    }
}

/// Follows a path of keys: what a type takes there is told by what it asks for.
struct Probe<'p>(&'p [&'static str]);

macro_rules! ask {
    ($($kind:ident: $($method:ident)*;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
            Err(Asked(Kind::$kind))
        }
    )*)*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Asked;

    ask! {
        Boolean: deserialize_bool;
        Number: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_i8 deserialize_i16
            deserialize_i32 deserialize_i64 deserialize_i128 deserialize_f32 deserialize_f64;
        Text: deserialize_char deserialize_str deserialize_string deserialize_identifier;
        Any: deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_ignored_any;
    }

    /// Who takes several things reads a table of them, if it takes one: with a key that none has.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Asked> {
        visitor.visit_map(Once(Some(self.0.split_first().map_or(("\0", None), |(key, rest)| (*key, Some(rest))))))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Asked> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Asked> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, Asked> {
        Err(Asked(Kind::Any))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Asked> {
        match self.0 {
            [] => Err(Asked(Kind::List)),
            [_, rest @ ..] => visitor.visit_seq(Once(Some(("", Some(rest))))),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Asked> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, v: V) -> Result<V::Value, Asked> {
        self.deserialize_seq(v)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Asked> {
        match self.0 {
            [] => Err(Asked(Kind::Names)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Asked> {
        match self.0 {
            [] => Err(Asked(Kind::Keys(keys))),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Asked> {
        match self.0 {
            [] => Err(Asked(Kind::Choice(words))),
            [word, rest @ ..] => visitor.visit_enum(Once(Some((word, Some(rest))))),
        }
    }
}

/// One key, item or word, with the path behind it; `None` behind one that is no key.
struct Once<'p>(Option<(&'static str, Option<&'p [&'static str]>)>);

/// A key, as it is written.
struct Key(&'static str);

impl<'de> Deserializer<'de> for Key {
    type Error = Asked;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Asked> {
        visitor.visit_str(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'p> Once<'p> {
    fn behind(self) -> Result<Probe<'p>, Asked> {
        self.0.and_then(|(_, rest)| rest).map(Probe).ok_or(Asked(Kind::Any))
    }
}

impl<'de> MapAccess<'de> for Once<'_> {
    type Error = Asked;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Asked> {
        self.0.map(|(key, _)| seed.deserialize(Key(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Asked> {
        seed.deserialize(Once(self.0.take()).behind()?)
    }
}

impl<'de> SeqAccess<'de> for Once<'_> {
    type Error = Asked;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Asked> {
        seed.deserialize(Once(self.0.take()).behind()?).map(Some)
    }
}

impl<'de> EnumAccess<'de> for Once<'_> {
    type Error = Asked;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Asked> {
        let (word, _) = self.0.ok_or(Asked(Kind::Any))?;
        Ok((seed.deserialize(Key(word))?, self))
    }
}

impl<'de> VariantAccess<'de> for Once<'_> {
    type Error = Asked;

    fn unit_variant(self) -> Result<(), Asked> {
        Err(Asked(Kind::Word))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Asked> {
        seed.deserialize(self.behind()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Asked> {
        self.behind()?.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, keys: &'static [&'static str], visitor: V) -> Result<V::Value, Asked> {
        self.behind()?.deserialize_struct("", keys, visitor)
    }
}
