//! Calls between sessions: what a session asks of other services, and what others ask of it.
//!
//! Both are the host's, so they stay where they are when the session moves. A request waits among the session's other answers
//! until it is delivered, so one that is still there was not delivered: withdrawn, it is taken out; when the session ends,
//! another one gets it. What a session tells goes by the worker's post (`worker::calls`), also to its own worker, so no session
//! is ever touched in another one's turn.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tandem_component::abi::{About, kind, uncalled};
use tandem_component::{Peer, Role, Trace, Transport};

use super::driver::Driver;
use super::effects::Reason;
use super::pipe::{Link, Pipe};
use super::{Answer, Content, Greeting, Session};
use crate::clock::Nanos;
use crate::observe::notice::Notice;
use crate::service::Request;
use crate::store::Home;
use crate::version::{Instance, Lease};
use crate::worker::{Begun, Mail, Worker};

/// So many calls a session may have under way.
const CALLS_MAX: usize = 1024;
/// So many requests a session may have that are not answered, those that wait to be delivered among them …
const REQUESTS_MAX: usize = 1024;
/// … and so much may be asked in them together. No single question and no single answer may be longer.
pub(super) const BYTES_MAX: usize = 16 * 1024 * 1024;
/// So many requests may wait for each other in a row.
const DEPTH_MAX: u8 = 8;

/// What a session asks of others, and others of it.
#[derive(Default)]
pub(super) struct Calls {
    /// It takes requests to its service.
    serving: bool,
    /// What it has asked and has no answer to, by its number: numbers are given in their order, and most are answered in it.
    made: VecDeque<Made>,
    /// What it was asked and has not answered, in the order in which it came: most are answered in it.
    open: VecDeque<Open>,
    /// How many bytes were asked in those.
    bytes: usize,
}

/// A call under way.
pub struct Made {
    id: u64,
    token: u64,
    deadline: Nanos,
    /// How many requests in a row it is.
    depth: u8,
    /// The request that it follows from, or 0.
    follows: u64,
    /// What was said about it.
    pub about: Arc<[u8]>,
    /// When and in which step it was made, where that is exported.
    pub step: Option<Box<Begun>>,
    /// The place of the service in the snapshot.
    pub service: usize,
    /// The session that has it.
    pub to: Option<Home>,
}

/// A request that is not answered.
struct Open {
    id: u64,
    caller: Home,
    depth: u8,
    deadline: Nanos,
    until: u64,
    about: Arc<[u8]>,
    bytes: usize,
    tried: Vec<Home>,
}

/// What has led to an event: a request, or the answer to a call. Others have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// How many requests in a row have.
    depth: u8,
    /// The last one of them, or 0.
    request: u64,
    /// What was said about it, or about the call.
    about: Option<Arc<[u8]>>,
}

impl Cause {
    pub(super) const NONE: Cause = Cause { depth: 0, request: 0, about: None };

    /// On whose behalf it is.
    pub(super) fn about(&self) -> Option<About<'_>> {
        About::read(self.about.as_deref()?)
    }
}

/// What has led to the effects of a batch, by the place of the effect.
pub(super) struct Causes {
    first: Cause,
    /// From this place on it is another.
    later: Vec<(usize, Cause)>,
}

impl Default for Causes {
    fn default() -> Self {
        Causes::of(Cause::NONE)
    }
}

impl Causes {
    /// The same for all of them.
    pub(super) fn of(cause: Cause) -> Self {
        Causes { first: cause, later: Vec::new() }
    }

    /// From this place on it is this. Places are told in their order.
    pub(super) fn from(&mut self, place: usize, cause: Cause) {
        if *self.later.last().map_or(&self.first, |last| &last.1) != cause {
            self.later.push((place, cause));
        }
    }

    /// What it is at a place.
    pub(super) fn at(&self, place: usize) -> &Cause {
        let begun = self.later.partition_point(|(from, _)| *from <= place);
        begun.checked_sub(1).map_or(&self.first, |last| &self.later[last].1)
    }
}

/// Why a session does not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// It has ended, or takes no requests any more.
    Gone,
    /// It has as many as it may have.
    Full,
}

impl Driver<'_, '_> {
    /// Asks a service for something, on behalf of an account and as a part of a trace, where the session says so; else of what has
    /// led to this.
    pub(super) fn call(
        &mut self,
        (service, asked): (&str, &[u8]),
        behalf: (&str, &[u8], &str),
        (within, cause): (u64, Cause),
        token: u64,
    ) -> Result<(), Reason> {
        if asked.len() > BYTES_MAX {
            return Err(format!("it asks `{service}` for something in more than {BYTES_MAX} bytes"));
        }
        if let Err(why) = self.ask((service, asked), behalf, (within, cause), token) {
            self.fail_call(token, service, why);
        }
        Ok(())
    }

    fn ask(
        &mut self,
        (service, asked): (&str, &[u8]),
        (account, trace, label): (&str, &[u8], &str),
        (within, cause): (u64, Cause),
        token: u64,
    ) -> Result<(), u32> {
        let service = self.worker.service(service).ok_or(uncalled::UNKNOWN)?;
        if self.lacks_admission("call") {
            return Err(uncalled::NOT_ADMITTED);
        }
        let caller = self.home();
        let session = &mut *self.session;
        let calls = session.calls.get_or_insert_default();
        let depth = 1 + cause.depth;
        if depth > DEPTH_MAX {
            return Err(uncalled::TOO_DEEP);
        }
        if calls.made.len() >= CALLS_MAX {
            return Err(uncalled::FULL);
        }
        let id = self.worker.next_request();
        // From the time it is, as timers. Nobody waits longer for what is asked for a request than for the answer to that.
        let deadline = self.worker.time().saturating_add(within);
        let waited_for =
            calls.open.iter().find(|open| open.id == cause.request).map_or(Nanos::MAX, |open| open.deadline);
        let deadline = deadline.min(waited_for);
        let until = self.wall.saturating_add(deadline.saturating_sub(self.now));
        let (about, parent) = {
            let inherited = cause.about();
            let account = if account.is_empty() { inherited.map_or("", |about| about.account) } else { account };
            let trace = Trace::from_bytes(trace).or_else(|| inherited.map(|about| about.trace));
            (self.worker.about_call(session.service, account, trace, id), trace.map(|trace| trace.span()))
        };
        let step = self.worker.begin_step(&about, parent);
        let follows = cause.request;
        calls.made.push_back(Made {
            id,
            token,
            deadline,
            service,
            depth,
            follows,
            about: Arc::clone(&about),
            step,
            to: None,
        });
        session.due_changed = true;
        let (asked, label) = (asked.to_vec(), (!label.is_empty()).then(|| label.into()));
        let request = Request { id, service, about, caller, deadline, until, depth, label, asked, tried: Vec::new() };
        self.worker.post(caller.worker, Mail::Call(Box::new(request)));
        Ok(())
    }

    fn fail_call(&mut self, token: u64, service: &str, why: u32) {
        self.worker.notice(self.session, Notice::CallFailed, &call_failure(service, why));
        self.session.answers.push_back(call_failed(token, why));
    }

    /// Answers a request. One that was answered or withdrawn is none of its any more.
    pub(super) fn respond(&mut self, request: u64, response: &[u8]) -> Result<(), Reason> {
        let Some(open) = self.session.calls.as_mut().and_then(|calls| calls.take_open(request)) else {
            return Ok(());
        };
        if response.len() > BYTES_MAX {
            let reason = format!("it answers a request in more than {BYTES_MAX} bytes");
            self.worker.tell_outcome(open.caller, open.id, Err(uncalled::ENDED));
            return Err(reason);
        }
        self.worker.tell_outcome(open.caller, open.id, Ok(response.to_vec()));
        Ok(())
    }

    /// Takes requests to its service from now on, or no more. One that was opened for a request takes no other.
    pub(super) fn serve(&mut self, serving: bool) {
        if self.session.greeting.transport == Transport::Call {
            return;
        }
        let home = self.home();
        let calls = self.session.calls.get_or_insert_default();
        if std::mem::replace(&mut calls.serving, serving) == serving {
            return;
        }
        self.worker.tell_serving(self.session.service, home, serving);
        if !serving {
            self.give_back_undelivered();
        }
    }

    /// Takes a call back.
    pub(super) fn cancel_call(&mut self, token: u64) {
        let Some(calls) = &mut self.session.calls else { return };
        if let Some(at) = calls.made.iter().position(|made| made.token == token) {
            let Some(made) = calls.made.remove(at) else { return };
            self.worker.end_step(self.session, &made, Some("cancelled"));
            self.withdraw(&made);
        }
    }

    /// Fails the calls whose time is up.
    pub(super) fn time_out_calls(&mut self) {
        let now = self.now;
        let Some(calls) = &mut self.session.calls else { return };
        let late: Vec<u64> = calls.made.iter().filter(|made| made.deadline <= now).map(|made| made.id).collect();
        let late: Vec<Made> = late.into_iter().filter_map(|id| calls.take_made(id)).collect();
        for made in late {
            self.worker.end_step(self.session, &made, Some(not_answered(uncalled::TIMED_OUT)));
            self.withdraw(&made);
            let name = self.worker.with_service_name(made.service, str::to_owned);
            self.fail_call(made.token, &name, uncalled::TIMED_OUT);
        }
    }

    /// The session ends: who serves in its place gets what was not delivered, who waits for an answer is told that none comes,
    /// and what it has asked itself is no longer wanted.
    pub(super) fn leave_calls(&mut self) {
        let Some(calls) = &mut self.session.calls else { return };
        let made = std::mem::take(&mut calls.made);
        if calls.serving {
            // First, so that nothing that is given back comes here again.
            calls.serving = false;
            self.worker.tell_serving(self.session.service, self.home(), false);
            self.give_back_undelivered();
        }
        for made in &made {
            self.worker.end_step(self.session, made, Some("whoever asked has ended"));
            self.withdraw(made);
        }
        let open = self.session.calls.take().map_or_else(VecDeque::new, |calls| calls.open);
        for open in open {
            self.worker.tell_outcome(open.caller, open.id, Err(uncalled::ENDED));
        }
        if self.session.greeting.transport == Transport::Call {
            self.worker.ended_for_request();
        }
    }

    /// Gives requests that were not delivered back to the workers that they came from.
    fn give_back_undelivered(&mut self) {
        let session = &mut *self.session;
        let Some(calls) = &mut session.calls else { return };
        let answers = std::mem::take(&mut session.answers).into_iter();
        let (requests, others) = answers.partition::<VecDeque<_>, _>(|answer| answer.kind == kind::REQUEST);
        session.answers = others;
        let mut undelivered: BTreeMap<u64, Answer> =
            requests.into_iter().map(|answer| (answer.number, answer)).collect();
        let open = std::mem::take(&mut calls.open);
        calls.bytes = 0;
        for open in open {
            let Some(answer) = undelivered.remove(&open.id) else {
                calls.bytes += open.bytes;
                calls.open.push_back(open);
                continue;
            };
            let Open { id, caller, depth, deadline, until, about, tried, .. } = open;
            let asked = answer.content.map_or_else(Vec::new, |content| content.bytes);
            let service = session.service;
            // It goes to one that serves, whatever it is labelled with.
            let label = None;
            let request = Request { id, service, about, caller, deadline, until, depth, label, asked, tried };
            let from = Home { worker: self.worker.index(), key: session.key, session: session.id };
            self.worker.post(caller.worker, Mail::Back { request: Box::new(request), from, why: Untaken::Gone });
        }
    }

    fn withdraw(&self, made: &Made) {
        if let Some(to) = made.to {
            self.worker.call_done(made.service, to);
            self.worker.post(to.worker, Mail::Withdrawn { to, id: made.id });
        }
    }

    /// Whether what it has to do with calls lets it move to a version that does not know of them.
    pub(super) fn may_move_without_calls(&mut self) -> bool {
        if self.session.is_calling() || self.session.greeting.transport == Transport::Call {
            return false;
        }
        self.serve(false);
        true
    }
}

impl Calls {
    /// Where the call with this number is among those that are under way.
    fn place_of(&self, id: u64) -> Option<usize> {
        self.made.binary_search_by_key(&id, |made| made.id).ok()
    }

    fn take_made(&mut self, id: u64) -> Option<Made> {
        self.made.remove(self.place_of(id)?)
    }

    fn take_open(&mut self, id: u64) -> Option<Open> {
        let at = self.open.iter().position(|open| open.id == id)?;
        let open = self.open.remove(at)?;
        self.bytes -= open.bytes;
        Some(open)
    }
}

impl Session {
    /// Opens a session without a peer: for one request of another service, or a resident.
    ///
    /// # Errors
    /// What the component refuses, in its words.
    pub fn open_alone(
        worker: &Worker,
        service: usize,
        publication: u64,
        lease: Lease<Instance>,
        transport: Transport,
    ) -> Result<Box<Self>, String> {
        let (now, _) = worker.now();
        let greeting = Greeting {
            transport,
            role: Role::Server,
            peer: Peer::Service,
            local: Peer::Service,
            established: now,
            idle_since: now,
        };
        // Its own stream is there and is gone: what it sends on it goes nowhere.
        let mut own = Pipe::new(0, Link::Gone, None);
        own.broken = true;
        Session::begin(worker, service, publication, lease, greeting, own, None)
    }

    /// Takes a request in, to be delivered after what came before it.
    ///
    /// # Errors
    /// The request, and why it is not taken.
    pub fn take_request(&mut self, request: Box<Request>) -> Result<(), (Box<Request>, Untaken)> {
        let for_this = self.greeting.transport == Transport::Call;
        let serving = for_this || self.calls.as_ref().is_some_and(|calls| calls.serving);
        if !serving || self.conversation.is_none() {
            return Err((request, Untaken::Gone));
        }
        let calls = self.calls.get_or_insert_default();
        let bytes = request.asked.len();
        if calls.open.len() >= REQUESTS_MAX || calls.bytes + bytes > BYTES_MAX {
            return Err((request, Untaken::Full));
        }
        let Request { id, caller, depth, deadline, until, tried, asked, about, .. } = *request;
        let content = Some(Box::new(Content { bytes: asked, about: Some(Arc::clone(&about)), ..Content::default() }));
        calls.open.push_back(Open { id, caller, depth, deadline, until, about, bytes, tried });
        calls.bytes += bytes;
        self.answers.push_back(Answer { kind: kind::REQUEST, number: id, stream: until, content, ..Answer::default() });
        self.wake();
        Ok(())
    }

    /// Who asked no longer waits.
    pub fn withdraw_request(&mut self, id: u64) {
        if self.calls.as_mut().and_then(|calls| calls.take_open(id)).is_none() {
            return;
        }
        let undelivered = |answer: &Answer| answer.kind == kind::REQUEST && answer.number == id;
        match self.answers.iter().position(undelivered) {
            Some(at) => drop(self.answers.remove(at)),
            None => self.answers.push_back(Answer { kind: kind::WITHDRAWN, number: id, ..Answer::default() }),
        }
        // One that was opened for it may have nothing else to do.
        self.wake();
    }

    /// The call with this number, where it is under way.
    pub fn made_mut(&mut self, id: u64) -> Option<&mut Made> {
        let calls = self.calls.as_mut()?;
        let at = calls.place_of(id)?;
        calls.made.get_mut(at)
    }

    /// A call was answered, or has failed. What it was, where it was under way.
    pub fn take_outcome(&mut self, id: u64, outcome: Result<Vec<u8>, u32>) -> Option<Made> {
        let calls = self.calls.as_mut()?;
        let made = calls.take_made(id)?;
        self.answers.push_back(match outcome {
            Ok(response) => {
                let content = Some(Box::new(Content {
                    bytes: response,
                    about: Some(Arc::clone(&made.about)),
                    ..Content::default()
                }));
                // The numbers are the host's own: a component reads none here.
                let (number, stream) = (made.depth.into(), made.follows);
                Answer { kind: kind::ANSWERED, token: made.token, number, stream, content, ..Answer::default() }
            }
            Err(why) => call_failed(made.token, why),
        });
        self.wake();
        Some(made)
    }

    /// What has led to an event: what a request or the answer to a call leads to is a part of its row, and on its behalf.
    #[inline]
    pub(super) fn cause_of(&self, answer: &Answer) -> Cause {
        let about = || answer.content.as_ref().and_then(|content| content.about.clone());
        match answer.kind {
            kind::REQUEST => {
                let open = self.calls.iter().flat_map(|calls| &calls.open).find(|open| open.id == answer.number);
                open.map_or(Cause::NONE, |open| Cause { depth: open.depth, request: open.id, about: about() })
            }
            kind::ANSWERED => {
                // The call's own place in the row is free again.
                let depth = u8::try_from(answer.number).unwrap_or(u8::MAX).saturating_sub(1);
                Cause { depth, request: answer.stream, about: about() }
            }
            _ => Cause::NONE,
        }
    }

    /// The requests that are not answered.
    pub(super) fn requests_open(&self) -> impl Iterator<Item = u64> + '_ {
        self.calls.iter().flat_map(|calls| &calls.open).map(|open| open.id)
    }

    /// The tokens of the calls that are under way.
    pub(super) fn calls_made(&self) -> impl Iterator<Item = u64> + '_ {
        self.calls.iter().flat_map(|calls| &calls.made).map(|made| made.token)
    }

    /// Whether it waits for an answer of another service, or another for its.
    pub(super) fn is_calling(&self) -> bool {
        self.calls.as_ref().is_some_and(|calls| !calls.made.is_empty() || !calls.open.is_empty())
    }

    /// How many calls it has under way, by the place of the service, and how many requests it has not answered.
    pub(super) fn calls_under_way(&self) -> (BTreeMap<usize, usize>, usize) {
        let mut made = BTreeMap::new();
        let Some(calls) = &self.calls else { return (made, 0) };
        for call in &calls.made {
            *made.entry(call.service).or_default() += 1;
        }
        (made, calls.open.len())
    }

    /// When the time of its next call is up.
    pub(super) fn calls_due(&self) -> Option<Nanos> {
        self.calls.as_ref()?.made.iter().map(|made| made.deadline).min()
    }

    /// Whether it was opened for one request, has answered it, and waits for nothing else.
    pub(super) fn is_spent(&self) -> bool {
        self.greeting.transport == Transport::Call
            && !self.is_calling()
            && self.held.is_none()
            && self.asked.is_empty()
            && self.answers.is_empty()
            && self.timers.is_empty()
            && self.pipes.len() == 1
    }
}

fn call_failed(token: u64, detail: u32) -> Answer {
    Answer { kind: kind::CALL_FAILED, detail, token, ..Answer::default() }
}

/// What an operator reads of a call that has failed.
pub fn call_failure(service: &str, why: u32) -> String {
    format!("a call to `{service}` failed: {}", not_answered(why))
}

/// The reason alone.
pub fn not_answered(why: u32) -> &'static str {
    match why {
        uncalled::UNKNOWN => "there is no such service, or its component takes no requests",
        uncalled::FULL => "there are as many requests as there may be",
        uncalled::TIMED_OUT => "it was not answered in time",
        uncalled::ENDED => "the session that had it has ended without an answer",
        uncalled::NOT_ADMITTED => "its service requires an admission, and it holds none",
        uncalled::TOO_DEEP => "it would be the ninth in a row; services call each other in a circle",
        _ => "no session of it takes requests now",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_effect_has_the_cause_of_the_event_that_told_it() {
        let cause = |depth| Cause { depth, ..Cause::NONE };
        let mut causes = Causes::default();
        for (place, depth) in [(0, 1), (2, 1), (2, 0), (3, 7)] {
            causes.from(place, cause(depth));
        }
        // The event between told nothing, so the one after it begins at the same place.
        assert_eq!([0, 1, 2, 3, 4].map(|place| causes.at(place).depth), [1, 1, 0, 7, 7]);
        assert_eq!([0, 9].map(|place| Causes::of(cause(3)).at(place).depth), [3, 3]);
        assert_eq!(*Causes::default().at(0), Cause::NONE);
    }
}
