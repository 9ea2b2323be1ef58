//! Rows that one version has asked for, and another is told of after the session was carried: it sees them as it declares them.

use tandem_component::prelude::*;

/// One version: its name in its answers, its columns, its row, and what a session says of one.
macro_rules! version {
    ($name:ident, $conversation:ident, $number:literal, $table:ident, $row:ident, $said:expr) => {
        struct $name;

        #[derive(Serialize, Deserialize)]
        struct $conversation {}

        impl Component for $name {
            type Config = ();
            type Session = $conversation;
            const TABLES: &'static [Table] = &[$table];
            const POLICY: Policy = Policy::Carry;

            fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
                Ok($name)
            }

            fn open(&self, _: &Opening<'_>) -> Result<$conversation, Refusal> {
                Ok($conversation {})
            }
        }

        impl Session for $conversation {
            type Component = $name;
            type Then = Waiting;

            fn handle(&mut self, _: &$name, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
                let say = |out: &mut Out<'_, Self>, rows: Vec<$row>| {
                    for row in rows {
                        out.send(Stream::OWN, format!("{} {}\n", $number, $said(row)).as_bytes());
                    }
                };
                match event {
                    Event::Bytes { stream, bytes } => {
                        out.consume(bytes.len());
                        match std::str::from_utf8(bytes).map_err(|error| error.to_string())? {
                            "all" => out.scan(&Scan::of(&$table), Waiting::Rows),
                            "by nick" => out.scan(&Scan::of(&$table).by("nick"), Waiting::Rows),
                            name => out.get(&$table, &name, Waiting::Row),
                        };
                        out.send(stream, b"asked\n");
                    }
                    Event::Answer { answer: Answer::Row(row), .. } => {
                        say(out, row.map(|row| row.read()).transpose()?.into_iter().collect());
                    }
                    Event::Answer { answer: Answer::Rows(rows), .. } => say(out, rows.read()?),
                    Event::Answer { answer: Answer::NotStored(_), .. } => out.send(Stream::OWN, b"not stored\n"),
                    _ => {}
                }
                Ok(())
            }

            fn at_boundary(&self) -> bool {
                true
            }
        }
    };
}

#[derive(Serialize, Deserialize, Then)]
enum Waiting {
    Row,
    Rows,
}

#[derive(Serialize, Deserialize)]
struct Person {
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Nicknamed {
    name: String,
    nick: String,
}

const FIRST: Table = Table { name: "people", key: &["name"], columns: &[Column::new("name", Kind::Text)] };
const SECOND: Table = Table {
    name: "people",
    key: &["name"],
    columns: &[Column::new("name", Kind::Text), Column::new("nick", Kind::Text).or(Literal::Text("none")).indexed()],
};

version!(First, FirstConversation, 1, FIRST, Person, |row: Person| row.name);
version!(Second, SecondConversation, 2, SECOND, Nicknamed, |row: Nicknamed| format!("{} {}", row.name, row.nick));

/// Writes one row.
struct Writer;

#[derive(Serialize, Deserialize)]
struct Writing {}

impl Component for Writer {
    type Config = ();
    type Session = Writing;
    const TABLES: &'static [Table] = &[SECOND];
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Writer)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Writing, Refusal> {
        Ok(Writing {})
    }
}

impl Session for Writing {
    type Component = Writer;
    type Then = ();

    fn handle(&mut self, _: &Writer, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        if let Event::Opened = event {
            out.put(&SECOND, &Nicknamed { name: "ann".into(), nick: "nan".into() });
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

/// What is said where the one version is asked and the other may be told, over many orders.
fn said<One: Component, Other: Component>(question: &str, why: Option<StoreFailure>) -> Vec<String> {
    let said = (0..40).map(|seed| {
        let mut one = Harness::<One>::start(&()).unwrap().late(seed);
        one.copy_rows(&mut Harness::<Writer>::start(&()).unwrap());
        one.bytes(Stream::OWN, question.as_bytes());
        one.fail_store(why);
        let mut other = one.carry::<Other>(&()).unwrap();
        let said = String::from_utf8(other.sent(Stream::OWN)).unwrap();
        assert!(other.fault().is_none(), "seed {seed}: {:?} after {said:?}", other.fault());
        said.strip_prefix("asked\n").unwrap_or_else(|| panic!("seed {seed}: {said:?}")).to_owned()
    });
    let mut said: Vec<String> = said.collect();
    said.sort();
    said.dedup();
    said
}

#[test]
fn a_version_with_more_columns_is_told_of_them() {
    assert_eq!(said::<First, Second>("ann", None), ["1 ann\n", "2 ann nan\n"]);
    assert_eq!(said::<First, Second>("all", None), ["1 ann\n", "2 ann nan\n"]);
}

#[test]
fn a_version_with_fewer_columns_is_told_of_those_and_a_row_that_is_not_there_is_not() {
    assert_eq!(said::<Second, First>("ann", None), ["1 ann\n", "2 ann nan\n"]);
    assert_eq!(said::<First, Second>("bob", None), [""]);
}

#[test]
fn a_version_that_does_not_know_what_was_asked_is_told_what_was_read() {
    assert_eq!(said::<Second, First>("by nick", None), ["1 ann\n", "2 ann nan\n"]);
}

#[test]
fn where_the_store_cannot_be_read_any_more_it_is_told_so() {
    assert_eq!(said::<First, Second>("ann", Some(StoreFailure::Unavailable)), ["1 ann\n", "not stored\n"]);
}
