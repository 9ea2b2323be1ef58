//! Whoever got an answer can rely on what is behind it: also after the gateway was killed, and where nothing can be stored
//! nobody gets one.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use support::{Chance, Client, Gateway, SmallDisk, free_port, kills, ledger};

#[test]
fn what_was_answered_is_there_after_a_kill() {
    let (kills, mut chance) = (kills(), Chance::new());
    let (mut gateway, port) = start("data");
    let mut answered: BTreeMap<u32, i64> = BTreeMap::new();
    for kill in 0..kills {
        let until = Duration::from_millis(20 + chance.draw() % 200);
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut client = gateway.connect(port);
                thread::spawn(move || {
                    let mut acknowledged = 0;
                    // In windows of ten lines, as a peer that does not wait for each answer.
                    while client.send(format!("add {writer} 1\n").repeat(10).as_bytes()).is_ok() {
                        for _ in 0..10 {
                            match client.line() {
                                Ok(line) => acknowledged += i64::from(line == format!("ok {writer}")),
                                Err(_) => return (writer, acknowledged),
                            }
                        }
                    }
                    (writer, acknowledged)
                })
            })
            .collect();
        thread::sleep(until);

        gateway.kill_and_start();

        for writer in writers {
            let (writer, acknowledged) = writer.join().unwrap();
            *answered.entry(writer).or_default() += acknowledged;
        }
        let mut client = gateway.connect(port);
        for (writer, acknowledged) in &mut answered {
            let stored = amount(&mut client, *writer);
            assert!(stored >= *acknowledged, "kill {kill}: {acknowledged} were answered, {stored} are there");
            // What was committed and whose answer was not heard is no loss; from here on it counts.
            *acknowledged = stored;
        }
    }
    let total: i64 = answered.values().sum();
    assert!(total > i64::from(kills), "{total} lines were answered: there was traffic");
    gateway.stop(libc::SIGTERM, Duration::from_secs(10));
    let check = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
    let word: String = check.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(word, "ok");
}

#[test]
fn answers_come_in_the_order_of_their_requests_whatever_has_to_be_committed() {
    let (gateway, port) = start("data");
    let mut client = gateway.connect(port);
    let mut lines = String::new();
    let mut expected = Vec::new();
    for n in 0..300 {
        match n % 3 {
            0 => {
                lines += &format!("put {n} x\n");
                expected.push(format!("ok {n}"));
            }
            1 => {
                lines += "count 1\n";
                expected.push(format!("counted {}", n / 3 + 1));
            }
            _ => {
                lines += &format!("get {}\n", n - 2);
                expected.push(format!(r#"Found {{ id: {}, name: "x", amount: 0 }}"#, n - 2));
            }
        }
    }

    client.send(lines.as_bytes()).unwrap();

    for line in expected {
        assert_eq!(client.line().unwrap(), line);
    }
}

#[test]
fn of_lines_that_come_together_those_before_one_that_cannot_be_handled_are_answered() {
    let (gateway, port) = start("data");
    for round in 1..=20 {
        let mut client = gateway.connect(port);
        let mut lines = "add 7 1\n".repeat(round).into_bytes();
        // No text: the session gives up.
        lines.extend(b"\xff\nadd 7 1\n");
        client.send(&lines).unwrap();
        for _ in 0..round {
            assert_eq!(client.line().unwrap(), "ok 7");
        }
        client.closed().unwrap();
    }
    let total = (1..=20).sum::<usize>() as i64;
    assert_eq!(amount(&mut gateway.connect(port), 7), total, "each line was handled once");
}

#[test]
fn a_full_disk_is_a_temporary_error_and_nothing_more() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (gateway, port) = start(&disk.path().to_string_lossy());
    let mut client = gateway.connect(port);
    client.send(b"put 1 before\n").unwrap();
    assert_eq!(client.line().unwrap(), "ok 1");
    disk.fill();

    let begun = Instant::now();
    let mut refused = 0;
    // What is left in the pages of the file is used up first.
    while refused < 5 && begun.elapsed() < Duration::from_secs(20) {
        client.send(format!("put 2 {}\n", "x".repeat(2000)).as_bytes()).unwrap();
        refused += u32::from(client.line().unwrap() == "later");
        client.send(format!("add {refused} 1\n").as_bytes()).unwrap();
        client.line().unwrap();
    }

    assert_eq!(refused, 5, "there is no room");
    assert!(gateway.status().notice("store-failing").is_some_and(|reason| reason.contains("full")));
    client.send(b"get 1\n").unwrap();
    assert!(client.line().unwrap().contains("before"), "reading goes on");
    disk.make_room();
    client.send(b"put 3 after\nget 3\n").unwrap();
    assert_eq!(client.line().unwrap(), "ok 3");
    assert!(client.line().unwrap().contains("after"));
    assert!(gateway.status().notice("store-back").is_some());
}

#[test]
fn lines_that_come_together_on_a_full_disk_are_each_refused_or_kept() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (gateway, port) = start(&disk.path().to_string_lossy());
    let mut client = gateway.connect(port);
    client.send(b"put 1 before\n").unwrap();
    assert_eq!(client.line().unwrap(), "ok 1");
    disk.fill();
    let (mut kept, mut refused) = (0, 0);
    for round in 0..30 {
        if round == 20 {
            disk.make_room();
        }
        let lines: String = (0..60)
            .map(|n| {
                if n % 2 == 0 {
                    "add 7 1\n".to_owned()
                } else {
                    format!("put {} {}\n", 100 + n + 60 * round, "x".repeat(900))
                }
            })
            .collect();
        client.send(lines.as_bytes()).unwrap();
        for n in 0..60 {
            match client.line().unwrap().as_str() {
                "later" => refused += 1,
                "ok 7" if n % 2 == 0 => kept += 1,
                line => assert_eq!(line, format!("ok {}", 100 + n + 60 * round)),
            }
        }
    }
    eprintln!("{kept} kept, {refused} refused");
    assert!(kept > 0 && refused > 0);
    assert_eq!(amount(&mut client, 7), kept);
    assert_eq!(gateway.status().count("session-broken"), 0);
}

fn start(data: &str) -> (Gateway, u16) {
    let port = free_port();
    let text =
        format!("workers = 2\n[service.ledger]\ncomponent = \"ledger\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n");
    let builder = Gateway::builder().data(data).library_as(&ledger(None), "libtandem_ledger.so");
    (builder.toml(&text).start(), port)
}

fn amount(client: &mut Client, id: u32) -> i64 {
    client.send(format!("get {id}\n").as_bytes()).unwrap();
    let line = client.line().unwrap();
    let Some((_, amount)) = line.split_once("amount: ") else { return 0 };
    amount.trim_end_matches([' ', '}']).parse().unwrap()
}
