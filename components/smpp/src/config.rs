//! What an operator configures: [`Config`], checked before anything is served with it.

use std::collections::BTreeMap;
use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::fit;

use crate::message::Message;
use crate::pdu::{BIND_RECEIVER, BIND_TRANSCEIVER, BIND_TRANSMITTER};
use tandem_sms::State;

/// `[service.NAME.config]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Under which name the gateway answers a bind, and binds itself.
    #[serde(default = "tandem")]
    pub system_id: String,
    /// Its password with an SMSC, up to 8 characters; with an ESME, where it sends `outbind`.
    #[serde(default)]
    pub password: String,
    /// Its `system_type` with an SMSC, up to 12 characters.
    #[serde(default)]
    pub system_type: String,
    /// As what it binds to an SMSC.
    #[serde(default)]
    pub bind: Mode,
    /// How long a message can be asked after, and is kept for whom it is meant, once it has its final state.
    #[serde(default = "three_days", with = "humantime_serde")]
    pub keep: Duration,
    /// Which of the messages that ESMEs submit have a row.
    #[serde(default)]
    pub messages: Rows,
    /// Which version it says that it speaks.
    #[serde(default)]
    pub interface_version: Interface,
    /// The addresses that an SMSC is to send us messages for.
    #[serde(default)]
    pub address_range: AddressRange,
    /// The service that takes what an SMSC sends. Left out, it is recorded and acknowledged.
    #[serde(default)]
    pub deliver_to: Option<String>,
    /// How many messages for an SMSC wait while the window is full; one more is answered by ESME_RMSGQFUL.
    #[serde(default = "hundred")]
    pub queue: u32,
    /// Whether the SMSC says first that a bind is wanted (section 2.2.1).
    #[serde(default)]
    pub outbind: Option<Outbind>,
    /// What each account may; the host has their secrets. One that is not named here may what `unnamed` says.
    #[serde(default)]
    pub accounts: BTreeMap<String, Account>,
    /// What an account may that is not among the `accounts`.
    #[serde(default)]
    pub unnamed: Account,
    /// The service that submits what ESMEs submit. Left out, the simulated SMSC takes it.
    #[serde(default)]
    pub submit_to: Option<String>,
    /// How many requests of a peer may be unanswered, and how many of ours.
    #[serde(default)]
    pub window: Windows,
    /// The longest PDU, in bytes. The host reads no more than 64 KiB ahead.
    #[serde(default = "pdu_bytes_max")]
    pub pdu_bytes_max: u32,
    /// What is waited for, and how long.
    #[serde(default)]
    pub timers: Timers,
    /// What the simulated SMSC makes of a message.
    #[serde(default)]
    pub smsc: Smsc,
}

/// What an ESME may. A key that is left out has its default, also where the account is named.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// How many sessions it may have at a time.
    pub max_binds: u32,
    /// As what it may bind.
    pub binds: Vec<Mode>,
    /// How many of its requests may be unanswered, for each session; `window.submit` where it is left out.
    pub window: Option<u32>,
    /// How many receipts and messages are kept for it until it takes them; beyond that it can submit nothing that asks for a
    /// receipt, and SMSCs keep what is for it: ESME_RMSGQFUL. Other sessions' are counted every `timers.receipts`.
    pub queue: u32,
    /// The destinations whose messages are for it: `100`, or `4917*` for all that begin so. The longest that fits decides.
    pub addresses: Vec<String>,
}

impl Default for Account {
    fn default() -> Self {
        let binds = vec![Mode::Transmitter, Mode::Receiver, Mode::Transceiver];
        Account { max_binds: 4, binds, window: None, queue: 100_000, addresses: Vec::new() }
    }
}

/// As what an ESME binds (section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It submits.
    Transmitter,
    /// It is sent messages and receipts.
    Receiver,
    /// Both.
    #[default]
    Transceiver,
}

impl Mode {
    pub(crate) fn transmits(self) -> bool {
        self != Mode::Receiver
    }

    pub(crate) fn receives(self) -> bool {
        self != Mode::Transmitter
    }

    /// `command_id` of the bind.
    pub(crate) fn command(self) -> u32 {
        match self {
            Mode::Transmitter => BIND_TRANSMITTER,
            Mode::Receiver => BIND_RECEIVER,
            Mode::Transceiver => BIND_TRANSCEIVER,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Mode::Transmitter => "transmitter",
            Mode::Receiver => "receiver",
            Mode::Transceiver => "transceiver",
        }
    }
}

/// `interface_version` (section 5.2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Interface {
    /// Without TLVs.
    #[serde(rename = "3.3")]
    V33,
    /// What this component is written for.
    #[default]
    #[serde(rename = "3.4")]
    V34,
    /// Its messages are those of 3.4, with further TLVs.
    #[serde(rename = "5.0")]
    V50,
}

impl Interface {
    pub(crate) fn number(self) -> u8 {
        match self {
            Interface::V33 => 0x33,
            Interface::V34 => 0x34,
            Interface::V50 => 0x50,
        }
    }
}

/// `addr_ton`, `addr_npi` and `address_range` of a bind (section 5.2.7).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AddressRange {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan indicator.
    pub npi: u8,
    /// An address or an expression for several, up to 40 characters.
    pub range: String,
}

/// Which messages of ESMEs have a row. One that has none is the SMSC's alone once it has taken it, and nobody can ask after it,
/// cancel or replace it here; its response waits for no disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rows {
    /// All.
    #[default]
    All,
    /// Those whose `registered_delivery` asks for anything, which has to find them.
    Receipts,
}

impl Rows {
    pub(crate) fn has(self, message: &Message) -> bool {
        self == Rows::All || message.registered_delivery != 0
    }
}

/// Which end of an `outbind` a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outbind {
    /// An ESME's: an SMSC that connects to it and says `outbind` is bound to as a receiver.
    Answer,
    /// An SMSC's: it connects to an ESME, says `outbind`, and waits for the ESME's bind.
    Send,
}

/// Requests that are not answered yet.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Windows {
    /// Of an ESME: one more is answered by ESME_RTHROTTLED. Of ours to an SMSC: one more waits in the `queue`.
    pub submit: u32,
    /// Of ours to an ESME: one more waits in the store. Of an SMSC: one more is answered by ESME_RTHROTTLED.
    pub deliver: u32,
}

impl Default for Windows {
    fn default() -> Self {
        Windows { submit: 100, deliver: 10 }
    }
}

/// The timers of section 7.2.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// `session_init_timer`: from the connection to its bind.
    #[serde(with = "humantime_serde")]
    pub bind: Duration,
    /// `enquire_link_timer`: without a PDU of the peer, it is asked whether it is there.
    #[serde(with = "humantime_serde")]
    pub enquire_link: Duration,
    /// `inactivity_timer`: without a transaction but `enquire_link`, the session is unbound. Never, where it is left out.
    #[serde(with = "humantime_serde")]
    pub inactivity: Option<Duration>,
    /// `response_timer`: from a request of ours to its response.
    #[serde(with = "humantime_serde")]
    pub response: Duration,
    /// How often a receiver looks for receipts that other sessions of its account have caused.
    #[serde(with = "humantime_serde")]
    pub receipts: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            bind: Duration::from_secs(30),
            enquire_link: Duration::from_secs(60),
            inactivity: None,
            response: Duration::from_secs(30),
            receipts: Duration::from_secs(5),
        }
    }
}

/// The simulated SMSC.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Smsc {
    /// From a submission to the message's final state.
    #[serde(with = "humantime_serde")]
    pub receipt_after: Duration,
    /// That state.
    pub state: State,
}

impl Default for Smsc {
    fn default() -> Self {
        Smsc { receipt_after: Duration::from_secs(1), state: State::Delivered }
    }
}

impl Config {
    /// What an account may.
    pub(crate) fn account(&self, name: &str) -> &Account {
        self.accounts.get(name).unwrap_or(&self.unnamed)
    }

    /// The account that messages to an address are for.
    pub(crate) fn account_at(&self, address: &str) -> Option<&str> {
        let fits = self.accounts.iter().filter_map(|(name, account)| Some((fit(&account.addresses, address)?, name)));
        fits.max_by_key(|(fit, _)| *fit).map(|(_, name)| name.as_str())
    }

    /// The configuration, where it can be served.
    ///
    /// # Errors
    /// The key that is wrong, and what would be right.
    pub fn checked(self) -> Result<Self, Refusal> {
        word("system_id", &self.system_id, 15)?;
        for (key, value, longest) in [
            ("password", &self.password, 8),
            ("system_type", &self.system_type, 12),
            ("address_range.range", &self.address_range.range, 40),
        ] {
            if !value.is_empty() {
                word(key, value, longest)?;
            }
        }
        if self.keep < Duration::from_secs(60) {
            return Err(Refusal::from("keep: at least 1m"));
        }
        if self.queue > QUEUE_MAX {
            return Err(Refusal::from(format!("queue: at most {QUEUE_MAX}")));
        }
        for (name, account) in &self.accounts {
            word(&format!("accounts.{name}"), name, 15)?;
            for address in &account.addresses {
                let taken = |(other, it): &(&String, &Account)| *other != name && it.addresses.contains(address);
                if let Some((other, _)) = self.accounts.iter().find(taken) {
                    return Err(Refusal::from(format!("accounts.{name}.addresses: {address} is {other}'s as well")));
                }
            }
        }
        for (name, account) in self.accounts.iter().map(|(name, it)| (name.as_str(), it)).chain([("", &self.unnamed)]) {
            let key = if name.is_empty() { "unnamed".to_owned() } else { format!("accounts.{name}") };
            if !(1..=BINDS_MAX).contains(&account.max_binds) {
                return Err(Refusal::from(format!("{key}.max_binds: between 1 and {BINDS_MAX}")));
            }
            if account.binds.is_empty() {
                return Err(Refusal::from(format!("{key}.binds: at least one")));
            }
            if account.window.is_some_and(|window| !(1..=WINDOW_MAX).contains(&window)) {
                return Err(Refusal::from(format!("{key}.window: between 1 and {WINDOW_MAX}")));
            }
        }
        if !self.unnamed.addresses.is_empty() {
            return Err(Refusal::from("unnamed.addresses: name the account whose they are"));
        }
        if !(1..=WINDOW_MAX).contains(&self.window.submit) || !(1..=WINDOW_MAX).contains(&self.window.deliver) {
            return Err(Refusal::from(format!("window: between 1 and {WINDOW_MAX}")));
        }
        if !(256..=PDU_MAX).contains(&self.pdu_bytes_max) {
            return Err(Refusal::from(format!("pdu_bytes_max: between 256 and {PDU_MAX}")));
        }
        let timers = &self.timers;
        for (name, span) in [
            ("bind", timers.bind),
            ("enquire_link", timers.enquire_link),
            ("inactivity", timers.inactivity.unwrap_or(Duration::MAX)),
            ("response", timers.response),
            ("receipts", timers.receipts),
        ] {
            if span < Duration::from_millis(100) {
                return Err(Refusal::from(format!("timers.{name}: at least 100ms")));
            }
        }
        if self.smsc.state == State::Enroute {
            return Err(Refusal::from("smsc.state: ENROUTE is not final"));
        }
        Ok(self)
    }
}

fn word(key: &str, value: &str, longest: usize) -> Result<(), Refusal> {
    let fits = (1..=longest).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(()) } else { Err(Refusal::from(format!("{key}: between 1 and {longest} printable ASCII characters"))) }
}

const WINDOW_MAX: u32 = 1000;
/// So many leases are read in one go.
const BINDS_MAX: u32 = 500;
/// The queue is a part of the session's state, which has to be carried.
const QUEUE_MAX: u32 = 1000;
const PDU_MAX: u32 = 64 << 10;

fn tandem() -> String {
    "tandem".into()
}

fn pdu_bytes_max() -> u32 {
    16 << 10
}

fn three_days() -> Duration {
    Duration::from_secs(3 * 86_400)
}

fn hundred() -> u32 {
    100
}

#[cfg(test)]
#[path = "../../../tests/support/reference.rs"]
mod reference;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Config, reference};

    #[test]
    fn each_key_is_told_of_as_it_is() {
        let whole = json!({
            "address_range": {}, "accounts": { "acme": {} }, "unnamed": {}, "window": {}, "timers": {}, "smsc": {},
        });
        reference::check::<Config>("`smpp`", &whole);
    }
}
