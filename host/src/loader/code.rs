//! Calls into a library: [`Code`] is one that is loaded, [`Object`] a component that was started in it, and
//! [`Conversation`] one of its sessions.
//!
//! What keeps the calls sound: a `Conversation` holds its `Object` by a lease, an `Object` its `Code`, and a `Code` its
//! `Library`, so no function pointer is called after its library was closed. The functions were given by a library whose
//! content the examination has passed, layout check and all.

use std::ptr::{self, NonNull};
use std::sync::Arc;

use abi_stable::library::AbiHeaderRef;
use abi_stable::std_types::{RSlice, RStr};
use tandem_component::abi::{
    self, About, ComponentTableRef, DONE, PANIC, PANICKED, RawEvent, Reply, Sink, UNCOUNTED, kind,
};
use tandem_component::export::{self, Exported};

use super::examine::Examined;
use super::library::{Closed, Library};
use super::manifest::Manifest;
use super::shelf::Shelf;
use crate::observe::inside::{self, Inside, Reported, What};
use crate::store::table::Table;
use crate::version::Lease;

/// A loaded library with its functions.
pub struct Code {
    table: ComponentTableRef,
    functions: Functions,
    mapped: Box<dyn Mapped>,
    /// What the library says of itself.
    pub manifest: Manifest,
    /// Its tables.
    pub tables: Vec<Arc<Table>>,
}

/// What has the functions mapped: a library.
pub trait Mapped: Send + Sync {
    /// The addresses that it takes.
    fn range(&self) -> std::ops::Range<usize>;

    /// Closes it, and looks whether it is gone.
    fn close(self: Box<Self>) -> Closed;
}

impl Mapped for Library {
    fn range(&self) -> std::ops::Range<usize> {
        Library::range(self)
    }

    fn close(self: Box<Self>) -> Closed {
        Library::close(*self)
    }
}

/// The functions of a session's events, read out of the table once.
#[derive(Clone, Copy)]
struct Functions {
    at_boundary: unsafe extern "C" fn(*const ()) -> bool,
    handle: unsafe extern "C" fn(*const (), *mut (), &RawEvent<'_>, &mut Sink<'_>, &mut Reply<'_>) -> u32,
    close: unsafe extern "C" fn(*mut ()),
    /// From revision 6 on.
    open_for_request: Option<unsafe extern "C" fn(*const (), RStr<'_>, u64, u64, &mut Reply<'_>) -> *mut ()>,
}

/// A component at work for one service. Dropping it stops it: do that off the workers.
pub struct Object {
    pointer: NonNull<()>,
    functions: Functions,
    code: Arc<Code>,
    /// What the log calls it.
    pub number: u32,
}

// SAFETY: the pointer is to a `Component`, which is `Send` by its trait; its functions take it from any thread.
unsafe impl Send for Object {}
// SAFETY: the pointer is to a `Component`, which is `Sync` by its trait; only `stop` is exclusive, and that is in `drop`.
unsafe impl Sync for Object {}

/// One session of a component. It keeps what it runs on by a lease.
pub struct Conversation<T: AsRef<Object> + 'static> {
    pointer: NonNull<()>,
    lease: Lease<T>,
}

// SAFETY: the pointer is to a `Session`, which is `Send` by its trait, and all use of it is through `&mut self` or `drop`.
unsafe impl<T: AsRef<Object> + Send + Sync> Send for Conversation<T> {}

/// How many bytes a session's state may have. It is copied by the host, and looked through where versions differ.
pub const STATE_MAX: usize = 16 << 20;

/// Why an event was not handled, or nothing was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The component says that it cannot go on, or refuses.
    Fault(String),
    /// It panicked; the hook has reported where.
    Panicked(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Fault(reason) => f.write_str(reason),
            Failure::Panicked(reason) => write!(f, "it panicked: {reason}"),
        }
    }
}

impl Code {
    /// Loads a library that has passed.
    ///
    /// # Errors
    /// The shelf's, the dynamic linker's, or there is no component in it.
    pub fn load(passed: &Examined, shelf: &Shelf, manifest: Manifest) -> Result<Self, String> {
        let library = passed.load(shelf).map_err(|error| error.to_string())?;
        Code::of(library, manifest)
    }

    /// Takes the functions of a library whose content has passed the examination, and lets it install its panic hook and
    /// its log.
    ///
    /// # Errors
    /// The library has no component in it, which the examination would have said: a bug, or another file.
    fn of(library: Library, manifest: Manifest) -> Result<Self, String> {
        // SAFETY: the symbol is the static `LibHeader` that `export_component!` defines; the examination has read it as
        // such. It begins with an `AbiHeader`, which is what is looked at first.
        let header = unsafe { library.symbol::<AbiHeaderRef>(abi::SYMBOL) }.map_err(|error| error.to_string())?;
        let header = header.upgrade().map_err(|error| error.to_string())?;
        // SAFETY: the examination has checked the layout of this content against ours. (It is not checked again here:
        // abi_stable keeps pointers into each library that it has checked, for as long as the process lives.)
        let table = unsafe { header.unchecked_layout::<ComponentTableRef>() }.map_err(|error| format!("{error:?}"))?;
        (table.begin())(abi::host_table::<Reported>());
        Code::with(table, Box::new(library), manifest)
    }

    /// A component that is compiled into this program: its functions are there whatever `mapped` says.
    ///
    /// # Errors
    /// What is wrong with its manifest.
    #[doc(hidden)] // For the simulation.
    pub fn compiled_in<X: Exported>(mapped: Box<dyn Mapped>, manifest: Manifest) -> Result<Self, String> {
        Code::with(export::table::<X>(), mapped, manifest)
    }

    fn with(table: ComponentTableRef, mapped: Box<dyn Mapped>, manifest: Manifest) -> Result<Self, String> {
        let functions = Functions {
            at_boundary: table.at_boundary(),
            handle: table.handle(),
            close: table.close(),
            open_for_request: (table.revision() >= 6).then(|| table.open_for_request()),
        };
        let tables = manifest.tables().map_err(|error| error.to_string())?;
        Ok(Code { table, functions, mapped, tables: tables.into_iter().map(Arc::new).collect(), manifest })
    }

    /// Starts a component for a service. `starting` and `config` are MessagePack.
    ///
    /// # Errors
    /// What the component refuses, in its words.
    pub fn start(self: &Arc<Self>, starting: &[u8], config: &[u8], number: u32) -> Result<Object, String> {
        let _inside = inside::enter(number, 0, What::START);
        let mut reason = Vec::new();
        let pointer = (self.table.start())(
            RSlice::from_slice(starting),
            RSlice::from_slice(config),
            &mut Reply::new(&mut reason),
        );
        let pointer = NonNull::new(pointer).ok_or_else(|| refusal(reason).to_string())?;
        Ok(Object { pointer, functions: self.functions, code: Arc::clone(self), number })
    }

    /// How many bytes the library has allocated and not freed, where it counts them.
    pub fn memory(&self) -> Option<u64> {
        let bytes = (self.counts_memory()).then(|| (self.table.memory())());
        bytes.filter(|bytes| *bytes != UNCOUNTED)
    }

    /// Has it never allocate more: the worker that would is kept.
    pub fn limit_memory(&self, bytes: u64) {
        if self.counts_memory() {
            (self.table.limit_memory())(bytes);
        }
    }

    fn counts_memory(&self) -> bool {
        const SINCE: u32 = 5;
        self.manifest.api >= SINCE
    }

    fn reads_about(&self) -> bool {
        const SINCE: u32 = 6;
        self.manifest.api >= SINCE
    }

    /// The addresses that the library's code and data lie at.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.mapped.range()
    }

    /// Closes the library and says whether it is gone. No object of it is left, which owning it shows.
    pub fn close(self) -> Closed {
        self.mapped.close()
    }
}

impl Object {
    /// The code that it runs.
    pub fn code(&self) -> &Arc<Code> {
        &self.code
    }
}

impl AsRef<Object> for Object {
    fn as_ref(&self) -> &Object {
        self
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let _inside = inside::enter(self.number, 0, What::STOP);
        // SAFETY: the pointer is from `start` of this table, and no session uses it: each would hold a lease on this.
        unsafe { (self.code.table.stop())(self.pointer.as_ptr()) };
    }
}

impl<T: AsRef<Object>> Conversation<T> {
    /// Opens a session. `opening` is MessagePack.
    ///
    /// # Errors
    /// What the component refuses, in its words.
    pub fn open(lease: Lease<T>, opening: &[u8], session: u64) -> Result<Self, Failure> {
        let mut reason = Vec::new();
        let object: &Object = (*lease).as_ref();
        let inside = inside::enter(object.number, session, What::OPEN);
        let mut reply = Reply::new(&mut reason);
        // SAFETY: the pointer is from `start` of this table and lives as long as the lease.
        let pointer =
            unsafe { (object.code.table.open())(object.pointer.as_ptr(), RSlice::from_slice(opening), &mut reply) };
        Self::made(pointer, lease, inside).ok_or_else(|| refusal(reason))
    }

    /// Whether a session for one request can be opened [so](Conversation::open_for_request): not of a component of an earlier revision.
    pub fn opens_for_requests(lease: &Lease<T>) -> bool {
        let object: &Object = (**lease).as_ref();
        object.functions.open_for_request.is_some()
    }

    /// Opens a session for one request of another service, at that time.
    ///
    /// # Errors
    /// What the component refuses, in its words.
    pub fn open_for_request(lease: Lease<T>, service: &str, session: u64, at: u64) -> Result<Self, Failure> {
        let mut reason = Vec::new();
        let object: &Object = (*lease).as_ref();
        let earlier = || Failure::Fault("it is of an earlier revision of the API".to_owned());
        let open = object.functions.open_for_request.ok_or_else(earlier)?;
        let inside = inside::enter(object.number, session, What::OPEN);
        let mut reply = Reply::new(&mut reason);
        // SAFETY: as in `open`.
        let pointer = unsafe { open(object.pointer.as_ptr(), RStr::from_str(service), session, at, &mut reply) };
        Self::made(pointer, lease, inside).ok_or_else(|| refusal(reason))
    }

    /// Resumes a session from what another version exported.
    ///
    /// # Errors
    /// What the component refuses, in its words.
    pub fn resume(lease: Lease<T>, opening: &[u8], state: &[u8], session: u64) -> Result<Self, Failure> {
        let mut reason = Vec::new();
        let object: &Object = (*lease).as_ref();
        let inside = inside::enter(object.number, session, What::RESUME);
        let (opening, state) = (RSlice::from_slice(opening), RSlice::from_slice(state));
        let mut reply = Reply::new(&mut reason);
        // SAFETY: the pointer is from `start` of this table and lives as long as the lease.
        let pointer = unsafe { (object.code.table.resume())(object.pointer.as_ptr(), opening, state, &mut reply) };
        Self::made(pointer, lease, inside).ok_or_else(|| refusal(reason))
    }

    /// What a call has made, where it has made something: the call is over with this. On a thread that was given up meanwhile it is
    /// closed, and its code stays until the thread has nothing left of it.
    fn made(pointer: *mut (), lease: Lease<T>, inside: Inside) -> Option<Self> {
        let mut made = match NonNull::new(pointer) {
            Some(pointer) => (Some(Conversation { pointer, lease }), None),
            None => (None, Some(lease)),
        };
        inside.leave(|| match made.0.take() {
            Some(made) => {
                let lease = made.lease.clone();
                drop(made);
                Some(lease)
            }
            None => made.1.take(),
        });
        made.0
    }

    /// Writes the session's state, as MessagePack with named fields.
    ///
    /// # Errors
    /// The component cannot, or panicked.
    pub fn export(&self, session: u64) -> Result<Vec<u8>, Failure> {
        self.export_into(session, Vec::new())
    }

    /// As [`export`](Conversation::export), into an empty buffer that is there already.
    ///
    /// # Errors
    /// As for `export`.
    pub fn export_into(&self, session: u64, mut state: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let object = self.object();
        let _inside = inside::enter(object.number, session, What::EXPORT);
        // SAFETY: the pointer is from `open` or `resume` of this table, and `&self` keeps others from handling events.
        let outcome = unsafe { (object.code.table.export())(self.pointer.as_ptr(), &mut Reply::new(&mut state)) };
        match outcome {
            DONE if state.len() > STATE_MAX => Err(Failure::Fault(format!(
                "its state has {} bytes, and {STATE_MAX} are the most that it may",
                state.len()
            ))),
            DONE => Ok(state),
            PANICKED => Err(Failure::Panicked(inside::last_panic())),
            _ => Err(Failure::Fault(text(state))),
        }
    }

    /// Hands the session one event.
    ///
    /// # Errors
    /// The session cannot go on.
    #[inline]
    pub fn handle(&mut self, session: u64, event: &RawEvent<'_>, mut sink: Sink<'_>) -> Result<(), Failure> {
        let mut reason = Vec::new();
        let outcome = {
            let object = (*self.lease).as_ref();
            let plain;
            let event = match event.kind {
                kind::REQUEST if !object.code.reads_about() => {
                    plain = without_about(event);
                    &plain
                }
                // Asked by a later version, of which this one goes on with the session.
                kind::ADMITTED if !object.code.reads_about() => {
                    plain = RawEvent { more: RSlice::EMPTY, ..*event };
                    &plain
                }
                _ => event,
            };
            let _inside = inside::enter(object.number, session, What::event(event.kind));
            // SAFETY: both pointers are from this table; `&mut self` makes this the only call on the session, and the
            // lease keeps the component.
            unsafe {
                (object.functions.handle)(
                    object.pointer.as_ptr(),
                    self.pointer.as_ptr(),
                    event,
                    &mut sink,
                    &mut Reply::new(&mut reason),
                )
            }
        };
        match outcome {
            DONE => Ok(()),
            PANICKED => Err(Failure::Panicked(inside::last_panic())),
            _ => Err(Failure::Fault(text(reason))),
        }
    }

    /// Is nothing half done?
    pub fn at_boundary(&self) -> bool {
        let object = self.object();
        let _inside = inside::enter(object.number, 0, What::BOUNDARY);
        // SAFETY: the pointer is from `open` or `resume` of this table, and `&self` keeps others from handling events.
        unsafe { (object.functions.at_boundary)(self.pointer.as_ptr()) }
    }

    /// What it runs on.
    #[inline]
    pub fn lease(&self) -> &Lease<T> {
        &self.lease
    }

    fn object(&self) -> &Object {
        (*self.lease).as_ref()
    }
}

impl<T: AsRef<Object>> Drop for Conversation<T> {
    fn drop(&mut self) {
        let object = (*self.lease).as_ref();
        let inside = inside::enter(object.number, 0, What::CLOSE);
        // SAFETY: the pointer is from `open` or `resume` of this table and is used no more; the lease still holds.
        unsafe { (object.functions.close)(self.pointer.as_ptr()) };
        // SAFETY: where this is done, `leave` does not return, so nobody else uses or drops the lease that is read here.
        inside.leave(|| unsafe { ptr::read(&raw const self.lease) });
    }
}

/// The event of a request as an earlier revision of the API reads it: of what is said about it, who asks.
fn without_about<'a>(event: &RawEvent<'a>) -> RawEvent<'a> {
    let from = event.more.as_slice();
    let from = About::read(from).map_or(&[][..], |about| about.from.as_bytes());
    RawEvent { stream: 0, more: from.into(), ..*event }
}

/// Why nothing was made. Where it panicked, the hook has reported what and where.
fn refusal(reason: Vec<u8>) -> Failure {
    match reason == PANIC.as_bytes() {
        true => Failure::Panicked(inside::last_panic()),
        false => Failure::Fault(text(reason)),
    }
}

/// What a component says of why, for an operator: one line, of some length.
fn text(bytes: Vec<u8>) -> String {
    said(&String::from_utf8_lossy(&bytes))
}

/// As an operator reads what a component says: one line, and the beginning of one that does not end.
pub fn said(text: &str) -> String {
    const CHARS_MAX: usize = 1000;
    let mut said: String =
        text.chars().take(CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        said.push('…');
    }
    said
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn what_a_component_says_is_one_line_and_ends() {
        assert_eq!(said("routes is empty; name one"), "routes is empty; name one");
        assert_eq!(said("no\nWARN something else\u{1b}[31m"), "no WARN something else [31m");
        let (most, more) = ("ü".repeat(1000), "ü".repeat(1001));
        assert_eq!(said(&most), most);
        assert_eq!(said(&more), most + "…");
    }
}
