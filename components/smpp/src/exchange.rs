//! What two services of this component ask each other: [`Asked`], and what is answered.
//!
//! A service that ESMEs bind to asks one that has bound to an SMSC to [submit](Submit); that one asks the first to
//! [deliver](Deliver) what the SMSC sends. Any other component may do either. On the way these are maps by the names of their
//! fields: a field that a later version adds is passed over by an older one, and has its default where an older one has
//! left it out. A field keeps its meaning for good.

use tandem_component::prelude::*;

use crate::message::State;

/// What is asked of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// To send a message towards its destination. Answered by [`Submitted`].
    Submit(Submit),
    /// To take a message or a receipt for whom it is meant. Answered by [`Delivered`].
    Deliver(Deliver),
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
}

/// What has become of a [`Submit`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Submitted {
    /// `command_status` (section 5.1.3): 0 where the message was taken.
    pub status: u32,
    /// What the SMSC knows it by: its receipt says so.
    pub message_id: String,
}

/// What an SMSC has for an ESME.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deliver {
    /// As it came: a message of a phone, or a receipt with its text.
    pub sms: Sms,
    /// What the receipt says, where it is one.
    pub receipt: Option<Report>,
}

/// What has become of a [`Deliver`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivered {
    /// `command_status`: 0 where it is kept for whom it is meant.
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
