//! A component that does not come back from a call, whichever it is, costs that session. What the call had in its hands is given
//! back: the version that the session was on its way to or from retires, and what the session held is free again.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use support::{Client, Gateway, Holders, asks, eventually, fixture, free_port, settled};

const HOLDS: &str = "misbehaving-holds";
/// From the notice to the first answers.
const WITHIN: Duration = Duration::from_secs(2);
/// What a loaded machine may add.
const SLACK: Duration = Duration::from_secs(10);
const INSIDE: &str = "a thread that was given up is inside still";

#[test]
fn as_it_is_exported_for_another_version() {
    moved("carry", "export", "0.1.0");
}

#[test]
fn as_another_version_resumes_it() {
    moved("carry", "resume", "1.0.0");
}

#[test]
fn as_the_version_that_has_resumed_it_exports_it_again() {
    moved("carry", "again", "1.0.0");
}

#[test]
fn as_it_is_closed_where_another_version_has_it() {
    moved("carry", "close", "0.1.0");
}

#[test]
fn as_it_is_asked_for_its_boundary() {
    moved("renew", "boundary", "0.1.0");
}

#[test]
fn as_another_version_opens_it() {
    moved("renew", "open", "1.0.0");
}

/// A session is held on its way from 0.1.0 to 1.0.0, in a call of one of the two.
fn moved(policy: &str, at: &str, inside: &str) {
    let place = Place::start(policy);
    let gateway = &place.gateway;
    let mut held = gateway.connect(place.lines);
    if at != "open" {
        says(&mut held, &format!("hold at {at}"), &format!("0.1.0 hold at {at}"));
    }
    if policy == "carry" {
        says(&mut held, "admit acme", "admitted");
    }
    let mut free = gateway.connect(place.lines);
    says(&mut free, "before", "0.1.0 before");
    if at == "open" {
        // The one that was there first is the first to move.
        fs::write(&place.opens_without, "").unwrap();
    }

    gateway.swap(&fixture("holds"), "1.0.0");
    place.is_held();
    fs::remove_file(&place.opens_without).ok();
    place.goes_on(&mut free, "1.0.0");

    held.closed().unwrap();
    assert_eq!(gateway.status().count("session-broken"), 1);
    let mut next = gateway.connect(place.lines);
    says(&mut next, "admit acme", "admitted");
    place.tells(inside, 2, "1.0.0");
    // The one that the thread is not inside of retires; the other does once it has come back.
    gateway.swap(&fixture("holds"), "2.0.0");
    says(&mut free, "after", "2.0.0 after");
    let other = if inside == "0.1.0" { "1.0.0" } else { "0.1.0" };
    settled((vec![other.to_owned()], vec![inside.to_owned()]), || (place.are("retired"), place.are("draining")));
    place.comes_back(&["0.1.0", "1.0.0"]);
    says(&mut free, "at last", "2.0.0 at last");
    says(&mut next, "as well", "2.0.0 as well");
}

#[test]
fn as_it_is_closed_at_its_end() {
    ended("hold at close", |_, held| held.finish().unwrap());
}

#[test]
fn as_it_says_its_last_words() {
    ended("hold at words", |_, held| held.send(b"panic\n").unwrap());
}

#[test]
fn in_an_event() {
    ended("here", |_, held| held.send(b"hold\n").unwrap());
}

#[test]
fn as_a_request_is_delivered() {
    asked("hold", false);
}

#[test]
fn as_a_session_is_opened_for_a_request() {
    asked("hello", true);
}

/// A session that holds an admission is held, and goes no way.
fn ended(line: &str, provoke: impl FnOnce(&Place, &mut Client)) {
    let place = Place::start("carry");
    let mut held = place.gateway.connect(place.lines);
    says(&mut held, line, &format!("0.1.0 {line}"));
    says(&mut held, "admit acme", "admitted");
    let mut free = place.gateway.connect(place.lines);
    says(&mut free, "before", "0.1.0 before");
    provoke(&place, &mut held);
    place.is_held();
    place.goes_on(&mut free, "0.1.0");
    held.closed().unwrap();
    assert_eq!(place.gateway.status().count("session-broken"), 1);
    says(&mut free, "admit acme", "admitted");
    place.is_left_by(&mut free, 1);
}

/// A session for one request is held. Who has asked is told.
fn asked(text: &str, opening: bool) {
    let place = Place::start("carry");
    let mut free = place.gateway.connect(place.lines);
    says(&mut free, "before", "0.1.0 before");
    let mut front = place.gateway.connect(place.front);
    says(&mut front, "ask called before", "0.1.0 before");
    if opening {
        fs::write(&place.opens_without, "").unwrap();
    }
    front.send(format!("ask called {text}\n").as_bytes()).unwrap();
    place.is_held();
    fs::remove_file(&place.opens_without).ok();
    place.goes_on(&mut free, "0.1.0");
    assert_eq!(front.line().unwrap(), "failed Ended");
    says(&mut front, "ask called again", "0.1.0 again");
    place.is_left_by(&mut free, 1);
}

struct Place {
    gateway: Gateway,
    lines: u16,
    front: u16,
    comes_back: PathBuf,
    opens_without: PathBuf,
}

impl Place {
    fn start(policy: &str) -> Self {
        let (lines, front) = (free_port(), free_port());
        let builder = Gateway::builder().library(&fixture("holds")).library_as(&asks(None), "libtandem_asks.so");
        let (comes_back, opens_without) = (builder.scratch("comes back"), builder.scratch("opens without"));
        let config = format!("comes_back_with = {comes_back:?}, opens_without = {opens_without:?}");
        let text = format!(
            r#"
workers = 1
[service.lines]
component = "{HOLDS}"
listen = ["tcp://127.0.0.1:{lines}"]
policy = "{policy}"
config = {{ {config} }}
[service.called]
component = "{HOLDS}"
config = {{ {config} }}
[service.front]
component = "asks"
listen = ["tcp://127.0.0.1:{front}"]
[agreement.gold]
accounts = ["acme"]
services = ["lines"]
concurrent = 1
[component.{HOLDS}]
versions = {{ keep = 0 }}
rollback = {{ failures = 1000 }}
"#
        );
        let gateway = builder.toml(&text).start();
        Place { gateway, lines, front, comes_back, opens_without }
    }

    fn is_held(&self) {
        eventually("it is held", || self.gateway.log().contains("holds its thread").then_some(()));
    }

    /// The others do as soon as it was noticed.
    fn goes_on(&self, free: &mut Client, number: &str) {
        free.send(b"meanwhile\n").unwrap();
        eventually("it is said", || (self.gateway.status().count("event-overrun") == 1).then_some(()));
        let noticed = Instant::now();
        assert_eq!(free.line().unwrap(), format!("{number} meanwhile"));
        let took = noticed.elapsed();
        println!("the first answer came {took:?} after the notice was seen");
        assert!(took < WITHIN + SLACK, "{took:?}");
    }

    /// What an operator is told: so many sessions there are, all on this version, and a thread inside of another.
    fn tells(&self, inside: &str, sessions: usize, on: &str) {
        let output = self.gateway.tandem(&["sessions", "--json", HOLDS]);
        let holders: Holders =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let versions: Vec<&str> = holders.sessions.iter().map(|session| number(&session.version)).collect();
        assert_eq!((holders.count, versions), (sessions as u64, vec![on; sessions]), "{holders:?}");
        let threads: Vec<&str> =
            holders.others.iter().filter(|other| other.what == INSIDE).map(|other| number(&other.version)).collect();
        assert_eq!(threads, [inside], "{holders:?}");
        let status = self.gateway.status();
        assert_eq!(status.count("worker-taken-over"), 1, "{status:?}");
        for version in status.versions.iter().filter(|version| version.component == HOLDS) {
            let there = if version.number == on { sessions as u64 } else { 0 };
            let reason = (version.number == inside).then_some(INSIDE);
            assert_eq!((version.sessions, version.reason.as_deref()), (there, reason), "{version:?}");
        }
    }

    /// The version that the thread is inside of is left by all others, and retires once it has come back.
    fn is_left_by(&self, free: &mut Client, sessions: usize) {
        self.tells("0.1.0", sessions, "0.1.0");
        self.gateway.swap(&fixture("holds"), "1.0.0");
        says(free, "after", "1.0.0 after");
        self.tells("0.1.0", sessions, "1.0.0");
        assert_eq!(self.are("draining"), ["0.1.0"]);
        self.comes_back(&["0.1.0"]);
        says(free, "at last", "1.0.0 at last");
    }

    fn comes_back(&self, retired: &[&str]) {
        fs::write(&self.comes_back, "").unwrap();
        settled(1, || self.gateway.status().count("thread-returned"));
        settled(retired.iter().map(ToString::to_string).collect(), || self.are("retired"));
        assert_eq!(self.gateway.status().count("worker-taken-over"), 1);
        assert_eq!(self.gateway.maps().len(), 2, "of what has retired nothing is mapped");
    }

    fn are(&self, stage: &str) -> Vec<String> {
        let status = self.gateway.status();
        let mut numbers: Vec<String> = status.numbers(HOLDS, stage).into_iter().map(str::to_owned).collect();
        numbers.sort_unstable();
        numbers
    }
}

fn number(version: &str) -> &str {
    version.split(['@', '#']).nth(1).unwrap()
}

#[track_caller]
fn says(client: &mut Client, line: &str, answer: &str) {
    client.send(format!("{line}\n").as_bytes()).unwrap();
    assert_eq!(client.line().unwrap(), answer, "to {line:?}");
}
