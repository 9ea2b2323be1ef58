//! Drives a session with no host: bytes in, effects out, a clock that you move by hand.
//!
//! The harness plays the host by the host's own rules: effects happen once an event has been handled; unread bytes are
//! delivered when more have come or after another event; a forward moves what is there; an answer comes in the same turn,
//! or, in [late mode](Harness::late), after other events. A test asserts what a peer would see.
//!
//! ```
//! use std::time::Duration;
//! use tandem_component::prelude::*;
//! # struct Echo;
//! # #[derive(Serialize, Deserialize)]
//! # struct Conversation;
//! # impl Component for Echo {
//! #     type Config = ();
//! #     type Session = Conversation;
//! #     const POLICY: Policy = Policy::Carry;
//! #     fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok(Echo) }
//! #     fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> { Ok(Conversation) }
//! # }
//! # impl Session for Conversation {
//! #     type Component = Echo;
//! #     type Then = ();
//! #     fn handle(&mut self, _: &Echo, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
//! #         if let Event::Bytes { stream, bytes } = event { out.send(stream, bytes); out.consume(bytes.len()); }
//! #         Ok(())
//! #     }
//! #     fn at_boundary(&self) -> bool { true }
//! # }
//! let mut old = Harness::<Echo>::start(&()).unwrap();
//! old.bytes(Stream::OWN, b"one");
//! let mut new = old.carry::<Echo>(&()).unwrap();
//! new.bytes(Stream::OWN, b"two");
//! assert_eq!(new.sent(Stream::OWN), b"onetwo");
//! ```

mod admissions;
mod calls;
mod rereading;
mod rows;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::abi::{RawEvent, Sink, TO_END, authenticated, failure, kind, row, unstored};
use crate::boxed::{self, Boxed, Started};
use crate::component::{Component, Opening, Peer, Refusal, Role, Secured, Starting, Time, Transport};
use crate::effects::{Batch, Effect, Range};
use crate::event::{DialFailure, Server, Stream};
use crate::late::{self, Late};
use crate::record::Outcome;
use crate::rows::StoreFailure;
use crate::session::Fault;
use crate::table::Table;

pub use admissions::Admitted;
pub use calls::Calling;

/// One session of `C` and all that a host would hold for it.
pub struct Harness<C: Component> {
    component: Started<C>,
    session: Boxed<C::Session>,
    host: Host,
}

/// A connection that the session asked for and that the test has not yet answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialing {
    /// The upstream's name.
    pub upstream: String,
    /// The servers that will not do.
    pub avoid: Vec<Server>,
    /// Whether a reused connection will not do.
    pub fresh: bool,
    token: u64,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Closed by the session.
    Closed,
    /// Dropped by the session.
    Aborted,
    /// Given back to the pool.
    Released,
    /// Closed by the peer.
    Gone,
}

/// What stays where it is when a session is carried.
struct Host {
    now: u64,
    opening: OpeningParts,
    streams: BTreeMap<u64, Pipe>,
    timers: Vec<(u64, u64)>,
    dials: VecDeque<Dialing>,
    answers: VecDeque<RawEvent<'static>>,
    records: Vec<Vec<u8>>,
    ended: Vec<(Outcome, Duration)>,
    tables: rows::Tables,
    calls: calls::Calls,
    admissions: admissions::Admissions,
    /// The conversation that the session is.
    key: Option<Vec<u8>>,
    /// The keys that were named, and whether the last is still looked for.
    routes: Vec<Vec<u8>>,
    labels: Vec<String>,
    bindings: Vec<Vec<u8>>,
    routing: bool,
    saved: Option<Vec<u8>>,
    /// The bytes of answers that have some, by token.
    found: HashMap<u64, Vec<u8>>,
    /// What rows were asked for, by the token of the answer.
    asked: HashMap<u64, rereading::Question>,
    /// Nothing can be stored, for this reason.
    unstored: Option<StoreFailure>,
    /// How many events in a row could not be stored.
    failures: u32,
    blamed: Vec<Stream>,
    fault: Option<Fault>,
    /// The stream whose bytes the batch may consume.
    offered: Option<u64>,
    /// Counts the events that may have changed what the session makes of unread bytes.
    progress: u64,
    over: bool,
    next_stream: u64,
    late: Option<Late>,
    batch: Batch,
}

struct OpeningParts {
    established: u64,
    idle_since: u64,
    role: Role,
    transport: Transport,
    tls: Option<Agreed>,
}

/// What was agreed on, as [`Secured`] says it.
struct Agreed {
    alpn: Option<String>,
    server_name: Option<String>,
    subject: Option<String>,
}

#[derive(Default)]
struct Pipe {
    unread: Vec<u8>,
    sent: Vec<u8>,
    offered: Option<(u64, usize)>,
    ended: bool,
    end_told: bool,
    finished: bool,
    ending: Option<Ending>,
    forward: Option<Forwarding>,
}

struct Forwarding {
    to: u64,
    left: u64,
    moved: u64,
    idle: u64,
    deadline: u64,
    token: u64,
}

/// So many events in a row may fail to be stored.
const FAILURES_MAX: u32 = 3;

const NOON: u64 = 1_767_268_800_000_000_000;

impl<C: Component> Harness<C> {
    /// Starts a component and opens one session of it, on a TCP connection from 192.0.2.1 that was just accepted.
    ///
    /// # Errors
    /// What `start` or `open` refuses, and a configuration that is not one of this component.
    pub fn start(config: &impl Serialize) -> Result<Self, Refusal> {
        Harness::start_as(config, Role::Server, Transport::Tcp)
    }

    /// From now on the random numbers are others: for one of several sessions that share what they store.
    pub fn draw_from(&mut self, seed: u64) {
        let mut random = seed;
        self.host.batch = Batch::new(move || late::next(&mut random));
    }

    /// As [`start`](Harness::start), in another role or on another transport.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_as(config: &impl Serialize, role: Role, transport: Transport) -> Result<Self, Refusal> {
        Harness::start_on(config, role, transport, None)
    }

    /// As [`start`](Harness::start), on a connection with TLS.
    ///
    /// ```
    /// use tandem_component::prelude::*;
    /// # use std::borrow::Cow;
    /// struct Whoever;
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Conversation;
    /// impl Component for Whoever {
    ///     type Config = ();
    ///     type Session = Conversation;
    ///     const POLICY: Policy = Policy::Renew;
    ///     fn start((): (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok(Whoever) }
    ///     fn open(&self, opening: &Opening<'_>) -> Result<Conversation, Refusal> {
    ///         match opening.tls.and_then(|tls| tls.subject) {
    ///             Some(_) => Ok(Conversation),
    ///             None => Err(Refusal::from("nobody knows who you are")),
    ///         }
    ///     }
    /// }
    /// # impl Session for Conversation {
    /// #     type Component = Whoever;
    /// #     type Then = ();
    /// #     fn handle(&mut self, _: &Whoever, _: Event<'_, ()>, _: &mut Out<'_, Self>) -> Result<(), Fault> { Ok(()) }
    /// #     fn at_boundary(&self) -> bool { true }
    /// # }
    /// assert!(Harness::<Whoever>::start(&()).is_err());
    /// let alice = Harness::<Whoever>::start_by_tls(&(), Secured::new(None, None, Some("CN=alice"))).unwrap();
    /// // What a session was opened with, whoever takes it over is told as well.
    /// alice.renew::<Whoever>(&()).unwrap();
    /// ```
    ///
    /// # Errors
    /// As `start`.
    pub fn start_by_tls(config: &impl Serialize, agreed: Secured<'_>) -> Result<Self, Refusal> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (alpn, server_name) = (owned(agreed.alpn), owned(agreed.server_name));
        let agreed = Agreed { alpn, server_name, subject: owned(agreed.subject) };
        Harness::start_on(config, Role::Server, Transport::Tcp, Some(agreed))
    }

    fn start_on(
        config: &impl Serialize,
        role: Role,
        transport: Transport,
        tls: Option<Agreed>,
    ) -> Result<Self, Refusal> {
        let component = start::<C>(config)?;
        let mut random = 0x7461_6e64_656d_u64;
        let mut host = Host {
            now: NOON,
            opening: OpeningParts { established: NOON, idle_since: NOON, role, transport, tls },
            streams: BTreeMap::from([(Stream::OWN.0, Pipe::default())]),
            timers: Vec::new(),
            dials: VecDeque::new(),
            answers: VecDeque::new(),
            records: Vec::new(),
            ended: Vec::new(),
            tables: rows::Tables::default(),
            calls: calls::Calls::default(),
            admissions: admissions::Admissions::default(),
            key: None,
            routes: Vec::new(),
            labels: Vec::new(),
            bindings: Vec::new(),
            routing: false,
            saved: None,
            found: HashMap::new(),
            asked: HashMap::new(),
            unstored: None,
            failures: 0,
            blamed: Vec::new(),
            fault: None,
            offered: None,
            progress: 0,
            over: false,
            next_stream: 1,
            late: None,
            batch: Batch::new(move || late::next(&mut random)),
        };
        let session = boxed::open(&component, &host.opening())?;
        host.answers.push_back(RawEvent::new(kind::OPENED, NOON));
        let mut harness = Harness { component, session, host };
        harness.turn();
        Ok(harness)
    }

    /// From now on every answer comes late, and other events come between, in an order that the seed decides: what the store
    /// answers comes in the order in which it was asked, and a timer, say, comes before or after it.
    /// [`sent`](Harness::sent) waits for all of them.
    #[must_use]
    pub fn late(mut self, seed: u64) -> Self {
        self.host.late = Some(Late::new(seed));
        self
    }

    /// Bytes come in on a stream.
    pub fn bytes(&mut self, stream: Stream, bytes: &[u8]) {
        if let Some(pipe) = self.host.open(stream.0) {
            pipe.unread.extend_from_slice(bytes);
        }
        self.turn();
    }

    /// A datagram comes in.
    pub fn datagram(&mut self, bytes: &[u8]) {
        let now = self.host.now;
        let mut event = RawEvent::bytes(0, bytes, now);
        event.kind = kind::DATAGRAM;
        self.deliver(&event);
        self.turn();
    }

    /// The peer of a stream has finished.
    pub fn end(&mut self, stream: Stream) {
        if let Some(pipe) = self.host.open(stream.0) {
            pipe.ended = true;
        }
        self.turn();
    }

    /// A stream breaks.
    pub fn break_off(&mut self, stream: Stream) {
        self.host.fail_forwards(stream.0);
        if let Some(pipe) = self.host.open(stream.0) {
            pipe.ending = Some(Ending::Gone);
            pipe.unread.clear();
            let event = RawEvent { stream: stream.0, ..RawEvent::new(kind::CLOSED, 0) };
            self.host.answers.push_back(event);
        }
        self.turn();
    }

    /// Time passes; timers that come due are told in their order.
    pub fn advance(&mut self, span: Duration) {
        let until = self.host.now + u64::try_from(span.as_nanos()).expect("a test's span of time fits");
        while let Some(due) = self.host.next_due().filter(|due| *due <= until) {
            self.host.now = self.host.now.max(due);
            self.host.fire();
            self.turn();
        }
        self.host.now = until;
        self.turn();
    }

    /// The host asks the session to say goodbye.
    pub fn drain(&mut self, within: Duration) {
        let until = (Time::from_nanos(self.host.now) + within).nanos();
        self.host.answers.push_back(RawEvent { number: until, ..RawEvent::new(kind::DRAIN, 0) });
        self.turn();
    }

    /// The oldest dial that is not answered yet.
    pub fn dialing(&mut self) -> Option<Dialing> {
        self.settle();
        self.host.dials.front().cloned()
    }

    /// Answers the oldest dial with a connection to a server.
    ///
    /// # Panics
    /// Where nothing is being dialed.
    pub fn connect(&mut self, server: Server, reused: bool) -> Stream {
        self.settle();
        let dial = self.host.dials.pop_front().expect("the session has dialed");
        let stream = self.host.next_stream;
        self.host.next_stream += 1;
        self.host.streams.insert(stream, Pipe::default());
        let event = RawEvent {
            token: dial.token,
            stream,
            number: server.0,
            detail: u32::from(reused),
            ..RawEvent::new(kind::DIALED, 0)
        };
        self.host.answers.push_back(event);
        self.turn();
        Stream(stream)
    }

    /// Answers the oldest dial with a failure.
    ///
    /// # Panics
    /// Where nothing is being dialed.
    pub fn refuse(&mut self, server: Option<Server>, why: DialFailure) {
        self.settle();
        let dial = self.host.dials.pop_front().expect("the session has dialed");
        let detail = match why {
            DialFailure::Unknown => failure::UNKNOWN,
            DialFailure::NoServer => failure::NO_SERVER,
            DialFailure::Refused => failure::REFUSED,
            DialFailure::TimedOut => failure::TIMED_OUT,
            DialFailure::Full => failure::FULL,
            DialFailure::NotAdmitted => failure::NOT_ADMITTED,
        };
        let number = server.map_or(0, |server| server.0 + 1);
        self.host.answers.push_back(RawEvent {
            token: dial.token,
            number,
            detail,
            ..RawEvent::new(kind::DIAL_FAILED, 0)
        });
        self.turn();
    }

    /// Takes what was sent on a stream since the last call.
    pub fn sent(&mut self, stream: Stream) -> Vec<u8> {
        self.settle();
        self.host.streams.get_mut(&stream.0).map(|pipe| std::mem::take(&mut pipe.sent)).unwrap_or_default()
    }

    /// What the host holds of a stream that the session has not consumed.
    pub fn unread(&self, stream: Stream) -> &[u8] {
        self.host.streams.get(&stream.0).map_or(&[], |pipe| &pipe.unread)
    }

    /// Whether the session has half-closed a stream.
    pub fn finished(&mut self, stream: Stream) -> bool {
        self.settle();
        self.host.streams.get(&stream.0).is_some_and(|pipe| pipe.finished)
    }

    /// What became of a stream; `None` while it is open.
    pub fn ending(&mut self, stream: Stream) -> Option<Ending> {
        self.settle();
        self.host.streams.get(&stream.0).and_then(|pipe| pipe.ending)
    }

    /// The streams whose servers were blamed.
    pub fn blamed(&self) -> &[Stream] {
        &self.host.blamed
    }

    /// Takes the records written since the last call, as MessagePack.
    pub fn records(&mut self) -> Vec<Vec<u8>> {
        self.settle();
        std::mem::take(&mut self.host.records)
    }

    /// Takes how the exchanges ended that it has [told](crate::Out::ended) of since the last call, and how long they took.
    pub fn ended(&mut self) -> Vec<(Outcome, Duration)> {
        self.settle();
        std::mem::take(&mut self.host.ended)
    }

    /// All rows of a table, as a version that declares it so sees them.
    ///
    /// # Panics
    /// Where a row does not fit `R`.
    pub fn rows<R: DeserializeOwned>(&mut self, table: &Table) -> Vec<R> {
        self.settle();
        let rows = self.host.tables.all(table);
        rows.iter().map(|row| rmp_serde::from_slice(row).expect("the row fits what it is read into")).collect()
    }

    /// From now on nothing can be stored, for this reason; or again, with `None`.
    pub fn fail_store(&mut self, why: Option<StoreFailure>) {
        self.host.unstored = why;
    }

    /// The keys that the session has [named](crate::Out::route).
    pub fn routes(&self) -> &[Vec<u8>] {
        &self.host.routes
    }

    /// The labels that the session has told, in their order. In the harness no canary is out.
    pub fn labels(&self) -> &[String] {
        &self.host.labels
    }

    /// The keys that the session has [bound](crate::Out::bind).
    pub fn bindings(&self) -> &[Vec<u8>] {
        &self.host.bindings
    }

    /// The state that was [saved](crate::Out::save) last, in MessagePack.
    pub fn saved(&self) -> Option<&[u8]> {
        self.host.saved.as_deref()
    }

    /// The fault that ended the session, if one did.
    pub fn fault(&self) -> Option<&Fault> {
        self.host.fault.as_ref()
    }

    /// Is nothing half done?
    pub fn at_boundary(&self) -> bool {
        boxed::at_boundary(&self.session)
    }

    /// The session's state.
    pub fn session(&self) -> &C::Session {
        boxed::session(&self.session)
    }

    /// The session's state as it crosses to another version, in MessagePack.
    ///
    /// # Errors
    /// Where the state cannot be serialized.
    pub fn export(&self) -> Result<Vec<u8>, Fault> {
        let mut state = Vec::new();
        boxed::export(&self.session, &mut state)?;
        Ok(state)
    }

    /// Carries the session to another version: exported by this one, resumed by `D`, with streams, timers, dials and
    /// forwards left where they are. Rows that it is still to be told of are read again, as `D` sees them.
    ///
    /// # Errors
    /// Where `D` refuses the configuration or the state; the host would leave the session where it is.
    pub fn carry<D: Component>(self, config: &impl Serialize) -> Result<Harness<D>, Refusal> {
        let state = self.export().map_err(|fault| Refusal::from(fault.to_string()))?;
        let component = start::<D>(config)?;
        let session = boxed::resume(&component, &self.host.opening(), &state)?;
        let mut harness = Harness { component, session, host: self.host };
        harness.host.read_again(D::TABLES);
        harness.turn();
        Ok(harness)
    }

    /// What the host does at a boundary with a session of policy `renew`: another is opened on the same connection.
    ///
    /// # Errors
    /// Where `D` refuses the configuration or the session.
    ///
    /// # Panics
    /// Where the session is not at a boundary.
    pub fn renew<D: Component>(mut self, config: &impl Serialize) -> Result<Harness<D>, Refusal> {
        self.settle();
        assert!(self.at_boundary(), "only a session at a boundary is renewed");
        let component = start::<D>(config)?;
        let session = boxed::open(&component, &self.host.opening())?;
        self.host.timers.clear();
        for pipe in self.host.streams.values_mut() {
            (pipe.offered, pipe.end_told) = (None, false);
        }
        self.host.answers.push_back(RawEvent::new(kind::OPENED, 0));
        let mut harness = Harness { component, session, host: self.host };
        harness.turn();
        Ok(harness)
    }

    /// Delivers all answers that are under way.
    fn settle(&mut self) {
        let late = self.host.late.take();
        self.turn();
        self.host.late = late;
    }

    /// Delivers what there is until nothing changes.
    fn turn(&mut self) {
        loop {
            self.host.move_forwards();
            let event = self.host.next_answer();
            if let Some(mut event) = event {
                self.host.routing &= event.kind != kind::ROUTED;
                let (found, more) = match event.kind {
                    kind::REQUEST => self.host.calls.take_asked(event.number),
                    kind::ADMITTED => (Vec::new(), self.host.admissions.take_told(event.token)),
                    _ => (self.host.found.remove(&event.token).unwrap_or_default(), Vec::new()),
                };
                if event.kind == kind::ANSWERED {
                    self.host.calls.told(event.token);
                }
                event.now = self.host.now;
                let (bytes, more) = (found.as_slice().into(), more.as_slice().into());
                self.deliver(&RawEvent { bytes, more, ..event });
                self.host.calls.behalf = None;
                continue;
            }
            let Some(stream) = self.host.next_unread() else { break };
            self.offer(stream);
        }
    }

    /// Offers a stream's unread bytes, or its end.
    fn offer(&mut self, stream: u64) {
        let (now, progress) = (self.host.now, self.host.progress);
        let pipe = self.host.streams.get_mut(&stream).expect("next_unread names one that is there");
        if pipe.unread.is_empty() || pipe.offered == Some((progress, pipe.unread.len())) {
            pipe.end_told = true;
            self.deliver(&RawEvent { stream, ..RawEvent::new(kind::END, now) });
            return;
        }
        let unread = pipe.unread.clone();
        self.deliver(&RawEvent::bytes(stream, &unread, now));
        if let Some(pipe) = self.host.open(stream).filter(|pipe| pipe.unread.len() == unread.len()) {
            // Nothing consumed: not offered again until more comes or another event was handled. A stream that was ended
            // instead is such an event for the others.
            pipe.offered = Some((progress, unread.len()));
            self.host.progress = progress;
        }
    }

    /// Hands the session one event and carries out its effects.
    fn deliver(&mut self, event: &RawEvent<'_>) {
        if self.host.over {
            return;
        }
        self.host.batch.clear();
        let before = if C::TABLES.is_empty() && self.host.key.is_none() { None } else { self.export().ok() };
        let result = boxed::deliver(&self.component, &mut self.session, event, Sink::new(&mut self.host.batch));
        self.host.progress += 1;
        self.host.offered = (event.kind == kind::BYTES).then_some(event.stream);
        let result = result.and_then(|()| match self.host.batch.is_too_much() {
            true => Err(Fault::from(Batch::TOO_MUCH)),
            false => Ok(()),
        });
        let result = result.and_then(|()| self.save());
        let result = match result.and_then(|()| self.host.store(C::TABLES)) {
            Ok(Some(why)) => return self.take_back(event, before, why),
            Ok(None) => {
                // Being told of a failure is not what went well after it.
                self.host.failures *= u32::from(event.kind == kind::STORE_FAILED);
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = result {
            self.host.batch.clear();
            let event = RawEvent::new(kind::LAST_WORDS, event.now);
            // Last words return no fault.
            let _ = boxed::deliver(&self.component, &mut self.session, &event, Sink::new(&mut self.host.batch));
            self.host.fault = Some(fault);
        }
        self.host.carry_out();
        self.host.over |= self.host.fault.is_some() || event.kind == kind::CLOSED && event.stream == Stream::OWN.0;
    }
}

impl<C: Component> Harness<C> {
    /// Keeps the session's state where the event has asked for it, and nothing else is against it.
    fn save(&mut self) -> Result<(), Fault> {
        if !self.host.batch.effects.iter().any(|effect| matches!(effect, Effect::Save)) {
            return Ok(());
        }
        if self.host.key.is_none() {
            return Err(Fault::from("a session is saved under its key, and this one has none: route it first"));
        }
        if self.host.unstored.is_none() {
            self.host.saved = Some(self.export()?);
        }
        Ok(())
    }

    /// What an event wrote was not stored: the session is as it was before the event, is told so, and gets it again.
    fn take_back(&mut self, event: &RawEvent<'_>, before: Option<Vec<u8>>, why: u32) {
        self.host.batch.clear();
        self.host.failures += 1;
        if self.host.failures > FAILURES_MAX {
            self.host.fault = Some(Fault::from("what it writes cannot be stored"));
            self.host.over = true;
            return;
        }
        let before = before.expect("a session with tables or a key is exported before each event");
        self.session = boxed::resume(&self.component, &self.host.opening(), &before).unwrap_or_else(|refusal| {
            panic!("a session has to resume what it exported itself: {refusal}");
        });
        // Bytes are still unread, and are offered again.
        if event.kind != kind::BYTES && event.kind != kind::STORE_FAILED {
            if event.kind == kind::REQUEST {
                self.host.calls.ask_again(event);
            } else if event.kind == kind::ADMITTED {
                self.host.admissions.tell_again(event);
            } else if !event.bytes.is_empty() {
                self.host.found.insert(event.token, event.bytes.as_slice().to_vec());
            }
            self.host.answers.push_front(RawEvent {
                bytes: [].as_slice().into(),
                more: [].as_slice().into(),
                ..*event
            });
        }
        self.host.answers.push_front(RawEvent { detail: why, ..RawEvent::new(kind::STORE_FAILED, 0) });
    }
}

impl Host {
    /// Carries out the operations on rows of the batch, as one transaction. `Some` where they fail.
    fn store(&mut self, declared: &[Table]) -> Result<Option<u32>, Fault> {
        let saves = self.batch.effects.iter().any(|effect| matches!(effect, Effect::Save));
        if saves && let Some(why) = self.unstored {
            return Ok(Some(number(why)));
        }
        if !self.batch.has_writes() {
            return Ok(None);
        }
        let (mut tables, mut writes) = (self.tables.clone(), false);
        let mut answers: Vec<(u32, u32, Vec<u8>, u64)> = Vec::new();
        let mut asked = Vec::new();
        // Up to the end of what is done on condition it is not.
        let mut skips = false;
        for effect in &self.batch.effects {
            let Effect::Row { operation, table, first, second, number, token } = *effect else { continue };
            match operation {
                row::IF_DONE => skips = !matches!(answers.last(), Some((kind::CHANGED, 1, ..))),
                row::END => skips = false,
                _ => {}
            }
            if skips || matches!(operation, row::IF_DONE | row::END) {
                continue;
            }
            let (first, second) = (self.batch.bytes(first), self.batch.bytes(second));
            let told = rows::Operation { operation, table: self.batch.text(table), first, second, number };
            writes |= rows::writes(operation);
            match tables.carry_out(declared, &told)? {
                rows::Outcome::Silent => {}
                rows::Outcome::Failed(why) => return Ok(Some(why)),
                rows::Outcome::Answer(kind, detail, bytes) => {
                    asked.extend(rereading::Question::of(&told).map(|question| (token, question)));
                    answers.push((kind, detail, bytes, token));
                }
            }
        }
        let unstored = self.unstored.map(number);
        if let (Some(why), true) = (unstored, writes) {
            return Ok(Some(why));
        }
        self.tables = tables;
        self.asked.extend(asked);
        for (kind, detail, bytes, token) in answers {
            let (kind, detail) = unstored.map_or((kind, detail), |why| (kind::STORE_FAILED, why));
            self.found.insert(token, bytes);
            self.answers.push_back(RawEvent { token, detail, ..RawEvent::new(kind, 0) });
        }
        Ok(None)
    }

    fn opening(&self) -> Vec<u8> {
        let opening = Opening {
            service: "test",
            session: 1,
            transport: self.opening.transport,
            role: self.opening.role,
            peer: Peer::Inet(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 40_000))),
            local: Peer::Inet(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 2), 80))),
            established: Time::from_nanos(self.opening.established),
            idle_since: Time::from_nanos(self.opening.idle_since),
            key: self.key.as_deref(),
            tls: self.opening.tls.as_ref().map(|agreed| {
                Secured::new(agreed.alpn.as_deref(), agreed.server_name.as_deref(), agreed.subject.as_deref())
            }),
        };
        rmp_serde::to_vec_named(&opening).expect("an opening is numbers and texts")
    }

    /// A stream that is still open.
    fn open(&mut self, stream: u64) -> Option<&mut Pipe> {
        self.streams.get_mut(&stream).filter(|pipe| pipe.ending.is_none())
    }

    /// The answer that is told now: each in its turn, or, where they come late, whichever is drawn, if one is.
    fn next_answer(&mut self) -> Option<RawEvent<'static>> {
        let late = self.late.as_mut();
        // An event that could not be stored is told again at once, late or not: nothing comes between it and `StoreFailed`.
        let Some(late) = late.filter(|_| self.failures == 0) else { return self.answers.pop_front() };
        let answers = || self.answers.iter().map(|answer| (answer.kind, answer.token));
        let at = match late::urgent(answers()) {
            Some(at) => at,
            None if late.draw().is_multiple_of(2) => return None,
            None => late.choose(answers())?,
        };
        self.answers.remove(at)
    }

    /// The next stream with something to offer: unread bytes that were not refused as they are, or an end not told.
    fn next_unread(&self) -> Option<u64> {
        if self.over || self.routing {
            return None;
        }
        let progress = self.progress;
        let offers = |pipe: &Pipe| {
            let open = pipe.ending.is_none() && pipe.forward.is_none();
            let news = pipe.offered != Some((progress, pipe.unread.len()));
            open && (!pipe.unread.is_empty() && news || pipe.ended && !pipe.end_told)
        };
        let told = |stream| !self.answers.iter().any(|answer| late::precedes(answer.kind, answer.stream, stream));
        self.streams.iter().find(|(stream, pipe)| offers(pipe) && told(**stream)).map(|(stream, _)| *stream)
    }

    fn next_due(&self) -> Option<u64> {
        let timers = self.timers.iter().map(|(due, _)| *due);
        let forwards = self.streams.values().filter_map(|pipe| pipe.forward.as_ref()).map(|forward| forward.deadline);
        timers.chain(forwards).chain(self.calls.deadlines()).min()
    }

    /// Tells what is due at this time.
    fn fire(&mut self) {
        let now = self.now;
        self.timers.sort_unstable();
        let due = self.timers.partition_point(|(due, _)| *due <= now);
        for (_, token) in self.timers.drain(..due) {
            self.answers.push_back(RawEvent { token, ..RawEvent::new(kind::TIMEOUT, 0) });
        }
        self.answers.extend(self.calls.overdue(now));
        for (stream, pipe) in &mut self.streams {
            if let Some(forward) = pipe.forward.take_if(|forward| forward.deadline <= now) {
                self.answers.push_back(forward.failed(*stream, true));
            }
        }
    }

    /// Moves what forwards can move, and answers those that are done or have failed.
    fn move_forwards(&mut self) {
        let streams: Vec<u64> = self.streams.keys().copied().collect();
        for from in streams {
            let pipe = self.streams.get_mut(&from).expect("listed just now");
            let Some(mut forward) = pipe.forward.take() else { continue };
            let n = usize::try_from(forward.left).unwrap_or(usize::MAX).min(pipe.unread.len());
            let moved: Vec<u8> = pipe.unread.drain(..n).collect();
            let ended = pipe.ended && pipe.unread.is_empty();
            forward.moved += n as u64;
            if forward.left != TO_END {
                forward.left -= n as u64;
            }
            if n > 0 {
                forward.deadline = self.now.saturating_add(forward.idle);
            }
            let token = forward.token;
            let target = self.open(forward.to).filter(|pipe| !pipe.finished);
            let Some(target) = target else {
                self.answers.push_back(forward.failed(forward.to, false));
                continue;
            };
            target.sent.extend_from_slice(&moved);
            if forward.left == 0 || (forward.left == TO_END && ended) {
                let event = RawEvent { token, number: forward.moved, ..RawEvent::new(kind::FORWARDED, 0) };
                self.answers.push_back(event);
            } else if ended {
                self.answers.push_back(forward.failed(from, false));
            } else if let Some(pipe) = self.streams.get_mut(&from) {
                pipe.forward = Some(forward);
            }
        }
    }

    /// Answers the forwards from and to a stream that breaks.
    fn fail_forwards(&mut self, broken: u64) {
        for (from, pipe) in &mut self.streams {
            if let Some(forward) = pipe.forward.take_if(|forward| *from == broken || forward.to == broken) {
                self.answers.push_back(forward.failed(broken, false));
            }
        }
    }

    /// Carries out the batch, in order.
    fn carry_out(&mut self) {
        for effect in std::mem::take(&mut self.batch.effects) {
            match effect {
                Effect::Consume { n } => self.consume(n),
                Effect::Send { stream, bytes } => {
                    let bytes = self.batch.bytes(bytes).to_vec();
                    if let Some(pipe) = self.open(stream).filter(|pipe| !pipe.finished) {
                        pipe.sent.extend_from_slice(&bytes);
                    }
                }
                Effect::Forward { from, to, n, idle, token } => {
                    let deadline = self.now.saturating_add(idle);
                    let forward = Forwarding { to, left: n, moved: 0, idle, deadline, token };
                    match self.open(from) {
                        None => self.answers.push_back(forward.failed(from, false)),
                        Some(pipe) if pipe.forward.is_some() => {
                            self.fault = Some(Fault::from("a second forward from one stream"));
                        }
                        Some(pipe) => pipe.forward = Some(forward),
                    }
                }
                Effect::Writable { token, .. } => {
                    self.answers.push_back(RawEvent { token, ..RawEvent::new(kind::WRITABLE, 0) });
                }
                Effect::Dial { upstream, avoid, fresh, token } => self.dials.push_back(Dialing {
                    upstream: self.batch.text(upstream).to_owned(),
                    avoid: self.batch.numbers(avoid).map(Server).collect(),
                    fresh,
                    token,
                }),
                Effect::Release { stream } => {
                    let clean = self.open(stream).is_some_and(|pipe| pipe.unread.is_empty() && !pipe.ended);
                    self.end_stream(stream, if clean { Ending::Released } else { Ending::Closed });
                }
                Effect::Blame { stream } => self.blamed.push(Stream(stream)),
                Effect::Finish { stream } => {
                    if let Some(pipe) = self.open(stream) {
                        pipe.finished = true;
                    }
                }
                Effect::Close { stream } => self.end_stream(stream, Ending::Closed),
                Effect::Abort { stream } => self.end_stream(stream, Ending::Aborted),
                Effect::After { nanos, token } => self.timers.push((self.now.saturating_add(nanos), token)),
                Effect::Cancel { token } => self.cancel(token),
                // Done already: all of an event's are one transaction, before its other effects.
                Effect::Row { .. } | Effect::Save => {}
                Effect::Call { service, asked, account, trace, within, token, .. } => {
                    let what = (self.batch.text(service), self.batch.bytes(asked));
                    let behalf = (self.batch.text(account), self.batch.bytes(trace));
                    self.calls.call(what, behalf, self.now.saturating_add(within), token);
                }
                Effect::Answer { request, response } => self.calls.answer(request, self.batch.bytes(response)),
                Effect::Serve { serving } => self.calls.serving = serving,
                Effect::Authenticate { account, secret, token } => {
                    let (account, secret) = (self.batch.text(account), self.batch.bytes(secret));
                    let (detail, until) = self.calls.identify(account, secret, self.now);
                    if matches!(detail, authenticated::ACCOUNT | authenticated::SUSPENDED) {
                        self.found.insert(token, account.as_bytes().to_vec());
                    }
                    let identified = RawEvent::new(kind::AUTHENTICATED, 0);
                    self.answers.push_back(RawEvent { token, detail, number: until, ..identified });
                }
                Effect::Admit { account, sender, units, what, token } => {
                    let (account, sender) = (self.batch.text(account), self.batch.text(sender));
                    let answer = self.admissions.admit(account, sender, units, what, token, self.now);
                    self.answers.push_back(answer);
                }
                Effect::Done { token } => self.admissions.done(token),
                Effect::Route { key, .. } => self.route(key),
                Effect::Label { label } => {
                    self.labels.push(self.batch.text(label).to_owned());
                    self.answers.push_back(RawEvent::new(kind::ROUTED, 0));
                }
                Effect::Bind { key } => self.bindings.push(self.batch.bytes(key).to_vec()),
                Effect::Record { fields } => self.records.push(self.batch.bytes(fields).to_vec()),
                Effect::Ended { outcome, nanos } => {
                    self.ended.push((Outcome::ALL[outcome as usize], Duration::from_nanos(nanos)));
                }
            }
        }
    }

    fn consume(&mut self, n: u64) {
        let Some(stream) = self.offered else { return };
        let Some(pipe) = self.streams.get_mut(&stream) else { return };
        match usize::try_from(n).ok().filter(|n| *n <= pipe.unread.len()) {
            Some(n) => drop(pipe.unread.drain(..n)),
            None => self.fault = Some(Fault::from("consumed more than there was")),
        }
    }

    /// Finds the conversation: in the harness every one is bound to the version at hand.
    fn route(&mut self, key: Range) {
        let key = self.batch.bytes(key).to_vec();
        if !(1..=255).contains(&key.len()) || self.routing {
            self.fault = Some(Fault::from("a conversation's name has 1 to 255 bytes, and an event names one"));
            return;
        }
        // Where it cannot be found the session is none.
        self.key = self.unstored.is_none().then(|| key.clone()).or(self.key.take());
        self.routes.push(key);
        self.routing = true;
        let detail = self.unstored.map_or(0, number);
        self.answers.push_back(RawEvent { detail, ..RawEvent::new(kind::ROUTED, 0) });
    }

    fn cancel(&mut self, token: u64) {
        self.calls.cancel(token);
        self.admissions.cancel(token);
        self.timers.retain(|timer| timer.1 != token);
        self.dials.retain(|dial| dial.token != token);
        self.answers.retain(|answer| answer.token != token);
        for pipe in self.streams.values_mut() {
            pipe.forward.take_if(|forward| forward.token == token);
        }
    }

    fn end_stream(&mut self, stream: u64, ending: Ending) {
        let Some(pipe) = self.open(stream) else { return };
        pipe.ending = Some(ending);
        pipe.forward = None;
        self.fail_forwards(stream);
        self.over |= stream == Stream::OWN.0;
    }
}

fn number(why: StoreFailure) -> u32 {
    match why {
        StoreFailure::Unavailable => unstored::UNAVAILABLE,
        StoreFailure::Conflict => unstored::CONFLICT,
    }
}

impl Forwarding {
    fn failed(&self, broken: u64, stalled: bool) -> RawEvent<'static> {
        let (number, detail) = (self.moved, u32::from(stalled));
        RawEvent { token: self.token, stream: broken, number, detail, ..RawEvent::new(kind::FORWARD_FAILED, 0) }
    }
}

fn start<C: Component>(config: &impl Serialize) -> Result<Started<C>, Refusal> {
    let starting = Starting {
        service: "test",
        version: "test@0.0.0#000000",
        upstreams: vec!["app"],
        run: 1,
        records: true,
        traces: None,
    };
    let starting = rmp_serde::to_vec_named(&starting).expect("texts can be serialized");
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    config.serialize(&mut serializer).map_err(|error| Refusal::from(error.to_string()))?;
    boxed::start(&starting, &bytes)
}
