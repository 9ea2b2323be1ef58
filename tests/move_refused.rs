//! A session that the newer version does not take over goes on where it is, and is moved once nothing is half done.

use support::{Client, Gateway, fixture, free_port, settled};

const COMPONENT: &str = "misbehaving-careless";

#[test]
fn a_renewing_session_whose_carrying_was_refused_is_renewed_at_its_next_boundary() {
    let (gateway, port) = start("renew");
    let mut client = gateway.connect(port);
    let mut say = |line: &str| say(&mut client, line);
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

    settled(vec!["0.1.0".to_owned()], || retired(&gateway));
    let status = gateway.status();
    let newer = status.versions.iter().find(|version| version.number == "2.0.0").expect("it serves");
    assert_eq!((newer.stage.as_str(), newer.sessions), ("active", 1));
    say("and on");
}

#[test]
fn a_session_whose_carrying_was_refused_is_carried_once_what_it_was_in_the_middle_of_is_over() {
    let (gateway, port) = start("carry");
    let mut at_once = gateway.connect(port);
    let mut later: Vec<Client> = (0..3).map(|_| gateway.connect(port)).collect();
    say(&mut at_once, "begin");
    later.iter_mut().for_each(|client| say(client, "begin"));

    gateway.swap(&fixture("careless"), "2.0.0");

    settled(4, || gateway.status().count("move-refused"));
    // With the event that ends it, not with another.
    say(&mut at_once, "end");
    settled(Some(1), || sessions(&gateway, "2.0.0"));
    // It is tried less and less often, and said but once, and still it is not too late.
    for (client, lines) in later.iter_mut().zip([1, 10, 300]) {
        (0..lines).for_each(|_| say(client, "in the middle"));
        say(client, "end");
        (0..64).for_each(|_| say(client, "the next exchange"));
    }
    settled(vec!["0.1.0".to_owned()], || retired(&gateway));
    assert_eq!((sessions(&gateway, "2.0.0"), gateway.status().count("move-refused")), (Some(4), 4));
}

fn say(client: &mut Client, line: &str) {
    client.send(format!("{line}\n").as_bytes()).unwrap();
    assert_eq!(client.read(line.len() + 1).unwrap(), format!("{line}\n").as_bytes());
}

fn sessions(gateway: &Gateway, number: &str) -> Option<u64> {
    let status = gateway.status();
    status.versions.iter().find(|version| version.number == number).map(|version| version.sessions)
}

fn retired(gateway: &Gateway) -> Vec<String> {
    gateway.status().numbers(COMPONENT, "retired").into_iter().map(str::to_owned).collect()
}

fn start(policy: &str) -> (Gateway, u16) {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            r#"
[service.careless]
component = "{COMPONENT}"
listen = ["tcp://127.0.0.1:{port}"]
policy = "{policy}"
[component.{COMPONENT}]
versions = {{ keep = 0 }}
"#
        ))
        .start();
    (gateway, port)
}
