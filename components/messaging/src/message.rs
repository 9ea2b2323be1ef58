//! A message as the store has it: [`MESSAGES`], and its [`Phase`].

use std::time::Duration;

use sha2::{Digest, Sha256};
use tandem_component::prelude::*;
use tandem_sms::text::Concatenation;
use tandem_sms::{Coding, Known, Sms, State};

/// One row for each message, however many parts it is sent in.
pub const MESSAGES: Table = Table {
    name: "messages",
    key: &["id"],
    columns: &[
        Column::new("id", Kind::Text),
        Column::new("place", Kind::Text).indexed(),
        Column::new("account", Kind::Text),
        Column::new("front", Kind::Text),
        Column::new("front_id", Kind::Text),
        Column::new("version", Kind::Text),
        Column::new("submitted_at", Kind::Integer),
        Column::new("expires_at", Kind::Integer),
        Column::new("wants_receipt", Kind::Integer),
        Column::new("sms", Kind::Nested),
        Column::new("text", Kind::Text),
        Column::new("coding", Kind::Text),
        Column::new("long", Kind::Text).or(Literal::Text("udh8")),
        Column::new("parts", Kind::Integer),
        Column::new("state", Kind::Text),
        Column::new("phase", Kind::Text),
        Column::new("due_at", Kind::Integer).indexed(),
        Column::new("run", Kind::Integer),
        Column::new("tries", Kind::Integer),
        Column::new("network", Kind::Text),
        Column::new("ended_at", Kind::Integer),
        Column::new("error", Kind::Text),
        Column::new("uncertain", Kind::Boolean),
        Column::new("maybe_twice", Kind::Boolean),
        Column::new("reference", Kind::Text).or(Literal::Text("")),
        Column::new("counted", Kind::Boolean).or(Literal::Boolean(false)),
        Column::new("more", Kind::Integer).or(Literal::Integer(0)),
        Column::new("trace", Kind::Text).or(Literal::Null),
    ],
};

/// A row of [`MESSAGES`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its name, for its front and whoever asks after it.
    pub id: String,
    /// Its place in its account's list, with the youngest first.
    pub place: String,
    /// Whose it is.
    pub account: String,
    /// The service that has asked for it, and is told what becomes of it.
    pub front: String,
    /// What that service knows it by.
    pub front_id: String,
    /// The version that has taken it.
    pub version: String,
    /// When it was taken, in nanoseconds since 1970, as all times here are.
    pub submitted_at: i64,
    /// Until when it is worth something.
    pub expires_at: i64,
    /// When its front wants to be told: the two bits of `registered_delivery` (section 5.2.17).
    pub wants_receipt: u8,
    /// As it was submitted.
    pub sms: Sms,
    /// What it says, where that is to be encoded.
    pub text: Option<String>,
    /// How.
    pub coding: Option<Coding>,
    /// How it is split where it is longer than one message: as it was when it was taken.
    pub long: Concatenation,
    /// In how many parts it is sent.
    pub parts: u32,
    /// What has become of it.
    pub state: State,
    /// What there is to be done about it.
    pub phase: Phase,
    /// When.
    pub due_at: i64,
    /// In which run of the host somebody has taken that on.
    pub run: i64,
    /// How often a network was asked, or its front told, without success.
    pub tries: u32,
    /// The service that it was given to last.
    pub network: Option<String>,
    /// When it got its final state.
    pub ended_at: Option<i64>,
    /// Why it was not delivered.
    pub error: Option<String>,
    /// A network may have it, or not.
    pub uncertain: bool,
    /// It was sent again although a network may have had it.
    pub maybe_twice: bool,
    /// What its account calls it.
    #[serde(default)]
    pub reference: String,
    /// It counts among those of its account that wait.
    #[serde(default)]
    pub counted: bool,
    /// How many parts beyond its first are counted with it: as many as it had when it was taken, also where it is replaced.
    #[serde(default)]
    pub more: u32,
    /// What its submission was a part of.
    #[serde(default)]
    pub trace: Option<Trace>,
}

/// What there is to be done about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It is the first one with its key, and is to be counted before anything else is done about it.
    Accepting,
    /// To be sent.
    Queued,
    /// A network is asked to take it. Due when that has taken too long.
    Sending,
    /// A network has it. Due when it should have said what has become of it.
    Sent,
    /// It has its final state, which is to be counted.
    Ending,
    /// Its front is to be told.
    Owing,
    /// Nothing. Due when it can go.
    Ended,
    /// What a later version knows to do, and is left to it.
    #[serde(other)]
    Other,
}

impl Message {
    pub(crate) fn known(self) -> Known {
        let milliseconds = |nanos: i64| u64::try_from(nanos / 1_000_000).unwrap_or_default();
        Known {
            message_id: self.id,
            state: self.state,
            source: self.sms.source,
            destination: self.sms.destination,
            submitted_at: milliseconds(self.submitted_at),
            ended_at: self.ended_at.map(milliseconds),
            error: self.error.unwrap_or_default(),
            parts: self.parts,
            maybe_twice: self.maybe_twice,
            uncertain: self.uncertain && self.state == State::Enroute,
            reference: self.reference,
        }
    }
}

/// A time as a column has it.
pub(crate) fn nanos(time: Time) -> i64 {
    i64::try_from(time.nanos()).unwrap_or(i64::MAX)
}

/// A span later.
pub(crate) fn after(time: i64, span: Duration) -> i64 {
    time.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}

/// A name for something that happens now: the later, the smaller. `chance` is a random number.
pub(crate) fn name(now: Time, chance: u64) -> String {
    format!("{:016x}{:08x}", !now.nanos(), chance as u32)
}

/// The name of a message that its account has given a key: the same for the same key, and nobody else's.
pub(crate) fn name_by_key(account: &str, key: &str) -> String {
    let digest = Sha256::new().chain_update(account).chain_update([0]).chain_update(key).finalize();
    digest.iter().take(16).fold(String::with_capacity(33), |name, byte| name + &format!("{byte:02x}"))
}

/// The place of a message in its account's list, and the end of that list.
pub(crate) fn place(account: &str, name: &str) -> String {
    format!("{account}\u{1}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_an_older_version_has_under_way_is_read() {
        let whole = Message {
            id: "a".into(),
            place: "a".into(),
            account: "acme".into(),
            front: "rest".into(),
            front_id: String::new(),
            version: "messaging@0.1.0#000000".into(),
            submitted_at: 1,
            expires_at: 2,
            wants_receipt: 1,
            sms: Sms::default(),
            text: None,
            coding: None,
            long: Concatenation::default(),
            parts: 1,
            state: State::Enroute,
            phase: Phase::Queued,
            due_at: 1,
            run: 1,
            tries: 0,
            network: None,
            ended_at: None,
            error: None,
            uncertain: false,
            maybe_twice: false,
            reference: String::new(),
            counted: false,
            more: 0,
            trace: None,
        };
        let mut written = serde_json::to_value(&whole).unwrap();
        for added_since in ["reference", "counted", "more", "trace"] {
            written.as_object_mut().unwrap().remove(added_since).expect(added_since);
        }
        assert_eq!(serde_json::from_value::<Message>(written).unwrap(), whole);
    }
}
