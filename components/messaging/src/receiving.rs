//! What a network has: a receipt finds its message; a message of a phone is kept for its account.

use std::time::Duration;

use tandem_component::prelude::*;
use tandem_sms::{Deliver, Delivered, State, status};

use crate::Messaging;
use crate::desk::Desk;
use crate::ending::Counts;
use crate::message::{MESSAGES, Message};
use crate::sent::{Ended, Part, SENT, outcome};
use crate::then::{Reported, Then};

impl Desk {
    pub(crate) fn deliver(
        &mut self,
        m: &Messaging,
        asked: RequestId,
        (network, trace): (&str, Trace),
        deliver: Deliver,
        out: &mut Out<'_, Desk>,
    ) {
        match deliver.receipt {
            // It is still under way, as everybody thinks.
            Some(report) if report.intermediate => answer(asked, status::OK, out),
            Some(report) => self.look_for(Reported { asked, network: network.to_owned(), report, looked: 0 }, out),
            None => self.take_in(m, (asked, trace), deliver.sms, out),
        }
    }

    /// Looks for the part that a receipt is of.
    pub(crate) fn look_for(&mut self, reported: Reported, out: &mut Out<'_, Desk>) {
        let key = (reported.network.clone(), reported.report.message_id.clone());
        out.get(&SENT, &key, Then::Reported { reported });
    }

    pub(crate) fn reported(
        &mut self,
        m: &Messaging,
        mut reported: Reported,
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        match found {
            _ if failed => answer(reported.asked, status::LATER, out),
            Answer::Row(Some(row)) => {
                let Reported { asked, report, .. } = reported;
                find_parts(&row, (report.state, &report.error), |id| Then::Parts { asked, id }, out)?;
            }
            // A receipt may overtake the commit of what the network has answered before it.
            Answer::Row(None) if reported.looked < LOOKS => {
                reported.looked += 1;
                out.after(BETWEEN_LOOKS * reported.looked, Then::LookAgain { reported });
            }
            // It said what it has to say when it took the message.
            Answer::Row(None) if !m.config.network(&reported.network).receipts => {
                answer(reported.asked, status::OK, out)
            }
            Answer::Row(None) => self.park(reported, out),
            _ => answer(reported.asked, status::LATER, out),
        }
        Ok(())
    }

    pub(crate) fn parts_of(
        &mut self,
        asked: RequestId,
        id: String,
        found: Answer<'_>,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        match found {
            Answer::Rows(rows) => {
                out.get(&MESSAGES, &id, Then::Message { asked, parts: rows.read()? });
            }
            _ => answer(asked, status::LATER, out),
        }
        Ok(())
    }

    /// The message is there: where all its parts have ended, it has.
    pub(crate) fn message_of(
        &mut self,
        m: &Messaging,
        (asked, parts): (RequestId, &[Part]),
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let done = match found {
            Answer::Row(row) => self.end_with_its_parts(m, row, parts, failed, out)?,
            _ => false,
        };
        answer(asked, if done { status::OK } else { status::LATER }, out);
        Ok(())
    }

    /// Ends a message where all its parts have ended. Whether that is done, or there is nothing to do.
    pub(crate) fn end_with_its_parts(
        &mut self,
        m: &Messaging,
        message: Option<Row<'_>>,
        parts: &[Part],
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<bool, Fault> {
        let Some(message) = message.map(|row| row.read::<Message>()).transpose()? else { return Ok(true) };
        match outcome(parts, message.parts).filter(|_| message.state == State::Enroute) {
            Some(_) if failed => return Ok(false),
            Some((state, error)) => self.end(m, (&message.id, Some(&Counts::of(&message))), None, (state, &error), out),
            None => {}
        }
        Ok(true)
    }
}

/// Writes down what a receipt says of a part, and looks for all parts of its message: also where a receipt has said it before, since what
/// followed from that may not have happened.
pub(crate) fn find_parts(
    part: &Row<'_>,
    (state, error): (State, &str),
    then: impl FnOnce(String) -> Then,
    out: &mut Out<'_, Desk>,
) -> Result<(), Fault> {
    let part: Part = part.read()?;
    if part.state == State::Enroute {
        out.update(&SENT, &Ended::of(&part, state, error));
    }
    out.scan(&Scan::of(&SENT).by("id").at(&part.id).limit(1000), then(part.id.clone()));
    Ok(())
}

pub(crate) fn answer(asked: RequestId, status: u32, out: &mut Out<'_, Desk>) {
    out.answer(asked, &Delivered { status });
}

/// So often a receipt's message is looked for again, after this time and then longer: 150 ms in all. Then it is parked, since a network has few
/// receipts on their way at a time, and those of others wait behind it.
const LOOKS: u32 = 2;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
