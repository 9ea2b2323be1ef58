//! What a desk waits for: [`Then`].

use serde::{Deserialize, Serialize};
use tandem_component::RequestId;
use tandem_sms::{Left, Replace, Report, State};

use crate::early::Early;
use crate::incoming::Incoming;
use crate::message::Message;
use crate::sending::{OfPart, Outcome};

/// What a desk waits for.
#[derive(Serialize, Deserialize, tandem_component::Then)]
pub enum Then {
    /// The time to look for what is due.
    Sweep,
    /// The messages that are due.
    Due,
    /// Those behind them.
    DueBeyond,
    /// Those that were under way when an earlier run of the host ended.
    LeftBehind,
    /// What came in and is due.
    IncomingDue,
    /// Whether there is a message with a key already.
    Looked {
        /// The request.
        asked: RequestId,
        /// The message.
        message: Box<Message>,
    },
    /// How many messages of its account wait.
    Waiting {
        /// The request.
        asked: RequestId,
        /// The message.
        message: Box<Message>,
        /// Whether it has a key.
        keyed: bool,
    },
    /// How many of all wait.
    AllWaiting {
        /// The request.
        asked: RequestId,
        /// The message.
        message: Box<Message>,
        /// Whether it has a key.
        keyed: bool,
        /// For how many of its account there is room.
        left: i64,
    },
    /// Whether its account may have a message sent.
    Admitted {
        /// The request.
        asked: RequestId,
        /// The message.
        message: Box<Message>,
        /// Whether it has a key.
        keyed: bool,
    },
    /// Whether a message with a key is the first with it.
    Inserted {
        /// The request.
        asked: RequestId,
        /// The message.
        message: Box<Message>,
        /// What its account has left.
        #[serde(default)]
        left: Vec<Left>,
    },
    /// The first message with a key.
    First {
        /// The request.
        asked: RequestId,
    },
    /// Whether a message is ours to do something about.
    Claimed {
        /// As it was found.
        message: Box<Message>,
        /// The network where room was taken for it.
        #[serde(default)]
        room: Option<String>,
    },
    /// Which parts of a message a network has already.
    Had {
        /// The message.
        message: Box<Message>,
    },
    /// Whether a network has taken a part.
    Taken {
        /// Which.
        of: OfPart,
    },
    /// The time to write that down, which was not possible before.
    TakenAgain {
        /// Of which.
        of: OfPart,
        /// Whether it has.
        outcome: Outcome,
    },
    /// How much of a network's throttle is used.
    PaceRead {
        /// The service.
        network: String,
    },
    /// Whether some of it was taken.
    PaceTaken {
        /// The service.
        network: String,
        /// So many parts.
        units: u32,
        /// What the row says then.
        used_until: i64,
    },
    /// The time at which there is some.
    PaceDue {
        /// The service.
        network: String,
    },
    /// Whether what has become of an attempt was still ours to write down.
    WrittenDown,
    /// Whether a message has got its final state by what we wrote, of which nobody is told.
    Over {
        /// That state.
        state: State,
        /// How many nanoseconds it was on its way.
        took: i64,
    },
    /// Whether a message has got its final state by what we wrote.
    Ended {
        /// The message.
        id: String,
    },
    /// A message that has ended.
    Ending,
    /// Whether a front was told what has become of a message.
    Told {
        /// The message.
        id: String,
        /// How often it was tried before.
        tries: u32,
    },
    /// Our row of the part that a receipt is of.
    Reported {
        /// The receipt.
        reported: Reported,
    },
    /// The time to look for that row again.
    LookAgain {
        /// The receipt.
        reported: Reported,
    },
    /// All parts of the message that a receipt is of.
    Parts {
        /// The request.
        asked: RequestId,
        /// The message.
        id: String,
    },
    /// The message that a receipt is of.
    Message {
        /// The request.
        asked: RequestId,
        /// What has become of its parts.
        parts: Vec<crate::sent::Part>,
    },
    /// Whether there was a place for a receipt whose message is not known.
    Parked {
        /// The request.
        asked: RequestId,
    },
    /// Such receipts, which are to be looked at again.
    EarlyDue,
    /// Whether one is ours to look at.
    EarlyClaimed {
        /// As it was found.
        early: Early,
    },
    /// The part that it is of.
    EarlyReported {
        /// It.
        early: Early,
    },
    /// All parts of the message that it is of.
    EarlyParts {
        /// It.
        early: Early,
        /// The message.
        id: String,
    },
    /// The message that it is of.
    EarlyMessage {
        /// It.
        early: Early,
        /// What has become of the parts.
        parts: Vec<crate::sent::Part>,
    },
    /// The parts of a long message that are there.
    Pieces {
        /// The request.
        asked: RequestId,
        /// How many there have to be.
        total: u8,
    },
    /// Whether nobody else has put them together.
    Joined {
        /// The request.
        asked: RequestId,
        /// The message.
        incoming: Box<Incoming>,
    },
    /// Parts whose others have not come in time.
    LonePieces,
    /// Whether something that came in is ours to hand on.
    IncomingClaimed {
        /// As it was found.
        incoming: Box<Incoming>,
    },
    /// Whether a front has taken what came in.
    Handed {
        /// Which.
        id: String,
        /// How often it was tried before.
        tries: u32,
    },
    /// The parts of a message that goes.
    Gone {
        /// The message.
        id: String,
    },
    /// The message that is asked after.
    Asked {
        /// The request.
        asked: RequestId,
        /// Who may ask.
        account: String,
    },
    /// Where a list goes on.
    ListFrom {
        /// The request.
        asked: RequestId,
        /// Whose.
        account: String,
        /// How many.
        limit: u32,
    },
    /// An account's messages.
    Listed {
        /// The request.
        asked: RequestId,
        /// How many are wanted.
        limit: u32,
    },
    /// The message that is to be cancelled.
    Cancelling {
        /// The request.
        asked: RequestId,
        /// Who may.
        account: String,
    },
    /// The message that is to be replaced.
    Replacing {
        /// The request.
        asked: RequestId,
        /// By what.
        replace: Box<Replace>,
    },
    /// Whether it was.
    Replaced {
        /// The request.
        asked: RequestId,
    },
    /// Whether it was.
    Cancelled {
        /// The request.
        asked: RequestId,
        /// The message.
        id: String,
    },
}

/// A receipt of a network, while its message is looked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reported {
    pub(crate) asked: RequestId,
    pub(crate) network: String,
    pub(crate) report: Report,
    /// How often its message was looked for.
    pub(crate) looked: u32,
}
