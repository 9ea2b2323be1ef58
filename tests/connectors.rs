//! A service keeps connections: they are made at the start and again when they are lost, at a bounded rate; reloads add and
//! take away, and swaps are not seen on them.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use support::{
    Builder, Connection, Gateway, PATIENCE, eventually, fixture, free_port, limit_descriptors, loopback,
    processor_time, settled,
};

const QUICK: &str = "reconnect = { from = \"50ms\", to = \"200ms\" }";

#[test]
fn it_is_made_at_the_start_and_its_session_is_a_client() {
    let server = Server::start();
    let gateway = calling(&[&server.address()], "").start();

    let mut peer = server.accept();

    let hello = peer.line();
    let words: Vec<&str> = hello.split(' ').collect();
    let ends = [loopback(server.port).to_string(), peer.name.clone()];
    assert_eq!(words[..5], ["hello", "Client", "Tcp", &ends[0], &ends[1]], "{hello}");
    settled(("up".to_owned(), true, None), || {
        let connection = only(&gateway);
        (connection.stage, connection.up_since.is_some(), connection.reason)
    });
    let text = said(&gateway, "status");
    assert!(text.contains(&format!("    {} ", server.address())) && text.contains("  up since 20"), "{text}");
    assert!(gateway.status().notice("connector-up").is_some_and(|last| last.contains(&server.address())));
    assert!(said(&gateway, "check").starts_with("right: 1 services"));
}

#[test]
fn over_a_unix_socket_as_well() {
    let builder = Gateway::builder();
    let path = builder.scratch("peer.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let address = format!("unix://{}", path.display());
    let gateway = calls(builder, &[&address], QUICK).start();

    let mut peer = accept_unix(&listener);
    assert!(peer.line().starts_with("hello Client Unix unix unix "));
    drop((peer, listener));
    settled(true, || only(&gateway).reason.is_some_and(|reason| reason.contains("Connection refused")));

    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let mut peer = accept_unix(&listener);
    assert!(peer.line().starts_with("hello Client Unix"));
}

#[test]
fn however_its_session_ends_it_is_made_again() {
    let server = Server::start();
    let gateway = calling(&[&server.address()], QUICK).start();
    let ends = [
        ("close", "the component closed it"),
        ("abort", "the component closed it"),
        ("panic", "it panicked: as it was told"),
        ("give up", "it gave up: as it was told"),
    ];
    for (end, reason) in ends {
        let mut peer = server.accept();
        assert!(peer.line().starts_with("hello"));
        peer.say(end);
        peer.ended();
        drop(peer);
        settled(true, || only(&gateway).reason.is_some_and(|last| last.contains(reason)));
    }
    drop(server.accept());
    settled(true, || {
        let reason = only(&gateway).reason;
        reason.is_some_and(|last| last.contains("the peer closed it") || last.contains("the connection was lost"))
    });
    assert!(server.accept().line().starts_with("hello"));
}

#[test]
fn while_nobody_listens_it_waits_at_rest_and_says_so_once() {
    let port = free_port();
    let address = format!("tcp://127.0.0.1:{port}");
    let gateway = calling(&[&address], "reconnect = { from = \"20ms\", to = \"500ms\" }").start();
    settled(true, || only(&gateway).reason.is_some_and(|reason| reason.contains("Connection refused")));
    let before = processor_time(gateway.pid());
    thread::sleep(Duration::from_secs(2));
    let busy = processor_time(gateway.pid()) - before;
    assert!(busy < Duration::from_millis(500), "{busy:?} of two seconds");
    assert_eq!(gateway.status().count("connector-down"), 1);
    let text = eventually("it is down", || Some(said(&gateway, "status")).filter(|text| text.contains("  down, next")));
    assert!(text.contains("s: Connection refused"), "{text}");

    let server = Server::on(port);
    assert!(server.accept().line().starts_with("hello"));
    assert!(gateway.status().notice("connector-down").is_some_and(|last| last.contains("the next try is in")));
}

#[test]
fn a_server_that_accepts_and_closes_at_once_does_not_make_it_spin() {
    let server = Server::start();
    let gateway = calling(&[&server.address()], "reconnect = { from = \"20ms\", to = \"10s\" }").start();
    let (begun, before) = (Instant::now(), processor_time(gateway.pid()));
    let mut tries = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        tries += usize::from(server.accept_within(Duration::from_millis(50)).is_some());
    }
    let busy = processor_time(gateway.pid()) - before;
    // Of waits that do not grow there would be a hundred.
    assert!((3..=30).contains(&tries), "{tries} tries");
    assert!(busy < Duration::from_secs(1), "{busy:?} of three seconds");
    let status = gateway.status();
    assert!((1..=2).contains(&status.count("connector-down")), "{:?}", status.notices);
    assert_eq!(status.count("connector-up"), 1, "{:?}", status.notices);
}

#[test]
fn a_session_that_is_refused_waits_as_well_and_comes_when_it_is_not_any_more() {
    let server = Server::start();
    let settings = format!("{QUICK}\n[service.caller.config]\nrefuses = true");
    let gateway = calling(&[&server.address()], &settings).start();
    for _ in 0..3 {
        server.accept().ended();
    }
    settled(true, || only(&gateway).reason.is_some_and(|last| last == "the component refuses: it was told to refuse"));
    assert_eq!(gateway.status().count("connector-down"), 1);

    gateway.configure(|text| text.replace("refuses = true", "refuses = false"));
    assert!(gateway.reload().ok);
    // One that was refused before may be the first.
    eventually("it says hello", || Some(()).filter(|()| server.accept().line().starts_with("hello")));
}

#[test]
fn many_connections_are_spread_over_the_workers() {
    let server = Server::start();
    let settings = format!("connections = 8\n{QUICK}");
    let gateway = calls(Gateway::builder().toml("workers = 4"), &[&server.address()], &settings).start();
    let mut peers: Vec<Peer> = (0..8).map(|_| server.accept()).collect();
    // The number of a session tells its worker.
    let worker = |peer: &mut Peer| peer.line().rsplit(' ').next().unwrap().parse::<u64>().unwrap() % 4;
    let mut workers: Vec<u64> = peers.iter_mut().map(worker).collect();
    workers.sort_unstable();
    assert_eq!(workers, [0, 0, 1, 1, 2, 2, 3, 3]);
    assert!(server.accept_within(Duration::from_millis(300)).is_none(), "there are eight and no more");
    let mut of: Vec<usize> = gateway.status().connections("caller").iter().map(|one| one.worker).collect();
    of.sort_unstable();
    assert_eq!(of, [0, 0, 1, 1, 2, 2, 3, 3]);

    // Each is made again by itself.
    drop(peers.split_off(5));
    peers.extend((0..3).map(|_| server.accept()));
    assert!(server.accept_within(Duration::from_millis(300)).is_none());
}

#[test]
fn a_swap_carries_the_session_and_the_connection_stays() {
    let server = Server::start();
    let gateway = calling(&[&server.address()], QUICK).start();
    let mut peer = server.accept();
    peer.line();
    for n in 1..=5 {
        assert!(peer.ask("one").starts_with(&format!("{} ", 2 * n - 1)));
        let version = format!("1.0.{n}");
        gateway.swap(&fixture("caller"), &version);
        let answer = peer.ask("another");
        assert!(answer.starts_with(&format!("{} misbehaving-caller@{version}#", 2 * n)), "{answer}");
    }
    assert!(server.accept_within(Duration::from_millis(500)).is_none());
    assert_eq!(gateway.status().count("connector-down"), 0);
}

#[test]
fn at_the_drain_deadline_a_pinned_one_says_goodbye_and_comes_back_with_the_new_version() {
    let server = Server::start();
    let settings =
        format!("policy = \"pin\"\n{QUICK}\n[component.misbehaving-caller]\nversions = {{ drain = \"1s\" }}");
    let gateway = calling(&[&server.address()], &settings).start();
    let mut old = server.accept();
    old.line();
    gateway.swap(&fixture("caller"), "1.0.0");
    assert!(old.ask("one").starts_with("1 misbehaving-caller@0.1.0#"));
    assert_eq!(old.line(), "goodbye");
    old.ended();
    drop(old);
    let mut new = server.accept();
    new.line();
    assert!(new.ask("one").starts_with("1 misbehaving-caller@1.0.0#"));
    assert!(only(&gateway).reason.is_some_and(|reason| reason == "the component has said goodbye"));
}

#[test]
fn a_reload_adds_and_takes_away_and_leaves_the_others_alone() {
    let [stays, goes, comes] = [Server::start(), Server::start(), Server::start()];
    let gateway = calling(&[&stays.address(), &goes.address()], QUICK).start();
    let (mut staying, mut going) = (stays.accept(), goes.accept());
    staying.line();
    going.line();

    gateway.configure(|text| text.replace(&goes.address(), &comes.address()));
    assert!(gateway.reload().ok);

    assert!(comes.accept().line().starts_with("hello"));
    assert_eq!(going.line(), "goodbye");
    going.ended();
    drop(going);
    assert!(goes.accept_within(Duration::from_millis(500)).is_none(), "it is not wanted any more");
    assert!(staying.ask("one").starts_with("1 "));
    assert!(stays.accept_within(Duration::from_millis(100)).is_none());
    let status = gateway.status();
    let there: Vec<&str> = status.connections("caller").iter().map(|one| one.address.as_str()).collect();
    assert_eq!(there, [stays.address(), comes.address()]);

    // More, and fewer again.
    gateway.configure(|text| text.replace(QUICK, &format!("connections = 2\n{QUICK}")));
    assert!(gateway.reload().ok);
    let mut second = stays.accept();
    second.line();
    gateway.configure(|text| text.replace("connections = 2\n", ""));
    assert!(gateway.reload().ok);
    assert_eq!(second.line(), "goodbye");
    assert!(staying.ask("another").starts_with("2 "));
}

#[test]
fn one_that_is_taken_away_and_says_no_goodbye_is_cut_in_time() {
    let [stays, goes] = [Server::start(), Server::start()];
    let settings = format!(
        "{QUICK}\n[service.caller.config]\nstays = true\n[component.misbehaving-caller]\nversions = {{ goodbye = \"1s\" }}"
    );
    let gateway = calling(&[&stays.address(), &goes.address()], &settings).start();
    let mut going = goes.accept();
    going.line();
    gateway.configure(|text| text.replace(&format!(", \"{}\"", goes.address()), ""));
    let begun = Instant::now();
    assert!(gateway.reload().ok);
    assert!(going.ask("still here").starts_with("1 "), "it was given its time");
    going.ended();
    assert!(begun.elapsed() >= Duration::from_millis(800), "{:?}", begun.elapsed());
    drop(going);
    assert!(goes.accept_within(Duration::from_millis(500)).is_none());
}

#[test]
fn a_reload_that_is_refused_connects_nothing_and_closes_nothing() {
    let [server, other] = [Server::start(), Server::start()];
    let settings = format!("{QUICK}\n[service.caller.config]\ndoes_not_start = false");
    let gateway = calling(&[&server.address()], &settings).start();
    let mut peer = server.accept();
    peer.line();
    let changes = [
        ("does_not_start = false", "does_not_start = true", "it was told not to start"),
        (QUICK, "reconnect = { from = \"1ms\" }", "service.caller.reconnect.from: at least 20ms"),
        ("component = \"misb", "component = \"b", "no version of `behaving"),
    ];
    for (right, wrong, reason) in changes {
        gateway.configure(|text| text.replace(&server.address(), &other.address()).replace(right, wrong));
        let error = gateway.reload().error.unwrap_or_else(|| panic!("{wrong} was taken"));
        assert!(error.contains(reason), "{error}");
        assert!(other.accept_within(Duration::from_millis(200)).is_none());
        gateway.configure(|text| text.replace(&other.address(), &server.address()).replace(wrong, right));
    }
    assert!(gateway.reload().ok);
    assert!(peer.ask("one").starts_with("1 "));
    assert!(server.accept_within(Duration::from_millis(200)).is_none());
}

#[test]
fn it_is_tried_at_once_when_it_is_to_be_tried_in_another_way() {
    let port = free_port();
    let slow = "reconnect = { from = \"10days\", to = \"10days\" }";
    let gateway = calling(&[&format!("tcp://127.0.0.1:{port}")], slow).start();
    settled(true, || only(&gateway).next_try_ms.is_some());
    let server = Server::on(port);
    assert!(gateway.reload().ok);
    assert!(server.accept_within(Duration::from_millis(300)).is_none(), "nothing has changed");
    gateway.configure(|text| text.replace(slow, QUICK));
    assert!(gateway.reload().ok);
    assert!(server.accept().line().starts_with("hello"));
}

#[test]
fn a_service_that_nothing_serves_has_no_connections() {
    let server = Server::start();
    let gateway = calling(&[&server.address()], QUICK).start();
    let mut peer = server.accept();
    peer.line();
    let library = gateway.components().join("libmisbehaving_caller.so");
    std::fs::remove_file(&library).unwrap();
    std::fs::write(gateway.components().join("README"), "so that the directory is not empty").unwrap();
    gateway.reload();
    assert!(peer.ask("one").starts_with("1 "), "its session has its time");

    drop(peer);
    settled("unserved".to_owned(), || only(&gateway).stage);
    assert!(server.accept_within(Duration::from_millis(500)).is_none());
    assert!(said(&gateway, "status").contains("waits for a version that serves"));

    gateway.deploy(&fixture("caller"), "libmisbehaving_caller.so");
    gateway.reload();
    assert!(server.accept().line().starts_with("hello"));
}

#[test]
fn at_the_end_it_says_goodbye_and_does_not_come_back() {
    let (server, nobody) = (Server::start(), format!("tcp://127.0.0.1:{}", free_port()));
    let mut gateway = calling(&[&server.address(), &nobody], QUICK).start();
    let mut peer = server.accept();
    peer.line();
    settled(true, || gateway.status().connections("caller")[1].reason.is_some());

    support::signal(gateway.pid(), libc::SIGTERM);

    assert_eq!(peer.line(), "goodbye");
    peer.ended();
    drop(peer);
    assert_eq!(gateway.ended(Duration::from_secs(5)).code(), Some(0));
    assert!(server.accept_within(Duration::ZERO).is_none());
}

#[test]
fn without_descriptors_it_waits_at_rest_and_connects_when_there_are_some() {
    let server = Server::start();
    let settings = "connections = 8\nreconnect = { from = \"20ms\", to = \"100ms\" }";
    let gateway = calls(Gateway::builder().toml("workers = 2"), &[&server.address()], settings).start();
    let peers: Vec<Peer> = (0..8).map(|_| server.accept()).collect();
    let before = limit_descriptors(gateway.pid(), 3);
    drop(peers);
    settled(8, || gateway.log().matches("connector-down").count());

    let busy = processor_time(gateway.pid());
    thread::sleep(Duration::from_secs(2));
    let busy = processor_time(gateway.pid()) - busy;

    assert!(busy < Duration::from_millis(500), "{busy:?} of two seconds");
    assert!(server.accept_within(Duration::ZERO).is_none());
    limit_descriptors(gateway.pid(), before);
    let peers: Vec<Peer> = (0..8).map(|_| server.accept()).collect();
    assert!(gateway.status().connections("caller")[0].reason.as_ref().is_some_and(|last| last.contains("open files")));
    drop(peers);
}

/// A gateway whose service `caller` keeps connections to `addresses`, with more keys of it.
fn calling(addresses: &[&str], keys: &str) -> Builder {
    calls(Gateway::builder(), addresses, keys)
}

fn calls(builder: Builder, addresses: &[&str], keys: &str) -> Builder {
    let addresses = addresses.join("\", \"");
    builder
        .library(&fixture("caller"))
        .toml(&format!("[service.caller]\ncomponent = \"misbehaving-caller\"\nconnect = [\"{addresses}\"]\n{keys}\n"))
}

/// The one connection that there is.
fn only(gateway: &Gateway) -> Connection {
    let mut status = gateway.status();
    let connections = &mut status.services[0].connect;
    assert_eq!(connections.len(), 1, "{connections:?}");
    connections.remove(0)
}

/// What a command prints.
fn said(gateway: &Gateway, command: &str) -> String {
    String::from_utf8(gateway.tandem(&[command]).stdout).unwrap()
}

/// Whom the gateway connects to.
struct Server {
    listener: TcpListener,
    port: u16,
}

impl Server {
    fn start() -> Self {
        Server::on(free_port())
    }

    fn on(port: u16) -> Self {
        let listener = TcpListener::bind(loopback(port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Server { listener, port }
    }

    fn address(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    fn accept(&self) -> Peer {
        self.accept_within(PATIENCE).expect("the gateway connects")
    }

    fn accept_within(&self, within: Duration) -> Option<Peer> {
        let begun = Instant::now();
        loop {
            match self.listener.accept() {
                Ok((stream, from)) => {
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    return Some(Peer::of(stream.try_clone().unwrap(), stream, from.to_string()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            if begun.elapsed() >= within {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn accept_unix(listener: &UnixListener) -> Peer {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let reader = stream.try_clone().unwrap();
    Peer::of(reader, stream, "unix".to_owned())
}

/// The other side of a connection that the gateway has made.
struct Peer {
    reader: BufReader<Box<dyn Read>>,
    writer: Box<dyn Write>,
    /// What the gateway calls its own end of it.
    name: String,
}

impl Peer {
    fn of(reader: impl Read + 'static, writer: impl Write + 'static, name: String) -> Self {
        Peer { reader: BufReader::new(Box::new(reader)), writer: Box::new(writer), name }
    }

    /// The next line; at the end of the connection, none.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line, or the end");
        line.trim_end().to_owned()
    }

    fn say(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).expect("the gateway is there");
    }

    fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.line()
    }

    /// Waits for the end, in order or by a reset.
    fn ended(&mut self) {
        match self.reader.read(&mut [0; 16]) {
            Ok(0) => {}
            Ok(_) => panic!("something more has come"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }
}
