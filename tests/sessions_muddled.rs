//! A session gets at nothing that is another's: streams, requests and timers are numbers of its own, whatever it takes them for, and
//! whichever session a version resumes it as.

use support::{Client, Gateway, asks, eventually, fixture, free_port, libraries, settled};

const NAME: &str = "misbehaving-muddles";
const FILE: &str = "libmisbehaving_muddles.so";

/// Numbers of what is not a session's that has none but its own stream: of the first that others have, of the first that they wait for,
/// and of what nobody has.
const NUMBERS: [u64; 7] = [1, 2, 99, 1 << 32, 1 << 32 | 1, 1 << 40, u64::MAX];

#[test]
fn what_is_not_its_sessions_is_out_of_its_reach() {
    let place = Place::start("");
    let mut caller = place.gateway.connect(place.front);
    let mut other = place.line();
    dials(&mut other, 1);
    let request = asked(&mut caller, &mut other);
    let mut muddled = place.line();
    // A stream that it had, and has no more, is as one that it never had.
    dials(&mut muddled, 1);
    muddled.send(b"close 1\n").unwrap();
    says(&mut muddled, "1.0.0", "it is closed");
    let operations = [
        "send",
        "finish",
        "close",
        "abort",
        "release",
        "blame",
        "writable",
        "forward-from",
        "answer-to",
        "cancel",
        "done",
    ];
    for operation in operations {
        other.send(b"later\n").unwrap();
        let request = (operation == "answer-to").then_some(request);
        for number in NUMBERS.into_iter().chain(request) {
            muddled.send(format!("{operation} {number}\n").as_bytes()).unwrap();
        }
        says(&mut muddled, "1.0.0", &format!("still here after {operation}"));
        other.send(format!("say {operation}\n").as_bytes()).unwrap();
        assert_eq!(other.line().unwrap(), format!("heard {operation}"));
        assert_eq!(other.line().unwrap(), "rang", "{operation}");
    }
    other.send(b"answer as it should be\n").unwrap();
    assert_eq!(caller.line().unwrap(), "as it should be");
    // One that is answered is nobody's any more, not even its own.
    other.send(b"answer again\n").unwrap();
    says(&mut other, "1.0.0", "once");
    caller.send(b"ask alone echo next\n").unwrap();
    assert_eq!(caller.line().unwrap(), "next");

    // What is forwarded to nobody is lost with the session that has it so, or comes back to it.
    muddled.send(b"forward-to 99\n0123456789").unwrap();
    says(&mut other, "1.0.0", "meanwhile");
    drop(muddled);

    // Its own stream is closed: what follows in the same event happens to nobody.
    let mut over = place.line();
    over.send(b"over\nand more\n").unwrap();
    over.closed().unwrap();
    settled(Some(1), || place.sessions("1.0.0"));
    assert_eq!(place.gateway.status().count("session-broken"), 0);
    caller.send(b"ask lines anything\n").unwrap();
    assert!(other.line().unwrap().starts_with("asked "), "the one that has ended serves no more");
    drop(other);
    assert_eq!(caller.line().unwrap(), "failed Ended");
    place.retires("1.0.0");
}

#[test]
fn a_session_that_is_resumed_as_another_has_that_ones_numbers_and_nothing_of_what_they_are() {
    for how in ["another", "garbage", "nothing"] {
        let place = Place::start(&format!("\"2.0.0\" = \"{how}\""));
        let mut caller = place.gateway.connect(place.front);
        // Each has a stream of another number.
        let mut lines: Vec<Client> = (1..=4)
            .map(|count| {
                let mut line = place.line();
                (1..=count).for_each(|number| dials(&mut line, number));
                line
            })
            .collect();
        // Whichever of its neighbours is resumed after it.
        asked(&mut caller, &mut lines[1]);

        place.swap("2.0.0");

        for (at, line) in lines.iter_mut().enumerate() {
            line.send(format!("say of {at}\nanswer of {at}\n").as_bytes()).unwrap();
        }
        let mut known = Vec::new();
        for (at, line) in lines.iter_mut().enumerate() {
            line.send(b"known\n").unwrap();
            loop {
                let said = line.line().unwrap();
                if said.starts_with("Known") {
                    known.push(said);
                    break;
                }
                assert_eq!(said, format!("heard of {at}"), "{how}: what is another's was heard");
            }
        }
        match how {
            "another" => assert!([0, 2].iter().any(|at| known[*at].contains("RequestId")), "{known:?}"),
            "garbage" => assert!(known.iter().all(|known| known.contains("18446744073709551608")), "{known:?}"),
            _ => assert!(known.iter().all(|known| known == "Known { stream: None, request: None }"), "{known:?}"),
        }
        // Nobody but the one that was asked can answer, and when it is gone, who asked is told.
        drop(lines.remove(1));
        assert_eq!(caller.line().unwrap(), "failed Ended", "{how}");
        for (at, line) in [0, 2, 3].into_iter().zip(&mut lines) {
            // What it hears late is its own as well.
            line.send(b"still here\n").unwrap();
            let said = line.line().unwrap();
            let said = if said == format!("heard of {at}") { line.line().unwrap() } else { said };
            assert_eq!(said, "2.0.0 still here", "{how}");
        }
        assert_eq!(place.gateway.status().count("session-broken"), 0);
        drop(lines);
        place.retires("2.0.0");
    }
}

#[test]
fn a_session_that_was_exported_without_what_every_version_asks_for_goes_on_where_it_is() {
    let place = Place::start("\"2.0.0\" = \"lacking\"");
    let mut before = place.line();
    says(&mut before, "1.0.0", "before");
    place.swap("2.0.0");
    says(&mut before, "2.0.0", "carried");
    let mut lacking = place.line();
    says(&mut lacking, "2.0.0", "begun");

    place.swap("3.0.0");

    says(&mut lacking, "2.0.0", "it stays");
    settled(true, || {
        let status = place.gateway.status();
        status.notice("move-refused").is_some_and(|told| told.contains("missing field `asked_for`"))
    });
    // The host has kept it for the other, since the version before had it.
    says(&mut before, "3.0.0", "carried again");
    says(&mut place.line(), "3.0.0", "begun");
    drop(lacking);
    settled("retired".to_owned(), || place.stage("2.0.0"));
}

#[test]
fn a_state_or_an_event_that_is_too_large_is_the_sessions_own_trouble() {
    let place = Place::start("");
    let mut other = place.line();
    says(&mut other, "1.0.0", "before");
    let mut large = place.line();
    large.send(b"grow 20000000\n").unwrap();
    assert_eq!(large.line().unwrap(), "grown");
    place.swap("2.0.0");
    says(&mut large, "1.0.0", "it stays");
    let told = eventually("it is told", || place.gateway.status().notice("move-refused").map(str::to_owned));
    let reason = "it cannot be exported: its state has 200000";
    assert!(told.contains(reason) && told.contains("and 16777216 are the most"), "{told}");
    says(&mut other, "2.0.0", "after");
    large.send(b"grow 16000000\n").unwrap();
    assert_eq!(large.line().unwrap(), "grown");
    place.swap("3.0.0");
    says(&mut large, "3.0.0", "carried");
    settled("retired".to_owned(), || place.stage("1.0.0"));

    large.send(b"flood\n").unwrap();
    large.closed().unwrap();
    let status = place.gateway.status();
    let told = status.notice("session-broken").expect("it is told");
    assert!(told.contains("one event had more effects, or more bytes in them, than it may"), "{told}");
    says(&mut other, "3.0.0", "beside it");
}

/// A caller asks the service, of which this session serves alone. Says the number of the request.
fn asked(caller: &mut Client, line: &mut Client) -> u64 {
    line.send(b"serve\n").unwrap();
    assert_eq!(line.line().unwrap(), "serves");
    caller.send(b"ask lines anything\n").unwrap();
    line.line().unwrap().strip_prefix("asked ").unwrap().parse().unwrap()
}

fn dials(line: &mut Client, number: u64) {
    line.send(b"dial\n").unwrap();
    assert_eq!(line.line().unwrap(), format!("dialed {number}"));
}

#[track_caller]
fn says(line: &mut Client, version: &str, text: &str) {
    line.send(format!("{text}\n").as_bytes()).unwrap();
    assert_eq!(line.line().unwrap(), format!("{version} {text}"));
}

struct Place {
    gateway: Gateway,
    lines: u16,
    front: u16,
}

impl Place {
    /// `resumes` says how versions resume.
    fn start(resumes: &str) -> Self {
        let (lines, front, there) = (free_port(), free_port(), free_port());
        let builder =
            Gateway::builder().library(&libraries().echo).library_as(&asks(None), "libtandem_asks.so").toml(&format!(
                r#"
workers = 1
[service.lines]
component = "{NAME}"
listen = ["tcp://127.0.0.1:{lines}"]
[service.lines.config]
resumes = {{ {resumes} }}
[service.front]
component = "asks"
listen = ["tcp://127.0.0.1:{front}"]
[service.alone]
component = "asks"
[service.there]
component = "echo"
listen = ["tcp://127.0.0.1:{there}"]
[upstream.there]
servers = ["tcp://127.0.0.1:{there}"]
[component.{NAME}]
versions = {{ keep = 0 }}
"#
            ));
        let first = builder.scratch("first.so");
        support::stamp(&fixture("muddles"), &first, "1.0.0").unwrap();
        Place { gateway: builder.library_as(&first, FILE).start(), lines, front }
    }

    fn line(&self) -> Client {
        self.gateway.connect(self.lines)
    }

    fn swap(&self, version: &str) {
        self.gateway.swap(&fixture("muddles"), version);
    }

    /// Nothing is left of a version once another serves.
    fn retires(&self, version: &str) {
        self.swap("9.0.0");
        settled("retired".to_owned(), || self.stage(version));
        settled(3, || self.gateway.maps().len());
        says(&mut self.line(), "9.0.0", "new");
    }

    fn stage(&self, number: &str) -> String {
        let versions = self.gateway.status().versions;
        versions.into_iter().find(|one| one.number == number && one.component == NAME).unwrap().stage
    }

    fn sessions(&self, number: &str) -> Option<u64> {
        let versions = self.gateway.status().versions;
        versions.iter().find(|one| one.number == number && one.component == NAME).map(|one| one.sessions)
    }
}
