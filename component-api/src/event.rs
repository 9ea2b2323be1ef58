//! What a session takes in: [`Event`], and the [`Answer`]s to what it asked for.

use serde::{Deserialize, Serialize};

use crate::admission::Limit;
use crate::allowance::Allowances;
use crate::calls::{Account, CallFailure, Request, RequestId, Response};
use crate::component::Time;
use crate::rows::{Row, Rows, StoreFailure};

/// One thing that happened to a session. What each kind means for it is in the [manual](crate::manual::sessions).
///
/// New kinds are added at the end; a component is never given one that its revision of the API does not know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a, Then> {
    /// The session begins: on a new connection, or on one that another session of policy `renew` has left at a
    /// boundary.
    Opened,
    /// Unread bytes of a stream, oldest first. What is not [consumed](crate::Out::consume) stays with the host and is
    /// delivered again, with what follows it, when more has come or after another event of this session.
    Bytes {
        /// Where they came in.
        stream: Stream,
        /// At least one byte, at most the host's read-ahead (64 KiB, more where the session leaves it unread).
        bytes: &'a [u8],
    },
    /// The peer will send no more on this stream (a half-close). Comes after its last bytes were consumed or seen, and again
    /// to a session that renews another.
    End {
        /// The stream that ended.
        stream: Stream,
    },
    /// One datagram, whole. The session's answers go to the peer of its `Opening`.
    Datagram {
        /// What it said; not to be consumed.
        bytes: &'a [u8],
    },
    /// What this session asked for.
    Answer {
        /// What it continues.
        then: Then,
        /// The answer.
        answer: Answer<'a>,
    },
    /// The time of an [`after`](crate::Out::after) has come.
    Timeout {
        /// What it continues.
        then: Then,
    },
    /// What was sent on a stream has left for the kernel ([`writable`](crate::Out::writable)).
    Writable {
        /// What it continues.
        then: Then,
    },
    /// A stream is gone, by an error or because both sides have finished. After the one on the session's own stream
    /// no further event comes.
    Closed {
        /// The stream that is gone.
        stream: Stream,
    },
    /// Say goodbye in the protocol's own way: the host shuts down, or the version's drain deadline has come.
    Drain {
        /// After this the host closes the connection itself.
        until: Time,
    },
    /// What the last event wrote could not be committed. None of its effects has happened, and the session is as it was
    /// before it: this is the time to remember that the protocol's temporary error is to be said. The event follows again;
    /// after the third failure in a row the session is ended.
    StoreFailed {
        /// Why.
        why: StoreFailure,
    },
    /// Another session asks for something ([`call`](crate::Out::call)), because this one has said that it
    /// [serves](crate::Out::serve), or was opened for this one request.
    Request {
        /// Under which it is [answered](crate::Out::answer), in this event or a later one; valid in every version.
        id: RequestId,
        /// What is asked, and by whom.
        request: Request<'a>,
    },
    /// Who asked no longer waits: it has cancelled, has ended, or its time is up. An answer goes nowhere.
    Withdrawn {
        /// The request.
        id: RequestId,
    },
    /// The conversation that this session has [named](crate::Out::route) is found or begun, and this session's version is
    /// the one that it is bound to. The unread bytes are offered next: of this exchange, `route` was asked.
    ///
    /// It comes to whichever session has the exchange now: the one that asked, or, right after its
    /// [`Opened`](Event::Opened), one of another version.
    Routed {
        /// Or the store that keeps the bindings could not be asked: answer with the protocol's temporary error.
        bound: Result<(), StoreFailure>,
    },
}

/// The answer to a dial, a forward, a call, or a question to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// A connection to a server of the upstream is there.
    Dialed {
        /// The stream under which the session uses it.
        stream: Stream,
        /// Which server it is.
        server: Server,
        /// Whether the connection has served an exchange before: it may turn out to be dead at the first write.
        reused: bool,
    },
    /// There is no connection.
    DialFailed {
        /// The server that was tried last, if one was.
        server: Option<Server>,
        /// Why.
        why: DialFailure,
    },
    /// A forward has moved all that it was to move.
    Forwarded {
        /// How many bytes.
        bytes: u64,
    },
    /// A forward ended too early.
    ForwardFailed {
        /// How many bytes it had moved.
        bytes: u64,
        /// The stream that ended or broke; its own `End` or `Closed` follows. Where it stalled: the stream that takes
        /// nothing, else the one that gives nothing.
        broken: Stream,
        /// Whether nothing has moved for the forward's `idle`; the streams are still there.
        stalled: bool,
    },
    /// The row that was asked for; `None` where there is none with that key.
    Row(Option<Row<'a>>),
    /// The rows that a scan found.
    Rows(Rows<'a>),
    /// Whether an insert or a swap was done.
    Changed(bool),
    /// The store could not answer.
    NotStored(StoreFailure),
    /// What a service has answered to a call.
    Answered(Response<'a>),
    /// It has not.
    CallFailed(CallFailure),
    /// Whose secret it is; `None` where there is no such account or the secret is another.
    Authenticated(Option<Account<'a>>),
    /// The secret is the account's, and the account is suspended.
    Suspended(Account<'a>),
    /// The secret was not looked at: too many wrong ones were tried on the account, or by this peer.
    PutOff {
        /// When it is looked at again.
        until: Time,
    },
    /// The exchange may be carried out.
    Admitted,
    /// It may not.
    Refused {
        /// Which limit of the agreement it would exceed.
        limit: Limit,
        /// When it would no longer. `None` where that is not a matter of time alone.
        frees_at: Option<Time>,
    },
    /// As `Admitted`, with what is left after it, as was [asked](crate::Admission::telling).
    AdmittedWith(Allowances<'a>),
    /// As `Refused`, with what is left, as was [asked](crate::Admission::telling).
    RefusedWith {
        /// Which limit of the agreement it would exceed.
        limit: Limit,
        /// When it would no longer. `None` where that is not a matter of time alone.
        frees_at: Option<Time>,
        /// What is left: of this limit too little.
        left: Allowances<'a>,
    },
}

/// Why a dial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialFailure {
    /// The configuration has no upstream of that name.
    Unknown,
    /// Every server is ejected or was to be avoided.
    NoServer,
    /// The server refused the connection or could not be reached.
    Refused,
    /// The upstream's `connect_timeout` has passed.
    TimedOut,
    /// The upstream's `max_connections` are all in use.
    Full,
    /// The service's exchanges have to be admitted, and the session holds no admission of one.
    NotAdmitted,
}

/// The host's number of a stream within its session; valid in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stream(pub u64);

impl Stream {
    /// The connection that the session was opened on. The session ends when it is closed.
    pub const OWN: Stream = Stream(0);
}

/// The host's number of a server of an upstream; valid in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Server(pub u64);
