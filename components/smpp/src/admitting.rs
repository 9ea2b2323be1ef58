//! What an account's agreements admit: a bind as a session, and each submission before anything of it is stored or passed on.
//!
//! A submission is checked before it is asked for, so that what is wrong uses nothing of a quota. While it waits, the session keeps
//! it as it came: its bytes are what any version reads. It is held until its response is sent, or its session is over.

use std::collections::BTreeMap;

use tandem_component::prelude::*;

use crate::Smpp;
use crate::frame::Frame;
use crate::message::{MESSAGES, Message, seconds};
use crate::pdu::{Status, decode, encode};
use crate::queue::count;
use crate::record::About;
use crate::session::{Bind, Stage};
use crate::submit::{Submission, submit};
use crate::then::Then;
use tandem_sms::Submitted;

/// The submissions that wait for their admission.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Admissions {
    last: u64,
    /// By a number of our own: a peer may give the same to two requests.
    open: BTreeMap<u64, Asking>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
struct Asking {
    admission: Token,
    sequence: u32,
    command: u32,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
    /// How many messages it is.
    messages: usize,
}

impl Admissions {
    /// How many messages wait.
    pub(crate) fn messages(&self) -> usize {
        self.open.values().map(|asking| asking.messages).sum()
    }

    /// None of them is wanted any more.
    pub(crate) fn give_back(&mut self, out: &mut Out<'_, Bind>) {
        std::mem::take(&mut self.open).into_values().for_each(|asking| out.done(asking.admission));
    }
}

impl Bind {
    /// Asks whether a submission, which was checked, may be made.
    pub(crate) fn admit(&mut self, frame: &Frame<'_>, submission: &Submission, out: &mut Out<'_, Bind>) {
        let Some(first) = submission.messages.first() else { return };
        self.requests.is_about(frame.sequence, || About {
            source: first.source.clone(),
            destination: first.destination.clone(),
            ..About::default()
        });
        let (Frame { sequence, id: command, .. }, messages) = (*frame, submission.messages.len());
        self.admissions.last += 1;
        let key = self.admissions.last;
        let admission = Admission::of(&first.system_id).units(messages as u64).sender(&first.source).held();
        let admission = out.admit(admission, Then::Admitted { key });
        let asking = Asking { admission, sequence, command, body: frame.body.to_vec(), messages };
        self.admissions.open.insert(key, asking);
        self.pending += 1;
    }

    /// It may, or may not.
    pub(crate) fn admitted(
        &mut self,
        smpp: &Smpp,
        key: u64,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) {
        let Some(asking) = self.admissions.open.remove(&key) else { return };
        self.pending = self.pending.saturating_sub(1);
        let Asking { admission, sequence, command, body, .. } = asking;
        let frame = Frame { id: command, status: 0, sequence, body: &body };
        let done = match answer {
            _ if failed => Err(Status::EsmeRsyserr),
            Answer::Admitted => self.take_in(smpp, &frame, admission, out),
            Answer::Refused { limit, .. } => Err(refused(limit)),
            _ => Err(Status::EsmeRsyserr),
        };
        if let Err(status) = done {
            self.refuse(command, sequence, status, out);
            out.done(admission);
        }
    }

    /// Does what was asked: stores the messages and answers, or asks another service to submit them.
    fn take_in(
        &mut self,
        smpp: &Smpp,
        frame: &Frame<'_>,
        admission: Token,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Status> {
        // We may have said goodbye meanwhile; what came before that is still taken.
        let (Stage::Bound { login, .. } | Stage::Unbinding { login, .. }) = &self.stage else {
            return Err(Status::EsmeRinvbndsts);
        };
        let body = decode(frame).ok_or(Status::EsmeRinvcmdlen)?;
        let id = format!("{:08x}{:016x}", seconds(out.now()), out.random());
        let submission = submit(&body, id, &login.system_id, &smpp.config.smsc, out.now())?;
        // Those that were admitted before it count.
        if submission.messages.iter().any(Message::may_owe) && self.queue.is_full(smpp, &login.system_id) {
            return Err(Status::EsmeRmsgqful);
        }
        if let Some(service) = &smpp.config.submit_to {
            self.hand_over(smpp, service, (frame.sequence, admission), submission, out);
            return Ok(());
        }
        let owed = submission.messages.iter().filter(|message| message.receipt_for.is_some()).count();
        count(&login.system_id, i64::try_from(owed).expect("at most 254"), &mut self.queue, out);
        for message in submission.messages.iter().filter(|message| smpp.config.messages.has(message)) {
            out.put(&MESSAGES, message);
            if message.receipt_for.is_some() && login.receives() {
                let due = Time::from_nanos(message.due_at.cast_unsigned());
                self.look_at = Some(self.look_at.map_or(due, |at| at.min(due)));
            }
        }
        self.respond(&encode(Status::EsmeRok, frame.sequence, &submission.response()), out);
        out.done(admission);
        Ok(())
    }
}

/// What an ESME is told of a limit that refuses a submission.
pub(crate) fn refused(limit: Limit) -> Status {
    match limit {
        Limit::Minute | Limit::Hour | Limit::Day | Limit::Month => Status::EsmeRmsgqful,
        Limit::Sender => Status::EsmeRinvsrcadr,
        // Nothing that it does makes it be taken: not a matter of how fast it submits, nor of this message.
        Limit::Suspended => Status::EsmeRsubmitfail,
        // What passes by itself: the rate, others at the same time, the time of day.
        _ => Status::EsmeRthrottled,
    }
}

/// As [`refused`], of a limit that another service has found.
pub(crate) fn refused_there(submitted: &Submitted) -> Option<Status> {
    Limit::of_word(&submitted.limit).filter(|_| submitted.status != 0).map(refused)
}
