//! What belongs together has one trace: from an application's request, by way of all services, to the network, in the records of each;
//! also where the message waits, and where each component was replaced meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{Client, Gateway, Network, SECRET, eventually, free_port, libraries, request};

/// `acme:secret`
const ACME: &str = "Authorization: Basic YWNtZTpzZWNyZXQ=\r\n";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_message_is_one_trace_in_all_records() {
    let mut network = Network::down();
    let place = Place::start(network.port);
    let mut client = place.gateway.connect(place.rest);
    let body = json!({ "from": "100", "to": "200", "text": "hi" }).to_string();
    let mut send = |fields: &str| {
        client.send(request(ACME, "POST /v1/messages", fields, &body).as_bytes()).unwrap();
        let answer = client.answer("POST").unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["messages"][0]["id"].as_str().unwrap().to_owned()
    };
    let said = send(&format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n"));
    let begun = send("");
    let wrong = send(&format!("traceparent: 00-{TRACE}\r\n"));
    // They wait for a network; whoever sends them is not who has taken them.
    for library in [&libraries().rest, &libraries().messaging, &libraries().smpp] {
        place.gateway.swap(library, "1.0.1");
    }
    network.come_up();
    network.oblige();

    let traces = eventually("each has been sent", || {
        let records = place.records();
        let of = |id: &String| records.iter().find(|record| record["message_id"] == **id).map(|it| text(&it["trace"]));
        [&said, &begun, &wrong].into_iter().map(of).collect::<Option<Vec<String>>>()
    });

    let records = eventually("all three are written down at each service", || {
        let mut services: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for record in place.records().into_iter().filter(|it| traces.contains(&text(&it["trace"]))) {
            services.entry(text(&record["service"])).or_default().push(record);
        }
        (services.len() == 3 && services.values().all(|records| records.len() == 3)).then_some(services)
    });
    for (service, records) in records {
        let mut found: Vec<String> = records.iter().map(|record| text(&record["trace"])).collect();
        let mut expected = traces.clone();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{service}");
        assert!(records.iter().all(|record| record["account"] == "acme"), "{service}: {records:?}");
    }
    assert_eq!(traces[0], TRACE);
    assert!(traces[1..].iter().all(|trace| trace.len() == 32 && trace != TRACE) && traces[1] != traces[2]);
}

struct Place {
    gateway: Gateway,
    rest: u16,
    file: PathBuf,
}

impl Place {
    fn start(network: u16) -> Self {
        let rest = free_port();
        let text = format!(
            r#"
[service.rest]
component = "rest"
records = "records.jsonl"
listen = ["tcp://127.0.0.1:{rest}"]
config = {{ submit_to = "messages" }}
[service.messages]
component = "messaging"
records = "records.jsonl"
config = {{ routes = [{{ to = {{ smsc = 1 }} }}], networks.smsc.receipts = false, retry = {{ from = "100ms", to = "500ms" }} }}
[service.smsc]
component = "smpp"
records = "records.jsonl"
connect = ["tcp://127.0.0.1:{network}"]
reconnect = {{ from = "50ms", to = "200ms" }}
[account.acme]
secret = "{SECRET}"
"#
        );
        let libraries = libraries();
        let builder =
            Gateway::builder().library(&libraries.rest).library(&libraries.messaging).library(&libraries.smpp);
        let file = builder.scratch("records.jsonl");
        Place { gateway: builder.data("data").toml(&text).start(), rest, file }
    }

    fn records(&self) -> Vec<Value> {
        lines(&self.file)
    }
}

/// What is in the file so far: the last line may not be whole.
fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_a_proxy_is_asked_is_recorded_by_its_trace() {
    let port = free_port();
    let text_of = format!(
        "[service.web]\ncomponent = \"http\"\nrecords = \"records.jsonl\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
         config = {{ routes = [{{ path = \"/\", status = 200, body = \"here\" }}] }}\n"
    );
    let builder = Gateway::builder().library(&libraries().http);
    let file = builder.scratch("records.jsonl");
    let gateway = builder.toml(&text_of).start();
    let mut client: Client = gateway.connect(port);
    let traceparent = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-00\r\n");
    for fields in [traceparent.clone(), String::new(), traceparent.repeat(2)] {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).unwrap();
        assert_eq!(client.answer("GET").unwrap().status, 200);
    }

    let records = eventually("three records", || Some(lines(&file)).filter(|lines| lines.len() == 3));

    let traces: Vec<Option<&Value>> = records.iter().map(|record| record.get("trace")).collect();
    assert_eq!(traces, [Some(&json!(TRACE)), None, None]);
}
