//! What a session gives out: [`Out`], the sink that takes each effect as it is told.

use std::time::Duration;

use serde::Serialize;

use crate::abi::{Sink, TO_END, admission, row};
use crate::admission::Admission;
use crate::boxed::Waits;
use crate::calls::{Call, RequestId};
use crate::component::Time;
use crate::event::{Server, Stream};
use crate::named;
use crate::record::{self, Outcome, Record};
use crate::rows::Scan;
use crate::session::Session;
use crate::table::Table;
use crate::trace::{Sampling, Span, Trace};

/// Takes the effects of one event. They happen, in the order in which they were told, once `handle` has returned `Ok`;
/// after a panic or a [`Fault`](crate::Fault) none of them does.
///
/// ```
/// use std::time::Duration;
/// use tandem_component::prelude::*;
/// # struct Once;
/// # #[derive(Serialize, Deserialize)]
/// # struct Exchange;
/// # impl Component for Once {
/// #     type Config = ();
/// #     type Session = Exchange;
/// #     const POLICY: Policy = Policy::Renew;
/// #     fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok(Once) }
/// #     fn open(&self, _: &Opening<'_>) -> Result<Exchange, Refusal> { Ok(Exchange) }
/// # }
/// # #[derive(Serialize, Deserialize, Then)]
/// # enum Waiting { Answered }
///
/// #[derive(Serialize)]
/// struct Ticket {
///     ticket: String,
/// }
/// # impl Session for Exchange {
/// #     type Component = Once;
/// #     type Then = Waiting;
///
/// fn handle(&mut self, _: &Once, event: Event<'_, Waiting>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
///     match event {
///         Event::Bytes { stream, bytes } => {
///             let ticket = format!("ticket {}\n", out.random());
///             out.send(stream, ticket.as_bytes());
///             let (bytes_in, bytes_out) = (bytes.len() as u64, ticket.len() as u64);
///             out.record(Record { bytes_in, bytes_out, ..Record::of(Outcome::Done) }, &Ticket { ticket });
///             out.consume(bytes.len());
///             out.writable(stream, Waiting::Answered);
///         }
///         Event::Writable { then: Waiting::Answered } => out.close(Stream::OWN),
///         _ => {}
///     }
///     Ok(())
/// }
/// #     fn at_boundary(&self) -> bool { true }
/// # }
/// # let mut session = Harness::<Once>::start(&()).unwrap();
/// # session.bytes(Stream::OWN, b"?");
/// # assert!(session.sent(Stream::OWN).starts_with(b"ticket "));
/// # assert_eq!(session.records().len(), 1);
/// # assert_eq!(session.ending(Stream::OWN), Some(tandem_component::harness::Ending::Closed));
/// ```
pub struct Out<'a, S: Session> {
    sink: Sink<'a>,
    waits: &'a mut Waits<S::Then>,
    now: Time,
    sampling: Sampling,
}

/// Names one thing that is waited for, so that it can be [cancelled](Out::cancel). Data: it may be kept in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Token(pub(crate) u64);

/// Where to connect to: an upstream by name, and which of its servers and connections will not do.
///
/// ```
/// use tandem_component::{Dial, Server};
/// let tried = [Server(7)];
/// let again = Dial::to("app").avoiding(&tried).fresh();
/// # let _ = again;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Dial<'a> {
    upstream: &'a str,
    avoid: &'a [Server],
    fresh: bool,
}

impl<'a> Dial<'a> {
    /// Any connection to any server of the upstream.
    pub fn to(upstream: &'a str) -> Self {
        Dial { upstream, avoid: &[], fresh: false }
    }

    /// Not to these servers: they were tried.
    #[must_use]
    pub fn avoiding(mut self, servers: &'a [Server]) -> Self {
        self.avoid = servers;
        self
    }

    /// Not over a connection that has served before.
    #[must_use]
    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }
}

impl<'a> From<&'a str> for Dial<'a> {
    fn from(upstream: &'a str) -> Self {
        Dial::to(upstream)
    }
}

/// What a forward is to move.
///
/// ```
/// use std::time::Duration;
/// use tandem_component::{Forward, Stream};
/// let body = Forward::bytes(Stream(1), Stream::OWN, 1 << 30).idle(Duration::from_secs(60));
/// let tunnel = Forward::to_end(Stream::OWN, Stream(1));
/// # let _ = (body, tunnel);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    from: Stream,
    to: Stream,
    bytes: u64,
    idle: u64,
}

impl Forward {
    /// The next `bytes` bytes of `from`. It fails where `from` ends before.
    pub fn bytes(from: Stream, to: Stream, bytes: u64) -> Self {
        Forward { from, to, bytes: bytes.min(TO_END - 1), idle: u64::MAX }
    }

    /// All that comes until the peer of `from` has finished. `to` is left open.
    pub fn to_end(from: Stream, to: Stream) -> Self {
        Forward { from, to, bytes: TO_END, idle: u64::MAX }
    }

    /// It fails (as `stalled`) where nothing moves for this long. Without it, it waits for ever.
    #[must_use]
    pub fn idle(mut self, span: Duration) -> Self {
        self.idle = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self
    }
}

impl<'a, S: Session> Out<'a, S> {
    pub(crate) fn new(sink: Sink<'a>, waits: &'a mut Waits<S::Then>, now: Time, sampling: Sampling) -> Self {
        Out { sink, waits, now, sampling }
    }

    /// The same sink, for a session that this one has inside of it and hands its event to: one that is made of another, with
    /// more or less to it. What the inner one waits for, the outer one waits for.
    ///
    /// ```
    /// use tandem_component::prelude::*;
    /// # struct Greeter;
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Greeting;
    /// # impl Component for Greeter {
    /// #     type Config = ();
    /// #     type Session = Greeting;
    /// #     const POLICY: Policy = Policy::Carry;
    /// #     fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> { Ok(Greeter) }
    /// #     fn open(&self, _: &Opening<'_>) -> Result<Greeting, Refusal> { Ok(Greeting) }
    /// # }
    /// # impl Session for Greeting {
    /// #     type Component = Greeter;
    /// #     type Then = ();
    /// #     fn handle(&mut self, _: &Greeter, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
    /// #         if let Event::Opened = event { out.send(Stream::OWN, b"hello") }
    /// #         Ok(())
    /// #     }
    /// #     fn at_boundary(&self) -> bool { true }
    /// # }
    ///
    /// /// A greeter that says goodbye as well.
    /// struct Polite(Greeter);
    ///
    /// #[derive(Serialize, Deserialize)]
    /// #[serde(transparent)]
    /// struct Visit(Greeting);
    /// # impl Component for Polite {
    /// #     type Config = ();
    /// #     type Session = Visit;
    /// #     const POLICY: Policy = Policy::Carry;
    /// #     fn start(_: (), starting: &Starting<'_>) -> Result<Self, Refusal> { Greeter::start((), starting).map(Polite) }
    /// #     fn open(&self, opening: &Opening<'_>) -> Result<Visit, Refusal> { self.0.open(opening).map(Visit) }
    /// # }
    /// # impl Session for Visit {
    /// #     type Component = Polite;
    /// #     type Then = ();
    ///
    /// fn handle(&mut self, polite: &Polite, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
    ///     self.0.handle(&polite.0, event, &mut out.inside())?;
    ///     out.send(Stream::OWN, b", goodbye");
    ///     Ok(())
    /// }
    /// #     fn at_boundary(&self) -> bool { true }
    /// # }
    /// # let mut visit = Harness::<Polite>::start(&()).unwrap();
    /// # assert_eq!(visit.sent(Stream::OWN), b"hello, goodbye");
    /// ```
    pub fn inside<T: Session<Then = S::Then>>(&mut self) -> Out<'_, T> {
        Out { sink: self.sink.reborrow(), waits: self.waits, now: self.now, sampling: self.sampling }
    }

    /// The time of this event. It does not advance within one.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Takes `n` bytes from the front of the stream whose `Bytes` is being handled. In any other event it does nothing.
    /// More than there are is a fault.
    pub fn consume(&mut self, n: usize) {
        self.sink.consume(n as u64);
    }

    /// Sends bytes on a stream, after all that was sent to it before and after forwards to it that were answered. Where a
    /// forward to it is under way, wait for its answer first: the bytes would come out in the middle of it. On a closed
    /// stream it does nothing.
    ///
    /// The host copies them. Above its high-water mark of unsent bytes (256 KiB a session) it delivers no `Bytes` until
    /// the peers have taken some; past the hard bound (16 MiB) the session ends with a notice.
    pub fn send(&mut self, stream: Stream, bytes: &[u8]) {
        self.sink.send(stream.0, bytes);
    }

    /// Lets the host move what comes in on one stream to another, unread bytes first, without this session seeing them.
    /// Answered by [`Forwarded`](crate::Answer::Forwarded) or [`ForwardFailed`](crate::Answer::ForwardFailed). A stream
    /// has one forward from it at a time; a second is a fault.
    pub fn forward(&mut self, forward: Forward, then: S::Then) -> Token {
        let token = self.waits.mint(then);
        self.sink.forward(forward.from.0, forward.to.0, forward.bytes, forward.idle, token);
        Token(token)
    }

    /// Asks for [`Writable`](crate::Event::Writable) once all that was sent on the stream so far has left for the kernel. Not
    /// answered where the stream is released, closed or breaks first.
    pub fn writable(&mut self, stream: Stream, then: S::Then) -> Token {
        let token = self.waits.mint(then);
        self.sink.writable(stream.0, token);
        Token(token)
    }

    /// Asks for a connection to an upstream: a pooled one or a new one, to the less loaded of two servers. Answered by
    /// [`Dialed`](crate::Answer::Dialed) or [`DialFailed`](crate::Answer::DialFailed).
    pub fn dial<'d>(&mut self, dial: impl Into<Dial<'d>>, then: S::Then) -> Token {
        let dial = dial.into();
        let token = self.waits.mint(then);
        if dial.avoid.is_empty() {
            self.sink.dial(dial.upstream, &[], dial.fresh, token);
        } else {
            let avoid: Vec<u64> = dial.avoid.iter().map(|server| server.0).collect();
            self.sink.dial(dial.upstream, &avoid, dial.fresh, token);
        }
        Token(token)
    }

    /// Gives a dialed stream back to the host's pool: its exchange is complete and it can serve another. One with unread
    /// or unsent bytes is closed instead.
    pub fn release(&mut self, stream: Stream) {
        self.sink.release(stream.0);
    }

    /// Counts a failure against the server behind a dialed stream; enough of them eject it for a while. Refused and
    /// timed-out connections count by themselves.
    pub fn blame(&mut self, stream: Stream) {
        self.sink.blame(stream.0);
    }

    /// Half-closes: nothing more is sent on this stream once all that was sent has left. Reading goes on.
    pub fn finish(&mut self, stream: Stream) {
        self.sink.finish(stream.0);
    }

    /// Closes a stream once all that was sent has left. The session's own stream ends the session, and is closed in a way
    /// that lets the peer read it: the host finishes, and discards what still comes in for up to two seconds. A peer that
    /// takes nothing for 30 seconds is given up.
    pub fn close(&mut self, stream: Stream) {
        self.sink.close(stream.0);
    }

    /// Drops a stream at once, with what is unsent; the peer sees a reset. The session's own stream ends the session.
    pub fn abort(&mut self, stream: Stream) {
        self.sink.abort(stream.0);
    }

    /// Asks for [`Timeout`](crate::Event::Timeout) after a time, to the millisecond, never early.
    pub fn after(&mut self, span: Duration, then: S::Then) -> Token {
        let token = self.waits.mint(then);
        self.sink.after(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX), token);
        Token(token)
    }

    /// Takes back a timer, a dial, a forward, a call or a `writable`: its answer will not come. A dialed connection goes back to
    /// the pool; a forward stops where it is. Unknown and answered tokens are ignored.
    pub fn cancel(&mut self, token: Token) -> Option<S::Then> {
        let then = self.waits.take(token.0)?;
        self.sink.cancel(token.0);
        Some(then)
    }

    /// Makes a row be there with the columns that the struct has as fields, the key's among them. Columns of the table that
    /// it has not keep what they have, or get their default.
    ///
    /// What an event writes is one transaction, committed before any of the event's other effects happens: whoever gets an
    /// answer can rely on what is behind it. Where it cannot be committed, none of them does
    /// ([`StoreFailed`](crate::Event::StoreFailed)). A value of another kind than its column's is a fault.
    ///
    /// # Panics
    /// As all operations on rows, where a value cannot be serialized, which ends the session.
    pub fn put<R: Serialize>(&mut self, table: &Table, row: &R) {
        self.writes().put(table, row);
    }

    /// Changes columns of a row that is there: the struct has the key's and those that are to change. Without such a row
    /// nothing happens.
    pub fn update<R: Serialize>(&mut self, table: &Table, columns: &R) {
        self.writes().update(table, columns);
    }

    /// Adds to a number, whoever else does at the same time. A row that is not there is made, and its number begins with
    /// the column's default. `key` is the key's value, a tuple of them, or a struct.
    pub fn add<K: Serialize>(&mut self, table: &Table, key: &K, column: &str, delta: i64) {
        self.writes().add(table, key, column, delta);
    }

    /// Makes a row go. One that is put there afterwards is a new one, in all columns of all versions.
    pub fn delete<K: Serialize>(&mut self, table: &Table, key: &K) {
        self.writes().delete(table, key);
    }

    /// Makes a row where there is none with its key. Answered by [`Changed`](crate::Answer::Changed) once it is committed.
    pub fn insert<R: Serialize>(&mut self, table: &Table, row: &R, then: S::Then) -> Token {
        let token = self.waits.mint(then);
        self.sink.row(row::INSERT, table.name, &encode(row), &[], 0, token);
        Token(token)
    }

    /// Changes columns of a row where others are as expected (compare and set): `expected` has the key's columns and
    /// those, `columns` what is to change, with the key or without. Answered by [`Changed`](crate::Answer::Changed) once it
    /// is committed.
    pub fn swap<E: Serialize, R: Serialize>(
        &mut self,
        table: &Table,
        expected: &E,
        columns: &R,
        then: S::Then,
    ) -> Token {
        let token = self.waits.mint(then);
        self.sink.row(row::SWAP, table.name, &encode(expected), &encode(columns), 0, token);
        Token(token)
    }

    /// As [`swap`](Out::swap), and where the row is as expected, what `and` writes is written with it: all of it, or nothing.
    pub fn swap_and<E: Serialize, R: Serialize>(
        &mut self,
        table: &Table,
        expected: &E,
        columns: &R,
        then: S::Then,
        and: impl FnOnce(&mut Writes<'_>),
    ) -> Token {
        let token = self.swap(table, expected, columns, then);
        self.sink.row(row::IF_DONE, table.name, &[], &[], 0, 0);
        and(&mut self.writes());
        self.sink.row(row::END, table.name, &[], &[], 0, 0);
        token
    }

    /// What is written without an answer: for functions that write, whether [together](Out::swap_and) or not.
    pub fn writes(&mut self) -> Writes<'_> {
        Writes { sink: self.sink.reborrow() }
    }

    /// Asks for a row. Answered by [`Row`](crate::Answer::Row), with what this session has written before.
    pub fn get<K: Serialize>(&mut self, table: &Table, key: &K, then: S::Then) -> Token {
        let token = self.waits.mint(then);
        self.sink.row(row::GET, table.name, &encode(key), &[], 0, token);
        Token(token)
    }

    /// Asks for rows in the order of an index. Answered by [`Rows`](crate::Answer::Rows).
    pub fn scan(&mut self, scan: &Scan<'_>, then: S::Then) -> Token {
        let token = self.waits.mint(then);
        self.sink.row(row::SCAN, scan.table.name, &scan.encode(), &[], 0, token);
        Token(token)
    }

    /// Asks a service for something: a session of it that [serves](Out::serve), on whichever worker, or, where it keeps no
    /// connections of its own, one that is opened for this. Answered by [`Answered`](crate::Answer::Answered) or
    /// [`CallFailed`](crate::Answer::CallFailed), once.
    ///
    /// It is queued, never re-entered: also a session of the same service gets it after this event.
    ///
    /// What an event of a request asks, and what the answer to a call leads to, is for the same account and a part of the same trace, and
    /// its time is up when that request's is, for as long as that is not answered. Later ones say it themselves, with
    /// [`Call::account`] and [`Call::trace`].
    ///
    /// # Panics
    /// Where `asked` cannot be serialized, which ends the session.
    pub fn call<'c, R: Serialize>(&mut self, call: impl Into<Call<'c>>, asked: &R, then: S::Then) -> Token {
        let call = call.into();
        let token = self.waits.mint(then);
        let trace = call.trace.map(Trace::to_bytes);
        let trace = trace.as_ref().map_or(&[][..], |trace| trace);
        self.sink.call_for(call.service, &encode_call(asked), call.account, trace, call.label, call.within, token);
        Token(token)
    }

    /// Answers a [`Request`](crate::Event::Request). One that was answered or [withdrawn](crate::Event::Withdrawn) is ignored.
    ///
    /// # Panics
    /// Where `response` cannot be serialized, which ends the session.
    pub fn answer<R: Serialize>(&mut self, request: RequestId, response: &R) {
        self.sink.answer(request.0, &encode_call(response));
    }

    /// From now on this session takes requests to its service, or no more. A connection to an SMSC takes some once it is bound.
    /// It holds over a swap; the session's end ends it.
    pub fn serve(&mut self, serving: bool) {
        self.sink.serve(serving);
    }

    /// Asks whether a secret is that of an account. Answered by [`Authenticated`](crate::Answer::Authenticated); by
    /// [`Suspended`](crate::Answer::Suspended) or [`PutOff`](crate::Answer::PutOff) where it may not come in now; or by
    /// [`NotStored`](crate::Answer::NotStored) where the accounts cannot be read.
    pub fn authenticate(&mut self, account: &str, secret: &[u8], then: S::Then) -> Token {
        let token = self.waits.mint(then);
        self.sink.authenticate(account, secret, token);
        Token(token)
    }

    /// Asks whether an account may have this exchange of the session's service, by its agreements. Ask before anything of the
    /// exchange is done. Answered by [`Admitted`](crate::Answer::Admitted) or [`Refused`](crate::Answer::Refused), mostly before
    /// any other event; or by [`NotStored`](crate::Answer::NotStored) where its counts cannot be kept. An account without an
    /// agreement about the service is admitted. See the [manual](crate::manual::agreements).
    ///
    /// Where it is asked to [tell](Admission::telling), the answers are [`AdmittedWith`](crate::Answer::AdmittedWith) and
    /// [`RefusedWith`](crate::Answer::RefusedWith).
    ///
    /// What is [held](Admission::held) counts until it is [`done`](Out::done), whose token this is.
    pub fn admit<'n>(&mut self, admission: impl Into<Admission<'n>>, then: S::Then) -> Token {
        let Admission { account, sender, units, what } = admission.into();
        let what = if sender.is_some() { what | admission::SENDER } else { what };
        let token = self.waits.mint(then);
        self.sink.admit(account, sender.unwrap_or_default(), units, what, token);
        Token(token)
    }

    /// What was admitted and [held](Admission::held) is over. One that is over already, or was refused, is passed over.
    pub fn done(&mut self, admitted: Token) {
        self.sink.done(admitted.0);
    }

    /// Names the conversation that the exchange belongs to, before anything of it is consumed or done: by a cookie, a
    /// Call-ID, a client's name of up to 255 bytes. It ends the turn. The host finds the version that the conversation is bound to,
    /// or binds it to the one that is active, and gives the untouched bytes to a session of that version, after
    /// [`Routed`](crate::Event::Routed).
    ///
    /// A datagram goes to the conversation's own session, wherever that is: one for a key, with the key in its
    /// [`Opening`](crate::Opening). Bindings outlive a restart; a version that is bound is there again after it.
    pub fn route(&mut self, key: &[u8]) {
        self.sink.route(key, true);
    }

    /// As [`route`](Out::route), for a conversation that does not begin here: where it is not bound, the exchange goes on with this
    /// version, and nothing is written. For names that peers may invent, such as cookies.
    pub fn find(&mut self, key: &[u8]) {
        self.sink.route(key, false);
    }

    /// Says what the exchange at hand is labelled with, before anything of it is consumed or done: a field's value, a sender. It ends
    /// the turn. Where a canary is out that takes such exchanges (`canary.labels`), a session of it gets the untouched bytes, else one
    /// of the version that serves, after [`Routed`](crate::Event::Routed). One whose component has policy `pin` stays.
    pub fn label(&mut self, label: &str) {
        self.sink.label(label);
    }

    /// Binds the conversation that begins with this exchange, whose name was not known before (a cookie that a server has just
    /// set), to the version that this session runs. What the event tells happens once the binding is kept; where it cannot
    /// be kept, all the same, with a notice. One that is bound already stays as it is.
    pub fn bind(&mut self, key: &[u8]) {
        self.sink.bind(key);
    }

    /// Keeps the session, as it is after this event, in the store under the key that it was [routed](Out::route) by: it is
    /// resumed when the key is named again, also after a restart. As with rows, nothing that the event tells happens before
    /// that is committed. Without a key it is a fault.
    pub fn save(&mut self) {
        self.sink.save();
    }

    /// A trace that begins here, for what this session asks others: of an exchange that has brought none.
    pub fn begin_trace(&mut self) -> Trace {
        Trace::begin(self.random(), self.random(), self.random(), self.sampling)
    }

    /// The next step of a trace, or the first of one that begins here: for an exchange that others may have led to.
    pub fn begin_span(&mut self, of: Option<Trace>) -> Span {
        match of {
            Some(trace) => Span::within(trace, self.random()),
            None => self.begin_trace().into(),
        }
    }

    /// A random number, from the host; the harness's are reproducible.
    pub fn random(&mut self) -> u64 {
        self.sink.random()
    }

    /// Tells of an exchange that is over how it ended and how long it took: the host counts that by version, for operators to see, and
    /// compares canaries by it. It costs next to nothing, so tell of each. What is recorded is told by that.
    pub fn ended(&mut self, outcome: Outcome, took: Duration) {
        self.sink.ended(outcome as u32, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Writes the record of one exchange, with what the protocol has to say of it: a struct whose fields are numbers, texts or
    /// booleans, and called otherwise than those of [`Record`]. The host adds time, service, component, version, session and peer, and writes it where the service's configuration
    /// says (`records`); [`Starting::records`](crate::Starting::records) tells whether it says so. Where it does not, tell that the exchange has
    /// [ended](Out::ended).
    ///
    /// # Panics
    /// Where `more` is no struct or cannot be serialized, which ends the session.
    pub fn record<R: Serialize>(&mut self, record: Record<'_>, more: &R) {
        self.ended(record.outcome, record.duration);
        self.sink.record(&record::write(&record, more));
    }
}

/// Takes what is written without an answer.
pub struct Writes<'a> {
    sink: Sink<'a>,
}

impl Writes<'_> {
    /// As [`Out::put`].
    pub fn put<R: Serialize>(&mut self, table: &Table, row: &R) {
        self.sink.row(row::PUT, table.name, &encode(row), &[], 0, 0);
    }

    /// As [`Out::update`].
    pub fn update<R: Serialize>(&mut self, table: &Table, columns: &R) {
        self.sink.row(row::UPDATE, table.name, &encode(columns), &[], 0, 0);
    }

    /// As [`Out::add`].
    pub fn add<K: Serialize>(&mut self, table: &Table, key: &K, column: &str, delta: i64) {
        self.sink.row(row::ADD, table.name, &encode(key), column.as_bytes(), delta, 0);
    }

    /// As [`Out::delete`].
    pub fn delete<K: Serialize>(&mut self, table: &Table, key: &K) {
        self.sink.row(row::DELETE, table.name, &encode(key), &[], 0, 0);
    }
}

fn encode_call<T: Serialize>(value: &T) -> Vec<u8> {
    named::write(value).expect("what is asked or answered is a value that can be serialized")
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    named::write(value).expect("a row is a struct of values that can be serialized")
}
