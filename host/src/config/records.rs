//! `records = …` of a service: where its records go, and how long they stay there.

use std::fmt;
use std::path::PathBuf;

use bytesize::ByteSize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Config, Service, Span};
use crate::version::Exchanges;

/// Where the records of a service go: `records = "FILE"`, or `records = { file = "FILE", … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// The file that they are appended to, as JSON lines.
    pub file: PathBuf,
    /// From so many bytes on the file is moved away, and another is begun.
    pub max_size: Option<Size>,
    /// After so long it is as well.
    pub max_age: Option<Span>,
    /// So many that were moved away are kept: `FILE.1` is the youngest.
    pub keep: usize,
    /// So long they are in the store's table as well; not at all where it is not said.
    pub table: Option<Span>,
}

/// A number of bytes, as a number or as a text: `"100MB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "SizeAsWritten")]
pub struct Size(pub u64);

#[derive(Deserialize)]
#[serde(untagged, expecting = "this is no size; write 1048576 or \"1MiB\"")]
enum SizeAsWritten {
    Bytes(u64),
    Text(String),
}

impl TryFrom<SizeAsWritten> for Size {
    type Error = String;

    fn try_from(written: SizeAsWritten) -> Result<Self, String> {
        match written {
            SizeAsWritten::Bytes(bytes) => Ok(Size(bytes)),
            SizeAsWritten::Text(text) => match text.parse() {
                Ok(ByteSize(bytes)) => Ok(Size(bytes)),
                Err(_) => Err(format!("`{text}` is no size; write 1048576 or \"1MiB\"")),
            },
        }
    }
}

/// What is kept of a file that is moved away, where that is not said.
const KEEP: usize = 10;
/// As many at most.
const KEEP_MAX: usize = 10_000;
/// A shorter file holds hardly a record.
const SIZE_MIN: Size = Size(4096);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    file: PathBuf,
    max_size: Option<Size>,
    max_age: Option<Span>,
    keep: Option<usize>,
    table: Option<Span>,
}

impl From<Whole> for Records {
    fn from(Whole { file, max_size, max_age, keep, table }: Whole) -> Self {
        Records { file, max_size, max_age, keep: keep.unwrap_or(KEEP), table }
    }
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Records;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file, \"FILE\" or { file = \"FILE\", max_size = \"100MB\", table = \"30d\" }")
            }

            fn visit_str<E: serde::de::Error>(self, file: &str) -> Result<Records, E> {
                Ok(Whole { file: file.into(), max_size: None, max_age: None, keep: None, table: None }.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Records, A::Error> {
                Whole::deserialize(MapAccessDeserializer::new(map)).map(Records::from)
            }
        }

        // A format that does not tell what it has is none that a configuration is written in.
        deserializer.deserialize_any(Written)
    }
}

impl Records {
    /// What a type cannot say. An error is the key and the reason.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.max_size.is_some_and(|size| size < SIZE_MIN) {
            return Err(("max_size", format!("at least {}: in less there is hardly a record", ByteSize(SIZE_MIN.0))));
        }
        for (key, span) in [("max_age", self.max_age), ("table", self.table)] {
            if span.is_some_and(|span| span < Span::seconds(1)) {
                return Err((key, "at least 1s: in less time nobody reads them".to_owned()));
            }
        }
        if !(1..=KEEP_MAX).contains(&self.keep) {
            return Err(("keep", format!("{} is not between 1 and {KEEP_MAX}", self.keep)));
        }
        Ok(())
    }
}

impl Config {
    /// Whether a version that is built against this revision of the API is to record each exchange of a service: where records are kept. One
    /// of an earlier revision tells of exchanges by nothing else, so it is to where a canary is compared, and where traces are exported.
    pub fn wants_records(&self, service: &Service, api: u32) -> bool {
        let others = || self.traces.is_some() || self.component(&service.component).canary.is_some();
        service.records.is_some() || api < Exchanges::SINCE && others()
    }
}

#[cfg(test)]
mod tests {
    use super::{Records, Size, Span};
    use crate::config::Service;

    fn of(text: &str) -> Result<Records, String> {
        let text = format!("component = 'http'\nrecords = {text}");
        let service: Service = toml::from_str(&text).map_err(|error| error.to_string())?;
        let records = service.records.unwrap();
        records.check().map_err(|(key, reason)| format!("{key}: {reason}"))?;
        Ok(records)
    }

    #[test]
    fn a_name_is_enough_and_the_rest_has_its_reasons() {
        let file = of("'a.jsonl'").unwrap();
        assert_eq!((file.max_size, file.max_age, file.keep, file.table), (None, None, 10, None));
        let all = of("{ file = 'a', max_size = '1MiB', max_age = '24h', keep = 3, table = '30d' }").unwrap();
        assert_eq!((all.max_size, all.max_age), (Some(Size(1 << 20)), Some(Span::seconds(86_400))));
        assert_eq!((all.keep, all.table), (3, Some(Span::seconds(30 * 86_400))));
        assert_eq!(of("{ file = 'a', max_size = 5000 }").unwrap().max_size, Some(Size(5000)));
        for (text, reason) in [
            ("7", "a file, \"FILE\" or {"),
            ("{ max_size = '1MiB' }", "missing field `file`"),
            ("{ file = 'a', size = 1 }", "unknown field `size`"),
            ("{ file = 'a', max_size = 'much' }", "`much` is no size; write 1048576"),
            ("{ file = 'a', max_size = 1 }", "max_size: at least 4.0 KiB"),
            ("{ file = 'a', max_age = '1ms' }", "max_age: at least 1s"),
            ("{ file = 'a', table = '0s' }", "table: at least 1s"),
            ("{ file = 'a', keep = 0 }", "keep: 0 is not between 1 and 10000"),
        ] {
            let said = of(text).unwrap_err();
            assert!(said.contains(reason), "{text}: {said}");
        }
    }
}
