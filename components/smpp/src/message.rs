//! A message as the store has it: [`MESSAGES`], its rows, its [`State`].

use tandem_component::prelude::*;

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
        Column::new("due_at", Kind::Integer),
        Column::new("state", Kind::Text),
        Column::new("outcome", Kind::Text),
        Column::new("receipt_for", Kind::Text).or(Literal::Null).indexed(),
        Column::new("claimed_until", Kind::Integer).or(Literal::Integer(0)),
        Column::new("receipt_sent", Kind::Integer).or(Literal::Null),
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
    /// To whom a receipt is owed.
    pub receipt_for: Option<String>,
    /// Until when one session alone may send it.
    pub claimed_until: i64,
    /// When the receipt was acknowledged.
    pub receipt_sent: Option<i64>,
}

impl Message {
    /// What it is at a time.
    pub fn state_at(&self, now: Time) -> State {
        if self.state == State::Enroute && self.due_at <= nanos(now) { self.outcome } else { self.state }
    }
}

/// `message_state` of section 5.2.28, and the words of appendix B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Under way.
    #[serde(rename = "ENROUTE")]
    Enroute = 1,
    /// Delivered.
    #[serde(rename = "DELIVRD")]
    Delivered = 2,
    /// Not delivered in time.
    #[serde(rename = "EXPIRED")]
    Expired = 3,
    /// Cancelled.
    #[serde(rename = "DELETED")]
    Deleted = 4,
    /// It cannot be delivered.
    #[serde(rename = "UNDELIV")]
    Undeliverable = 5,
    /// Read by the SMSC's own people.
    #[serde(rename = "ACCEPTD")]
    Accepted = 6,
    /// Nobody knows.
    #[serde(rename = "UNKNOWN")]
    Unknown = 7,
    /// Refused.
    #[serde(rename = "REJECTD")]
    Rejected = 8,
}

impl State {
    /// By the number of section 5.2.28.
    pub(crate) fn numbered(number: u8) -> Option<State> {
        State::ALL.into_iter().find(|state| *state as u8 == number)
    }

    /// By the word of appendix B.
    pub(crate) fn worded(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.word().eq_ignore_ascii_case(word))
    }

    const ALL: [State; 8] = [
        State::Enroute,
        State::Delivered,
        State::Expired,
        State::Deleted,
        State::Undeliverable,
        State::Accepted,
        State::Unknown,
        State::Rejected,
    ];

    /// The word of appendix B.
    pub fn word(self) -> &'static str {
        match self {
            State::Enroute => "ENROUTE",
            State::Delivered => "DELIVRD",
            State::Expired => "EXPIRED",
            State::Deleted => "DELETED",
            State::Undeliverable => "UNDELIV",
            State::Accepted => "ACCEPTD",
            State::Unknown => "UNKNOWN",
            State::Rejected => "REJECTD",
        }
    }
}

/// A time as a column has it.
pub(crate) fn nanos(time: Time) -> i64 {
    i64::try_from(time.nanos()).unwrap_or(i64::MAX)
}
