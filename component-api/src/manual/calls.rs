//! Calls: a component asks another one, whatever the protocol of either.
//!
//! A session [calls](crate::Out::call) a service by its name in the configuration. What it asks and what it is answered are serde
//! values that the two components agree on; the host does not look into them. A session that is asked gets a
//! [`Request`](crate::Event::Request), and [answers](crate::Out::answer) it in that event or in a later one. Version 4 of `lines` does both: it
//! asks another service, the guard, whether a line may be counted, and answers who wants to know how often a line was said.
//!
#![doc = "```"]
#![doc = include_str!("asking.rs")]
#![doc = "```"]
//!
//! Only what is told in `handle` is new: a call takes a `Then` as everything does that will be answered. A session of version 3 goes on with it:
//!
//! ```
//! # mod counted { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/counted.rs")); }
//! # mod asking { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/asking.rs")); }
//! # use counted::Lines as Lines3;
//! # use asking::{HowOften, Lines as Lines4, May, Times};
//! # use tandem_component::prelude::*;
//! #[derive(Serialize)]
//! struct Settings {
//!     guard: &'static str,
//! }
//! let settings = Settings { guard: "guard" };
//!
//! let mut third = Harness::<Lines3>::start(&()).unwrap();
//! third.bytes(Stream::OWN, b"tea\n");
//! let mut session = third.carry::<Lines4>(&settings).unwrap();
//! session.bytes(Stream::OWN, b"tea\n");
//! assert_eq!(session.calling().unwrap().read::<May>().line, "tea");
//! session.reply(&true);
//! assert_eq!(session.sent(Stream::OWN), b"1 tea: 1\n2 tea: 2\n");
//! session.bytes(Stream::OWN, b"gin\ntea\n");
//! session.reply(&false);
//! session.fail_call(CallFailure::Down);
//! assert_eq!(session.sent(Stream::OWN), b"not here\ncome again later\n");
//! session.fail_store(Some(StoreFailure::Unavailable));
//! session.bytes(Stream::OWN, b"tea\n");
//! session.reply(&true);
//! assert_eq!(session.sent(Stream::OWN), b"come again later\n");
//!
//! // A session that the host has opened for what another service asks.
//! let mut session = Harness::<Lines4>::start_as(&settings, Role::Server, Transport::Call).unwrap();
//! let id = session.request("web", &HowOften { line: "coffee".to_owned() });
//! assert_eq!(session.response::<Times>(id), Some(Ok(0)));
//! ```
//!
//! The guard is a component of its own. One that lets everything pass is made by `tandem new guard` and one line more in its `handle`,
//! `Event::Request { id, .. } => out.answer(id, &true)`, and deployed into the gateway of `lines` by `tandem dev guard --config lines/tandem.toml`.
//! There the two are services beside each other; the one that is only asked need not listen anywhere:
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
