//! One session: [`Conversation`], which is a client's connection, one request of another service, or a resident.

use tandem_component::prelude::*;

use crate::Rest;
use crate::exchange::Connection;
use crate::keeping::Keeping;
use crate::problem::Kind;
use crate::pushing::Resident;

/// One session.
#[derive(Debug, Serialize, Deserialize)]
pub struct Conversation {
    side: Side,
    /// What the last event wrote was not stored.
    store_failed: bool,
    alarm: Alarm,
}

/// Whose session it is.
#[derive(Debug, Serialize, Deserialize)]
enum Side {
    /// A client's connection.
    Client(Box<Connection>),
    /// There is no connection: one request of another service.
    Called(Keeping),
    /// There is no connection: what happens by itself, and requests of other services.
    Resident(Box<Resident>),
}

/// What an answer of the host continues. The session's state says the rest.
#[derive(Debug, Serialize, Deserialize, Then)]
pub enum Then {
    /// The one timer.
    Alarm,
    /// Whose secret it is.
    Authenticated,
    /// Whether the key of a request is ours.
    Reserved,
    /// What is known of one that is not.
    KeyKnown,
    /// Whether one is ours that was free.
    Retaken,
    /// The answer is kept under its key.
    Settled,
    /// Keys that were kept for long enough.
    OutdatedKeys,
    /// A message was submitted, or not: that for the recipient of this number.
    Submitted {
        /// The recipient's.
        n: usize,
    },
    /// What was asked of the service behind this interface.
    Asked,
    /// Where the account's events have got to, for who asks for them.
    Reached,
    /// Events for who waits for them.
    Fetched,
    /// Events that are taken.
    Taken,
    /// Where an account's events have got to.
    Tail {
        /// The account.
        account: String,
    },
    /// Whether the account's numbers were taken.
    Numbered {
        /// The account.
        account: String,
    },
    /// Whether an event has its row.
    Kept {
        /// The account.
        account: String,
    },
    /// Whose the account's webhook is to tell.
    Pusher {
        /// The account.
        account: String,
    },
    /// Whether it is ours.
    Claimed {
        /// The account.
        account: String,
    },
    /// Whether it is ours still.
    Renewed {
        /// The account.
        account: String,
    },
    /// It is nobody's.
    Released,
    /// Where the account's events have got to, for its webhook.
    Due {
        /// The account.
        account: String,
    },
    /// What the account's webhook is to be told.
    Owed {
        /// The account.
        account: String,
    },
    /// A connection to the account's webhook.
    Dialed {
        /// The account.
        account: String,
    },
    /// Events that were kept for too long.
    Outdated,
}

impl Conversation {
    /// A client's connection, on which no request has begun.
    pub(crate) fn connection(rest: &Rest, opening: &Opening<'_>) -> Self {
        Conversation::of(Side::Client(Box::new(Connection::new(opening.idle_since + rest.config.timeouts.idle))))
    }

    /// One request of another service.
    pub(crate) fn called() -> Self {
        Conversation::of(Side::Called(Keeping::default()))
    }

    /// What happens by itself.
    pub(crate) fn resident() -> Self {
        Conversation::of(Side::Resident(Box::default()))
    }

    fn of(side: Side) -> Self {
        Conversation { side, store_failed: false, alarm: Alarm::default() }
    }
}

impl Session for Conversation {
    type Component = Rest;
    type Then = Then;

    fn handle(&mut self, rest: &Rest, event: Event<'_, Then>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        if let Event::StoreFailed { .. } = event {
            self.store_failed = true;
            return Ok(());
        }
        let failed = std::mem::take(&mut self.store_failed);
        if let Event::Timeout { then: Then::Alarm } = event {
            self.alarm.fired();
        }
        let due = match &mut self.side {
            Side::Client(connection) => {
                connection.handle(rest, event, failed, out)?;
                connection.due()
            }
            Side::Called(keeping) => {
                keeping.handle(rest, event, failed, out)?;
                None
            }
            Side::Resident(resident) => {
                resident.handle(rest, event, failed, out)?;
                resident.due(rest)
            }
        };
        self.alarm.arm(due, Then::Alarm, out);
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        match &self.side {
            Side::Client(connection) => connection.at_boundary(),
            Side::Called(keeping) => keeping.is_empty(),
            Side::Resident(resident) => resident.is_idle(),
        }
    }

    fn last_words(&mut self, rest: &Rest, out: &mut Out<'_, Self>) {
        if let Side::Client(connection) = &mut self.side
            && connection.owes_an_answer()
        {
            connection.last_words(
                rest,
                &Kind::Broken.because("whether it was done, nobody knows; its log has more"),
                out,
            );
        }
    }
}
