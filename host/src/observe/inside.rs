//! Whose code a thread runs: words that are written before each call into a component and after it.
//!
//! They name the instance, the session and what is called, for what a component logs or panics with, and for the watchdog, which
//! looks at the threads that do not come back. It may *abandon* such a thread: then what the thread had is another one's, and the
//! thread, should it ever come back, goes no further than here.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tandem_component::abi::{Reports, kind};

use crate::version::Counts;

thread_local! {
    /// The words of a thread that nobody watches.
    static OWN: Words = const { Words::new() };
    /// Those of one that is watched: they outlive it.
    static WATCHED: Cell<Option<&'static Place>> = const { Cell::new(None) };
    /// The instance whose library this thread is rid of what it has left, or 0. Not among the words: that is the host's doing, and
    /// whoever is in it has not been lent anything that another could take over.
    static CLEARING: Cell<u32> = const { Cell::new(0) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What the numbers of instances stand for. Looked at only when something is reported.
static NAMES: Mutex<BTreeMap<u32, Name>> = Mutex::new(BTreeMap::new());

/// The instances that have a worker each which is kept since their library has as much memory as it may have, and was not told of.
static KEPT: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// The instances, by their numbers, that workers were kept in since the last time that this was asked.
pub fn take_exhausted() -> Vec<u32> {
    std::mem::take(&mut *KEPT.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What an instance is called, and what is counted of it.
#[derive(Clone, Debug)]
pub struct Name {
    /// `http@1.2.0#3fa9c1`
    pub version: String,
    /// `web`
    pub service: String,
    /// Its counts.
    pub counts: Arc<Counts>,
}

/// Says what an instance is called.
pub fn name(number: u32, name: Name) {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).insert(number, name);
}

/// Forgets an instance that has ended.
pub fn forget(number: u32) {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
}

/// What an instance is called, where it is there still.
pub fn named(number: u32) -> Option<Name> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
}

/// What is called in a component: an event by its [`kind`], or one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct What(u8);

impl What {
    /// A thread runs what a library has left on it, or unloads it.
    pub const CLEAR: What = What(248);
    /// A component is started.
    pub const START: What = What(249);
    /// … or stopped.
    pub const STOP: What = What(250);
    /// A session is opened,
    pub const OPEN: What = What(251);
    /// … exported,
    pub const EXPORT: What = What(252);
    /// … resumed,
    pub const RESUME: What = What(253);
    /// … asked whether nothing is half done,
    pub const BOUNDARY: What = What(254);
    /// … and closed.
    pub const CLOSE: What = What(255);
    const NOTHING: u64 = 0;

    /// As a number that another run understands.
    pub fn number(self) -> u32 {
        self.0.into()
    }

    /// What a number of an earlier run was.
    pub fn numbered(number: u32) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| *number != 0).map(What)
    }

    /// An event.
    #[inline]
    pub fn event(kind: u32) -> Self {
        debug_assert!((1..248).contains(&kind), "events are numbered from 1, and are few");
        What(kind as u8)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = match *self {
            What::CLEAR => return f.write_str("running what it has left behind"),
            What::START => return f.write_str("being started"),
            What::STOP => return f.write_str("being stopped"),
            What::OPEN => return f.write_str("opening it"),
            What::EXPORT => return f.write_str("exporting it"),
            What::RESUME => return f.write_str("resuming it"),
            What::BOUNDARY => return f.write_str("looking for its boundary"),
            What::CLOSE => return f.write_str("closing it"),
            What(event) => match u32::from(event) {
                kind::OPENED => "opened",
                kind::BYTES => "bytes",
                kind::END => "end",
                kind::DATAGRAM => "datagram",
                kind::DIALED | kind::DIAL_FAILED => "dialed",
                kind::FORWARDED | kind::FORWARD_FAILED => "forwarded",
                kind::TIMEOUT => "timeout",
                kind::WRITABLE => "writable",
                kind::CLOSED => "closed",
                kind::DRAIN => "drain",
                kind::LAST_WORDS => "last words",
                kind::ROW | kind::ROWS | kind::CHANGED => "rows",
                kind::STORE_FAILED => "store failed",
                kind::REQUEST => "request",
                kind::WITHDRAWN => "withdrawn",
                kind::ANSWERED | kind::CALL_FAILED => "answer",
                kind::AUTHENTICATED => "authenticated",
                kind::ROUTED => "routed",
                kind::ADMITTED => "admitted",
                _ => return write!(f, "in event {event}"),
            },
        };
        write!(f, "in the event `{event}`")
    }
}

/// Where a thread is. Nothing is dropped with them, so they can be read whatever the thread is about.
struct Words {
    /// The instance in the upper half, the lower half of the session's number in the lower.
    whose: AtomicU64,
    /// How many calls there were, and in the lowest byte what is called now; [`ABANDONED`] once it is.
    turn: AtomicU64,
    /// How many of these calls were seen to take too long.
    late: AtomicU64,
}

/// A thread that is watched.
pub struct Place {
    words: Words,
    /// What the thread does last, should it come back after it was abandoned.
    last: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// … which it may be before that is known.
    known: Condvar,
}

/// How many threads were abandoned and have not come back.
static GIVEN_UP: AtomicUsize = AtomicUsize::new(0);

/// How many threads were abandoned and have not come back.
pub fn given_up() -> usize {
    GIVEN_UP.load(Ordering::Relaxed)
}

const ABANDONED: u64 = u64::MAX;
const WHAT_BITS: u32 = 8;

impl Words {
    const fn new() -> Self {
        Words { whose: AtomicU64::new(0), turn: AtomicU64::new(0), late: AtomicU64::new(0) }
    }

    fn look(&self) -> Option<Seen> {
        // Acquire: who they are was written before. Should it be another's already, the turn is another as well.
        let turn = self.turn.load(Ordering::Acquire);
        let whose = self.whose.load(Ordering::Relaxed);
        let what = What(u8::try_from(turn & 0xff).unwrap_or_default());
        let inside = u64::from(what.0) != What::NOTHING && turn != ABANDONED;
        inside.then_some(Seen { turn, instance: (whose >> 32) as u32, session: whose as u32, what })
    }
}

impl Place {
    /// The call that the thread is in, where it is in one.
    pub fn look(&self) -> Option<Seen> {
        self.words.look()
    }

    /// Lets the thread know that a call of its takes too long.
    pub fn say_late(&self) {
        self.words.late.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many calls of this thread were seen to take too long. Where that grows others have waited, and are to have their turn.
#[inline]
pub fn late() -> u64 {
    here(|words| words.late.load(Ordering::Relaxed))
}

/// The call that this thread is in, where it is in one. A signal may interrupt it, and ask the same.
pub fn now() -> Option<Seen> {
    let clearing = || Seen { turn: 0, instance: CLEARING.get(), session: 0, what: What::CLEAR };
    here(Words::look).or_else(|| Some(clearing()).filter(|seen| seen.instance != 0))
}

/// Runs what a library has left to be run, or unloads it. Where that ends the process, it is known whose it was.
pub fn clear<T>(instance: u32, clear: impl FnOnce() -> T) -> T {
    CLEARING.set(instance);
    let cleared = clear();
    CLEARING.set(0);
    cleared
}

/// That a thread was abandoned in a component: what it had is whose this is. One thread's at a time, as that is.
pub struct Abandoned(&'static Place, PhantomData<Cell<()>>);

impl Place {
    /// Abandons the thread, where it is in that call still.
    pub fn abandon(&'static self, seen: Seen) -> Option<Abandoned> {
        // Acquire: what the thread did before the call is done. Where the exchange fails the thread goes on, and keeps all.
        let exchanged = self.words.turn.compare_exchange(seen.turn, ABANDONED, Ordering::Acquire, Ordering::Relaxed);
        exchanged.is_ok().then(|| {
            GIVEN_UP.fetch_add(1, Ordering::Relaxed);
            Abandoned(self, PhantomData)
        })
    }
}

impl Abandoned {
    /// Whose thread it is.
    pub fn place(&self) -> &'static Place {
        self.0
    }

    /// What the thread does should it come back, which is the last that it does.
    pub fn last(self, last: impl FnOnce() + Send + 'static) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(last));
        self.0.known.notify_one();
    }
}

/// A call that a thread was seen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which call of the thread's it is: another one has another number.
    turn: u64,
    /// The number of the instance.
    pub instance: u32,
    /// The lower half of the session's number; 0 where it is none.
    pub session: u32,
    /// What is called.
    pub what: What,
}

#[cfg(test)]
impl Seen {
    /// The event `bytes`, as one call or another.
    pub fn of(turn: u64, instance: u32, session: u32) -> Self {
        Seen { turn, instance, session, what: What::event(kind::BYTES) }
    }
}

#[inline]
fn here<T>(see: impl FnOnce(&Words) -> T) -> T {
    match WATCHED.get() {
        Some(place) => see(&place.words),
        None => OWN.with(see),
    }
}

/// This thread runs code of an instance until the guard is dropped.
#[inline]
pub fn enter(instance: u32, session: u64, what: What) -> Inside {
    here(|words| {
        // Relaxed where only this thread writes: the words say where it is.
        let whose = words.whose.load(Ordering::Relaxed);
        let turn = words.turn.load(Ordering::Relaxed);
        let next = ((turn >> WHAT_BITS) + 1) << WHAT_BITS;
        words.whose.store(u64::from(instance) << 32 | session & 0xffff_ffff, Ordering::Relaxed);
        // Release: whoever takes over what this thread has sees all that it has done before.
        words.turn.store(next | u64::from(what.0), Ordering::Release);
        Inside { whose, after: next | turn & 0xff }
    })
}

/// While it lives, the thread is inside a component.
pub struct Inside {
    whose: u64,
    after: u64,
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        self.out(|| ());
    }
}

impl Inside {
    /// The thread is outside again. Where it was abandoned meanwhile, `last` is all that is done, and this does not return; what
    /// it gives, a lease, is dropped once nothing is left on the thread.
    #[inline]
    pub fn leave<T>(self, last: impl FnOnce() -> T) {
        ManuallyDrop::new(self).out(last);
    }

    #[inline]
    fn out<T>(&self, last: impl FnOnce() -> T) {
        here(|words| {
            // One exchange, so that either the watchdog abandons this thread or it goes on, and each knows which.
            let turn = words.turn.swap(self.after, Ordering::AcqRel);
            words.whose.store(self.whose, Ordering::Relaxed);
            if turn == ABANDONED {
                come_back(last());
            }
        });
    }
}

/// The end of a thread that was abandoned: it does its last, drops what it has kept until then, and touches nothing any more.
#[cold]
fn come_back<T>(kept: T) -> ! {
    let mut kept = Some(kept);
    let place = WATCHED.get().expect("only what is watched is abandoned");
    let mut last = place.last.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(last) = last.take() {
            last();
            drop(kept.take());
            GIVEN_UP.fetch_sub(1, Ordering::Relaxed);
        }
        last = place.known.wait(last).unwrap_or_else(PoisonError::into_inner);
    }
}

/// While it lives, this thread is watched.
pub struct Watch(());

/// Has this thread be watched, by words that outlive it.
pub fn watch() -> (&'static Place, Watch) {
    // A worker has one, for as long as the host runs.
    let place: &'static Place =
        Box::leak(Box::new(Place { words: Words::new(), last: Mutex::new(None), known: Condvar::new() }));
    WATCHED.set(Some(place));
    (place, Watch(()))
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.set(None);
    }
}

/// The text of the last panic that a component reported on this thread.
pub fn last_panic() -> String {
    LAST_PANIC.with_borrow_mut(std::mem::take)
}

/// What components report, put into the host's log with component, version, service and session.
pub struct Reported;

impl Reports for Reported {
    fn level() -> u32 {
        match tracing::level_filters::LevelFilter::current().into_level() {
            None => 0,
            Some(tracing::Level::ERROR) => 1,
            Some(tracing::Level::WARN) => 2,
            Some(tracing::Level::INFO) => 3,
            Some(tracing::Level::DEBUG) => 4,
            Some(tracing::Level::TRACE) => 5,
        }
    }

    fn log(level: u32, target: &str, message: &str, fields: &str) {
        let (version, service, session) = whose();
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(target: "component", %version, %service, session, at = target, fields, "{message}")
            };
        }
        match level {
            1 => log!(error),
            2 => log!(warn),
            3 => log!(info),
            4 => log!(debug),
            _ => log!(trace),
        }
    }

    /// Keeps a worker, for the watchdog to see: what it has is another one's then. Other threads go on: the host's own cannot be done
    /// without, and what they run is short.
    fn exhausted() {
        let Some(place) = WATCHED.get() else { return };
        let instance = place.look().map_or(0, |seen| seen.instance);
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
        loop {
            // Without a handle of the thread, which its library's standard library may have to make first.
            std::thread::sleep(Duration::from_secs(3600));
        }
    }

    fn panicked(message: &str, location: &str) {
        let (version, service, session) = whose();
        let message = crate::loader::code::said(message);
        tracing::error!(target: "component", %version, %service, session, at = location, "panicked: {message}");
        LAST_PANIC.set(format!("{message} ({location})"));
    }
}

fn whose() -> (String, String, u64) {
    let word = here(|words| words.whose.load(Ordering::Relaxed));
    let (number, session) = ((word >> 32) as u32, word & 0xffff_ffff);
    named(number)
        .map_or_else(|| ("?".to_owned(), "?".to_owned(), session), |name| (name.version, name.service, session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_seen_in_its_calls_and_not_between_them() {
        let (place, watch) = watch();
        assert_eq!(place.look(), None);
        let first = {
            let _inside = enter(7, 1 << 32 | 3, What::event(kind::BYTES));
            place.look().unwrap()
        };
        assert_eq!((first.instance, first.session, first.what.to_string()), (7, 3, "in the event `bytes`".to_owned()));
        assert_eq!(place.look(), None);
        let second = {
            let _inside = enter(7, 3, What::event(kind::BYTES));
            place.look().unwrap()
        };
        assert_ne!(first, second, "the same again is another call");
        drop(watch);
        let _inside = enter(7, 3, What::CLOSE);
        assert_eq!(place.look(), None, "nobody watches it any more");
    }

    #[test]
    fn a_call_within_a_call_is_seen_alone_and_then_the_outer_one() {
        let (place, _watch) = watch();
        let _outer = enter(7, 3, What::event(kind::BYTES));
        let inner = enter(8, 0, What::STOP);
        assert_eq!(place.look().map(|seen| (seen.instance, seen.what)), Some((8, What::STOP)));
        drop(inner);
        assert_eq!(place.look().map(|seen| (seen.instance, seen.session)), Some((7, 3)));
    }

    #[test]
    fn a_thread_that_was_abandoned_does_its_last_and_goes_no_further() {
        use std::sync::mpsc::channel;
        use std::time::Duration;

        let (say, said) = channel();
        let (go_on, goes_on) = channel::<()>();
        struct Kept(std::sync::mpsc::Sender<Result<&'static str, &'static Place>>);
        impl Drop for Kept {
            fn drop(&mut self) {
                self.0.send(Ok("what it kept")).unwrap();
            }
        }
        // It ends with the process.
        let thread = {
            let say = say.clone();
            std::thread::spawn(move || {
                let (place, _watch) = watch();
                let inside = enter(7, 3, What::event(kind::BYTES));
                say.send(Err(place)).unwrap();
                goes_on.recv().unwrap();
                let here = say.clone();
                inside.leave(|| {
                    here.send(Ok("its own")).unwrap();
                    Kept(here)
                });
                say.send(Ok("it has gone on")).unwrap();
            })
        };
        let place = said.recv().unwrap().unwrap_err();
        let seen = place.look().unwrap();
        assert!(place.abandon(Seen { turn: seen.turn + 1, ..seen }).is_none(), "it is in no such call");
        let abandoned = place.abandon(seen).unwrap();
        assert!(place.abandon(seen).is_none() && place.look().is_none(), "nobody else does that again");
        go_on.send(()).unwrap();
        assert_eq!(said.recv().unwrap().ok(), Some("its own"));
        // It waits for what is its last, which may be known later.
        abandoned.last(move || say.send(Ok("its last")).unwrap());
        assert_eq!(said.recv().unwrap().ok(), Some("its last"));
        assert_eq!(said.recv().unwrap().ok(), Some("what it kept"));
        assert!(said.recv_timeout(Duration::from_millis(50)).is_err() && !thread.is_finished());
    }

    #[test]
    fn what_is_called_has_a_name_in_this_run_and_the_next() {
        let events = [
            "opened",
            "bytes",
            "end",
            "datagram",
            "dialed",
            "forwarded",
            "timeout",
            "writable",
            "closed",
            "drain",
            "last words",
            "rows",
            "store failed",
            "request",
            "withdrawn",
            "answer",
            "authenticated",
            "routed",
            "admitted",
        ];
        let named: Vec<String> = (1..=kind::ADMITTED).map(|kind| What::event(kind).to_string()).collect();
        for name in events {
            assert!(named.contains(&format!("in the event `{name}`")), "{name}: {named:?}");
        }
        assert!(named.iter().all(|name| events.iter().any(|event| name.contains(event))), "{named:?}");
        assert_eq!(What::event(247).to_string(), "in event 247");
        let calls = [
            (What::CLEAR, "running what it has left behind"),
            (What::START, "being started"),
            (What::STOP, "being stopped"),
            (What::OPEN, "opening it"),
            (What::EXPORT, "exporting it"),
            (What::RESUME, "resuming it"),
            (What::BOUNDARY, "looking for its boundary"),
            (What::CLOSE, "closing it"),
        ];
        for (what, name) in calls {
            assert_eq!(what.to_string(), name);
            assert_eq!(What::numbered(what.number()), Some(what));
        }
        assert_eq!((What::numbered(0), What::numbered(256)), (None, None));
    }
}
