//! The record of each request and its response.

use serde_json::{Value, json};

use crate::support::*;

fn records(esme: &mut Esme) -> Vec<Value> {
    esme.session().records().iter().map(|record| rmp_serde::from_slice(record).unwrap()).collect()
}

/// What is said of one: its account, outcome, request and status.
fn said(record: &Value) -> [&Value; 4] {
    ["account", "outcome", "event", "status"].map(|key| &record[key])
}

#[test]
fn each_request_has_one_record_with_its_account_outcome_and_sizes() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        let request = submit(2, "hello", 0);
        let response = esme.ask(&request);
        esme.ask(&submit_to("", 3, "hi", 0, &[]));
        esme.ask(&pdu(UNBIND, 4, b""));
        let records = records(esme);
        let [bind, taken, refused, unbind] = &records[..] else { panic!("one each: {records:?}") };
        assert_eq!(said(bind), [&json!("acme"), &json!("done"), &json!("bind_transceiver"), &json!(0)]);
        assert_eq!(said(taken), [&json!("acme"), &json!("done"), &json!("submit_sm"), &json!(0)]);
        assert_eq!((&taken["source"], &taken["destination"]), (&json!("100"), &json!("200")));
        assert_eq!((&taken["message_id"], &taken["asked_by"]), (&json!(response.text()), &json!("peer")));
        let sizes = (&taken["bytes_in"], &taken["bytes_out"]);
        assert_eq!(sizes, (&json!(request.len()), &json!(16 + response.body.len())));
        assert_eq!(said(refused), [&json!("acme"), &json!("refused"), &json!("submit_sm"), &json!(RINVDSTADR)]);
        assert_eq!(said(unbind), [&json!("acme"), &json!("done"), &json!("unbind"), &json!(0)]);
    });
}

#[test]
fn a_bind_with_a_wrong_password_is_nobodys() {
    every_way(&config(), |esme| {
        esme.say(&bind(TRANSCEIVER, 1, "acme", "wrong"));
        esme.heard();
        let records = records(esme);
        assert_eq!(said(&records[0]), [&json!(""), &json!("refused"), &json!("bind_transceiver"), &json!(RINVPASWD)]);
        assert_eq!(records.len(), 1, "{records:?}");
    });
}
