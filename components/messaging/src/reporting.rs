//! Telling a front what has become of a message.

use tandem_component::prelude::*;
use tandem_sms::{Asked, Deliver, Delivered, Report, Sms, status};

use crate::Messaging;
use crate::desk::Desk;
use crate::ending::{SOON, done};
use crate::message::{MESSAGES, Message, Phase, after, nanos};
use crate::then::Then;

#[derive(Serialize)]
struct Owed<'a> {
    id: &'a str,
    phase: Phase,
    due_at: i64,
    tries: u32,
}

impl Desk {
    /// Tells a message's front. The row says already that this is under way.
    pub(crate) fn report(&mut self, message: &Message, out: &mut Out<'_, Desk>) {
        // One that was opened for a request ends with its answer: a resident finds the row.
        if self.transport != Transport::Resident {
            return;
        }
        let error = message.error.clone().unwrap_or_else(|| "000".to_owned());
        let receipt = Report { message_id: message.id.clone(), state: message.state, error, intermediate: false };
        // From the message's destination to its source.
        let sms = Sms {
            source: message.sms.destination.clone(),
            destination: message.sms.source.clone(),
            esm_class: RECEIPT,
            ..Sms::default()
        };
        let (account, id, reference) = (message.account.clone(), message.id.clone(), message.reference.clone());
        let asked = Asked::Deliver(Deliver { sms, receipt: Some(receipt), account, id, reference, text: None });
        let then = Then::Told { id: message.id.clone(), tries: message.tries };
        let call = Call::to(&message.front).within(SOON / 2).account(&message.account).trace(message.trace);
        out.call(call, &asked, then);
        self.telling += 1;
    }

    /// Whether it was told.
    pub(crate) fn told(
        &mut self,
        m: &Messaging,
        id: &str,
        tries: u32,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) {
        self.telling = self.telling.saturating_sub(1);
        if failed {
            // It is told again when its time has come: it has been told with the same name.
            return;
        }
        match said(answer) {
            Some(status::OK) => done(m, id, out),
            Some(status) if !status::is_temporary(status) => {
                tracing::warn!(id, status, "a front does not want to know what has become of a message");
                done(m, id, out);
            }
            _ => {
                let due_at = after(nanos(out.now()), m.config.retry.wait(tries, out.random()));
                out.update(&MESSAGES, &Owed { id, phase: Phase::Owing, due_at, tries: tries + 1 });
            }
        }
    }
}

/// What a front has said; nothing where it has not, or nobody understands it.
pub(crate) fn said(answer: Answer<'_>) -> Option<u32> {
    match answer {
        Answer::Answered(response) => response.read::<Delivered>().ok().map(|delivered| delivered.status),
        _ => None,
    }
}

/// `esm_class` of a receipt (section 5.2.12).
const RECEIPT: u8 = 0x04;
