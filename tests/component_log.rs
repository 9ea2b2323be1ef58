//! What a component logs, and where it panics, is in the gateway's log with component, version, service and session.

use support::{Gateway, eventually, fixture, free_port};

#[test]
fn a_component_logs_through_the_gateway_with_version_and_session() {
    let (gateway, port) = start();
    let mut client = gateway.connect(port);

    client.send(b"log\n").unwrap();
    assert_eq!(client.read(4).unwrap(), b"log\n");

    let line = eventually("the line is in the log", || line(&gateway, "as it was told"));
    for part in ["INFO", "version=misbehaving-careless@0.1.0#", "service=careless", "session=", "answer=42"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains("session=0"), "{line}");
}

#[test]
fn a_panic_says_where_and_ends_its_session_alone() {
    let (gateway, port) = start();
    let (mut other, mut client) = (gateway.connect(port), gateway.connect(port));

    client.send(b"panic\n").unwrap();
    assert_eq!(client.read(6).unwrap(), b"sorry\n", "its protocol's error");
    client.closed().unwrap();

    let line = eventually("the line is in the log", || line(&gateway, "panicked: as it was told"));
    for part in ["ERROR", "version=misbehaving-careless@0.1.0#", "careless/src/lib.rs:"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(gateway.status().notice("session-broken").is_some_and(|last| last.contains("as it was told")));
    other.send(b"still here\n").unwrap();
    assert_eq!(other.read(11).unwrap(), b"still here\n");
}

fn line(gateway: &Gateway, text: &str) -> Option<String> {
    gateway.log().lines().find(|line| line.contains(text)).map(str::to_owned)
}

fn start() -> (Gateway, u16) {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            "[service.careless]\ncomponent = \"misbehaving-careless\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n"
        ))
        .start();
    (gateway, port)
}
