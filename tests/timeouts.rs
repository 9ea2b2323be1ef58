//! What is waited for ends at its time, and not before.

use std::thread;
use std::time::{Duration, Instant};

use support::{Client, Gateway, fixture, free_port, libraries, settled};

/// The worker forgets the alarms of connections that have ended once there are some thousand of them; those that are
/// there keep theirs.
#[test]
fn an_idle_connection_is_closed_at_its_time_however_many_came_and_went() {
    const IDLE: Duration = Duration::from_secs(5);
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
workers = 1
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", status = 200 }}]
timeouts = {{ idle = "{}s" }}
"#,
            IDLE.as_secs()
        ))
        .start();
    let begun = Instant::now();
    for _ in 0..10 {
        let clients: Vec<Client> = (0..400).map(|_| gateway.connect(port)).collect();
        // So that each has been looked at, and has its alarm, before it is closed.
        thread::sleep(Duration::from_millis(50));
        drop(clients);
    }
    assert!(begun.elapsed() < IDLE, "on a machine as slow as this nothing is shown");

    let mut idle: Vec<Client> = (0..300).map(|_| gateway.connect(port)).collect();

    for client in &mut idle {
        client.closed().expect("it is closed in order");
    }
    assert!(begun.elapsed() >= IDLE);
}

/// A session that is at its end waits for its peer to close for two seconds, also where it had half closed before.
#[test]
fn a_session_that_half_closed_and_ended_is_gone_soon_whatever_its_peer_does() {
    /// The component guide says two seconds; a peer that takes nothing has thirty, and the gateway ten for its end.
    const SOON: Duration = Duration::from_secs(7);
    let port = free_port();
    let mut gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            "[service.careless]\ncomponent = \"misbehaving-careless\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n"
        ))
        .start();
    let mut client = gateway.connect(port);
    client.send(b"finish\n").unwrap();
    assert_eq!(client.read(7).unwrap(), b"finish\n");
    client.closed().expect("it has half closed");
    client.send(b"leave\n").unwrap();
    settled(0, || gateway.status().versions.iter().map(|version| version.sessions).sum::<u64>());

    assert_eq!(gateway.stop(libc::SIGTERM, SOON).code(), Some(0), "and nothing of it is left to be cut");
}
