//! The record of each request and its response, in both directions, but for `enquire_link`.

use std::collections::BTreeMap;

use tandem_component::prelude::*;

use crate::frame::{Frame, HEADER};
use crate::pdu::{self, RESPONSE, Status};
use crate::session::{Bind, Stage};
use crate::window::{Asked, Request};

/// The peer's requests that have no response yet. Those with one sequence number have one record.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Requests {
    open: BTreeMap<u32, Noted>,
    /// Which records are wanted.
    #[serde(skip)]
    pub(crate) recording: Recording,
}

#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    command: u32,
    at: Time,
    bytes: u64,
    about: About,
    #[serde(default)]
    trace: Option<Trace>,
}

/// For whom another service has asked for a request of ours, and what that is a part of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Behalf {
    pub(crate) account: String,
    pub(crate) trace: Trace,
}

/// The message that a request is about.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) message_id: String,
    pub(crate) state: String,
}

/// What the protocol has to say of an exchange.
#[derive(Serialize)]
struct Fields<'a> {
    /// The request: `submit_sm`.
    event: &'a str,
    /// Whose it was: `peer`, or `us`.
    asked_by: &'a str,
    /// `command_status`; nothing where there was no response.
    status: Option<u32>,
    #[serde(flatten)]
    about: &'a About,
}

impl Requests {
    /// A request has come.
    pub(crate) fn note(&mut self, frame: &Frame<'_>, at: Time) {
        if !matches!(frame.id, pdu::ENQUIRE_LINK | pdu::OUTBIND | pdu::ALERT_NOTIFICATION) {
            let bytes = frame.length() as u64;
            self.open
                .insert(frame.sequence, Noted { command: frame.id, at, bytes, about: About::default(), trace: None });
        }
    }

    /// What it is about.
    pub(crate) fn is_about(&mut self, sequence: u32, about: impl FnOnce() -> About) {
        if self.recording != Recording::None
            && let Some(noted) = self.open.get_mut(&sequence)
        {
            noted.about = about();
        }
    }

    /// What it begins.
    pub(crate) fn begins(&mut self, sequence: u32, trace: Trace) {
        if self.recording != Recording::None
            && let Some(noted) = self.open.get_mut(&sequence)
        {
            noted.trace = Some(trace);
        }
    }
}

impl Bind {
    /// Sends a response to the peer, as whole bytes, and writes the record of the exchange.
    pub(crate) fn respond(&mut self, response: &[u8], out: &mut Out<'_, Bind>) {
        out.send(Stream::OWN, response);
        let [status, sequence] = [8, 12].map(|at| number(response, at));
        let Some(mut noted) = self.requests.open.remove(&sequence) else { return };
        if self.requests.recording == Recording::None {
            return out.ended(outcome(status), out.now().since(noted.at));
        }
        if matches!(noted.command, pdu::SUBMIT_SM | pdu::SUBMIT_MULTI | pdu::DATA_SM) && !self.is_esme() {
            noted.about.message_id = named(&response[HEADER..]);
        }
        let span = noted.trace.map(Span::from);
        let bytes_out = response.len() as u64;
        let record = Record { bytes_in: noted.bytes, bytes_out, span, ..Record::of(outcome(status)) };
        self.write(record, noted.at, ("peer", noted.command), Some(status), &noted.about, out);
    }

    /// The peer has answered a request of ours, of so many bytes.
    pub(crate) fn answered(
        &self,
        request: &Request,
        (at, bytes): (Time, u64),
        frame: &Frame<'_>,
        out: &mut Out<'_, Bind>,
    ) {
        if self.requests.recording == Recording::None {
            return out.ended(outcome(frame.status), out.now().since(at));
        }
        let message_id = match request {
            Request::Receipt { id } => id.clone(),
            Request::Submit { .. } if frame.status == 0 => named(frame.body),
            _ => String::new(),
        };
        let bytes_in = frame.length() as u64;
        let record = Record { bytes_in, bytes_out: bytes, ..Record::of(outcome(frame.status)) };
        let record = request.behalf().map_or(record, |behalf| behalf.of(record, out));
        let about = About { message_id, ..About::default() };
        self.write(record, at, ("us", request.command()), Some(frame.status), &about, out);
    }

    /// Nobody answers these requests of ours.
    pub(crate) fn unanswered<'a>(&self, asked: impl Iterator<Item = &'a Asked>, out: &mut Out<'_, Bind>) {
        for Asked { what, at, bytes } in asked.filter(|asked| !matches!(asked.what, Request::EnquireLink)) {
            let record = Record { bytes_out: *bytes, ..Record::of(Outcome::Failed) };
            let record = what.behalf().map_or(record, |behalf| behalf.of(record, out));
            self.write(record, *at, ("us", what.command()), None, &About::default(), out);
        }
    }

    /// The peer has gone: what it has asked it will not hear the answer to, and what we have asked nobody answers.
    pub(crate) fn abandon_requests(&mut self, out: &mut Out<'_, Bind>) {
        self.unanswered(self.window.open(), out);
        for noted in std::mem::take(&mut self.requests.open).into_values() {
            let span = noted.trace.map(Span::from);
            let record = Record { bytes_in: noted.bytes, span, ..Record::of(Outcome::Abandoned) };
            self.write(record, noted.at, ("peer", noted.command), None, &noted.about, out);
        }
    }

    fn write(
        &self,
        record: Record<'_>,
        since: Time,
        (asked_by, command): (&str, u32),
        status: Option<u32>,
        about: &About,
        out: &mut Out<'_, Bind>,
    ) {
        if !self.requests.recording.takes(record.span) {
            return out.ended(record.outcome, out.now().since(since));
        }
        let account = match &self.stage {
            Stage::Bound { login, .. } | Stage::Unbinding { login, .. } => &login.system_id,
            // The password was right.
            Stage::Binding { login, .. } if login.is_admitted() => &login.system_id,
            _ => record.account,
        };
        let record = Record { account, duration: out.now().since(since), ..record };
        out.record(record, &Fields { event: word(command), asked_by, status, about });
    }
}

impl Behalf {
    fn of<'a>(&'a self, record: Record<'a>, out: &mut Out<'_, Bind>) -> Record<'a> {
        Record { account: &self.account, span: Some(out.begin_span(Some(self.trace))), ..record }
    }
}

fn outcome(status: u32) -> Outcome {
    match Status::from(status) {
        Status::EsmeRok => Outcome::Done,
        Status::EsmeRsyserr | Status::EsmeRxTAppn => Outcome::Failed,
        _ => Outcome::Refused,
    }
}

/// The `message_id` that a response begins with.
fn named(body: &[u8]) -> String {
    String::from_utf8_lossy(body.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_be_bytes)
}

/// The name of a request (section 5.1.2.1).
fn word(command: u32) -> &'static str {
    match command & !RESPONSE {
        pdu::BIND_RECEIVER => "bind_receiver",
        pdu::BIND_TRANSMITTER => "bind_transmitter",
        pdu::BIND_TRANSCEIVER => "bind_transceiver",
        pdu::UNBIND => "unbind",
        pdu::SUBMIT_SM => "submit_sm",
        pdu::SUBMIT_MULTI => "submit_multi",
        pdu::DELIVER_SM => "deliver_sm",
        pdu::DATA_SM => "data_sm",
        pdu::QUERY_SM => "query_sm",
        pdu::CANCEL_SM => "cancel_sm",
        pdu::REPLACE_SM => "replace_sm",
        _ => "unknown",
    }
}
