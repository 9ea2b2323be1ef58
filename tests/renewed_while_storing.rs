//! A session that is renewed in the middle of its peer's lines, and writes in its first event: nothing overtakes what waits for
//! its commit, and nothing is lost.

use std::io::Write;
use std::thread;
use std::time::Duration;

use support::{Client, Gateway, free_port, greeter};

const SWAPS: usize = 10;
const LINES: usize = 600;

#[test]
fn what_was_written_was_said_in_its_order_and_nothing_else() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library_as(&greeter(), "libtandem_greeter.so")
        .toml(&format!(
            "workers = 2\n[service.greeter]\ncomponent = \"greeter\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
             [component.greeter]\nversions = {{ keep = 0 }}\n"
        ))
        .start();

    let (opened, written) = thread::scope(|scope| {
        // Every line of some is written down, every other of others, and none of the rest.
        let clients: Vec<_> = (0..12)
            .map(|client| {
                let connection = gateway.connect(port);
                scope.spawn(move || talk(connection, client % 3))
            })
            .collect();
        for number in 1..=SWAPS {
            gateway.swap(&greeter(), &format!("1.{number}.0"));
        }
        clients.into_iter().map(|client| client.join().unwrap()).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });

    assert!(opened > 12, "some were renewed: {opened}");
    let store = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
    let count = |condition: &str| -> usize {
        let sql = format!("SELECT count(*) FROM \"greeter.opened\" WHERE line {condition} ''");
        store.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
    };
    assert_eq!(
        (count("="), count("<>")),
        (opened, written),
        "what is in the store was said, and what was said is there"
    );
    assert_eq!(gateway.status().count("session-broken"), 0);
}

/// Says all lines, a few at a time, and hears each in its order. How often the session was opened, and how many were to be
/// written down.
fn talk(mut connection: Client, every: usize) -> (usize, usize) {
    let writes = move |n: usize| every > 0 && n.is_multiple_of(every);
    let line = move |n: usize| format!("{n}{}", if writes(n) { "w" } else { "" });
    let mut socket = connection.socket();
    let speaking = thread::spawn(move || {
        for n in 0..LINES {
            socket.write_all(format!("{}\n", line(n)).as_bytes()).unwrap();
            if n.is_multiple_of(5) {
                thread::sleep(Duration::from_millis(10));
            }
        }
    });
    let mut opened = 0;
    for n in 0..LINES {
        loop {
            let heard = connection.line().unwrap();
            if heard == line(n) {
                break;
            }
            assert_eq!(heard, "opened", "before line {n}");
            opened += 1;
        }
    }
    speaking.join().unwrap();
    // What follows the last line is a renewal that was under way.
    connection.finish().unwrap();
    while let Ok(heard) = connection.line() {
        assert_eq!(heard, "opened");
        opened += 1;
    }
    (opened, (0..LINES).filter(|n| writes(*n)).count())
}
