//! Delivery receipts: `deliver_sm` (4.6) with the text of appendix B and the TLVs of section 5.3.2. What an SMSC has sent for
//! the account goes the same way.
//!
//! A receipt is owed until it is acknowledged: its row says to whom. A session that can receive claims it by
//! compare-and-set before it sends it, so no two sessions of an account send the same; a claim runs out, so that a session
//! that is gone keeps none from being sent.

use tandem_component::prelude::*;

use crate::Smpp;
use crate::message::{MESSAGES, Message, nanos};
use crate::pdu::{DELIVER_SM, Status, framed};
use crate::queue::count;
use crate::session::{Bind, Stage};
use crate::sms::body;
use crate::then::Then;
use crate::window::Request;
use tandem_sms::Sms;
use tandem_sms::State;
use tandem_sms::date::minute;
use tandem_sms::tlv::{MESSAGE_STATE, RECEIPTED_MESSAGE_ID, USER_MESSAGE_REFERENCE, find, write};

/// A receipt that no other session has claimed, of a message that was not cancelled since.
#[derive(Serialize)]
struct Unclaimed<'a> {
    id: &'a str,
    state: State,
    receipt_for: &'a str,
    claimed_until: i64,
}

#[derive(Serialize)]
struct Last<'a> {
    id: &'a str,
    receipt_for: &'a str,
}

#[derive(Serialize)]
struct Claim {
    claimed_until: i64,
}

#[derive(Serialize)]
struct Released<'a> {
    id: &'a str,
    claimed_until: i64,
}

#[derive(Serialize)]
struct Settled<'a> {
    id: &'a str,
    receipt_for: Option<&'a str>,
    receipt_sent: i64,
}

impl Message {
    /// What the account is owed: the message itself, or its receipt.
    fn owed(&self, now: Time) -> Sms {
        if self.originated { self.sms() } else { self.receipt(self.state_at(now)) }
    }

    /// From the message's destination to its source.
    pub(crate) fn receipt(&self, state: State) -> Sms {
        let mut tlvs = Vec::new();
        write(&mut tlvs, RECEIPTED_MESSAGE_ID, &[self.message_id.as_bytes(), b"\0"].concat());
        write(&mut tlvs, MESSAGE_STATE, &[state as u8]);
        // The ESME's own number comes back, so that it can match receipts that overtake responses (section 5.3.2.17).
        if let Some(reference) = find(&self.tlvs, USER_MESSAGE_REFERENCE) {
            write(&mut tlvs, USER_MESSAGE_REFERENCE, reference);
        }
        let sms = self.sms();
        Sms {
            source: sms.destination,
            destination: sms.source,
            esm_class: RECEIPT,
            short_message: self.receipt_text(state).into_bytes(),
            tlvs,
            ..Sms::default()
        }
    }

    /// The text of appendix B.
    fn receipt_text(&self, state: State) -> String {
        let delivered = state == State::Delivered;
        let error = self.error.as_deref().unwrap_or(if delivered { "000" } else { "001" });
        let text = self.short_message.iter().take(20);
        let text: String = text.map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' }).collect();
        format!(
            "id:{} sub:001 dlvrd:{:03} submit date:{} done date:{} stat:{} err:{error} text:{text}",
            self.message_id,
            u8::from(delivered),
            minute(self.submitted_at),
            minute(self.due_at),
            state.word(),
        )
    }
}

impl Bind {
    /// Looks for receipts that are owed to this account.
    pub(crate) fn look(&mut self, smpp: &Smpp, out: &mut Out<'_, Bind>) {
        let Stage::Bound { login, .. } = &self.stage else { return };
        if !login.receives() || self.looking {
            return;
        }
        if self.room(smpp) == 0 {
            self.more = true;
            return;
        }
        (self.looking, self.more, self.look_at) = (true, false, None);
        out.scan(&Scan::of(&MESSAGES).by("receipt_for").at(&login.system_id).limit(PAGE), Then::Owed);
    }

    /// Receipts are owed: claims as many as the window has room for.
    pub(crate) fn owed(
        &mut self,
        smpp: &Smpp,
        answer: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Bind>,
    ) -> Result<(), Fault> {
        self.looking = false;
        let now = out.now();
        let mut next = now + smpp.config.timers.receipts;
        if let (Answer::Rows(rows), false, Stage::Bound { .. }) = (answer, failed, &self.stage) {
            let rows = rows.read::<Message>()?;
            self.more = rows.len() >= PAGE as usize;
            // Those that are not due yet must not hide others behind them.
            let last = rows.last().filter(|_| self.more).map(|row| (row.id.clone(), row.receipt_for.clone()));
            let claimed_until = nanos(now + smpp.config.timers.response * 2);
            for message in rows {
                let state = message.state_at(now);
                let at = if state == State::Enroute { message.due_at } else { message.claimed_until };
                if at > nanos(now) {
                    next = next.min(Time::from_nanos(at.cast_unsigned()));
                    continue;
                }
                let unsettled = self.unsettled.contains(&message.id);
                let Some(receipt_for) = message.receipt_for.as_deref().filter(|_| !unsettled) else { continue };
                if self.room(smpp) == 0 {
                    self.more = true;
                    break;
                }
                let Message { id, state: stored, claimed_until: before, .. } = &message;
                let expected = Unclaimed { id, state: *stored, receipt_for, claimed_until: *before };
                let then = Then::Claimed { message: Box::new(message.clone()) };
                out.swap(&MESSAGES, &expected, &Claim { claimed_until }, then);
                self.claims += 1;
            }
            if let (Some((id, Some(receipt_for))), 1..) = (last, self.room(smpp)) {
                self.looking = true;
                let after = Last { id: &id, receipt_for: &receipt_for };
                let scan = Scan::of(&MESSAGES).by("receipt_for").at(&receipt_for).after(&after);
                out.scan(&scan.limit(PAGE), Then::Owed);
            }
        }
        self.look_at = Some(self.look_at.map_or(next, |at| at.min(next)));
        Ok(())
    }

    /// A claim was made, or another session was faster.
    pub(crate) fn claimed(&mut self, message: &Message, answer: Answer<'_>, failed: bool, out: &mut Out<'_, Bind>) {
        self.claims = self.claims.saturating_sub(1);
        if answer != Answer::Changed(true) {
            return;
        }
        if !matches!(self.stage, Stage::Bound { .. }) {
            if !failed {
                release(&message.id, out);
            }
            return;
        }
        let body = body(&message.owed(out.now()));
        let sequence = self.window.ask_with(Request::Receipt { id: message.id.clone() }, body.len(), out.now());
        out.send(Stream::OWN, &framed(DELIVER_SM, Status::EsmeRok, sequence, &body));
    }

    /// The peer has answered a receipt.
    pub(crate) fn acknowledged(&mut self, smpp: &Smpp, id: String, status: u32, failed: bool, out: &mut Out<'_, Bind>) {
        match Status::from(status) {
            // The claim stands, so it is sent again once that has run out.
            Status::EsmeRxTAppn | Status::EsmeRthrottled | Status::EsmeRmsgqful | Status::EsmeRsyserr => {}
            status => {
                if status != Status::EsmeRok {
                    tracing::warn!(id, status = u32::from(status), "receipt refused for good");
                }
                self.unsettled.push(id);
                if !failed {
                    self.settle(out);
                }
            }
        }
        if self.more {
            self.look(smpp, out);
        }
    }

    /// Writes down which receipts are owed no more.
    pub(crate) fn settle(&mut self, out: &mut Out<'_, Bind>) {
        let receipt_sent = nanos(out.now());
        if let Stage::Bound { login, .. } | Stage::Unbinding { login, .. } = &self.stage {
            let settled = i64::try_from(self.unsettled.len()).expect("as many as a window has");
            count(&login.system_id, -settled, &mut self.queue, out);
        }
        for id in self.unsettled.drain(..) {
            out.update(&MESSAGES, &Settled { id: &id, receipt_for: None, receipt_sent });
        }
    }

    /// How many receipts the peer's window still takes.
    fn room(&self, smpp: &Smpp) -> usize {
        let taken = self.window.receipts().count() + self.claims as usize;
        (smpp.config.window.deliver as usize).saturating_sub(taken)
    }
}

/// Gives a claim back, so that the receipt can be sent by the next session that looks.
pub(crate) fn release(id: &str, out: &mut Out<'_, Bind>) {
    out.update(&MESSAGES, &Released { id, claimed_until: 0 });
}

/// `esm_class` of a receipt (section 5.2.12).
const RECEIPT: u8 = 0x04;
/// So many owed receipts are looked at in one go.
const PAGE: u32 = 200;
