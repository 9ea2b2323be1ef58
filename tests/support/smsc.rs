//! A gateway that ESMEs bind to: [`Smsc`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::esmes::Esmes;
use crate::gateway::{Builder, Gateway, loopback};
use crate::libraries::libraries;
use crate::port::free_port;
use crate::process::established;
use crate::said::Version;

/// A gateway with the service `esme` of `smpp`. A message is delivered some time after it was submitted, and who says nothing
/// for half a second is asked whether it is there.
#[derive(Debug)]
pub struct Smsc {
    /// The gateway.
    pub gateway: Gateway,
    /// Where ESMEs bind.
    pub port: u16,
    store: PathBuf,
}

/// The password `secret`, hashed as cheaply as may be.
pub const SECRET: &str =
    "$argon2id$v=19$m=8,t=1,p=1$dGFuZGVtLXRlc3RzLXNhbHQ$y31viouM8eO19tjUYopz3SxYJW88OEQx/KIYl3fxK8A";

/// A message as the store has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    /// `short_message`, or the value of `message_payload` where that is empty; in hexadecimal digits.
    pub content: String,
    /// When it was taken, in nanoseconds since 1970.
    pub submitted_at: i64,
    /// Whether a receipt is still owed …
    pub owed: bool,
    /// … and whether one was acknowledged.
    pub receipted: bool,
}

impl Smsc {
    /// Starts one under a policy, for accounts of these names with the password `secret`, which delivers after a while.
    ///
    /// # Panics
    /// Where it does not serve.
    pub fn start(policy: &str, accounts: &[&str], after: Duration) -> Self {
        Smsc::start_by(Gateway::builder(), policy, accounts, after)
    }

    /// As [`start`](Smsc::start), on a gateway that was begun otherwise.
    ///
    /// # Panics
    /// As `start`.
    pub fn start_by(builder: Builder, policy: &str, accounts: &[&str], after: Duration) -> Self {
        Smsc::serving((builder, "data"), policy, accounts, &format!("smsc = {{ receipt_after = \"{after:?}\" }}"))
    }

    /// Starts one whose store is in a directory, with more in the configuration of `esme`.
    ///
    /// # Panics
    /// Where it does not serve.
    pub fn start_with(data: &str, accounts: &[&str], more: &str) -> Self {
        Smsc::serving((Gateway::builder(), data), "carry", accounts, more)
    }

    /// Starts one under a policy, with more in the configuration of `esme` and behind it.
    ///
    /// # Panics
    /// Where it does not serve.
    pub fn start_under(policy: &str, accounts: &[&str], more: &str) -> Self {
        Smsc::serving((Gateway::builder(), "data"), policy, accounts, more)
    }

    /// Starts one whose messages go to an SMSC at a port, by way of the service `smsc-a`. What that one sends to `100` is for
    /// the first of the accounts, to `101` for the second, and so on. There may be more in the configuration of `esme`.
    ///
    /// # Panics
    /// Where it does not serve.
    pub fn start_before(policy: &str, accounts: &[&str], smsc: u16, more: &str) -> Self {
        let addresses = addresses(accounts);
        let more = format!(
            r#"submit_to = "smsc-a"
{addresses}
{more}
{connector}"#,
            connector = connector(policy, smsc, "esme")
        );
        Smsc::serving((Gateway::builder(), "data"), policy, accounts, &more)
    }

    /// Starts one with `messages` of `messaging` between the ESMEs and an SMSC at a port. What that one sends to `100` is for the
    /// first of the accounts, to `101` for the second, and so on. There may be more in the configuration of `esme`.
    ///
    /// # Panics
    /// Where it does not serve.
    pub fn start_with_messaging(policy: &str, accounts: &[&str], smsc: u16, more: &str) -> Self {
        Smsc::start_with_messaging_by(Gateway::builder(), policy, accounts, smsc, more)
    }

    /// The same of a gateway with more components.
    ///
    /// # Panics
    /// Where it does not serve.
    pub fn start_with_messaging_by(builder: Builder, policy: &str, accounts: &[&str], smsc: u16, more: &str) -> Self {
        let addresses = addresses(accounts);
        let more = format!(
            r#"submit_to = "messages"
{more}
[service.messages]
component = "messaging"
[service.messages.config]
routes = [{{ to = {{ smsc-a = 1 }} }}]
front = "esme"
retry.to = "2s"
{addresses}
{connector}"#,
            connector = connector(policy, smsc, "messages")
        );
        let builder = builder.library(&libraries().messaging);
        Smsc::serving((builder, "data"), policy, accounts, &more)
    }

    fn serving((builder, data): (Builder, &str), policy: &str, accounts: &[&str], more: &str) -> Self {
        let port = free_port();
        let accounts: Vec<String> =
            accounts.iter().map(|name| format!("[account.{name}]\nsecret = \"{SECRET}\"\n")).collect();
        let gateway = builder
            .data(data)
            .library(&libraries().smpp)
            .toml(&format!(
                r#"
workers = 2
[service.esme]
component = "smpp"
listen = ["tcp://{address}"]
policy = "{policy}"
[service.esme.config]
timers.enquire_link = "500ms"
timers.receipts = "500ms"
{more}
[component.smpp]
versions = {{ keep = 0 }}
{accounts}"#,
                address = loopback(port),
                accounts = accounts.concat()
            ))
            .start();
        let store = gateway.scratch(data).join("store.sqlite");
        Smsc { gateway, port, store }
    }

    /// Has as many versions serve, each once there was traffic after the one before; before some of them another ESME binds. The
    /// connections, which are those that there were.
    ///
    /// # Panics
    /// Where somebody has connected anew.
    pub fn swap_under(&self, esmes: &mut Esmes, swaps: u32, late: &[u32]) -> BTreeSet<u16> {
        esmes.until("receipts", |now| now.receipts > 0);
        let mut connections = self.connections();
        for swap in 1..=swaps {
            if late.contains(&swap) {
                esmes.bind();
                let with_another = self.connections();
                assert!(with_another.is_superset(&connections) && with_another.len() == connections.len() + 1);
                connections = with_another;
            }
            self.gateway.swap(&libraries().smpp, &format!("1.0.{swap}"));
            let before = esmes.progress();
            esmes.until("traffic after a swap", |now| now.answered > before.answered && now.receipts > before.receipts);
        }
        assert_eq!(self.connections(), connections, "nobody has connected anew");
        connections
    }

    /// The connections of ESMEs that are there now.
    pub fn connections(&self) -> BTreeSet<u16> {
        established(self.port)
    }

    /// The versions of `smpp` that sessions run, with how many do.
    pub fn sessions(&self) -> Vec<(String, u64)> {
        let versions = self.gateway.status().versions;
        let live = |version: &Version| version.component == "smpp" && version.sessions > 0;
        versions.into_iter().filter(live).map(|version| (version.number, version.sessions)).collect()
    }

    /// All messages that were ever taken.
    ///
    /// # Panics
    /// Where the store cannot be read.
    pub fn stored(&self) -> BTreeMap<String, Stored> {
        let store = self.store();
        let mut rows = store
            .prepare(
                "SELECT id, hex(iif(length(short_message) > 0, short_message, substr(tlvs, 5))),
                        submitted_at, receipt_for IS NOT NULL, receipt_sent IS NOT NULL FROM \"smpp.messages\"",
            )
            .expect("there are messages");
        rows.query_map([], |row| {
            let content = row.get::<_, String>(1)?.to_lowercase();
            let (submitted_at, owed, receipted) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok((row.get(0)?, Stored { content, submitted_at, owed, receipted }))
        })
        .and_then(Iterator::collect)
        .expect("messages can be read")
    }

    /// What the SMSC beyond the gateway knows each message by.
    ///
    /// # Panics
    /// Where the store cannot be read.
    pub fn submitted(&self) -> BTreeMap<String, String> {
        let store = self.store();
        let mut rows =
            store.prepare("SELECT id, smsc_id FROM \"smpp.submitted\"").expect("there is what was submitted");
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).and_then(Iterator::collect).expect("it can be read")
    }

    /// What the SMSC knows each message by, where `messages` is between, and what has become of it.
    ///
    /// # Panics
    /// Where the store cannot be read.
    pub fn passed_on(&self) -> BTreeMap<String, (String, String)> {
        let store = self.store();
        let mut rows = store
            .prepare("SELECT front_id, network_id, m.state FROM \"messaging.messages\" m JOIN \"messaging.sent\" s ON s.id = m.id")
            .expect("there is what was passed on");
        rows.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
            .and_then(Iterator::collect)
            .expect("it can be read")
    }

    /// How many messages `messages` may have sent twice.
    ///
    /// # Panics
    /// Where the store cannot be read.
    pub fn maybe_twice(&self) -> u32 {
        let count = "SELECT count(*) FROM \"messaging.messages\" WHERE maybe_twice";
        self.store().query_row(count, [], |row| row.get(0)).expect("there are messages")
    }

    /// How many binds count.
    ///
    /// # Panics
    /// Where the store cannot be read.
    pub fn binds(&self) -> i64 {
        let count =
            self.store().query_row("SELECT count(*) FROM \"smpp.binds\" WHERE bound_until > 0", [], |row| row.get(0));
        count.expect("there are binds")
    }

    /// What SQLite finds wrong with the store: `ok`, where that is nothing.
    ///
    /// # Panics
    /// Where it cannot be read.
    pub fn integrity(&self) -> String {
        self.store().query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be checked")
    }

    fn store(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.store).expect("the store is there")
    }
}

/// The first account has the address `100`, the second `101`, and so on.
fn addresses(accounts: &[&str]) -> String {
    accounts.iter().zip(100..).map(|(name, at)| format!("accounts.{name}.addresses = [\"{at}\"]\n")).collect()
}

/// The service `smsc-a`, which is bound to an SMSC at a port.
fn connector(policy: &str, smsc: u16, deliver_to: &str) -> String {
    format!(
        r#"[service.smsc-a]
component = "smpp"
connect = ["tcp://{smsc}"]
reconnect = {{ from = "50ms", to = "500ms" }}
policy = "{policy}"
[service.smsc-a.config]
password = "secret"
deliver_to = "{deliver_to}"
timers = {{ enquire_link = "500ms" }}"#,
        smsc = loopback(smsc)
    )
}
