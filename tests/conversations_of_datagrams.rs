//! A conversation of datagrams is one session, whoever sends them and wherever they come in: through swaps, and, since it saves
//! itself, through crashes.

use std::net::{TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use support::{Gateway, PATIENCE, free_port, settled, stamp, tally};

/// A gateway with two workers that counts what is said in conversations, and its port.
fn start(more: &str) -> (Gateway, u16) {
    let port = free_port();
    let gateway = Gateway::builder()
        .library_as(&tally(None), "libtandem_tally.so")
        .toml(&format!(
            "workers = 2\n[service.tally]\ncomponent = \"tally\"\n\
             listen = [\"udp://127.0.0.1:{port}\", \"tcp://127.0.0.1:{port}\"]\n{more}\n\
             [component.tally]\nversions = {{ keep = 0 }}\n"
        ))
        .start();
    (gateway, port)
}

/// A peer of its own address.
fn peer(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Says something, and gives the answer: `name count version`.
fn say(peer: &UdpSocket, text: &str) -> String {
    peer.send(text.as_bytes()).unwrap();
    heard(peer)
}

fn heard(peer: &UdpSocket) -> String {
    let mut buffer = [0; 512];
    let n = peer.recv(&mut buffer).expect("an answer comes");
    String::from_utf8_lossy(&buffer[..n]).trim().to_owned()
}

/// Has the version that a feature makes serve, under a number.
fn deploy(gateway: &Gateway, feature: Option<&str>, number: &str) {
    let stamped = gateway.scratch("stamped.so");
    stamp(&tally(feature), &stamped, number).unwrap();
    gateway.deploy(&stamped, "libtandem_tally.so");
    assert!(gateway.reload().ok);
}

/// The count and the version's number of an answer.
fn parts(answer: &str) -> (u64, String) {
    let mut words = answer.split(' ').skip(1);
    let count = words.next().and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{answer}"));
    let version = words.next().unwrap_or_default();
    let number = version.split_once('@').map_or(version, |(_, number)| number);
    (count, number.split_once('#').map_or(number, |(number, _)| number).to_owned())
}

#[test]
fn whoever_sends_it_is_counted_in_one_conversation() {
    let (gateway, port) = start("");
    let peers: Vec<UdpSocket> = (0..16).map(|_| peer(port)).collect();
    for round in 0..8 {
        for (at, peer) in peers.iter().enumerate() {
            for name in ["ann", "bob", "cy"] {
                let answer = say(peer, &format!("{name} hello"));
                assert!(answer.starts_with(name), "who asked is answered: {answer}");
                assert_eq!(parts(&answer).0, (round * peers.len() + at + 1) as u64);
            }
        }
    }
    assert_eq!(gateway.status().count("datagram-lost"), 0);
}

#[test]
fn a_pinned_conversation_stays_and_a_new_one_begins_on_the_new_version() {
    let (gateway, port) = start("");
    gateway.swap(&tally(None), "1.0.0");
    let (one, two) = (peer(port), peer(port));
    assert_eq!(parts(&say(&one, "ann")), (1, "1.0.0".into()));
    for number in 2..12 {
        gateway.swap(&tally(None), &format!("{number}.0.0"));
        let fresh = format!("fresh{number}");
        assert_eq!(parts(&say(&two, &fresh)), (1, format!("{number}.0.0")));
        assert_eq!(parts(&say(&two, "ann")), (number, "1.0.0".into()));
    }
    assert_eq!(parts(&say(&two, "fresh5")), (2, "5.0.0".into()));
}

#[test]
fn a_carried_conversation_goes_along() {
    let (gateway, port) = start("policy = \"carry\"");
    let (one, two) = (peer(port), peer(port));
    say(&one, "ann");
    for number in 2..22 {
        gateway.swap(&tally(None), &format!("{number}.0.0"));
        let speaker = if number % 2 == 0 { &one } else { &two };
        assert_eq!(parts(&say(speaker, "ann")), (number, format!("{number}.0.0")));
    }
    settled(1, || gateway.maps().len());
}

#[test]
fn what_was_answered_is_counted_also_after_a_crash() {
    for policy in ["pin", "carry"] {
        let (mut gateway, port) = start(&format!("policy = \"{policy}\""));
        gateway.swap(&tally(None), "1.0.0");
        let peer = peer(port);
        assert_eq!(parts(&say(&peer, "ann")), (1, "1.0.0".into()));
        gateway.swap(&tally(None), "2.0.0");
        for kill in 0..5 {
            gateway.kill_and_start();
            let version = if policy == "pin" { "1.0.0" } else { "2.0.0" };
            assert_eq!(parts(&say(&peer, "ann")), (2 + kill, version.into()), "{policy}");
            assert_eq!(parts(&say(&peer, &format!("new{kill}"))), (1, "2.0.0".into()));
        }
        // Two conversations more than were there at the beginning, each with its own count.
        assert_eq!(parts(&say(&peer, "new3")).0, 2);
    }
}

#[test]
fn a_timer_that_was_saved_rings_after_the_restart_when_the_conversation_goes_on() {
    let (mut gateway, port) = start("");
    let peer = peer(port);
    say(&peer, "ann");
    let begun = Instant::now();
    peer.send(b"ann later 1500").unwrap();
    thread::sleep(Duration::from_millis(300));
    gateway.kill_and_start();
    assert_eq!(parts(&say(&peer, "ann")).0, 3, "what was said before is counted");
    assert_eq!(parts(&heard(&peer)).0, 3);
    assert!(begun.elapsed() >= Duration::from_millis(1500), "not early: {:?}", begun.elapsed());
}

#[test]
fn a_conversation_that_has_said_it_is_over_begins_anew() {
    let (mut gateway, port) = start("");
    let peer = peer(port);
    say(&peer, "ann");
    assert_eq!(say(&peer, "ann over"), "ann over 2");
    assert_eq!(parts(&say(&peer, "ann")).0, 1);
    assert_eq!(say(&peer, "ann over"), "ann over 2");
    gateway.kill_and_start();
    assert_eq!(parts(&say(&peer, "ann")).0, 1);
}

#[test]
fn silence_ends_it() {
    let (gateway, port) = start("bindings = { idle = \"1s\" }");
    let peer = peer(port);
    say(&peer, "ann");
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(500));
        assert!(parts(&say(&peer, "ann")).0 > 1);
    }
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(parts(&say(&peer, "ann")).0, 1);
    drop(gateway);
}

#[test]
fn a_session_of_a_connection_is_resumed_on_the_next_one() {
    let (mut gateway, port) = start("");
    let mut client = gateway.connect(port);
    client.send(b"ann\nann\n").unwrap();
    assert_eq!(parts(&client.line().unwrap()).0, 1);
    assert_eq!(parts(&client.line().unwrap()).0, 2);
    drop(client);
    for round in 0..4 {
        if round == 2 {
            gateway.kill_and_start();
        }
        let mut client = gateway.connect(port);
        client.send(b"ann\nann\n").unwrap();
        assert_eq!(parts(&client.line().unwrap()).0, 3 + 2 * round);
        assert_eq!(parts(&client.line().unwrap()).0, 4 + 2 * round);
    }
}

#[test]
fn of_two_connections_with_one_conversation_none_loses_what_the_other_was_told() {
    let (gateway, port) = start("");
    let counted: Vec<u64> = thread::scope(|scope| {
        let speakers: Vec<_> = (0..4)
            .map(|_| {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut counts = Vec::new();
                    let mut client = gateway.connect(port);
                    while counts.len() < 50 {
                        // One that comes too late with what it saves is told so, at last by the end of its connection.
                        let answer = client.send(b"ann\n").and_then(|()| client.line());
                        match answer {
                            Ok(answer) => counts.push(parts(&answer).0),
                            Err(_) => client = gateway.connect(port),
                        }
                    }
                    counts
                })
            })
            .collect();
        speakers.into_iter().flat_map(|speaker| speaker.join().unwrap()).collect()
    });
    let mut sorted = counted.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), counted.len(), "no count was given twice: {counted:?}");
}

#[test]
fn a_session_that_names_its_own_conversation_again_goes_on_as_it_is() {
    let (gateway, port) = start("");
    let mut client = gateway.connect(port);
    client.send(b"ann\nann unsaved\nann unsaved\nann\nbob\nann unsaved\n").unwrap();
    let counts: Vec<u64> = (0..6).map(|_| parts(&client.line().unwrap()).0).collect();
    // Another's conversation begins by itself, and whoever comes back finds what was saved.
    assert_eq!(counts, [1, 2, 3, 4, 1, 5]);
}

#[test]
fn a_session_whose_binding_has_ended_saves_all_the_same() {
    let (gateway, port) = start("bindings = { idle = \"1s\" }");
    let mut client = gateway.connect(port);
    client.send(b"ann\n").unwrap();
    assert_eq!(parts(&client.line().unwrap()).0, 1);
    thread::sleep(Duration::from_secs(8));
    // Its time is up, and it has been swept: it begins anew, and nobody is cut off.
    for count in 1..4 {
        client.send(b"ann\n").unwrap();
        let answer = client.line().unwrap();
        assert!(parts(&answer).0 >= count, "{answer}");
    }
    assert_eq!(gateway.status().count("session-broken"), 0);
}

#[test]
fn every_service_has_its_bound_version_again_after_a_crash() {
    let (one, two) = (free_port(), free_port());
    let service = |name: &str, port: u16| {
        format!("[service.{name}]\ncomponent = \"tally\"\nlisten = [\"udp://127.0.0.1:{port}\"]\n")
    };
    let mut gateway = Gateway::builder()
        .library_as(&tally(None), "libtandem_tally.so")
        .toml(&format!(
            "{}{}[component.tally]\nversions = {{ keep = 0 }}\n",
            service("one", one) + "bindings = { max = 2 }\n",
            service("two", two)
        ))
        .start();
    gateway.swap(&tally(None), "1.0.0");
    let peers = [peer(one), peer(two)];
    peers.iter().for_each(|peer| drop(say(peer, "ann")));
    for name in ["bob", "cy", "dan"] {
        say(&peers[1], name);
    }
    gateway.swap(&tally(None), "2.0.0");
    // What one service has does not count for the other.
    assert_eq!(parts(&say(&peers[0], "eve")), (1, "2.0.0".into()));

    gateway.kill_and_start();

    for peer in &peers {
        assert_eq!(parts(&say(peer, "ann")), (2, "1.0.0".into()));
    }
}

#[test]
fn what_a_version_does_not_know_of_a_saved_session_is_there_for_the_one_that_does() {
    let (mut gateway, port) = start("policy = \"carry\"");
    let peer = peer(port);
    deploy(&gateway, Some("notes"), "1.0.0");
    say(&peer, "ann");
    assert!(say(&peer, "ann").ends_with("notes 2"));
    // An older one resumes what was saved, and saves it itself.
    deploy(&gateway, None, "2.0.0");
    gateway.kill_and_start();
    assert_eq!(parts(&say(&peer, "ann")).0, 3);
    gateway.kill_and_start();
    assert_eq!(parts(&say(&peer, "ann")).0, 4);
    deploy(&gateway, Some("notes"), "3.0.0");
    let answer = say(&peer, "ann");
    assert!(parts(&answer).0 == 5 && answer.ends_with("notes 3"), "{answer}");
}

#[test]
fn a_version_that_refuses_what_was_saved_leaves_it_as_it_is() {
    let (mut gateway, port) = start("policy = \"carry\"");
    let peer = peer(port);
    say(&peer, "ann");
    say(&peer, "ann");
    deploy(&gateway, Some("refuses"), "2.0.0");
    gateway.kill_and_start();

    peer.send(b"ann").unwrap();

    settled(true, || gateway.status().notice("session-refused").is_some_and(|why| why.contains("takes over nothing")));
    assert_eq!(parts(&say(&peer, "bob")), (1, "2.0.0".into()), "others begin");
    deploy(&gateway, None, "3.0.0");
    assert_eq!(parts(&say(&peer, "ann")), (3, "3.0.0".into()));
}

#[test]
fn a_conversation_is_not_over_before_that_is_kept() {
    let (gateway, port) = start("");
    let peer = peer(port);
    say(&peer, "ann");
    let store = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();

    peer.send(b"ann over").unwrap();

    peer.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
    assert!(peer.recv(&mut [0; 512]).is_err(), "nothing is said while it cannot be kept");
    store.execute_batch("ROLLBACK").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(heard(&peer), "ann over 2");
    assert_eq!(parts(&say(&peer, "ann")).0, 1);
}

#[test]
fn a_datagram_whose_event_writes_finds_its_conversation_all_the_same() {
    let (gateway, port) = start("");
    let (one, two) = (peer(port), peer(port));
    for n in 0..20 {
        let name = format!("n{n}");
        assert_eq!(parts(&say(&one, &format!("{name} also"))).0, 1);
        assert_eq!(parts(&say(&two, &format!("{name} also"))).0, 2);
    }
    assert_eq!(gateway.status().count("datagram-lost"), 0);
}

#[test]
fn of_two_that_begin_it_at_once_both_are_counted_in_it() {
    let (gateway, port) = start("");
    let peers = [peer(port), peer(port)];
    for (at, peer) in peers.iter().enumerate() {
        say(peer, &format!("own{at}"));
    }
    let store = locked(&gateway);

    for peer in &peers {
        peer.send(b"ann").unwrap();
        hears_nothing(peer);
    }
    store.execute_batch("ROLLBACK").unwrap();

    let mut counts = peers.each_ref().map(|peer| parts(&heard(peer)).0);
    counts.sort_unstable();
    assert_eq!(counts, [1, 2]);
}

#[test]
fn one_whose_time_is_up_and_that_goes_while_it_is_begun_anew_begins() {
    let (gateway, port) = start("bindings = { idle = \"1s\" }");
    let peer = peer(port);
    say(&peer, "ann");
    assert_eq!(parts(&say(&peer, "ann")).0, 2);
    let store = locked(&gateway);
    thread::sleep(Duration::from_millis(1100));

    // It is there still when it is looked for, and not when it would be changed.
    peer.send(b"ann").unwrap();
    hears_nothing(&peer);
    assert_eq!(store.execute("DELETE FROM \"tandem.bindings\"", []).unwrap(), 1);
    store.execute_batch("COMMIT").unwrap();

    assert_eq!(parts(&heard(&peer)).0, 1);
    assert_eq!(gateway.status().count("session-broken"), 0);
}

/// The store, to which nobody else writes until this has rolled back.
fn locked(gateway: &Gateway) -> rusqlite::Connection {
    let store = rusqlite::Connection::open(gateway.scratch("data/store.sqlite")).unwrap();
    store.busy_timeout(PATIENCE).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    store
}

/// Nothing is said while it cannot be kept.
fn hears_nothing(peer: &UdpSocket) {
    peer.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    assert!(peer.recv(&mut [0; 512]).is_err(), "nothing is said while it cannot be kept");
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
}

#[test]
fn a_session_that_breaks_a_rule_about_names_ends_and_that_is_said() {
    let app = TcpListener::bind("127.0.0.1:0").unwrap();
    let (gateway, port) = start(&format!("[upstream.app]\nservers = [\"tcp://{}\"]", app.local_addr().unwrap()));
    gateway.swap(&tally(None), "1.0.0");
    let said = |reason: &str| {
        settled(true, || gateway.status().notice("session-broken").is_some_and(|told| told.contains(reason)));
    };
    let connections = [
        ("wrong two\n", "it has named two conversations in one event"),
        ("wrong labels\n", "it has named two conversations in one event, or labelled one"),
        ("wrong late\n", "it has named the conversation of an exchange that it consumes: name it first"),
        ("wrong late label\n", "it has labelled an exchange that it consumes: label it first"),
        ("wrong nameless\n", "a conversation's name has 1 to 255 bytes, and this one 0"),
        ("wrong long\n", "a conversation's name has 1 to 255 bytes, and this one 256"),
        ("wrong saved\n", "a session is saved under its key, and this one has none: route it first"),
        ("ann asks dial\nbob\n", "it has named another conversation while it waits for something"),
    ];
    for (lines, reason) in connections {
        let mut client = gateway.connect(port);
        client.send(lines.as_bytes()).unwrap();
        while client.line().is_ok() {}
        said(reason);
    }
    let datagrams = [
        ("wrong timer", "it has named a conversation where there is no datagram"),
        ("cy elsewhere", "it has named the conversation that it is"),
    ];
    for (datagram, reason) in datagrams {
        peer(port).send(datagram.as_bytes()).unwrap();
        said(reason);
    }
    // Nobody else has noticed.
    assert_eq!(parts(&say(&peer(port), "dan")), (1, "1.0.0".into()));

    let (gateway, port) = start("policy = \"renew\"");
    let mut client = gateway.connect(port);
    client.send(b"ann\n").unwrap();
    while client.line().is_ok() {}
    let reason = "a session of policy renew keeps nothing between two exchanges";
    settled(true, || gateway.status().notice("session-broken").is_some_and(|told| told.contains(reason)));
}
