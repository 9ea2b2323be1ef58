//! The post between sessions: brings what one asks to the session that answers, on whichever worker, and the answer back.
//!
//! All of it goes by way of the workers' mailboxes, also from a worker to itself: so a session is only touched while no other
//! one of its worker has its turn, a request is never re-entered, and what one worker tells another comes in its order. A
//! call goes to its own worker first, which chooses the callee; the choice is that worker's own, of what others have told it.
//!
//! How much waits in a mailbox is bounded by what sends it: a session has so many calls under way, each with one message on
//! its way at a time, and to a worker that takes none there go no more requests than [`MAIL_MAX`]. That a session begins
//! or ends to serve is told as often as it happens, which is rare.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tandem_component::abi::{About, uncalled};
use tandem_component::{Trace, Transport};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Inlet, Worker};
use crate::observe::notice::{self, Notice};
use crate::service::{Callees, Request};
use crate::session::{Letter, Made, Session, Untaken, call_failure, not_answered};
use crate::store::Home;

/// What workers tell each other, and themselves, about calls.
#[derive(Debug)]
pub enum Mail {
    /// A session takes requests to its service from now on, or no more.
    Serves {
        /// The place of the service in the snapshot.
        service: usize,
        /// The session.
        home: Home,
        /// Which of the two.
        serving: bool,
    },
    /// A session of this worker asks for something.
    Call(Box<Request>),
    /// A session of this worker is asked for something.
    Deliver(Home, Box<Request>),
    /// A session has not taken a request, or has ended before it was delivered.
    Back {
        /// The request.
        request: Box<Request>,
        /// The session.
        from: Home,
        /// Why.
        why: Untaken,
    },
    /// A call of this session was answered, or has failed.
    Outcome {
        /// The session that has asked.
        to: Home,
        /// The number of the request.
        id: u64,
        /// The answer, or a number of `uncalled`.
        outcome: Result<Vec<u8>, u32>,
    },
    /// A datagram of a conversation that is at home on this worker.
    Datagram(Box<Letter>),
    /// Who asked this session no longer waits.
    Withdrawn {
        /// The session that was asked.
        to: Home,
        /// The number of the request.
        id: u64,
    },
}

/// Where one worker takes its mail.
#[derive(Clone, Debug)]
pub struct Mailbox {
    sender: UnboundedSender<Mail>,
    /// How many wait in it. Relaxed: it orders nothing, and may be off by what is on its way.
    waiting: Arc<AtomicUsize>,
}

/// A worker's part of the post.
pub(super) struct Post {
    mailboxes: Vec<Mailbox>,
    /// What the worker tells itself, which most of it is.
    own: RefCell<VecDeque<Mail>>,
    /// What was taken, and is not done.
    taken: RefCell<VecDeque<Mail>>,
    /// The call for which a session is being opened.
    opening: Cell<Option<(Home, u64)>>,
    /// Wakes the task that takes the mail, where it waits for some.
    waits: RefCell<Option<Waker>>,
    callees: RefCell<Callees>,
    /// How many requests were numbered.
    numbered: Cell<u64>,
    /// How many sessions there are that were opened for one request.
    for_request: Cell<usize>,
    /// What the traces that begin here are drawn from.
    traces: RandomState,
    /// What is said about a call, before it is as long as it is.
    about: RefCell<Vec<u8>>,
}

/// A worker with so much mail is given no more requests: it is stuck in a component.
const MAIL_MAX: usize = 65_536;
/// So many sessions for one request a worker may have: calls that make calls would have no bound otherwise.
const FOR_REQUEST_MAX: usize = 16_384;
/// So many sessions are asked whether they take a request, before it fails.
const TRIES_MAX: usize = 8;
/// So much mail is taken at once, and then others have a turn.
const TAKEN_MAX: usize = 64;

/// A mailbox for each worker: the one end for everybody, the other for the worker itself.
pub fn mailboxes(count: usize) -> (Vec<Mailbox>, Vec<UnboundedReceiver<Mail>>) {
    let boxes = (0..count).map(|_| {
        let (sender, receiver) = unbounded_channel();
        (Mailbox { sender, waiting: Arc::default() }, receiver)
    });
    boxes.unzip()
}

impl Mailbox {
    /// Puts something in. Back comes what nobody will take: the worker has ended.
    fn put(&self, mail: Mail) -> Result<(), Mail> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.sender.send(mail).map_err(|unsent| unsent.0)
    }
}

impl Post {
    pub(super) fn new(mailboxes: Vec<Mailbox>) -> Self {
        Post {
            mailboxes,
            own: RefCell::default(),
            taken: RefCell::default(),
            opening: Cell::new(None),
            waits: RefCell::default(),
            callees: RefCell::default(),
            numbered: Cell::new(0),
            for_request: Cell::new(0),
            traces: RandomState::new(),
            about: RefCell::default(),
        }
    }

    /// What another worker had of it, with what it had not done.
    pub(super) fn taken_over(&self) -> Self {
        Post {
            mailboxes: self.mailboxes.clone(),
            own: RefCell::new(self.own.take()),
            taken: RefCell::new(self.taken.take()),
            opening: Cell::new(self.opening.take()),
            waits: RefCell::default(),
            callees: RefCell::new(self.callees.take()),
            numbered: Cell::new(self.numbered.get()),
            for_request: Cell::new(self.for_request.get()),
            traces: RandomState::new(),
            about: RefCell::default(),
        }
    }

    /// Takes what is there, the worker's own and that of others, as much of each; waits where there is none. How much.
    fn poll(
        &self,
        index: usize,
        cx: &mut Context<'_>,
        others: &Inlet<UnboundedReceiver<Mail>>,
        came: &mut Vec<Mail>,
    ) -> Poll<usize> {
        let (mut own, mut taken) = (self.own.borrow_mut(), self.taken.borrow_mut());
        let left = taken.len();
        let count = own.len().min(TAKEN_MAX);
        taken.extend(own.drain(..count));
        drop(own);
        let polled = others.poll(|others| others.poll_recv_many(cx, came, TAKEN_MAX));
        taken.extend(came.drain(..));
        let count = left + count;
        match polled {
            Poll::Pending if count == 0 => {
                *self.waits.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
            Poll::Pending => Poll::Ready(count),
            Poll::Ready(come) => {
                self.mailboxes[index].waiting.fetch_sub(come, Ordering::Relaxed);
                Poll::Ready(count + come)
            }
        }
    }

    fn next(&self) -> Option<Mail> {
        self.taken.borrow_mut().pop_front()
    }

    fn put_own(&self, mail: Mail) {
        self.own.borrow_mut().push_back(mail);
        if let Some(waker) = self.waits.take() {
            waker.wake();
        }
    }
}

impl Worker {
    /// Takes what comes by the post.
    pub(super) async fn take_mail(self: Rc<Self>) {
        let mut came = Vec::with_capacity(TAKEN_MAX);
        let mut taken = 0;
        loop {
            taken += poll_fn(|cx| self.post.poll(self.index, cx, &self.inlets.mail, &mut came)).await;
            // One by one: what is left is whoever's takes over from here.
            while let Some(mail) = self.post.next() {
                self.take(mail);
            }
            if taken >= TAKEN_MAX {
                taken = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    fn take(self: &Rc<Self>, mail: Mail) {
        match mail {
            Mail::Serves { service, home, serving } => self.post.callees.borrow_mut().serves(service, home, serving),
            Mail::Call(request) => self.choose(request, uncalled::DOWN),
            Mail::Deliver(to, request) => {
                if let Err((request, why)) = self.deliver(to, request) {
                    self.post(request.caller.worker, Mail::Back { request, from: to, why });
                }
            }
            Mail::Back { request, from, why } => self.choose_again(request, from, why),
            Mail::Outcome { to, id, outcome } => self.settle_call(to, id, outcome),
            Mail::Datagram(letter) => self.take_letter(*letter),
            Mail::Withdrawn { to, id } => drop(self.with_session(to, |session| session.withdraw_request(id))),
        }
    }

    /// Finds a session that takes a request of a session of this worker. Where there is none it fails: the last one that was
    /// tried says why.
    fn choose(self: &Rc<Self>, request: Box<Request>, why: u32) {
        let (caller, id, service) = (request.caller, request.id, request.service);
        let callee = match request.tried.len() < TRIES_MAX {
            true => self.post.callees.borrow_mut().pick(service, &request.tried),
            false => None,
        };
        let Some(to) = callee else {
            return match self.keeps_sessions(service) {
                true => self.settle_call(caller, id, Err(why)),
                false => self.open_for(request),
            };
        };
        if !self.assign(caller, id, to) {
            return self.call_done(service, to);
        }
        if let Err((request, why)) = self.hand_over(to, request) {
            self.choose_again(request, to, why);
        }
    }

    fn choose_again(self: &Rc<Self>, mut request: Box<Request>, from: Home, why: Untaken) {
        // Where the caller no longer waits, it has counted the request as done itself.
        let assigned = self.with_call(request.caller, request.id, |made| made.to.take());
        let Some(assigned) = assigned else { return };
        if let Some(to) = assigned {
            self.call_done(request.service, to);
        }
        request.tried.push(from);
        self.choose(request, if why == Untaken::Full { uncalled::FULL } else { uncalled::DOWN });
    }

    fn hand_over(&self, to: Home, request: Box<Request>) -> Result<(), (Box<Request>, Untaken)> {
        if to.worker == self.index {
            return self.deliver(to, request);
        }
        let mailbox = &self.post.mailboxes[to.worker];
        if self.is_full(to.worker) {
            return Err((request, Untaken::Full));
        }
        match mailbox.put(Mail::Deliver(to, request)) {
            Err(Mail::Deliver(_, request)) => Err((request, Untaken::Gone)),
            _ => Ok(()),
        }
    }

    fn deliver(&self, to: Home, request: Box<Request>) -> Result<(), (Box<Request>, Untaken)> {
        let mut request = Some(request);
        let taken = self.with_session(to, |session| request.take().map_or(Ok(()), |it| session.take_request(it)));
        match (taken, request) {
            (Some(taken), _) => taken,
            (None, Some(request)) => Err((request, Untaken::Gone)),
            (None, None) => Ok(()),
        }
    }

    /// Whether requests to this service go to sessions that it keeps, and to no others.
    fn keeps_sessions(&self, service: usize) -> bool {
        self.post.callees.borrow().has_served(service) || self.look(|snapshot| snapshot.services[service].connects)
    }

    /// Opens a session for one request, and has its first turn at once: most are over with it.
    fn open_for(self: &Rc<Self>, request: Box<Request>) {
        let (caller, id) = (request.caller, request.id);
        if let Err(why) = self.try_open_for(request) {
            self.settle_call(caller, id, Err(why));
        }
    }

    fn try_open_for(self: &Rc<Self>, request: Box<Request>) -> Result<(), u32> {
        let (caller, id, service) = (request.caller, request.id, request.service);
        if self.with_call(caller, id, |_| ()).is_none() {
            return Ok(());
        }
        let (publication, instance) = self.look(|snapshot| {
            let account = request.about().map_or("", |about| about.account);
            let service = &snapshot.services[service];
            (snapshot.number, service.for_call(account, request.label.as_deref(), caller.session).cloned())
        });
        let instance = instance.ok_or(uncalled::DOWN)?;
        if !instance.takes_requests() {
            return Err(uncalled::UNKNOWN);
        }
        if self.post.for_request.get() >= FOR_REQUEST_MAX {
            return Err(uncalled::FULL);
        }
        self.post.opening.set(Some((caller, id)));
        let opened = Session::open_alone(self, service, publication, instance, Transport::Call);
        self.post.opening.set(None);
        let mut session = opened.map_err(|reason| {
            let name = self.with_service_name(service, str::to_owned);
            let from = request.about().map_or("", |about| about.from);
            notice::give(Notice::SessionRefused, &format!("service.{name}: a request of {from}: {reason}"));
            uncalled::DOWN
        })?;
        session.take_request(request).map_err(|_| uncalled::FULL)?;
        self.post.for_request.update(|count| count + 1);
        if let Some(to) = self.seat_for_a_turn(session) {
            self.assign(caller, id, to);
        }
        Ok(())
    }

    /// A call for which another worker was opening a session has failed.
    pub(super) fn fail_opening(&self) {
        if let Some((caller, id)) = self.post.opening.take() {
            self.settle_call(caller, id, Err(uncalled::ENDED));
        }
    }

    /// Says which session has a call of this worker. False where nobody waits for it any more.
    fn assign(&self, caller: Home, id: u64, to: Home) -> bool {
        self.with_call(caller, id, |made| made.to = Some(to)).is_some()
    }

    /// Tells a session of this worker what has become of its call.
    fn settle_call(&self, caller: Home, id: u64, outcome: Result<Vec<u8>, u32>) {
        let why = outcome.as_ref().err().copied();
        let settled = self.with_session(caller, |session| {
            let made = session.take_outcome(id, outcome)?;
            self.end_step(session, &made, why.map(not_answered));
            let name = |service: usize| self.with_service_name(service, str::to_owned);
            let said = why.map(|why| self.about(session, &call_failure(&name(made.service), why)));
            Some((made, said))
        });
        let Some((made, said)) = settled.flatten() else { return };
        if let Some(to) = made.to {
            self.call_done(made.service, to);
        }
        if let Some(said) = said {
            notice::give(Notice::CallFailed, &said);
        }
    }

    pub(super) fn with_session<T>(&self, home: Home, see: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let mut sessions = self.sessions();
        let session = sessions.get_mut(home.key)?.as_mut().filter(|session| session.id == home.session)?;
        Some(see(session))
    }

    fn with_call<T>(&self, caller: Home, id: u64, see: impl FnOnce(&mut Made) -> T) -> Option<T> {
        self.with_session(caller, |session| session.made_mut(id).map(see)).flatten()
    }

    /// Whether a worker has as much mail as it may have.
    pub fn is_full(&self, worker: usize) -> bool {
        self.post.mailboxes[worker].waiting.load(Ordering::Relaxed) >= MAIL_MAX
    }

    /// Sends something by the post. A worker that has ended has nobody to be told.
    pub fn post(&self, worker: usize, mail: Mail) {
        match worker == self.index {
            true => self.post.put_own(mail),
            false => drop(self.post.mailboxes[worker].put(mail)),
        }
    }

    /// Tells every worker that a session takes requests from now on, or no more.
    pub fn tell_serving(&self, service: usize, home: Home, serving: bool) {
        for worker in 0..self.post.mailboxes.len() {
            self.post(worker, Mail::Serves { service, home, serving });
        }
    }

    /// Tells a session what has become of its call.
    pub fn tell_outcome(&self, to: Home, id: u64, outcome: Result<Vec<u8>, u32>) {
        self.post(to.worker, Mail::Outcome { to, id, outcome });
    }

    /// A request that this worker has sent to a session is answered, or is no longer wanted.
    pub fn call_done(&self, service: usize, to: Home) {
        self.post.callees.borrow_mut().done(service, to);
    }

    /// A session that was opened for one request has ended.
    pub fn ended_for_request(&self) {
        self.post.for_request.update(|count| count - 1);
    }

    /// A publication is there.
    pub(super) fn forget_empty_callees(&self) {
        self.post.callees.borrow_mut().forget_empty();
    }

    /// A number for the next request.
    pub fn next_request(&self) -> u64 {
        if self.post.numbered.get() == 0 {
            // In microseconds: what a session has kept of an earlier run is no number of this one.
            self.post.numbered.set(self.now().1 >> 10);
        }
        self.post.numbered.update(|count| count + 1);
        self.post.numbered.get() * self.workers + self.index as u64
    }

    /// What is said about a call of a service, which is the span of this number. Without a trace it begins one.
    pub fn about_call(&self, from: usize, account: &str, trace: Option<Trace>, span: u64) -> Arc<[u8]> {
        let draw = |half: u8| self.post.traces.hash_one((span, half));
        let begin = || {
            let sampling = self.look(|snapshot| snapshot.traces.as_ref().map(|traces| traces.sampling()));
            Trace::begin(draw(0), draw(1), span, sampling.unwrap_or_default())
        };
        let trace = trace.unwrap_or_else(begin).within(span);
        let buffer = &mut *self.post.about.borrow_mut();
        buffer.clear();
        self.with_service_name(from, |from| About { from, account, trace }.write(buffer));
        Arc::from(&buffer[..])
    }

    /// The place of a service of the configuration, by its name.
    pub fn service(&self, name: &str) -> Option<usize> {
        self.look(|snapshot| snapshot.services.iter().position(|service| *service.name == *name && service.configured))
    }
}
