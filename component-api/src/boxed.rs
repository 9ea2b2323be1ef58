//! What a host's session handle points to: a session with what it waits for, and what can be done with it.
//!
//! Safe and generic: the shims of `export.rs` call it across the boundary, the harness without one.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use slab::Slab;

use crate::abi::{About, RawEvent, Sink, authenticated, failure, kind, uncalled, unstored};
use crate::admission::Limit;
use crate::allowance::Allowances;
use crate::calls::{Account, CallFailure, Request, RequestId, Response};
use crate::component::{Component, Opening, Peer, Refusal, Role, Starting, Time, Transport};
use crate::event::{Answer, DialFailure, Event, Server, Stream};
use crate::named;
use crate::out::Out;
use crate::rows::{Row, Rows, StoreFailure};
use crate::session::{Fault, Session, Then};
use crate::trace::Sampling;

/// A session with what it waits for: what a host's session handle points to.
pub(crate) struct Boxed<S: Session> {
    session: S,
    waits: Waits<S::Then>,
}

/// What a session waits for, by token. A token is a slot and a count, so that one is never mistaken for a later one.
pub(crate) struct Waits<T> {
    slots: Slab<(u32, T)>,
    minted: u32,
}

impl<T> Default for Waits<T> {
    fn default() -> Self {
        Waits { slots: Slab::new(), minted: 0 }
    }
}

impl<T> Waits<T> {
    /// A token for `then`. Never 0.
    #[inline]
    pub(crate) fn mint(&mut self, then: T) -> u64 {
        self.minted = if self.minted == u32::MAX { 1 } else { self.minted + 1 };
        let slot = self.slots.insert((self.minted, then));
        u64::from(self.minted) << 32 | slot as u64
    }

    #[inline]
    pub(crate) fn take(&mut self, token: u64) -> Option<T> {
        let (slot, minted) = ((token & 0xffff_ffff) as usize, (token >> 32) as u32);
        match self.slots.get(slot) {
            Some((count, _)) if *count == minted => Some(self.slots.remove(slot).1),
            _ => None,
        }
    }
}

/// A state as it leaves one version …
#[derive(Serialize)]
struct Export<'a, S, T> {
    session: &'a S,
    waits: Vec<Wait<&'a T>>,
    minted: u32,
}

/// … and as another reads it. Fields that it does not know are passed over.
#[derive(Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de>, T: Deserialize<'de>"))]
struct Import<S, T> {
    session: S,
    waits: Vec<Wait<T>>,
    minted: u32,
}

#[derive(Serialize, Deserialize)]
struct Wait<T> {
    token: u64,
    then: T,
}

/// A component at work, with what is the same for all its sessions.
pub(crate) struct Started<C> {
    pub(crate) component: C,
    sampling: Sampling,
}

/// Starts a component from MessagePack.
pub(crate) fn start<C: Component>(starting: &[u8], config: &[u8]) -> Result<Started<C>, Refusal> {
    let starting: Starting<'_> =
        rmp_serde::from_slice(starting).map_err(|error| Refusal::from(format!("the host's greeting: {error}")))?;
    let sampling = starting.traces.unwrap_or_default();
    Ok(Started { component: C::start(read_config(config)?, &starting)?, sampling })
}

/// Opens a session from MessagePack of its `Opening`.
pub(crate) fn open<C: Component>(
    Started { component, .. }: &Started<C>,
    opening: &[u8],
) -> Result<Boxed<C::Session>, Refusal> {
    let opening = read_opening(opening)?;
    Ok(Boxed { session: component.open(&opening)?, waits: Waits::default() })
}

/// Opens a session for one request of another service.
pub(crate) fn open_for_request<C: Component>(
    Started { component, .. }: &Started<C>,
    service: &str,
    session: u64,
    at: Time,
) -> Result<Boxed<C::Session>, Refusal> {
    let opening = Opening {
        service,
        session,
        transport: Transport::Call,
        role: Role::Server,
        peer: Peer::Service,
        local: Peer::Service,
        established: at,
        idle_since: at,
        key: None,
        tls: None,
    };
    Ok(Boxed { session: component.open(&opening)?, waits: Waits::default() })
}

/// Resumes a session from what `export` wrote, in this version or another.
pub(crate) fn resume<C: Component>(
    Started { component, .. }: &Started<C>,
    opening: &[u8],
    state: &[u8],
) -> Result<Boxed<C::Session>, Refusal> {
    let opening = read_opening(opening)?;
    let Import { mut session, waits, minted }: Import<C::Session, <C::Session as Session>::Then> =
        named::read(state).map_err(|(path, why)| Refusal::from(format!("cannot resume the state at {path}: {why}")))?;
    let slots = waits
        .into_iter()
        .map(|wait| ((wait.token & 0xffff_ffff) as usize, ((wait.token >> 32) as u32, wait.then)))
        .collect();
    session.resumed(component, &opening)?;
    Ok(Boxed { session, waits: Waits { slots, minted } })
}

/// Writes a session's state: MessagePack with named fields.
pub(crate) fn export<S: Session>(boxed: &Boxed<S>, out: &mut impl std::io::Write) -> Result<(), Fault> {
    let waits = boxed
        .waits
        .slots
        .iter()
        .map(|(slot, (count, then))| Wait { token: u64::from(*count) << 32 | slot as u64, then })
        .collect();
    let export = Export { session: &boxed.session, waits, minted: boxed.waits.minted };
    let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
    export.serialize(&mut serializer).map_err(|error| Fault::from(format!("cannot export the state: {error}")))
}

/// Is nothing half done?
pub(crate) fn at_boundary<S: Session>(boxed: &Boxed<S>) -> bool {
    boxed.session.at_boundary()
}

/// The session inside.
pub(crate) fn session<S: Session>(boxed: &Boxed<S>) -> &S {
    &boxed.session
}

/// Hands a session one event. One whose kind is unknown, or whose token was cancelled, is passed over.
#[inline]
pub(crate) fn deliver<C: Component>(
    Started { component, sampling }: &Started<C>,
    boxed: &mut Boxed<C::Session>,
    raw: &RawEvent<'_>,
    sink: Sink<'_>,
) -> Result<(), Fault> {
    let Boxed { session, waits } = boxed;
    let now = Time::from_nanos(raw.now);
    if raw.kind == kind::LAST_WORDS {
        session.last_words(component, &mut Out::new(sink, waits, now, *sampling));
        return Ok(());
    }
    let Some(event) = read_event(raw, waits) else { return Ok(()) };
    session.handle(component, event, &mut Out::new(sink, waits, now, *sampling))
}

#[inline]
fn read_event<'a, T: Then>(raw: &'a RawEvent<'_>, waits: &mut Waits<T>) -> Option<Event<'a, T>> {
    let stream = Stream(raw.stream);
    Some(match raw.kind {
        kind::OPENED => Event::Opened,
        kind::BYTES => Event::Bytes { stream, bytes: raw.bytes.as_slice() },
        kind::END => Event::End { stream },
        kind::DATAGRAM => Event::Datagram { bytes: raw.bytes.as_slice() },
        kind::DIALED => Event::Answer {
            then: waits.take(raw.token)?,
            answer: Answer::Dialed { stream, server: Server(raw.number), reused: raw.detail == 1 },
        },
        kind::DIAL_FAILED => Event::Answer {
            then: waits.take(raw.token)?,
            answer: Answer::DialFailed {
                server: raw.number.checked_sub(1).map(Server),
                why: match raw.detail {
                    failure::UNKNOWN => DialFailure::Unknown,
                    failure::NO_SERVER => DialFailure::NoServer,
                    failure::TIMED_OUT => DialFailure::TimedOut,
                    failure::FULL => DialFailure::Full,
                    failure::NOT_ADMITTED => DialFailure::NotAdmitted,
                    _ => DialFailure::Refused,
                },
            },
        },
        kind::FORWARDED => {
            Event::Answer { then: waits.take(raw.token)?, answer: Answer::Forwarded { bytes: raw.number } }
        }
        kind::FORWARD_FAILED => Event::Answer {
            then: waits.take(raw.token)?,
            answer: Answer::ForwardFailed { bytes: raw.number, broken: stream, stalled: raw.detail == 1 },
        },
        kind::TIMEOUT => Event::Timeout { then: waits.take(raw.token)? },
        kind::WRITABLE => Event::Writable { then: waits.take(raw.token)? },
        kind::CLOSED => Event::Closed { stream },
        kind::DRAIN => Event::Drain { until: Time::from_nanos(raw.number) },
        kind::ROW => {
            let row = (raw.detail == 1).then(|| Row(raw.bytes.as_slice()));
            Event::Answer { then: waits.take(raw.token)?, answer: Answer::Row(row) }
        }
        kind::ROWS => Event::Answer { then: waits.take(raw.token)?, answer: Answer::Rows(Rows(raw.bytes.as_slice())) },
        kind::CHANGED => Event::Answer { then: waits.take(raw.token)?, answer: Answer::Changed(raw.detail == 1) },
        kind::STORE_FAILED => {
            let why = store_failure(raw.detail);
            if raw.token == 0 {
                return Some(Event::StoreFailed { why });
            }
            Event::Answer { then: waits.take(raw.token)?, answer: Answer::NotStored(why) }
        }
        kind::REQUEST => Event::Request {
            id: RequestId(raw.number),
            request: {
                let About { from, account, trace } = About::read(raw.more.as_slice())?;
                Request { from, asked: raw.bytes.as_slice(), account, trace, deadline: Time::from_nanos(raw.stream) }
            },
        },
        kind::WITHDRAWN => Event::Withdrawn { id: RequestId(raw.number) },
        kind::ANSWERED => {
            Event::Answer { then: waits.take(raw.token)?, answer: Answer::Answered(Response(raw.bytes.as_slice())) }
        }
        kind::CALL_FAILED => {
            let why = match raw.detail {
                uncalled::UNKNOWN => CallFailure::Unknown,
                uncalled::FULL => CallFailure::Full,
                uncalled::TIMED_OUT => CallFailure::TimedOut,
                uncalled::ENDED => CallFailure::Ended,
                uncalled::TOO_DEEP => CallFailure::TooDeep,
                uncalled::NOT_ADMITTED => CallFailure::NotAdmitted,
                _ => CallFailure::Down,
            };
            Event::Answer { then: waits.take(raw.token)?, answer: Answer::CallFailed(why) }
        }
        kind::AUTHENTICATED => {
            let then = waits.take(raw.token)?;
            let account = || std::str::from_utf8(raw.bytes.as_slice()).ok().map(|name| Account { name });
            let answer = match raw.detail {
                authenticated::ACCOUNT => Answer::Authenticated(account()),
                authenticated::SUSPENDED => account().map_or(Answer::Authenticated(None), Answer::Suspended),
                authenticated::PUT_OFF => Answer::PutOff { until: Time::from_nanos(raw.number) },
                _ => Answer::Authenticated(None),
            };
            Event::Answer { then, answer }
        }
        kind::ADMITTED => {
            let then = waits.take(raw.token)?;
            let (limit, frees_at) = (Limit::of(raw.detail), (raw.number > 0).then(|| Time::from_nanos(raw.number)));
            let left = Some(Allowances(raw.more.as_slice())).filter(|left| !left.0.is_empty());
            let answer = match (raw.detail, left) {
                (0, None) => Answer::Admitted,
                (0, Some(left)) => Answer::AdmittedWith(left),
                (_, None) => Answer::Refused { limit, frees_at },
                (_, Some(left)) => Answer::RefusedWith { limit, frees_at, left },
            };
            Event::Answer { then, answer }
        }
        kind::ROUTED => Event::Routed { bound: if raw.detail == 0 { Ok(()) } else { Err(store_failure(raw.detail)) } },
        _ => return None,
    })
}

fn store_failure(detail: u32) -> StoreFailure {
    match detail {
        unstored::CONFLICT => StoreFailure::Conflict,
        _ => StoreFailure::Unavailable,
    }
}

/// Reads a configuration. None at all is `()`, or a table without keys, whichever the component takes.
fn read_config<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    const NIL: [u8; 1] = [0xc0];
    const NO_KEYS: [u8; 1] = [0x80];
    let read = |bytes: &[u8]| {
        // It was written by a person, as text: sizes, addresses and spans read it so.
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let reason = error.into_inner();
            Refusal::from(if path == "." { format!("{reason}") } else { format!("{path}: {reason}") })
        })
    };
    if bytes != NIL {
        return read(bytes);
    }
    read(&NIL).or_else(|_: Refusal| read(&NO_KEYS))
}

fn read_opening(bytes: &[u8]) -> Result<Opening<'_>, Refusal> {
    rmp_serde::from_slice(bytes).map_err(|error| Refusal::from(format!("the host's opening: {error}")))
}
