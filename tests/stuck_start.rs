//! A component that passes its examination and then does not come back from its start is refused, and holds its library until it
//! has. The host waits for it as long as for an examination, and goes on.

use std::fs;
use std::path::PathBuf;
use std::thread;

use support::{Client, Gateway, PATIENCE, Reload, Version, asks, eventually, fixture, free_port, settled};

const HOLDS: &str = "misbehaving-holds";
const FILE: &str = "libmisbehaving_holds.so";
const NOT_STARTED: &str = "it has not started within 5s, which examination.limit allows";
const NOT_BACK: &str = "has not come back from its start within 5s; it stays mapped until it has";
const EARLIER: &str = "an earlier start of it has not come back";

#[test]
fn a_version_that_does_not_start_is_refused_and_lingers_until_it_has_while_all_others_serve() {
    let place = Place::start();
    let gateway = &place.gateway;
    gateway.swap(&fixture("holds"), "1.0.0");
    let mut there = gateway.connect(place.lines);
    says(&mut there, "before", "1.0.0 before");
    let mut front = gateway.connect(place.front);
    place.holds_starts();
    gateway.deploy_stamped(&fixture("holds"), "2.0.0");

    let refused = thread::scope(|scope| {
        let reload = scope.spawn(|| gateway.reload());
        place.is_held(1);
        says(&mut there, "meanwhile", "1.0.0 meanwhile");
        says(&mut front, "ask called meanwhile", "1.0.0 meanwhile");
        says(&mut gateway.connect(place.lines), "as new", "1.0.0 as new");
        reload.join().unwrap()
    });

    let told = format!("service `called`: {NOT_STARTED}");
    refuses(&refused, &told);
    place.lingers("2.0.0", &format!("service.called {NOT_BACK}; it was refused: {told}"));
    let status = gateway.status();
    assert_eq!((status.count("version-refused"), status.count("version-lingering")), (1, 1));
    assert_eq!(gateway.maps().len(), 4, "1.0.0, 0.1.0 that is kept, 2.0.0, asks");

    // The next reload does not wait for another one.
    refuses(&gateway.reload(), &format!("service `called`: {EARLIER}"));
    place.is_held(1);
    assert_eq!(gateway.maps().len(), 4);
    // The way back is there, and so is the way on.
    let rolled = gateway.tandem(&["rollback", HOLDS]);
    assert!(rolled.status.success(), "{rolled:?}");
    says(&mut there, "rolled back", "0.1.0 rolled back");
    fs::remove_file(&place.starts_without).unwrap();
    gateway.swap(&fixture("holds"), "3.0.0");
    says(&mut there, "swapped", "3.0.0 swapped");
    place.lingers("2.0.0", &format!("service.called {NOT_BACK}"));

    place.come_back();

    settled(Some("refused".to_owned()), || place.version("2.0.0").map(|version| version.stage));
    settled(3, || gateway.maps().len());
    says(&mut there, "at last", "3.0.0 at last");
    says(&mut front, "ask called as well", "3.0.0 as well");
}

#[test]
fn a_configuration_with_which_the_version_that_serves_does_not_start_is_refused_and_another_is_not() {
    let place = Place::start();
    let gateway = &place.gateway;
    let mut there = gateway.connect(place.lines);
    says(&mut there, "before", "0.1.0 before");
    place.holds_starts();
    gateway.configure(|text| text.replace("policy = \"carry\"", "policy = \"pin\""));

    let refused = gateway.reload();

    let error = refused.error.expect("the configuration is refused");
    assert!(error.contains("service.lines.config") && error.contains(NOT_STARTED), "{error}");
    says(&mut there, "after", "0.1.0 after");
    let serves = place.version("0.1.0").unwrap();
    let told = format!("service.lines {NOT_BACK}");
    assert_eq!((serves.stage.as_str(), serves.reason.as_deref()), ("active", Some(told.as_str())));
    let earlier = gateway.reload().error.expect("it is refused again");
    assert!(earlier.contains(EARLIER), "{earlier}");
    place.is_held(1);

    fs::remove_file(&place.starts_without).unwrap();
    gateway.configure(|text| text.replace("policy = \"pin\"", "policy = \"renew\""));
    let reload = gateway.reload();
    assert!(reload.ok, "{reload:?}");
    says(&mut there, "with another", "0.1.0 with another");

    place.come_back();

    settled(None, || place.version("0.1.0").unwrap().reason);
    gateway.configure(|text| text.replace("policy = \"renew\"", "policy = \"pin\""));
    let reload = gateway.reload();
    assert!(reload.ok, "{reload:?}");
    says(&mut gateway.connect(place.lines), "with the first", "0.1.0 with the first");
}

#[test]
fn what_was_refused_so_is_tried_again_and_nobody_waits_for_it_at_the_end() {
    let mut place = Place::start();
    place.holds_starts();
    place.gateway.deploy_stamped(&fixture("holds"), "1.0.0");
    refuses(&place.gateway.reload(), &format!("service `called`: {NOT_STARTED}"));

    fs::remove_file(&place.starts_without).unwrap();
    place.come_back();
    settled(Some("refused".to_owned()), || place.version("1.0.0").map(|version| version.stage));
    assert_eq!(place.gateway.maps().len(), 2);
    let reload = place.gateway.reload();
    assert!(reload.ok, "{reload:?}");
    says(&mut place.gateway.connect(place.lines), "hello", "1.0.0 hello");

    fs::remove_file(&place.comes_back).unwrap();
    place.holds_starts();
    place.gateway.deploy_stamped(&fixture("holds"), "2.0.0");
    refuses(&place.gateway.reload(), &format!("service `called`: {NOT_STARTED}"));
    let status = place.gateway.stop(libc::SIGTERM, PATIENCE);
    assert!(status.success(), "{status}\n{}", place.gateway.log());
}

#[test]
fn a_gateway_that_has_nothing_else_to_serve_ends() {
    let builder = Gateway::builder().library(&fixture("holds"));
    let (comes_back, starts_without) = (builder.scratch("comes back"), builder.scratch("starts without"));
    fs::write(&starts_without, "").unwrap();
    let text = format!(
        r#"
[service.lines]
component = "{HOLDS}"
listen = ["tcp://127.0.0.1:{}"]
config = {{ comes_back_with = {comes_back:?}, starts_without = {starts_without:?} }}
"#,
        free_port()
    );
    let failed = builder.toml(&text).start_in_vain();
    assert!(!failed.status.success() && failed.log.contains(NOT_STARTED), "{}\n{}", failed.status, failed.log);
}

/// A component for two services, and one that asks the second.
struct Place {
    gateway: Gateway,
    lines: u16,
    front: u16,
    /// What is held comes back once this is there.
    comes_back: PathBuf,
    /// It is held as it is started while this is there.
    starts_without: PathBuf,
}

impl Place {
    fn start() -> Self {
        let (lines, front) = (free_port(), free_port());
        let builder = Gateway::builder().library(&fixture("holds")).library_as(&asks(None), "libtandem_asks.so");
        let (comes_back, starts_without) = (builder.scratch("comes back"), builder.scratch("starts without"));
        let config = format!("comes_back_with = {comes_back:?}, starts_without = {starts_without:?}");
        let text = format!(
            r#"
workers = 1
shutdown = "1s"
[service.lines]
component = "{HOLDS}"
listen = ["tcp://127.0.0.1:{lines}"]
policy = "carry"
config = {{ {config} }}
[service.called]
component = "{HOLDS}"
config = {{ {config} }}
[service.front]
component = "asks"
listen = ["tcp://127.0.0.1:{front}"]
"#
        );
        let gateway = builder.toml(&text).start();
        Place { gateway, lines, front, comes_back, starts_without }
    }

    fn holds_starts(&self) {
        fs::write(&self.starts_without, "").unwrap();
    }

    fn come_back(&self) {
        fs::write(&self.comes_back, "").unwrap();
    }

    /// So many starts are held, or were.
    fn is_held(&self, times: usize) {
        settled(times, || self.gateway.log().matches("holds its thread").count());
    }

    fn version(&self, number: &str) -> Option<Version> {
        let status = self.gateway.status();
        status.versions.into_iter().find(|one| one.component == HOLDS && one.number == number)
    }

    fn lingers(&self, number: &str, reason: &str) {
        let version = eventually("it is known", || self.version(number));
        let said = version.reason.as_deref().unwrap_or_default();
        assert!(version.stage == "lingering" && said.starts_with(reason), "{version:?}");
    }
}

#[track_caller]
fn refuses(reload: &Reload, reason: &str) {
    let file = reload.file(FILE);
    let said = file.reason.as_deref().unwrap_or_default();
    assert!(!reload.ok && file.outcome == "refused" && said.starts_with(reason), "{reload:?}");
}

#[track_caller]
fn says(client: &mut Client, line: &str, answer: &str) {
    client.send(format!("{line}\n").as_bytes()).unwrap();
    assert_eq!(client.line().unwrap(), answer, "to {line:?}");
}
