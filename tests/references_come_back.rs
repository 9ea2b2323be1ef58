//! What an account calls a message comes back wherever the message is told of: in its status, in the list, in events and by webhook.

use serde_json::{Value, json};
use support::{ACME, Applications, Hooks, Network, Setup, eventually};

#[test]
fn a_reference_is_told_wherever_its_message_is() {
    let (network, hooks) = (Network::up(), Hooks::start());
    let port = network.port;
    network.oblige();
    let webhook =
        format!("accounts.other.webhook = {{ upstream = \"hooks\", path = \"/\", secret = \"{}\" }}", Hooks::SECRET);
    let setup = Setup {
        rest: &webhook,
        messages: "networks.smsc-a.receipts = false",
        more: &format!("[upstream.hooks]\nservers = [\"tcp://127.0.0.1:{}\"]\n", hooks.port),
        ..Setup::default()
    };
    let place = Applications::start(port, setup);
    let other = "Authorization: Basic b3RoZXI6c2VjcmV0\r\n";
    let reference = "order 7/ü €";
    let named = json!({ "from": "100", "to": ["200", "201"], "text": "hi", "reference": reference }).to_string();
    let unnamed = json!({ "from": "100", "to": "202", "text": "hi" }).to_string();
    for credentials in [ACME, other] {
        let answer = place.ask_as(credentials, "POST /v1/messages", "", &named);
        assert_eq!((answer.status, &answer.json()["reference"]), (202, &json!(reference)), "{}", answer.text());
        let id = answer.json()["messages"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(place.ask_as(credentials, "POST /v1/messages", "", &unnamed).status, 202);

        let message = place.ask_as(credentials, &format!("GET /v1/messages/{id}"), "", "").json();
        assert_eq!(message["reference"], reference);
        let list = place.ask_as(credentials, "GET /v1/messages", "", "").json();
        expect(reference, list["messages"].as_array().unwrap());
        let events = eventually("three receipts", || {
            let events = if credentials == ACME { place.events() } else { hooks.events() };
            (events.len() == 3).then_some(events)
        });
        expect(reference, &events);
    }
    assert_eq!(hooks.wrong(), Vec::<String>::new());
}

/// The messages to 200 and 201 have the reference, that to 202 has none.
#[track_caller]
fn expect(reference: &str, told: &[Value]) {
    assert_eq!(told.len(), 3);
    for it in told {
        let is_unnamed = [&it["to"], &it["from"]].contains(&&json!("202"));
        assert_eq!(it.get("reference"), (!is_unnamed).then_some(&json!(reference)), "{it}");
    }
}
