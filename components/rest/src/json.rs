//! JSON as it comes in: [`read`], in the one way that nobody can read otherwise.
//!
//! A member that stands twice is refused, since readers differ in which of the two they take.

use std::fmt;

use serde::Deserializer;
use serde::de::{Deserialize, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::problem::{Kind, Problem};

/// Reads a whole body.
///
/// # Errors
/// It is not JSON: what is wrong, and at which line and column.
pub(crate) fn read(body: &[u8]) -> Result<Value, Problem> {
    if body.is_empty() {
        return Err(Kind::NotJson.because("there is no body"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = Strict::deserialize(&mut reader).and_then(|Strict(value)| reader.end().map(|()| value));
    read.map_err(|error| Kind::NotJson.because(error.to_string()))
}

/// A JSON pointer to a member of what another points at (RFC 6901).
pub(crate) fn pointer(to: &str, member: &str) -> String {
    format!("{to}/{}", member.replace('~', "~0").replace('/', "~1"))
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Strict)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the member `{name}` stands twice")));
            }
            let Strict(value) = members.next_value()?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{pointer, read};

    #[test]
    fn what_is_json_is_read_whole() {
        let text = br#" {"a": [1, -2, 0.5, "b", null, true], "c": {}} "#;
        assert_eq!(read(text).unwrap(), json!({ "a": [1, -2, 0.5, "b", null, true], "c": {} }));
    }

    #[test]
    fn what_is_none_says_where() {
        for (text, why) in [
            (&b""[..], "there is no body"),
            (b"{", "EOF while parsing an object at line 1 column 1"),
            (b"{\n\"a\": 01}", "invalid number at line 2 column 7"),
            (b"{\"a\": 1} x", "trailing characters at line 1 column 10"),
            (b"{\"a\": 1, \"a\": 2}", "the member `a` stands twice at line 1 column 12"),
            (b"\"\xff\"", "invalid unicode code point at line 1 column 2"),
            (b"1e999", "number out of range at line 1 column 5"),
        ] {
            assert_eq!(read(text).unwrap_err().detail, why, "{}", text.escape_ascii());
        }
        assert!(read("[".repeat(1000).as_bytes()).unwrap_err().detail.starts_with("recursion limit exceeded"));
    }

    #[test]
    fn a_pointer_escapes_what_would_be_read_otherwise() {
        assert_eq!(pointer("", "a/b~c"), "/a~1b~0c");
        assert_eq!(pointer("/to", "3"), "/to/3");
    }
}
