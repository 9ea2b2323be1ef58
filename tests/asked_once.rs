//! A request with an `Idempotency-Key` is done once, whatever becomes of the connection and of the gateway, and its answer is told again.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};
use support::{Answer, Applications, Network, Setup};

fn ask(place: &Applications, key: &str, text: &str) -> Answer {
    let body = json!({ "from": "100", "to": ["200", "201"], "text": text }).to_string();
    place.ask("POST /v1/messages", &format!("Idempotency-Key: {key}\r\n"), &body)
}

fn ids(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["messages"].as_array().unwrap().iter().map(|message| message["id"].clone()).collect()
}

#[test]
fn the_same_under_one_key_is_stored_once_and_another_not_at_all() {
    let mut place = Applications::start(Network::down().port, Setup::default());
    let first = ask(&place, "k1", "hello");
    assert_eq!(ask(&place, "k1", "hello").text(), first.text());
    let other = ask(&place, "k1", "another");
    assert_eq!((other.status, &other.json()["type"]), (422, &json!("urn:tandem:problem:key-reused")));
    assert_eq!(place.stored(), 2);
    // Another account's keys are its own.
    let body = json!({ "from": "100", "to": "200", "text": "another" }).to_string();
    let others = "Authorization: Basic b3RoZXI6c2VjcmV0\r\n";
    assert_eq!(place.ask_as(others, "POST /v1/messages", "Idempotency-Key: k1\r\n", &body).status, 202);
    place.gateway.kill_and_start();
    assert_eq!(ask(&place, "k1", "hello").text(), first.text());
    assert_eq!(ask(&place, "k1", "another").status, 422);
    assert_eq!(place.stored(), 3);
}

/// Each of them is told of the same messages, or that it is being done.
#[test]
fn many_at_once_under_one_key_are_one() {
    let place = Applications::start(Network::down().port, Setup::default());
    for round in 0..10 {
        let key = format!("round-{round}");
        let answers: Vec<Answer> = thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| ask(&place, &key, "hello"))).collect();
            asking.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let (done, busy): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
        let told: BTreeSet<String> = done.iter().map(|answer| answer.text()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        for answer in busy {
            let said = (answer.status, answer.field("retry-after"), answer.json()["type"].clone());
            assert_eq!(said, (409, Some("1"), json!("urn:tandem:problem:request-in-progress")));
        }
        assert_eq!(ids(&ask(&place, &key, "hello")), ids(done[0]));
        assert_eq!(place.stored(), 2 * (round + 1));
    }
}
