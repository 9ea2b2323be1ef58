//! A message as the store has it: [`MESSAGES`], and its rows.

use tandem_component::prelude::*;

use tandem_sms::{Address, Sms, State};

/// One row for each destination of a message.
pub const MESSAGES: Table = Table {
    name: "messages",
    key: &["id"],
    columns: &[
        Column::new("id", Kind::Text),
        Column::new("message_id", Kind::Text),
        Column::new("system_id", Kind::Text),
        Column::new("service_type", Kind::Text),
        Column::new("source_ton", Kind::Integer),
        Column::new("source_npi", Kind::Integer),
        Column::new("source", Kind::Text),
        Column::new("destination_ton", Kind::Integer),
        Column::new("destination_npi", Kind::Integer),
        Column::new("destination", Kind::Text).indexed(),
        Column::new("esm_class", Kind::Integer),
        Column::new("protocol_id", Kind::Integer),
        Column::new("priority", Kind::Integer),
        Column::new("registered_delivery", Kind::Integer),
        Column::new("data_coding", Kind::Integer),
        Column::new("short_message", Kind::Blob),
        Column::new("tlvs", Kind::Blob),
        Column::new("submitted_at", Kind::Integer),
        Column::new("due_at", Kind::Integer).indexed(),
        Column::new("state", Kind::Text),
        Column::new("outcome", Kind::Text),
        Column::new("receipt_for", Kind::Text).or(Literal::Null).indexed(),
        Column::new("claimed_until", Kind::Integer).or(Literal::Integer(0)),
        Column::new("receipt_sent", Kind::Integer).or(Literal::Null),
        Column::new("schedule", Kind::Text).or(Literal::Text("")),
        Column::new("validity", Kind::Text).or(Literal::Text("")),
        Column::new("replace_if_present", Kind::Integer).or(Literal::Integer(0)),
        Column::new("default_message", Kind::Integer).or(Literal::Integer(0)),
        Column::new("smsc", Kind::Text).or(Literal::Null),
        Column::new("smsc_id", Kind::Text).or(Literal::Null),
        Column::new("error", Kind::Text).or(Literal::Null),
        Column::new("originated", Kind::Boolean).or(Literal::Boolean(false)),
    ],
};

/// A row of [`MESSAGES`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Which row: `message_id`, and for the further destinations of a `submit_multi` a number behind it.
    pub id: String,
    /// What the ESME knows the message by.
    pub message_id: String,
    /// Whose it is.
    pub system_id: String,
    /// `service_type`
    pub service_type: String,
    /// `source_addr_ton`
    pub source_ton: u8,
    /// `source_addr_npi`
    pub source_npi: u8,
    /// `source_addr`
    pub source: String,
    /// `dest_addr_ton`
    pub destination_ton: u8,
    /// `dest_addr_npi`
    pub destination_npi: u8,
    /// `destination_addr`
    pub destination: String,
    /// `esm_class`
    pub esm_class: u8,
    /// `protocol_id`
    pub protocol_id: u8,
    /// `priority_flag`
    pub priority: u8,
    /// `registered_delivery`
    pub registered_delivery: u8,
    /// `data_coding`
    pub data_coding: u8,
    /// `short_message`; the TLV `message_payload` is among the TLVs.
    #[serde(with = "serde_bytes")]
    pub short_message: Vec<u8>,
    /// All TLVs, as they came.
    #[serde(with = "serde_bytes")]
    pub tlvs: Vec<u8>,
    /// When it was taken, in nanoseconds since 1970.
    pub submitted_at: i64,
    /// When it has its outcome.
    pub due_at: i64,
    /// What it is until then, or for ever where it was cancelled.
    pub state: State,
    /// What it will be.
    pub outcome: State,
    /// To whom a receipt is owed, or the message itself.
    pub receipt_for: Option<String>,
    /// Until when one session alone may send it.
    pub claimed_until: i64,
    /// When the receipt was acknowledged.
    pub receipt_sent: Option<i64>,
    /// `schedule_delivery_time`
    pub schedule: String,
    /// `validity_period`
    pub validity: String,
    /// `replace_if_present_flag`
    pub replace_if_present: u8,
    /// `sm_default_msg_id`
    pub default_message: u8,
    /// The service that has submitted it to its SMSC. The SMSC decides what becomes of it.
    pub smsc: Option<String>,
    /// What that SMSC knows it by.
    pub smsc_id: Option<String>,
    /// Why it was not delivered, as that SMSC's receipt says.
    pub error: Option<String>,
    /// It came from an SMSC, and is for the account.
    pub originated: bool,
}

impl Message {
    /// One that is sent on at once, from or to an SMSC.
    pub(crate) fn of(sms: Sms, id: String, system_id: &str, now: Time) -> Message {
        Message {
            message_id: id.clone(),
            id,
            system_id: system_id.to_owned(),
            service_type: sms.service_type,
            source_ton: sms.source.ton,
            source_npi: sms.source.npi,
            source: sms.source.digits,
            destination_ton: sms.destination.ton,
            destination_npi: sms.destination.npi,
            destination: sms.destination.digits,
            esm_class: sms.esm_class,
            protocol_id: sms.protocol_id,
            priority: sms.priority,
            registered_delivery: sms.registered_delivery,
            data_coding: sms.data_coding,
            short_message: sms.short_message,
            tlvs: sms.tlvs,
            submitted_at: nanos(now),
            due_at: nanos(now),
            state: State::Enroute,
            outcome: State::Enroute,
            receipt_for: None,
            claimed_until: 0,
            receipt_sent: None,
            schedule: sms.schedule,
            validity: sms.validity,
            replace_if_present: sms.replace_if_present,
            default_message: sms.default_message,
            smsc: None,
            smsc_id: None,
            error: None,
            originated: false,
        }
    }

    /// As it goes on.
    pub(crate) fn sms(&self) -> Sms {
        self.clone().into_sms()
    }

    /// As it goes on, where nothing else is left of it.
    pub(crate) fn into_sms(self) -> Sms {
        Sms {
            service_type: self.service_type,
            source: Address { ton: self.source_ton, npi: self.source_npi, digits: self.source },
            destination: Address { ton: self.destination_ton, npi: self.destination_npi, digits: self.destination },
            esm_class: self.esm_class,
            protocol_id: self.protocol_id,
            priority: self.priority,
            schedule: self.schedule,
            validity: self.validity,
            registered_delivery: self.registered_delivery,
            replace_if_present: self.replace_if_present,
            data_coding: self.data_coding,
            default_message: self.default_message,
            short_message: self.short_message,
            tlvs: self.tlvs,
        }
    }

    /// Whether a receipt is owed where it ends so (section 5.2.17).
    pub(crate) fn owes(&self, ends: State) -> bool {
        match self.registered_delivery & 0b11 {
            1 => true,
            2 => ends != State::Delivered,
            _ => false,
        }
    }

    /// Whether a receipt may be owed, however it ends.
    pub(crate) fn may_owe(&self) -> bool {
        self.registered_delivery & 0b11 != 0
    }

    /// What it is at a time.
    pub fn state_at(&self, now: Time) -> State {
        if self.state == State::Enroute && self.due_at <= nanos(now) { self.outcome } else { self.state }
    }
}

/// A time as a column has it.
pub(crate) fn nanos(time: Time) -> i64 {
    i64::try_from(time.nanos()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
pub(crate) fn seconds(time: Time) -> u64 {
    time.nanos() / 1_000_000_000
}
