//! What belongs together has one trace: from an application's request, by way of all services, to the network, in the records of each;
//! also where the message waits, and where each component was replaced meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{
    Client, Collector, Gateway, Network, SECRET, Step, Upstream, eventually, free_port, libraries, request, settled,
};

/// `acme:secret`
const ACME: &str = "Authorization: Basic YWNtZTpzZWNyZXQ=\r\n";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_message_is_one_trace_in_all_records() {
    let mut network = Network::down();
    let place = Place::start(network.port, "");
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

/// Each step is told to a collector under the one that has led to it: the application's, which is elsewhere, first.
#[test]
fn a_message_is_one_trace_at_the_collector() {
    let collector = Collector::start();
    let mut network = Network::down();
    let place = Place::start(network.port, &collector.configuration());
    network.come_up();
    network.oblige();
    let mut client = place.gateway.connect(place.rest);
    let body = json!({ "from": "100", "to": "200", "text": "hi" }).to_string();
    let mut send = |fields: &str| {
        client.send(request(ACME, "POST /v1/messages", fields, &body).as_bytes()).unwrap();
        assert_eq!(client.answer("POST").unwrap().status, 202);
    };
    send(&format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n"));
    // Whoever began that one does not want to know.
    send("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n");
    send("");

    let steps = eventually("two traces of five steps", || {
        let steps = collector.steps();
        let networks = steps.iter().filter(|step| step.name == "submit_sm").count();
        let messages = steps.iter().filter(|step| step.name == "message").count();
        (networks == 2 && messages == 2 && steps.len() >= 10).then_some(steps)
    });
    assert!(steps.iter().all(|step| step.trace != "0af7651916cd43dd8448eb211c80319c"), "{steps:#?}");
    let of = |said: bool| steps.iter().filter(move |step| (step.trace == TRACE) == said).collect::<Vec<_>>();
    for (steps, first) in [(of(true), "00f067aa0ba902b7"), (of(false), "")] {
        let named = |name: &str| {
            // A call that came before the network's session was bound has failed, and says so.
            let well = |step: &&&Step| step.name == name && step.failed.is_none();
            let found: Vec<&Step> = steps.iter().filter(well).copied().collect();
            let [one] = found[..] else { panic!("{name}: {steps:#?}") };
            one
        };
        let [asked, handed_on, message] = ["POST", "call messages", "message"].map(named);
        let [sent, submitted] = ["call smsc", "submit_sm"].map(named);
        let parents = [asked, handed_on, message, sent, submitted].map(|step| step.parent.as_str());
        assert_eq!(parents, [first, &asked.id, &handed_on.id, &handed_on.id, &sent.id], "{steps:#?}");
        assert_eq!([asked.kind, handed_on.kind, submitted.kind], [2, 1, 3]);
        assert_eq!(asked.says("http.response.status_code"), "202");
        assert_eq!((asked.says("tandem.account"), asked.says("tandem.service")), ("acme", "rest"));
        assert!(submitted.says("tandem.version").starts_with("smpp@"), "{submitted:?}");
        assert_eq!((asked.says("service.name"), handed_on.says("tandem.called")), ("tandem", "messages"));
        // Records say in whole microseconds how long they took.
        let within =
            |inner: &Step, outer: &Step| outer.during.0 < inner.during.0 + 1000 && inner.during.1 <= outer.during.1;
        assert!(within(handed_on, asked) && within(submitted, sent), "{steps:#?}");
        assert!(steps.iter().all(|step| step.trace == asked.trace), "{steps:#?}");
    }
}

/// Servers are told of the exchange that has led to theirs, and only then where steps are exported.
#[test]
fn a_server_is_told_which_step_has_led_to_it() {
    let (collector, upstream, port) = (Collector::start(), Upstream::start("app"), free_port());
    let text = format!(
        "[service.web]\ncomponent = \"http\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
         config = {{ routes = [{{ path = \"/\", upstream = \"app\" }}] }}\n\
         [upstream.app]\nservers = [\"tcp://{}\"]\n",
        upstream.address()
    );
    let gateway = Gateway::builder().library(&libraries().http).toml(&text).start();
    let mut client = gateway.connect(port);
    let mut ask = |fields: &str| {
        client.send(format!("GET /trace HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).unwrap();
        client.answer("GET").unwrap().text()
    };
    let said = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\ntracestate: a=b\r\n");
    assert_eq!(ask(&said), format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\ntracestate: a=b\n"));
    assert_eq!(ask(""), "");

    gateway.configure(|text| format!("{text}{}", collector.configuration()));
    assert!(gateway.reload().ok);
    let gone_on = ask(&said);
    let begun = ask("tracestate: a=b\r\n");

    let steps = eventually("both are exported", || Some(collector.steps()).filter(|steps| steps.len() == 2));
    let own = |trace: &str| steps.iter().find(|step| (step.trace == TRACE) == (trace == TRACE)).unwrap();
    assert_eq!(gone_on, format!("tracestate: a=b\ntraceparent: 00-{TRACE}-{}-01\n", own(TRACE).id));
    assert_eq!(own(TRACE).parent, "00f067aa0ba902b7");
    assert_eq!(begun, format!("traceparent: 00-{}-{}-01\n", own("").trace, own("").id));
    assert_eq!((own("").parent.as_str(), own("").name.as_str()), ("", "GET"));
}

/// It costs nobody anything that a collector is not there, but what it has missed.
#[test]
fn a_collector_may_be_away() {
    let port = free_port();
    let (collector, rest) = (free_port(), format!("tcp://127.0.0.1:{port}"));
    let text = format!(
        "[service.web]\ncomponent = \"http\"\nlisten = [\"{rest}\"]\nconfig = {{ routes = [{{ path = \"/\", status = 200 }}] }}\n\
         [traces]\nendpoint = \"http://127.0.0.1:{collector}\"\nsample = 1.0\n"
    );
    let gateway = Gateway::builder().library(&libraries().http).toml(&text).start();
    let mut client = gateway.connect(port);
    let mut ask = || {
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(client.answer("GET").unwrap().status, 200);
    };
    ask();
    settled(true, || gateway.status().count("traces-lost") > 0);
    let lost = gateway.status();
    let notice = lost.notices.iter().find(|notice| notice.notice == "traces-lost").unwrap();
    assert!(
        notice.last.contains(&format!("http://127.0.0.1:{collector}/v1/traces did not take 1 spans")),
        "{notice:?}"
    );

    let collector = Collector::start_at(collector);
    ask();
    eventually("the next one has come", || (collector.steps().len() == 1).then_some(()));
}

struct Place {
    gateway: Gateway,
    rest: u16,
    file: PathBuf,
}

impl Place {
    fn start(network: u16, traces: &str) -> Self {
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
{traces}"#
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
