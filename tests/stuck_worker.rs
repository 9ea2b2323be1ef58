//! Until it is given up, a component that does not come back holds its worker, and nothing else: the host says so and goes on.

use std::fmt::Write;
use std::time::{Duration, Instant};

use support::{Client, Gateway, eventually, fixture, free_port, settled};

/// How long the host waits for a worker to take a publication, and what a loaded machine may add.
const TAKING: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(10);
const SHUTDOWN: Duration = Duration::from_secs(1);

#[test]
fn a_reload_names_the_stuck_worker_and_the_others_follow() {
    let (gateway, port) = start();
    let stuck = hang(&gateway, port);

    gateway.deploy_stamped(&fixture("careless"), "2.0.0");
    let begun = Instant::now();
    let reload = gateway.reload();

    assert!(begun.elapsed() < TAKING + SLACK, "{:?}", begun.elapsed());
    assert_eq!((reload.ok, reload.code), (false, Some(1)), "{reload:?}");
    assert_eq!(reload.file("libmisbehaving_careless.so").outcome, "loaded", "the version is right");
    let [finding] = &reload.findings[..] else { panic!("one finding: {reload:?}") };
    assert!(finding.starts_with("workers {") && finding.contains("have not taken the publication"), "{finding}");
    let status = gateway.status();
    assert!(status.services[0].version.as_ref().unwrap().contains("@2.0.0#"), "{status:?}");
    assert_eq!(status.notice("worker-stuck"), Some(finding.as_str()));
    assert!(gateway.log().contains(finding), "it is in the log");
    // The kernel spreads connections over both workers; those of the other one are served.
    let mut clients: Vec<Client> = (0..32).map(|_| gateway.connect(port)).collect();
    clients.iter_mut().for_each(|client| client.send(b"hello\n").unwrap());
    let answered = eventually("the other worker serves", || clients.iter().position(|client| !is_silent(client)));
    assert_eq!(clients[answered].read(6).unwrap(), b"hello\n");
    assert!(is_silent(&stuck));
}

#[test]
fn commands_that_the_stuck_worker_does_not_take_hold_up_nobody() {
    let (mut gateway, port) = start();
    let _stuck = hang(&gateway, port);
    // One command to each worker for each address: more than wait for a worker that takes none.
    let mut addresses = String::new();
    for number in 0..300 {
        write!(addresses, ", \"unix://{}\"", gateway.scratch(&format!("{number}.sock")).display()).unwrap();
    }
    gateway.configure(|text| text.replace(&format!("{port}\""), &format!("{port}\"{addresses}")));

    // Not by the command line, which would wait for a host that does not answer.
    gateway.sighup();

    let begun = Instant::now();
    settled(true, || gateway.log().contains("reload: workers {"));
    assert!(begun.elapsed() < TAKING + SLACK, "{:?}", begun.elapsed());
    assert_eq!(gateway.status().publication, 2);
    ends_in_time(&mut gateway);
}

#[test]
fn a_gateway_with_a_stuck_worker_stops_at_its_deadline_and_says_why() {
    let (mut gateway, port) = start();
    let _stuck = hang(&gateway, port);
    ends_in_time(&mut gateway);
}

fn ends_in_time(gateway: &mut Gateway) {
    let status = gateway.stop(libc::SIGTERM, SHUTDOWN + SLACK);
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(gateway.log().contains("did not stop; a component does not give them back"), "{}", gateway.log());
}

/// A connection to a component that does not come back from what it was told.
fn hang(gateway: &Gateway, port: u16) -> Client {
    let mut client = gateway.connect(port);
    client.send(b"hang\n").unwrap();
    settled(true, || gateway.log().contains("hangs"));
    client
}

/// Whether nothing has come.
fn is_silent(client: &Client) -> bool {
    let socket = client.socket();
    socket.set_nonblocking(true).unwrap();
    let peeked = socket.peek(&mut [0]);
    socket.set_nonblocking(false).unwrap();
    peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

fn start() -> (Gateway, u16) {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            r#"
workers = 2
shutdown = "{}s"
overrun = {{ abandon = "1h" }}
[service.careless]
component = "misbehaving-careless"
listen = ["tcp://127.0.0.1:{port}"]
"#,
            SHUTDOWN.as_secs()
        ))
        .start();
    (gateway, port)
}
