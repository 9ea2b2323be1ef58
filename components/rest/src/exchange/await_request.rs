//! Awaits a request: reads its head, finds what it asks for, and asks whose secret it brings.

use tandem_component::prelude::*;
use tandem_http1::{RequestHead, Slots};

use super::{Connection, Exchange, Stage};
use crate::Rest;
use crate::credentials::Credentials;
use crate::framing::Framing;
use crate::operation::Operation;
use crate::problem::{At, FieldError, Kind, Problem};
use crate::record::Entry;
use crate::session::{Conversation, Then};
use crate::status::unstored;

impl Connection {
    #[inline(never)] // The room for the fields is on its stack; the other events do without.
    pub(super) fn await_request(&mut self, rest: &Rest, seen: u32, bytes: &[u8], out: &mut Out<'_, Conversation>) {
        let mut slots = Slots::new();
        match RequestHead::read(bytes, &mut slots, &rest.limits) {
            Ok(Some(head)) => self.take_request(rest, &head, out),
            Ok(None) => self.incomplete(rest, seen, bytes, out),
            Err(reason) => self.refuse_unread(rest, &Problem::with_head(reason, &rest.config.limits), out),
        }
    }

    fn incomplete(&mut self, rest: &Rest, seen: u32, bytes: &[u8], out: &mut Out<'_, Conversation>) {
        let blank = tandem_http1::blank_lines(bytes).unwrap_or(0);
        if blank == bytes.len() {
            // Empty lines are no part of a request.
            self.consume(blank, out);
            if self.half_closed {
                return self.close(out);
            }
            if seen > 0 {
                // Half of an empty line was taken for the beginning of a head.
                self.stage = Stage::AwaitRequest { seen: 0 };
                self.due = Some(out.now() + rest.config.timeouts.idle);
            }
            return;
        }
        if self.half_closed {
            return self.refuse_unread(rest, &Kind::Malformed.because("the head is cut off"), out);
        }
        if seen == 0 {
            self.due = Some(out.now() + rest.config.timeouts.head);
        }
        self.stage = Stage::AwaitRequest { seen: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
    }

    /// Refuses a request whose head was not read.
    pub(super) fn refuse_unread(&mut self, rest: &Rest, problem: &Problem, out: &mut Out<'_, Conversation>) {
        let entry = rest.recording.takes(None).then(Box::default);
        self.exchange = Exchange { began: out.now(), untold: true, minor: 1, entry, ..Exchange::default() };
        self.refuse_and_close(rest, problem, out);
    }

    fn take_request(&mut self, rest: &Rest, head: &RequestHead<'_, '_>, out: &mut Out<'_, Conversation>) {
        let span = out.begin_span(Trace::of_fields(head.fields.all("traceparent")));
        self.exchange = Exchange {
            began: out.now(),
            untold: true,
            minor: head.minor,
            head_only: head.method == "HEAD",
            keep: head.connection.persists(head.minor),
            expects: head.expects_continue,
            span: Some(span),
            entry: rest.recording.takes(Some(span)).then(|| Box::new(Entry::new(head))),
            ..Exchange::default()
        };
        self.consume(head.length, out);
        let target = match head.target() {
            Ok(target) => target,
            Err(reason) => {
                return self.refuse_and_close(rest, &Problem::with_head(reason, &rest.config.limits), out);
            }
        };
        target.path.clone_into(&mut self.exchange.path);
        // Before anything else: without it nobody knows where the next request begins.
        match Framing::of(head.body, rest.config.limits.body_bytes) {
            Ok(body) => self.exchange.body = body,
            Err(reason) => {
                return self.refuse_and_close(rest, &Problem::with_body(reason, &rest.config.limits), out);
            }
        }
        match self.examine(rest, head, &target) {
            Ok(Some(credentials)) => {
                self.stage = Stage::Authenticate;
                self.exchange.claimed = credentials.account.chars().take(CLAIMED_MAX).collect();
                // The host answers, and says itself when it cannot.
                self.due = None;
                out.authenticate(&credentials.account, &credentials.secret, Then::Authenticated);
            }
            Ok(None) => self.perform(rest, out),
            Err(problem) => self.refuse(rest, &problem, out),
        }
    }

    /// What the head asks for, and who it says that asks: nobody, where that is for anybody.
    fn examine(
        &mut self,
        rest: &Rest,
        head: &RequestHead<'_, '_>,
        target: &tandem_http1::Target<'_>,
    ) -> Result<Option<Credentials>, Problem> {
        let found = Operation::find(head.method, target, rest.config.events.wait_max.as_secs());
        if matches!(&found, Err(problem) if matches!(problem.kind, Kind::NoPath | Kind::OtherMethods)) {
            return Err(found.expect_err("it was looked at just now"));
        }
        let is_public = matches!(&found, Ok(operation) if operation.is_public());
        let credentials = match head.fields.find("authorization") {
            _ if is_public => None,
            Some(_) if head.fields.all("authorization").count() > 1 => {
                return Err(Kind::Malformed.because("more than one Authorization"));
            }
            Some(value) => Some(Credentials::read(value).ok_or_else(|| Kind::Unauthenticated.because(FORMS))?),
            None => return Err(Kind::Unauthenticated.because("there is no Authorization")),
        };
        let operation = found?;
        if head.fields.find("expect").is_some_and(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
            return Err(Kind::Expectation.because("100-continue is all that can be expected"));
        }
        if !accepts_json(head) {
            return Err(Kind::NotAcceptable.because("application/json, and application/problem+json"));
        }
        if operation == Operation::Submit {
            check_media(head)?;
            self.exchange.key = key(head)?;
        }
        self.exchange.operation = Some(operation);
        Ok(credentials)
    }

    /// Whose secret it is.
    pub(super) fn authenticated(&mut self, rest: &Rest, answer: Answer<'_>, out: &mut Out<'_, Conversation>) {
        if !matches!(self.stage, Stage::Authenticate) {
            return;
        }
        match answer {
            Answer::Authenticated(Some(account)) => {
                account.name().clone_into(&mut self.exchange.account);
                match self.exchange.operation {
                    Some(Operation::Submit) => self.begin_body(rest, out),
                    _ => self.perform(rest, out),
                }
            }
            // For an account that there is not as well: who guesses shall not learn which names exist.
            Answer::Authenticated(None) => {
                let name = self.exchange.claimed.escape_debug();
                let words = format!("there is no account `{name}` here, or its secret is another: {ASK}");
                self.refuse(rest, &Kind::Unauthenticated.because(words), out);
            }
            // Who has said its secret may know.
            Answer::Suspended(account) => {
                let name = account.name().escape_debug();
                let words = format!("the account `{name}` may use nothing until it is resumed: {ASK}");
                self.refuse(rest, &Kind::Suspended.because(words), out);
            }
            // Nobody has looked whether this secret is right.
            Answer::PutOff { until } => {
                let seconds = until.since(out.now()).as_secs_f64().ceil().max(1.0) as u64;
                let name = self.exchange.claimed.escape_debug();
                let words =
                    format!("of the account `{name}`, or from this address: the next is looked at in {seconds} s");
                self.refuse(rest, &Kind::PutOff.because(words).after(seconds), out);
            }
            _ => self.refuse(rest, &unstored(), out),
        }
    }
}

/// Whether an answer in JSON will do.
fn accepts_json(head: &RequestHead<'_, '_>) -> bool {
    let mut said = false;
    for value in head.fields.all("accept") {
        for range in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|range| !range.is_empty()) {
            said = true;
            let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let media = parts.next().unwrap_or_default();
            let none = |part: &[u8]| {
                let value = part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q="));
                value.is_some_and(|value| value.iter().all(|byte| matches!(byte, b'0' | b'.')))
            };
            let ours: [&[u8]; 4] = [b"*/*", b"application/*", b"application/json", b"application/problem+json"];
            if ours.iter().any(|one| media.eq_ignore_ascii_case(one)) && !parts.any(none) {
                return true;
            }
        }
    }
    !said
}

/// Whether the body is said to be JSON, as it is.
fn check_media(head: &RequestHead<'_, '_>) -> Result<(), Problem> {
    let media = head.fields.find("content-type").unwrap_or_default();
    let media = media.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if !media.eq_ignore_ascii_case(b"application/json") {
        return Err(Kind::NotMedia.because("Content-Type: application/json"));
    }
    match head.fields.find("content-encoding") {
        Some(coding) if !coding.eq_ignore_ascii_case(b"identity") => Err(Kind::NotMedia.because("no Content-Encoding")),
        _ => Ok(()),
    }
}

/// `Idempotency-Key`: a text, or, as the draft of the IETF has it, one in quotation marks.
fn key(head: &RequestHead<'_, '_>) -> Result<Option<String>, Problem> {
    let Some(value) = head.fields.find("idempotency-key") else { return Ok(None) };
    let wrong = |why: &str| {
        let error = FieldError { at: At::Header("Idempotency-Key"), detail: why.to_owned() };
        Problem::invalid(vec![error])
    };
    if head.fields.all("idempotency-key").count() > 1 {
        return Err(wrong("more than one Idempotency-Key"));
    }
    let text = std::str::from_utf8(value).map_err(|_| wrong(KEYS))?;
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let may = |byte: u8| matches!(byte, b'!' | b'#'..=b'~') || byte == b' ' && quoted.is_some();
    let text = quoted.unwrap_or(text);
    if !(1..=KEY_MAX).contains(&text.len()) || !text.bytes().all(may) {
        return Err(wrong(KEYS));
    }
    Ok(Some(text.to_owned()))
}

/// The way out of what only an operator can change.
const ASK: &str = "ask who runs the gateway";
/// As much of a name is said again that may be none.
const CLAIMED_MAX: usize = 64;
const FORMS: &str = "Authorization is Basic, or Bearer with account:secret in base64url";
const KEYS: &str = "Idempotency-Key is 1 to 255 printable characters of ASCII, without quotation marks but around it, and with spaces only between them";
/// The longest `Idempotency-Key`.
const KEY_MAX: usize = 255;
