//! Whoever got an answer can rely on what is behind it: also after the gateway was killed, and where nothing can be stored
//! nobody gets one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use support::{Client, Gateway, free_port, ledger};

/// So often the gateway is killed here; a soak sets more.
const KILLS: u32 = 5;

#[test]
fn what_was_answered_is_there_after_a_kill() {
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().expect("KILLS is a number"));
    let seed = std::env::var("SEED").map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().expect("SEED"));
    println!("SEED={seed}");
    let (mut gateway, port) = start("data");
    let mut answered: BTreeMap<u32, i64> = BTreeMap::new();
    for kill in 0..kills {
        let until = Duration::from_millis(20 + mixed(seed, kill) % 200);
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
fn a_full_disk_is_a_temporary_error_and_nothing_more() {
    let (_disk, directory) = match SmallDisk::mount() {
        Some(mounted) => mounted,
        None => {
            println!("skipped: no small disk can be mounted here");
            return;
        }
    };
    let (gateway, port) = start(&directory.to_string_lossy());
    let mut client = gateway.connect(port);
    client.send(b"put 1 before\n").unwrap();
    assert_eq!(client.line().unwrap(), "ok 1");
    let filler = directory.join("filler");
    let room = std::fs::File::create(&filler).unwrap();
    fill(&room);
    drop(room);

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
    std::fs::remove_file(&filler).unwrap();
    client.send(b"put 3 after\nget 3\n").unwrap();
    assert_eq!(client.line().unwrap(), "ok 3");
    assert!(client.line().unwrap().contains("after"));
    assert!(gateway.status().notice("store-back").is_some());
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

/// Some of a seed's numbers.
fn mixed(seed: u64, n: u32) -> u64 {
    let mut state = seed.wrapping_add(u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    state ^= state >> 12;
    state ^= state << 25;
    (state ^ state >> 27).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
}

/// Uses up all the room that there is.
fn fill(mut file: &std::fs::File) {
    use std::io::Write;
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

/// A disk of 64 megabytes in memory, for as long as the value lives.
struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<(Self, PathBuf)> {
        let at = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(at.path()).output();
        let path = at.path().to_owned();
        mount.is_ok_and(|output| output.status.success()).then(|| (SmallDisk { at }, path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.at.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || thread::panicking(), "it can be unmounted");
    }
}
