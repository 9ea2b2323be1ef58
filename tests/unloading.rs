//! A version whose sessions have ended is gone from memory, whatever its code has done on the gateway's threads; one
//! that is held says by what.

use std::time::{Duration, Instant};

use support::{Client, Gateway, eventually, fixture, free_port, settled};

#[test]
fn what_dependencies_leave_behind_does_not_keep_a_version_mapped() {
    let careless = fixture("careless");
    let (gateway, port) = start();
    for (at, act) in ["nothing", "panic", "thread-local", "current", "channel", "random"].into_iter().enumerate() {
        let (older, newer) = (format!("1.{at}.0"), format!("1.{at}.1"));
        gateway.swap(&careless, &older);
        // On every worker, whichever takes which connection.
        let mut clients: Vec<Client> = (0..16).map(|_| gateway.connect(port)).collect();
        for client in &mut clients {
            client.send(format!("{act}\n").as_bytes()).unwrap();
            if act == "panic" {
                assert_eq!(client.read(6).unwrap(), b"sorry\n");
                client.closed().unwrap();
            } else {
                assert_eq!(client.read(act.len() + 1).unwrap(), format!("{act}\n").as_bytes());
            }
        }
        gateway.swap(&careless, &newer);
        if act != "panic" {
            assert_eq!(stage(&gateway, &older), "draining", "{act}: its sessions are there");
            assert_eq!(gateway.maps().len(), 2, "{act}");
        }

        drop(clients);

        settled("retired".to_owned(), || stage(&gateway, &older));
        assert_eq!(gateway.maps().len(), 1, "{act}: {:?}", gateway.maps());
    }
}

#[test]
fn a_version_that_holds_itself_lingers_with_its_reason_while_the_next_one_serves() {
    let careless = fixture("careless");
    let (gateway, port) = start();
    let mut holder = gateway.connect(port);
    holder.send(b"thread\n").unwrap();
    assert_eq!(holder.read(7).unwrap(), b"thread\n");
    gateway.swap(&careless, "1.0.0");

    drop(holder);

    let reason = eventually("the older version lingers", || {
        let status = gateway.status();
        let version = status.versions.into_iter().find(|version| version.number == "0.1.0")?;
        (version.stage == "lingering").then_some(version.reason)
    });
    let reason = reason.expect("what lingers has a reason");
    assert!(reason.contains("thread"), "{reason}");
    assert_eq!(reason.lines().count(), 1, "{reason}");
    assert_eq!(gateway.maps().len(), 2);
    let notice = gateway.status().notice("version-lingering").expect("it is a notice").to_owned();
    assert!(notice.contains("misbehaving-careless@0.1.0#") && notice.contains(&reason), "{notice}");
    assert!(gateway.log().contains(&notice), "it is in the log");
    let mut client = gateway.connect(port);
    client.send(b"still here\n").unwrap();
    assert_eq!(client.read(11).unwrap(), b"still here\n");
}

#[test]
fn a_version_that_was_refused_after_it_had_started_and_stays_mapped_lingers_and_says_both() {
    let (careless, refuses) = (fixture("careless"), fixture("refuses"));
    let (gateway, port) = start();
    let other = free_port();
    gateway.configure(|text| {
        format!(
            r#"together = [["misbehaving-careless", "misbehaving-refuses"]]
{text}
[service.careless.config]
thread = true
[service.refuses]
component = "misbehaving-refuses"
listen = ["tcp://127.0.0.1:{other}"]
"#
        )
    });
    gateway.deploy_stamped(&careless, "1.0.0");
    gateway.deploy(&refuses, "librefuses.so");

    let reload = gateway.reload();

    assert!(!reload.ok, "{reload:?}");
    let reason = eventually("it lingers", || {
        let status = gateway.status();
        let version = status.versions.into_iter().find(|version| version.number == "1.0.0")?;
        (version.stage == "lingering").then_some(version.reason)
    });
    let reason = reason.expect("what lingers has a reason");
    assert!(reason.contains("thread") && reason.contains("it was refused: it changes together"), "{reason}");
    gateway.reload();
    assert_eq!(stage(&gateway, "1.0.0"), "lingering", "it still is, whatever was tried again");
    let mut client = gateway.connect(port);
    client.send(b"still here\n").unwrap();
    assert_eq!(client.read(11).unwrap(), b"still here\n");
}

#[test]
fn a_version_that_lingers_serves_again_when_its_file_comes_back() {
    let careless = fixture("careless");
    let (gateway, port) = start();
    let mut holder = gateway.connect(port);
    holder.send(b"thread\n").unwrap();
    assert_eq!(holder.read(7).unwrap(), b"thread\n");
    gateway.swap(&careless, "1.0.0");
    drop(holder);
    settled("lingering".to_owned(), || stage(&gateway, "0.1.0"));

    gateway.deploy(&careless, "libmisbehaving_careless.so");
    let reload = gateway.reload();

    assert_eq!(reload.file("libmisbehaving_careless.so").outcome, "loaded", "{reload:?}");
    assert_eq!(stage(&gateway, "0.1.0"), "active");
    // What lingers is looked at again and again meanwhile.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        let status = gateway.status();
        let version = status.versions.iter().find(|version| version.number == "0.1.0").unwrap();
        assert!(version.stage == "active" && version.reason.as_ref().is_some_and(|why| why.contains("thread")));
        assert_eq!(status.count("version-lingering"), 1, "it is no news");
    }
    let mut client = gateway.connect(port);
    client.send(b"here\n").unwrap();
    assert_eq!(client.read(5).unwrap(), b"here\n");
    drop(client);

    gateway.swap(&careless, "2.0.0");

    settled("lingering".to_owned(), || stage(&gateway, "0.1.0"));
    settled(2, || gateway.maps().len());
}

/// Sessions stay with their version, so that the test decides when it is left.
fn start() -> (Gateway, u16) {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            r#"
workers = 2
[service.careless]
component = "misbehaving-careless"
listen = ["tcp://127.0.0.1:{port}"]
policy = "pin"
[component.misbehaving-careless]
versions = {{ keep = 0 }}
"#
        ))
        .start();
    (gateway, port)
}

fn stage(gateway: &Gateway, number: &str) -> String {
    let status = gateway.status();
    let version = status.versions.iter().find(|version| version.number == number);
    version.map_or_else(|| "forgotten".to_owned(), |version| version.stage.clone())
}
