//! A conversation is named by the first word of each datagram, or line; its session counts what is said in it, and keeps the count.
//!
//! | said | answered |
//! |---|---|
//! | `NAME` and anything | `NAME COUNT`, and the version |
//! | `NAME later MS` | the same, after so many milliseconds |
//! | `NAME also` | as the first; before it is known whose it is, `NAME-also` is bound as well |
//! | `NAME unsaved` | as the first, and nothing is saved |
//! | `NAME over` | `NAME over COUNT`, and the conversation ends |
//! | `NAME asks WHAT…` | `NAME saved`: it has asked for each (see `Count::ask`) in the event that saves it, and says what it is told |
//! | `NAME dials HOW` | `NAME saved`, when it has a stream and gives it up: `release`, `close` or `abort` |
//! | `NAME serves` | `NAME serving`: it takes requests, of which it answers those that say `answer`, and `NAME saved` with each |
//! | `NAME elsewhere` | it names another conversation, which one of datagrams may not |
//! | `wrong HOW` | nothing: it breaks a rule about names (see `Count::wrong`) |
//! | `NAME asked WHAT…` | the same, saved in the next event, before it is told anything |

use std::time::Duration;

use tandem_component::prelude::*;

const WORDS: Table = Table { name: "words", key: &["word"], columns: &[Column::new("word", Kind::Text)] };

/// The component.
pub struct Tally {
    version: String,
}

/// A conversation, or what has not named one yet.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Count {
    name: Option<String>,
    count: u64,
    /// Of the line at hand it is known that it is this conversation's.
    routed: bool,
    failed: bool,
    /// What this version knows and others do not: how much of it was said to it.
    #[cfg(feature = "notes")]
    #[serde(default)]
    notes: u64,
}

/// What is waited for.
#[derive(Debug, Serialize, Deserialize, Then)]
pub enum Waiting {
    /// The time to answer.
    Later,
    /// The time to save.
    Save,
    /// The time to name a conversation where nothing has come in.
    Name,
    /// What is told is said, with what was asked.
    Told(String),
    /// The stream that is given up by this, in the event that saves it.
    GivenUp(String),
    /// The stream on which it is asked for what a stream is needed for, and then saved.
    Stream,
}

impl Component for Tally {
    type Config = ();
    type Session = Count;
    const TABLES: &'static [Table] = &[WORDS];
    const POLICY: Policy = Policy::Pin;

    fn start(_: (), starting: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Tally { version: starting.version.to_owned() })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Count, Refusal> {
        let name = opening.key.map(|key| String::from_utf8_lossy(key).into_owned());
        Ok(Count { name, ..Count::default() })
    }
}

impl Session for Count {
    type Component = Tally;
    type Then = Waiting;

    fn handle(&mut self, tally: &Tally, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Datagram { bytes } if bytes.starts_with(b"wrong ") => Count::wrong(&bytes[6..], out),
            Event::Datagram { bytes } if self.name.is_none() && !self.failed => {
                let name = first_word(bytes);
                if bytes.ends_with(b" also") {
                    out.bind(&[name, b"-also"].concat());
                }
                out.route(name);
            }
            Event::Datagram { bytes } => self.hear(tally, bytes, out),
            Event::Bytes { bytes, .. } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                if bytes.starts_with(b"wrong ") {
                    Count::wrong(&bytes[6..end], out);
                    return Ok(());
                }
                if !std::mem::take(&mut self.routed) {
                    self.name = Some(String::from_utf8_lossy(first_word(&bytes[..end])).into_owned());
                    out.route(first_word(&bytes[..end]));
                    return Ok(());
                }
                self.hear(tally, &bytes[..end], out);
                out.consume(end + 1);
            }
            Event::Routed { bound } => {
                self.routed = bound.is_ok();
                self.failed = bound.is_err();
            }
            Event::Timeout { then: Waiting::Later } => self.say(tally, out),
            Event::Timeout { then: Waiting::Name } => out.route(b"late"),
            Event::Timeout { then: Waiting::Told(what) } => self.tell(&what, "rang", out),
            Event::Writable { then: Waiting::Told(what) } => self.tell(&what, "left", out),
            Event::Writable { then: Waiting::Save } => self.keep(out),
            Event::Answer { then: Waiting::Told(what), answer } => self.tell(&what, &format!("{answer:?}"), out),
            Event::Answer { then: Waiting::GivenUp(how), answer: Answer::Dialed { stream, .. } } => {
                match &*how {
                    "close" => out.close(stream),
                    "abort" => out.abort(stream),
                    _ => out.release(stream),
                }
                self.keep(out);
            }
            Event::Answer { then: Waiting::Stream, answer: Answer::Dialed { stream, .. } } => {
                out.writable(Stream::OWN, Waiting::Save);
                out.forward(Forward::to_end(stream, Stream::OWN), Waiting::Told("forward".to_owned()));
                // More than a peer that reads nothing has room for.
                out.send(stream, &vec![b'x'; 14 << 20]);
                out.writable(stream, Waiting::Told("writable".to_owned()));
            }
            Event::Request { id, request } => {
                let text: String = request.read().map_err(|misfit| misfit.to_string())?;
                if text == "answer" {
                    out.answer(id, &"answered");
                }
                self.keep(out);
            }
            Event::Withdrawn { .. } => self.tell("request", "withdrawn", out),
            Event::Closed { stream } if stream != Stream::OWN => self.tell("stream", "closed", out),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }

    fn resumed(&mut self, _: &Tally, _: &Opening<'_>) -> Result<(), Refusal> {
        if cfg!(feature = "refuses") { Err("it takes over nothing".into()) } else { Ok(()) }
    }
}

impl Count {
    fn hear(&mut self, tally: &Tally, said: &[u8], out: &mut Out<'_, Self>) {
        if self.failed {
            return out.send(Stream::OWN, b"not now\n");
        }
        self.count += 1;
        #[cfg(feature = "notes")]
        {
            self.notes += 1;
        }
        let said = String::from_utf8_lossy(said);
        let words: Vec<&str> = said.split_whitespace().collect();
        match words[..] {
            [_, "later", millis] => {
                let millis = millis.parse().unwrap_or(0);
                out.after(Duration::from_millis(millis), Waiting::Later);
            }
            [name, "over"] => {
                out.send(Stream::OWN, format!("{name} over {}\n", self.count).as_bytes());
                return out.close(Stream::OWN);
            }
            [_, "unsaved"] => return self.say(tally, out),
            [_, "elsewhere"] => return out.route(b"elsewhere"),
            [_, "asks", ref asked @ ..] => {
                asked.iter().for_each(|what| Count::ask(what, out));
                return self.keep(out);
            }
            [_, "asked", "stream"] => {
                out.dial("app", Waiting::Stream);
                return;
            }
            [_, "serves"] => {
                out.serve(true);
                return self.tell("serving", "", out);
            }
            [_, "dials", how] => {
                out.dial("app", Waiting::GivenUp(how.to_owned()));
                return;
            }
            [_, "asked", ref asked @ ..] => {
                // Nothing is on the way: it is the first of the answers.
                out.writable(Stream::OWN, Waiting::Save);
                return asked.iter().for_each(|what| Count::ask(what, out));
            }
            _ => self.say(tally, out),
        }
        out.save();
    }

    fn wrong(how: &[u8], out: &mut Out<'_, Self>) {
        match how {
            b"two" => [b"one", b"two"].iter().for_each(|name| out.route(*name)),
            b"labels" => ["one", "two"].iter().for_each(|label| out.label(label)),
            b"late" => {
                out.consume(1);
                out.route(b"late");
            }
            b"late label" => {
                out.consume(1);
                out.label("late");
            }
            b"nameless" => out.route(b""),
            b"long" => out.route(&[b'x'; 256]),
            b"saved" => out.save(),
            b"timer" => drop(out.after(Duration::ZERO, Waiting::Name)),
            _ => {}
        }
    }

    fn ask(what: &str, out: &mut Out<'_, Self>) {
        let then = Waiting::Told(what.to_owned());
        match what {
            "rung" => drop(out.after(Duration::ZERO, then)),
            "timer" => drop(out.after(Duration::from_millis(1500), then)),
            "dial" => drop(out.dial("app", then)),
            "nowhere" => drop(out.dial("nowhere", then)),
            "forward" => drop(out.forward(Forward::bytes(Stream::OWN, Stream::OWN, 0), then)),
            "writable" => drop(out.writable(Stream::OWN, then)),
            "call" => drop(out.call("mute", &"silent", then)),
            "nobody" => drop(out.call("nobody", &"silent", then)),
            "authenticate" => drop(out.authenticate("ann", b"secret", then)),
            "admit" => drop(out.admit("ann", then)),
            "row" => drop(out.get(&WORDS, &"word", then)),
            "cancelled" => {
                let token = out.call("mute", &"silent", then);
                out.cancel(token);
            }
            _ => {}
        }
    }

    fn keep(&self, out: &mut Out<'_, Self>) {
        out.save();
        self.tell("saved", "", out);
    }

    fn tell(&self, what: &str, told: &str, out: &mut Out<'_, Self>) {
        let name = self.name.as_deref().unwrap_or("nobody");
        out.send(Stream::OWN, format!("{name} {what} {told}\n").as_bytes());
    }

    fn say(&self, tally: &Tally, out: &mut Out<'_, Self>) {
        let name = self.name.as_deref().unwrap_or("nobody");
        #[cfg(feature = "notes")]
        let notes = format!(" notes {}", self.notes);
        #[cfg(not(feature = "notes"))]
        let notes = "";
        out.send(Stream::OWN, format!("{name} {} {}{notes}\n", self.count, tally.version).as_bytes());
    }
}

fn first_word(bytes: &[u8]) -> &[u8] {
    bytes.split(u8::is_ascii_whitespace).next().unwrap_or_default()
}

export_component!(Tally);
