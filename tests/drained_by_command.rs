//! `tandem drain`: the sessions of a version leave it when an operator says so, and the operator is told what became of them.

use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::esme::UNBIND;
use support::{Client, Drained, Esme, Gateway, Smsc, fixture, free_port, libraries, settled};

const CARELESS: &str = "misbehaving-careless";

#[test]
fn who_can_move_does_and_the_others_say_goodbye() {
    let (gateway, port) = start("carry", 0);
    let mut clients: Vec<Client> = (0..6).map(|_| gateway.connect(port)).collect();
    let (free, busy) = clients.split_at_mut(3);
    free.iter_mut().for_each(|client| say(client, "hello"));
    busy.iter_mut().for_each(|client| say(client, "begin"));
    gateway.swap(&fixture("careless"), "2.0.0");
    // The last is at a boundary again, and has not had the event after which it is tried the next time.
    settled(3, || gateway.status().count("move-refused"));
    (0..3).for_each(|_| say(&mut busy[2], "on and on"));
    say(&mut busy[2], "end");
    assert_eq!(sessions(&gateway, "0.1.0"), 3);

    let drained = drain(&gateway, &["misbehaving-careless@0.1.0"]);

    assert_eq!((drained.moved, drained.told, drained.overdue, drained.remaining), (1, 2, 0, 0), "{drained:?}");
    assert_eq!(drained.stage, "retired", "{drained:?}");
    busy[..2].iter_mut().for_each(|client| client.closed().expect("its goodbye is a close in order"));
    free.iter_mut().for_each(|client| say(client, "still here"));
    say(&mut busy[2], "here as well");
    assert_eq!((gateway.maps().len(), sessions(&gateway, "2.0.0")), (1, 4));
    let status = gateway.status();
    let notice = status.notice("version-drained").expect("it is a notice");
    assert!(notice.contains("1 moved, 2 told goodbye; it is retired"), "{notice}");
}

#[test]
fn pinned_sessions_are_told_so_many_a_second_and_one_that_says_nothing_is_ended_in_time() {
    const BINDS: usize = 12;
    let smsc = Smsc::start("pin", &["acme"], Duration::from_millis(50));
    smsc.gateway.configure(|text| text.replace("timers.receipts", "unnamed.max_binds = 20\ntimers.receipts"));
    assert!(smsc.gateway.reload().ok);
    let mut esmes: Vec<Esme> = (0..BINDS).map(|_| Esme::bound(smsc.port, "acme")).collect();
    let mut silent = esmes.pop().expect("there are some");
    let number = smsc.gateway.status().numbers("smpp", "active")[0].to_owned();
    smsc.gateway.swap(&libraries().smpp, "9.0.0");
    let mut new = Esme::bound(smsc.port, "acme");

    let asked: Vec<_> = esmes
        .into_iter()
        .map(|mut esme| {
            thread::spawn(move || {
                let unbind = esme.take().unwrap();
                assert_eq!(unbind.command, UNBIND, "{unbind:?}");
                let at = Instant::now();
                esme.answer(&unbind).unwrap();
                esme.closed().unwrap();
                at
            })
        })
        .collect();
    let drained = drain(&smsc.gateway, &[&format!("smpp@{number}"), "--within", "10s", "--rate", "6/s"]);

    assert_eq!((drained.moved, drained.told, drained.overdue), (0, BINDS as u64, 1), "{drained:?}");
    assert_eq!((drained.remaining, drained.left), (0, 0), "{drained:?}");
    assert!(drained.findings.is_empty() && drained.took_ms >= 9_900, "{drained:?}: the silent one has its time");
    let mut times: Vec<Instant> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
    times.sort_unstable();
    // One worker tells three a second. Of eleven it has six at least.
    assert!(times[times.len() - 1] - times[0] >= Duration::from_secs(1), "{times:?}");
    assert_eq!(silent.take().unwrap().command, UNBIND);
    silent.closed().expect("it is ended in order");
    new.submit("still bound").unwrap();
    assert_eq!(new.response().unwrap().status, 0, "whoever runs the new version stays");
}

#[test]
fn a_rate_that_would_take_longer_than_there_is_gives_way_and_that_is_said() {
    let (gateway, port) = start("pin", 1);
    let mut clients: Vec<Client> = (0..40).map(|_| gateway.connect(port)).collect();
    clients.iter_mut().for_each(|client| say(client, "hello"));
    gateway.swap(&fixture("careless"), "2.0.0");

    let drained = drain(&gateway, &["misbehaving-careless@0.1.0", "--within", "4s", "--rate", "1/m"]);

    assert_eq!((drained.told, drained.overdue, drained.remaining), (40, 0, 0), "{drained:?}");
    assert!(drained.findings[0].contains("told faster"), "{drained:?}");
    assert_eq!(drained.stage, "staged", "it is kept for a way back: {drained:?}");
    clients.iter_mut().for_each(|client| client.closed().expect("its goodbye is a close in order"));
}

#[test]
fn a_worker_that_is_taken_over_meanwhile_tells_and_counts_each_session_once() {
    let port = free_port();
    let builder = Gateway::builder().library(&fixture("holds"));
    let comes_back = builder.scratch("comes back");
    let gateway = builder
        .toml(&format!(
            r#"
workers = 1
[service.lines]
component = "misbehaving-holds"
listen = ["tcp://127.0.0.1:{port}"]
policy = "pin"
config = {{ comes_back_with = {comes_back:?} }}
[component.misbehaving-holds]
versions = {{ keep = 0 }}
rollback = {{ failures = 1000 }}
"#
        ))
        .start();
    let mut clients: Vec<Client> = (0..5).map(|_| gateway.connect(port)).collect();
    for client in &mut clients {
        client.send(b"stay\n").unwrap();
        assert_eq!(client.line().unwrap(), "0.1.0 stay");
    }
    gateway.swap(&fixture("holds"), "2.0.0");
    let mut held = gateway.connect(port);
    let arguments = ["drain", "misbehaving-holds@0.1.0", "--within", "20s", "--rate", "2/s", "--json"];
    let asks = gateway.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();

    // Some were told, and some not.
    assert_eq!(clients[0].line().unwrap(), "goodbye");
    held.send(b"hold\n").unwrap();
    for client in &mut clients[1..] {
        assert_eq!(client.line().unwrap(), "goodbye");
    }
    held.closed().unwrap();
    assert_eq!(gateway.status().count("worker-taken-over"), 1);
    // All are there still; none of them is told again as it goes.
    for client in &mut clients {
        client.finish().unwrap();
        client.closed().unwrap();
    }

    let output = asks.wait_with_output().unwrap();
    let drained: Drained = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!((drained.moved, drained.told, drained.left, drained.overdue), (0, 5, 0, 0), "{drained:?}");
    assert_eq!((drained.remaining, drained.stage.as_str()), (0, "retired"), "{drained:?}");
    assert!(drained.findings.is_empty(), "{drained:?}");
}

#[test]
fn what_cannot_be_drained_is_refused_with_the_reason() {
    let (gateway, port) = start("pin", 0);
    let mut client = gateway.connect(port);
    say(&mut client, "hello");
    gateway.swap(&fixture("careless"), "2.0.0");
    let refused = |arguments: &[&str], reason: &str| {
        let output = command(&gateway, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(reason), "{arguments:?}: {said}");
        assert!(!output.status.success(), "{arguments:?}");
    };

    refused(&["misbehaving-careless@2.0.0"], "serves service.careless: have another version serve first");
    refused(&["misbehaving-careless@3.0.0"], "no version misbehaving-careless@3.0.0 is known");
    refused(&["nothing@3.0.0"], "no version nothing@3.0.0 is known");
    refused(&[CARELESS], "say which of its versions, as in misbehaving-careless@1.2.0");
    refused(&["misbehaving-careless@0.1.0", "--rate", "100"], "one is written 100/s or 30/m");
    refused(&["misbehaving-careless@0.1.0", "--within", "48h"], "24 hours at most");
    assert_eq!(sessions(&gateway, "0.1.0"), 1, "nothing has happened to it");

    // Another build with the number of the one that has the session.
    let builds = gateway.scratch("a-few-bytes-more.so");
    let mut content = std::fs::read(fixture("careless")).unwrap();
    content.extend(b"and no other code");
    std::fs::write(&builds, content).unwrap();
    gateway.deploy(&builds, "libother.so");
    assert!(gateway.reload().ok);
    refused(&["misbehaving-careless@0.1.0"], "name it with its digest");
    let status = gateway.status();
    let held = status.versions.iter().find(|version| version.number == "0.1.0" && version.sessions == 1).unwrap();
    let drained = drain(&gateway, &[&held.version]);
    assert_eq!((drained.told, drained.version.as_str()), (1, held.version.as_str()));
    client.closed().expect("its goodbye is a close in order");
    refused(&[&held.version], "is retired: nothing runs on it");
}

#[test]
fn a_client_that_is_gone_and_a_stop_meanwhile_are_nobodys_trouble() {
    let smsc = Smsc::start("pin", &["acme"], Duration::from_millis(50));
    let mut gateway = smsc.gateway;
    let mut esme = Esme::bound(smsc.port, "acme");
    let number = gateway.status().numbers("smpp", "active")[0].to_owned();
    gateway.swap(&libraries().smpp, "9.0.0");
    let mut asks = gateway.command(&["drain", &format!("smpp@{number}"), "--within", "1h"]).spawn().unwrap();
    assert_eq!(esme.take().unwrap().command, UNBIND);
    asks.kill().unwrap();
    asks.wait().unwrap();

    assert_eq!(sessions(&gateway, &number), 1, "it has its hour");
    assert!(gateway.stop(libc::SIGTERM, Duration::from_secs(20)).success());
}

fn drain(gateway: &Gateway, arguments: &[&str]) -> Drained {
    let output = command(gateway, &[arguments, &["--json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn command(gateway: &Gateway, arguments: &[&str]) -> Output {
    gateway.tandem(&[&["drain"], arguments].concat())
}

fn say(client: &mut Client, line: &str) {
    client.send(format!("{line}\n").as_bytes()).unwrap();
    assert_eq!(client.read(line.len() + 1).unwrap(), format!("{line}\n").as_bytes());
}

fn sessions(gateway: &Gateway, number: &str) -> u64 {
    let status = gateway.status();
    status.versions.iter().filter(|version| version.number == number).map(|version| version.sessions).sum()
}

fn start(policy: &str, keep: usize) -> (Gateway, u16) {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            r#"
workers = 2
[service.careless]
component = "{CARELESS}"
listen = ["tcp://127.0.0.1:{port}"]
policy = "{policy}"
[component.{CARELESS}]
versions = {{ keep = {keep} }}
"#
        ))
        .start();
    (gateway, port)
}
