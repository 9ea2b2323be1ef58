//! Agreements: what an account may use of a service, asked for each exchange and counted by the host.
//!
//! The host counts, not the component: so there is one count whatever the version, an upgrade neither refills nor forgets it, and it
//! outlives a restart. The component says where an exchange begins, whose it is, and how much it counts for, by
//! [`admit`](crate::Out::admit), and does nothing of it before it is [`Admitted`](crate::Answer::Admitted). This one is `lines`
//! again, as short as it can be: whoever may have a line is told it.
//!
//! ```
//! use std::time::Duration;
//! use tandem_component::prelude::*;
//!
//! struct Lines;
//! # impl Component for Lines {
//! #     type Config = ();
//! #     type Session = Talk;
//! #     const POLICY: Policy = Policy::Carry;
//! #     fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok(Lines) }
//! #     fn open(&self, _: &Opening<'_>) -> Result<Talk, Refusal> { Ok(Talk) }
//! # }
//! # #[derive(Serialize, Deserialize)]
//! # struct Talk;
//!
//! #[derive(Serialize, Deserialize, Then)]
//! enum Waiting {
//!     Admission { line: String },
//! }
//!
//! impl Session for Talk {
//!     type Component = Lines;
//!     type Then = Waiting;
//!
//!     fn handle(&mut self, _: &Lines, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
//!         match event {
//!             Event::Bytes { bytes, .. } => {
//!                 let line = String::from_utf8_lossy(bytes).into_owned();
//!                 out.consume(bytes.len());
//!                 out.admit(Admission::of("acme").units(line.len() as u64), Waiting::Admission { line });
//!             }
//!             Event::Answer { then: Waiting::Admission { line }, answer } => match answer {
//!                 Answer::Admitted => out.send(Stream::OWN, line.as_bytes()),
//!                 Answer::Refused { limit, frees_at: Some(at) } => {
//!                     let wait = at.since(out.now()).as_secs();
//!                     out.send(Stream::OWN, format!("{limit}: again in {wait} s\n").as_bytes());
//!                 }
//!                 Answer::Refused { limit, frees_at: None } => out.send(Stream::OWN, format!("{limit}\n").as_bytes()),
//!                 _ => out.send(Stream::OWN, b"later\n"),
//!             },
//!             _ => {}
//!         }
//!         Ok(())
//!     }
//!     fn at_boundary(&self) -> bool {
//!         true
//!     }
//! }
//!
//! let mut session = Harness::<Lines>::start(&()).unwrap();
//! session.bytes(Stream::OWN, b"hello\n");
//! assert_eq!(session.sent(Stream::OWN), b"hello\n");
//! let admitted = &session.admitted()[0];
//! assert_eq!((admitted.account.as_str(), admitted.units), ("acme", 6));
//! session.refuse_admissions(Some((Limit::Day, Some(Duration::from_secs(60)))));
//! session.bytes(Stream::OWN, b"hello\n");
//! assert_eq!(session.sent(Stream::OWN), b"day: again in 60 s\n");
//! ```
//!
//! # What is admitted
//!
//! An exchange of the session's own service, for one account. By whom the account was [proven](crate::Out::authenticate) the host
//! does not ask; an account that no agreement about the service names is admitted, unless it is suspended. Where several name it,
//! all of them have to. [`units`](crate::Admission::units) count for rates and quotas;
//! [`sender`](crate::Admission::sender) is held against those that are allowed, and who says none is not asked for one.
//!
//! What is asked is answered once. Mostly that is the very next event, since the worker has taken shares in advance; where the store
//! has to reserve more first, it comes when that is committed. [`NotStored`](crate::Answer::NotStored) says that it cannot be:
//! answer with the protocol's temporary error. An admission that was answered is used; it is not given back if the session then does
//! nothing with it.
//!
//! # What is left
//!
//! Who asks with [`telling`](crate::Admission::telling) is told, with the answer, what is left of each limit that counts something:
//! a list of [`Allowance`](crate::Allowance), for the fields of a protocol that say so (`RateLimit`). What is left is a lower bound: each worker takes
//! shares in advance, and what the others have taken and not used counts as used until it comes back, some milliseconds later for
//! a rate and a quarter of a second for a quota. And it is what was left at that moment: whoever else uses the same agreement may
//! have had it since.
//!
//! # What is held
//!
//! [`held`](crate::Admission::held) has an exchange count for `concurrent` until the session says
//! [`done`](crate::Out::done) with its token, or ends. [`session`](crate::Admission::session) counts the session itself for
//! `sessions`, and nothing else; ask once the account is known. The token is data and belongs in the state. What is held stays with the
//! session when it is carried, and one that holds something is carried and not renewed. A session may hold 4,096 at a time; more is
//! against the rules.
//!
//! # What may not be skipped
//!
//! Where the operator says `admission = "required"` of a service, its sessions call, dial and forward only while they hold an
//! admission of an exchange, so that no version can forget to ask. Otherwise the answer is
//! [`NotAdmitted`](crate::CallFailure::NotAdmitted), or a forward that has failed with nothing moved. A component that is to serve there
//! has its admissions [held](crate::Admission::held) for as long as their exchanges last.
//!
//! # What refuses
//!
//! A [`Limit`](crate::Limit), by the key that says it, and when it frees, where that is a matter of time: a protocol's own words
//! for it (`Retry-After`, `ESME_RTHROTTLED`) are made of that. A limit is the operator's, who may change it at any reload: the counts
//! go on. [`Suspended`](crate::Limit::Suspended) is an account that may use nothing for now, or was removed. Sessions that it has open
//! go on with what they have under way, and are admitted nothing more. Whoever authenticates as one is answered
//! [`Suspended`](crate::Answer::Suspended) where the secret is right.
//!
//! Next: [conversations](super::conversations).
