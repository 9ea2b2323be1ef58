//! Receipts and incoming messages are kept for their account until it takes them.

use std::cell::RefCell;

use serde_json::{Value, json};
use tandem_component::prelude::*;
use tandem_rest::{EVENTS, TAILS};
use tandem_sms::{Address, Asked, Deliver, Delivered, Report, Sms, State, Submit, Submitted, status};

use crate::support::*;

pub(crate) fn receipt(account: &str, message_id: &str) -> Asked {
    let report =
        Report { message_id: message_id.into(), state: State::Delivered, error: "000".into(), intermediate: false };
    let address = |digits: &str| Address { ton: 1, npi: 1, digits: digits.into() };
    let sms = Sms { source: address("4917200"), destination: address("100"), ..Sms::default() };
    Asked::Deliver(Deliver {
        sms,
        receipt: Some(report),
        account: account.into(),
        id: format!("r-{message_id}"),
        ..Deliver::default()
    })
}

pub(crate) fn message(account: &str, text: &str) -> Asked {
    let sms = Sms { short_message: b"\x01".to_vec(), data_coding: 4, esm_class: 0x40, ..Sms::default() };
    let text = Some(text.to_owned()).filter(|text| !text.is_empty());
    Asked::Deliver(Deliver { sms, text, account: account.into(), ..Deliver::default() })
}

/// Has the session keep something, and says how that was answered.
pub(crate) fn keep(client: &mut Client, asked: &impl Serialize) -> Option<u32> {
    let id = client.session().request("messaging", asked);
    client.carry();
    client.session().response::<Delivered>(id).map(|it| it.status)
}

/// A client of which each finds what is in the store of another session.
fn with_rows_of(client: &mut Client, other: &mut Client) {
    client.session().copy_rows(other.session());
}

/// Keeps so many receipts for acme.
fn kept(config: &Value, seed: u64, n: usize) -> Client {
    let mut resident = Client::connect_as(Transport::Resident, config, seed, false, false);
    for n in 1..=n {
        assert_eq!(keep(&mut resident, &receipt("acme", &format!("m{n}"))), Some(0));
    }
    resident
}

#[test]
fn what_is_kept_is_answered_once_it_is_committed() {
    for transport in [Transport::Call, Transport::Resident] {
        for seed in 0..12 {
            for carries in [false, true] {
                let mut session = Client::connect_as(transport, &config(), seed, carries, false);
                assert_eq!(keep(&mut session, &receipt("acme", "m1")), Some(0), "seed {seed}");
                assert_eq!(keep(&mut session, &message("acme", "hi")), Some(0), "seed {seed}");
                assert_eq!(keep(&mut session, &message("other", "hi")), Some(0), "seed {seed}");
                let rows: Vec<Value> = session.session().rows(&EVENTS);
                let places: Vec<_> =
                    rows.iter().map(|row| (row["account"].as_str().unwrap(), row["n"].as_i64().unwrap())).collect();
                assert_eq!(places, [("acme", 1), ("acme", 2), ("other", 1)], "seed {seed}");
                session.session().fail_store(Some(StoreFailure::Unavailable));
                assert_eq!(keep(&mut session, &receipt("acme", "m2")), Some(status::TEMPORARY), "seed {seed}");
                session.session().fail_store(None);
                assert_eq!(keep(&mut session, &receipt("acme", "m2")), Some(0), "seed {seed}");
            }
        }
    }
}

#[test]
fn what_came_together_is_written_together() {
    for seed in 0..12 {
        let mut session = Client::connect_as(Transport::Resident, &config(), seed, false, false);
        let ids: Vec<RequestId> =
            (0..200).map(|n| session.session().request("messaging", &receipt("acme", &n.to_string()))).collect();
        for id in ids {
            assert_eq!(session.session().response::<Delivered>(id).unwrap().status, 0);
        }
        let rows: Vec<Value> = session.session().rows(&EVENTS);
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids, (0..200).map(|n| format!("r-{n}")).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn an_account_that_takes_nothing_is_full() {
    let mut config = config();
    config["accounts"] = json!({ "acme": { "events_max": 3 } });
    let mut resident = kept(&config, 0, 3);
    assert_eq!(keep(&mut resident, &receipt("acme", "m4")), Some(status::FULL));
    assert_eq!(keep(&mut resident, &receipt("other", "m4")), Some(0));
    let mut client = Client::plain(&config);
    with_rows_of(&mut client, &mut resident);
    assert_eq!(client.ask(&request("DELETE /v1/events?through=1")).status, 204);
    with_rows_of(&mut resident, &mut client);
    assert_eq!(keep(&mut resident, &receipt("acme", "m4")), Some(0));
    assert_eq!(keep(&mut resident, &receipt("acme", "m5")), Some(status::FULL));
}

#[test]
fn what_is_not_done_here_is_answered_so() {
    let mut resident = kept(&config(), 0, 0);
    assert_eq!(keep(&mut resident, &receipt("", "m1")), Some(status::UNWANTED));
    assert_eq!(keep(&mut resident, &"nonsense"), Some(status::UNKNOWN_COMMAND));
    let id = resident.session().request("messaging", &Asked::Submit(Submit::default()));
    let submitted: Submitted = resident.session().response(id).unwrap();
    assert_eq!(submitted.status, status::UNKNOWN_COMMAND);
}

#[test]
fn another_session_that_was_faster_is_no_matter() {
    for seed in 0..40 {
        let mut one = kept(&config(), seed, 1);
        let mut other = kept(&config(), seed, 1);
        // The other has kept two more, and the client has taken all, while this one has the tail of before.
        assert_eq!(keep(&mut other, &receipt("acme", "m2")), Some(0));
        let id = one.session().request("messaging", &receipt("acme", "m3"));
        with_rows_of(&mut one, &mut other);
        let status = one.session().response::<Delivered>(id).unwrap().status;
        assert_eq!(status, 0, "seed {seed}");
    }
}

#[test]
fn events_are_fetched_and_stay_until_they_are_taken() {
    let mut resident = kept(&config(), 0, 2);
    assert_eq!(keep(&mut resident, &message("acme", "h\u{e9}llo")), Some(0));
    assert_eq!(keep(&mut resident, &message("acme", "")), Some(0));
    assert_eq!(keep(&mut resident, &message("other", "secret")), Some(0));
    let resident = RefCell::new(resident);
    every_way(&config(), |client| {
        with_rows_of(client, &mut resident.borrow_mut());
        let heard = client.ask(&request("GET /v1/events?wait=30"));
        assert_eq!((&heard.body["cursor"], &heard.body["more"]), (&json!("4"), &json!(false)));
        let events = heard.body["events"].as_array().unwrap();
        assert_eq!(
            events[0],
            json!({ "id": "r-m1", "type": "receipt", "at": "2026-01-01T12:00:00Z", "from": "+4917200", "to": "+100",
                "message_id": "m1", "state": "DELIVRD", "error": "000", "final": true })
        );
        assert_eq!((&events[2]["type"], &events[2]["text"]), (&json!("message"), &json!("h\u{e9}llo")));
        assert_eq!(
            (&events[3]["binary"], &events[3]["data_coding"], &events[3]["udhi"]),
            (&json!("AQ=="), &json!(4), &json!(true))
        );
        let heard = client.ask(&request("GET /v1/events?limit=1&after=1"));
        assert_eq!((&heard.body["events"][0]["id"], &heard.body["more"]), (&json!("r-m2"), &json!(true)));
        assert_eq!(client.ask(&request("DELETE /v1/events?through=2")).status, 204);
        let heard = client.ask(&request("GET /v1/events"));
        assert_eq!(heard.body["events"].as_array().unwrap().len(), 2);
        assert_eq!(client.ask(&request("DELETE /v1/events?through=2")).status, 204);
        assert_eq!(client.ask(&request("DELETE /v1/events?through=9223372036854775807")).status, 204);
        let heard = client.ask(&request("GET /v1/events?after=4"));
        assert_eq!(heard.body, json!({ "events": [], "cursor": "4", "more": false }));
    });
}

#[test]
fn who_waits_is_told_when_something_comes_or_the_time_is_up() {
    let resident = RefCell::new(kept(&config(), 0, 1));
    every_way(&config(), |client| {
        client.say(&request("GET /v1/events?wait=10"));
        client.wait(9 * SECOND);
        assert!(client.heard().is_empty());
        with_rows_of(client, &mut resident.borrow_mut());
        client.wait(SECOND / 2);
        assert_eq!(client.one().body["events"][0]["id"], "r-m1");
        client.say(&request("GET /v1/events?wait=10&after=1"));
        client.wait(9 * SECOND);
        assert!(client.heard().is_empty());
        client.wait(SECOND);
        assert_eq!(client.one().body["events"], json!([]));
        // Who has finished is not waited for.
        client.say(&request("GET /v1/events?wait=10&after=1"));
        client.session().end(Stream::OWN);
        client.wait(SECOND / 100);
        assert_eq!((client.one().status, client.is_closed()), (200, true));
    });
}

/// Another session that has lost a race for numbers, and whose rows are there still.
struct Rival;

#[derive(Serialize, Deserialize)]
struct Racing;

#[derive(Serialize)]
struct Row<'a> {
    account: &'a str,
    n: i64,
    id: &'a str,
    kept_at: u64,
    body: &'a str,
}

#[derive(Serialize)]
struct Tail<'a> {
    account: &'a str,
    last: i64,
}

impl Component for Rival {
    type Config = ();
    type Session = Racing;
    const TABLES: &'static [Table] = &[EVENTS, TAILS];
    const POLICY: Policy = Policy::Carry;

    fn start((): (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Rival)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Racing, Refusal> {
        Ok(Racing)
    }
}

impl Session for Racing {
    type Component = Rival;
    type Then = ();

    fn handle(&mut self, _: &Rival, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        if let Event::Opened = event {
            out.put(&TAILS, &Tail { account: "acme", last: 2 });
            for (n, id) in [(1, "real"), (2, "real"), (2, "stray"), (3, "stray"), (4, "stray")] {
                let body = &format!("{{\"id\":\"{id}\"}}");
                out.put(&EVENTS, &Row { account: "acme", n, id, kept_at: out.now().nanos(), body });
            }
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

#[test]
fn what_is_beyond_the_tail_is_not_there_yet() {
    every_way(&config(), |client| {
        client.session().copy_rows(&mut Harness::<Rival>::start(&()).unwrap());
        let heard = client.ask(&request("GET /v1/events?limit=1"));
        assert_eq!((&heard.body["cursor"], &heard.body["more"]), (&json!("1"), &json!(true)));
        // Two have one number: a cursor stands for both.
        let heard = client.ask(&request("GET /v1/events?limit=1&after=1"));
        assert_eq!(
            heard.body,
            json!({ "events": [{ "id": "real" }, { "id": "stray" }], "cursor": "2", "more": false })
        );
        assert_eq!(client.ask(&request("GET /v1/events?after=2")).body["events"], json!([]));
        assert_eq!(client.ask(&request("DELETE /v1/events?through=9")).status, 204);
        let left: Vec<Value> = client.session().rows(&EVENTS);
        assert_eq!(left.iter().map(|row| row["n"].as_i64().unwrap()).collect::<Vec<_>>(), [3, 4]);
    });
    let webhook = json!({ "upstream": "app", "path": "/", "secret": "s" });
    let config = json!({ "submit_to": "m", "accounts": { "acme": { "webhook": webhook } } });
    for seed in 0..12 {
        let mut resident = Client::connect_as(Transport::Resident, &config, seed, false, false);
        resident.session().copy_rows(&mut Harness::<Rival>::start(&()).unwrap());
        resident.wait(SECOND);
        resident.session().dialing().unwrap();
        let stream = resident.session().connect(Server(1), false);
        let sent = String::from_utf8(resident.session().sent(stream)).unwrap();
        assert!(sent.ends_with(r#"{"events":[{"id":"real"},{"id":"real"},{"id":"stray"}]}"#), "{sent}");
        resident.session().bytes(stream, b"HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(resident.session().rows::<Value>(&EVENTS).len(), 2);
    }
}

#[test]
fn a_store_that_fails_is_unavailable() {
    let mut resident = kept(&config(), 0, 1);
    for seed in 0..12 {
        let mut client = Client::connect(&config(), seed, false, false);
        with_rows_of(&mut client, &mut resident);
        client.session().fail_store(Some(StoreFailure::Unavailable));
        for line in ["GET /v1/events", "DELETE /v1/events?through=1"] {
            assert_eq!(client.ask(&request(line)).problem(), "unavailable");
        }
        client.session().fail_store(None);
        assert_eq!(client.ask(&request("GET /v1/events")).body["cursor"], "1");
    }
}

#[test]
fn many_events_go_by_pages() {
    let resident = &mut kept(&config(), 0, 0);
    for n in 0..1200 {
        resident.session().request("messaging", &receipt("acme", &n.to_string()));
    }
    let mut client = Client::plain(&config());
    with_rows_of(&mut client, resident);
    assert_eq!(client.ask(&request("DELETE /v1/events?through=1100")).status, 204);
    let rows: Vec<Value> = client.session().rows(&EVENTS);
    assert_eq!((rows.len(), &rows[0]["n"]), (100, &json!(1101)));
}

#[test]
fn what_nobody_has_come_for_is_dropped() {
    let mut resident = kept(&config(), 0, 3);
    resident.wait(SECOND * 3 * 86_400);
    resident.wait(SECOND * 120);
    assert!(resident.session().rows::<Value>(&EVENTS).is_empty());
    let tails: Vec<Value> = resident.session().rows(&TAILS);
    assert_eq!((&tails[0]["dropped"], &tails[0]["gone"], &tails[0]["last"]), (&json!(3), &json!(3), &json!(3)));
}
