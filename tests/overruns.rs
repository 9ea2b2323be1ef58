//! An event that takes too long is said while it runs: whose it is, and what it is about.

use std::fs;
use std::time::{Duration, Instant};

use support::{Gateway, eventually, fixture, free_port, settled};

#[test]
fn an_event_that_takes_too_long_is_said_once_while_it_runs_and_counts_against_its_version() {
    let port = free_port();
    let builder = Gateway::builder().library(&fixture("careless"));
    let comes_back = builder.scratch("comes back");
    let gateway = builder
        .toml(&format!(
            r#"
workers = 1
overrun = {{ report = "50ms", abandon = "1h" }}
[service.careless]
component = "misbehaving-careless"
listen = ["tcp://127.0.0.1:{port}"]
config = {{ comes_back_with = "{}" }}
"#,
            comes_back.display()
        ))
        .start();
    let mut client = gateway.connect(port);
    for round in 1..=2 {
        client.send(b"hold\n").unwrap();

        let reason = eventually("it is said", || {
            let status = gateway.status();
            (status.count("event-overrun") == round).then(|| status.notice("event-overrun").unwrap().to_owned())
        });

        // What its thread waits for a processor does not count.
        let version = &gateway.status().versions[0];
        settled(round, || gateway.status().versions[0].overruns);
        let begins = format!("service.careless {} session ", version.version);
        assert!(reason.starts_with(&begins) && reason.contains(": it is in the event `bytes` for "), "{reason}");
        assert!(gateway.log().contains(&reason));
        fs::write(&comes_back, "").unwrap();
        assert_eq!(client.read(5).unwrap(), b"hold\n", "and it comes back");
        fs::remove_file(&comes_back).unwrap();
        // Also where it is quick, it is not said again.
        client.send(b"quick\n").unwrap();
        assert_eq!(client.read(6).unwrap(), b"quick\n");
        settled(round, || gateway.status().count("event-overrun"));
    }
}

/// A session whose events take too long, many of them on their way, has one at a time.
#[test]
fn others_have_their_turns_between_events_that_take_too_long() {
    const NAPS: usize = 60;
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            r#"
workers = 1
overrun = {{ report = "20ms", abandon = "1h" }}
[component.misbehaving-careless]
rollback = {{ failures = 0 }}
[service.careless]
component = "misbehaving-careless"
listen = ["tcp://127.0.0.1:{port}"]
"#
        ))
        .start();
    let (mut sleepy, mut awake) = (gateway.connect(port), gateway.connect(port));
    awake.send(b"quick\n").unwrap();
    assert_eq!(awake.read(6).unwrap(), b"quick\n");
    sleepy.send(&b"nap\n".repeat(NAPS)).unwrap();
    assert_eq!(sleepy.read(4).unwrap(), b"nap\n");
    awake.send(b"quick\n").unwrap();
    assert_eq!(awake.read(6).unwrap(), b"quick\n");
    let answered = Instant::now();
    sleepy.read(4 * (NAPS - 1)).unwrap();
    assert!(Instant::now() > answered + Duration::from_secs(1), "it had to wait for all of them, or nearly");
}
