//! A session that does more in one turn than the runtime lets it goes on in the next, and still sees what comes later.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::{Gateway, fixture, free_port, settled};

/// As many as the component passes things on to.
const STREAMS: usize = 200;

#[test]
fn what_comes_after_a_turn_that_was_too_long_is_seen() {
    let (sink, port) = (TcpListener::bind("127.0.0.1:0").unwrap(), free_port());
    let gateway = Gateway::builder()
        .library(&fixture("fans_out"))
        .toml(&format!(
            r#"
workers = 1
[service.fan]
component = "misbehaving-fans-out"
listen = ["tcp://127.0.0.1:{port}"]
[upstream.sink]
servers = ["tcp://{}"]
"#,
            sink.local_addr().unwrap()
        ))
        .start();
    let taken = Arc::new(AtomicUsize::new(0));
    let mut client = gateway.connect(port);
    // They say nothing, so that nothing but the client wakes the session.
    for _ in 0..STREAMS {
        let (mut connection, _) = sink.accept().unwrap();
        let taken = Arc::clone(&taken);
        // Each ends with its connection, which ends with the gateway.
        thread::spawn(move || {
            let mut piece = [0; 64];
            while let Ok(length @ 1..) = connection.read(&mut piece) {
                taken.fetch_add(length, Ordering::SeqCst);
            }
        });
    }
    assert_eq!(client.read(5).unwrap(), b"ready");

    for round in 1..=5 {
        client.send(b"round").unwrap();
        assert_eq!(client.read(5).unwrap_or_else(|error| panic!("round {round}: {error}")), b"round");
        settled(round * STREAMS * 5, || taken.load(Ordering::SeqCst));
        // Now the session waits.
        thread::sleep(Duration::from_millis(50));
    }
}
