//! Calls and answers wait for what their event has written, and one that is taken back has asked and answered nothing.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use support::{Client, Gateway, asks, eventually, free_port};

#[test]
fn an_event_that_is_not_committed_asks_and_answers_nothing_and_comes_again_whole() {
    let Place { gateway, front, back } = Place::start();
    let mut callee = gateway.connect(back);
    let mut caller = gateway.connect(front);
    until_known(&mut caller);
    let before = count(&mut callee);

    // No two notes have one text.
    let rows = [
        ("ask back put 1 a", "put 1", 1),
        ("ask back put 2 a", "later 2 a, front", 1),
        ("ask alone put 3 a", "later 3 a, front", 0),
        ("ask alone put 3 b", "put 3", 0),
        ("note 4 back echo c", "c", 1),
        ("note 5 back echo c", "later", 0),
        ("note 5 alone put 6 d", "put 6", 0),
    ];
    let mut expected = before;
    for (line, answer, taken) in rows {
        assert_eq!(says(&mut caller, line), answer, "{line}");
        // The event that was taken back has counted nothing either.
        expected += taken;
        assert_eq!(count(&mut callee), expected, "{line}");
    }
}

#[test]
fn of_requests_that_are_told_together_only_those_fail_that_cannot_be_stored() {
    let Place { gateway, front, back } = Place::start();
    let mut callee = gateway.connect(back);
    let mut caller = gateway.connect(front);
    until_known(&mut caller);
    for round in 0..20 {
        let before = count(&mut callee);
        // Every seventh note has the text of the one before it. Which of the two comes first, nobody is promised.
        let text = |n: i32| if n % 7 == 6 { n - 1 } else { n };
        let asked: String =
            (0..60).map(|n| format!("ask back put {} {round}-{}\n", 100 * round + n, text(n))).collect();
        caller.send(asked.as_bytes()).unwrap();
        let heard: Vec<String> = (0..60).map(|_| caller.line().unwrap()).collect();
        let put = heard.iter().filter(|line| line.starts_with("put ")).collect::<BTreeSet<_>>();
        let later = heard.iter().filter(|line| line.starts_with("later ")).collect::<BTreeSet<_>>();
        assert_eq!((put.len(), later.len()), (52, 8), "{heard:?}");
        assert_eq!(count(&mut callee), before + 60, "each has counted once");
    }
    let store = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
    let stored: i64 = store.query_row("SELECT count(*) FROM \"asks.notes\"", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, 20 * 52);
}

#[test]
fn of_requests_that_are_told_together_those_before_a_panic_are_answered() {
    let Place { gateway, front, back } = Place::start();
    let mut caller = gateway.connect(front);
    for round in 0..5 {
        let _callee = gateway.connect(back);
        until_known(&mut caller);
        let mut asked: String = (0..30).map(|n| format!("ask back put {} {round}-{n}\n", 100 * round + n)).collect();
        asked.push_str("ask back panic\n");
        caller.send(asked.as_bytes()).unwrap();
        let heard: BTreeSet<String> = (0..31).map(|_| caller.line().unwrap()).collect();
        let mut expected: BTreeSet<String> = (0..30).map(|n| format!("put {}", 100 * round + n)).collect();
        expected.insert("failed Ended".to_owned());
        assert_eq!(heard, expected);
    }
}

#[test]
fn of_lines_that_are_taken_together_only_those_fail_that_cannot_be_stored() {
    let Place { gateway, front, back } = Place::start();
    let _callee = gateway.connect(back);
    let mut caller = gateway.connect(front);
    until_known(&mut caller);
    for round in 0..20 {
        // Every seventh line writes the text of the one before it down again.
        let text = |n: i32| if n % 7 == 6 { n - 1 } else { n };
        let line = |n: i32| format!("note {} back echo {round}-{}\n", 100 * round + n, text(n));
        caller.send((0..60).map(line).collect::<String>().as_bytes()).unwrap();
        let heard: Vec<String> = (0..60).map(|_| caller.line().unwrap()).collect();
        let echoed: BTreeSet<&str> = heard.iter().map(String::as_str).filter(|line| *line != "later").collect();
        let expected: BTreeSet<String> = (0..60).filter(|n| n % 7 != 6).map(|n| format!("{round}-{n}")).collect();
        assert_eq!(echoed, expected.iter().map(String::as_str).collect(), "{heard:?}");
        assert_eq!(heard.iter().filter(|line| *line == "later").count(), 8);
    }
    let store = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
    let stored: i64 = store.query_row("SELECT count(*) FROM \"asks.notes\"", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, 20 * 52);
}

#[test]
fn a_line_that_names_its_conversation_comes_after_one_that_does_not() {
    let Place { gateway, front, .. } = Place::start();
    let mut caller = gateway.connect(front);
    caller.send(b"count\nnamed alice hello\n").unwrap();
    assert_eq!(caller.line().unwrap(), "0");
    assert_eq!(caller.line().unwrap(), "hello");
    assert_eq!(gateway.status().count("session-broken"), 0);
}

#[test]
fn a_line_that_names_its_conversation_comes_after_one_that_writes() {
    let Place { gateway, front, back } = Place::start();
    let _callee = gateway.connect(back);
    let mut caller = gateway.connect(front);
    until_known(&mut caller);
    let mut caller = gateway.connect(front);
    caller.send(b"note 1 back echo a\nnote 2 back echo b\nnamed alice hello\n").unwrap();
    let heard: BTreeSet<String> = (0..3).map(|_| caller.line().unwrap()).collect();
    assert_eq!(heard, ["a", "b", "hello"].map(str::to_owned).into());
    assert_eq!(gateway.status().count("session-broken"), 0);
}

#[test]
fn lines_with_long_answers_that_come_together_are_answered() {
    let Place { gateway, front, .. } = Place::start();
    let mut caller = gateway.connect(front);
    // Each is far below what may be unsent, all of them are not.
    caller.send("big 400000\n".repeat(60).as_bytes()).unwrap();
    for n in 0..60 {
        assert_eq!(caller.line().unwrap_or_else(|error| panic!("{n}: {error}")).len(), 400_000);
    }
    assert_eq!(gateway.status().count("session-broken"), 0);
}

#[test]
fn of_lines_that_come_together_those_before_a_wrong_row_are_answered() {
    let Place { gateway, front, .. } = Place::start();
    let mut caller = gateway.connect(front);
    caller.send(format!("{}wrong\ncount\n", "count\n".repeat(5)).as_bytes()).unwrap();
    for n in 0..5 {
        assert_eq!(caller.line().unwrap_or_else(|error| panic!("{n}: {error}")), "0");
    }
    caller.closed().unwrap();
}

#[test]
fn a_session_that_consumes_too_much_ends_alone() {
    let Place { gateway, front, .. } = Place::start();
    let mut caller = gateway.connect(front);
    caller.send(b"greedy\ncount\n").unwrap();
    caller.closed().unwrap();
    assert_eq!(gateway.status().count("session-broken"), 1, "{}", gateway.log());
}

#[test]
fn of_requests_that_are_told_together_those_behind_an_answer_that_is_too_long_go_to_another() {
    let Place { gateway, front, back } = Place::start();
    let mut caller = gateway.connect(front);
    for round in 0..5 {
        let mut callee = gateway.connect(back);
        until_known(&mut caller);
        let mut asked: String = (0..10).map(|n| format!("ask back put {} {round}-{n}\n", 100 * round + n)).collect();
        asked.push_str("ask back huge 17000000\n");
        asked.extend((20..40).map(|n| format!("ask back put {} {round}-{n}\n", 100 * round + n)));
        // So that they wait together.
        callee.send(b"nap 100\n").unwrap();
        thread::sleep(Duration::from_millis(20));
        caller.send(asked.as_bytes()).unwrap();
        let heard: Vec<String> = (0..31).map(|_| caller.line().unwrap()).collect();
        let stored: i64 = {
            let store = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
            let text = "SELECT count(*) FROM \"asks.notes\" WHERE id BETWEEN ?1 AND ?2";
            store.query_row(text, [100 * round, 100 * round + 99], |row| row.get(0)).unwrap()
        };
        let put = heard.iter().filter(|line| line.starts_with("put ")).count();
        let ended = heard.iter().filter(|line| *line == "failed Ended").count();
        assert_eq!((put as i64, ended), (stored, 1), "what was stored was answered: {heard:?}");
    }
}

#[test]
fn lines_that_are_told_alone_are_told_while_others_ask() {
    let Place { gateway, front, back } = Place::start();
    let mut callee = gateway.connect(back);
    let mut callers: Vec<Client> = (0..4).map(|_| gateway.connect(front)).collect();
    callers.iter_mut().for_each(until_known);
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for mut caller in callers {
            let over = &over;
            scope.spawn(move || {
                // Three at a time, over and over.
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    caller.send("ask back echo x\n".repeat(3).as_bytes()).unwrap();
                    for _ in 0..3 {
                        caller.line().unwrap();
                    }
                }
            });
        }
        thread::sleep(Duration::from_millis(100));
        let begun = std::time::Instant::now();
        for n in 0..20 {
            callee.send(format!("note {n} alone echo {n}\nnote {} alone echo {n}\n", 100 + n).as_bytes()).unwrap();
            let heard: BTreeSet<String> = (0..2).map(|_| callee.line().unwrap()).collect();
            assert_eq!(heard, [n.to_string(), "later".to_owned()].into());
        }
        let took = begun.elapsed();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(took < Duration::from_secs(1), "they waited for others: {took:?}");
    });
}

#[test]
fn what_is_told_together_is_told_once_through_swaps() {
    let Place { gateway, front, back } = Place::start();
    let library = asks(Some("stores"));
    let mut callee = gateway.connect(back);
    let over = std::sync::atomic::AtomicBool::new(false);
    let mut known = gateway.connect(front);
    until_known(&mut known);
    let answered = thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|at| {
                let mut caller = gateway.connect(front);
                let over = &over;
                scope.spawn(move || {
                    let mut answered = std::collections::BTreeMap::new();
                    let mut round = 0;
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        let base = (at * 1_000_000) + round * 100;
                        round += 1;
                        let text = |n: i32| if n % 7 == 6 { n - 1 } else { n };
                        let line = |n: i32| match n % 3 {
                            0 => format!("ask back put {} {}\n", base + n, base + text(n)),
                            1 => format!("within 1 back put {} {}\n", base + n, base + text(n)),
                            _ => format!("note {} alone echo note {}\n", base + n, base + text(n)),
                        };
                        caller.send((0..60).map(line).collect::<String>().as_bytes()).unwrap();
                        let mut notes = 0;
                        let mut refused = 0;
                        for _ in 0..60 {
                            let heard = caller.line().unwrap();
                            if let Some(n) = heard.strip_prefix("put ") {
                                assert!(answered.insert(n.parse::<i64>().unwrap(), ()).is_none(), "{heard} twice");
                            } else if heard.starts_with("note ") {
                                notes += 1;
                            } else if heard.starts_with("later") {
                                refused += 1;
                            } else {
                                assert_eq!(heard, "failed TimedOut");
                            }
                        }
                        assert!(notes <= 20 && refused <= 40, "{notes} {refused}");
                    }
                    (answered.into_keys().collect::<Vec<_>>(), round)
                })
            })
            .collect();
        for n in 1..=8 {
            gateway.swap(&library, &format!("1.{n}.0"));
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        callers.into_iter().map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
    });
    eprintln!("rounds {:?}", answered.iter().map(|it| it.1).collect::<Vec<_>>());
    assert_eq!(gateway.status().count("session-broken"), 0);
    count(&mut callee);
    let store = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
    for id in answered.iter().flat_map(|it| &it.0) {
        let there: i64 =
            store.query_row("SELECT count(*) FROM \"asks.notes\" WHERE id = ?1", [id], |row| row.get(0)).unwrap();
        assert_eq!(there, 1, "{id}");
    }
}

#[test]
fn what_waits_for_a_callee_that_ends_with_its_commit_goes_to_another() {
    let Place { gateway, front, back } = Place::start();
    let _stays = gateway.connect(back);
    let mut callers: Vec<Client> = (0..4).map(|_| gateway.connect(front)).collect();
    callers.iter_mut().for_each(until_known);
    for n in 0..100 {
        let mut ends = gateway.connect(back);
        says(&mut ends, "number");
        let asked: String = (0..10).map(|m| format!("ask back echo {m}\n")).collect();
        ends.send(format!("last {n} {n}\n").as_bytes()).unwrap();
        for caller in &mut callers {
            caller.send(asked.as_bytes()).unwrap();
        }
        for caller in &mut callers {
            let heard: BTreeSet<String> = (0..10).map(|_| caller.line().unwrap()).collect();
            assert_eq!(heard, (0..10).map(|m| m.to_string()).collect());
        }
        ends.closed().unwrap();
    }
}

#[test]
fn what_was_answered_is_there_after_a_kill() {
    let Place { mut gateway, front, back } = Place::start();
    for kill in 1..=3 {
        let _callees: Vec<Client> = (0..2).map(|_| gateway.connect(back)).collect();
        let mut callers: Vec<Client> = (0..4).map(|_| gateway.connect(front)).collect();
        callers.iter_mut().for_each(until_known);
        // Each has ids of its own.
        let asking = callers.into_iter().zip(0..).map(|(caller, at)| {
            let base = (10 * i64::from(kill) + at) * 1_000_000;
            (base, thread::spawn(move || put(caller, base)))
        });
        let asking: Vec<_> = asking.collect();
        thread::sleep(Duration::from_millis(100) * kill);

        gateway.kill_and_start();

        let store = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
        for (base, asking) in asking {
            let answered = asking.join().unwrap();
            assert!(answered > 0, "there was traffic");
            let text = "SELECT count(*) FROM \"asks.notes\" WHERE id > ?1 AND id <= ?2";
            let stored: i64 = store.query_row(text, [base, base + answered], |row| row.get(0)).unwrap();
            assert_eq!(stored, answered, "each that was answered");
        }
    }
}

/// Has other services write, one after the other. How many have answered.
fn put(mut caller: Client, base: i64) -> i64 {
    for n in 1.. {
        let (id, service) = (base + n, if n % 2 == 0 { "back" } else { "alone" });
        if caller.send(format!("ask {service} put {id} {id}\n").as_bytes()).is_err() {
            return n - 1;
        }
        match caller.line() {
            Ok(line) => assert_eq!(line, format!("put {id}")),
            Err(_) => return n - 1,
        }
    }
    unreachable!("it goes on until the gateway is killed")
}

struct Place {
    gateway: Gateway,
    front: u16,
    back: u16,
}

impl Place {
    fn start() -> Self {
        let (front, back) = (free_port(), free_port());
        let text = format!(
            "workers = 2\n\
             [service.front]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{front}\"]\n\
             [service.back]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{back}\"]\nconfig = {{ serves = true }}\n\
             [service.alone]\ncomponent = \"asks\"\n"
        );
        let gateway = Gateway::builder().library_as(&asks(Some("stores")), "libtandem_asks.so").toml(&text).start();
        Place { gateway, front, back }
    }
}

/// Waits until the caller's worker knows of a callee.
fn until_known(caller: &mut Client) {
    eventually("a callee is known", || says(caller, "ask back who").contains("Tcp").then_some(()));
}

fn count(client: &mut Client) -> u64 {
    says(client, "count").parse().unwrap()
}

#[track_caller]
fn says(client: &mut Client, line: &str) -> String {
    client.send(format!("{line}\n").as_bytes()).unwrap();
    client.line().unwrap()
}
