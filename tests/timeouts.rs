//! What is waited for ends at its time, and not before.

use std::thread;
use std::time::{Duration, Instant};

use support::{Client, Gateway, free_port, libraries};

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
