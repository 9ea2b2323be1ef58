//! A component that does not come back from being stopped holds its library, and nothing else: the host says so and goes
//! on.

use std::fs;
use std::time::{Duration, Instant};

use support::{Gateway, eventually, fixture, free_port, settled};

const COMPONENT: &str = "misbehaving-careless";
/// How long a component gets to stop, and what a loaded machine may add.
const STOPPING: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(4);

#[test]
fn a_version_that_does_not_stop_lingers_until_it_has_while_others_follow() {
    let (gateway, port) = start();
    gateway.swap(&fixture("careless"), "1.0.0");

    let begun = Instant::now();
    gateway.swap(&fixture("careless"), "2.0.0");
    let mut client = gateway.connect(port);
    client.send(b"served\n").unwrap();
    assert_eq!(client.read(7).unwrap(), b"served\n");
    assert!(begun.elapsed() < STOPPING, "{:?}: nobody has waited for it", begun.elapsed());

    let lingering = ["1.0.0", "0.1.0"].map(|number| {
        eventually("it lingers", || {
            let status = gateway.status();
            let version = status.versions.into_iter().find(|version| version.number == number)?;
            (version.stage == "lingering").then_some(version)
        })
    });
    for version in &lingering {
        let reason = version.reason.as_deref().expect("what lingers has a reason");
        assert!(reason.starts_with("service.careless has not stopped within 5s"), "{reason}");
        let notice = format!("{}: {reason}", version.version);
        assert!(gateway.log().contains(&notice), "{notice}\n{}", gateway.log());
    }
    assert_eq!(gateway.status().count("version-lingering"), 2);
    assert_eq!(gateway.maps().len(), 3);

    // It comes back in the end.
    fs::write(gateway.scratch("stop"), "").unwrap();

    for number in ["0.1.0", "1.0.0"] {
        settled(Some("retired".to_owned()), || {
            let status = gateway.status();
            status.versions.into_iter().find(|version| version.number == number).map(|version| version.stage)
        });
    }
    assert_eq!(gateway.maps().len(), 1);
    client.send(b"served\n").unwrap();
    assert_eq!(client.read(7).unwrap(), b"served\n");
}

#[test]
fn a_version_that_serves_and_of_which_an_instance_does_not_stop_serves_on_and_says_so() {
    let (gateway, port) = start();
    gateway.configure(|text| text.replace("policy = \"renew\"", "policy = \"pin\""));
    assert!(gateway.reload().ok);

    let reason = eventually("it says so", || gateway.status().versions[0].reason.clone());
    assert!(reason.starts_with("service.careless has not stopped within 5s"), "{reason}");
    assert_eq!(gateway.status().numbers(COMPONENT, "active"), ["0.1.0"]);
    // Also once nothing else is left of it, and again when it comes back meanwhile.
    gateway.swap(&fixture("careless"), "1.0.0");
    settled(vec!["0.1.0".to_owned()], || numbers(&gateway, "lingering"));
    gateway.deploy(&fixture("careless"), "libmisbehaving_careless.so");
    assert!(gateway.reload().ok);
    assert_eq!(gateway.status().numbers(COMPONENT, "active"), ["0.1.0"]);

    fs::write(gateway.scratch("stop"), "").unwrap();

    settled(vec!["1.0.0".to_owned()], || numbers(&gateway, "retired"));
    settled(1, || gateway.maps().len());
    settled(None, || gateway.status().versions.into_iter().find(|one| one.number == "0.1.0").unwrap().reason);
    let mut client = gateway.connect(port);
    client.send(b"served\n").unwrap();
    assert_eq!(client.read(7).unwrap(), b"served\n");
}

#[test]
fn a_gateway_stops_also_where_its_component_does_not() {
    let (mut gateway, _port) = start();
    let status = gateway.stop(libc::SIGTERM, STOPPING + SLACK);
    assert_eq!(status.code(), Some(1), "{status}");
    let log = gateway.log();
    assert!(log.contains("misbehaving-careless@0.1.0#") && log.contains("service.careless has not stopped"), "{log}");
}

fn numbers(gateway: &Gateway, stage: &str) -> Vec<String> {
    gateway.status().numbers(COMPONENT, stage).into_iter().map(str::to_owned).collect()
}

/// One whose component does not stop before the file `stop` is there.
fn start() -> (Gateway, u16) {
    let port = free_port();
    let builder = Gateway::builder().library(&fixture("careless"));
    let stop = builder.scratch("stop");
    let gateway = builder
        .toml(&format!(
            r#"
workers = 2
shutdown = "1s"
[service.careless]
component = "{COMPONENT}"
listen = ["tcp://127.0.0.1:{port}"]
policy = "renew"
[service.careless.config]
stops_with = "{}"
[component.{COMPONENT}]
versions = {{ keep = 0 }}
"#,
            stop.display()
        ))
        .start();
    (gateway, port)
}
