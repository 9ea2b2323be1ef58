//! What has become of all messages, by the version that has taken them: [`TOTALS`]. What is taken and has not ended is pending: see
//! [`LEDGER`].

use tandem_component::prelude::*;
use tandem_sms::State;

use crate::desk::Desk;
use crate::ending::Counts;
use crate::message::Message;

/// A row for each version.
pub const TOTALS: Table = Table {
    name: "totals",
    key: &["version"],
    columns: &[
        Column::new("version", Kind::Text),
        counting("accepted"),
        counting("delivered"),
        counting("rejected"),
        counting("expired"),
        counting("cancelled"),
        counting("accepted_more"),
        counting("delivered_more"),
        counting("rejected_more"),
        counting("expired_more"),
        counting("cancelled_more"),
    ],
};

/// A row of it: what was accepted, and how it has ended.
#[derive(Deserialize)]
pub(crate) struct Total {
    accepted: i64,
    delivered: i64,
    rejected: i64,
    expired: i64,
    cancelled: i64,
}

impl Total {
    /// How many have not ended.
    pub(crate) fn pending(&self) -> i64 {
        self.accepted - self.delivered - self.rejected - self.expired - self.cancelled
    }
}

/// A message is counted as accepted when it is queued or sent for the first time, and as what has become of it when there is nothing
/// left but to tell its front: each in the event that changes its phase.
pub const LEDGER: Ledger = Ledger {
    totals: TOTALS.name,
    rows: "messages",
    version: "version",
    more: "more",
    uncertain: "uncertain",
    phase: "phase",
    pending: &["queued", "sending", "sent", "ending"],
};

const fn counting(name: &'static str) -> Column {
    Column::new(name, Kind::Integer).or(Literal::Integer(0))
}

/// One more was taken.
pub(crate) fn count_accepted(message: &Message, out: &mut Out<'_, Desk>) {
    count(&message.version, message.more, ["accepted", "accepted_more"], &mut out.writes());
}

/// One has ended.
pub(crate) fn count_ended(counts: &Counts, state: State, writes: &mut Writes<'_>) {
    let columns = match state {
        State::Delivered | State::Accepted => ["delivered", "delivered_more"],
        State::Expired => ["expired", "expired_more"],
        State::Deleted => ["cancelled", "cancelled_more"],
        _ => ["rejected", "rejected_more"],
    };
    count(&counts.version, counts.more, columns, writes);
}

fn count(version: &str, more: u32, columns: [&'static str; 2], writes: &mut Writes<'_>) {
    writes.add(&TOTALS, &version, columns[0], 1);
    if more > 0 {
        writes.add(&TOTALS, &version, columns[1], more.into());
    }
}
