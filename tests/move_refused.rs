//! A session that the newer version does not take over goes on where it is, and is renewed once nothing is half done.

use support::{Gateway, fixture, free_port, settled};

const COMPONENT: &str = "misbehaving-careless";

#[test]
fn a_renewing_session_whose_carrying_was_refused_is_renewed_at_its_next_boundary() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            r#"
[service.careless]
component = "{COMPONENT}"
listen = ["tcp://127.0.0.1:{port}"]
policy = "renew"
[component.{COMPONENT}]
versions = {{ keep = 0 }}
"#
        ))
        .start();
    let mut client = gateway.connect(port);
    let mut say = |line: &str| {
        client.send(format!("{line}\n").as_bytes()).unwrap();
        assert_eq!(client.read(line.len() + 1).unwrap(), format!("{line}\n").as_bytes());
    };
    say("begin");

    gateway.swap(&fixture("careless"), "2.0.0");
    // Told so by the swap, or by the next line: it is tried once.
    say("in the middle");

    settled(true, || {
        gateway.status().notice("move-refused").is_some_and(|last| last.contains("it is in the middle of something"))
    });
    assert_eq!(gateway.status().numbers(COMPONENT, "draining"), ["0.1.0"], "it goes on where it is");

    say("end");
    say("the next exchange");

    settled(vec!["0.1.0".to_owned()], || {
        gateway.status().numbers(COMPONENT, "retired").into_iter().map(str::to_owned).collect()
    });
    let status = gateway.status();
    let newer = status.versions.iter().find(|version| version.number == "2.0.0").expect("it serves");
    assert_eq!((newer.stage.as_str(), newer.sessions), ("active", 1));
    say("and on");
}
