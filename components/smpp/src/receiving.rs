//! What an SMSC sends us: `deliver_sm` (4.6), `data_sm` (4.7) and `alert_notification` (4.12).
//!
//! A message is acknowledged once the service that it goes to has it. Until then, and where that service is not there,
//! it is the SMSC's: it sends it again.

use tandem_component::prelude::*;

use crate::Smpp;
use crate::delivering::LOOKING;
use crate::frame::Frame;
use crate::pdu::{RESPONSE, Status, decode, framed};
use crate::record::About;
use crate::session::{Bind, Stage};
use crate::then::Then;
use crate::{report, sms};
use tandem_sms::{Asked, Deliver, Delivered};

impl Bind {
    /// A message or a receipt.
    pub(crate) fn deliver(&mut self, smpp: &Smpp, frame: &Frame<'_>, out: &mut Out<'_, Bind>) -> Result<(), Status> {
        if !matches!(self.stage, Stage::Joined { mode } if mode.receives()) {
            return Err(Status::EsmeRinvbndsts);
        }
        if self.pending >= smpp.config.window.deliver {
            return Err(Status::EsmeRthrottled);
        }
        let sms = decode(frame).as_ref().and_then(sms::of).ok_or(Status::EsmeRinvcmdlen)?;
        let receipt = report::of(&sms);
        self.requests.is_about(frame.sequence, || About {
            source: sms.source.digits.clone(),
            destination: sms.destination.digits.clone(),
            message_id: receipt.as_ref().map_or_else(String::new, |receipt| receipt.message_id.clone()),
            state: receipt.as_ref().map_or_else(String::new, |receipt| receipt.state.word().to_owned()),
        });
        let Some(service) = &smpp.config.deliver_to else {
            self.acknowledge(frame.id, frame.sequence, Status::EsmeRok.into(), out);
            return Ok(());
        };
        let trace = out.begin_trace();
        self.requests.begins(frame.sequence, trace);
        // Soon, so that the SMSC hears of a failure before it gives us up; but not before a receipt of no message is found to be
        // one: it would be left with the SMSC, which would send it again and again.
        let call = Call::to(service).within((smpp.config.timers.response / 2).max(LOOKING * 2)).trace(trace);
        let then = Then::HandedOn { sequence: frame.sequence, command: frame.id };
        out.call(call, &Asked::Deliver(Deliver { sms, receipt, ..Deliver::default() }), then);
        self.pending += 1;
        Ok(())
    }

    /// The service has taken it, or has not.
    pub(crate) fn handed_on(&mut self, (sequence, command): (u32, u32), answer: Answer<'_>, out: &mut Out<'_, Bind>) {
        self.pending = self.pending.saturating_sub(1);
        let status = match answer {
            Answer::Answered(response) => match response.read::<Delivered>() {
                Ok(delivered) => delivered.status,
                Err(misfit) => {
                    tracing::warn!(%misfit, "a service answers what nobody here knows");
                    LATER.into()
                }
            },
            other => {
                tracing::warn!(why = ?other, "a message is left with the SMSC");
                LATER.into()
            }
        };
        self.acknowledge(command, sequence, status, out);
    }

    /// The response to what an SMSC sends: its body is the `message_id`, unused and empty (section 4.6.2).
    pub(crate) fn acknowledge(&mut self, command: u32, sequence: u32, status: u32, out: &mut Out<'_, Bind>) {
        self.respond(&framed(command | RESPONSE, status.into(), sequence, b"\0"), out);
    }
}

/// The SMSC sends it again (section 5.1.3).
const LATER: Status = Status::EsmeRxTAppn;
