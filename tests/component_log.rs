//! What a component logs, and where it panics, is in the gateway's log with component, version, service and session; in JSON, each
//! line of it is one object, whatever is said.

use serde_json::Value;
use support::{Builder, Gateway, PATIENCE, eventually, fixture, free_port};

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

#[test]
fn in_json_each_line_is_an_object_with_what_it_is_found_by() {
    let port = free_port();
    let mut gateway = builder(port).json().start();
    let mut client = gateway.connect(port);
    client.send(b"log in lines\n").unwrap();
    assert_eq!(client.line().unwrap(), "log in lines");
    client.send(b"panic in lines\n").unwrap();
    assert_eq!(client.line().unwrap(), "sorry");
    gateway.swap(&fixture("careless"), "0.2.0");
    gateway.swap(&fixture("careless"), "0.3.0");
    std::fs::write(gateway.components().join("libspoilt.so"), "none\nat \"all\"").unwrap();
    assert!(!gateway.reload().ok);
    gateway.configure(|text| text.replace("component = ", "colour = "));
    assert!(!gateway.reload().ok);
    assert!(gateway.stop(libc::SIGTERM, PATIENCE).success());
    // A start that comes to nothing is told in the same way, to the last line.
    let failed = Gateway::builder().json().toml("colour = 1").start_in_vain();
    assert_eq!(failed.status.code(), Some(1));

    let log = gateway.log() + &failed.log;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        let text = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("{key}: {line}"));
        assert!(text("timestamp").starts_with("20") && text("timestamp").ends_with('Z'), "{line}");
        assert!(["ERROR", "WARN", "INFO"].contains(&text("level")) && !text("target").is_empty(), "{line}");
        assert!(line["fields"]["message"].is_string(), "{line}");
    }
    let said = |key: &str, what: &str| -> Vec<&Value> {
        lines.iter().map(|line| &line["fields"]).filter(|fields| fields[key] == what).collect()
    };
    let of_component = |fields: &Value| {
        let version = fields["version"].as_str().is_some_and(|name| name.starts_with("misbehaving-careless@0.1.0#"));
        version && fields["service"] == "careless" && fields["session"].as_u64().is_some_and(|session| session > 0)
    };
    let logged = said("message", "as it was told,\nin lines");
    assert!(matches!(logged[..], [one] if of_component(one)), "{log}");
    let panicked = said("message", "panicked: as it was told, in \"two\" lines");
    assert!(matches!(panicked[..], [one] if of_component(one)), "{log}");
    let last = &lines.last().unwrap()["fields"]["message"];
    assert!(last.as_str().is_some_and(|text| text.contains("unknown field `colour`")), "{last}");
    for (notice, reason) in [
        ("version-active", "misbehaving-careless@0.3.0#"),
        ("session-broken", "in \"two\" lines"),
        ("version-refused", "libspoilt.so: it is not an ELF file"),
        ("reload-refused", "unknown field `colour`"),
    ] {
        let given = said("notice", notice);
        let says = |fields: &&Value| fields["message"].as_str().is_some_and(|message| message.contains(reason));
        assert!(given.iter().any(says), "{notice}: {given:?}");
    }
}

fn line(gateway: &Gateway, text: &str) -> Option<String> {
    gateway.log().lines().find(|line| line.contains(text)).map(str::to_owned)
}

fn start() -> (Gateway, u16) {
    let port = free_port();
    (builder(port).start(), port)
}

fn builder(port: u16) -> Builder {
    Gateway::builder().library(&fixture("careless")).toml(&format!(
        "[service.careless]\ncomponent = \"misbehaving-careless\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n"
    ))
}
