//! A conversation that a cookie names stays with the version it began on: on every connection, through swaps and a crash, for
//! as long as its binding lives.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::Duration;

use support::{Chance, Client, Gateway, Upstream, free_port, kills, libraries, settled};

/// A gateway whose conversations are named by the cookie `sid`, and its port.
fn start(upstream: &Upstream, more: &str) -> (Gateway, u16) {
    let port = free_port();
    let server = upstream.address();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
workers = 2
[upstream.app]
servers = ["tcp://{server}"]
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
{more}
[service.web.config]
routes = [{{ path = "/", upstream = "app" }}]
served_by = "x-served-by"
sticky = {{ cookie = "sid" }}
[component.http]
versions = {{ keep = 0 }}
"#
        ))
        .start();
    (gateway, port)
}

/// The version that answers, and a check that it answers well.
fn served_by(client: &mut Client, cookie: Option<u32>) -> String {
    let cookie = cookie.map(|sid| format!("Cookie: a=b; sid={sid}\r\n")).unwrap_or_default();
    client.send(format!("GET /name HTTP/1.1\r\nHost: a\r\n{cookie}\r\n").as_bytes()).unwrap();
    let answer = client.answer("GET").unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "app"));
    answer.served_by().to_owned()
}

/// Begins a conversation.
fn log_in(client: &mut Client, sid: u32) {
    assert_eq!(client.get(&format!("/login/{sid}")).unwrap().field("set-cookie"), Some(&*format!("sid={sid}; Path=/")));
}

#[test]
fn each_stays_with_its_version_on_every_connection_and_others_run_the_newest() {
    let upstream = Upstream::start("app");
    let (gateway, port) = start(&upstream, "");
    let mut one = gateway.connect(port);
    for number in 0..8 {
        gateway.swap(&libraries().http, &format!("1.{number}.0"));
        log_in(&mut one, number);

        // On the connection that it began on, on others, and between requests of all the others.
        let mut fresh = gateway.connect(port);
        for sid in 0..=number {
            let began_on = format!("1.{sid}.0");
            assert_eq!(served_by(&mut one, Some(sid)), began_on);
            assert_eq!(served_by(&mut one, None), format!("1.{number}.0"), "whose request names none");
            assert_eq!(served_by(&mut fresh, Some(sid)), began_on);
            assert_eq!(served_by(&mut gateway.connect(port), Some(sid)), began_on);
        }
    }
    assert_eq!(gateway.maps().len(), 8, "each has a conversation");
    let status = gateway.status();
    assert_eq!(status.numbers("http", "draining").len(), 7, "{status:?}");

    // Pipelined, for different ones.
    let requests: String =
        (0..8).map(|sid| format!("GET /name HTTP/1.1\r\nHost: a\r\nCookie: sid={sid}\r\n\r\n")).collect();
    one.send(requests.as_bytes()).unwrap();
    for sid in 0..8 {
        assert_eq!(one.answer("GET").unwrap().served_by(), format!("1.{sid}.0"));
    }
    assert_eq!(gateway.status().count("binding-moved"), 0);
}

#[test]
fn a_binding_outlives_a_crash_and_the_file_in_the_directory() {
    let upstream = Upstream::start("app");
    let (mut gateway, port) = start(&upstream, "");
    gateway.swap(&libraries().http, "1.0.0");
    log_in(&mut gateway.connect(port), 1);
    gateway.swap(&libraries().http, "2.0.0");
    log_in(&mut gateway.connect(port), 2);
    gateway.swap(&libraries().http, "3.0.0");
    log_in(&mut gateway.connect(port), 3);

    for _ in 0..3 {
        gateway.kill_and_start();

        let mut client = gateway.connect(port);
        for (cookie, version) in [(Some(1), "1.0.0"), (None, "3.0.0"), (Some(2), "2.0.0"), (Some(3), "3.0.0")] {
            assert_eq!(served_by(&mut client, cookie), version, "{cookie:?}");
        }
        assert_eq!(gateway.maps().len(), 3);
    }
    gateway.swap(&libraries().http, "4.0.0");
    assert_eq!(served_by(&mut gateway.connect(port), Some(3)), "3.0.0");
}

#[test]
fn killed_at_any_moment_it_comes_back_with_each_conversation_at_its_version() {
    let (kills, mut chance) = (kills(), Chance::new());
    let upstream = Upstream::start("app");
    let (mut gateway, port) = start(&upstream, "");
    let mut began_on: BTreeMap<u32, String> = BTreeMap::new();
    for kill in 0..kills {
        // Five versions, however often it is killed.
        if kill % kills.div_ceil(5) == 0 {
            gateway.swap(&libraries().http, &format!("1.{kill}.0"));
        }
        let until = Duration::from_millis(20 + chance.draw() % 200);
        let clients: Vec<_> = (0..4)
            .map(|thread| {
                let mut client = gateway.connect(port);
                thread::spawn(move || {
                    let mut begun = BTreeMap::new();
                    let sids = (4 * kill + thread) * 10_000..;
                    let end = { sids }.try_for_each(|sid| -> io::Result<()> {
                        begun.insert(sid, client.get(&format!("/login/{sid}"))?.served_by().to_owned());
                        client
                            .send(format!("GET /name HTTP/1.1\r\nHost: a\r\nCookie: sid={sid}\r\n\r\n").as_bytes())?;
                        assert_eq!(client.answer("GET")?.served_by(), begun[&sid]);
                        Ok(())
                    });
                    assert!(end.is_err(), "it goes on until the gateway is killed");
                    begun
                })
            })
            .collect();
        thread::sleep(until);

        gateway.kill_and_start();

        let mut client = gateway.connect(port);
        for begun in clients.into_iter().map(|client| client.join().unwrap()) {
            for (sid, version) in &begun {
                assert_eq!(served_by(&mut client, Some(*sid)), *version, "kill {kill}");
            }
            began_on.extend(begun);
        }
        let store = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
        let word: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(word, "ok", "kill {kill}");
    }
    let mut client = gateway.connect(port);
    for (sid, version) in &began_on {
        assert_eq!(served_by(&mut client, Some(*sid)), *version);
    }
    assert!(began_on.len() > kills as usize, "{} conversations were begun", began_on.len());
    println!("{kills} kills, {} conversations, {} versions", began_on.len(), gateway.maps().len());
}

#[test]
fn a_version_goes_with_its_last_binding() {
    let upstream = Upstream::start("app");
    let (gateway, port) = start(&upstream, "bindings = { idle = \"3s\" }");
    gateway.swap(&libraries().http, "1.0.0");
    let mut client = gateway.connect(port);
    log_in(&mut client, 1);
    gateway.swap(&libraries().http, "2.0.0");

    // What goes on lives on.
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(500));
        assert_eq!(served_by(&mut client, Some(1)), "1.0.0");
    }
    assert_eq!(gateway.maps().len(), 2);
    settled(1, || gateway.maps().len());
    assert_eq!(served_by(&mut client, Some(1)), "2.0.0", "it has ended");
    assert_eq!(gateway.status().count("binding-moved"), 0);
}

#[test]
fn at_the_drain_deadline_a_conversation_is_bound_anew_and_that_is_said() {
    let upstream = Upstream::start("app");
    let (gateway, port) = start(&upstream, "");
    gateway.configure(|text| text.replace("keep = 0", "keep = 0, drain = \"2s\""));
    gateway.swap(&libraries().http, "1.0.0");
    let mut client = gateway.connect(port);
    log_in(&mut client, 1);
    gateway.swap(&libraries().http, "2.0.0");
    assert_eq!(served_by(&mut client, Some(1)), "1.0.0");

    settled(1, || gateway.maps().len());

    let mut client = gateway.connect(port);
    assert_eq!(served_by(&mut client, Some(1)), "2.0.0");
    assert_eq!(gateway.status().count("binding-moved"), 1);
    gateway.swap(&libraries().http, "3.0.0");
    assert_eq!(served_by(&mut client, Some(1)), "2.0.0", "from then on it is 2.0.0's");
}

#[test]
fn of_too_many_the_one_that_would_end_first_makes_room() {
    let upstream = Upstream::start("app");
    let (gateway, port) = start(&upstream, "bindings = { max = 3 }");
    gateway.swap(&libraries().http, "1.0.0");
    let mut client = gateway.connect(port);
    for sid in 1..=5 {
        log_in(&mut client, sid);
    }
    gateway.swap(&libraries().http, "2.0.0");

    let versions: Vec<String> = (1..=5).rev().map(|sid| served_by(&mut client, Some(sid))).collect();

    // Those that had to make room are the newest version's, as whoever names none.
    assert_eq!(versions, ["1.0.0", "1.0.0", "1.0.0", "2.0.0", "2.0.0"]);
}

#[test]
fn a_version_that_is_active_again_takes_its_conversations_with_it() {
    let upstream = Upstream::start("app");
    let (gateway, port) = start(&upstream, "");
    gateway.swap(&libraries().http, "1.0.0");
    let mut client = gateway.connect(port);
    log_in(&mut client, 1);
    gateway.swap(&libraries().http, "2.0.0");
    log_in(&mut client, 2);

    gateway.swap(&libraries().http, "1.0.0");

    for (cookie, version) in [(Some(1), "1.0.0"), (Some(2), "2.0.0"), (None, "1.0.0")] {
        assert_eq!(served_by(&mut client, cookie), version);
    }
    settled(2, || gateway.maps().len());
}

#[test]
fn many_clients_find_their_version_through_swaps() {
    let upstream = Upstream::start("app");
    let (gateway, port) = start(&upstream, "");
    gateway.swap(&libraries().http, "1.0.0");
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|thread| {
                let gateway = &gateway;
                scope.spawn(move || {
                    for round in 0..20 {
                        let sid = 1000 * thread + round;
                        let mut client = gateway.connect(port);
                        log_in(&mut client, sid);
                        let mine = served_by(&mut client, Some(sid));
                        for _ in 0..10 {
                            assert_eq!(served_by(&mut client, Some(sid)), mine);
                            assert_eq!(served_by(&mut gateway.connect(port), Some(sid)), mine);
                        }
                    }
                })
            })
            .collect();
        for number in 1..=10 {
            gateway.swap(&libraries().http, &format!("1.{number}.0"));
            thread::sleep(Duration::from_millis(100));
        }
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    assert_eq!(gateway.status().count("binding-moved"), 0);
}
