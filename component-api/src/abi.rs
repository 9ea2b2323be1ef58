//! The boundary between the host and a component, in types whose layout does not depend on a compiler.
//!
//! Policy, and the reason that an old component goes on loading:
//! - Tables of functions grow at the end only; nothing in them is changed, moved or removed. Each begins with its
//!   revision and its size in bytes.
//! - [`RawEvent`] never changes its shape; new kinds of events get new numbers, and the host sends a component none that
//!   is newer than the component's revision.
//! - What has structure and is rare (an opening, a configuration, a session's state) crosses as MessagePack with named
//!   fields, so a field can be added.
//! - Memory that crosses belongs to the host, in both directions: inputs are borrowed for the call, outputs are written
//!   through [`Reply`] or the [`SinkTable`] into buffers of the host.
//! - No panic crosses: a component catches its own in every entry; a host function that panics aborts the process, since
//!   it is called from `extern "C"`.
//!
//! Both ends are generated here: the host implements [`Effects`] and [`Reports`], safe traits, and gets its tables by
//! [`sink_table`] and [`host_table`]; the component's table is made in `export.rs`.

#![allow(unsafe_code)] // Our end of the boundary.
#![allow(missing_docs)] // abi_stable's derive makes public items that cannot be given a comment.
#![allow(clippy::too_many_arguments)] // Of the functions of a table, which nobody calls but the macros below.
#![allow(non_local_definitions, clippy::used_underscore_items)] // abi_stable 0.11 predates these lints.

use std::marker::PhantomData;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RSlice, RStr};

pub use abi_stable;
pub use about::About;
pub use reply::Reply;
pub use reports::{HostTable, HostTableRef, Reports, host_table};

mod about;
mod reply;
mod reports;

/// The revision of the API. A component of an older one loads; one of a newer one is refused.
pub const REVISION: u32 = 7;

/// The symbol under which a component exports its `LibHeader`.
pub const SYMBOL: &str = "tandem_component_root";

/// What a component offers. Each function catches its own panics and says so in its result.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ComponentTableRef)))]
#[sabi(missing_field(panic))]
pub struct ComponentTable {
    pub revision: u32,
    pub size: u32,
    /// Called once after loading: the component installs its panic hook and its log there.
    pub begin: extern "C" fn(host: HostTableRef),
    /// Panics inside and catches it: a library with `panic = "abort"` does not come back. True: caught.
    pub probe: extern "C" fn() -> bool,
    /// The manifest as the code knows it, to be compared with the section's bytes.
    pub manifest: extern "C" fn() -> RSlice<'static, u8>,
    /// Starts a component; null with a reason in `reply` when it refuses. Takes MessagePack of `Starting` and `Config`.
    pub start: extern "C" fn(starting: RSlice<'_, u8>, config: RSlice<'_, u8>, reply: &mut Reply<'_>) -> *mut (),
    /// Drops a component. The pointer is from `start` and is used no more.
    pub stop: unsafe extern "C" fn(component: *mut ()),
    /// Opens a session; null with a reason in `reply` when it refuses. Takes MessagePack of `Opening`.
    pub open: unsafe extern "C" fn(component: *const (), opening: RSlice<'_, u8>, reply: &mut Reply<'_>) -> *mut (),
    /// Resumes a session from an exported state; null with a reason in `reply` when it refuses.
    pub resume: unsafe extern "C" fn(
        component: *const (),
        opening: RSlice<'_, u8>,
        state: RSlice<'_, u8>,
        reply: &mut Reply<'_>,
    ) -> *mut (),
    /// Writes a session's state into `reply`: [`DONE`], or [`FAULT`] with a reason, or [`PANICKED`].
    pub export: unsafe extern "C" fn(session: *const (), reply: &mut Reply<'_>) -> u32,
    /// Is nothing half done?
    pub at_boundary: unsafe extern "C" fn(session: *const ()) -> bool,
    /// Hands a session one event: [`DONE`], or [`FAULT`] with a reason in `reply`, or [`PANICKED`].
    pub handle: unsafe extern "C" fn(
        component: *const (),
        session: *mut (),
        event: &RawEvent<'_>,
        sink: &mut Sink<'_>,
        reply: &mut Reply<'_>,
    ) -> u32,
    /// Drops a session. The pointer is from `open` or `resume` and is used no more.
    #[sabi(last_prefix_field)]
    pub close: unsafe extern "C" fn(session: *mut ()),
    // Revision 5.
    /// How many bytes the library has allocated and not freed; [`UNCOUNTED`] where it does not count them.
    pub memory: extern "C" fn() -> u64,
    /// From now on it is never to have more: the allocation that would make it more calls `exhausted` of the host's table first.
    pub limit_memory: extern "C" fn(bytes: u64),
    /// As `open`, of a session for one request of another service. Takes the component, the service, the session's number, and the
    /// time, in nanoseconds since 1970.
    pub open_for_request: unsafe extern "C" fn(*const (), RStr<'_>, u64, u64, &mut Reply<'_>) -> *mut (),
}

/// A library has an allocator of its own, and says nothing of it.
pub const UNCOUNTED: u64 = u64::MAX;

impl RootModule for ComponentTableRef {
    abi_stable::declare_root_module_statics! {ComponentTableRef}
    const BASE_NAME: &'static str = "tandem_component";
    const NAME: &'static str = "tandem_component";
    // Fixed: whether two sides fit is decided by `REVISION` and the layout, not by a package's version.
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// An event was handled, a state was exported.
pub const DONE: u32 = 0;
/// It was not, with a reason in the reply.
pub const FAULT: u32 = 1;
/// The component panicked; the hook has reported where.
pub const PANICKED: u32 = 2;

/// The reply where a component panicked as it was to make something.
pub const PANIC: &str = "panicked";

/// One event. Its shape is fixed for good; which fields mean something depends on the kind.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct RawEvent<'a> {
    pub kind: u32,
    /// The kind of an answer's outcome, or a flag.
    pub detail: u32,
    /// What this continues; 0 where nothing.
    pub token: u64,
    pub stream: u64,
    pub number: u64,
    /// Nanoseconds since 1970.
    pub now: u64,
    pub bytes: RSlice<'a, u8>,
    /// Reserved for a second slice.
    pub more: RSlice<'a, u8>,
}

impl<'a> RawEvent<'a> {
    /// An event that says nothing but its kind.
    pub fn new(kind: u32, now: u64) -> Self {
        RawEvent { kind, detail: 0, token: 0, stream: 0, number: 0, now, bytes: RSlice::EMPTY, more: RSlice::EMPTY }
    }

    /// `Bytes` of a stream.
    pub fn bytes(stream: u64, bytes: &'a [u8], now: u64) -> Self {
        RawEvent { stream, bytes: RSlice::from_slice(bytes), ..RawEvent::new(kind::BYTES, now) }
    }
}

/// The kinds of events, by revision. Numbers are never used again.
pub mod kind {
    // Revision 1.
    pub const OPENED: u32 = 1;
    pub const BYTES: u32 = 2;
    pub const END: u32 = 3;
    pub const DATAGRAM: u32 = 4;
    /// `stream`, `number` = server, `detail` = 1 where the connection is reused.
    pub const DIALED: u32 = 5;
    /// `number` = server + 1 or 0, `detail` = a number of [`failure`](super::failure).
    pub const DIAL_FAILED: u32 = 6;
    /// `number` = bytes moved.
    pub const FORWARDED: u32 = 7;
    /// `number` = bytes moved, `stream` = the one that broke or stalls, `detail` = 1 where it stalled.
    pub const FORWARD_FAILED: u32 = 8;
    pub const TIMEOUT: u32 = 9;
    pub const WRITABLE: u32 = 10;
    pub const CLOSED: u32 = 11;
    /// `number` = until, in nanoseconds since 1970.
    pub const DRAIN: u32 = 12;
    /// After a panic or a fault.
    pub const LAST_WORDS: u32 = 13;
    // Revision 2.
    /// `bytes` = the row, `detail` = 1 where there is one.
    pub const ROW: u32 = 14;
    /// `bytes` = a list of rows.
    pub const ROWS: u32 = 15;
    /// `detail` = 1 where an insert or a swap was done.
    pub const CHANGED: u32 = 16;
    /// `token` = the question, or 0 for what an event wrote; `detail` = a number of [`unstored`](super::unstored).
    pub const STORE_FAILED: u32 = 17;
    // Revision 3.
    /// `number` = the request, `bytes` = what is asked, `more` = the name of the service that asks. From revision 6 on: `more` = an
    /// [`About`](super::About), `stream` = until when there is somebody who waits, in nanoseconds since 1970.
    pub const REQUEST: u32 = 18;
    /// `number` = the request.
    pub const WITHDRAWN: u32 = 19;
    /// `bytes` = the response.
    pub const ANSWERED: u32 = 20;
    /// `detail` = a number of [`uncalled`](super::uncalled).
    pub const CALL_FAILED: u32 = 21;
    /// `detail` = a number of [`authenticated`](super::authenticated), `bytes` = the account's name, `number` = when to ask
    /// again, in nanoseconds since 1970.
    pub const AUTHENTICATED: u32 = 22;
    /// `detail` = 0, or a number of [`unstored`](super::unstored).
    pub const ROUTED: u32 = 23;
    // Revision 4.
    /// `detail` = 0, or a number of [`limit`](super::limit), `number` = when it frees, in nanoseconds since 1970, or 0.
    /// From revision 6 on: `more` = what is left, where that was asked, as a list in MessagePack with named fields.
    pub const ADMITTED: u32 = 24;
}

/// What is done with the rows of a table. In brackets: what `first` and `second` are, in MessagePack.
pub mod row {
    /// [the row]
    pub const PUT: u32 = 1;
    /// [the key and the columns to be changed]
    pub const UPDATE: u32 = 2;
    /// [the key; the column's name, as text], `number` = how much.
    pub const ADD: u32 = 3;
    /// [the key]
    pub const DELETE: u32 = 4;
    /// [the row]
    pub const INSERT: u32 = 5;
    /// [the key and the columns that are expected; the columns to be changed]
    pub const SWAP: u32 = 6;
    /// [the key]
    pub const GET: u32 = 7;
    /// [a `Scan`]
    pub const SCAN: u32 = 8;
    // Revision 6.
    /// What follows, up to [`END`], is done only where the insert or the swap that was told before it is.
    pub const IF_DONE: u32 = 9;
    pub const END: u32 = 10;
}

/// Why nothing was stored, as a number.
pub mod unstored {
    pub const UNAVAILABLE: u32 = 1;
    pub const CONFLICT: u32 = 2;
}

/// Why a call failed, as a number.
pub mod uncalled {
    pub const UNKNOWN: u32 = 1;
    pub const DOWN: u32 = 2;
    pub const FULL: u32 = 3;
    pub const TIMED_OUT: u32 = 4;
    pub const ENDED: u32 = 5;
    pub const TOO_DEEP: u32 = 6;
    // Revision 4.
    pub const NOT_ADMITTED: u32 = 7;
}

/// Whose secret it is, as a number. Revision 3 takes what it does not know for `NOBODY`.
pub mod authenticated {
    pub const NOBODY: u32 = 0;
    pub const ACCOUNT: u32 = 1;
    // Revision 4.
    pub const SUSPENDED: u32 = 2;
    pub const PUT_OFF: u32 = 3;
}

/// What is to be admitted, in bits.
pub mod admission {
    /// Until it is done.
    pub const HELD: u32 = 1;
    /// A session, not an exchange.
    pub const SESSION: u32 = 2;
    /// It has a sender.
    pub const SENDER: u32 = 4;
    // Revision 6.
    /// What is left is to be told.
    pub const TELL: u32 = 8;
}

/// What has refused an admission, as a number.
pub mod limit {
    pub const RATE: u32 = 1;
    pub const MINUTE: u32 = 2;
    pub const HOUR: u32 = 3;
    pub const DAY: u32 = 4;
    pub const MONTH: u32 = 5;
    pub const CONCURRENT: u32 = 6;
    pub const SESSIONS: u32 = 7;
    pub const SENDER: u32 = 8;
    pub const TIME_OF_DAY: u32 = 9;
    pub const SUSPENDED: u32 = 10;
}

/// Why a dial failed, as a number.
pub mod failure {
    pub const UNKNOWN: u32 = 1;
    pub const NO_SERVER: u32 = 2;
    pub const REFUSED: u32 = 3;
    pub const TIMED_OUT: u32 = 4;
    pub const FULL: u32 = 5;
    // Revision 4.
    pub const NOT_ADMITTED: u32 = 6;
}

/// `forward` to the end of the stream.
pub const TO_END: u64 = u64::MAX;

/// What the host offers while a component is in `handle`: one function an effect.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = SinkTableRef)))]
#[sabi(missing_field(panic))]
pub struct SinkTable {
    pub revision: u32,
    pub size: u32,
    pub consume: unsafe extern "C" fn(data: *mut (), n: u64),
    pub send: unsafe extern "C" fn(data: *mut (), stream: u64, bytes: RSlice<'_, u8>),
    /// `n` bytes or [`TO_END`]; `idle` in nanoseconds, `u64::MAX` for none.
    pub forward: unsafe extern "C" fn(data: *mut (), from: u64, to: u64, n: u64, idle: u64, token: u64),
    pub writable: unsafe extern "C" fn(data: *mut (), stream: u64, token: u64),
    /// `fresh`: no connection that has served before.
    pub dial: unsafe extern "C" fn(data: *mut (), upstream: RStr<'_>, avoid: RSlice<'_, u64>, fresh: bool, token: u64),
    pub release: unsafe extern "C" fn(data: *mut (), stream: u64),
    pub blame: unsafe extern "C" fn(data: *mut (), stream: u64),
    pub finish: unsafe extern "C" fn(data: *mut (), stream: u64),
    pub close: unsafe extern "C" fn(data: *mut (), stream: u64),
    pub abort: unsafe extern "C" fn(data: *mut (), stream: u64),
    pub after: unsafe extern "C" fn(data: *mut (), nanos: u64, token: u64),
    pub cancel: unsafe extern "C" fn(data: *mut (), token: u64),
    pub random: unsafe extern "C" fn(data: *mut ()) -> u64,
    /// MessagePack of a map of names to values.
    #[sabi(last_prefix_field)]
    pub record: unsafe extern "C" fn(data: *mut (), fields: RSlice<'_, u8>),
    // Revision 2.
    /// An operation of the module `row` on a table.
    pub row: unsafe extern "C" fn(
        data: *mut (),
        operation: u32,
        table: RStr<'_>,
        first: RSlice<'_, u8>,
        second: RSlice<'_, u8>,
        number: i64,
        token: u64,
    ),
    // Revision 3.
    /// What is asked, in MessagePack; `within` in nanoseconds.
    pub call: unsafe extern "C" fn(data: *mut (), service: RStr<'_>, asked: RSlice<'_, u8>, within: u64, token: u64),
    pub answer: unsafe extern "C" fn(data: *mut (), request: u64, response: RSlice<'_, u8>),
    pub serve: unsafe extern "C" fn(data: *mut (), serving: bool),
    pub authenticate: unsafe extern "C" fn(data: *mut (), account: RStr<'_>, secret: RSlice<'_, u8>, token: u64),
    /// `begin`: one that is not bound is bound to the active version.
    pub route: unsafe extern "C" fn(data: *mut (), key: RSlice<'_, u8>, begin: bool),
    pub bind: unsafe extern "C" fn(data: *mut (), key: RSlice<'_, u8>),
    pub save: unsafe extern "C" fn(data: *mut ()),
    // Revision 4.
    /// `what`: bits of the module `admission`.
    pub admit:
        unsafe extern "C" fn(data: *mut (), account: RStr<'_>, sender: RStr<'_>, units: u64, what: u32, token: u64),
    pub done: unsafe extern "C" fn(data: *mut (), token: u64),
    // Revision 6.
    /// As `call`, for an account, or an empty name for that of the request which the event is about; `trace` as its bytes, or
    /// nothing for that one's; `label` is empty where there is none.
    pub call_for: unsafe extern "C" fn(
        data: *mut (),
        service: RStr<'_>,
        asked: RSlice<'_, u8>,
        account: RStr<'_>,
        trace: RSlice<'_, u8>,
        label: RStr<'_>,
        within: u64,
        token: u64,
    ),
    /// Answered by `ROUTED`.
    pub label: unsafe extern "C" fn(data: *mut (), label: RStr<'_>),
    // Revision 7.
    /// `outcome`: the number of an [`Outcome`](crate::Outcome).
    pub ended: unsafe extern "C" fn(data: *mut (), outcome: u32, nanos: u64),
}

/// The effects of a session, as the host or the harness carries them out. See `Out` for what each means.
pub trait Effects {
    fn consume(&mut self, n: u64);
    fn send(&mut self, stream: u64, bytes: &[u8]);
    fn forward(&mut self, from: u64, to: u64, n: u64, idle: u64, token: u64);
    fn writable(&mut self, stream: u64, token: u64);
    fn dial(&mut self, upstream: &str, avoid: &[u64], fresh: bool, token: u64);
    fn release(&mut self, stream: u64);
    fn blame(&mut self, stream: u64);
    fn finish(&mut self, stream: u64);
    fn close(&mut self, stream: u64);
    fn abort(&mut self, stream: u64);
    fn after(&mut self, nanos: u64, token: u64);
    fn cancel(&mut self, token: u64);
    fn random(&mut self) -> u64;
    fn record(&mut self, fields: &[u8]);
    fn row(&mut self, operation: u32, table: &str, first: &[u8], second: &[u8], number: i64, token: u64);
    fn call(&mut self, service: &str, asked: &[u8], within: u64, token: u64) {
        self.call_for(service, asked, ("", &[], ""), within, token);
    }
    /// `behalf`: an account, a trace, a label.
    fn call_for(&mut self, service: &str, asked: &[u8], behalf: (&str, &[u8], &str), within: u64, token: u64);
    fn label(&mut self, label: &str);
    fn answer(&mut self, request: u64, response: &[u8]);
    fn serve(&mut self, serving: bool);
    fn authenticate(&mut self, account: &str, secret: &[u8], token: u64);
    fn route(&mut self, key: &[u8], begin: bool);
    fn bind(&mut self, key: &[u8]);
    fn save(&mut self);
    fn admit(&mut self, account: &str, sender: &str, units: u64, what: u32, token: u64);
    fn done(&mut self, token: u64);
    fn ended(&mut self, outcome: u32, nanos: u64);
}

/// A borrowed `Effects` as it crosses the boundary.
#[repr(C)]
#[derive(StableAbi)]
pub struct Sink<'a> {
    data: *mut (),
    table: SinkTableRef,
    borrow: PhantomData<&'a mut ()>,
}

impl<'a> Sink<'a> {
    /// Borrows `effects` for one crossing.
    #[inline]
    pub fn new<E: Effects>(effects: &'a mut E) -> Self {
        Sink { data: std::ptr::from_mut(effects).cast(), table: sink_table::<E>(), borrow: PhantomData }
    }

    /// The same borrow for a shorter time.
    #[inline]
    pub fn reborrow(&mut self) -> Sink<'_> {
        Sink { data: self.data, table: self.table, borrow: PhantomData }
    }
}

/// Calls one function of the sink's table.
macro_rules! through {
    ($($name:ident($($argument:ident: $type:ty => $crossing:expr),*) $(-> $result:ty)?;)*) => {
        impl Sink<'_> {
            $(
                #[inline]
                pub fn $name(&mut self, $($argument: $type),*) $(-> $result)? {
                    // SAFETY: `data` is the `&mut E` that `Sink::new` took together with the table of that same `E`, it is
                    // borrowed for as long as this `Sink` lives, and `&mut self` makes this its only use.
                    unsafe { (self.table.$name())(self.data, $($crossing),*) }
                }
            )*
        }
    };
}

through! {
    consume(n: u64 => n);
    send(stream: u64 => stream, bytes: &[u8] => RSlice::from_slice(bytes));
    forward(from: u64 => from, to: u64 => to, n: u64 => n, idle: u64 => idle, token: u64 => token);
    writable(stream: u64 => stream, token: u64 => token);
    dial(upstream: &str => RStr::from_str(upstream), avoid: &[u64] => RSlice::from_slice(avoid), fresh: bool => fresh, token: u64 => token);
    release(stream: u64 => stream);
    blame(stream: u64 => stream);
    finish(stream: u64 => stream);
    close(stream: u64 => stream);
    abort(stream: u64 => stream);
    after(nanos: u64 => nanos, token: u64 => token);
    cancel(token: u64 => token);
    random() -> u64;
    record(fields: &[u8] => RSlice::from_slice(fields));
    row(operation: u32 => operation, table: &str => RStr::from_str(table), first: &[u8] => RSlice::from_slice(first), second: &[u8] => RSlice::from_slice(second), number: i64 => number, token: u64 => token);
    call(service: &str => RStr::from_str(service), asked: &[u8] => RSlice::from_slice(asked), within: u64 => within, token: u64 => token);
    answer(request: u64 => request, response: &[u8] => RSlice::from_slice(response));
    serve(serving: bool => serving);
    authenticate(account: &str => RStr::from_str(account), secret: &[u8] => RSlice::from_slice(secret), token: u64 => token);
    route(key: &[u8] => RSlice::from_slice(key), begin: bool => begin);
    bind(key: &[u8] => RSlice::from_slice(key));
    save();
    admit(account: &str => RStr::from_str(account), sender: &str => RStr::from_str(sender), units: u64 => units, what: u32 => what, token: u64 => token);
    done(token: u64 => token);
    call_for(service: &str => RStr::from_str(service), asked: &[u8] => RSlice::from_slice(asked), account: &str => RStr::from_str(account), trace: &[u8] => RSlice::from_slice(trace), label: &str => RStr::from_str(label), within: u64 => within, token: u64 => token);
    label(label: &str => RStr::from_str(label));
    ended(outcome: u32 => outcome, nanos: u64 => nanos);
}

/// The table of an `Effects`: made at compile time, once for each type that implements it.
pub fn sink_table<E: Effects>() -> SinkTableRef {
    Sinks::<E>::TABLE
}

struct Sinks<E>(PhantomData<E>);

impl<E: Effects> Sinks<E> {
    abi_stable::staticref! {
        const METADATA: abi_stable::prefix_type::WithMetadata<SinkTable> =
            abi_stable::prefix_type::WithMetadata::new(SinkTable {
                revision: REVISION,
                size: size_of::<SinkTable>() as u32,
                consume: consume::<E>,
                send: send::<E>,
                forward: forward::<E>,
                writable: writable::<E>,
                dial: dial::<E>,
                release: release::<E>,
                blame: blame::<E>,
                finish: finish::<E>,
                close: close::<E>,
                abort: abort::<E>,
                after: after::<E>,
                cancel: cancel::<E>,
                random: random::<E>,
                record: record::<E>,
                row: row::<E>,
                call: call::<E>,
                answer: answer::<E>,
                serve: serve::<E>,
                authenticate: authenticate::<E>,
                route: route::<E>,
                bind: bind::<E>,
                save: save::<E>,
                admit: admit::<E>,
                done: done::<E>,
                call_for: call_for::<E>,
                label: label::<E>,
                ended: ended::<E>,
            });
    }
    const TABLE: SinkTableRef = SinkTableRef(Self::METADATA.as_prefix());
}

/// The function of a table that calls the method of `E`.
macro_rules! receive {
    ($($name:ident($($argument:ident: $crossing:ty => $value:expr),*) $(-> $result:ty)?;)*) => {
        $(
            unsafe extern "C" fn $name<E: Effects>(data: *mut (), $($argument: $crossing),*) $(-> $result)? {
                // SAFETY: the caller is `Sink`, which passes the `&mut E` that it borrowed for this crossing.
                let effects = unsafe { &mut *data.cast::<E>() };
                effects.$name($($value),*)
            }
        )*
    };
}

receive! {
    consume(n: u64 => n);
    send(stream: u64 => stream, bytes: RSlice<'_, u8> => bytes.as_slice());
    forward(from: u64 => from, to: u64 => to, n: u64 => n, idle: u64 => idle, token: u64 => token);
    writable(stream: u64 => stream, token: u64 => token);
    dial(upstream: RStr<'_> => upstream.as_str(), avoid: RSlice<'_, u64> => avoid.as_slice(), fresh: bool => fresh, token: u64 => token);
    release(stream: u64 => stream);
    blame(stream: u64 => stream);
    finish(stream: u64 => stream);
    close(stream: u64 => stream);
    abort(stream: u64 => stream);
    after(nanos: u64 => nanos, token: u64 => token);
    cancel(token: u64 => token);
    random() -> u64;
    record(fields: RSlice<'_, u8> => fields.as_slice());
    row(operation: u32 => operation, table: RStr<'_> => table.as_str(), first: RSlice<'_, u8> => first.as_slice(), second: RSlice<'_, u8> => second.as_slice(), number: i64 => number, token: u64 => token);
    call(service: RStr<'_> => service.as_str(), asked: RSlice<'_, u8> => asked.as_slice(), within: u64 => within, token: u64 => token);
    answer(request: u64 => request, response: RSlice<'_, u8> => response.as_slice());
    serve(serving: bool => serving);
    authenticate(account: RStr<'_> => account.as_str(), secret: RSlice<'_, u8> => secret.as_slice(), token: u64 => token);
    route(key: RSlice<'_, u8> => key.as_slice(), begin: bool => begin);
    bind(key: RSlice<'_, u8> => key.as_slice());
    save();
    admit(account: RStr<'_> => account.as_str(), sender: RStr<'_> => sender.as_str(), units: u64 => units, what: u32 => what, token: u64 => token);
    done(token: u64 => token);
    label(label: RStr<'_> => label.as_str());
    ended(outcome: u32 => outcome, nanos: u64 => nanos);
}

unsafe extern "C" fn call_for<E: Effects>(
    data: *mut (),
    service: RStr<'_>,
    asked: RSlice<'_, u8>,
    account: RStr<'_>,
    trace: RSlice<'_, u8>,
    label: RStr<'_>,
    within: u64,
    token: u64,
) {
    // SAFETY: as for those above.
    let effects = unsafe { &mut *data.cast::<E>() };
    let behalf = (account.as_str(), trace.as_slice(), label.as_str());
    effects.call_for(service.as_str(), asked.as_slice(), behalf, within, token);
}
