//! A webhook that hangs, redirects, fails, breaks off or is not there: it is told again after waits that grow, every event is there in
//! its order and signed once it is good again, and no other account's webhook waits for it.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;
use support::{Applications, Manner, Network, Setup, Unruly, eventually, free_port, settled};

const TIMEOUT: Duration = Duration::from_millis(400);
const RETRY_MIN: Duration = Duration::from_millis(50);
/// So often is seen that it is told again.
const TRIES: usize = 6;

#[test]
fn whatever_it_does_every_event_is_there_once_it_is_good_again() {
    // Where a redirection leads: nobody is to come.
    let inside = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    inside.set_nonblocking(true).unwrap();
    let elsewhere = format!("Location: http://{}/inside\r\n", inside.local_addr().unwrap());
    let says =
        |status: &str, fields: &str| Manner::Says(format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\n\r\n"));
    let breaks = |answer: &str| Manner::Breaks(answer.to_owned());

    let hooks = Unruly::start();
    let place = Place::start(hooks.port);
    let mut acme = Vec::new();
    let mut other = Vec::new();
    for manner in [
        Manner::Hangs,
        says("302 Found", &elsewhere),
        says("307 Temporary Redirect", &elsewhere),
        says("301 Moved Permanently", "Location: http://169.254.169.254/latest/meta-data\r\n"),
        says("500 Internal Server Error", ""),
        says("503 Service Unavailable", "Retry-After: 86400\r\n"),
        says("404 Not Found", ""),
        breaks(""),
        breaks("HTTP/1.1 200 OK\r\nContent-Le"),
        breaks("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":"),
        breaks("SSH-2.0-OpenSSH_9.2\r\n"),
        breaks("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"),
    ] {
        println!("{manner:?}");
        hooks.behave("/acme", manner.clone());
        let before = hooks.told("/acme").len();
        acme.push(place.send("acme"));
        // Meanwhile the other account is told, by the same server.
        other.push(place.send("other"));
        settled(other.clone(), || hooks.taken("/other"));
        eventually("it is told again and again", || (hooks.told("/acme").len() >= before + TRIES).then_some(()));
        waits_grow(&hooks, before);
        acme.push(place.send("acme"));
        hooks.behave("/acme", Manner::Good);
        settled(acme.iter().collect::<BTreeSet<_>>().len(), || {
            hooks.taken("/acme").iter().collect::<BTreeSet<_>>().len()
        });
    }
    // In their order, and none twice that was answered well.
    assert_eq!(hooks.taken("/acme"), acme);
    assert_eq!((hooks.taken("/other"), hooks.wrong()), (other, vec![]));
    settled(0, || place.applications.count("SELECT count(*) FROM \"rest.events\""));
    assert!(inside.accept().is_err(), "a redirection was followed");
}

#[test]
fn what_it_did_not_take_while_it_was_away_it_takes_when_it_is_back() {
    let port = free_port();
    let place = Place::start(port);
    let mut acme: Vec<String> = (0..20).map(|_| place.send("acme")).collect();
    eventually("it was tried", || place.applications.gateway.log().contains("a webhook was not told").then_some(()));
    let hooks = Unruly::at(port);
    acme.extend((0..5).map(|_| place.send("acme")));
    settled(acme.iter().cloned().collect::<BTreeSet<_>>(), || hooks.taken("/acme").into_iter().collect());
    assert_eq!((hooks.taken("/acme").len(), hooks.wrong()), (acme.len(), vec![]), "each once, and signed");
}

/// Kept events outlive a crash in the middle of telling them.
#[test]
fn what_it_has_not_answered_is_told_again_after_a_crash() {
    let hooks = Unruly::start();
    let mut place = Place::start(hooks.port);
    hooks.behave("/acme", Manner::Hangs);
    let acme: Vec<String> = (0..3).map(|_| place.send("acme")).collect();
    eventually("it is told", || (!hooks.told("/acme").is_empty()).then_some(()));
    settled(3, || place.applications.count("SELECT count(*) FROM \"rest.events\""));
    place.applications.gateway.kill_and_start();
    hooks.behave("/acme", Manner::Good);
    settled(acme.iter().cloned().collect::<BTreeSet<_>>(), || hooks.taken("/acme").into_iter().collect());
    assert_eq!(hooks.wrong(), Vec::<String>::new());
}

/// Only the lower bound: a machine under load may take longer. Over a connection that was kept, and is closed without a word, it is
/// told again at once over a fresh one; so one of two has waited, half of that by chance, and each time twice as long.
fn waits_grow(hooks: &Unruly, before: usize) {
    let told = &hooks.told("/acme")[before..before + TRIES];
    let (took, least) = (told[TRIES - 1].at - told[0].at, (RETRY_MIN + RETRY_MIN * 2) / 2);
    assert!(took >= least, "{TRIES} times within {took:?}, where two waits are {least:?} at least");
}

struct Place {
    applications: Applications,
}

impl Place {
    /// Both accounts' webhooks are at one server. What is sent has been delivered as soon as the network has it.
    fn start(hooks: u16) -> Self {
        let webhook = |account: &str| {
            let secret = Unruly::SECRET;
            format!(
                "accounts.{account}.webhook = {{ upstream = \"hooks\", path = \"/{account}\", secret = \"{secret}\" }}\n"
            )
        };
        let rest = format!(
            "webhooks = {{ timeout = \"{TIMEOUT:?}\", retry_min = \"{RETRY_MIN:?}\", retry_max = \"400ms\" }}\n{}{}",
            webhook("acme"),
            webhook("other")
        );
        let more = format!("[upstream.hooks]\nservers = [\"tcp://127.0.0.1:{hooks}\"]\n");
        let network = Network::up();
        let port = network.port;
        network.oblige();
        let setup =
            Setup { rest: &rest, messages: "networks.smsc-a.receipts = false", more: &more, ..Setup::default() };
        Place { applications: Applications::start(port, setup) }
    }

    /// Has a message sent by an account, and waits for its event: the name of both.
    fn send(&self, account: &str) -> String {
        let credentials = match account {
            "acme" => support::ACME,
            _ => "Authorization: Basic b3RoZXI6c2VjcmV0\r\n",
        };
        let body = json!({ "from": "100", "to": "200", "text": "hi" }).to_string();
        let answer = self.applications.ask_as(credentials, "POST /v1/messages", "", &body);
        assert_eq!(answer.status, 202, "{}", answer.text());
        let id = answer.json()["messages"][0]["id"].as_str().unwrap().to_owned();
        let ended = format!("SELECT count(*) FROM \"messaging.messages\" WHERE id = '{id}' AND phase = 'ended'");
        settled(1, || self.applications.count(&ended));
        id
    }
}
