//! Calls, accounts, keys and saving, as the harness plays them.

use std::time::Duration;

use tandem_component::harness::Ending;
use tandem_component::prelude::*;

/// Each line names a conversation, then asks another service what to say.
struct Relay;

#[derive(Default, Serialize, Deserialize)]
struct Conversation {
    key: Option<String>,
    routed: bool,
    said: u32,
    asked: Vec<RequestId>,
}

#[derive(Serialize, Deserialize, Then)]
enum Waiting {
    Said,
    Known { name: String },
    Passed { id: RequestId },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    text: String,
}

impl Component for Relay {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Relay)
    }
    fn open(&self, opening: &Opening<'_>) -> Result<Conversation, Refusal> {
        let key = opening.key.map(|key| String::from_utf8_lossy(key).into_owned());
        Ok(Conversation { key, ..Conversation::default() })
    }
}

impl Session for Conversation {
    type Component = Relay;
    type Then = Waiting;

    fn handle(&mut self, _: &Relay, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Opened => out.serve(true),
            Event::Bytes { bytes: b"label", .. } if !self.routed => out.label("beta"),
            Event::Bytes { bytes: b"label", .. } => {
                self.routed = false;
                out.consume(5);
                out.send(Stream::OWN, b"ours");
            }
            Event::Bytes { bytes, .. } if !self.routed => out.route(&bytes[..bytes.len().min(2)]),
            Event::Routed { bound: Ok(()) } => self.routed = true,
            Event::Routed { bound: Err(_) } => out.close(Stream::OWN),
            Event::Bytes { bytes, .. } => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                match text.split_once(' ') {
                    Some(("for", whose)) => {
                        let trace = TRACE.parse::<Trace>().ok();
                        out.call(
                            Call::to("other").account(whose).trace(trace),
                            &Line { text: text.clone() },
                            Waiting::Said,
                        );
                    }
                    Some((name, secret)) => {
                        out.authenticate(name, secret.as_bytes(), Waiting::Known { name: name.to_owned() });
                    }
                    None => {
                        let call = Call::to("other").within(Duration::from_secs(2));
                        out.call(call, &Line { text: text.clone() }, Waiting::Said);
                    }
                }
                out.consume(bytes.len());
                self.said += 1;
                self.routed = false;
                out.save();
            }
            Event::Answer { then: Waiting::Said, answer } => match answer {
                Answer::Answered(response) => {
                    let line: Line = response.read().map_err(|misfit| misfit.to_string())?;
                    out.send(Stream::OWN, line.text.as_bytes());
                }
                other => out.send(Stream::OWN, format!("{other:?}").as_bytes()),
            },
            // Asks once more, and then no more.
            Event::Answer { then: Waiting::Passed { id }, .. } if self.said == 0 => {
                self.said = 1;
                out.call(Call::to("other"), &7, Waiting::Passed { id });
            }
            Event::Answer { then: Waiting::Passed { id }, .. } => {
                out.answer(id, &Line { text: "passed".to_owned() });
            }
            Event::Answer { then: Waiting::Known { name }, answer: Answer::Authenticated(account) } => {
                assert!(account.is_none_or(|account| account.name() == name));
                out.send(Stream::OWN, if account.is_some() { b"welcome" } else { b"who?" });
            }
            Event::Request { id, request } => match request.read::<Line>() {
                Ok(line) if line.text == "later" => self.asked.push(id),
                Ok(line) if line.text == "pass" => {
                    out.call(Call::to("other"), &line, Waiting::Passed { id });
                }
                Ok(line) if line.text == "then" => {
                    out.answer(id, &line);
                    out.call(Call::to("other"), &line, Waiting::Said);
                }
                Ok(line) if line.text == "whose" => {
                    let (account, trace) = (request.account(), request.trace());
                    let left = request.deadline().since(out.now()).as_secs();
                    out.answer(id, &Line { text: format!("{account} {} {left}", trace.id()) });
                }
                Ok(line) => out.answer(id, &Line { text: format!("{} to {}", line.text, request.from()) }),
                Err(misfit) => out.answer(id, &Line { text: misfit.to_string() }),
            },
            Event::Withdrawn { id } => self.asked.retain(|one| *one != id),
            Event::End { .. } => {
                for id in self.asked.drain(..) {
                    out.answer(id, &Line { text: "at last".to_owned() });
                }
            }
            _ => {}
        }
        Ok(())
    }
    fn at_boundary(&self) -> bool {
        true
    }
}

fn both_modes(test: impl Fn(Harness<Relay>)) {
    test(Harness::start(&()).unwrap());
    for seed in 1..20 {
        test(Harness::start(&()).unwrap().late(seed));
    }
}

#[test]
fn a_call_is_answered_or_fails_once() {
    both_modes(|mut session| {
        session.bytes(Stream::OWN, b"one");
        let call = session.calling().unwrap();
        assert_eq!((call.service.as_str(), call.read::<Line>().text.as_str()), ("other", "one"));
        let mut session = session.carry::<Relay>(&()).unwrap();
        session.reply(&Line { text: "two".to_owned() });
        assert_eq!(session.sent(Stream::OWN), b"two");

        session.bytes(Stream::OWN, b"three");
        assert!(session.calling().is_some());
        session.advance(Duration::from_secs(2));
        assert_eq!(session.sent(Stream::OWN), b"CallFailed(TimedOut)");
        assert!(session.calling().is_none());

        session.bytes(Stream::OWN, b"four");
        session.fail_call(CallFailure::Down);
        assert_eq!(session.sent(Stream::OWN), b"CallFailed(Down)");
    });
}

#[test]
fn a_request_is_answered_also_after_a_carry_and_never_once_it_is_withdrawn() {
    both_modes(|mut session| {
        assert!(session.serving());
        let id = session.request("web", &Line { text: "hello".to_owned() });
        assert_eq!(session.response::<Line>(id).unwrap().text, "hello to web");
        let id = session.request("web", &7);
        assert!(session.response::<Line>(id).unwrap().text.contains("does not fit"));

        let (kept, dropped) = (session.request("web", &later()), session.request("web", &later()));
        session.withdraw(dropped);
        assert_eq!(session.response::<Line>(kept), None);
        let mut session = session.carry::<Relay>(&()).unwrap();
        session.end(Stream::OWN);
        assert_eq!(session.response::<Line>(kept).unwrap().text, "at last");
        assert_eq!(session.response::<Line>(dropped), None);
    });
}

#[test]
fn a_call_is_on_behalf_of_what_has_led_to_it() {
    let id = || TRACE.parse::<Trace>().unwrap().id();
    both_modes(|mut session| {
        // As it is said …
        session.bytes(Stream::OWN, b"for acme");
        let call = session.calling().unwrap();
        assert_eq!((call.account.as_str(), call.trace.id()), ("acme", id()));
        session.reply(&Line { text: "two".to_owned() });
        // … or nobody's, in a trace that begins.
        session.bytes(Stream::OWN, b"one");
        let call = session.calling().unwrap();
        assert!(call.account.is_empty() && call.trace.id() != id());
        session.reply(&Line { text: "two".to_owned() });
    });
    both_modes(|mut session| {
        let asked = |within| Call::to("").account("bolt").trace(TRACE.parse::<Trace>().ok()).within(within);
        let whose = session.request_by(asked(Duration::from_secs(9)), "web", &Line { text: "whose".to_owned() });
        assert_eq!(session.response::<Line>(whose).unwrap().text, format!("bolt {} 9", id()));
        let passed = session.request_by(asked(Duration::from_secs(9)), "web", &Line { text: "pass".to_owned() });
        let now = session.calling().unwrap().deadline();
        // What follows from the answer is on the same behalf, and has no longer.
        for _ in 0..2 {
            let call = session.calling().unwrap();
            assert_eq!((call.account.as_str(), call.trace.id(), call.deadline()), ("bolt", id(), now));
            session.reply(&7);
        }
        assert_eq!(session.response::<Line>(passed).unwrap().text, "passed");
        // What is asked after the answer is nobody's who waits.
        session.request_by(asked(Duration::from_secs(9)), "web", &Line { text: "then".to_owned() });
        let call = session.calling().unwrap();
        assert_eq!((call.account.as_str(), call.trace.id()), ("bolt", id()));
        assert_eq!(call.deadline().since(now), Duration::from_secs(30 - 9));
        session.reply(&Line { text: String::new() });
    });
}

#[test]
fn a_secret_is_its_accounts() {
    both_modes(|mut session| {
        session.account("acme", b"secret");
        for (said, heard) in [("acme secret", "welcome"), ("acme other", "who?"), ("nobody secret", "who?")] {
            session.bytes(Stream::OWN, said.as_bytes());
            assert_eq!(session.sent(Stream::OWN), heard.as_bytes(), "{said}");
        }
    });
}

#[test]
fn a_conversation_is_named_before_anything_is_consumed_and_saved_under_its_key() {
    both_modes(|mut session| {
        for said in ["acme secret", "bolt secret"] {
            session.bytes(Stream::OWN, said.as_bytes());
            assert_eq!(session.sent(Stream::OWN), b"who?");
        }
        assert_eq!(session.routes(), [b"ac", b"bo"]);
        assert!(session.saved().unwrap().windows(5).any(|part| part == b"said\x02"), "as it is after the event");

        session.fail_store(Some(StoreFailure::Unavailable));
        session.bytes(Stream::OWN, b"x");
        assert_eq!(session.ending(Stream::OWN), Some(Ending::Closed));
    });
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn an_exchange_is_labelled_before_anything_of_it_is_consumed() {
    both_modes(|mut session| {
        session.bytes(Stream::OWN, b"label");
        assert_eq!((session.labels(), session.routes().len()), (&["beta".to_owned()][..], 0));
        session.advance(Duration::ZERO);
        assert_eq!(session.sent(Stream::OWN), b"ours", "the same bytes came again");
    });
}

fn later() -> Line {
    Line { text: "later".to_owned() }
}
