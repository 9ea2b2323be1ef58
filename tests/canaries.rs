//! A new version is tried on a share of new sessions, always the same peers', beside the one that serves; it serves once it did no worse, and
//! is withdrawn where it does.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Output;

use socket2::{Domain, Socket, Type};
use support::{Client, Gateway, Version, asks, eventually, fixture, free_port, libraries, settled};

const FILE: &str = "libmisbehaving_turncoat.so";
const NAME: &str = "misbehaving-turncoat";

#[test]
fn a_canary_has_its_share_of_peers_and_always_the_same() {
    let mut place = Place::start("share = \"30%\"", "");
    let mut old: Vec<Line> = (1..=4).map(|n| place.line(n)).collect();
    old.iter_mut().for_each(|line| assert_eq!(line.says(), "1.0.0 1"));
    place.deploy("2.0.0");
    // Who was there before stays where he was.
    old.iter_mut().for_each(|line| assert_eq!(line.says(), "1.0.0 2"));
    let first = place.who();
    let share = first.values().filter(|version| *version == "2.0.0").count();
    assert!((30..=90).contains(&share), "{share} of {PEERS}, where 60 are a share of 30 %");
    assert_eq!(place.who(), first, "a peer is with its version");
    let canary = place.version("2.0.0");
    let reason = canary.reason.unwrap();
    assert!(canary.stage == "canary" && reason.starts_with("it takes 30 % of new sessions"), "{reason}");
    assert_eq!(place.version("1.0.0").stage, "active");

    // So it is after a reload, a restart and a crash.
    assert!(place.gateway.reload().ok);
    assert_eq!(place.who(), first);
    place.gateway.stop_and_start();
    assert_eq!(place.who(), first);
    place.gateway.kill_and_start();
    assert_eq!(place.who(), first);
    let mut old: Vec<Line> = (1..=4).map(|n| place.line(n)).collect();
    old.iter_mut().for_each(|line| drop(line.says()));

    assert!(place.tandem(&["promote", NAME]).status.success());
    assert!(place.who().values().all(|version| version == "2.0.0"));
    old.iter_mut().for_each(|line| assert_eq!(line.says(), "2.0.0 2"));
    place.gateway.stop_and_start();
    assert!(place.who().values().all(|version| version == "2.0.0"));
    // The next has other peers.
    place.deploy("3.0.0");
    let next: Vec<Ipv4Addr> =
        place.who().into_iter().filter(|(_, version)| version == "3.0.0").map(|one| one.0).collect();
    assert!(!next.is_empty() && next.iter().any(|peer| first[peer] != "2.0.0"), "{next:?}");
}

#[test]
fn one_that_is_withdrawn_gives_its_sessions_back_and_does_not_come_again() {
    let mut place = Place::start("share = \"100%\"", "");
    place.deploy("2.0.0");
    let mut line = place.line(1);
    assert_eq!(line.says(), "2.0.0 1");
    let withdrawn = place.tandem(&["rollback", NAME]);
    assert!(withdrawn.status.success(), "{withdrawn:?}");
    assert_eq!((line.says(), place.line(1).says()), ("1.0.0 2".into(), "1.0.0 1".into()));
    settled("withdrawn".to_owned(), || place.version("2.0.0").stage);
    assert!(place.version("2.0.0").reason.unwrap().contains("is held (by `tandem rollback`)"));
    let reload = place.gateway.reload();
    assert!(reload.ok && reload.file(FILE).reason.as_ref().unwrap().contains("is held"), "{reload:?}");
    assert_eq!(line.says(), "1.0.0 3");
    place.gateway.stop_and_start();
    assert_eq!((place.line(1).says(), place.version("2.0.0").stage), ("1.0.0 1".into(), "withdrawn".into()));
    // An operator changes his mind …
    assert!(place.tandem(&["promote", NAME]).status.success());
    assert_eq!((place.line(1).says(), place.version("2.0.0").stage), ("2.0.0 1".into(), "active".into()));
    assert!(place.tandem(&["rollback", NAME]).status.success());
    assert_eq!(place.line(1).says(), "1.0.0 1");
    // … or has another one tried, by which the one before is out of the directory, and nothing is held against it.
    place.deploy("2.0.1");
    assert_eq!(place.line(1).says(), "2.0.1 1");
    settled(true, || ["staged", "retired"].contains(&place.version("2.0.0").stage.as_str()));
}

#[test]
fn one_that_does_no_worse_serves_when_its_time_is_over() {
    let place = Place::start("share = \"50%\", for = \"1s\", samples = 20", "");
    place.deploy("2.0.0");
    eventually("it serves", || {
        assert!(place.who().values().all(|version| version == "1.0.0" || version == "2.0.0"));
        (place.version("2.0.0").stage == "active").then_some(())
    });
    assert!(place.who().values().all(|version| version == "2.0.0"));
}

#[test]
fn one_of_which_too_little_is_seen_waits_for_an_operator() {
    let place = Place::start("share = \"50%\", for = \"200ms\"", "");
    place.deploy("2.0.0");
    settled(1, || place.gateway.status().count("canary-undecided"));
    assert_eq!(place.version("2.0.0").stage, "canary");
    assert!(place.tandem(&["promote", NAME]).status.success());
    assert_eq!(place.version("2.0.0").stage, "active");
}

#[test]
fn one_that_does_worse_is_withdrawn_and_quarantined() {
    for how in ["fails", "slow", "panics"] {
        let mut place = Place::start("share = \"30%\", for = \"1h\"", how);
        let mut old: Vec<Line> = (1..=20).map(|n| place.line(n)).collect();
        place.deploy("2.0.0");
        let mut harmed = 0;
        eventually("it is withdrawn", || {
            let who = place.who();
            harmed += who.values().filter(|version| *version != "1.0.0").count();
            (place.version("2.0.0").stage != "canary").then_some(())
        });
        assert!(place.who().values().all(|version| version == "1.0.0"), "{how}");
        assert!(harmed < 6 * PEERS, "{harmed} of its share alone");
        old.iter_mut().for_each(|line| assert_eq!(line.says(), "1.0.0 1"));
        let status = place.gateway.status();
        assert_eq!((status.count("version-withdrawn"), status.count("version-quarantined")), (1, 1), "{how}");
        settled("quarantined".to_owned(), || place.version("2.0.0").stage);
        assert!(!place.gateway.reload().ok);
        place.gateway.kill_and_start();
        assert!(place.who().values().all(|version| version == "1.0.0"), "{how}");
        place.deploy("2.0.1");
        assert!(place.who().values().any(|version| version == "2.0.1"), "what is mended is tried");
    }
}

#[test]
fn accounts_that_are_named_have_it_once_they_have_said_who_they_are() {
    let place = Place::start("accounts = [\"acme\"]", "");
    place.deploy("2.0.0");
    assert!(place.who().values().all(|version| version == "1.0.0"));
    for (name, version) in [("acme", "2.0.0"), ("other", "1.0.0")] {
        let mut line = place.line(1);
        line.0.send(format!("am {name}\n").as_bytes()).unwrap();
        assert_eq!(line.0.line().unwrap(), "1.0.0 1");
        settled(version.to_owned(), || line.says().split(' ').next().unwrap().to_owned());
    }
    assert_eq!(place.gateway.status().count("authentication-failed"), 0);
}

const PEERS: usize = 200;

struct Place {
    gateway: Gateway,
    port: u16,
}

impl Place {
    /// With a canary so, of which the version 2.0.0 misbehaves.
    fn start(canary: &str, how: &str) -> Self {
        let port = free_port();
        let misbehaves = if how.is_empty() { String::new() } else { format!("\"2.0.0\" = \"{how}\"") };

        let secret = format!("secret = \"{}\"", support::SECRET);
        let text = format!(
            "workers = 2\n[service.it]\ncomponent = \"{NAME}\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
             [service.it.config]\nmisbehaves = {{ {misbehaves} }}\n\
             [component.{NAME}]\ncanary = {{ {canary} }}\n\
             [account.acme]\n{secret}\n[account.other]\n{secret}\n"
        );
        let builder = Gateway::builder().toml(&text);
        let first = builder.scratch("first.so");
        support::stamp(&fixture("turncoat"), &first, "1.0.0").unwrap();
        Place { gateway: builder.library_as(&first, FILE).start(), port }
    }

    fn deploy(&self, version: &str) {
        self.gateway.deploy_stamped(&fixture("turncoat"), version);
        let reload = self.gateway.reload();
        let file = reload.file(FILE);
        assert_eq!((reload.ok, file.outcome.as_str()), (true, "tried"), "{version}: {reload:?}");
    }

    /// Of the peer with this number.
    fn line(&self, peer: usize) -> Line {
        Line(Client::over(self.connect(address(peer))))
    }

    fn connect(&self, from: Ipv4Addr) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], self.port)).into()).unwrap();
        socket.into()
    }

    /// By which version each peer is answered; by none is nothing.
    fn who(&self) -> BTreeMap<Ipv4Addr, String> {
        let peers = (0..PEERS).map(|peer| {
            let mut line = self.line(peer);
            let said = line.0.send(b"line\n").and_then(|()| line.0.line()).unwrap_or_default();
            (address(peer), said.split(' ').next().unwrap_or_default().to_owned())
        });
        peers.collect()
    }

    fn tandem(&self, arguments: &[&str]) -> Output {
        self.gateway.tandem(arguments)
    }

    fn version(&self, number: &str) -> Version {
        let mut versions = self.gateway.status().versions.into_iter();
        versions.find(|one| one.number == number && one.component == NAME).unwrap()
    }
}

fn address(peer: usize) -> Ipv4Addr {
    let [.., high, low] = (peer + 2).to_be_bytes();
    Ipv4Addr::new(127, 0, high, low)
}

#[test]
fn requests_that_are_labelled_are_the_canarys_one_by_one() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
served_by = "x-served-by"
label = {{ header = "x-canary" }}
routes = [{{ path = "/", status = 200, body = "here" }}]
[component.http]
canary = {{ labels = ["yes", "beta-*"] }}
"#
        ))
        .start();
    try_beside(&gateway, &libraries().http, "libtandem_http.so");
    let mut client = gateway.connect(port);
    // On one connection, also where they come together.
    let cases =
        [("", false), ("yes", true), ("yes", true), ("no", false), ("beta-7", true), ("beta", false), ("yes", true)];
    let request = |(value, _): &(&str, bool)| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Canary: {value}\r\n\r\n");
    for together in [1, cases.len()] {
        for cases in cases.chunks(together) {
            client.send(cases.iter().map(request).collect::<String>().as_bytes()).unwrap();
            for (value, canary) in cases {
                let answer = client.answer("GET").unwrap();
                let served_by = answer.served_by();
                assert_eq!((answer.status, served_by == "1.0.1"), (200, *canary), "{value}: {served_by}");
            }
        }
    }
    assert_ne!(client.get("/").unwrap().served_by(), "1.0.1", "one without the field is nobody's");
    client.send(request(&("yes", true)).as_bytes()).unwrap();
    assert_eq!(client.answer("GET").unwrap().served_by(), "1.0.1");

    // Withdrawn, nothing is its any more, on the same connection.
    assert!(gateway.tandem(&["rollback", "http"]).status.success());
    client.send(request(&("yes", true)).as_bytes()).unwrap();
    assert_ne!(client.answer("GET").unwrap().served_by(), "1.0.1");
}

#[test]
fn requests_of_services_are_the_canarys_by_their_labels_and_accounts() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let port = free_port();
    let asks = asks(None);
    let gateway = Gateway::builder()
        .library_as(&asks, "libtandem_asks.so")
        .toml(&format!(
            "workers = 2\n[service.front]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
             [service.alone]\ncomponent = \"asks\"\n\
             [component.asks]\ncanary = {{ labels = [\"+49*\"], accounts = [\"acme\"] }}\n"
        ))
        .start();
    try_beside(&gateway, &asks, "libtandem_asks.so");
    let mut caller = gateway.connect(port);
    let mut says = |line: &str| {
        caller.send(format!("{line}\n").as_bytes()).unwrap();
        caller.line().unwrap().contains("@1.0.1#")
    };
    for _ in 0..4 {
        assert!(!says("ask alone version"));
        assert!(says("labelled +4917 alone version"));
        assert!(!says("labelled +4317 alone version"));
        assert!(says(&format!("for acme {TRACE} alone version")));
        assert!(!says(&format!("for bolt {TRACE} alone version")));
        // Who is asked by one that was asked for the account is the canary's as well.
        assert!(says(&format!("for acme {TRACE} alone pass alone version")));
    }
}

/// Has a new version be the canary.
#[track_caller]
fn try_beside(gateway: &Gateway, library: &Path, name: &str) {
    gateway.deploy_stamped_as(library, "1.0.1", name);
    let reload = gateway.reload();
    assert_eq!((reload.ok, reload.file(name).outcome.as_str()), (true, "tried"), "{reload:?}");
}

struct Line(Client);

impl Line {
    #[track_caller]
    fn says(&mut self) -> String {
        self.0.send(b"line\n").unwrap();
        self.0.line().unwrap()
    }
}
