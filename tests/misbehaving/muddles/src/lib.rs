//! Takes what is not its session's for its own: streams, requests and timers that are gone, that another session has, or that never were;
//! and resumes a session as one that it is not.
//!
//! | said | answered, or what happens |
//! |---|---|
//! | `dial` | `dialed N`: a stream to `there`, of which it says whatever comes in: `heard TEXT` |
//! | `say TEXT` | the line goes to that stream |
//! | `serve` | `asked N` with each request, of which `answer TEXT` answers the last |
//! | `later` | `rang`, half a second later |
//! | `known` | what it knows of its streams and requests |
//! | `OPERATION N` | the operation, on the stream, the request or the timer with that number |
//! | `grow N` | its state has so many bytes more |
//! | `flood` | sends more in one event than there is room for |
//! | `over` | its own stream is closed, and then all is done with it that can be done with a stream |
//! | anything else | the version, and the line |

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::de::IntoDeserializer;
use serde::de::value::{Error, U64Deserializer};
use tandem_component::prelude::*;

/// The protocol.
pub struct Muddles {
    number: String,
    how: Option<How>,
}

/// `[service.NAME.config]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How versions resume a session, by their numbers.
    #[serde(default)]
    resumes: BTreeMap<String, How>,
}

/// How a version resumes a session.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// As the one that it was given before this one.
    Another,
    /// As one with numbers that nobody ever gave it.
    Garbage,
    /// As one that has just begun.
    Nothing,
    /// As itself; but what it exports lacks a part that every version asks for.
    Lacking,
}

/// Serializing knows no component, so the library has it: it has one service.
static LACKS: AtomicBool = AtomicBool::new(false);
/// What was resumed before.
static BEFORE: Mutex<Option<Known>> = Mutex::new(None);

/// One conversation.
#[derive(Serialize, Deserialize)]
pub struct Conversation {
    #[serde(flatten)]
    known: Known,
    #[serde(skip_serializing_if = "lacks")]
    asked_for: u64,
    #[serde(default)]
    ballast: String,
}

fn lacks(_: &u64) -> bool {
    LACKS.load(Ordering::Relaxed)
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Known {
    stream: Option<Stream>,
    request: Option<RequestId>,
}

impl Component for Muddles {
    type Config = Config;
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(config: Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
        let number = starting.version.split(['@', '#']).nth(1).unwrap_or_default().to_owned();
        let how = config.resumes.get(&number).copied();
        LACKS.store(how == Some(How::Lacking), Ordering::Relaxed);
        Ok(Muddles { number, how })
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation { known: Known::default(), asked_for: 0, ballast: String::new() })
    }
}

impl Session for Conversation {
    type Component = Muddles;
    type Then = ();

    fn handle(&mut self, muddles: &Muddles, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Bytes { stream, bytes } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                out.consume(end + 1);
                let line = String::from_utf8_lossy(&bytes[..end]);
                match stream {
                    Stream::OWN => self.obey(muddles, &line, out),
                    _ => out.send(Stream::OWN, format!("heard {line}\n").as_bytes()),
                }
            }
            Event::Answer { answer: Answer::Dialed { stream, .. }, .. } => {
                self.known.stream = Some(stream);
                out.send(Stream::OWN, format!("dialed {}\n", stream.0).as_bytes());
            }
            Event::Request { id, .. } => {
                self.known.request = Some(id);
                out.send(Stream::OWN, format!("asked {}\n", id.0).as_bytes());
            }
            Event::Timeout { .. } => out.send(Stream::OWN, b"rang\n"),
            Event::End { stream: Stream::OWN } | Event::Drain { .. } => out.close(Stream::OWN),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }

    fn resumed(&mut self, muddles: &Muddles, _: &Opening<'_>) -> Result<(), Refusal> {
        let nobodys = u64::MAX - 7;
        match muddles.how {
            Some(How::Another) => {
                let mut before = BEFORE.lock().map_err(|error| error.to_string())?;
                let own = self.known.clone();
                if let Some(another) = before.replace(own) {
                    self.known = another;
                }
            }
            Some(How::Garbage) => {
                self.known = Known { stream: Some(Stream(nobodys)), request: Some(RequestId(nobodys)) };
            }
            Some(How::Nothing) => self.known = Known::default(),
            Some(How::Lacking) | None => {}
        }
        Ok(())
    }
}

impl Conversation {
    fn obey(&mut self, muddles: &Muddles, line: &str, out: &mut Out<'_, Self>) {
        let (verb, text) = line.split_once(' ').unwrap_or((line, ""));
        let number: u64 = text.parse().unwrap_or_default();
        let stream = Stream(number);
        match verb {
            "dial" => drop(out.dial("there", ())),
            "serve" => {
                out.serve(true);
                out.send(Stream::OWN, b"serves\n");
            }
            "later" => drop(out.after(Duration::from_millis(500), ())),
            "say" => {
                if let Some(stream) = self.known.stream {
                    out.send(stream, format!("{text}\n").as_bytes());
                }
            }
            "answer" => {
                if let Some(request) = self.known.request {
                    out.answer(request, &text);
                }
            }
            "known" => out.send(Stream::OWN, format!("{:?}\n", self.known).as_bytes()),
            "send" => out.send(stream, b"not for you\n"),
            "finish" => out.finish(stream),
            "close" => out.close(stream),
            "abort" => out.abort(stream),
            "release" => out.release(stream),
            "blame" => out.blame(stream),
            "writable" => drop(out.writable(stream, ())),
            "forward-from" => drop(out.forward(Forward::bytes(stream, Stream::OWN, 10), ())),
            "forward-to" => drop(out.forward(Forward::bytes(Stream::OWN, stream, 10), ())),
            "answer-to" => out.answer(RequestId(number), &"not for you"),
            "cancel" | "done" => {
                let number: U64Deserializer<Error> = number.into_deserializer();
                let token = Token::deserialize(number).expect("a token is a number");
                match verb {
                    "done" => out.done(token),
                    _ => drop(out.cancel(token)),
                }
            }
            "grow" => {
                self.ballast = "x".repeat(usize::try_from(number).unwrap_or_default());
                out.send(Stream::OWN, b"grown\n");
            }
            "flood" => (0..1_000).for_each(|_| out.send(Stream::OWN, &[b'x'; 1 << 17])),
            "over" => {
                let own = Stream::OWN;
                out.close(own);
                out.send(own, b"after the end\n");
                out.finish(own);
                out.writable(own, ());
                out.forward(Forward::to_end(own, own), ());
                out.after(Duration::ZERO, ());
                out.call("nobody", &"anything", ());
                out.serve(true);
                out.abort(Stream(7));
                out.close(own);
            }
            _ => out.send(Stream::OWN, format!("{} {line}\n", muddles.number).as_bytes()),
        }
    }
}

export_component!(Muddles);
