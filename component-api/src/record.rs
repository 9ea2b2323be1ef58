//! The record of one exchange: what each says, whatever the protocol, is a [`Record`].

use std::time::Duration;

use serde::Serialize;

use crate::trace::Span;

/// What the record of an exchange says whatever the protocol. The rest is the component's: see [`Out::record`](crate::Out::record).
///
/// ```
/// use std::time::Duration;
/// use tandem_component::{Outcome, Record};
/// let record = Record { account: "acme", duration: Duration::from_millis(3), bytes_in: 120, ..Record::of(Outcome::Done) };
/// assert_eq!((record.account, record.bytes_out), ("acme", 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Whose exchange it was; empty where nobody has authenticated.
    pub account: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took; as `duration_us` in whole microseconds.
    pub duration: Duration,
    /// How many bytes came in for it.
    pub bytes_in: u64,
    /// How many bytes went out.
    pub bytes_out: u64,
    /// Which step of a trace it is. Where it is left out, one that follows from the request which the event is about.
    pub span: Option<Span>,
}

impl Record<'_> {
    /// Of an exchange without an account, that took no time and moved nothing.
    pub const fn of(outcome: Outcome) -> Self {
        Record { account: "", outcome, duration: Duration::ZERO, bytes_in: 0, bytes_out: 0, span: None }
    }
}

/// How an exchange ended. What that means in the protocol's own words is among the component's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u32)] // The numbers cross the boundary: another one is added at the end.
pub enum Outcome {
    /// It was done what was asked.
    Done,
    /// It was not, and whoever has asked is to ask otherwise.
    Refused,
    /// It was not, for a reason of ours or of those behind us.
    Failed,
    /// Whoever has asked went before it was over.
    Abandoned,
}

impl Outcome {
    /// All of them, by their numbers.
    pub const ALL: [Outcome; 4] = [Outcome::Done, Outcome::Refused, Outcome::Failed, Outcome::Abandoned];

    /// As records have it: `done`.
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::Abandoned => "abandoned",
        }
    }
}

/// Which exchanges are to be recorded: what is asked for when one begins, so that nothing is kept for those that nobody wants.
///
/// ```
/// # use tandem_component::Recording;
/// assert!(Recording::All.takes(None) && !Recording::None.takes(None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// None.
    #[default]
    None,
    /// Those that are steps of traces which are sampled.
    Sampled,
    /// Each.
    All,
}

impl Recording {
    /// Whether that of an exchange is wanted which is this step of a trace. Where it is left out, the host may know of one.
    pub fn takes(self, span: Option<Span>) -> bool {
        match self {
            Recording::None => false,
            Recording::Sampled => span.is_none_or(|span| span.trace().is_sampled()),
            Recording::All => true,
        }
    }
}

impl From<bool> for Recording {
    /// Each, or none.
    fn from(each: bool) -> Self {
        if each { Recording::All } else { Recording::None }
    }
}

/// Writes a record, with the fields of the component: one map of them all.
///
/// `serde(flatten)` would do the same at several times the price, since it does not know how many fields there will be.
pub(crate) fn write<R: Serialize>(record: &Record<'_>, more: &R) -> Vec<u8> {
    #[derive(Serialize)]
    struct Said<'a> {
        account: &'a str,
        outcome: Outcome,
        duration_us: u64,
        bytes_in: u64,
        bytes_out: u64,
    }
    let Record { account, outcome, duration, bytes_in, bytes_out, span } = *record;
    let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let mut map = Map::default();
    map.add(&Said { account, outcome, duration_us, bytes_in, bytes_out });
    if let Some(span) = span {
        map.add(&span.fields());
    }
    map.add(more);
    map.finish()
}

/// A map in MessagePack, put together of maps.
struct Map {
    bytes: Vec<u8>,
    fields: u16,
}

impl Default for Map {
    fn default() -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend([MAP_16, 0, 0]);
        Map { bytes, fields: 0 }
    }
}

/// A map whose length has two bytes.
const MAP_16: u8 = 0xde;
/// One of fewer than sixteen fields: the lower four bits say of how many.
const FEW: u8 = 0x80;
/// `nil`, which is what `()` is.
const NOTHING: u8 = 0xc0;

impl Map {
    /// Adds the fields of a struct.
    fn add<F: Serialize>(&mut self, fields: &F) {
        let start = self.bytes.len();
        let written = fields.serialize(&mut rmp_serde::Serializer::new(&mut self.bytes).with_struct_map());
        written.expect(SCALARS);
        let (header, count) = match self.bytes[start..] {
            [NOTHING] => (1, 0),
            [few, ..] if few & 0xf0 == FEW => (1, u16::from(few & 0x0f)),
            [MAP_16, high, low, ..] => (3, u16::from_be_bytes([high, low])),
            _ => panic!("{SCALARS}"),
        };
        self.fields = self.fields.checked_add(count).expect(SCALARS);
        self.bytes.drain(start..start + header);
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes[1..3].copy_from_slice(&self.fields.to_be_bytes());
        self.bytes
    }
}

const SCALARS: &str = "a record is a struct of numbers, texts and booleans";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Trace;

    /// As text: `{"account": "acme", …}`.
    fn read(bytes: &[u8]) -> String {
        rmpv::decode::read_value(&mut &*bytes).unwrap().to_string()
    }

    #[test]
    fn a_record_is_one_map_of_all_its_fields() {
        #[derive(Serialize)]
        struct Deep {
            status: Option<u32>,
            #[serde(flatten)]
            about: std::collections::BTreeMap<String, u8>,
        }
        let said: Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let record = Record {
            account: "acme",
            duration: Duration::from_nanos(3_999),
            bytes_in: 1,
            bytes_out: 2,
            span: Some(Span::within(said, 0x17)),
            ..Record::of(Outcome::Refused)
        };
        let common = r#"{"account": "acme", "outcome": "refused", "duration_us": 3, "bytes_in": 1, "bytes_out": 2, "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "span": "0000000000000017", "parent": "00f067aa0ba902b7", "sampled": true"#;
        assert_eq!(read(&write(&record, &())), format!("{common}}}"));

        // More fields than one byte says.
        let about = (10..30).map(|n| (n.to_string(), n)).collect();
        let more: Vec<_> = (10..30).map(|n| format!("\"{n}\": {n}")).collect();
        let expected = format!("{common}, \"status\": nil, {}}}", more.join(", "));
        assert_eq!(read(&write(&record, &Deep { status: None, about })), expected);

        let begun = Record { span: Some(Span::from(said)), ..Record::of(Outcome::Failed) };
        let begun = read(&write(&begun, &()));
        assert!(begun.contains("\"outcome\": \"failed\"") && !begun.contains("parent"), "{begun}");
    }

    #[test]
    #[should_panic(expected = "a record is a struct")]
    fn what_is_no_struct_is_no_record() {
        write(&Record::of(Outcome::Done), &"text");
    }
}
