//! A component that does not come back from an event costs that session, and no other: a fresh worker goes on with all else.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use support::{
    ACCOUNTS, Client, Esmes, Gateway, PATIENCE, Smsc, Upstream, asks, eventually, fixture, free_port, libraries,
    settled,
};

/// From the notice to the first answers.
const WITHIN: Duration = Duration::from_secs(2);
/// What a loaded machine may add.
const SLACK: Duration = Duration::from_secs(10);

#[test]
fn the_other_sessions_of_a_held_worker_go_on() {
    let mut place = Place::start(1);
    let gateway = &place.gateway;
    let mut line = gateway.connect(place.lines);
    echoes(&mut line, "before");
    let mut web = gateway.connect(place.web);
    assert_eq!(web.get("/name").unwrap().text(), "app");
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    datagrams.set_read_timeout(Some(PATIENCE)).unwrap();
    datagrams.connect((Ipv4Addr::LOCALHOST, place.lines)).unwrap();
    assert_eq!(talks(&datagrams, "before"), "before");
    // One that waits for an answer, and the session that has the question.
    let (mut caller, mut callee) = (gateway.connect(place.front), gateway.connect(place.kept));
    assert_eq!(says(&mut callee, "serve"), "ok");
    caller.send(b"ask kept keep question\n").unwrap();
    assert_eq!(callee.line().unwrap(), "asked question");
    // One that waits for a timer, which rings meanwhile.
    let mut timed = gateway.connect(place.front);
    timed.send(b"ask alone after 1000 rang\n").unwrap();
    let resident = resident(&mut gateway.connect(place.front));
    let (dialed, _) = place.network.accept().unwrap();
    let mut network = Client::over(dialed);
    echoes(&mut network, "before");
    let sessions = sessions(gateway);

    let mut held = place.hold(1);
    line.send(b"meanwhile\n").unwrap();
    web.send(b"GET /echo/meanwhile HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    datagrams.send(b"meanwhile").unwrap();
    network.send(b"meanwhile\n").unwrap();
    callee.send(b"answer reply\n").unwrap();
    let mut late = gateway.connect(place.lines);
    late.send(b"late\n").unwrap();
    eventually("it is said", || (gateway.status().count("event-overrun") == 1).then_some(()));
    let noticed = Instant::now();

    assert_eq!(line.read(10).unwrap(), b"meanwhile\n");
    let took = noticed.elapsed();
    println!("the first answer came {took:?} after the notice was seen");
    assert!(took < WITHIN + SLACK, "{took:?}");
    assert_eq!(web.answer("GET").unwrap().text(), "GET /echo/meanwhile ");
    let mut answer = [0; 64];
    let length = datagrams.recv(&mut answer).unwrap();
    assert_eq!(&answer[..length], b"meanwhile");
    assert_eq!(network.read(10).unwrap(), b"meanwhile\n");
    assert_eq!(caller.line().unwrap(), "reply");
    assert_eq!(timed.line().unwrap(), "rang");
    assert_eq!(late.read(5).unwrap(), b"late\n");
    held.closed().unwrap();
    // They are the same sessions, and nobody was told anything twice.
    assert_eq!(self::resident(&mut gateway.connect(place.front)), resident);
    echoes(&mut line, "after");
    echoes(&mut late, "after");
    echoes(&mut network, "after");
    assert_eq!(talks(&datagrams, "after"), "after");
    assert_eq!(says(&mut caller, "ask alone echo again"), "again");
    assert_eq!(web.get("/name").unwrap().text(), "app");
    echoes(&mut gateway.connect(place.lines), "new");

    let status = gateway.status();
    assert_eq!((status.count("worker-taken-over"), status.count("session-broken")), (1, 1), "{status:?}");
    let version = status.versions.iter().find(|version| version.component == "misbehaving-careless").unwrap();
    assert_eq!(version.reason.as_deref(), Some("a thread that was given up is inside still"));
    assert!(status.notice("session-broken").unwrap().contains("its component did not come back"), "{status:?}");
    // The one that was given up is gone; that it was there before counts as well as the new one.
    settled(sessions + 1, || self::sessions(gateway));

    // A thread that comes back touches nothing.
    place.let_go();
    settled(1, || gateway.status().count("thread-returned"));
    settled(None, || {
        let status = gateway.status();
        status.versions.into_iter().find(|version| version.component == "misbehaving-careless").unwrap().reason
    });
    echoes(&mut line, "at last");
    assert_eq!(self::sessions(gateway), sessions + 1);

    // What is left of it is nothing: the version retires.
    gateway.swap(&fixture("careless"), "1.0.0");
    settled(vec!["0.1.0".to_owned()], || numbers(gateway, "retired"));
    echoes(&mut line, "on the next one");
    echoes(&mut network, "on the next one");
    let status = place.gateway.stop(libc::SIGTERM, Duration::from_secs(5) + SLACK);
    assert_eq!(status.code(), Some(0), "{}", place.gateway.log());
}

#[test]
fn each_event_that_is_stuck_costs_its_own_session() {
    let place = Place::start(2);
    let mut lines: Vec<Client> = (0..8).map(|_| place.gateway.connect(place.lines)).collect();
    lines.iter_mut().for_each(|line| echoes(line, "before"));
    for count in 1..=3 {
        let mut held = place.hold(count);
        settled(count as u64, || place.gateway.status().count("worker-taken-over"));
        held.closed().unwrap();
        lines.iter_mut().for_each(|line| echoes(line, "after"));
        lines.push(place.gateway.connect(place.lines));
    }
    let gateway = &place.gateway;
    let status = gateway.status();
    let version = status.versions.iter().find(|version| version.component == "misbehaving-careless").unwrap();
    assert_eq!(version.reason.as_deref(), Some("3 threads that were given up are inside still"));
    // They keep their version, and nothing else: a reload is taken by every worker, and what is new is followed.
    let reload = gateway.swap(&fixture("careless"), "1.0.0");
    assert!(reload.ok, "{reload:?}");
    lines.iter_mut().for_each(|line| echoes(line, "on the next one"));
    settled(vec!["0.1.0".to_owned()], || numbers(gateway, "draining"));
    place.let_go();
    settled(vec!["0.1.0".to_owned()], || numbers(&place.gateway, "retired"));
    settled(3, || place.gateway.status().count("thread-returned"));
}

#[test]
fn who_waits_for_a_session_that_is_stuck_is_told_and_a_gateway_stops_with_a_thread_inside() {
    let mut place = Place::start(1);
    let (mut caller, mut callee) = (place.gateway.connect(place.front), place.gateway.connect(place.kept));
    assert_eq!(says(&mut callee, "serve"), "ok");
    caller.send(b"ask kept keep question\n").unwrap();
    assert_eq!(callee.line().unwrap(), "asked question");
    let file = place.gateway.scratch("held");
    callee.send(format!("hold {}\n", file.display()).as_bytes()).unwrap();
    eventually("it is held", || file.exists().then_some(()));

    assert_eq!(caller.line().unwrap(), "failed Ended");
    callee.closed().unwrap();

    assert_eq!(says(&mut caller, "ask kept echo none"), "failed Down");
    let status = place.gateway.stop(libc::SIGTERM, Duration::from_secs(5) + SLACK);
    assert_eq!(status.code(), Some(0), "{}", place.gateway.log());
}

#[test]
fn a_session_that_is_stuck_while_it_is_opened_is_closed_and_the_next_ones_are_opened() {
    let place = Place::start(1);
    let mut line = place.gateway.connect(place.lines);
    echoes(&mut line, "before");
    fs::write(place.gateway.scratch("holds opening"), "").unwrap();
    let mut held = place.gateway.connect(place.lines);
    settled(true, || place.gateway.log().contains("holds"));
    fs::remove_file(place.gateway.scratch("holds opening")).unwrap();
    let mut next = place.gateway.connect(place.lines);

    echoes(&mut line, "after");
    echoes(&mut next, "after");
    held.closed().unwrap();
    settled(1, || place.gateway.status().count("worker-taken-over"));
}

#[test]
fn connections_go_on_being_taken_where_a_path_is_listened_at() {
    let mut place = Place::start(1);
    let mut before = place.connect_to_path();
    says_back(&mut before, "before");

    let mut held = place.hold(1);
    // They are in the queue while nobody takes them.
    let mut queued: Vec<UnixStream> = (0..4).map(|_| place.connect_to_path()).collect();
    queued.iter_mut().for_each(|line| line.write_all(b"queued\n").unwrap());
    let mut gone = place.connect_to_path();
    gone.write_all(b"nobody reads the answer\n").unwrap();
    drop(gone);

    for line in &mut queued {
        hears(line, "queued");
        says_back(line, "after");
    }
    settled(1, || place.gateway.status().count("worker-taken-over"));
    held.closed().unwrap();
    says_back(&mut before, "after");
    says_back(&mut place.connect_to_path(), "new");

    // It is listened at until it is stopped, and by nobody then.
    place.let_go();
    settled(1, || place.gateway.status().count("thread-returned"));
    says_back(&mut place.connect_to_path(), "at last");
    let status = place.gateway.stop(libc::SIGTERM, Duration::from_secs(5) + SLACK);
    assert_eq!(status.code(), Some(0), "{}", place.gateway.log());
    assert!(UnixStream::connect(&place.unix).is_err());
}

#[test]
fn a_worker_that_is_held_while_it_stops_is_taken_over_and_stops() {
    let mut place = Place::start(1);
    let mut line = place.gateway.connect(place.lines);
    echoes(&mut line, "before");
    let mut held = place.gateway.connect(place.lines);
    held.send(b"hold at goodbye\n").unwrap();
    assert_eq!(held.read(16).unwrap(), b"hold at goodbye\n");
    let status = place.gateway.stop(libc::SIGTERM, Duration::from_secs(5) + SLACK);
    assert_eq!(status.code(), Some(0), "{}", place.gateway.log());
    assert!(place.gateway.log().contains("in the event `drain`"), "{}", place.gateway.log());
}

#[test]
fn esmes_that_are_not_ours_stay_bound_and_get_each_answer_and_receipt_once() {
    let smsc = Smsc::start("carry", &ACCOUNTS, Duration::from_millis(500));
    let Some(mut esmes) = Esmes::of_node_smpp(smsc.port, false) else { return };
    esmes.until("receipts", |now| now.receipts > 0);
    let connections = smsc.connections();
    let (gateway, port) = (&smsc.gateway, free_port());
    gateway.deploy(&fixture("careless"), "libmisbehaving_careless.so");
    let careless =
        format!("[service.lines]\ncomponent = \"misbehaving-careless\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n");
    gateway.configure(|text| text + &careless);
    assert!(gateway.reload().ok);
    for count in 1..=3 {
        let mut held = gateway.connect(port);
        held.send(b"hold\n").unwrap();
        settled(count, || gateway.status().count("worker-taken-over"));
        let before = esmes.progress();
        esmes.until("traffic after it", |now| now.answered > before.answered && now.receipts > before.receipts);
    }
    assert_eq!(smsc.connections(), connections, "nobody has connected anew");

    let report = esmes.finish();

    assert_eq!(report.unexpected, [""; 0]);
    let mut receipts: Vec<&str> = report.receipts.iter().map(String::as_str).collect();
    receipts.sort_unstable();
    assert!(receipts.iter().eq(&report.names()), "a receipt for each message, and for each but one");
    let stored = smsc.stored();
    assert_eq!(stored.len(), report.messages.len(), "what was taken is what was answered");
    assert!(report.messages.iter().all(|message| stored[&message.id].receipted));
}

struct Place {
    gateway: Gateway,
    network: TcpListener,
    _app: Upstream,
    lines: u16,
    unix: PathBuf,
    web: u16,
    front: u16,
    kept: u16,
    comes_back: PathBuf,
}

impl Place {
    fn start(workers: usize) -> Self {
        let (lines, web, front, kept) = (free_port(), free_port(), free_port(), free_port());
        let network = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let app = Upstream::start("app");
        let builder = Gateway::builder()
            .library(&fixture("careless"))
            .library(&libraries().http)
            .library_as(&asks(Some("resident")), "libtandem_asks.so");
        let comes_back = builder.scratch("comes back");
        let opening = builder.scratch("holds opening");
        let unix = builder.scratch("lines.sock");
        let text = format!(
            r#"
workers = {workers}
shutdown = "5s"
[service.lines]
component = "misbehaving-careless"
listen = ["tcp://127.0.0.1:{lines}", "udp://127.0.0.1:{lines}", "unix://{}"]
config = {{ comes_back_with = "{}", opens_without = "{}" }}
[service.network]
component = "misbehaving-careless"
connect = ["tcp://{}"]
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{web}"]
config = {{ routes = [{{ path = "/", upstream = "app" }}] }}
[upstream.app]
servers = ["tcp://{}"]
[service.front]
component = "asks"
listen = ["tcp://127.0.0.1:{front}"]
[service.kept]
component = "asks"
listen = ["tcp://127.0.0.1:{kept}"]
[service.alone]
component = "asks"
config = {{ serves = true }}
[component.misbehaving-careless]
versions = {{ keep = 0 }}
rollback = {{ failures = 1000 }}
"#,
            unix.display(),
            comes_back.display(),
            opening.display(),
            network.local_addr().unwrap(),
            app.address(),
        );
        let gateway = builder.toml(&text).start();
        Place { gateway, network, _app: app, lines, unix, web, front, kept, comes_back }
    }

    fn connect_to_path(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.unix).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection whose session holds its worker, once it does.
    fn hold(&self, count: usize) -> Client {
        let mut client = self.gateway.connect(self.lines);
        client.send(b"hold\n").unwrap();
        settled(count, || self.gateway.log().matches("holds").count());
        client
    }

    /// Lets those come back that were held.
    fn let_go(&self) {
        fs::write(&self.comes_back, "").unwrap();
    }
}

fn echoes(line: &mut Client, text: &str) {
    line.send(format!("{text}\n").as_bytes()).unwrap();
    assert_eq!(line.line().unwrap(), text);
}

fn says_back(line: &mut UnixStream, text: &str) {
    line.write_all(format!("{text}\n").as_bytes()).unwrap();
    hears(line, text);
}

fn hears(line: &mut UnixStream, text: &str) {
    let mut back = vec![0; text.len() + 1];
    line.read_exact(&mut back).unwrap();
    assert_eq!(back, format!("{text}\n").as_bytes());
}

fn says(client: &mut Client, line: &str) -> String {
    client.send(format!("{line}\n").as_bytes()).unwrap();
    client.line().unwrap()
}

fn talks(socket: &UdpSocket, text: &str) -> String {
    socket.send(text.as_bytes()).unwrap();
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// The session that answers for the service `alone`.
fn resident(caller: &mut Client) -> String {
    eventually("it has a resident", || {
        Some(says(caller, "ask alone who")).filter(|said| said.contains("over Resident"))
    })
}

fn sessions(gateway: &Gateway) -> u64 {
    gateway.status().versions.iter().map(|version| version.sessions).sum()
}

fn numbers(gateway: &Gateway, stage: &str) -> Vec<String> {
    let status = gateway.status();
    status.numbers("misbehaving-careless", stage).into_iter().map(str::to_owned).collect()
}
