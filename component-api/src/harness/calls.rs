//! The harness's other services: a test asks, and answers what the session asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Harness;
use crate::abi::{About, RawEvent, authenticated, kind, uncalled};
use crate::calls::{Call, CallFailure, RequestId};
use crate::component::{Component, Time};
use crate::trace::{Sampling, Trace};

/// A call of the session that the test has not yet answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calling {
    /// The service that is asked.
    pub service: String,
    /// Whose account it is for; empty where it is nobody's.
    pub account: String,
    /// What it is a part of.
    pub trace: Trace,
    asked: Vec<u8>,
    /// In nanoseconds since 1970.
    deadline: u64,
    token: u64,
    /// The request that it follows from, and until when somebody waits for that.
    follows: Option<(u64, u64)>,
}

impl Calling {
    /// Reads what is asked.
    ///
    /// # Panics
    /// Where it does not fit `T`.
    pub fn read<T: DeserializeOwned>(&self) -> T {
        rmp_serde::from_slice(&self.asked).expect("what is asked fits what it is read into")
    }

    /// Until when it may be answered.
    pub fn deadline(&self) -> Time {
        Time::from_nanos(self.deadline)
    }
}

/// What the session asks of others, and others of it.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) serving: bool,
    made: VecDeque<Calling>,
    /// Requests that were not delivered yet: what is asked, and about it.
    asked: BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
    /// Requests that are not answered, and on whose behalf they are.
    open: Vec<(u64, Behalf)>,
    /// On whose behalf the calls were that are answered, by token.
    answered: BTreeMap<u64, Behalf>,
    /// On whose behalf the event at hand is.
    pub(super) behalf: Option<Behalf>,
    responses: BTreeMap<u64, Vec<u8>>,
    secrets: BTreeMap<String, Vec<u8>>,
    suspended: BTreeSet<String>,
    /// Until when no secret of theirs is looked at.
    put_off: BTreeMap<String, u64>,
    requests: u64,
}

/// On whose behalf something is asked.
#[derive(Clone, Debug)]
pub(super) struct Behalf {
    /// The request that it is about.
    request: u64,
    account: String,
    trace: Trace,
    /// In nanoseconds since 1970.
    until: u64,
}

impl<C: Component> Harness<C> {
    /// Another service asks the session for something.
    ///
    /// # Panics
    /// Where `asked` cannot be serialized.
    pub fn request(&mut self, from: &str, asked: &impl Serialize) -> RequestId {
        self.request_by(Call::to(""), from, asked)
    }

    /// As [`request`](Harness::request), by this call, whose service is the session's whatever it says. When its time is up the
    /// test [withdraws](Harness::withdraw) it.
    ///
    /// # Panics
    /// Where `asked` cannot be serialized.
    pub fn request_by(&mut self, call: Call<'_>, from: &str, asked: &impl Serialize) -> RequestId {
        let calls = &mut self.host.calls;
        calls.requests += 1;
        let id = calls.requests;
        let asked = rmp_serde::to_vec_named(asked).expect("what a test asks can be serialized");
        let trace = call.trace.unwrap_or_else(|| Trace::begin(id, id, id, Sampling::default())).within(id);
        let until = self.host.now.saturating_add(call.within);
        let mut about = Vec::new();
        About { from, account: call.account, trace }.write(&mut about);
        calls.asked.insert(id, (asked, about));
        calls.open.push((id, Behalf { request: id, account: call.account.to_owned(), trace, until }));
        self.host.answers.push_back(RawEvent { number: id, stream: until, ..RawEvent::new(kind::REQUEST, 0) });
        self.turn();
        RequestId(id)
    }

    /// Who asked no longer waits.
    pub fn withdraw(&mut self, request: RequestId) {
        self.host.calls.open.retain(|open| open.0 != request.0);
        self.host.answers.push_back(RawEvent { number: request.0, ..RawEvent::new(kind::WITHDRAWN, 0) });
        self.turn();
    }

    /// Takes what the session has answered to a request; `None` where it has not.
    ///
    /// # Panics
    /// Where it does not fit `T`.
    pub fn response<T: DeserializeOwned>(&mut self, request: RequestId) -> Option<T> {
        self.settle();
        let response = self.host.calls.responses.remove(&request.0)?;
        Some(rmp_serde::from_slice(&response).expect("the response fits what it is read into"))
    }

    /// Whether the session takes requests to its service.
    pub fn serving(&mut self) -> bool {
        self.settle();
        self.host.calls.serving
    }

    /// The oldest call that is not answered yet.
    pub fn calling(&mut self) -> Option<Calling> {
        self.settle();
        self.host.calls.made.front().cloned()
    }

    /// Answers the oldest call.
    ///
    /// # Panics
    /// Where there is none, or `response` cannot be serialized.
    pub fn reply(&mut self, response: &impl Serialize) {
        self.settle();
        let call = self.host.calls.made.pop_front().expect("the session has called");
        let response = rmp_serde::to_vec_named(response).expect("what a test answers can be serialized");
        let (request, until) = call.follows.unwrap_or((0, u64::MAX));
        let behalf = Behalf { request, account: call.account, trace: call.trace, until };
        self.host.calls.answered.insert(call.token, behalf);
        self.host.found.insert(call.token, response);
        self.host.answers.push_back(RawEvent { token: call.token, ..RawEvent::new(kind::ANSWERED, 0) });
        self.turn();
    }

    /// Answers the oldest call with a failure.
    ///
    /// # Panics
    /// Where there is none.
    pub fn fail_call(&mut self, why: CallFailure) {
        self.settle();
        let call = self.host.calls.made.pop_front().expect("the session has called");
        self.host.answers.push_back(call.failed(number(why)));
        self.turn();
    }

    /// An account, with its secret, that [`authenticate`](crate::Out::authenticate) knows from now on.
    pub fn account(&mut self, name: &str, secret: &[u8]) {
        self.host.calls.secrets.insert(name.to_owned(), secret.to_vec());
    }

    /// An account is suspended from now on: it is not authenticated, and nothing is admitted for it.
    pub fn suspend(&mut self, name: &str) {
        self.host.calls.suspended.insert(name.to_owned());
        self.host.admissions.suspend(name);
    }

    /// Too many wrong secrets were tried of an account: none is looked at for so long.
    pub fn put_off(&mut self, name: &str, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let until = self.host.now.saturating_add(nanos);
        self.host.calls.put_off.insert(name.to_owned(), until);
    }
}

impl Calling {
    fn failed(&self, detail: u32) -> RawEvent<'static> {
        RawEvent { token: self.token, detail, ..RawEvent::new(kind::CALL_FAILED, 0) }
    }
}

impl Calls {
    /// What a request says, and what is said about it.
    pub(super) fn take_asked(&mut self, request: u64) -> (Vec<u8>, Vec<u8>) {
        self.behalf = self.open.iter().find(|open| open.0 == request).map(|open| open.1.clone());
        self.asked.remove(&request).unwrap_or_default()
    }

    /// A request that is delivered again.
    pub(super) fn ask_again(&mut self, event: &RawEvent<'_>) {
        self.asked.insert(event.number, (event.bytes.as_slice().to_vec(), event.more.as_slice().to_vec()));
    }

    pub(super) fn call(
        &mut self,
        (service, asked): (&str, &[u8]),
        (account, trace): (&str, &[u8]),
        deadline: u64,
        token: u64,
    ) {
        let behalf = self.behalf.as_ref();
        let account = if account.is_empty() { behalf.map_or("", |behalf| &behalf.account) } else { account };
        let trace = Trace::from_bytes(trace).or_else(|| behalf.map(|behalf| behalf.trace));
        let open = behalf.filter(|behalf| self.open.iter().any(|open| open.0 == behalf.request));
        self.made.push_back(Calling {
            service: service.to_owned(),
            account: account.to_owned(),
            trace: trace.unwrap_or_else(|| Trace::begin(token, token, token, Sampling::default())),
            asked: asked.to_vec(),
            deadline: open.map_or(deadline, |behalf| behalf.until.min(deadline)),
            token,
            follows: behalf.map(|behalf| (behalf.request, behalf.until)),
        });
    }

    /// An answer to a call is told: what follows from it is on the call's behalf.
    pub(super) fn told(&mut self, token: u64) {
        self.behalf = self.answered.get(&token).cloned();
    }

    pub(super) fn cancel(&mut self, token: u64) {
        self.made.retain(|call| call.token != token);
    }

    pub(super) fn answer(&mut self, request: u64, response: &[u8]) {
        if let Some(at) = self.open.iter().position(|open| open.0 == request) {
            self.open.swap_remove(at);
            self.responses.insert(request, response.to_vec());
        }
    }

    /// Whose secret it is: a number of [`authenticated`], and until when nobody looks.
    pub(super) fn identify(&self, account: &str, secret: &[u8], now: u64) -> (u32, u64) {
        if let Some(until) = self.put_off.get(account).copied().filter(|until| *until > now) {
            return (authenticated::PUT_OFF, until);
        }
        let identified = match self.secrets.get(account).is_some_and(|known| known == secret) {
            false => authenticated::NOBODY,
            true if self.suspended.contains(account) => authenticated::SUSPENDED,
            true => authenticated::ACCOUNT,
        };
        (identified, 0)
    }

    /// When the time of each call is up.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = u64> + '_ {
        self.made.iter().map(|call| call.deadline)
    }

    /// Takes the calls whose time is up.
    pub(super) fn overdue(&mut self, now: u64) -> Vec<RawEvent<'static>> {
        let (late, left): (Vec<_>, _) = self.made.drain(..).partition(|call| call.deadline <= now);
        self.made = left.into();
        late.iter().map(|call| call.failed(uncalled::TIMED_OUT)).collect()
    }
}

fn number(why: CallFailure) -> u32 {
    match why {
        CallFailure::Unknown => uncalled::UNKNOWN,
        CallFailure::Down => uncalled::DOWN,
        CallFailure::Full => uncalled::FULL,
        CallFailure::TimedOut => uncalled::TIMED_OUT,
        CallFailure::Ended => uncalled::ENDED,
        CallFailure::TooDeep => uncalled::TOO_DEEP,
        CallFailure::NotAdmitted => uncalled::NOT_ADMITTED,
    }
}
