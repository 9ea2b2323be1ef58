//! What services ask each other, and what they answer.

use serde::{Deserialize, Serialize};

use crate::State;

/// What is asked of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Asked {
    /// To send a message towards its destination. Answered by [`Submitted`].
    Submit(Submit),
    /// To take a message or a receipt for whom it is meant. Answered by [`Delivered`].
    Deliver(Deliver),
    /// What has become of a message. Answered by [`Queried`].
    Query(Query),
    /// Which messages an account has. Answered by [`Listed`].
    List(List),
    /// Not to send a message that is not with a network yet. Answered by [`Cancelled`].
    Cancel(Cancel),
    /// To send something else in the place of a message that is not with a network yet. Answered by [`Replaced`].
    Replace(Replace),
}

/// A message that is to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Submit {
    /// What the service that asks knows it by, for logs.
    pub id: String,
    /// Whose message it is.
    pub account: String,
    /// The message.
    pub sms: Sms,
    /// What it says, where `sms` has neither a `short_message` nor a payload: it is encoded for the network, and split where it is
    /// longer than one message.
    pub text: Option<String>,
    /// How the text is to be encoded; as it fits best where this is left out.
    pub coding: Option<Coding>,
    /// Of two messages of an account with one key there is only one: the second is answered as the first was.
    pub key: Option<String>,
    /// What its account calls it, where it does; it need be no other than that of others.
    pub reference: String,
}

/// How text is encoded for a network (section 5.2.19, and 3GPP 23.038).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Coding {
    /// The GSM 7-bit default alphabet with its extension table.
    Gsm7,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, big-endian.
    Ucs2,
}

/// What has become of a [`Submit`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Submitted {
    /// [`status`](crate::status): 0 where the message was taken.
    pub status: u32,
    /// What the service that was asked knows it by: its receipt says so.
    pub message_id: String,
    /// Why it was not taken, for people.
    pub reason: String,
    /// Into how many messages a long one was split; 0 where nobody says.
    pub parts: u32,
    /// In how many milliseconds the same may be asked again, where somebody knows.
    pub retry_after: Option<u64>,
    /// Which limit has refused it, where it is one of the service that was asked: an agreement's by its key (`rate`, `day`), or its
    /// `queue`.
    pub limit: String,
    /// Of one that was not taken as far as anybody knows: it was sent, and nobody has answered, so it may be there.
    pub uncertain: bool,
    /// What is left of each limit that the account has, where that is known: the one that has refused it first, then the one that is
    /// closest to its end.
    pub left: Vec<Left>,
}

/// What is left of one limit, in parts of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Left {
    /// Which it is, as in [`Submitted::limit`].
    pub limit: String,
    /// How many there are; 0 where it is not a matter of how many.
    pub of: u64,
    /// In how many milliseconds that many come back; 0 where it is not a matter of time.
    pub per: u64,
    /// How many there are still, at least.
    pub left: u64,
    /// In how many milliseconds there are more, where somebody knows.
    pub frees_in: Option<u64>,
}

/// What a network has for an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deliver {
    /// As it came: a message of a phone, or a receipt with its text.
    pub sms: Sms,
    /// What the receipt says, where it is one.
    pub receipt: Option<Report>,
    /// Whose it is; empty where whoever is asked has to know by the destination.
    pub account: String,
    /// What the service that asks knows the message by: one that comes again has the same.
    pub id: String,
    /// What a message says, decoded and joined, where it is text.
    pub text: Option<String>,
    /// Of a receipt: what the account calls the message.
    pub reference: String,
}

/// What has become of a [`Deliver`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivered {
    /// [`status`](crate::status): 0 where it is kept for whom it is meant.
    pub status: u32,
}

/// What has become of a message?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Query {
    /// Whose it is.
    pub account: String,
    /// What [`Submitted`] has said.
    pub message_id: String,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queried {
    /// [`status`](crate::status): 0 where it could be looked for.
    pub status: u32,
    /// What is known; nothing where the account has no such message.
    pub message: Option<Known>,
}

/// Which messages does an account have? The youngest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct List {
    /// Whose.
    pub account: String,
    /// Those that are older than this one; the youngest where it is empty.
    pub before: String,
    /// So many at most; as many as the service likes where it is 0.
    pub limit: u32,
}

/// The answer to a [`List`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listed {
    /// [`status`](crate::status): 0 where it could be looked for.
    pub status: u32,
    /// They.
    pub messages: Vec<Known>,
    /// Whether there are older ones.
    pub more: bool,
}

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its name.
    pub message_id: String,
    /// What it is now.
    pub state: State,
    /// From whom.
    #[serde(default)]
    pub source: Address,
    /// To whom.
    #[serde(default)]
    pub destination: Address,
    /// When it was taken, in milliseconds since 1970.
    #[serde(default)]
    pub submitted_at: u64,
    /// When it got its final state.
    #[serde(default)]
    pub ended_at: Option<u64>,
    /// The network's reason, where it was not delivered.
    #[serde(default)]
    pub error: String,
    /// Into how many messages it was split.
    #[serde(default)]
    pub parts: u32,
    /// A crash may have sent it to the network without the answer being heard, and it was sent again.
    #[serde(default)]
    pub maybe_twice: bool,
    /// It is under way, and its network may have it or not: the answer was not heard.
    #[serde(default)]
    pub uncertain: bool,
    /// What its account calls it.
    #[serde(default)]
    pub reference: String,
}

/// Not to send a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cancel {
    /// Whose it is.
    pub account: String,
    /// What [`Submitted`] has said.
    pub message_id: String,
}

/// The answer to a [`Cancel`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cancelled {
    /// [`status`](crate::status): 0 where it is not sent.
    pub status: u32,
}

/// To send something else: what `replace_sm` (4.10) says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Replace {
    /// Whose it is.
    pub account: String,
    /// What [`Submitted`] has said.
    pub message_id: String,
    /// `schedule_delivery_time`; empty where it stays.
    pub schedule: String,
    /// `validity_period`; empty where it stays.
    pub validity: String,
    /// `registered_delivery`
    pub registered_delivery: u8,
    /// `sm_default_msg_id`
    pub default_message: u8,
    /// `short_message`, in the coding of the one before.
    #[serde(with = "serde_bytes")]
    pub short_message: Vec<u8>,
    /// Its TLVs: `message_payload`, or none.
    #[serde(with = "serde_bytes")]
    pub tlvs: Vec<u8>,
}

/// The answer to a [`Replace`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Replaced {
    /// [`status`](crate::status): 0 where this is sent.
    pub status: u32,
}

/// What a receipt, or an intermediate notification, says of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What the SMSC knows the message by.
    pub message_id: String,
    /// What it is now.
    pub state: State,
    /// The network's reason, as the text has it: `000`.
    #[serde(default)]
    pub error: String,
    /// Whether the message is still under way.
    #[serde(default)]
    pub intermediate: bool,
}

/// One short message in either direction: the fields that `submit_sm` (4.4) and `deliver_sm` (4.6) have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sms {
    /// `service_type`
    pub service_type: String,
    /// From whom.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// `esm_class`
    pub esm_class: u8,
    /// `protocol_id`
    pub protocol_id: u8,
    /// `priority_flag`
    pub priority: u8,
    /// `schedule_delivery_time`, as the ESME wrote it.
    pub schedule: String,
    /// `validity_period`, as the ESME wrote it.
    pub validity: String,
    /// `registered_delivery`
    pub registered_delivery: u8,
    /// `replace_if_present_flag`
    pub replace_if_present: u8,
    /// `data_coding`
    pub data_coding: u8,
    /// `sm_default_msg_id`
    pub default_message: u8,
    /// `short_message`, with its user data header where it has one.
    #[serde(with = "serde_bytes")]
    pub short_message: Vec<u8>,
    /// All TLVs as they came, `message_payload` and those of segmentation among them.
    #[serde(with = "serde_bytes")]
    pub tlvs: Vec<u8>,
}

/// An address with its type of number and numbering plan (sections 5.2.5 and 5.2.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan indicator.
    pub npi: u8,
    /// The digits or letters.
    pub digits: String,
}
