//! The simulated components. A [`Teller`] counts what it is told, in its state and in rows; a [`Clerk`] is what tellers call.
//!
//! Editions stand for versions, and differ as versions do: what they know of a state and of a row, and what they do wrong.
//!
//! | edition | number | knows | |
//! |---|---|---|---|
//! | 1 | 1.0.0 | a, b | |
//! | 2 | 1.1.0 | and c | |
//! | 3 | 1.2.0 | and d, which is nested | |
//! | 4 | 1.3.0 | the same | panics at some events |
//! | 5 | 1.4.0 | the same | takes over no state |
//! | 6 | 1.0.1 | a, b, c | writes c of rows as if nothing was there: only to see that this is found |
//! | 9 | 1.0.2 | a, b, c | does so with that of states |
//! | 7 | 1.5.0 | | is refused by its examination |
//! | 8 | 1.6.0 | | does not start |
//!
//! A line is an event. `e N` is counted, `w N` is written, `r N` reads, `m N UNITS` asks for an admission, `c N` calls, `t N MS` waits.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserializer, Serializer};
use tandem_component::prelude::*;

/// What is known of the libraries of this thread's simulation: which are mapped, and what was done to those that are not.
#[derive(Default)]
pub(crate) struct Ground {
    pub(crate) mapped: BTreeSet<(&'static str, u32)>,
    pub(crate) wrong: Vec<String>,
    /// The process was killed: what its values do as they go, no process does.
    pub(crate) dead: bool,
}

thread_local! {
    pub(crate) static GROUND: RefCell<Ground> = RefCell::default();
}

/// Code of an edition runs.
fn runs(component: &'static str, edition: u32, what: &str) {
    GROUND.with_borrow_mut(|ground| {
        if !ground.dead && !ground.mapped.contains(&(component, edition)) {
            ground.wrong.push(format!("{what} of {component} {edition} was called, which is not mapped"));
        }
    });
}

/// Marks the panics that belong to the play.
pub(crate) const PANIC: &str = "the teller panics";

/// The account whose agreement is asked for.
pub(crate) const ACCOUNT: &str = "acme";

const KEY: Column = Column::new("id", Kind::Integer);
const N: Column = Column::new("n", Kind::Integer).or(Literal::Integer(0));
const C: Column = Column::new("c", Kind::Integer).or(Literal::Integer(0));
const D: Column = Column::new("d", Kind::Nested).or(Literal::Null);

const fn told(columns: &'static [Column]) -> Table {
    Table { name: "told", key: &["id"], columns }
}

const TABLES_1: &[Table] = &[told(&[KEY, N])];
const TABLES_2: &[Table] = &[told(&[KEY, N, C])];
const TABLES_3: &[Table] = &[told(&[KEY, N, C, D])];

/// A teller of an edition.
pub(crate) struct Teller<const E: u32>;

/// What is nested, in states and rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Nested {
    pub(crate) told: u64,
    pub(crate) last: u64,
}

/// A connection.
#[derive(Default)]
pub(crate) struct Talk<const E: u32> {
    /// How many were counted, and the last of them.
    a: u64,
    b: u64,
    /// How many by editions that know of c, and of d.
    c: u64,
    d: Nested,
    /// The last event could not be stored.
    failed: bool,
}

#[derive(Serialize, Deserialize)]
struct State1 {
    a: u64,
    b: u64,
    failed: bool,
}

#[derive(Serialize, Deserialize)]
struct State2 {
    a: u64,
    b: u64,
    failed: bool,
    #[serde(default)]
    c: u64,
}

#[derive(Serialize, Deserialize)]
struct State3 {
    a: u64,
    b: u64,
    failed: bool,
    #[serde(default)]
    c: u64,
    #[serde(default)]
    d: Nested,
}

impl<const E: u32> Serialize for Talk<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        runs("teller", E, "export");
        let Talk { a, b, c, failed, .. } = *self;
        match E {
            1 => State1 { a, b, failed }.serialize(serializer),
            2 | 6 => State2 { a, b, failed, c }.serialize(serializer),
            9 => State2 { a, b, failed, c: 0 }.serialize(serializer),
            _ => State3 { a, b, failed, c, d: self.d.clone() }.serialize(serializer),
        }
    }
}

impl<'de, const E: u32> Deserialize<'de> for Talk<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        runs("teller", E, "resume");
        Ok(match E {
            1 => {
                let State1 { a, b, failed } = State1::deserialize(deserializer)?;
                Talk { a, b, failed, ..Talk::default() }
            }
            2 | 6 | 9 => {
                let State2 { a, b, failed, c } = State2::deserialize(deserializer)?;
                Talk { a, b, failed, c, d: Nested::default() }
            }
            _ => {
                let State3 { a, b, failed, c, d } = State3::deserialize(deserializer)?;
                Talk { a, b, c, d, failed }
            }
        })
    }
}

/// What is waited for.
#[derive(Serialize, Deserialize, Then)]
pub(crate) enum Waiting {
    Row { n: u64 },
    Admission { n: u64 },
    Call { n: u64 },
    Time { n: u64 },
}

/// What a clerk is asked, and what it answers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Asked {
    n: u64,
}

/// What the tellers of this simulation are started with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {}

impl<const E: u32> Component for Teller<E> {
    type Config = Settings;
    type Session = Talk<E>;
    const TABLES: &'static [Table] = match E {
        1 => TABLES_1,
        2 | 6 | 9 => TABLES_2,
        _ => TABLES_3,
    };
    const POLICY: Policy = Policy::Carry;

    fn start(_: Settings, _: &Starting<'_>) -> Result<Self, Refusal> {
        runs("teller", E, "start");
        if E == 8 { Err("it does not want to".into()) } else { Ok(Teller) }
    }

    fn open(&self, _: &Opening<'_>) -> Result<Talk<E>, Refusal> {
        runs("teller", E, "open");
        Ok(Talk::default())
    }
}

impl<const E: u32> Drop for Teller<E> {
    fn drop(&mut self) {
        runs("teller", E, "stop");
    }
}

impl<const E: u32> Session for Talk<E> {
    type Component = Teller<E>;
    type Then = Waiting;

    fn handle(&mut self, _: &Teller<E>, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        runs("teller", E, "handle");
        match event {
            Event::Bytes { bytes, .. } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
                self.hear(&line, out)?;
                out.consume(end + 1);
            }
            Event::End { stream } => out.close(stream),
            Event::Drain { .. } => {
                say(out, "bye");
                out.close(Stream::OWN);
            }
            Event::StoreFailed { .. } => self.failed = true,
            Event::Answer { then, answer } => self.go_on(then, answer, out)?,
            Event::Timeout { then: Waiting::Time { n } } => say(out, &format!("t {n} {E}")),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        runs("teller", E, "at_boundary");
        false
    }

    fn resumed(&mut self, _: &Teller<E>, _: &Opening<'_>) -> Result<(), Refusal> {
        if E == 5 { Err("it takes over nothing".into()) } else { Ok(()) }
    }
}

impl<const E: u32> Talk<E> {
    fn hear(&mut self, line: &str, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).ok_or("no number");
        let n = number(1)?;
        match words[0] {
            "e" => {
                assert!(E != 4 || !n.is_multiple_of(3), "{PANIC}");
                self.a += 1;
                self.b = n;
                self.c += u64::from(E != 1);
                if knows_d(E) {
                    self.d = Nested { told: self.d.told + 1, last: n };
                }
                let (c, d) = (self.c, self.d.told);
                say(out, &format!("e {n} {E} {} {c} {d}", self.a));
            }
            "w" if std::mem::take(&mut self.failed) => say(out, &format!("w {n} {E} failed")),
            "w" => {
                let id = number(2)?;
                let table = &Teller::<E>::TABLES[0];
                out.add(table, &id, "n", 1);
                match E {
                    1 => {}
                    6 => out.update(table, &Forgetful { id, c: 0 }),
                    _ => out.add(table, &id, "c", 1),
                }
                if knows_d(E) {
                    out.update(table, &Deep { id, d: Nested { told: 0, last: n } });
                }
                say(out, &format!("w {n} {E} done"));
            }
            "r" => {
                let id = number(2)?;
                out.get(&Teller::<E>::TABLES[0], &id, Waiting::Row { n });
            }
            "m" => {
                out.admit(Admission::of(ACCOUNT).units(number(2)?), Waiting::Admission { n });
            }
            "c" => {
                out.call(Call::to("back").within(Duration::from_secs(2)), &Asked { n }, Waiting::Call { n });
            }
            "t" => {
                out.after(Duration::from_millis(number(2)?), Waiting::Time { n });
            }
            _ => return Err("what is that?".into()),
        }
        Ok(())
    }

    fn go_on(&mut self, then: Waiting, answer: Answer<'_>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        let said = match (then, answer) {
            (Waiting::Row { n }, Answer::Row(None)) => format!("r {n} {E} 0 0 0"),
            (Waiting::Row { n }, Answer::Row(Some(row))) => {
                let Row1 { n: told } = row.read()?;
                let c = if E == 1 { 0 } else { row.read::<Row2>()?.c };
                let d = if knows_d(E) { row.read::<Row3>()?.d.unwrap_or_default().last } else { 0 };
                format!("r {n} {E} {told} {c} {d}")
            }
            (Waiting::Row { n }, _) => format!("r {n} {E} failed"),
            (Waiting::Admission { n }, Answer::Admitted) => format!("m {n} {E} yes"),
            (Waiting::Admission { n }, Answer::Refused { .. }) => format!("m {n} {E} no"),
            (Waiting::Admission { n }, _) => format!("m {n} {E} failed"),
            (Waiting::Call { n }, Answer::Answered(response)) => match response.read::<Asked>() {
                Ok(Asked { n: answered }) if answered == n => format!("c {n} {E} done"),
                _ => format!("c {n} {E} garbled"),
            },
            (Waiting::Call { n }, _) => format!("c {n} {E} failed"),
            (Waiting::Time { .. }, _) => return Err("a time is no question".into()),
        };
        say(out, &said);
        Ok(())
    }
}

fn say<S: Session>(out: &mut Out<'_, S>, said: &str) {
    out.send(Stream::OWN, said.as_bytes());
    out.send(Stream::OWN, b"\n");
}

/// Whether an edition knows of c …
pub(crate) fn knows_c(edition: u64) -> bool {
    edition != 1
}

/// … and of d.
pub(crate) fn knows_d(edition: u32) -> bool {
    !matches!(edition, 1 | 2 | 6 | 9)
}

#[derive(Serialize)]
struct Forgetful {
    id: u64,
    c: u64,
}

#[derive(Serialize)]
struct Deep {
    id: u64,
    d: Nested,
}

#[derive(Deserialize)]
struct Row1 {
    n: u64,
}

#[derive(Deserialize)]
struct Row2 {
    c: u64,
}

#[derive(Deserialize)]
struct Row3 {
    d: Option<Nested>,
}

/// A clerk of an edition.
pub(crate) struct Clerk<const E: u32>;

/// One request to it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Errand {
    asked: Vec<(RequestId, u64)>,
}

#[derive(Serialize, Deserialize, Then)]
pub(crate) enum Soon {
    Answer { id: RequestId, n: u64 },
}

/// An errand of an edition.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Of<const E: u32>(Errand);

impl<const E: u32> Component for Clerk<E> {
    type Config = Settings;
    type Session = Of<E>;
    const POLICY: Policy = Policy::Carry;

    fn start(_: Settings, _: &Starting<'_>) -> Result<Self, Refusal> {
        runs("clerk", E, "start");
        Ok(Clerk)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Of<E>, Refusal> {
        runs("clerk", E, "open");
        Ok(Of(Errand { asked: Vec::new() }))
    }
}

impl<const E: u32> Drop for Clerk<E> {
    fn drop(&mut self) {
        runs("clerk", E, "stop");
    }
}

impl<const E: u32> Session for Of<E> {
    type Component = Clerk<E>;
    type Then = Soon;

    fn handle(&mut self, _: &Clerk<E>, event: Event<'_, Soon>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        runs("clerk", E, "handle");
        match event {
            Event::Request { id, request } => {
                let Asked { n } = request.read().map_err(|misfit| Fault::from(misfit.to_string()))?;
                // Some at once, the others later: a request is kept while its callee is carried.
                match n % 3 {
                    0 => out.answer(id, &Asked { n }),
                    _ => {
                        self.0.asked.push((id, n));
                        out.after(Duration::from_millis(n % 50), Soon::Answer { id, n });
                    }
                }
            }
            Event::Timeout { then: Soon::Answer { id, n } } => {
                self.0.asked.retain(|asked| asked.0 != id);
                out.answer(id, &Asked { n });
            }
            Event::Withdrawn { id } => self.0.asked.retain(|asked| asked.0 != id),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        runs("clerk", E, "at_boundary");
        self.0.asked.is_empty()
    }
}
