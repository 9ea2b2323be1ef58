//! `Idempotency-Key`: a request is done once, and its answer is told again to whoever asks the same under the same key.
//!
//! The key is a row of [`KEYS`] before anything is asked of another service; with the answer, once there is one that stays. Who is
//! killed in between leaves a row that is free when its time is over, or with the run of the host: the same is asked again then, and
//! the service behind this interface has each message once, by the same key.

use sha2::{Digest, Sha256};
use tandem_component::prelude::*;

use super::answer::{JSON, Told};
use super::{Connection, Stage};
use crate::Rest;
use crate::message::Draft;
use crate::problem::{At, FieldError, Kind, Problem};
use crate::session::{Conversation, Then};
use crate::status::{RETRY_AFTER, unstored};
use crate::tables::{KEYS, Key, nanos};

/// A message that is not submitted before its key is ours.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reserving {
    draft: Draft,
    row: Key,
}

/// As it was found, or is ours.
#[derive(Serialize)]
struct Held<'a> {
    account: &'a str,
    key: &'a str,
    holder: &'a str,
    until: i64,
}

#[derive(Serialize)]
struct Claim<'a> {
    holder: &'a str,
    until: i64,
}

#[derive(Serialize)]
struct Done<'a> {
    until: i64,
    answer: Option<&'a str>,
    location: &'a str,
}

impl Connection {
    /// Takes the key for a request whose body says this.
    pub(super) fn reserve(
        &mut self,
        rest: &Rest,
        key: &str,
        (draft, said): (Draft, &serde_json::Value),
        out: &mut Out<'_, Conversation>,
    ) {
        // A map of JSON is written in the order of its names, so it is the same request however it was written.
        let request =
            Sha256::digest(said.to_string()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let row = Key {
            account: self.exchange.account.clone(),
            key: key.to_owned(),
            request,
            holder: format!("{:x}-{:016x}", rest.run, out.random()),
            until: nanos(out.now() + rest.config.timeouts.answer + MARGIN),
            kept_at: nanos(out.now()),
            answer: None,
            location: String::new(),
        };
        out.insert(&KEYS, &row, Then::Reserved);
        self.stage = Stage::Reserve(Box::new(Reserving { draft, row }));
    }

    /// Whether it is ours.
    pub(super) fn reserved(&mut self, rest: &Rest, answer: Answer<'_>, failed: bool, out: &mut Out<'_, Conversation>) {
        let Stage::Reserve(reserving) = &self.stage else { return };
        match answer {
            Answer::Changed(true) if !failed => self.go_on(rest, out),
            Answer::Changed(false) if !failed => {
                let name = (reserving.row.account.clone(), reserving.row.key.clone());
                out.get(&KEYS, &name, Then::KeyKnown);
            }
            _ => self.refuse(rest, &unstored(), out),
        }
    }

    /// What is known of a key that was there before.
    pub(super) fn key_known(
        &mut self,
        rest: &Rest,
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Conversation>,
    ) -> Result<(), Fault> {
        let Stage::Reserve(reserving) = &self.stage else { return Ok(()) };
        let ours = &reserving.row;
        let known = match found {
            Answer::Row(Some(row)) if !failed => row.read::<Key>()?,
            // It has gone in between.
            Answer::Row(None) if !failed => {
                self.refuse(rest, &in_progress(), out);
                return Ok(());
            }
            _ => {
                self.refuse(rest, &unstored(), out);
                return Ok(());
            }
        };
        if known.request != ours.request {
            self.refuse(rest, &reused(), out);
        } else if let Some(answer) = known.answer {
            let told = Told::bytes(202, JSON, answer.into_bytes());
            let told = if known.location.is_empty() { told } else { told.with("Location", &known.location) };
            self.answer(rest, told, out);
        } else if known.is_free(rest.run, out.now()) {
            let Key { account, key, holder, until, .. } = &known;
            let claim = Claim { holder: &ours.holder, until: ours.until };
            out.swap(&KEYS, &Held { account, key, holder, until: *until }, &claim, Then::Retaken);
        } else {
            self.refuse(rest, &in_progress(), out);
        }
        Ok(())
    }

    /// Whether one that was free is ours.
    pub(super) fn retaken(&mut self, rest: &Rest, answer: Answer<'_>, failed: bool, out: &mut Out<'_, Conversation>) {
        if !matches!(self.stage, Stage::Reserve(_)) {
            return;
        }
        match answer {
            Answer::Changed(true) if !failed => self.go_on(rest, out),
            Answer::Changed(false) => self.refuse(rest, &in_progress(), out),
            _ => self.refuse(rest, &unstored(), out),
        }
    }

    fn go_on(&mut self, rest: &Rest, out: &mut Out<'_, Conversation>) {
        let Stage::Reserve(reserving) = std::mem::replace(&mut self.stage, Stage::Ask) else { return };
        let Reserving { draft, row } = *reserving;
        self.begin(rest, draft, Some(row), out);
    }
}

/// Writes down what is answered to the request that a key is of; or that it is free again, where another answer may follow.
pub(super) fn settle(row: &Key, told: Option<&Told>, out: &mut Out<'_, Conversation>) {
    let Key { account, key, holder, until, .. } = row;
    let answer = told.and_then(Told::text);
    let location = told.and_then(|told| told.field("Location")).unwrap_or_default();
    let done = Done { until: 0, answer, location };
    out.swap(&KEYS, &Held { account, key, holder, until: *until }, &done, Then::Settled);
}

fn in_progress() -> Problem {
    let words = "another request with this key is not answered yet: ask again for what it comes to";
    at_key(Kind::InProgress, words).after(RETRY_AFTER)
}

fn reused() -> Problem {
    at_key(Kind::KeyReused, "another request was made with this key: what is not the same needs another key")
}

fn at_key(kind: Kind, words: &str) -> Problem {
    let error = FieldError { at: At::Header("Idempotency-Key"), detail: words.to_owned() };
    Problem { errors: vec![error], ..kind.because(words) }
}

/// Beside what the messages may take.
const MARGIN: std::time::Duration = std::time::Duration::from_secs(5);
