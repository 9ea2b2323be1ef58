//! Sessions: what the host holds of each, and the driver that takes it from event to event.
//!
//! A [`Session`] is data in a slab that its worker owns: the component's state behind a handle, streams with their unread
//! and unsent bytes, timers, and answers that were not yet delivered. All of it but the handle stays where it is when the
//! session moves to another version (`moving`).

mod accounts;
mod admissions;
mod alarms;
mod asked;
mod calls;
mod closing;
mod driver;
mod effects;
mod ending;
mod forward;
mod holding;
mod late;
mod moving;
mod pipe;
mod reading;
pub mod remainder;
mod rereading;
mod routing;
pub mod saving;
mod storing;
mod together;

use std::collections::{BTreeSet, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};
use std::task::Waker;

use tandem_component::abi::{RawEvent, kind};
use tandem_component::{Peer, Role, Transport};

use crate::clock::Nanos;
use crate::loader::code::Conversation;
use crate::service::Owner;
use crate::transport::Socket;
use crate::transport::proxy::header::Client;
use crate::version::{Instance, Lease, Service};

use moving::Behind;
use pipe::Link;

pub use accounts::Identity;
pub use alarms::Alarms;
pub use calls::{Made, Untaken, call_failure, not_answered};
pub use driver::{Driver, Turn};
pub use ending::Ending;
pub use holding::{Holding, State};
pub use moving::Followed;
pub use pipe::Pipe;
pub use routing::Letter;

/// One session, and all that the host holds for it.
pub struct Session {
    /// Its number, unique in this run of the host.
    pub id: u64,
    /// Its place in the worker's slab.
    pub key: usize,
    /// The place of its service in the snapshot.
    pub service: usize,
    /// The component's side. `None` once it has ended: what is left is to bring the last bytes out.
    conversation: Option<Conversation<Instance>>,
    /// Since when it runs on the instance that it does.
    here_since: Nanos,
    /// It has closed its own stream: it ends once the event's effects are carried out.
    over: bool,
    /// The publication that this session has looked at.
    publication: u64,
    greeting: Greeting,
    /// Its streams; its own is the first.
    pipes: Vec<Pipe>,
    next_stream: u64,
    /// When a timer is due, and its token.
    timers: Vec<(Nanos, u64)>,
    /// What the session asked for elsewhere, not yet answered.
    asked: asked::Asked,
    /// What it was admitted and holds.
    admitted: admissions::Admitted,
    /// What the session asked for, answered and not yet delivered.
    answers: VecDeque<Answer>,
    /// Datagrams that came in and are not yet delivered.
    datagrams: VecDeque<Datagram>,
    /// Counts the events that may have changed what the session makes of unread bytes.
    progress: u64,
    /// When the worker wakes this session next; later than every timer only if one was set since.
    alarm: Nanos,
    /// A stream may have unread bytes to offer, or an end to tell.
    offers: bool,
    /// Something has happened since its streams were looked at.
    busy: bool,
    /// The alarm rang: something may be due.
    rang: bool,
    /// Something is due at another time than before: the alarm may have to be set.
    due_changed: bool,
    /// Wakes the session's task.
    waker: Option<Waker>,
    /// It is to be told to say goodbye until then, by the time of day.
    goodbye: Option<u64>,
    /// It could not be moved to the version that is active.
    behind: Option<Box<Behind>>,
    /// It was told to say goodbye, and is ended at this time.
    drained: Option<Nanos>,
    /// An event whose effects wait for what it has written.
    held: Option<Box<storing::Held>>,
    /// How many events in a row could not be stored.
    failures: u32,
    /// How many of the answers that come next are told one by one.
    alone: usize,
    /// The conversation that it is, where it has named one.
    keyed: Option<Box<routing::Keyed>>,
    /// The conversation that it is looked for, of which the session has told.
    routing: Option<Box<routing::Routing>>,
    /// Whether what it has in hand belongs to a conversation that is bound to this version.
    bound: routing::Bound,
    /// What the version at work does not know of the state that it has resumed.
    remainder: Option<Box<remainder::Remainder>>,
    /// Why it has ended, where a connector asks.
    ending: Option<Box<Ending>>,
    /// What it asks of other services, and they of it.
    calls: Option<Box<calls::Calls>>,
    /// Every answer comes late, for tests.
    late: Option<Box<late::Lateness>>,
    /// Whose it is, where a canary asks.
    account: Option<Box<str>>,
    /// What it has labelled the exchange in hand with.
    label: Option<Box<str>>,
}

/// What an `Opening` is made of.
#[derive(Clone, Copy, Debug)]
struct Greeting {
    transport: Transport,
    role: Role,
    peer: Peer,
    local: Peer,
    established: Nanos,
    idle_since: Nanos,
}

/// A datagram that came in.
#[derive(Clone, Debug)]
pub struct Datagram {
    bytes: Vec<u8>,
    /// Where it came in and from whom, where that is not the session's one peer.
    from: Option<(Weak<UdpSocket>, SocketAddr)>,
}

/// What the event of an answer is made of.
#[derive(Clone, Debug, Default)]
struct Answer {
    kind: u32,
    detail: u32,
    token: u64,
    stream: u64,
    number: u64,
    /// Most have none, and are many.
    content: Option<Box<Content>>,
}

/// What an answer brings.
#[derive(Clone, Debug, Default)]
struct Content {
    /// Rows, a response, a name, or what is asked.
    bytes: Vec<u8>,
    /// What goes with it: the bytes of an `About`, of a request and of a call that is answered, or what an admission has left.
    about: Option<Arc<[u8]>>,
    /// What was asked of the store, of rows.
    question: Option<rereading::Question>,
}

impl Content {
    fn of(bytes: Vec<u8>) -> Option<Box<Self>> {
        Some(Box::new(Content { bytes, ..Content::default() }))
    }

    fn beside(bytes: &[u8]) -> Box<Self> {
        Box::new(Content { about: Some(bytes.into()), ..Content::default() })
    }
}

impl Answer {
    fn event<'a>(&'a self, wall: u64) -> RawEvent<'a> {
        let Answer { kind, detail, token, stream, number, ref content } = *self;
        let (bytes, more) = content
            .as_deref()
            .map_or((&[][..], &[][..]), |Content { bytes, about, .. }| (bytes, about.as_deref().unwrap_or_default()));
        RawEvent { detail, token, stream, number, bytes: bytes.into(), more: more.into(), ..RawEvent::new(kind, wall) }
    }

    /// The answer that an event was made of.
    fn again(event: &RawEvent<'_>) -> Self {
        let RawEvent { kind, detail, token, stream, number, bytes, more, .. } = *event;
        let about = matches!(kind, kind::REQUEST | kind::ANSWERED | kind::ADMITTED).then(|| more.as_slice().into());
        let content = Some(Box::new(Content { bytes: bytes.to_vec(), about, question: None }));
        Answer { kind, detail, token, stream, number, content }
    }
}

impl Session {
    /// Wakes its task, if it sleeps.
    pub fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// It is another worker's from now on, with a runtime of its own. A connection that this does not take is lost.
    pub fn change_runtime(&mut self) {
        self.waker = None;
        let lost = self.pipes.iter_mut().filter_map(|pipe| (!pipe.change_runtime()).then_some(pipe.number));
        for stream in lost.collect::<Vec<u64>>() {
            self.lose(stream);
        }
        self.ask_again();
    }

    /// It has another task from now on: all that is waited for is asked for anew.
    pub fn ask_again(&mut self) {
        self.busy = true;
        self.pipes.iter_mut().for_each(|pipe| pipe.read_armed = false);
    }

    /// When it is woken next.
    pub fn alarm_at(&self) -> Nanos {
        self.alarm
    }

    /// What its task is woken by.
    pub fn set_waker(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// Sets the worker's alarm where this session has to be woken earlier than it is. True where that is the earliest.
    pub fn set_alarm(&mut self, alarms: &mut Alarms, key: usize) -> bool {
        if !std::mem::take(&mut self.due_changed) {
            return false;
        }
        let due = Driver::next_due(self);
        if due >= self.alarm {
            return false;
        }
        self.alarm = due;
        alarms.set(due, key, self.id)
    }

    /// Asks it to say goodbye until then. Later askings do not put it off.
    pub fn drain(&mut self, until: Nanos, until_wall: u64) {
        if self.drained.is_none_or(|earlier| until < earlier) {
            self.drained = Some(until);
            self.due_changed = true;
            self.goodbye = Some(until_wall);
            self.wake();
        }
    }

    /// The publication that it has looked at.
    pub fn publication(&self) -> u64 {
        self.publication
    }

    /// The other side.
    pub fn peer(&self) -> Peer {
        self.greeting.peer
    }

    /// Whose connection it is that others may be made for; nobody's where no client has connected to us by TCP.
    pub fn owner(&self) -> Option<Owner> {
        let Link::Up(socket @ (Socket::Tcp(_) | Socket::Tls(_))) = &self.pipes.first()?.socket else { return None };
        match (self.greeting.role, self.greeting.peer, socket.local()) {
            (Role::Server, Peer::Inet(client), Peer::Inet(server)) => {
                Some(Owner { session: self.id, client: Client { client, server } })
            }
            _ => None,
        }
    }

    /// The worker's alarm for this session has rung.
    pub fn alarm_rang(&mut self) {
        self.alarm = Nanos::MAX;
        self.rang = true;
        self.wake();
    }

    /// The instance that it runs on; `None` once it has ended.
    pub fn instance(&self) -> Option<&Instance> {
        self.conversation.as_ref().map(|conversation| &**conversation.lease())
    }

    /// What is to serve it.
    fn chosen(&self, service: &Service) -> Option<Lease<Instance>> {
        let at = self.conversation.as_ref()?.lease();
        service.for_open(at, self.greeting.peer, self.account.as_deref(), self.label.as_deref()).cloned()
    }

    /// Whether it runs on one of the instances with these numbers; every one does on none in particular.
    pub fn runs_on(&self, instances: Option<&BTreeSet<u32>>) -> bool {
        let here = || self.instance().map(|instance| instance.as_ref().number);
        instances.is_none_or(|numbers| here().is_some_and(|here| numbers.contains(&here)))
    }

    /// Takes a datagram in; false where there are too many already.
    pub fn push_datagram(&mut self, bytes: &[u8]) -> bool {
        self.push(Datagram { bytes: bytes.to_vec(), from: None })
    }

    fn push(&mut self, datagram: Datagram) -> bool {
        const DATAGRAMS_MAX: usize = 64;
        if self.datagrams.len() >= DATAGRAMS_MAX {
            return false;
        }
        self.datagrams.push_back(datagram);
        self.wake();
        true
    }
}
