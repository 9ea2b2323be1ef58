//! Told to stop, the gateway takes nothing new, finishes what is under way, and ends in order within its deadline.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use support::{
    Client, Gateway, Stopping, Upstream, WebSocket, fixture, free_port, libraries, loopback, relabel, settled,
};

const DEADLINE: Duration = Duration::from_secs(4);
/// What a loaded machine may add.
const SLACK: Duration = Duration::from_secs(3);

#[test]
fn on_sigterm_an_answer_under_way_is_finished_and_idle_connections_are_closed() {
    finishes_on(|gateway| support::signal(gateway.pid(), libc::SIGTERM));
}

#[test]
fn on_sigint_as_well() {
    finishes_on(|gateway| support::signal(gateway.pid(), libc::SIGINT));
}

/// As users of nginx expect.
#[test]
fn on_sigquit_as_well() {
    finishes_on(|gateway| support::signal(gateway.pid(), libc::SIGQUIT));
}

#[test]
fn on_tandem_stop_as_well_and_the_command_returns_when_the_process_is_gone() {
    let (stop, pid) = finishes_on(|gateway| {
        let mut stop = gateway.command(&["stop", "--json"]);
        (stop.stdout(Stdio::piped()).spawn().expect("tandem can be run"), gateway.pid())
    });
    let stopped = stop.wait_with_output().expect("it is ours");
    let said: Stopping = serde_json::from_slice(&stopped.stdout).expect("it says what became of it");
    assert_eq!((stopped.status.code(), said.pid, said.within_ms), (Some(0), pid, 1000 * DEADLINE.as_secs()));
}

#[test]
fn tandem_stop_outlasts_the_deadline() {
    let (mut gateway, _upstream, port) = start();
    let mut tunnel = WebSocket::open(loopback(port), "/websocket");
    tunnel.echo("here").unwrap();

    let begun = Instant::now();
    let stopped = gateway.tandem(&["stop"]);
    assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
    assert_eq!(stopped.stdout, format!("stopped {}\n", gateway.pid()).into_bytes());
    assert!(begun.elapsed() >= DEADLINE / 2, "the tunnel was given its time");
    assert_eq!(gateway.ended(SLACK).code(), Some(0));
    let nobody = gateway.tandem(&["stop"]);
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no host answers at"), "{nobody:?}");
}

#[test]
fn told_a_second_time_it_ends_at_once() {
    let (mut gateway, _upstream, port) = start();
    let mut tunnel = WebSocket::open(loopback(port), "/websocket");
    tunnel.echo("here").unwrap();

    let begun = Instant::now();
    let first = gateway.command(&["stop"]).stdout(Stdio::null()).spawn().expect("tandem can be run");
    settled(true, || Client::try_connect(loopback(port)).is_err());
    let second = gateway.tandem(&["stop"]);
    assert_eq!((second.status.code(), first.wait_with_output().unwrap().status.code()), (Some(0), Some(0)));
    assert_eq!(gateway.ended(SLACK).code(), Some(1));
    assert!(begun.elapsed() < DEADLINE / 2, "the tunnel was not waited for");
}

/// What `tell` gives back is given back.
fn finishes_on<T>(tell: impl FnOnce(&Gateway) -> T) -> T {
    let (mut gateway, upstream, port) = start();
    let mut idle = gateway.connect(port);
    assert_eq!(idle.get("/name").unwrap().text(), "app");
    let mut waiting = gateway.connect(port);
    waiting.send(b"GET /slow/1000 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut reading = gateway.connect(port);
    reading.send(b"GET /trickle/20/60 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    settled(3, || upstream.requests());

    let begun = Instant::now();
    let told = tell(&gateway);

    idle.closed().expect("an idle connection is closed in order");
    settled(true, || Client::try_connect(loopback(port)).is_err());
    assert!(begun.elapsed() < Duration::from_secs(1), "nothing new is taken from the beginning on");
    assert_eq!(waiting.answer("GET").unwrap().text(), "slow");
    waiting.closed().expect("its connection is closed in order");
    assert_eq!(reading.answer("GET").unwrap().text(), "abcdefghijklmnopqrst");
    reading.closed().expect("its connection is closed in order");
    let status = gateway.ended(DEADLINE + SLACK);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(begun.elapsed() < DEADLINE, "there was nothing to wait for until the deadline");
    told
}

#[test]
fn what_does_not_end_is_cut_at_the_deadline() {
    let (mut gateway, _upstream, port) = start();
    let mut tunnel = WebSocket::open(loopback(port), "/websocket");
    tunnel.echo("here").unwrap();

    let begun = Instant::now();
    support::signal(gateway.pid(), libc::SIGTERM);
    thread::sleep(DEADLINE / 4);
    tunnel.echo("still here").expect("a tunnel has until the deadline");

    let status = gateway.ended(DEADLINE + SLACK);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(begun.elapsed() >= DEADLINE / 2, "it was given its time");
    assert!(tunnel.echo("no more").is_err());
}

#[test]
fn a_second_signal_ends_it_at_once_whatever_it_does() {
    let (mut gateway, _upstream, _) = start();
    gateway.configure(|text| format!("{text}[examination]\nlimit = \"60s\"\n"));
    assert!(gateway.reload().ok);
    // An examination that takes the whole of it.
    relabel(&fixture("hangs"), &gateway.components().join("hangs.so"), "http", "9.0.0").unwrap();
    gateway.sighup();
    thread::sleep(Duration::from_millis(500));

    let begun = Instant::now();
    support::signal(gateway.pid(), libc::SIGTERM);
    thread::sleep(Duration::from_millis(200));
    let status = gateway.stop(libc::SIGTERM, SLACK);

    assert_eq!(status.code(), Some(1), "{status}");
    assert!(begun.elapsed() < SLACK);
}

#[test]
fn an_idle_gateway_ends_at_once() {
    let (mut gateway, _upstream, _) = start();
    let begun = Instant::now();
    let status = gateway.stop(libc::SIGTERM, DEADLINE + SLACK);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(begun.elapsed() < DEADLINE / 2);
}

#[test]
fn goodbye_is_said_after_what_had_come_in_before() {
    let port = free_port();
    let mut gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            "workers = 1\noverrun = {{ abandon = \"1h\" }}\n[service.careless]\ncomponent = \"misbehaving-careless\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n"
        ))
        .start();
    let say = |client: &mut Client, line: &[u8]| {
        client.send(line).unwrap();
        assert_eq!(client.read(line.len()).unwrap(), line);
    };
    // The first one is the first that is told to say goodbye, and keeps the worker while all others ask for something. The
    // runtime looks for what has come in after some dozens of them only.
    let mut clients: Vec<Client> = (0..200).map(|_| gateway.connect(port)).collect();
    clients.iter_mut().for_each(|client| say(client, b"hello\n"));
    say(&mut clients[0], b"dawdle\n");

    support::signal(gateway.pid(), libc::SIGTERM);
    settled(true, || gateway.log().contains("dawdles"));
    for client in &mut clients[1..] {
        client.send(b"one more\n").unwrap();
    }

    for (at, client) in clients.iter_mut().enumerate().skip(1) {
        let answer = client.read(9).unwrap_or_else(|error| panic!("client {at}: {error}, and it had come in before"));
        assert_eq!(answer, b"one more\n");
        client.closed().expect("its connection is closed in order");
    }
    assert_eq!(gateway.ended(DEADLINE + SLACK).code(), Some(0));
}

fn start() -> (Gateway, Upstream, u16) {
    let upstream = Upstream::start("app");
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
shutdown = "{}s"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", upstream = "app" }}]
[upstream.app]
servers = ["tcp://{}"]
"#,
            DEADLINE.as_secs(),
            upstream.address()
        ))
        .start();
    (gateway, upstream, port)
}
