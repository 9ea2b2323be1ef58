//! A component panics in each entry that the host may call: it costs the session that it happens to, and often not even that; whoever
//! reads the notices is told where it was, and the sessions beside it hear nothing of it.

use std::net::{Ipv4Addr, UdpSocket};

use support::{Client, Gateway, PATIENCE, asks, eventually, fixture, free_port, settled};

const NAME: &str = "misbehaving-entries";
const FILE: &str = "libmisbehaving_entries.so";

#[test]
fn in_each_event_it_costs_the_session_that_the_event_was_for() {
    let place = Place::start("carry", "");
    let mut bystander = place.line();
    says(&mut bystander, "1.0.0", "before");
    // What brings the event about: the session itself, unless somebody else has to.
    let by_itself = [
        "bytes",
        "dialed",
        "dial-failed",
        "forwarded",
        "forward-failed",
        "timeout",
        "writable",
        "row",
        "rows",
        "changed",
        "store-failed",
        "answered",
        "call-failed",
        "authenticated",
        "admitted",
        "routed",
    ];
    for event in by_itself {
        let mut line = place.armed(event);
        line.send(format!("do {event}\n").as_bytes()).unwrap();
        place.is_broken_at(event);
        assert_eq!(line.line().unwrap(), "sorry", "{event}");
        line.closed().unwrap();
        says(&mut bystander, "1.0.0", event);
    }

    let mut line = place.armed("end");
    line.finish().unwrap();
    place.is_broken_at("end");
    assert_eq!(line.line().unwrap(), "sorry");
    place.armed("closed").finish().unwrap();
    place.is_broken_at("closed");
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    datagrams.set_read_timeout(Some(PATIENCE)).unwrap();
    datagrams.connect((Ipv4Addr::LOCALHOST, place.lines)).unwrap();
    for (said, answer) in [("at datagram", "armed\n"), ("anything", "sorry\n"), ("again", "1.0.0 again\n")] {
        datagrams.send(said.as_bytes()).unwrap();
        let mut heard = [0; 64];
        let length = datagrams.recv(&mut heard).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard[..length]), answer);
    }
    place.is_broken_at("datagram");

    // Who has asked is told that there will be no answer.
    let mut caller = place.gateway.connect(place.front);
    caller.send(b"ask lines at request\n").unwrap();
    assert_eq!(caller.line().unwrap(), "failed Ended");
    place.is_broken_at("request");
    let sessions = place.sessions("1.0.0");
    caller.send(b"ask lines at withdrawn\n").unwrap();
    settled(sessions.map(|sessions| sessions + 1), || place.sessions("1.0.0"));
    caller.send(b"cancel\n").unwrap();
    assert_eq!(caller.line().unwrap(), "cancelled");
    place.is_broken_at("withdrawn");
    caller.send(b"ask lines version\n").unwrap();
    assert_eq!(caller.line().unwrap(), "1.0.0");

    // Its last words are its own affair as well: the fault counts, and its peer sees the end.
    let mut line = place.armed("last-words");
    line.send(b"do last-words\n").unwrap();
    assert_eq!(line.read(1).unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    settled(true, || {
        let status = place.gateway.status();
        status.notice("session-broken").is_some_and(|told| told.contains("it gave up: as it was told"))
    });

    says(&mut bystander, "1.0.0", "after");
    assert_eq!(place.gateway.status().pid, place.gateway.pid());
    // Nothing of all these sessions is left.
    place.swap("2.0.0");
    settled("retired".to_owned(), || place.stage("1.0.0"));
    settled(1, || place.maps());
    says(&mut bystander, "2.0.0", "on the next one");
}

#[test]
fn at_its_goodbye_it_costs_that_session_and_the_others_say_theirs() {
    let place = Place::start("pin", "");
    let mut armed = place.armed("drain");
    let mut other = place.line();
    says(&mut other, "1.0.0", "before");
    place.swap("2.0.0");
    let mut bystander = place.line();
    let drained = place.gateway.tandem(&["drain", &format!("{NAME}@1.0.0")]);
    assert!(drained.status.success(), "{drained:?}");
    place.is_broken_at("drain");
    assert_eq!(armed.line().unwrap(), "sorry");
    armed.closed().unwrap();
    other.closed().unwrap();
    settled("retired".to_owned(), || place.stage("1.0.0"));
    says(&mut bystander, "2.0.0", "meanwhile");
}

#[test]
fn where_a_session_is_opened_its_peer_is_turned_away_and_who_was_there_goes_on() {
    for entry in ["open", "opened"] {
        let place = Place::start("pin", &format!("\"2.0.0\" = \"{entry}\""));
        let mut bystander = place.line();
        says(&mut bystander, "1.0.0", "before");
        place.swap("2.0.0");
        for count in 1..=3 {
            let mut line = place.line();
            // One that is opened speaks before it ends; one that is not does not.
            let said = (entry == "opened").then(|| line.line().unwrap());
            assert_eq!(said.as_deref(), (entry == "opened").then_some("sorry"));
            assert!(line.line().is_err(), "{entry}");
            let notice = if entry == "open" { "session-refused" } else { "session-broken" };
            settled(count, || place.gateway.status().count(notice));
            let status = place.gateway.status();
            let told = status.notice(notice).unwrap();
            assert!(told.contains(&format!("it panicked: as it was told, at {entry} (")), "{told}");
        }
        says(&mut bystander, "1.0.0", "after");
        settled(Some(0), || place.sessions("2.0.0"));
        place.swap("3.0.0");
        says(&mut place.line(), "3.0.0", "new");
        settled("retired".to_owned(), || place.stage("2.0.0"));
    }
    let place = Place::start("carry", "\"1.0.0\" = \"open-for-request\"");
    let mut caller = place.gateway.connect(place.front);
    for _ in 0..2 {
        caller.send(b"ask lines version\n").unwrap();
        assert_eq!(caller.line().unwrap(), "failed Down");
    }
    says(&mut place.line(), "1.0.0", "a session on a connection");
    place.swap("2.0.0");
    caller.send(b"ask lines version\n").unwrap();
    assert_eq!(caller.line().unwrap(), "2.0.0");
}

#[test]
fn where_a_session_is_carried_it_goes_on_where_it_is_and_is_carried_to_the_next() {
    for entry in ["state", "resumed"] {
        let place = Place::start("carry", &format!("\"2.0.0\" = \"{entry}\""));
        let mut line = place.line();
        says(&mut line, "1.0.0", "before");
        place.swap("2.0.0");
        says(&mut line, "1.0.0", "after");
        place.is_not_moved(&format!("as it was told, at {entry}"));
        says(&mut place.line(), "2.0.0", "new");
        place.swap("3.0.0");
        says(&mut line, "3.0.0", "on the next one");
        settled(vec!["retired".to_owned(); 2], || vec![place.stage("1.0.0"), place.stage("2.0.0")]);
    }

    let place = Place::start("carry", "");
    let mut line = place.armed("export");
    place.swap("2.0.0");
    says(&mut line, "1.0.0", "after");
    place.is_not_moved("it cannot be exported: it panicked: as it was told, at export");
    // Nor is it what it was before an event that cannot be stored.
    let mut other = place.armed("export");
    other.send(b"do store-failed\n").unwrap();
    assert!(other.line().is_err());
    settled(true, || {
        place.gateway.status().notice("session-broken").is_some_and(|told| told.contains("could not be exported"))
    });
    line.send(b"at nothing\n").unwrap();
    assert_eq!(line.line().unwrap(), "armed");
    place.swap("3.0.0");
    says(&mut line, "3.0.0", "on the next one");
    settled("retired".to_owned(), || place.stage("1.0.0"));
}

#[test]
fn where_it_is_asked_for_its_boundary_it_is_at_none_and_where_it_ends_it_has_ended() {
    let place = Place::start("renew", "");
    let mut line = place.armed("boundary");
    place.swap("2.0.0");
    // Carried, as it is then, with what it was told.
    says(&mut line, "2.0.0", "after");
    settled("retired".to_owned(), || place.stage("1.0.0"));

    for _ in 0..3 {
        drop(place.armed("close"));
    }
    settled(Some(1), || place.sessions("2.0.0"));
    assert!(place.gateway.log().matches("as it was told, at close").count() == 3);
    says(&mut line, "2.0.0", "beside it");
    place.swap("3.0.0");
    settled("retired".to_owned(), || place.stage("2.0.0"));
    settled(1, || place.maps());
}

#[test]
fn where_it_starts_or_stops_the_other_version_serves() {
    let place = Place::start("carry", "\"2.0.0\" = \"start\", \"3.0.0\" = \"stop\"");
    let mut line = place.line();
    place.gateway.deploy_stamped(&fixture("entries"), "2.0.0");
    let reload = place.gateway.reload();
    let file = reload.file(FILE);
    let reason = file.reason.as_deref().unwrap_or_default();
    assert!(file.outcome == "refused" && reason.contains("as it was told, at start"), "{reload:?}");
    says(&mut line, "1.0.0", "as before");
    place.swap("3.0.0");
    says(&mut line, "3.0.0", "on the next one");
    place.swap("4.0.0");
    settled("retired".to_owned(), || place.stage("3.0.0"));
    settled(1, || place.maps());
    assert!(place.gateway.log().contains("as it was told, at stop"));
    says(&mut line, "4.0.0", "and on");

    place
        .gateway
        .configure(|text| text.replace("[service.lines.config]\n", "[service.lines.config]\nunreadable = 1\n"));
    let reload = place.gateway.reload();
    assert!(!reload.ok && format!("{reload:?}").contains("as it was told, at config"), "{reload:?}");
    says(&mut line, "4.0.0", "as before");
}

struct Place {
    gateway: Gateway,
    lines: u16,
    front: u16,
}

impl Place {
    /// With one worker, so that whatever happens to it happens to all; `at` says where versions panic.
    fn start(policy: &str, at: &str) -> Self {
        let (lines, front, there) = (free_port(), free_port(), free_port());
        let builder = Gateway::builder().library_as(&asks(None), "libtandem_asks.so").toml(&format!(
            r#"
workers = 1
[service.lines]
component = "{NAME}"
listen = ["tcp://127.0.0.1:{lines}", "udp://127.0.0.1:{lines}"]
policy = "{policy}"
[service.lines.config]
at = {{ {at} }}
[service.front]
component = "asks"
listen = ["tcp://127.0.0.1:{front}"]
[service.alone]
component = "asks"
listen = ["tcp://127.0.0.1:{there}"]
[upstream.there]
servers = ["tcp://127.0.0.1:{there}"]
[component.{NAME}]
versions = {{ keep = 0 }}
rollback = {{ failures = 1000 }}
"#
        ));
        let first = builder.scratch("first.so");
        support::stamp(&fixture("entries"), &first, "1.0.0").unwrap();
        Place { gateway: builder.library_as(&first, FILE).start(), lines, front }
    }

    fn line(&self) -> Client {
        self.gateway.connect(self.lines)
    }

    /// One whose session panics in that entry.
    fn armed(&self, entry: &str) -> Client {
        let mut line = self.line();
        line.send(format!("at {entry}\n").as_bytes()).unwrap();
        assert_eq!(line.line().unwrap(), "armed");
        line
    }

    fn swap(&self, version: &str) {
        self.gateway.swap(&fixture("entries"), version);
    }

    /// One session more is, and the operator reads where.
    #[track_caller]
    fn is_broken_at(&self, event: &str) {
        let text = format!("it panicked: as it was told, at {event} (");
        let told = eventually("it is told", || {
            let status = self.gateway.status();
            status.notice("session-broken").filter(|told| told.contains(&text)).map(str::to_owned)
        });
        assert!(told.contains(&format!("service.lines {NAME}@")) && told.lines().count() == 1, "{told}");
    }

    #[track_caller]
    fn is_not_moved(&self, why: &str) {
        let told = eventually("it is told", || self.gateway.status().notice("move-refused").map(str::to_owned));
        assert!(told.contains(why), "{told} instead of {why}");
    }

    fn stage(&self, number: &str) -> String {
        let versions = self.gateway.status().versions;
        versions.into_iter().find(|one| one.number == number && one.component == NAME).unwrap().stage
    }

    fn sessions(&self, number: &str) -> Option<u64> {
        let versions = self.gateway.status().versions;
        versions.iter().find(|one| one.number == number && one.component == NAME).map(|one| one.sessions)
    }

    /// How many versions of it are mapped: `asks` is there as well.
    fn maps(&self) -> usize {
        self.gateway.maps().len() - 1
    }
}

#[track_caller]
fn says(line: &mut Client, version: &str, text: &str) {
    line.send(format!("{text}\n").as_bytes()).unwrap();
    assert_eq!(line.line().unwrap(), format!("{version} {text}"));
}
