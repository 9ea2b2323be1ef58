//! Rows outlive versions: each writes what it knows, what it does not know stays, and a version that would take something
//! away is refused before any of its code takes traffic.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use support::{Client, Gateway, free_port, ledger, stamp};

#[test]
fn three_versions_write_the_same_rows_at_once_and_each_column_keeps_its_last_value() {
    let place = Place::start("pin");
    let mut one = place.connect();
    one.says("put 1 first", "ok 1");
    place.swap("two", "2.0.0");
    let mut two = place.connect();
    two.says("get 1", r#"Found { id: 1, name: "first", amount: 0, note: "none" }"#);
    place.swap("three", "3.0.0");
    let mut three = place.connect();

    three.says("put 1 third-time", "ok 1");
    two.says("put 1 second", "ok 1");
    one.says("put 1 again", "ok 1");
    for (session, n) in [(&mut one, 1), (&mut two, 20), (&mut three, 300)] {
        session.says(&format!("add 1 {n}"), "ok 1");
    }

    let parts = r#"parts: Some(["third", "time"])"#;
    three.says("get 1", &format!(r#"Found {{ id: 1, name: "again", amount: 321, note: "second", {parts} }}"#));
    one.says("get 1", r#"Found { id: 1, name: "again", amount: 321 }"#);

    // Back to the first, which writes, and then the third once more.
    place.gateway.deploy(&version(None, "1.0.0"), FILE);
    assert!(place.gateway.reload().ok);
    let mut back = place.connect();
    back.says("put 1 back", "ok 1");
    back.says("get 1", r#"Found { id: 1, name: "back", amount: 321 }"#);
    place.swap("three", "3.0.0");
    let mut again = place.connect();
    again.says("get 1", &format!(r#"Found {{ id: 1, name: "back", amount: 321, note: "second", {parts} }}"#));
    again.says("delete 1", "ok 1");
    again.says("add 1 5", "ok 1");
    again.says("get 1", r#"Found { id: 1, name: "nobody", amount: 5, note: "none", parts: None }"#);
}

#[test]
fn a_version_that_takes_something_away_is_refused_and_changes_nothing() {
    let place = Place::start("carry");
    let mut session = place.connect();
    session.says("put 1 kept", "ok 1");
    let before = place.schema();
    for (feature, reason) in [
        (
            "drops",
            "table `entries`, column `name`: it is there since version 1.0.0, and this one has dropped or renamed it",
        ),
        ("retypes", "table `entries`, column `name`: it is text since version 1.0.0, and blob in this one"),
    ] {
        place.deploy(feature, "2.0.0");
        let reload = place.gateway.reload();
        let file = reload.file(FILE);
        assert_eq!((reload.ok, file.outcome.as_str()), (false, "refused"), "{feature}");
        let said = file.reason.as_deref().unwrap_or_default();
        assert!(said.contains(reason), "{said}");
        assert_eq!(place.schema(), before, "{feature}");
        session.says("get 1", r#"Found { id: 1, name: "kept", amount: 0 }"#);
    }
    place.swap("two", "2.0.0");
    let after = place.schema();
    assert!(after.starts_with(&before) && after.contains("column note text default `none`"), "{after}");
    assert!(after.contains("ledger@2.0.0#"), "{after}");
}

#[test]
fn a_session_that_is_carried_through_older_versions_keeps_what_they_do_not_know() {
    let place = Place::start("carry");
    place.swap("three", "3.0.0");
    let mut session = place.connect();
    session.says("count 1", "counted 1");
    session.says("tag 1 a", r#"{"a": Tag { n: 1, loud: "A" }}"#);
    session.says("tag 2 b", r#"{"a": Tag { n: 1, loud: "A" }, "b": Tag { n: 2, loud: "B" }}"#);

    // The first knows nothing of tags.
    place.gateway.deploy(&version(None, "1.0.0"), FILE);
    assert!(place.gateway.reload().ok);
    session.says("count 1", "counted 2");
    session.says("tag 1 a", "what");
    // The second does, but not all of them.
    place.swap("two", "2.0.0");
    session.says("untag 0 b", r#"{"a": Tag { n: 1 }}"#);
    session.says("tag 10 a", r#"{"a": Tag { n: 11 }}"#);
    session.says("tag 5 b", r#"{"a": Tag { n: 11 }, "b": Tag { n: 5 }}"#);
    session.says("untag 0 b", r#"{"a": Tag { n: 11 }}"#);
    place.swap("three", "3.0.0");

    session.says("count 1", "counted 3");
    session.says("tag 100 c", r#"{"a": Tag { n: 11, loud: "A" }, "c": Tag { n: 100, loud: "C" }}"#);
}

#[test]
fn a_store_that_is_none_keeps_the_gateway_from_starting_and_is_named() {
    let builder = Gateway::builder().library_as(&version(None, "1.0.0"), FILE).toml(&service(free_port(), "carry"));
    let data = builder.scratch("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("store.sqlite"), "something else ".repeat(100)).unwrap();

    let failed = builder.start_in_vain();

    assert!(failed.log.contains("store.sqlite is no SQLite file"), "{}", failed.log);
}

const FILE: &str = "libtandem_ledger.so";

/// A version of the ledger with this number, in a file of its own.
fn version(feature: Option<&str>, number: &str) -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let library = ledger(feature);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let stamped = library.with_extension(format!("{made}.so"));
    stamp(&library, &stamped, number).unwrap();
    stamped
}

fn service(port: u16, policy: &str) -> String {
    format!("[service.ledger]\ncomponent = \"ledger\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\npolicy = \"{policy}\"\n")
}

struct Place {
    gateway: Gateway,
    port: u16,
}

impl Place {
    fn start(policy: &str) -> Self {
        let port = free_port();
        let builder = Gateway::builder().toml(&service(port, policy));
        let gateway = builder.library_as(&version(None, "1.0.0"), FILE).start();
        Place { gateway, port }
    }

    fn deploy(&self, feature: &str, number: &str) {
        self.gateway.deploy(&version(Some(feature), number), FILE);
    }

    fn swap(&self, feature: &str, number: &str) {
        self.deploy(feature, number);
        let reload = self.gateway.reload();
        assert!(reload.ok, "{reload:?}");
    }

    fn schema(&self) -> String {
        let output = self.gateway.tandem(&["status", "--schema"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn connect(&self) -> Line {
        Line(self.gateway.connect(self.port))
    }
}

struct Line(Client);

impl Line {
    #[track_caller]
    fn says(&mut self, line: &str, answer: &str) {
        self.0.send(format!("{line}\n").as_bytes()).unwrap();
        assert_eq!(self.0.line().unwrap(), answer, "to {line:?}");
    }
}
