//! A conversation that is saved while it waits is told, when it goes on after a restart, how each of it has ended: nobody is left
//! to answer it, but its timers ring.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use support::{Client, Gateway, asks, free_port, tally};

struct Place {
    gateway: Gateway,
    port: u16,
    /// Where what is said may be that another service is asked.
    front: u16,
    /// Takes connections, and neither reads nor says anything.
    _app: TcpListener,
}

impl Place {
    fn start() -> Self {
        let (port, front) = (free_port(), free_port());
        let app = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = app.local_addr().unwrap();
        let gateway = Gateway::builder()
            .library_as(&tally(None), "libtandem_tally.so")
            .library_as(&asks(None), "libtandem_asks.so")
            .toml(&format!(
                // One, since what a session serves another worker hears of by the post.
                "workers = 1\n[service.tally]\ncomponent = \"tally\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
                 [service.front]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{front}\"]\n\
                 [service.mute]\ncomponent = \"asks\"\nconfig = {{ serves = true }}\n\
                 [upstream.app]\nservers = [\"tcp://{server}\"]\n"
            ))
            .start();
        Place { gateway, port, front, _app: app }
    }

    /// Has a conversation say something that it is saved with, and ends the gateway at once.
    fn saved(&mut self, said: &str) {
        let mut client = self.gateway.connect(self.port);
        client.send(format!("{said}\n").as_bytes()).unwrap();
        // What it was told before the end came is not what is saved.
        while client.line().unwrap() != "ann saved " {}
        self.gateway.kill_and_start();
    }

    /// What the conversation is told when it goes on, in the order of the alphabet, and the connection that it goes on with.
    fn told<const N: usize>(&self) -> ([String; N], Client) {
        let mut client = self.gateway.connect(self.port);
        client.send(b"ann\n").unwrap();
        // One of the lines counts the one that was said.
        let mut lines: Vec<String> = (0..=N).map(|_| client.line().unwrap()).collect();
        let counted = lines.iter().position(|line| line.starts_with("ann 2 ")).unwrap_or_else(|| panic!("{lines:?}"));
        lines.remove(counted);
        lines.sort_unstable();
        (lines.try_into().unwrap(), client)
    }

    /// It waits for nothing any more, also where it is resumed again.
    fn waits_for_nothing(&mut self, mut client: Client) {
        for count in 3..5 {
            client.send(b"ann\n").unwrap();
            let line = client.line().unwrap();
            assert!(line.starts_with(&format!("ann {count} ")), "{line}");
            self.gateway.kill_and_start();
            client = self.gateway.connect(self.port);
        }
    }
}

#[test]
fn what_the_event_has_asked_for_that_saves_it() {
    let mut place = Place::start();
    place.saved("ann asks rung dial nowhere forward writable call nobody authenticate admit row cancelled");
    let (told, client) = place.told();
    let ends = [
        "ann admit NotStored(Unavailable)",
        "ann authenticate NotStored(Unavailable)",
        "ann call CallFailed(Ended)",
        "ann dial DialFailed { server: None, why: Refused }",
        "ann forward ForwardFailed { bytes: 0, broken: Stream(0), stalled: false }",
        "ann nobody CallFailed(Ended)",
        "ann nowhere DialFailed { server: None, why: Refused }",
        "ann row NotStored(Unavailable)",
        "ann rung rang",
        "ann writable left",
    ];
    assert_eq!(told, ends);
    place.waits_for_nothing(client);
}

/// A row that is asked for is told before anything else, so it is not among these; nor is a stream that it has not heard of.
#[test]
fn what_was_asked_for_before_whether_it_is_under_way_or_answered_and_not_told() {
    let mut place = Place::start();
    place.saved("ann asked rung dial nowhere forward writable call nobody authenticate admit cancelled");
    let (told, client) = place.told();
    let ends = [
        "ann admit NotStored(Unavailable)",
        "ann authenticate NotStored(Unavailable)",
        "ann call CallFailed(Ended)",
        "ann dial DialFailed { server: None, why: Refused }",
        "ann forward ForwardFailed { bytes: 0, broken: Stream(0), stalled: false }",
        "ann nobody CallFailed(Ended)",
        "ann nowhere DialFailed { server: None, why: Refused }",
        "ann rung rang",
        "ann writable left",
    ];
    assert_eq!(told, ends);
    place.waits_for_nothing(client);
}

#[test]
fn what_is_under_way_on_a_stream_and_the_stream_is_closed() {
    let mut place = Place::start();
    place.saved("ann asked stream");
    let (told, client) = place.told();
    let ends = [
        "ann forward ForwardFailed { bytes: 0, broken: Stream(0), stalled: false }",
        "ann stream closed",
        "ann writable left",
    ];
    assert_eq!(told, ends);
    place.waits_for_nothing(client);
}

#[test]
fn a_stream_that_it_has_given_up_is_not_closed() {
    for how in ["release", "close", "abort"] {
        let mut place = Place::start();
        place.saved(&format!("ann dials {how}"));
        let ([], client) = place.told();
        place.waits_for_nothing(client);
    }
}

#[test]
fn a_request_is_withdrawn_that_it_has_not_answered() {
    for (request, answered) in [("answer", true), ("keep", false)] {
        let mut place = Place::start();
        let (mut client, mut caller) = (place.gateway.connect(place.port), place.gateway.connect(place.front));
        client.send(b"ann serves\n").unwrap();
        assert_eq!(client.line().unwrap(), "ann serving ");
        caller.send(format!("ask tally {request}\n").as_bytes()).unwrap();
        assert_eq!(client.line().unwrap(), "ann saved ");
        if answered {
            assert_eq!(caller.line().unwrap(), "answered");
        }
        place.gateway.kill_and_start();
        if answered {
            let ([], client) = place.told();
            place.waits_for_nothing(client);
        } else {
            let (told, client) = place.told();
            assert_eq!(told, ["ann request withdrawn"]);
            place.waits_for_nothing(client);
        }
    }
}

#[test]
fn a_timer_rings_when_it_is_due_and_not_early() {
    for how in ["asks", "asked"] {
        let mut place = Place::start();
        let begun = Instant::now();
        place.saved(&format!("ann {how} timer"));
        let (told, client) = place.told();
        assert_eq!(told, ["ann timer rang"]);
        assert!(begun.elapsed() >= Duration::from_millis(1500), "{how}: {:?}", begun.elapsed());
        place.waits_for_nothing(client);
    }
}
