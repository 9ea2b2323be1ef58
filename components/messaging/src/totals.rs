//! What has become of all messages, by the version that has taken them: [`TOTALS`]. What is taken and has not ended is pending.

use tandem_component::prelude::*;
use tandem_sms::State;

use crate::desk::Desk;

/// A row for each version.
pub const TOTALS: Table = Table {
    name: "totals",
    key: &["version"],
    columns: &[
        Column::new("version", Kind::Text),
        Column::new("accepted", Kind::Integer).or(Literal::Integer(0)),
        Column::new("delivered", Kind::Integer).or(Literal::Integer(0)),
        Column::new("rejected", Kind::Integer).or(Literal::Integer(0)),
        Column::new("expired", Kind::Integer).or(Literal::Integer(0)),
        Column::new("cancelled", Kind::Integer).or(Literal::Integer(0)),
    ],
};

/// One more was taken.
pub(crate) fn count_accepted(version: &str, out: &mut Out<'_, Desk>) {
    out.add(&TOTALS, &version, "accepted", 1);
}

/// One has ended.
pub(crate) fn count_ended(version: &str, state: State, out: &mut Out<'_, Desk>) {
    let column = match state {
        State::Delivered | State::Accepted => "delivered",
        State::Expired => "expired",
        State::Deleted => "cancelled",
        _ => "rejected",
    };
    out.add(&TOTALS, &version, column, 1);
}
