//! The destructors of thread-locals that components have registered: a list for each thread.
//!
//! Only its thread writes a list, and runs what is on it; other threads may count. So a list is made of places that are
//! never freed, only used again, and of atomics, and nobody locks anything. The invariants:
//!
//! - a place whose `destructor` is not 0 is taken, and then its other fields are those of one entry;
//! - a list that has a thread has that thread alone; without one it is free for the next that needs one;
//! - a list that is not empty is run when its thread ends. The libraries of its entries are mapped then, because one that
//!   has entries on a list is not closed.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::interpose::{self, Destructor};

/// A destructor that a component registered on this thread.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) destructor: Destructor,
    pub(super) object: *mut c_void,
    /// An address inside the component.
    pub(super) owner: usize,
}

/// Puts an entry on the calling thread's list. 0, as the C library says it, if it is there.
pub(super) fn push(entry: Entry) -> c_int {
    match mine() {
        Some(ledger) => {
            ledger.push(entry);
            0
        }
        None => -1,
    }
}

/// Runs what is on the calling thread's list for these addresses, the last first, at most so many.
pub(super) fn run_mine(range: &Range<usize>, at_most: usize) -> usize {
    let Some(ledger) = MINE.get() else { return 0 };
    (0..at_most).take_while(|_| ledger.run_last(|owner| range.contains(&owner))).count()
}

/// The threads that have entries for these addresses, each with their number.
pub(super) fn pending(range: &Range<usize>) -> Vec<(i32, usize)> {
    let mut pending = Vec::new();
    for ledger in ledgers() {
        let count = ledger.places().filter(|place| place.owner().is_some_and(|owner| range.contains(&owner))).count();
        let thread = ledger.thread.load(Ordering::Acquire);
        if count > 0 && thread != FREE {
            pending.push((thread, count));
        }
    }
    pending
}

/// The calling thread's list. None only if the C library cannot be told to run it when the thread ends.
fn mine() -> Option<&'static Ledger> {
    if let Some(ledger) = MINE.get() {
        return Some(ledger);
    }
    let ledger = Ledger::claim();
    let this = ptr::from_ref(ledger).cast_mut().cast();
    // SAFETY: `run_all` takes a list, which lives for ever, on the thread whose list it is.
    if unsafe { interpose::thread_atexit(run_all, this, interpose::own_dso()) } != 0 {
        ledger.thread.store(FREE, Ordering::Release);
        return None;
    }
    MINE.set(Some(ledger));
    Some(ledger)
}

/// Runs when the thread ends, and lets go of its list. What a later destructor still registers begins a new one.
unsafe extern "C" fn run_all(ledger: *mut c_void) {
    // SAFETY: `mine` registered this function with a list, and lists are never freed.
    let ledger: &'static Ledger = unsafe { &*ledger.cast_const().cast() };
    while ledger.run_last(|_| true) {}
    MINE.set(None);
    ledger.thread.store(FREE, Ordering::Release);
}

thread_local! {
    // Constant and without a destructor: it can be used at any time in a thread's life, and registers nothing itself.
    static MINE: Cell<Option<&'static Ledger>> = const { Cell::new(None) };
}

/// The list of one thread.
struct Ledger {
    /// The number of its thread, or [`FREE`].
    thread: AtomicI32,
    /// How many entries there have been: the number of the next one, by which the last is known.
    pushed: AtomicU64,
    first: Page,
    next: AtomicPtr<Ledger>,
}

impl Ledger {
    /// Finds a list that is free, or makes one.
    fn claim() -> &'static Self {
        // SAFETY: the call has no arguments and cannot fail.
        let thread = unsafe { libc::gettid() };
        // Acquire: what the thread before wrote to the places is over. Release is in `run_all`.
        let free =
            |ledger: &&Self| ledger.thread.compare_exchange(FREE, thread, Ordering::Acquire, Ordering::Relaxed).is_ok();
        ledgers().find(free).unwrap_or_else(|| Self::publish(thread))
    }

    fn publish(thread: i32) -> &'static Self {
        let ledger = Box::into_raw(Box::new(Self {
            thread: AtomicI32::new(thread),
            pushed: AtomicU64::new(0),
            first: Page::default(),
            next: AtomicPtr::new(ptr::null_mut()),
        }));
        // SAFETY: it was just made, and it is never freed.
        let this: &'static Self = unsafe { &*ledger };
        let mut head = LEDGERS.load(Ordering::Acquire);
        loop {
            this.next.store(head, Ordering::Relaxed);
            // Release: whoever finds the list finds it made.
            match LEDGERS.compare_exchange_weak(head, ledger, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return this,
                Err(other) => head = other,
            }
        }
    }

    /// Only on its own thread.
    fn push(&self, entry: Entry) {
        // Relaxed: only this thread writes it.
        let order = self.pushed.load(Ordering::Relaxed);
        self.pushed.store(order + 1, Ordering::Relaxed);
        let mut page = &self.first;
        let place = loop {
            match page.places.iter().find(|place| place.owner().is_none()) {
                Some(place) => break place,
                None => page = page.more.get_or_init(Box::default),
            }
        };
        place.object.store(entry.object, Ordering::Relaxed);
        place.owner.store(entry.owner, Ordering::Relaxed);
        place.order.store(order, Ordering::Relaxed);
        // Release: whoever sees the place taken sees what is in it.
        place.destructor.store(entry.destructor as usize, Ordering::Release);
    }

    /// Takes the last entry off the list that `whose` accepts, and runs it. Only on its own thread.
    fn run_last(&self, whose: impl Fn(usize) -> bool) -> bool {
        let mine = self.places().filter(|place| place.owner().is_some_and(&whose));
        let Some(last) = mine.max_by_key(|place| place.order.load(Ordering::Relaxed)) else { return false };
        let object = last.object.load(Ordering::Relaxed);
        // Release: a thread that no longer counts this entry may go by what happened before.
        let destructor = last.destructor.swap(0, Ordering::Release);
        // SAFETY: the place was taken, so `push` put the address of a `Destructor` there.
        let destructor: Destructor = unsafe { std::mem::transmute(destructor) };
        // SAFETY: whoever registered the pair promised that it may be called so, once, on this thread: it is off the
        // list now. Its library is mapped, as it had an entry; see the invariants of `threads`.
        unsafe { destructor(object) };
        true
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        let pages = std::iter::successors(Some(&self.first), |page| page.more.get().map(|more| &**more));
        pages.flat_map(|page| &page.places)
    }
}

/// Sixteen places, and more if that is not enough. Most components leave one to five entries on a thread.
#[derive(Default)]
struct Page {
    places: [Place; 16],
    more: OnceLock<Box<Page>>,
}

#[derive(Default)]
struct Place {
    /// The address of the destructor; 0 if the place is free.
    destructor: AtomicUsize,
    object: AtomicPtr<c_void>,
    owner: AtomicUsize,
    order: AtomicU64,
}

impl Place {
    /// Whose entry is here, if one is.
    fn owner(&self) -> Option<usize> {
        (self.destructor.load(Ordering::Acquire) != 0).then(|| self.owner.load(Ordering::Relaxed))
    }
}

fn ledgers() -> impl Iterator<Item = &'static Ledger> {
    let at = |ledger: *mut Ledger| {
        // SAFETY: a list that was published is never freed, and null is no list.
        unsafe { ledger.as_ref() }
    };
    std::iter::successors(at(LEDGERS.load(Ordering::Acquire)), move |ledger| at(ledger.next.load(Ordering::Acquire)))
}

/// All lists there have ever been: as many as threads that had one at the same time.
static LEDGERS: AtomicPtr<Ledger> = AtomicPtr::new(ptr::null_mut());
/// No thread has this number.
const FREE: i32 = 0;
