//! A session writes rows and reads them, in both modes of the harness; what cannot be stored has not happened.

use tandem_component::prelude::*;

const COUNTS: Table = Table {
    name: "counts",
    key: &["word"],
    columns: &[Column::new("word", Kind::Text), Column::new("n", Kind::Integer).or(Literal::Integer(0)).indexed()],
};

/// Counts words: a word a line, answered by its count; `?` lists them by count.
struct Counter;

#[derive(Serialize, Deserialize)]
struct Conversation {
    /// The store has failed: the next line is refused.
    failed: bool,
    /// It does not care.
    deaf: bool,
}

#[derive(Serialize, Deserialize, Then)]
enum Waiting {
    Counted,
    Listed,
    Renamed,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Count {
    word: String,
    n: i64,
}

impl Component for Counter {
    type Config = ();
    type Session = Conversation;
    const TABLES: &'static [Table] = &[COUNTS];
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Counter)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation { failed: false, deaf: false })
    }
}

impl Session for Conversation {
    type Component = Counter;
    type Then = Waiting;

    fn handle(&mut self, _: &Counter, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Bytes { stream, bytes } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                out.consume(end + 1);
                let word = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
                if std::mem::take(&mut self.failed) {
                    out.send(stream, b"later\n");
                } else if word == "!" {
                    self.deaf = true;
                } else if word == "?" {
                    out.scan(&Scan::of(&COUNTS).by("n").limit(10), Waiting::Listed);
                } else if let Some(word) = word.strip_prefix('+') {
                    let (once, twice) = (Count { word: word.into(), n: 1 }, Count { word: word.into(), n: 2 });
                    out.swap_and(&COUNTS, &once, &twice, Waiting::Renamed, |writes| {
                        writes.add(&COUNTS, &"more", "n", 1);
                        writes.delete(&COUNTS, &"none");
                    });
                } else if let Some(word) = word.strip_prefix('=') {
                    let to = Count { word: format!("{word}{word}"), n: 1 };
                    out.swap(&COUNTS, &Count { word: word.into(), n: 1 }, &to, Waiting::Renamed);
                } else {
                    out.add(&COUNTS, &word, "n", 1);
                    out.get(&COUNTS, &word, Waiting::Counted);
                }
            }
            Event::Answer { then: Waiting::Counted, answer: Answer::Row(Some(row)) } => {
                let Count { word, n } = row.read()?;
                out.send(Stream::OWN, format!("{word} {n}\n").as_bytes());
            }
            Event::Answer { then: Waiting::Listed, answer: Answer::Rows(rows) } => {
                for Count { word, n } in rows.read()? {
                    out.send(Stream::OWN, format!("{word}={n} ").as_bytes());
                }
                out.send(Stream::OWN, b"\n");
            }
            Event::StoreFailed { .. } => self.failed = !self.deaf,
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

fn modes() -> Vec<Harness<Counter>> {
    let start = || Harness::<Counter>::start(&()).unwrap();
    std::iter::once(start()).chain((1..20).map(|seed| start().late(seed))).collect()
}

/// What was said, in whatever order.
fn lines(session: &mut Harness<Counter>) -> Vec<String> {
    let said = String::from_utf8(session.sent(Stream::OWN)).unwrap();
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn what_was_written_is_read() {
    for mut session in modes() {
        session.bytes(Stream::OWN, b"b\na\n");
        assert_eq!(lines(&mut session), ["a 1", "b 1"]);
        session.bytes(Stream::OWN, b"a\n");
        assert_eq!(lines(&mut session), ["a 2"]);
        session.bytes(Stream::OWN, b"?\n");
        assert_eq!(lines(&mut session), ["b=1 a=2 "]);
        let rows: Vec<Count> = session.rows(&COUNTS);
        assert_eq!(rows, [Count { word: "a".into(), n: 2 }, Count { word: "b".into(), n: 1 }]);
    }
}

#[test]
fn what_cannot_be_stored_has_not_happened_and_the_session_is_told() {
    for mut session in modes() {
        session.bytes(Stream::OWN, b"a\n");
        assert_eq!(lines(&mut session), ["a 1"]);
        session.fail_store(Some(StoreFailure::Unavailable));
        session.bytes(Stream::OWN, b"a\n");
        assert_eq!(lines(&mut session), ["later"]);
        session.fail_store(None);
        session.bytes(Stream::OWN, b"a\n");
        assert_eq!(lines(&mut session), ["a 2"]);
        assert!(session.fault().is_none());
    }
}

#[test]
fn a_session_that_writes_on_where_nothing_can_be_stored_is_ended() {
    let mut session = Harness::<Counter>::start(&()).unwrap();
    session.fail_store(Some(StoreFailure::Unavailable));
    for _ in 0..4 {
        session.bytes(Stream::OWN, b"a\n");
    }
    assert!(session.fault().is_none(), "it answers, and goes on");
    session.bytes(Stream::OWN, b"!\na\n");
    assert!(session.fault().is_some());
}

#[test]
fn a_swap_does_not_change_a_key() {
    for mut session in modes() {
        session.bytes(Stream::OWN, b"a\n=a\n");
        let fault = session.fault().map(ToString::to_string);
        assert!(fault.is_some_and(|fault| fault.contains("the key of a row of table `counts` does not change")));
    }
}

#[test]
fn what_goes_with_a_swap_is_written_with_it_or_not_at_all() {
    for mut session in modes() {
        session.bytes(Stream::OWN, b"a\nnone\n+a\n");
        let count = |word: &str, n| Count { word: word.into(), n };
        assert_eq!(session.rows::<Count>(&COUNTS), [count("a", 2), count("more", 1)]);
        session.bytes(Stream::OWN, b"none\n+a\nb\n");
        let rows = [count("a", 2), count("b", 1), count("more", 1), count("none", 1)];
        assert_eq!(session.rows::<Count>(&COUNTS), rows, "`a` does not count 1");
    }
}

#[test]
fn rows_stay_where_they_are_when_a_session_is_carried() {
    let mut session = Harness::<Counter>::start(&()).unwrap();
    session.bytes(Stream::OWN, b"a\n");
    let mut session = session.carry::<Counter>(&()).unwrap();
    session.bytes(Stream::OWN, b"a\n");
    assert_eq!(session.sent(Stream::OWN), b"a 1\na 2\n");
}
