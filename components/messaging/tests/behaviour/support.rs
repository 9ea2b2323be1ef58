//! A desk, and the ways in which it is driven: fronts ask, networks and fronts are asked.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tandem_component::prelude::*;
use tandem_messaging::message::Message;
use tandem_messaging::{EARLY, INCOMING, MESSAGES, Messaging, SENT, TOTALS, WAITING};
use tandem_sms::{Address, Asked, Cancel, Cancelled, Deliver, Delivered, Known, List, Listed, Queried, Query};
use tandem_sms::{Replace, Replaced, Report, Sms, State, Submit, Submitted};

use crate::nobody::{Change, Nobody};

/// One session of the service.
pub(crate) struct Desk {
    session: Option<Harness<Messaging>>,
    config: Value,
    seed: u64,
    carries: bool,
    /// How long it is since the first one was opened.
    pub(crate) elapsed: Duration,
}

/// What a session asks another service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A network, to take a part.
    Submit(Submit),
    /// A front, to take a receipt or a message.
    Deliver(Deliver),
}

/// A row of the parts that networks have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) network: String,
    pub(crate) network_id: String,
    pub(crate) id: String,
    pub(crate) part: u32,
    pub(crate) state: State,
    pub(crate) error: String,
}

/// A row of the receipts whose messages are not known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Early {
    network: String,
    network_id: String,
}

/// A row of what came in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Incoming {
    pub(crate) account: String,
    pub(crate) sms: Sms,
}

/// What is counted: accepted, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Totals {
    pub(crate) accepted: i64,
    pub(crate) delivered: i64,
    pub(crate) rejected: i64,
    pub(crate) expired: i64,
    pub(crate) cancelled: i64,
}

/// What is counted of the parts beyond each message's first.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct More {
    pub(crate) accepted_more: i64,
    pub(crate) delivered_more: i64,
    pub(crate) rejected_more: i64,
    pub(crate) expired_more: i64,
    pub(crate) cancelled_more: i64,
}

impl Totals {
    pub(crate) fn ended(self) -> i64 {
        self.delivered + self.rejected + self.expired + self.cancelled
    }
}

/// One network, one front, and two accounts.
pub(crate) fn config() -> Value {
    json!({
        "routes": [{ "prefix": "49", "to": { "smsc-a": 1 } }],
        "front": "esme",
        "accounts": {
            "acme": { "addresses": ["100", "200*"] },
            "other": { "addresses": ["20055"], "front": "web" },
        },
        "retry": { "from": "1s", "to": "8s" },
    })
}

/// Runs a conversation in every way: answers at once and late, one version and another after each step. What others see must
/// not differ.
pub(crate) fn every_way(config: &Value, conversation: impl Fn(&mut Desk)) {
    for seed in 0..8 {
        for carries in [false, true] {
            println!("seed {seed}, carries {carries}");
            conversation(&mut Desk::open(config, seed, carries));
        }
    }
}

impl Desk {
    /// A resident. With seed 0 answers come at once.
    pub(crate) fn open(config: &Value, seed: u64, carries: bool) -> Self {
        Desk::open_as(Transport::Resident, config, seed, carries)
    }

    pub(crate) fn open_as(transport: Transport, config: &Value, seed: u64, carries: bool) -> Self {
        let session = Harness::start_as(config, Role::Server, transport).unwrap();
        let session = if seed == 0 { session } else { session.late(seed) };
        Desk { session: Some(session), config: config.clone(), seed, carries, elapsed: Duration::ZERO }
    }

    pub(crate) fn session(&mut self) -> &mut Harness<Messaging> {
        self.session.as_mut().unwrap()
    }

    /// Another version goes on.
    pub(crate) fn carry(&mut self) {
        if self.carries {
            let session = self.session.take().unwrap();
            self.session = Some(session.carry::<Messaging>(&self.config).unwrap());
        }
    }

    /// Another configuration goes on.
    pub(crate) fn configure(&mut self, config: &Value) {
        self.config = config.clone();
        let session = self.session.take().unwrap();
        self.session = Some(session.carry::<Messaging>(config).unwrap());
    }

    /// Time passes. An answer is late by a second at most: no lease runs out while one is on its way.
    pub(crate) fn wait(&mut self, mut span: Duration) {
        while !span.is_zero() {
            let step = span.min(SECOND);
            (span, self.elapsed) = (span - step, self.elapsed + step);
            self.session().advance(step);
            self.carry();
            self.session().calling();
        }
    }

    /// The gateway is killed and started again after a while: what this session was about to store is lost, and so is all that it
    /// has not stored.
    pub(crate) fn restart(&mut self, after: Duration) {
        self.session().fail_store(Some(StoreFailure::Unavailable));
        self.elapsed += after;
        let mut rows = Nobody::with_the_rows_of(self.session.as_mut().unwrap(), self.elapsed);
        // A harness is always of the same run, so it is the rows that are of another.
        for message in rows.rows::<Message>(&MESSAGES) {
            rows.request("", &Change::Run { id: message.id, run: EARLIER_RUN });
        }
        self.session = Some(self.resident_on(rows));
    }

    fn resident_on(&self, rows: Harness<Nobody>) -> Harness<Messaging> {
        let session = rows.renew::<Messaging>(&self.config).unwrap();
        if self.seed == 0 { session } else { session.late(self.seed) }
    }

    /// Another resident of the same run, with the same rows.
    pub(crate) fn another(&mut self) -> Desk {
        let rows = Nobody::with_the_rows_of(self.session.as_mut().unwrap(), self.elapsed);
        let session = Some(self.resident_on(rows));
        Desk { session, config: self.config.clone(), seed: self.seed, carries: self.carries, elapsed: self.elapsed }
    }

    /// As if this were in the store as well.
    pub(crate) fn change(&mut self, change: &Change) {
        let mut rows = Nobody::with_the_rows_of(self.session.as_mut().unwrap(), self.elapsed);
        rows.request("", change);
        self.session().copy_rows(&mut rows);
    }

    /// Finds what another one of the same store finds.
    pub(crate) fn follow(&mut self, other: &mut Desk) {
        self.session().copy_rows(other.session());
    }

    /// Whether whatever it writes is stored from now on.
    pub(crate) fn store(&mut self, works: bool) {
        self.session().fail_store((!works).then_some(StoreFailure::Unavailable));
    }

    pub(crate) fn request(&mut self, from: &str, asked: &Asked) -> RequestId {
        let id = self.session().request(from, asked);
        self.carry();
        id
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, from: &str, asked: &Asked) -> T {
        let id = self.request(from, asked);
        let response = self.session().response(id);
        assert_eq!(self.session().fault(), None);
        response.unwrap_or_else(|| panic!("no answer to {asked:?}"))
    }

    pub(crate) fn submit(&mut self, submit: Submit) -> Submitted {
        let submitted = self.ask("esme", &Asked::Submit(submit));
        self.carry();
        submitted
    }

    /// A message of acme that is taken: its name.
    pub(crate) fn accepted(&mut self, submit: Submit) -> String {
        let submitted = self.submit(submit);
        assert_eq!(submitted.status, 0, "{submitted:?}");
        submitted.message_id
    }

    /// A network delivers: the status that it is answered. An answer may take until the message was looked for often enough.
    pub(crate) fn delivered(&mut self, network: &str, deliver: Deliver) -> u32 {
        let id = self.request(network, &Asked::Deliver(deliver));
        for _ in 0..4 {
            if let Some(Delivered { status }) = self.session().response(id) {
                self.carry();
                return status;
            }
            self.wait(Duration::from_millis(750));
        }
        panic!("no answer to what {network} delivers");
    }

    /// A network says what has become of a part.
    pub(crate) fn receipt(&mut self, network: &str, network_id: &str, state: State) -> u32 {
        self.delivered(network, receipt(network_id, state))
    }

    pub(crate) fn query(&mut self, account: &str, message_id: &str) -> Option<Known> {
        let (account, message_id) = (account.to_owned(), message_id.to_owned());
        let queried: Queried = self.ask("rest", &Asked::Query(Query { account, message_id }));
        assert_eq!(queried.status, 0);
        queried.message
    }

    /// What acme's message is now.
    pub(crate) fn state(&mut self, id: &str) -> State {
        self.query("acme", id).expect("acme has it").state
    }

    pub(crate) fn list(&mut self, account: &str, before: &str, limit: u32) -> Listed {
        self.ask("rest", &Asked::List(List { account: account.to_owned(), before: before.to_owned(), limit }))
    }

    pub(crate) fn cancel(&mut self, account: &str, message_id: &str) -> u32 {
        let cancel = Cancel { account: account.to_owned(), message_id: message_id.to_owned() };
        self.ask::<Cancelled>("rest", &Asked::Cancel(cancel)).status
    }

    /// Has something else sent in the place of a message.
    pub(crate) fn replace(&mut self, account: &str, message_id: &str, with: Replace) -> u32 {
        let replace = Replace { account: account.to_owned(), message_id: message_id.to_owned(), ..with };
        self.ask::<Replaced>("esme", &Asked::Replace(replace)).status
    }

    /// The oldest call that is not answered: whom, and what.
    pub(crate) fn called(&mut self) -> Option<(String, Told)> {
        let calling = self.session().calling()?;
        let told = match calling.read::<Asked>() {
            Asked::Submit(submit) => Told::Submit(submit),
            Asked::Deliver(deliver) => Told::Deliver(deliver),
            other => panic!("nobody is asked {other:?}"),
        };
        Some((calling.service, told))
    }

    /// A network is asked to take a part: which network, and the part.
    pub(crate) fn sent(&mut self) -> (String, Submit) {
        match self.called() {
            Some((network, Told::Submit(submit))) => (network, submit),
            other => panic!("no network is asked, but {other:?}"),
        }
    }

    /// A front is told something: which front, and what.
    pub(crate) fn told(&mut self) -> (String, Deliver) {
        match self.called() {
            Some((front, Told::Deliver(deliver))) => (front, deliver),
            other => panic!("no front is told, but {other:?}"),
        }
    }

    /// A front is told what has become of a message.
    pub(crate) fn told_receipt(&mut self) -> Report {
        self.told().1.receipt.expect("it is a receipt")
    }

    pub(crate) fn reply(&mut self, response: &impl Serialize) {
        self.session().reply(response);
        self.carry();
    }

    /// The network has taken what it was asked, and gives it a name.
    pub(crate) fn take(&mut self, network_id: &str) {
        self.reply(&Submitted { message_id: network_id.to_owned(), ..Submitted::default() });
    }

    /// The network or the front says no.
    pub(crate) fn refuse(&mut self, status: u32) {
        self.reply(&Submitted { status, ..Submitted::default() });
    }

    /// The front has what it was told.
    pub(crate) fn thanks(&mut self) {
        self.reply(&Delivered { status: 0 });
    }

    pub(crate) fn fail(&mut self, why: CallFailure) {
        self.session().fail_call(why);
        self.carry();
    }

    pub(crate) fn is_quiet(&mut self) -> bool {
        self.called().is_none()
    }

    pub(crate) fn messages(&mut self) -> Vec<Message> {
        self.session().rows(&MESSAGES)
    }

    pub(crate) fn parts(&mut self) -> Vec<Part> {
        self.session().rows(&SENT)
    }

    /// The receipts whose messages are not known: of which network, and which names.
    pub(crate) fn early(&mut self) -> Vec<(String, String)> {
        self.session().rows::<Early>(&EARLY).into_iter().map(|it| (it.network, it.network_id)).collect()
    }

    pub(crate) fn incoming(&mut self) -> Vec<Incoming> {
        self.session().rows(&INCOMING)
    }

    pub(crate) fn totals(&mut self) -> Totals {
        self.session().rows(&TOTALS).pop().unwrap_or_default()
    }

    pub(crate) fn more(&mut self) -> More {
        self.session().rows(&TOTALS).pop().unwrap_or_default()
    }

    /// How many messages are counted as waiting.
    pub(crate) fn waiting(&mut self) -> i64 {
        let rows = self.session().rows::<Value>(&WAITING);
        rows.iter().map(|row| row["taken"].as_i64().unwrap() - row["ended"].as_i64().unwrap()).sum()
    }

    /// Waits until somebody is asked something, for so long at most: how long it was.
    pub(crate) fn until_called(&mut self, at_most: Duration) -> Duration {
        let mut waited = Duration::ZERO;
        while self.is_quiet() {
            assert!(waited < at_most, "nobody is asked anything");
            self.wait(STEP);
            waited += STEP;
        }
        waited
    }
}

/// From acme's 100 to 4917, with a receipt.
pub(crate) fn submit(text: &str) -> Submit {
    let address = |ton, digits: &str| Address { ton, npi: 1, digits: digits.to_owned() };
    let (source, destination, short_message) = (address(1, "100"), address(1, "4917"), text.as_bytes().to_vec());
    let sms = Sms { source, destination, short_message, registered_delivery: 1, ..Sms::default() };
    Submit { id: "s1".into(), account: "acme".into(), sms, ..Submit::default() }
}

/// What a network says of a part.
pub(crate) fn receipt(network_id: &str, state: State) -> Deliver {
    let report = Report { message_id: network_id.to_owned(), state, error: "000".into(), intermediate: false };
    Deliver { sms: Sms { esm_class: 4, ..Sms::default() }, receipt: Some(report), ..Deliver::default() }
}

/// A message of a phone.
pub(crate) fn from_a_phone(to: &str, text: &str) -> Deliver {
    let destination = Address { digits: to.to_owned(), ..Address::default() };
    Deliver {
        sms: Sms { destination, short_message: text.as_bytes().to_vec(), ..Sms::default() },
        ..Deliver::default()
    }
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(500);

/// The harness's is 0.
const EARLIER_RUN: i64 = 7;
