//! A ledger: a command a line, an answer a line, rows in the store. Its features make versions of it that know more
//! columns, or fewer than they may.
//!
//! `put ID TEXT` sets all columns that this version knows but the amount, `add ID N` adds to the amount, `get ID` says what
//! there is, `count N` adds to a number of the session alone. `tag N NAME` and `untag N NAME` work on a keyed map of the
//! session that the second version knows, with a field in each entry that the third one knows.

#![forbid(unsafe_code)]

#[cfg(feature = "two")]
use std::collections::BTreeMap;

use tandem_component::prelude::*;

const ENTRIES: Table = Table {
    name: "entries",
    key: &["id"],
    columns: &[
        Column::new("id", Kind::Integer),
        #[cfg(not(any(feature = "drops", feature = "retypes")))]
        Column::new("name", Kind::Text).or(Literal::Text("nobody")),
        #[cfg(feature = "retypes")]
        Column::new("name", Kind::Blob).or(Literal::Null),
        Column::new("amount", Kind::Integer).or(Literal::Integer(0)).indexed(),
        #[cfg(feature = "two")]
        Column::new("note", Kind::Text).or(Literal::Text("none")),
        #[cfg(feature = "three")]
        Column::new("parts", Kind::Nested).or(Literal::Null),
    ],
};

/// The columns that `put` sets.
#[derive(Serialize)]
struct Entry<'a> {
    id: i64,
    #[cfg(not(any(feature = "drops", feature = "retypes")))]
    name: &'a str,
    #[cfg(feature = "two")]
    note: &'a str,
    #[cfg(feature = "three")]
    parts: Option<Vec<&'a str>>,
    #[serde(skip)]
    _text: &'a str,
}

/// All that `get` says.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are printed")]
struct Found {
    id: i64,
    #[cfg(not(any(feature = "drops", feature = "retypes")))]
    name: String,
    amount: i64,
    #[cfg(feature = "two")]
    note: String,
    #[cfg(feature = "three")]
    parts: Option<Vec<String>>,
}

/// The protocol.
pub struct Ledger;

/// One connection.
#[derive(Serialize, Deserialize)]
pub struct Conversation {
    /// What `count` counts.
    counted: i64,
    /// Nothing could be stored: the next line is refused.
    failed: bool,
    /// The store was asked: answers keep the order of their lines, so the next one waits.
    #[serde(default)]
    waits: bool,
    /// By name.
    #[cfg(feature = "two")]
    #[serde(default)]
    tags: BTreeMap<String, Tag>,
}

/// What stands under a name.
#[cfg(feature = "two")]
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tag {
    n: i64,
    /// The name in capitals.
    #[cfg(feature = "three")]
    #[serde(default)]
    loud: String,
}

/// What an answer of the store continues.
#[derive(Serialize, Deserialize, Then)]
pub enum Waiting {
    /// A row that a line asked for.
    Got {
        /// Which.
        id: i64,
    },
}

impl Component for Ledger {
    type Config = ();
    type Session = Conversation;
    const TABLES: &'static [Table] = &[ENTRIES];
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Ledger)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation {
            counted: 0,
            failed: false,
            waits: false,
            #[cfg(feature = "two")]
            tags: BTreeMap::new(),
        })
    }
}

impl Session for Conversation {
    type Component = Ledger;
    type Then = Waiting;

    fn handle(&mut self, _: &Ledger, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Bytes { .. } if self.waits => {}
            Event::Bytes { stream, bytes } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                let line = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
                self.obey(stream, line, out);
                out.consume(end + 1);
            }
            Event::Answer { then: Waiting::Got { id }, answer } => {
                self.waits = false;
                let said = match answer {
                    Answer::Row(Some(row)) => format!("{:?}\n", row.read::<Found>()?),
                    Answer::Row(None) => format!("no {id}\n"),
                    _ => "later\n".to_owned(),
                };
                out.send(Stream::OWN, said.as_bytes());
            }
            Event::StoreFailed { .. } => self.failed = true,
            Event::End { stream } => out.close(stream),
            Event::Drain { .. } => out.close(Stream::OWN),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

impl Conversation {
    fn obey(&mut self, stream: Stream, line: &str, out: &mut Out<'_, Self>) {
        if std::mem::take(&mut self.failed) {
            return out.send(stream, b"later\n");
        }
        let mut words = line.splitn(3, ' ');
        let (verb, number, text) = (words.next(), words.next().and_then(|id| id.parse().ok()), words.next());
        let (Some(verb), Some(id)) = (verb, number) else { return out.send(stream, b"what\n") };
        let text = text.unwrap_or_default();
        match verb {
            "put" => out.put(
                &ENTRIES,
                &Entry {
                    id,
                    #[cfg(not(any(feature = "drops", feature = "retypes")))]
                    name: text,
                    #[cfg(feature = "two")]
                    note: text,
                    #[cfg(feature = "three")]
                    parts: Some(text.split('-').collect()),
                    _text: text,
                },
            ),
            "add" => out.add(&ENTRIES, &id, "amount", text.parse().unwrap_or(1)),
            "delete" => out.delete(&ENTRIES, &id),
            "count" => {
                self.counted += id;
                return out.send(stream, format!("counted {}\n", self.counted).as_bytes());
            }
            #[cfg(feature = "two")]
            "tag" => {
                let tag = self.tags.entry(text.to_owned()).or_default();
                tag.n += id;
                #[cfg(feature = "three")]
                tag.loud.clone_from(&text.to_uppercase());
                return out.send(stream, format!("{:?}\n", self.tags).as_bytes());
            }
            #[cfg(feature = "two")]
            "untag" => {
                self.tags.remove(text);
                return out.send(stream, format!("{:?}\n", self.tags).as_bytes());
            }
            "get" => {
                out.get(&ENTRIES, &id, Waiting::Got { id });
                self.waits = true;
                return;
            }
            _ => return out.send(stream, b"what\n"),
        }
        out.send(stream, format!("ok {id}\n").as_bytes());
    }
}

export_component!(Ledger);
