//! A gateway that applications ask over HTTP, with `messaging` behind `rest`: [`Applications`].

use std::path::PathBuf;

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::gateway::{Gateway, loopback};
use crate::libraries::libraries;
use crate::port::free_port;
use crate::smsc::SECRET;

/// The services `rest`, `messages` and `smsc-a`, which is bound to one SMSC. The accounts `acme` and `other` have the secret `secret`,
/// messages to `100` are acme's. Nothing leads to destinations that begin with 9.
#[derive(Debug)]
pub struct Applications {
    /// The gateway.
    pub gateway: Gateway,
    /// Where applications ask.
    pub port: u16,
    store: PathBuf,
}

/// What there is beside the usual in the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// Where messages go, where that is not to smsc-a unless they begin with 9.
    pub routes: &'a str,
    /// In that of `rest`.
    pub rest: &'a str,
    /// In that of `messages`.
    pub messages: &'a str,
    /// In that of `smsc-a`.
    pub smsc: &'a str,
    /// Of nothing of these.
    pub more: &'a str,
}

impl Applications {
    /// Starts one that binds to a port.
    ///
    /// # Panics
    /// Where it does not serve.
    pub fn start(smsc: u16, setup: Setup<'_>) -> Self {
        let port = free_port();
        let Setup { routes, rest, messages, smsc: of_smsc, more } = setup;
        let usual =
            (0..9).map(|digit| format!("{{ prefix = \"{digit}\", to = {{ smsc-a = 1 }} }},")).collect::<String>();
        let text = format!(
            r#"
workers = 2
[service.rest]
component = "rest"
listen = ["tcp://{listen}"]
[service.rest.config]
submit_to = "messages"
events.look = "50ms"
{rest}
[service.messages]
component = "messaging"
[service.messages.config]
routes = [{routes}]
retry = {{ from = "100ms", to = "500ms" }}
accounts.acme = {{ addresses = ["100"], front = "rest" }}
{messages}
[service.smsc-a]
component = "smpp"
connect = ["tcp://{smsc}"]
reconnect = {{ from = "50ms", to = "100ms" }}
[service.smsc-a.config]
password = "secret"
deliver_to = "messages"
timers.enquire_link = "1m"
{of_smsc}
[account.acme]
secret = "{SECRET}"
[account.other]
secret = "{SECRET}"
{more}"#,
            listen = loopback(port),
            smsc = loopback(smsc),
            routes = if routes.is_empty() { &usual } else { routes },
        );
        let libraries = libraries();
        let builder =
            Gateway::builder().library(&libraries.rest).library(&libraries.messaging).library(&libraries.smpp);
        let gateway = builder.data("data").toml(&text).start();
        let store = gateway.scratch("data").join("store.sqlite");
        Applications { gateway, port, store }
    }

    /// A connection of a client.
    pub fn connect(&self) -> Client {
        Client::connect(loopback(self.port))
    }

    /// The answer to one request of acme, over a connection of its own.
    ///
    /// # Panics
    /// Where none comes.
    pub fn ask(&self, line: &str, fields: &str, body: &str) -> Answer {
        self.ask_as(ACME, line, fields, body)
    }

    /// The answer to one request with these credentials, over a connection of its own.
    ///
    /// # Panics
    /// Where none comes.
    pub fn ask_as(&self, credentials: &str, line: &str, fields: &str, body: &str) -> Answer {
        let mut client = self.connect();
        client.send(request(credentials, line, fields, body).as_bytes()).expect("the gateway listens");
        client.answer(line.split(' ').next().unwrap_or_default()).expect("it answers")
    }

    /// The answer to messages of acme.
    ///
    /// # Panics
    /// Where none comes.
    pub fn post(&self, body: &Value) -> Answer {
        self.ask("POST /v1/messages", "", &body.to_string())
    }

    /// Has a text sent from `100` to `200`: the message's name.
    ///
    /// # Panics
    /// Where it is not taken.
    pub fn send(&self, text: &str) -> String {
        let answer = self.post(&serde_json::json!({ "from": "100", "to": "200", "text": text }));
        assert_eq!(answer.status, 202, "{}", answer.text());
        let id = answer.json()["messages"][0]["id"].as_str().map(str::to_owned);
        id.unwrap_or_else(|| panic!("no name: {}", answer.text()))
    }

    /// What is said of a message of acme.
    ///
    /// # Panics
    /// Where it is not known.
    pub fn message(&self, id: &str) -> Value {
        let answer = self.ask(&format!("GET /v1/messages/{id}"), "", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The events of acme that are not taken.
    ///
    /// # Panics
    /// Where they are not told.
    pub fn events(&self) -> Vec<Value> {
        let answer = self.ask("GET /v1/events?limit=500", "", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["events"].as_array().cloned().unwrap_or_default()
    }

    /// How many messages are in the store, whatever has become of them.
    pub fn stored(&self) -> i64 {
        self.count("SELECT count(*) FROM \"messaging.messages\"")
    }

    /// A number that SQL says of the store.
    ///
    /// # Panics
    /// Where it says none.
    pub fn count(&self, sql: &str) -> i64 {
        let store = rusqlite::Connection::open(&self.store).expect("the store is there");
        store.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// A request with these credentials, fields and body.
pub fn request(credentials: &str, line: &str, fields: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    format!("{line} HTTP/1.1\r\nHost: test\r\n{credentials}{fields}{kind}Content-Length: {length}\r\n\r\n{body}")
}

/// acme:secret, as a field.
pub const ACME: &str = "Authorization: Basic YWNtZTpzZWNyZXQ=\r\n";
