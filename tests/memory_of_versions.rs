//! What a version has allocated is counted: shown while it is there, told where it has not freed it, and limited.

use std::time::Duration;

use support::{Client, Gateway, eventually, fixture, free_port, libraries, settled};

const CARELESS: &str = "misbehaving-careless";

#[test]
fn who_frees_everything_has_nothing_left_when_it_is_unloaded() {
    let (web, echo) = (free_port(), free_port());
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .library(&libraries().echo)
        .toml(&format!(
            r#"
workers = 2
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{web}"]
[service.web.config]
routes = [{{ path = "/", status = 200, body = "fixed" }}]
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{echo}"]
[component.http]
versions = {{ keep = 0 }}
[component.echo]
versions = {{ keep = 0 }}
"#
        ))
        .start();
    let mut clients: Vec<Client> = (0..8).map(|_| gateway.connect(web)).collect();
    let mut echoes: Vec<Client> = (0..8).map(|_| gateway.connect(echo)).collect();
    for number in ["1.0.0", "2.0.0", "3.0.0"] {
        for client in &mut clients {
            assert_eq!(client.get("/").unwrap().text(), "fixed");
        }
        for client in &mut echoes {
            client.send(b"hello").unwrap();
            assert_eq!(client.read(5).unwrap(), b"hello");
        }
        gateway.swap(&libraries().http, number);
        gateway.swap(&libraries().echo, number);
    }

    settled(2, || gateway.maps().len());
    let status = gateway.status();
    assert_eq!(status.notice("memory-leaked"), None, "{status:?}");
    assert_eq!(status.count("version-retired"), 6);
    for component in ["http", "echo"] {
        let serves = |version: &&support::Version| version.component == component && version.stage == "active";
        let version = status.versions.iter().find(serves).expect("it serves");
        assert!(version.memory.is_some_and(|bytes| (1..1 << 20).contains(&bytes)), "{version:?}");
    }
    let text = gateway.tandem(&["status"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("MEMORY"), "{text:?}");
}

#[test]
fn what_dependencies_leave_on_threads_is_freed_and_what_is_not_is_told_to_the_byte() {
    let (gateway, port) = start("");
    for (at, (act, leaked)) in
        [("random", None), ("channel", None), ("current", None), ("leak", Some(4321))].into_iter().enumerate()
    {
        let mut client = gateway.connect(port);
        say(&mut client, act);
        drop(client);
        let before = gateway.status().count("memory-leaked");
        gateway.swap(&fixture("careless"), &format!("1.{at}.0"));
        settled(1, || gateway.maps().len());
        let status = gateway.status();
        let told = status.notice("memory-leaked").filter(|_| status.count("memory-leaked") > before);
        let told = told.and_then(|told| told.split_once(": ")?.1.split_once(' ')?.0.parse().ok());
        assert_eq!(told, leaked, "{act}: {status:?}");
    }
}

#[test]
fn above_the_soft_limit_the_version_before_serves_again() {
    let (gateway, port) = start("memory = { soft = \"8MiB\" }");
    gateway.configure(|text| text.replace("keep = 0", "keep = 1"));
    gateway.swap(&fixture("careless"), "1.0.0");
    let mut client = gateway.connect(port);
    say(&mut client, "hoard");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(gateway.status().count("memory-above-soft"), 0);

    (0..8).for_each(|_| say(&mut client, "hoard"));

    settled(vec!["0.1.0".to_owned()], || numbers(&gateway, "active"));
    let status = gateway.status();
    assert!(status.notice("memory-above-soft").is_some_and(|told| told.contains("@1.0.0#")), "{status:?}");
    assert_eq!(status.count("version-quarantined"), 1);
    say(&mut client, "its session is carried");
    // Nobody uses it any more, so it goes, with what it has.
    settled(vec!["1.0.0".to_owned()], || numbers(&gateway, "quarantined"));
    assert_eq!(gateway.maps().len(), 1);
}

#[test]
fn at_the_hard_limit_the_session_is_lost_and_the_memory_of_the_process_is_not() {
    const HARD: u64 = 32 << 20;
    let (gateway, port) = start("memory = { hard = \"32MiB\" }");
    gateway.configure(|text| text.replace("keep = 0", "keep = 1"));
    gateway.swap(&fixture("careless"), "1.0.0");
    let mut clients: Vec<Client> = (0..16).map(|_| gateway.connect(port)).collect();
    clients.iter_mut().for_each(|client| say(client, "hello"));
    let before = gateway.rss();
    let mut hungry = clients.pop().expect("there are some");

    hungry.send(b"devour\n").unwrap();

    let told = eventually("it is told", || gateway.status().notice("memory-exhausted").map(str::to_owned));
    assert!(told.contains("service.careless misbehaving-careless@1.0.0#"), "{told}");
    let status = gateway.status();
    let version = status.versions.iter().find(|version| version.number == "1.0.0").expect("it is there");
    let bytes = version.memory.expect("it is counted");
    assert!((HARD / 2..=HARD + HARD / 16).contains(&bytes), "{version:?}");
    let grown = gateway.rss().saturating_sub(before);
    assert!(grown < 2 * HARD, "{grown}");
    // It costs the session that was hungry, and no other. The version before serves the new ones.
    clients.iter_mut().for_each(|client| say(client, "hello"));
    assert!(hungry.line().is_err(), "its session is over");
    settled(vec!["0.1.0".to_owned()], || numbers(&gateway, "active"));
    say(&mut gateway.connect(port), "hello");
    assert!(gateway.rss().saturating_sub(before) < 2 * HARD);
}

#[test]
fn limits_that_make_no_sense_and_a_start_that_takes_too_much_are_refused() {
    let (gateway, _) = start("");
    gateway.configure(|text| text.replace("keep = 0 }", "keep = 0 }\nmemory = { soft = \"2MB\", hard = \"1MB\" }"));
    let error = gateway.reload().error.expect("it is wrong");
    assert!(
        error.contains("component.misbehaving-careless.memory") && error.contains("soft is more than hard"),
        "{error}"
    );
    gateway.configure(|text| text.replace("soft = \"2MB\", hard = \"1MB\"", "hard = \"1B\""));
    gateway.deploy_stamped(&fixture("careless"), "1.0.0");
    let reload = gateway.reload();
    let file = reload.file("libmisbehaving_careless.so");
    assert!(file.reason.as_ref().is_some_and(|reason| reason.contains("by its start")), "{reload:?}");
}

fn start(more: &str) -> (Gateway, u16) {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            r#"
workers = 2
[service.careless]
component = "{CARELESS}"
listen = ["tcp://127.0.0.1:{port}"]
[component.{CARELESS}]
versions = {{ keep = 0 }}
{more}
"#
        ))
        .start();
    (gateway, port)
}

fn say(client: &mut Client, line: &str) {
    client.send(format!("{line}\n").as_bytes()).unwrap();
    assert_eq!(client.read(line.len() + 1).unwrap(), format!("{line}\n").as_bytes());
}

fn numbers(gateway: &Gateway, stage: &str) -> Vec<String> {
    gateway.status().numbers(CARELESS, stage).into_iter().map(str::to_owned).collect()
}
