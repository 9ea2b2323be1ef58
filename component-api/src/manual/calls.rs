//! Calls: a component asks another one, whatever the protocol of either.
//!
//! A session [calls](crate::Out::call) a service by its name in the configuration. What it asks and what it is answered are serde
//! values that the two components agree on; the host does not look into them. A session that is asked gets a
//! [`Request`](crate::Event::Request), and [answers](crate::Out::answer) it in that event or in a later one. Version 4 of `lines` does both: it
//! asks another service, the guard, whether a line may be counted, and answers who wants to know how often a line was said.
//!
//! ```
//! use std::time::Duration;
//! use tandem_component::prelude::*;
//! # mod counted { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/counted.rs")); }
//! # const SAID: Table = Table {
//! #     name: "said",
//! #     key: &["line"],
//! #     columns: &[Column::new("line", Kind::Text), Column::new("n", Kind::Integer).or(Literal::Integer(0)).indexed()],
//! # };
//! # #[derive(Deserialize)]
//! # struct Said {
//! #     n: i64,
//! # }
//! # struct Lines {
//! #     idle: Duration,
//! #     guard: String,
//! # }
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     #[serde(default = "minute")]
//!     idle_s: u64,
//!     /// The service that says whether a line may be counted.
//!     guard: String,
//! }
//!
//! /// What the guard is asked. It answers with a `bool`.
//! #[derive(Serialize, Deserialize)]
//! struct May {
//!     line: String,
//! }
//!
//! /// What we are asked.
//! #[derive(Serialize, Deserialize)]
//! struct HowOften {
//!     line: String,
//! }
//!
//! /// What we answer: a number, or why there is none.
//! type Times = Result<i64, String>;
//!
//! #[derive(Serialize, Deserialize, Then)]
//! enum Waiting {
//!     Idle,
//!     Counted { line: String },
//!     /// The guard's answer.
//!     Allowed { line: String },
//!     /// The row that somebody has asked for.
//!     Told { id: RequestId },
//! }
//! # #[derive(Serialize, Deserialize)]
//! # struct Talk {
//! #     lines: u64,
//! #     idle: Option<Token>,
//! #     #[serde(default)]
//! #     counting: bool,
//! #     #[serde(default)]
//! #     more: bool,
//! #     #[serde(default)]
//! #     unstored: bool,
//! #     #[serde(default)]
//! #     ending: bool,
//! #     /// It was opened for a request, and has no peer.
//! #     #[serde(default)]
//! #     peerless: bool,
//! # }
//! # impl Component for Lines {
//! #     type Config = Config;
//! #     type Session = Talk;
//! #     const TABLES: &'static [Table] = &[SAID];
//! #     const POLICY: Policy = Policy::Carry;
//! #     fn start(config: Config, _: &Starting<'_>) -> Result<Self, Refusal> {
//! #         Ok(Lines { idle: Duration::from_secs(config.idle_s), guard: config.guard })
//! #     }
//! #     fn open(&self, opening: &Opening<'_>) -> Result<Talk, Refusal> {
//! #         let peerless = opening.transport == Transport::Call;
//! #         Ok(Talk { lines: 0, idle: None, counting: false, more: false, unstored: false, ending: false, peerless })
//! #     }
//! # }
//!
//! impl Session for Talk {
//!     // …
//! #     type Component = Lines;
//! #     type Then = Waiting;
//!     fn handle(&mut self, lines: &Lines, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
//!         match event {
//!             // Opened for a request alone: nobody is there who could say nothing for too long.
//!             Event::Opened if self.peerless => {}
//! #             Event::Opened => self.wait(lines, out),
//!             Event::Bytes { bytes, .. } => {
//! #                 let line_end = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n');
//! #                 match line_end(bytes) {
//! #                     end if self.counting => self.more = end.is_some(),
//! #                     Some(end) => {
//! #                         out.consume(end + 1);
//! #                         self.more = line_end(&bytes[end + 1..]).is_some();
//!                 // … as before, up to the line, which is not counted yet:
//!                 let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
//!                 let call = Call::to(&lines.guard).within(Duration::from_secs(2));
//!                 out.call(call, &May { line: line.clone() }, Waiting::Allowed { line });
//!                 self.counting = true;
//! #                         self.wait(lines, out);
//! #                     }
//! #                     None if bytes.len() > 1024 => out.close(Stream::OWN),
//! #                     None => {}
//! #                 }
//! #                 self.close(out);
//!             }
//!             // The answer comes again where nothing could be stored.
//!             Event::Answer { then: Waiting::Allowed { .. }, .. } if std::mem::take(&mut self.unstored) => self.later(out),
//!             Event::Answer { then: Waiting::Allowed { line }, answer } => match answer {
//!                 Answer::Answered(response) if response.read::<bool>().is_ok_and(|allowed| allowed) => {
//!                     out.add(&SAID, &line, "n", 1);
//!                     out.get(&SAID, &line, Waiting::Counted { line: line.clone() });
//!                 }
//!                 // It has answered something else, or has not answered: nobody serves, or not within two seconds.
//!                 _ => self.later(out),
//!             },
//!             Event::Request { id, request } => match request.read::<HowOften>() {
//!                 Ok(HowOften { line }) => drop(out.get(&SAID, &line, Waiting::Told { id })),
//!                 // Whoever asks has made the mistake, and is told.
//!                 Err(misfit) => out.answer(id, &Times::Err(misfit.to_string())),
//!             },
//!             Event::Answer { then: Waiting::Told { id }, answer } => match answer {
//!                 Answer::Row(Some(row)) => out.answer(id, &Times::Ok(row.read::<Said>()?.n)),
//!                 Answer::Row(None) => out.answer(id, &Times::Ok(0)),
//!                 _ => out.answer(id, &Times::Err("the store does not answer now".to_owned())),
//!             },
//! #             Event::Answer { then: Waiting::Counted { line }, answer } => {
//! #                 let Answer::Row(Some(row)) = answer else { self.later(out); return Ok(()) };
//! #                 let Said { n } = row.read()?;
//! #                 self.counting = false;
//! #                 self.lines += 1;
//! #                 out.send(Stream::OWN, format!("{} {line}: {n}\n", self.lines).as_bytes());
//! #                 self.close(out);
//! #             }
//! #             Event::StoreFailed { .. } => self.unstored = true,
//! #             Event::End { .. } | Event::Timeout { then: Waiting::Idle } | Event::Drain { .. } => {
//! #                 self.ending = true;
//! #                 self.close(out);
//! #             }
//!             // … and the others of version 3
//!             _ => {}
//!         }
//!         Ok(())
//!     }
//! #     fn at_boundary(&self) -> bool {
//! #         !self.counting
//! #     }
//! }
//! # impl Talk {
//! #     fn later(&mut self, out: &mut Out<'_, Self>) {
//! #         self.counting = false;
//! #         out.send(Stream::OWN, b"come again later\n");
//! #         self.close(out);
//! #     }
//! #     fn close(&self, out: &mut Out<'_, Self>) {
//! #         if self.ending && !self.counting && !self.more {
//! #             out.send(Stream::OWN, b"bye\n");
//! #             out.close(Stream::OWN);
//! #         }
//! #     }
//! #     fn wait(&mut self, lines: &Lines, out: &mut Out<'_, Self>) {
//! #         if let Some(earlier) = self.idle.take() {
//! #             out.cancel(earlier);
//! #         }
//! #         self.idle = Some(out.after(lines.idle, Waiting::Idle));
//! #     }
//! # }
//! # fn minute() -> u64 {
//! #     60
//! # }
//!
//! #[derive(Serialize)]
//! struct Settings {
//!     guard: &'static str,
//! }
//! let settings = Settings { guard: "guard" };
//!
//! // A session of version 3 goes on, and now the guard is asked.
//! let mut third = Harness::<counted::Lines>::start(&()).unwrap();
//! third.bytes(Stream::OWN, b"tea\n");
//! let mut session = third.carry::<Lines>(&settings).unwrap();
//! session.bytes(Stream::OWN, b"tea\n");
//! assert_eq!(session.calling().unwrap().read::<May>().line, "tea");
//! session.reply(&true);
//! assert_eq!(session.sent(Stream::OWN), b"1 tea: 1\n2 tea: 2\n");
//! session.bytes(Stream::OWN, b"tea\n");
//! session.fail_call(CallFailure::Down);
//! assert_eq!(session.sent(Stream::OWN), b"come again later\n");
//!
//! // A session that the host has opened for what another service asks.
//! let mut session = Harness::<Lines>::start_as(&settings, Role::Server, Transport::Call).unwrap();
//! let id = session.request("web", &HowOften { line: "coffee".to_owned() });
//! assert_eq!(session.response::<Times>(id), Some(Ok(0)));
//! ```
//!
//! In the configuration the two are services beside each other; the one that is only asked need not listen anywhere:
//!
//! ```toml
//! [service.lines]
//! component = "lines"
//! listen = ["tcp://127.0.0.1:7007"]
//! config = { guard = "guard" }
//!
//! [service.guard]
//! component = "guard"
//! ```
//!
//! # Who is asked
//!
//! Of the sessions of a service that [serve](crate::Out::serve), on all workers, the one with the fewest requests that the caller's worker has sent
//! it and that are not answered; between equals they have their turns. Each gets what one caller asks of it in the order in which
//! it was asked. A session of the service that calls may be asked as well, itself among them: after the event, never within it.
//!
//! A service none of whose sessions has ever served (`lines`) gets a session of its own for each request: opened with
//! [`Transport::Call`](crate::Transport::Call) by the version that is active, told [`Opened`](crate::Event::Opened) and then the
//! request. It has no connection, so what it sends on [`Stream::OWN`](crate::Stream::OWN) goes nowhere, and `serve` means nothing to
//! it. It ends by itself once the request is answered or withdrawn, and no timer, dialed stream or call of its own is left.
//! Such a service need not `listen` anywhere.
//!
//! # Every call is answered once
//!
//! By [`Answered`](crate::Answer::Answered), or by [`CallFailed`](crate::Answer::CallFailed) with the reason, which an operator
//! reads as well (`call-failed`). A session that ends with requests that it was given fails them as
//! [`Ended`](crate::CallFailure::Ended): whether what was asked has been done, nobody knows. What it was not given yet goes to
//! another one that serves. Time runs from the call; it includes whatever the request waits for.
//!
//! Whoever calls and then [cancels](crate::Out::cancel), ends, or runs out of time, withdraws the request. The session that has
//! it is told [`Withdrawn`](crate::Event::Withdrawn), so that it need not go on; what it answers then goes nowhere.
//!
//! With tables, a call and an answer wait for the commit of what their event has written, as a send does: who gets an answer can
//! rely on what is behind it.
//!
//! # On whose behalf
//!
//! A request says whose [account](crate::Request::account) it is for, until [when](crate::Request::deadline) somebody waits for the
//! answer, and which [trace](crate::Request::trace) it is a part of. The host carries them along: what the event of a request asks of
//! others, and what the answer to such a call leads to, is for the same account and in the same trace, and has no longer than that
//! request has, for as long as that is not answered. An edge, where an exchange comes in by a protocol, says the account that it has
//! authenticated, and [begins a step](crate::Out::begin_span) of the trace that the protocol brings
//! ([`Trace::of_fields`](crate::Trace::of_fields)), or of a new one. What is done later, by a timer or of a row, says what it has kept: both are data.
//!
//! The account of a call decides as well which version answers it, where a canary is out: always the same one. The step is in the record
//! of the exchange, and exported where an operator wants that.
//!
//! # Versions
//!
//! Requests and calls are the host's, and stay where they are when a session moves. [`RequestId`](crate::RequestId) and
//! [`Token`](crate::Token) are data and belong in the state. A session that has a call under way or owes an answer is not renewed but
//! carried. That it serves holds over each move. The two sides of a call may be of any two versions at any time, so what is asked and answered grows as state does: by
//! fields with a default.
//!
//! # Bounds
//!
//! A session has at most 1,024 calls under way, and owes at most 1,024 answers to requests of 16 MiB together; more is
//! [`Full`](crate::CallFailure::Full). One question or answer of more than 16 MiB is against the rules and ends the session. Requests
//! wait for each other at most eight in a row: the ninth is [`TooDeep`](crate::CallFailure::TooDeep), since it is a circle as a rule.
//!
//! Next: [agreements](super::agreements).
