//! Delivery receipts: `deliver_sm` (4.6) with the text of appendix B and the TLVs of section 5.3.2.
//!
//! A receipt is owed until it is acknowledged: its row says to whom. A session that can receive claims it by
//! compare-and-set before it sends it, so no two sessions of an account send the same; a claim runs out, so that a session
//! that is gone keeps none from being sent.

use rusmpp_core::pdus::owned::{DeliverSm, Pdu};
use rusmpp_core::tlvs::owned::MessageDeliveryRequestTlvValue as Tlv;
use rusmpp_core::types::owned::OctetString;
use rusmpp_core::values::{EsmClass, MessageState};
use tandem_component::prelude::*;

use crate::Smpp;
use crate::date::minute;
use crate::message::{MESSAGES, Message, State, nanos};
use crate::pdu::{Status, encode, field};
use crate::session::{Bind, Stage, Then};
use crate::window::Request;

/// A receipt that is to be sent once it is claimed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Receipt {
    id: String,
    message_id: String,
    source_ton: u8,
    source_npi: u8,
    source: String,
    destination_ton: u8,
    destination_npi: u8,
    destination: String,
    submitted_at: i64,
    done_at: i64,
    state: State,
    /// The first 20 characters of the message.
    text: String,
}

/// A receipt that no other session has claimed, of a message that was not cancelled since.
#[derive(Serialize)]
struct Unclaimed<'a> {
    id: &'a str,
    state: State,
    receipt_for: &'a str,
    claimed_until: i64,
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

impl Receipt {
    fn of(message: &Message, state: State) -> Self {
        let text = message.short_message.iter().take(20);
        Receipt {
            id: message.id.clone(),
            message_id: message.message_id.clone(),
            source_ton: message.source_ton,
            source_npi: message.source_npi,
            source: message.source.clone(),
            destination_ton: message.destination_ton,
            destination_npi: message.destination_npi,
            destination: message.destination.clone(),
            submitted_at: message.submitted_at,
            done_at: message.due_at,
            state,
            text: text.map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' }).collect(),
        }
    }

    /// The text of appendix B.
    fn text(&self) -> String {
        let (delivered, error) =
            (u8::from(self.state == State::Delivered), if self.state == State::Delivered { 0 } else { 1 });
        format!(
            "id:{} sub:001 dlvrd:{delivered:03} submit date:{} done date:{} stat:{} err:{error:03} text:{}",
            self.message_id,
            minute(self.submitted_at),
            minute(self.done_at),
            self.state.word(),
            self.text
        )
    }

    /// As it is sent: from the message's destination to its source.
    fn pdu(&self) -> Pdu {
        let mut pdu = DeliverSm::default();
        (pdu.source_addr_ton, pdu.source_addr_npi) = (self.destination_ton.into(), self.destination_npi.into());
        pdu.source_addr = field(&self.destination);
        (pdu.dest_addr_ton, pdu.dest_addr_npi) = (self.source_ton.into(), self.source_npi.into());
        pdu.destination_addr = field(&self.source);
        pdu.esm_class = EsmClass::from(RECEIPT);
        pdu.set_short_message(OctetString::from_vec(self.text().into_bytes()).unwrap_or_else(|_| OctetString::empty()));
        pdu.push_tlv(Tlv::ReceiptedMessageId(field(&self.message_id)));
        pdu.push_tlv(Tlv::MessageState(MessageState::from(self.state as u8)));
        pdu.into()
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
                let receipt = Receipt::of(&message, state);
                out.swap(&MESSAGES, &expected, &Claim { claimed_until }, Then::Claimed { receipt });
                self.claims += 1;
            }
        }
        self.look_at = Some(self.look_at.map_or(next, |at| at.min(next)));
        Ok(())
    }

    /// A claim was made, or another session was faster.
    pub(crate) fn claimed(&mut self, receipt: &Receipt, answer: Answer<'_>, failed: bool, out: &mut Out<'_, Bind>) {
        self.claims = self.claims.saturating_sub(1);
        if answer != Answer::Changed(true) {
            return;
        }
        if !matches!(self.stage, Stage::Bound { .. }) {
            if !failed {
                release(&receipt.id, out);
            }
            return;
        }
        let sequence = self.window.ask(Request::Receipt { id: receipt.id.clone() }, out.now());
        out.send(Stream::OWN, &encode(Status::EsmeRok, sequence, &receipt.pdu()));
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
