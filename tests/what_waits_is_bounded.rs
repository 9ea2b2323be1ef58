//! As many messages wait as may, of an account and of all: more are refused to applications and ESMEs, with which limit it is, and are
//! not stored. The count outlives swaps and a kill, and what is delivered makes room.

use serde_json::json;
use support::esme::SUBMIT_SM;
use support::{ACME, Answer, Applications, Esme, Network, Setup, free_port, libraries, settled};

const ROK: u32 = 0;
const RMSGQFUL: u32 = 0x14;
const OTHER: &str = "Authorization: Basic b3RoZXI6c2VjcmV0\r\n";

#[test]
fn more_than_may_wait_are_refused_until_some_have_ended() {
    let (mut network, smpp) = (Network::down(), free_port());
    let more = format!(
        "[service.esme]\ncomponent = \"smpp\"\nlisten = [\"tcp://127.0.0.1:{smpp}\"]\n[service.esme.config]\nsubmit_to = \"messages\""
    );
    let messages = "waiting = { account = 3, all = 5 }\nnetworks.smsc-a.receipts = false";
    let mut place = Applications::start(network.port, Setup { messages, more: &more, ..Setup::default() });
    for n in 0..3 {
        assert_eq!(post(&place, ACME).status, 202, "{n}");
    }
    full(&post(&place, ACME), "3 messages of the account `acme` wait, which are as many as may");
    let mut esme = Esme::bound(smpp, "acme");
    esme.submit("one more").unwrap();
    let response = esme.response().unwrap();
    assert_eq!((response.command & 0xff, response.status), (SUBMIT_SM, RMSGQFUL));
    // Another account has room, until it is full for all.
    let mut other = Esme::bound(smpp, "other");
    other.submit("one").unwrap();
    assert_eq!(other.response().unwrap().status, ROK);
    assert_eq!(post(&place, OTHER).status, 202);
    full(&post(&place, OTHER), "5 messages wait, of all accounts, which are as many as may");
    assert_eq!(place.stored(), 5);

    place.gateway.swap(&libraries().messaging, "1.0.1");
    full(&post(&place, ACME), "3 messages of the account `acme` wait, which are as many as may");
    place.gateway.kill_and_start();
    full(&post(&place, ACME), "3 messages of the account `acme` wait, which are as many as may");
    full(&post(&place, OTHER), "5 messages wait, of all accounts, which are as many as may");
    assert_eq!(place.stored(), 5);

    network.come_up();
    network.oblige();
    settled(5, || place.count("SELECT sum(ended) FROM \"messaging.waiting\""));
    assert_eq!(post(&place, ACME).status, 202);
    settled(0, || place.count("SELECT sum(taken - ended) FROM \"messaging.waiting\""));
    settled(6, || place.count("SELECT sum(delivered) FROM \"messaging.totals\""));
}

fn post(place: &Applications, credentials: &str) -> Answer {
    let body = json!({ "from": "100", "to": "200", "text": "hi" }).to_string();
    place.ask_as(credentials, "POST /v1/messages", "", &body)
}

#[track_caller]
fn full(answer: &Answer, which: &str) {
    let problem = answer.json();
    assert_eq!((answer.status, &problem["type"]), (429, &json!("urn:tandem:problem:full")), "{problem}");
    assert_eq!(problem["detail"], format!("{which}: one has to end before another is taken"));
    assert!(answer.field("retry-after").is_some());
}
