//! What other services ask us to submit to the SMSC: within the window, and behind it in a queue that has a bound.

use tandem_component::prelude::*;

use crate::Smpp;
use crate::frame::{Frame, HEADER};
use crate::pdu::{GENERIC_NACK, SUBMIT_SM, Status, decode, framed};
use crate::record::Behalf;
use crate::session::{Bind, Stage};
use crate::sms::body;
use crate::window::{Asked as Made, Request};
use tandem_sms::tlv::whole;
use tandem_sms::{Asked, Delivered, Sms, Submit, Submitted};

/// A message that waits until the window has room.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) asked: RequestId,
    /// On whose behalf, where records are wanted.
    #[serde(default)]
    behalf: Option<Box<Behalf>>,
    /// The body of its `submit_sm`.
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
}

impl Bind {
    /// Another service asks for something.
    pub(crate) fn asked(
        &mut self,
        smpp: &Smpp,
        id: RequestId,
        request: &tandem_component::Request<'_>,
        out: &mut Out<'_, Bind>,
    ) {
        match request.read() {
            Ok(Asked::Submit(submit)) => {
                let recorded = self.requests.recording != Recording::None;
                let behalf = recorded
                    .then(|| Box::new(Behalf { account: request.account().to_owned(), trace: request.trace() }));
                if let Err(status) = self.submit(smpp, (id, behalf), &submit, out) {
                    // It is not the SMSC that has too much to do.
                    let limit = if status == Status::EsmeRmsgqful { "queue" } else { "" };
                    out.answer(
                        id,
                        &Submitted { status: status.into(), limit: limit.to_owned(), ..Submitted::default() },
                    );
                }
            }
            Ok(Asked::Deliver(_)) => {
                tracing::warn!(from = request.from(), "asks an SMSC's connector to deliver");
                out.answer(id, &Delivered { status: Status::EsmeRinvcmdid.into() });
            }
            // What an SMSC has is asked after by those who keep messages; none is kept here.
            Ok(Asked::Query(_) | Asked::Cancel(_) | Asked::Replace(_)) => refuse(id, Status::EsmeRinvcmdid, out),
            other => {
                tracing::warn!(from = request.from(), ?other, "asks what nobody here knows");
                refuse(id, Status::EsmeRinvcmdid, out);
            }
        }
    }

    fn submit(
        &mut self,
        smpp: &Smpp,
        (asked, behalf): (RequestId, Option<Box<Behalf>>),
        submit: &Submit,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Status> {
        // It may have been on its way when we said goodbye.
        if !matches!(self.stage, Stage::Joined { mode } if mode.transmits()) {
            return Err(TEMPORARY);
        }
        let body = sm_body(&submit.sms)?;
        // What waits is a part of the state: its number is bounded, and so is its size.
        if HEADER + body.len() > smpp.config.pdu_bytes_max as usize {
            return Err(Status::EsmeRinvmsglen);
        }
        if self.waiting.len() >= smpp.config.queue as usize
            && self.window.submits() >= smpp.config.window.submit as usize
        {
            return Err(Status::EsmeRmsgqful);
        }
        self.waiting.push_back(Waiting { asked, behalf, body });
        self.submit_more(smpp, out);
        Ok(())
    }

    /// Who asked no longer waits. What the SMSC has already, it keeps.
    pub(crate) fn withdrawn(&mut self, asked: RequestId) {
        self.waiting.retain(|waiting| waiting.asked != asked);
    }

    /// Sends what waits, as far as the window has room.
    pub(crate) fn submit_more(&mut self, smpp: &Smpp, out: &mut Out<'_, Bind>) {
        if !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        let mut room = (smpp.config.window.submit as usize).saturating_sub(self.window.submits());
        while let Some(waiting) = if room > 0 { self.waiting.pop_front() } else { None } {
            let request = Request::Submit { asked: waiting.asked, behalf: waiting.behalf };
            let sequence = self.window.ask_with(request, waiting.body.len(), out.now());
            out.send(Stream::OWN, &framed(SUBMIT_SM, Status::EsmeRok, sequence, &waiting.body));
            self.transacted = out.now();
            room -= 1;
        }
    }

    /// The SMSC has answered a `submit_sm`.
    pub(crate) fn submitted(&mut self, smpp: &Smpp, asked: RequestId, frame: &Frame<'_>, out: &mut Out<'_, Bind>) {
        let status = match (frame.id, frame.status) {
            (GENERIC_NACK, 0) => TEMPORARY.into(),
            (_, status) => status,
        };
        // The body of a refusal is nothing or anything (section 4.4.2).
        let id = if status == 0 { frame.body.split(|byte| *byte == 0).next().unwrap_or_default() } else { &[] };
        out.answer(
            asked,
            &Submitted { status, message_id: String::from_utf8_lossy(id).into_owned(), ..Submitted::default() },
        );
        self.submit_more(smpp, out);
    }

    /// The SMSC has not answered in time (`response_timer`, section 7.2): each request is taken to have failed.
    pub(crate) fn give_up(&mut self, smpp: &Smpp, out: &mut Out<'_, Bind>) {
        let (now, span) = (out.now(), smpp.config.timers.response);
        let late = self.window.take_submits(|at| at + span <= now);
        self.unanswered(late.iter(), out);
        for asked in late {
            tracing::warn!("no response to a submit_sm in time");
            lose(&asked, out);
        }
        self.submit_more(smpp, out);
    }

    /// Nothing more is submitted: who waits is told.
    pub(crate) fn submit_no_more(&mut self, out: &mut Out<'_, Bind>) {
        self.waiting.drain(..).for_each(|waiting| refuse(waiting.asked, TEMPORARY, out));
    }
}

/// The body of the `submit_sm`, where it is one: what another component says is checked like what a peer says.
fn sm_body(sms: &Sms) -> Result<Vec<u8>, Status> {
    if !whole(&sms.tlvs) {
        return Err(Status::EsmeRinvtlvstream);
    }
    let body = body(sms);
    let frame = Frame { id: SUBMIT_SM, status: 0, sequence: 1, body: &body };
    match decode(&frame) {
        Some(_) => Ok(body),
        None if sms.short_message.len() > MESSAGE_MAX => Err(Status::EsmeRinvmsglen),
        None => Err(Status::EsmeRinvcmdlen),
    }
}

/// Answers that a message was not submitted.
pub(crate) fn refuse(asked: RequestId, status: Status, out: &mut Out<'_, Bind>) {
    out.answer(asked, &Submitted { status: status.into(), ..Submitted::default() });
}

/// Answers that nobody knows whether the SMSC has a message that it was sent.
pub(crate) fn lose(made: &Made, out: &mut Out<'_, Bind>) {
    let Request::Submit { asked, .. } = made.what else { return };
    let reason = "the SMSC was sent it, and has not answered".to_owned();
    out.answer(asked, &Submitted { status: TEMPORARY.into(), uncertain: true, reason, ..Submitted::default() });
}

/// What an ESME tries again later.
pub(crate) const TEMPORARY: Status = Status::EsmeRsyserr;
/// The longest `short_message` (section 5.2.22).
const MESSAGE_MAX: usize = 254;
