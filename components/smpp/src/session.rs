//! One connection: [`Bind`], from the first byte to the goodbye, on either side of it.

use std::collections::VecDeque;

use tandem_component::prelude::*;

use crate::Smpp;
use crate::admitting::Admissions;
use crate::bind::{Login, RENEWAL, is_bind};
use crate::config::Mode;
use crate::frame::{self, Frame, NoFrame};
use crate::hand_over::HandOvers;
use crate::message::Message;
use crate::outdated::look_for_outdated;
use crate::pdu::{self, Status, decode, header};
use crate::queue::Queue;
use crate::receipt::release;
use crate::record::Requests;
use crate::submit::submit;
use crate::submitting::{Waiting, lose};
use crate::then::Then;
use crate::window::{Asked, Request, Window};

/// One connection, of an ESME to us or of ours to an SMSC. Who binds decides which, not who has connected (section 2.2.1).
#[derive(Serialize, Deserialize)]
pub struct Bind {
    pub(crate) stage: Stage,
    pub(crate) window: Window,
    /// The peer's requests that wait for an admission, the store or another service.
    pub(crate) pending: u32,
    /// What the last event wrote was not stored.
    store_failed: bool,
    /// When the peer's last PDU came, and its last that was no `enquire_link`.
    pub(crate) heard: Time,
    pub(crate) transacted: Time,
    /// When receipts are looked for next, and whether they are now.
    pub(crate) look_at: Option<Time>,
    pub(crate) looking: bool,
    /// There are more receipts than the window takes.
    pub(crate) more: bool,
    /// Receipts that are being claimed.
    pub(crate) claims: u32,
    /// Acknowledged receipts that are not written down yet.
    pub(crate) unsettled: Vec<String>,
    /// Messages for the SMSC that wait for the window.
    #[serde(default)]
    pub(crate) waiting: VecDeque<Waiting>,
    /// An ESME's submissions that wait for their admission.
    #[serde(default)]
    pub(crate) admissions: Admissions,
    /// An ESME's submissions that another service has.
    #[serde(default)]
    pub(crate) hand_overs: HandOvers,
    /// How much is kept for the account.
    #[serde(default)]
    pub(crate) queue: Queue,
    /// What the peer has asked, for its records.
    #[serde(default)]
    pub(crate) requests: Requests,
    alarm: Alarm,
}

/// How far it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Awaits a bind.
    Unbound { since: Time },
    /// Awaits whose password it is, then whether the account may have another session, what the store knows of its other binds,
    /// and one of its leases. Nothing is read meanwhile.
    Binding {
        sequence: u32,
        login: Login,
        #[serde(default)]
        tries: u32,
    },
    /// Awaits requests.
    Bound { login: Login, renew_at: Time },
    /// Awaits the response to our `unbind`.
    Unbinding { login: Login, until: Time },
    /// We have connected to an ESME, and have not asked it to bind yet.
    Inviting { since: Time },
    /// An SMSC has asked us to bind. Awaits whether it is one that may; nothing is read meanwhile.
    Invited,
    /// Awaits the SMSC's response to our bind.
    Joining { mode: Mode },
    /// Bound to an SMSC. Awaits requests of both sides.
    Joined { mode: Mode },
    /// Awaits the SMSC's response to our `unbind`.
    Parting { until: Time },
    /// There is no connection: awaits the request that it was opened for.
    Called,
    /// Awaits nothing.
    Over,
}

impl Session for Bind {
    type Component = Smpp;
    type Then = Then;

    fn handle(&mut self, smpp: &Smpp, event: Event<'_, Then>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        if let Event::StoreFailed { .. } = event {
            self.store_failed = true;
            return Ok(());
        }
        let failed = std::mem::take(&mut self.store_failed);
        self.requests.recording = smpp.recording;
        match event {
            Event::Bytes { bytes, .. } => self.read(smpp, bytes, failed, out),
            Event::Answer { then, answer } => match then {
                Then::Alarm => {}
                Then::Authenticated => self.authenticated(smpp, answer, out),
                Then::BindAdmitted => self.bind_admitted(answer, out),
                Then::Admitted { key } => self.admitted(smpp, key, answer, failed, out),
                Then::Leased => self.leased(smpp, answer, failed, out),
                Then::Renewed => self.renewed(smpp, answer, out),
                Then::GivenBack => {}
                Then::OtherBinds => self.other_binds(smpp, answer, failed, out)?,
                Then::Owed => self.owed(smpp, answer, failed, out)?,
                Then::Claimed { message } => self.claimed(&message, answer, failed, out),
                Then::Recalled { sequence, source, recall } => {
                    self.recalled(smpp, (sequence, &source, recall), answer, failed, out)?;
                }
                Then::AskedAfter { question } => self.asked_after(*question, answer, failed, out)?,
                Then::Changed { sequence, command, owed } => {
                    self.changed((sequence, command, owed), answer, failed, out)?
                }
                Then::CancelAll { sequence, source, service_type } => {
                    self.cancel_all((sequence, &source, &service_type), answer, failed, out)?;
                }
                Then::Invited => self.invited(smpp, answer, failed, out),
                Then::HandedOver { key, n } => self.handed_over(smpp, (key, n), answer, failed, out),
                Then::Known { delivery } => self.known(delivery, answer, out)?,
                Then::Reported { delivery } => self.reported(&delivery, answer, failed, out)?,
                Then::WrittenDown { asked, owed } => self.written_down(asked, owed, answer, failed, out),
                Then::Kept => self.kept(answer)?,
                Then::Outdated => self.outdated(smpp, answer, failed, out)?,
                Then::Room { asked, message } => self.room_for(smpp, asked, &message, answer, failed, out)?,
                Then::LookAgain { .. } => {}
                Then::HandedOn { sequence, command } => self.handed_on((sequence, command), answer, out),
            },
            Event::Opened => self.opened(smpp, out),
            Event::Request { id, request } => match self.stage {
                Stage::Called => self.called(smpp, id, &request, out),
                _ => self.asked(smpp, id, &request, out),
            },
            Event::Withdrawn { id } => self.withdrawn(id),
            Event::Timeout { then: Then::LookAgain { delivery } } => self.look_for(delivery, out),
            Event::Timeout { .. } => {
                self.alarm.fired();
                self.wait_no_longer(smpp, failed, out);
            }
            Event::Drain { until } => match self.stage {
                Stage::Bound { .. } | Stage::Joined { .. } => {
                    self.unbind(until.min(out.now() + smpp.config.timers.response), out);
                }
                Stage::Unbinding { .. } | Stage::Parting { .. } => {}
                // It has a request to answer, and ends with that.
                Stage::Called => {}
                _ => self.leave(failed, out),
            },
            Event::End { .. } => self.leave(failed, out),
            Event::Closed { stream: Stream::OWN } => self.forget(failed, out),
            _ => {}
        }
        self.alarm.arm(self.due(smpp), Then::Alarm, out);
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        let asking = matches!(self.stage, Stage::Binding { .. } | Stage::Invited);
        self.pending == 0 && self.window.oldest().is_none() && !asking
    }

    fn last_words(&mut self, _: &Smpp, out: &mut Out<'_, Self>) {
        out.send(Stream::OWN, &header(pdu::GENERIC_NACK, Status::EsmeRsyserr, 0));
    }
}

impl Bind {
    /// A connection that was just established.
    pub(crate) fn new(stage: Stage, since: Time) -> Self {
        Bind {
            stage,
            window: Window::default(),
            pending: 0,
            store_failed: false,
            heard: since,
            transacted: since,
            look_at: None,
            looking: false,
            more: false,
            claims: 0,
            unsettled: Vec::new(),
            waiting: VecDeque::new(),
            admissions: Admissions::default(),
            hand_overs: HandOvers::default(),
            queue: Queue::default(),
            requests: Requests::default(),
            alarm: Alarm::default(),
        }
    }

    /// The bind was accepted.
    pub(crate) fn bound(&mut self, login: Login, out: &mut Out<'_, Self>) {
        self.stage = Stage::Bound { login, renew_at: out.now() + RENEWAL };
        (self.heard, self.transacted) = (out.now(), out.now());
    }

    /// Takes all whole PDUs. What they write is one transaction, which cannot be stored where it has `failed`.
    fn read(&mut self, smpp: &Smpp, bytes: &[u8], failed: bool, out: &mut Out<'_, Self>) {
        let mut rest = bytes;
        while !rest.is_empty() && !matches!(self.stage, Stage::Binding { .. } | Stage::Invited | Stage::Over) {
            match frame::next(rest, smpp.config.pdu_bytes_max) {
                // A goodbye waits until all is answered that came before it.
                Ok(frame) if frame.id == pdu::UNBIND && self.pending > 0 => break,
                Ok(frame) => {
                    rest = &rest[frame.length()..];
                    self.take(smpp, &frame, failed, out);
                }
                Err(NoFrame::Incomplete) => break,
                Err(NoFrame::Length(length)) => {
                    tracing::warn!(length, "command_length is out of range");
                    out.send(Stream::OWN, &header(pdu::GENERIC_NACK, Status::EsmeRinvcmdlen, 0));
                    self.leave(failed, out);
                }
            }
        }
        let consumed = bytes.len() - rest.len();
        if consumed > 0 {
            out.consume(consumed);
        }
    }

    fn take(&mut self, smpp: &Smpp, frame: &Frame<'_>, failed: bool, out: &mut Out<'_, Self>) {
        self.heard = out.now();
        if frame.id & pdu::RESPONSE != 0 {
            return self.response(smpp, frame, failed, out);
        }
        if frame.id != pdu::ENQUIRE_LINK {
            self.transacted = out.now();
        }
        self.requests.note(frame, out.now());
        match frame.id {
            id if is_bind(id) => self.bind(smpp, frame, out),
            pdu::ENQUIRE_LINK | pdu::UNBIND if !frame.body.is_empty() => {
                self.refuse(frame.id, frame.sequence, Status::EsmeRinvcmdlen, out);
            }
            pdu::ENQUIRE_LINK => self.refuse(frame.id, frame.sequence, Status::EsmeRok, out),
            pdu::UNBIND => match self.stage {
                Stage::Bound { .. } | Stage::Unbinding { .. } | Stage::Joined { .. } | Stage::Parting { .. } => {
                    self.refuse(frame.id, frame.sequence, Status::EsmeRok, out);
                    self.leave(failed, out);
                }
                _ => self.refuse(frame.id, frame.sequence, Status::EsmeRinvbndsts, out),
            },
            pdu::OUTBIND => self.outbind(smpp, frame, failed, out),
            pdu::DELIVER_SM | pdu::DATA_SM if self.is_esme() => {
                if let Err(status) = self.deliver(smpp, frame, out) {
                    self.acknowledge(frame.id, frame.sequence, status.into(), out);
                }
            }
            // It has no response (section 4.12), and nobody who could be told.
            pdu::ALERT_NOTIFICATION if self.is_esme() => tracing::info!("alert_notification"),
            pdu::SUBMIT_SM | pdu::SUBMIT_MULTI | pdu::DATA_SM | pdu::QUERY_SM | pdu::CANCEL_SM | pdu::REPLACE_SM => {
                if let Err(status) = self.request(smpp, frame, failed, out) {
                    self.refuse(frame.id, frame.sequence, status, out);
                }
            }
            _ => self.respond(&header(pdu::GENERIC_NACK, Status::EsmeRinvcmdid, frame.sequence), out),
        }
    }

    /// What only a bound transmitter may ask.
    fn request(&mut self, smpp: &Smpp, frame: &Frame<'_>, failed: bool, out: &mut Out<'_, Self>) -> Result<(), Status> {
        let login = match &self.stage {
            Stage::Bound { login, .. } if login.transmits() => login,
            _ => return Err(Status::EsmeRinvbndsts),
        };
        let window = smpp.config.account(&login.system_id).window.unwrap_or(smpp.config.window.submit);
        if self.pending >= window {
            return Err(Status::EsmeRthrottled);
        }
        let body = decode(frame).ok_or(Status::EsmeRinvcmdlen)?;
        if matches!(frame.id, pdu::QUERY_SM | pdu::CANCEL_SM | pdu::REPLACE_SM) {
            return self.recall(body, frame.sequence, out);
        }
        if failed {
            return Err(Status::EsmeRsyserr);
        }
        let submission = submit(&body, String::new(), &login.system_id, &smpp.config.smsc, out.now())?;
        if submission.messages.iter().any(Message::may_owe) && !self.queue.has_room(smpp, &login.system_id, out) {
            return Err(Status::EsmeRmsgqful);
        }
        if !self.has_room_for(smpp, submission.messages.len()) {
            return Err(Status::EsmeRthrottled);
        }
        self.admit(frame, &submission, out);
        Ok(())
    }

    /// The peer has answered. A response that nobody waits for is passed over.
    fn response(&mut self, smpp: &Smpp, frame: &Frame<'_>, failed: bool, out: &mut Out<'_, Self>) {
        let Some(Asked { what, at, bytes }) = self.window.answered(frame.sequence, frame.id) else {
            return tracing::debug!(sequence = frame.sequence, "a response to no request");
        };
        if !matches!(what, Request::EnquireLink) {
            self.transacted = out.now();
            self.answered(&what, (at, bytes), frame, out);
        }
        match what {
            // A peer that does not know deliver_sm says so in a status that is none of success.
            Request::Receipt { id } => self.acknowledged(smpp, id, frame.status, failed, out),
            Request::Unbind => self.leave(failed, out),
            Request::EnquireLink => {}
            Request::Bind { .. } => self.bind_answered(frame, failed, out),
            Request::Submit { asked, .. } => self.submitted(smpp, asked, frame, out),
        }
    }

    /// Some deadline has come.
    fn wait_no_longer(&mut self, smpp: &Smpp, failed: bool, out: &mut Out<'_, Self>) {
        let (now, timers) = (out.now(), &smpp.config.timers);
        if self.due(smpp).is_none_or(|due| due > now) {
            return;
        }
        self.give_up(smpp, out);
        let late = self.window.oldest().is_some_and(|at| at + timers.response <= now);
        match &mut self.stage {
            Stage::Unbound { .. } => self.leave(failed, out),
            Stage::Unbinding { until, .. } | Stage::Parting { until } if *until <= now || late => {
                self.leave(failed, out)
            }
            Stage::Joining { .. } if late => {
                tracing::warn!("the SMSC does not answer our bind");
                self.leave(failed, out);
            }
            Stage::Bound { .. } | Stage::Joined { .. } if late => {
                tracing::warn!("no response in time");
                let sequence = self.window.ask(Request::Unbind, now);
                out.send(Stream::OWN, &header(pdu::UNBIND, Status::EsmeRok, sequence));
                self.leave(failed, out);
            }
            Stage::Joined { .. } => self.keep_alive(smpp, out),
            Stage::Bound { login, renew_at } => {
                if *renew_at <= now {
                    *renew_at = now + RENEWAL;
                    if !failed {
                        login.renew(out);
                    }
                    look_for_outdated(smpp, out);
                }
                self.keep_alive(smpp, out);
                if self.look_at.is_some_and(|at| at <= now) && matches!(self.stage, Stage::Bound { .. }) {
                    if !failed {
                        self.settle(out);
                    }
                    self.look_at = Some(now + timers.receipts);
                    self.look(smpp, out);
                }
            }
            _ => {}
        }
    }

    /// Asks a peer that is silent whether it is there, and says goodbye to one that does nothing (section 7.2).
    fn keep_alive(&mut self, smpp: &Smpp, out: &mut Out<'_, Self>) {
        let (now, timers) = (out.now(), &smpp.config.timers);
        if timers.inactivity.is_some_and(|span| self.transacted + span <= now) {
            return self.unbind(now + timers.response, out);
        }
        if self.heard + timers.enquire_link <= now && !self.window.enquires() {
            let sequence = self.window.ask(Request::EnquireLink, now);
            out.send(Stream::OWN, &header(pdu::ENQUIRE_LINK, Status::EsmeRok, sequence));
        }
    }

    /// The next deadline.
    fn due(&self, smpp: &Smpp) -> Option<Time> {
        let timers = &smpp.config.timers;
        let response = self.window.oldest().map(|at| at + timers.response);
        let enquire = (!self.window.enquires()).then(|| self.heard + timers.enquire_link);
        let inactive = timers.inactivity.map(|span| self.transacted + span);
        match &self.stage {
            Stage::Unbound { since } | Stage::Inviting { since } => Some(*since + timers.bind),
            Stage::Bound { renew_at, .. } => {
                [Some(*renew_at), response, enquire, inactive, self.look_at].into_iter().flatten().min()
            }
            Stage::Joining { .. } => response,
            Stage::Joined { .. } => [response, enquire, inactive].into_iter().flatten().min(),
            Stage::Unbinding { until, .. } | Stage::Parting { until } => {
                Some(response.map_or(*until, |at| at.min(*until)))
            }
            Stage::Binding { .. } | Stage::Invited | Stage::Called | Stage::Over => None,
        }
    }

    /// Whether we are the ESME of this connection.
    pub(crate) fn is_esme(&self) -> bool {
        matches!(self.stage, Stage::Joining { .. } | Stage::Joined { .. } | Stage::Parting { .. })
    }

    /// Says goodbye, and waits for the answer.
    pub(crate) fn unbind(&mut self, until: Time, out: &mut Out<'_, Self>) {
        self.stage = match &self.stage {
            Stage::Bound { login, .. } => Stage::Unbinding { login: login.clone(), until },
            Stage::Joined { .. } => {
                out.serve(false);
                self.submit_no_more(out);
                Stage::Parting { until }
            }
            _ => return,
        };
        let sequence = self.window.ask(Request::Unbind, out.now());
        out.send(Stream::OWN, &header(pdu::UNBIND, Status::EsmeRok, sequence));
    }

    /// Closes the connection.
    pub(crate) fn leave(&mut self, failed: bool, out: &mut Out<'_, Self>) {
        self.forget(failed, out);
        out.close(Stream::OWN);
    }

    /// The bind is no more: what it held is free for others. Where that cannot be stored, it runs out.
    fn forget(&mut self, failed: bool, out: &mut Out<'_, Self>) {
        if !failed {
            self.settle(out);
        }
        self.abandon_requests(out);
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        if let Stage::Bound { login, .. } | Stage::Unbinding { login, .. } | Stage::Binding { login, .. } = &stage {
            login.give_back(out);
        }
        match stage {
            Stage::Bound { login, .. } | Stage::Unbinding { login, .. } if !failed => {
                self.window.receipts().for_each(|id| release(id, out));
                login.end(out);
            }
            // It may have asked for a lease already.
            Stage::Binding { login, .. } if !failed => login.end(out),
            _ => {}
        }
        self.admissions.give_back(out);
        self.hand_overs.give_back(out);
        // Whether the SMSC has what it has not answered, nobody knows.
        self.submit_no_more(out);
        self.window.take_submits(|_| true).iter().for_each(|asked| lose(asked, out));
        self.window = Window::default();
    }

    /// A response without a body: an error, or the success of what has none.
    pub(crate) fn refuse(&mut self, command: u32, sequence: u32, status: Status, out: &mut Out<'_, Self>) {
        self.respond(&header(command | pdu::RESPONSE, status, sequence), out);
    }
}
