//! Asks other services and answers them. It has a command a line from its peer, and a command a request from other services;
//! each is described where it is obeyed.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use tandem_component::prelude::*;

#[cfg(feature = "stores")]
const NOTES: Table = Table {
    name: "notes",
    key: &["id"],
    columns: &[Column::new("id", Kind::Integer), Column::new("text", Kind::Text).or(Literal::Null).unique()],
};

#[cfg(feature = "stores")]
#[derive(Serialize)]
struct Note<'a> {
    id: i64,
    text: &'a str,
}

/// The protocol.
pub struct Asks {
    serves: bool,
    service: String,
    version: String,
}

/// `[service.NAME.config]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Sessions take requests from their beginning on.
    serves: bool,
}

/// One connection, or one request.
#[derive(Serialize, Deserialize)]
pub struct Conversation {
    transport: Transport,
    number: u64,
    /// How many requests were answered or kept.
    taken: u64,
    /// Requests that are kept, with what they said.
    kept: Vec<(RequestId, String)>,
    /// Calls that are under way.
    calls: Vec<Token>,
    /// Requests that are passed on.
    passed: Vec<(RequestId, Token)>,
    /// How many requests are answered later.
    later: u32,
    /// What is fetched for a request: its stream.
    #[serde(default)]
    fetched: Vec<(RequestId, Stream)>,
    /// How many answers are missing to what was asked many times.
    #[serde(default)]
    many: u32,
    /// The last event could not be stored.
    failed: bool,
    leaving: bool,
    /// It is known whose the line at hand is.
    #[serde(default)]
    routed: bool,
}

/// What an answer continues.
#[derive(Serialize, Deserialize, Then)]
pub enum Waiting {
    /// A line has asked.
    Said,
    /// A line has asked many times.
    Many,
    /// A request has asked, which gets the answer with this behind it.
    Passed {
        /// Which.
        id: RequestId,
        /// What is added.
        more: String,
    },
    /// A request has asked, and asks again.
    Again {
        /// Which.
        id: RequestId,
        /// Whom it asks.
        service: String,
        /// For what.
        text: String,
    },
    /// A request wants what a server says to a line.
    Fetched {
        /// Which.
        id: RequestId,
        /// The line.
        line: String,
    },
    /// A request is answered then.
    Later {
        /// Which.
        id: RequestId,
        /// The answer.
        text: String,
    },
}

impl Component for Asks {
    type Config = Config;
    type Session = Conversation;
    #[cfg(feature = "stores")]
    const TABLES: &'static [Table] = &[NOTES];
    const POLICY: Policy = Policy::Carry;
    const RESIDENT: bool = cfg!(feature = "resident");

    fn start(config: Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
        let (service, version) = (starting.service.to_owned(), starting.version.to_owned());
        Ok(Asks { serves: config.serves, service, version })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation {
            transport: opening.transport,
            number: opening.session,
            taken: 0,
            kept: Vec::new(),
            calls: Vec::new(),
            passed: Vec::new(),
            fetched: Vec::new(),
            later: 0,
            many: 0,
            failed: false,
            leaving: false,
            routed: false,
        })
    }
}

impl Session for Conversation {
    type Component = Asks;
    type Then = Waiting;

    fn handle(&mut self, asks: &Asks, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Opened => out.serve(asks.serves),
            Event::Bytes { stream, bytes } if stream != Stream::OWN => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                let at = self.fetched.iter().position(|fetched| fetched.1 == stream).ok_or("what was not asked for")?;
                out.answer(self.fetched.remove(at).0, &String::from_utf8_lossy(&bytes[..end]));
                out.consume(end + 1);
                out.release(stream);
            }
            Event::Bytes { bytes, .. } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                let line = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
                // named KEY TEXT: says TEXT, once it is known whose conversation KEY is.
                if let Some((key, text)) = line.strip_prefix("named ").and_then(|rest| rest.split_once(' ')) {
                    if !std::mem::take(&mut self.routed) {
                        out.route(key.as_bytes());
                        return Ok(());
                    }
                    out.send(Stream::OWN, format!("{text}\n").as_bytes());
                    out.consume(end + 1);
                    return Ok(());
                }
                self.obey(line, out);
                out.consume(end + 1);
            }
            Event::Request { id, request } => {
                let text: String = request.read().map_err(|misfit| misfit.to_string())?;
                self.serve(asks, id, &request, &text, out);
            }
            Event::Withdrawn { id } => self.forget(id, out),
            Event::Answer { then: Waiting::Many, answer: Answer::Answered(_) } => {
                self.many -= 1;
                if self.many == 0 {
                    out.send(Stream::OWN, b"all\n");
                }
            }
            Event::Answer { then: Waiting::Fetched { id, line }, answer } => match answer {
                Answer::Dialed { stream, .. } => {
                    out.send(stream, line.as_bytes());
                    self.fetched.push((id, stream));
                }
                other => out.answer(id, &format!("{other:?}")),
            },
            Event::Answer { then, answer } => {
                let text = match answer {
                    Answer::Answered(response) => response.read().map_err(|misfit| misfit.to_string())?,
                    Answer::CallFailed(why) => format!("failed {why:?}"),
                    other => format!("{other:?}"),
                };
                match then {
                    Waiting::Again { id, service, text } => {
                        let then = Waiting::Passed { id, more: String::new() };
                        self.passed.push((id, out.call(service.as_str(), &text, then)));
                    }
                    Waiting::Passed { id, more } => {
                        self.passed.retain(|passed| passed.0 != id);
                        out.answer(id, &(text + &more));
                    }
                    _ => {
                        self.calls.pop();
                        out.send(Stream::OWN, format!("{text}\n").as_bytes());
                    }
                }
            }
            Event::Timeout { then: Waiting::Later { id, text } } => {
                self.later -= 1;
                out.answer(id, &text);
            }
            Event::StoreFailed { .. } => self.failed = true,
            Event::Routed { bound } => self.routed = bound.is_ok(),
            Event::End { .. } | Event::Drain { .. } => self.leaving = true,
            _ => {}
        }
        let waited_for = !self.kept.is_empty() || self.later > 0;
        if self.leaving && !waited_for && self.calls.is_empty() && self.passed.is_empty() {
            out.close(Stream::OWN);
        }
        Ok(())
    }

    /// It is not: whoever is renewed in the middle of calls loses them.
    fn at_boundary(&self) -> bool {
        true
    }
}

impl Conversation {
    fn obey(&mut self, line: &str, out: &mut Out<'_, Self>) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
        match verb {
            // ask SERVICE REQUEST: the answer is the next line.
            "ask" => self.calls.push(out.call(first, &text, Waiting::Said)),
            // many NUMBER SERVICE REQUEST: says when all are answered, and nothing where one is not.
            "many" => {
                let (service, text) = text.split_once(' ').unwrap_or_default();
                self.many = first.parse().unwrap_or(0);
                for _ in 0..self.many {
                    out.call(service, &text, Waiting::Many);
                }
                if self.many == 0 {
                    out.send(Stream::OWN, b"all\n");
                }
            }
            // within MILLISECONDS SERVICE REQUEST
            "within" => {
                let (service, text) = text.split_once(' ').unwrap_or_default();
                let call = Call::to(service).within(Duration::from_millis(first.parse().unwrap_or(0)));
                self.calls.push(out.call(call, &text, Waiting::Said));
            }
            // for ACCOUNT TRACEPARENT SERVICE REQUEST
            "for" => {
                let (trace, text) = text.split_once(' ').unwrap_or_default();
                let (service, text) = text.split_once(' ').unwrap_or_default();
                let call = Call::to(service).account(first).trace(trace.parse().ok());
                self.calls.push(out.call(call, &text, Waiting::Said));
            }
            // labelled LABEL SERVICE REQUEST
            "labelled" => {
                let (service, text) = text.split_once(' ').unwrap_or_default();
                self.calls.push(out.call(Call::to(service).label(first), &text, Waiting::Said));
            }
            // Asks no longer.
            "cancel" => {
                for token in self.calls.drain(..) {
                    out.cancel(token);
                }
                out.send(Stream::OWN, b"cancelled\n");
            }
            "serve" | "rest" => {
                out.serve(verb == "serve");
                out.send(Stream::OWN, b"ok\n");
            }
            // answer TEXT: to the oldest request that is kept.
            "answer" if !self.kept.is_empty() => out.answer(self.kept.remove(0).0, &rest),
            "number" => out.send(Stream::OWN, format!("{}\n", self.number).as_bytes()),
            "count" => out.send(Stream::OWN, format!("{}\n", self.taken).as_bytes()),
            "panic" => panic!("as told"),
            // big LENGTH: a line that long.
            "big" => {
                let mut line = vec![b'x'; first.parse().unwrap_or(0)];
                line.push(b'\n');
                out.send(Stream::OWN, &line);
            }
            // Consumes what is not there.
            "greedy" => {
                out.consume(usize::MAX);
                out.consume(2);
            }
            // Tells of a row what is wrong with it.
            #[cfg(feature = "stores")]
            "wrong" => out.add(&NOTES, &1, "text", 1),
            "bye" => out.close(Stream::OWN),
            // Does not come back for so many milliseconds, as no component may.
            "nap" => std::thread::sleep(Duration::from_millis(first.parse().unwrap_or(0))),
            // hold FILE LINE: writes the file, does not come back until it is removed, and obeys the line.
            "hold" => {
                std::fs::write(first, "").expect("a path where it may write");
                let begun = Instant::now();
                while std::path::Path::new(first).exists() && begun.elapsed() < Duration::from_secs(20) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                if !text.is_empty() {
                    self.obey(text, out);
                }
            }
            // note ID SERVICE REQUEST: as `ask`, and writes the request down in the same event.
            #[cfg(feature = "stores")]
            "note" => {
                if std::mem::take(&mut self.failed) {
                    return out.send(Stream::OWN, b"later\n");
                }
                let (service, text) = text.split_once(' ').unwrap_or_default();
                out.put(&NOTES, &Note { id: first.parse().unwrap_or(0), text });
                self.calls.push(out.call(service, &text, Waiting::Said));
            }
            // last ID TEXT: writes it down and ends.
            #[cfg(feature = "stores")]
            "last" => {
                out.put(&NOTES, &Note { id: first.parse().unwrap_or(0), text });
                out.close(Stream::OWN);
            }
            _ => out.send(Stream::OWN, b"what\n"),
        }
    }

    fn serve(
        &mut self,
        asks: &Asks,
        id: RequestId,
        request: &tandem_component::Request<'_>,
        text: &str,
        out: &mut Out<'_, Self>,
    ) {
        let from = request.from();
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
        self.taken += 1;
        match verb {
            "echo" => out.answer(id, &rest),
            "version" => out.answer(id, &asks.version),
            "who" => out.answer(id, &format!("{from} asks {} over {:?} {}", asks.service, self.transport, self.number)),
            // For whom it is, of what it is a part, and for how many milliseconds somebody waits. `tell` tells the peer.
            "whose" | "tell" => {
                let (trace, left) = (request.trace(), request.deadline().since(out.now()).as_millis());
                let said = format!("{:?} {} {} {left}", request.account(), trace.id(), trace.is_sampled());
                if verb == "tell" {
                    out.send(Stream::OWN, format!("{said}\n").as_bytes());
                }
                out.answer(id, &said);
            }
            // Until the peer says `answer`, who is told.
            "keep" => {
                self.kept.push((id, rest.to_owned()));
                out.send(Stream::OWN, format!("asked {rest}\n").as_bytes());
            }
            // after MILLISECONDS TEXT
            "after" => {
                let span = Duration::from_millis(first.parse().unwrap_or(0));
                self.later += 1;
                out.after(span, Waiting::Later { id, text: text.to_owned() });
            }
            // Two answers, of which one counts, and a timer that has it wait for more.
            "twice" => {
                out.answer(id, &"one");
                out.answer(id, &"two");
                self.later += 1;
                out.after(Duration::from_millis(20), Waiting::Later { id, text: "three".to_owned() });
            }
            // fetch UPSTREAM LINE: what a server of it says to that.
            "fetch" => drop(out.dial(first, Waiting::Fetched { id, line: format!("{text}\n") })),
            // pass SERVICE REQUEST
            "pass" => {
                let then = Waiting::Passed { id, more: String::new() };
                self.passed.push((id, out.call(first, &text, then)));
            }
            // then SERVICE REQUEST: answers, and asks.
            "then" => {
                out.answer(id, &"first");
                out.call(first, &text, Waiting::Said);
            }
            // twofold SERVICE REQUEST: asks, and asks the same when that is answered.
            "twofold" => {
                let (service, text) = (first.to_owned(), text.to_owned());
                out.call(first, &text.clone(), Waiting::Again { id, service, text });
            }
            // Asks its own service the same.
            "circle" => {
                let then = Waiting::Passed { id, more: ".".to_owned() };
                self.passed.push((id, out.call(asks.service.as_str(), &"circle", then)));
            }
            "silent" => {}
            // huge LENGTH: an answer that long.
            "huge" => out.answer(id, &"x".repeat(first.parse().unwrap_or(0))),
            "panic" => panic!("as told"),
            "bye" => out.close(Stream::OWN),
            // put ID TEXT: writes it down, and answers in the same event.
            #[cfg(feature = "stores")]
            "put" if std::mem::take(&mut self.failed) => out.answer(id, &format!("later {rest}, {from}")),
            #[cfg(feature = "stores")]
            "put" => {
                out.put(&NOTES, &Note { id: first.parse().unwrap_or(0), text });
                out.answer(id, &format!("put {first}"));
            }
            _ => out.answer(id, &"what"),
        }
    }

    /// Who asked no longer waits.
    fn forget(&mut self, id: RequestId, out: &mut Out<'_, Self>) {
        if let Some(at) = self.kept.iter().position(|kept| kept.0 == id) {
            let (_, text) = self.kept.remove(at);
            out.send(Stream::OWN, format!("withdrawn {text}\n").as_bytes());
        }
        if let Some(at) = self.passed.iter().position(|passed| passed.0 == id) {
            out.cancel(self.passed.remove(at).1);
        }
    }
}

export_component!(Asks);
