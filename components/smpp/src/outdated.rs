//! Messages that were kept for long enough: each bound session looks for some when it renews its lease, and makes them go.
//!
//! Several sessions may find the same ones: a row goes once. What was owed to an account that has not come for it is dropped
//! then as well, and is a warning.

use tandem_component::prelude::*;

use crate::Smpp;
use crate::hand_over::SUBMITTED;
use crate::message::{MESSAGES, Message, nanos};
use crate::queue::count;
use crate::session::{Bind, Stage};
use crate::then::Then;

/// Looks for some.
pub(crate) fn look_for_outdated(smpp: &Smpp, out: &mut Out<'_, Bind>) {
    let until = nanos(out.now()).saturating_sub(i64::try_from(smpp.config.keep.as_nanos()).unwrap_or(i64::MAX));
    out.scan(&Scan::of(&MESSAGES).by("due_at").to(&until).limit(PAGE), Then::Outdated);
}

impl Bind {
    /// Makes them go, and looks for more as long as there are many.
    pub(crate) fn outdated(
        &mut self,
        smpp: &Smpp,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        let (Answer::Rows(rows), false, Stage::Bound { .. }) = (answer, failed, &self.stage) else { return Ok(()) };
        let rows = rows.read::<Message>()?;
        for message in &rows {
            if let Some(account) = &message.receipt_for {
                tracing::warn!(id = message.id, account, "nobody has come for it");
                count(account, -1, &mut self.queue, out);
            }
            if let (Some(smsc), Some(smsc_id)) = (&message.smsc, &message.smsc_id) {
                out.delete(&SUBMITTED, &(smsc, smsc_id));
            }
            out.delete(&MESSAGES, &message.id);
        }
        if rows.len() >= PAGE as usize {
            look_for_outdated(smpp, out);
        }
        Ok(())
    }
}

/// So many go in one transaction.
const PAGE: u32 = 200;
