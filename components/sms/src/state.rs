//! What has become of a message, as SMPP names it.

use serde::{Deserialize, Serialize};

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
    pub fn numbered(number: u8) -> Option<State> {
        State::ALL.into_iter().find(|state| *state as u8 == number)
    }

    /// By the word of appendix B.
    pub fn worded(word: &str) -> Option<State> {
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
