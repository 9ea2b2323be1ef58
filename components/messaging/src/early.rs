//! Receipts that came before the answer that names their message: [`EARLY`] keeps them until that is there, or nobody waits for it any
//! more.
//!
//! A network's receipts have so many places, each by its name's hash: so their number is bounded whatever a network says. One whose
//! place is taken is left with the network, which sends it again.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tandem_component::prelude::*;
use tandem_sms::{Report, State, status};

use crate::Messaging;
use crate::desk::Desk;
use crate::message::{MESSAGES, after, nanos};
use crate::receiving::{answer, find_parts};
use crate::sent::{Part, SENT};
use crate::then::{Reported, Then};

/// The receipts of which nobody knows yet of which messages they are.
pub const EARLY: Table = Table {
    name: "early",
    key: &["network", "place"],
    columns: &[
        Column::new("network", Kind::Text),
        Column::new("place", Kind::Integer),
        Column::new("network_id", Kind::Text),
        Column::new("state", Kind::Text),
        Column::new("error", Kind::Text),
        Column::new("came_at", Kind::Integer),
        Column::new("due_at", Kind::Integer).indexed(),
    ],
};

/// A row of [`EARLY`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Early {
    pub(crate) network: String,
    place: u16,
    pub(crate) network_id: String,
    pub(crate) state: State,
    pub(crate) error: String,
    came_at: i64,
    due_at: i64,
}

#[derive(Serialize)]
struct Due<'a> {
    network: &'a str,
    place: u16,
    due_at: i64,
}

#[derive(Serialize)]
struct Claim {
    due_at: i64,
}

impl Early {
    fn new(Reported { network, report: Report { message_id, state, error, .. }, .. }: Reported, now: Time) -> Self {
        let digest = Sha256::digest(&message_id);
        let place = u16::from_be_bytes([digest[0], digest[1]]);
        let (came_at, due_at) = (nanos(now), after(nanos(now), EVERY));
        Early { network, place, network_id: message_id, state, error, came_at, due_at }
    }

    fn goes(&self, out: &mut Out<'_, Desk>) {
        out.delete(&EARLY, &(&self.network, self.place));
    }
}

impl Desk {
    /// Keeps a receipt whose message is not known.
    pub(crate) fn park(&mut self, reported: Reported, out: &mut Out<'_, Desk>) {
        let asked = reported.asked;
        out.insert(&EARLY, &Early::new(reported, out.now()), Then::Parked { asked });
    }

    /// Whether there was a place for it.
    pub(crate) fn parked(&mut self, asked: RequestId, changed: Answer<'_>, failed: bool, out: &mut Out<'_, Desk>) {
        let kept = changed == Answer::Changed(true) && !failed;
        answer(asked, if kept { status::OK } else { status::LATER }, out);
    }

    /// Looks for those that are to be looked at again.
    pub(crate) fn look_for_early(&mut self, out: &mut Out<'_, Desk>) {
        let now = nanos(out.now());
        out.scan(&Scan::of(&EARLY).by("due_at").to(&now).limit(PAGE), Then::EarlyDue);
    }

    pub(crate) fn early_due(&mut self, found: Answer<'_>, failed: bool, out: &mut Out<'_, Desk>) -> Result<(), Fault> {
        let (Answer::Rows(rows), false) = (found, failed) else { return Ok(()) };
        let claim = Claim { due_at: after(nanos(out.now()), EVERY) };
        for early in rows.read::<Early>()? {
            let due = Due { network: &early.network, place: early.place, due_at: early.due_at };
            out.swap(&EARLY, &due, &claim, Then::EarlyClaimed { early: early.clone() });
        }
        Ok(())
    }

    /// Looks for the part again, where it is ours to do that.
    pub(crate) fn early_claimed(&mut self, early: Early, changed: Answer<'_>, failed: bool, out: &mut Out<'_, Desk>) {
        if changed != Answer::Changed(true) || failed {
            return;
        }
        let key = (early.network.clone(), early.network_id.clone());
        out.get(&SENT, &key, Then::EarlyReported { early });
    }

    pub(crate) fn early_reported(
        &mut self,
        early: Early,
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let (Answer::Row(row), false) = (found, failed) else { return Ok(()) };
        let Some(row) = row else {
            // Only now: a gateway may have been away for as long.
            if after(early.came_at, KEEP) <= nanos(out.now()) {
                let Early { network, network_id, .. } = &early;
                tracing::warn!(network, network_id, "a receipt of no message");
                early.goes(out);
            }
            return Ok(());
        };
        let (state, error) = (early.state, early.error.clone());
        find_parts(&row, (state, &error), |id| Then::EarlyParts { early, id }, out)
    }

    pub(crate) fn early_parts(
        &mut self,
        early: Early,
        id: &str,
        found: Answer<'_>,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        if let Answer::Rows(rows) = found {
            out.get(&MESSAGES, &id, Then::EarlyMessage { early, parts: rows.read()? });
        }
        Ok(())
    }

    /// The message is there: it ends where all its parts have, and in the same transaction the receipt goes.
    pub(crate) fn early_message(
        &mut self,
        m: &Messaging,
        (early, parts): (&Early, &[Part]),
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        if let (Answer::Row(row), false) = (found, failed)
            && self.end_with_its_parts(m, row, parts, false, out)?
        {
            early.goes(out);
        }
        Ok(())
    }
}

/// How often a receipt's message is looked for.
const EVERY: Duration = Duration::from_secs(2);
/// For so long: no network has longer to answer.
const KEEP: Duration = Duration::from_secs(600);
/// So many are looked at in one go.
const PAGE: u32 = 100;
