//! Calls: a component asks another one, whatever the protocol of either.
//!
//! A session [calls](crate::Out::call) a service by its name in the configuration. What it asks and what it is answered are serde
//! values that the two components agree on; the host does not look into them. A session that
//! [serves](crate::Out::serve) gets a [`Request`](crate::Event::Request), and [answers](crate::Out::answer) it in that event or in
//! a later one. This one answers short texts itself, and asks another service about long ones:
//!
//! ```
//! use std::time::Duration;
//! use tandem_component::prelude::*;
//!
//! struct Abridge;
//! # impl Component for Abridge {
//! #     type Config = ();
//! #     type Session = Talk;
//! #     const POLICY: Policy = Policy::Carry;
//! #     fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok(Abridge) }
//! #     fn open(&self, _: &Opening<'_>) -> Result<Talk, Refusal> { Ok(Talk { asked: Vec::new() }) }
//! # }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Text {
//!     text: String,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Talk {
//!     /// Whom we have asked for whom.
//!     asked: Vec<(RequestId, Token)>,
//! }
//!
//! #[derive(Serialize, Deserialize, Then)]
//! enum Waiting {
//!     Abridged { id: RequestId },
//! }
//!
//! impl Session for Talk {
//!     type Component = Abridge;
//!     type Then = Waiting;
//!
//!     fn handle(&mut self, _: &Abridge, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
//!         match event {
//!             Event::Opened => out.serve(true),
//!             Event::Request { id, request } => match request.read::<Text>() {
//!                 Ok(Text { text }) if text.len() < 10 => out.answer(id, &Text { text }),
//!                 Ok(text) => {
//!                     let call = Call::to("words").within(Duration::from_secs(2));
//!                     let token = out.call(call, &text, Waiting::Abridged { id });
//!                     self.asked.push((id, token));
//!                 }
//!                 // Whoever asks has made the mistake, and is told.
//!                 Err(misfit) => out.answer(id, &Text { text: misfit.to_string() }),
//!             },
//!             Event::Answer { then: Waiting::Abridged { id }, answer } => {
//!                 self.asked.retain(|asked| asked.0 != id);
//!                 let text = match answer {
//!                     Answer::Answered(response) => response.read::<Text>().map_or_else(|it| it.to_string(), |it| it.text),
//!                     _ => "too long".to_owned(),
//!                 };
//!                 out.answer(id, &Text { text });
//!             }
//!             Event::Withdrawn { id } => {
//!                 if let Some(at) = self.asked.iter().position(|asked| asked.0 == id) {
//!                     out.cancel(self.asked.remove(at).1);
//!                 }
//!             }
//!             _ => {}
//!         }
//!         Ok(())
//!     }
//!     fn at_boundary(&self) -> bool {
//!         self.asked.is_empty()
//!     }
//! }
//!
//! let text = |text: &str| Text { text: text.to_owned() };
//! let mut session = Harness::<Abridge>::start(&()).unwrap();
//! let id = session.request("web", &text("short"));
//! assert_eq!(session.response::<Text>(id).unwrap().text, "short");
//! let id = session.request("web", &text("long and longer"));
//! assert_eq!(session.calling().unwrap().read::<Text>().text, "long and longer");
//! session.fail_call(CallFailure::Down);
//! assert_eq!(session.response::<Text>(id).unwrap().text, "too long");
//! ```
//!
//! # Who is asked
//!
//! Of the sessions of a service that serve, on all workers, the one with the fewest requests that the caller's worker has sent
//! it and that are not answered; between equals they have their turns. Each gets what one caller asks of it in the order in which
//! it was asked. A session of the service that calls may be asked as well, itself among them: after the event, never within it.
//!
//! A service that none of whose sessions has ever served gets a session of its own for each request: opened with
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
