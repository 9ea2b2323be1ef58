//! What a session waits for: [`Then`].

use serde::{Deserialize, Serialize};
use tandem_component::RequestId;

use crate::asking::Question;
use crate::delivering::Delivery;
use crate::message::Message;
use crate::recall::Recall;

/// What a session waits for.
#[derive(Serialize, Deserialize, tandem_component::Then)]
pub enum Then {
    /// The next of all deadlines.
    Alarm,
    /// Whose password it is.
    Authenticated,
    /// Whether the account may have another session.
    BindAdmitted,
    /// Whether a submission may be made.
    Admitted {
        /// Which.
        key: u64,
    },
    /// The account's other binds.
    OtherBinds,
    /// Whether a lease was free.
    Leased,
    /// Whether the lease is still ours.
    Renewed,
    /// Nothing: a lease was given back.
    GivenBack,
    /// The receipts that are owed to the account.
    Owed,
    /// Whether a receipt, or a message, is ours to send.
    Claimed {
        /// Whose receipt, or which message.
        message: Box<Message>,
    },
    /// The row that a request is about.
    Recalled {
        /// The request's number.
        sequence: u32,
        /// Whose message it says that it is.
        source: String,
        /// What it asks.
        recall: Recall,
    },
    /// What the service that has a message says of it, or does about it.
    AskedAfter {
        /// What it was asked.
        question: Box<Question>,
    },
    /// Whether a message was changed.
    Changed {
        /// The request's number.
        sequence: u32,
        /// `command_id` of the request.
        command: u32,
        /// How many more receipts are owed with it.
        #[serde(default)]
        owed: i64,
    },
    /// The messages to a destination, to be cancelled.
    CancelAll {
        /// The request's number.
        sequence: u32,
        /// From whom.
        source: String,
        /// Of what kind; any, where it is empty.
        service_type: String,
    },
    /// Whether an SMSC may ask us to bind.
    Invited,
    /// Whether the service that a submission went to has submitted it.
    HandedOver {
        /// Which submission.
        key: u64,
        /// Which of its messages.
        n: usize,
    },
    /// Our row of the message that an SMSC's receipt is of.
    Known {
        /// What was asked.
        delivery: Delivery,
    },
    /// The time to look for that row again.
    LookAgain {
        /// What was asked.
        delivery: Delivery,
    },
    /// The message that an SMSC's receipt is of.
    Reported {
        /// What was asked.
        delivery: Delivery,
    },
    /// Whether what a receipt says was written down.
    WrittenDown {
        /// The request.
        asked: RequestId,
        /// To whom a receipt is owed now.
        owed: Option<String>,
    },
    /// The messages that were kept for long enough.
    Outdated,
    /// How much is kept for the account.
    Kept,
    /// Whether there is room for a message that an SMSC has for an account.
    Room {
        /// The request.
        asked: RequestId,
        /// The message.
        message: Box<Message>,
    },
    /// Whether the service that an SMSC's message goes to has taken it.
    HandedOn {
        /// The request's number.
        sequence: u32,
        /// `command_id` of the request.
        command: u32,
    },
}
