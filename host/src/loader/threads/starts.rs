//! The threads that components have started, against the rules: each keeps its component mapped until it has ended.
//!
//! A component that is closed while a thread of its own runs takes the process down with it. Here such a thread is
//! known from before it starts until the last of the component's code has run on it.

use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};

use super::interpose::Routine;

/// What a thread of a component is to do.
pub(super) struct Start {
    record: &'static Record,
    range: Range<usize>,
    routine: Routine,
    argument: *mut c_void,
}

impl Start {
    /// For [`trampoline`], or for [`Start::withdraw`] if there will be no thread.
    pub(super) fn prepare(range: Range<usize>, routine: Routine, argument: *mut c_void) -> *mut c_void {
        let record = Record::claim(range.start);
        Box::into_raw(Box::new(Self { record, range, routine, argument })).cast()
    }

    /// # Safety
    /// `start` is from [`Start::prepare`], and nobody has taken it.
    pub(super) unsafe fn withdraw(start: *mut c_void) {
        // SAFETY: the caller says so.
        let start = unsafe { Box::from_raw(start.cast::<Self>()) };
        start.record.release();
    }
}

/// What a thread of a component runs. It has nothing to drop: `pthread_exit` unwinds through it.
///
/// # Safety
/// `start` is from [`Start::prepare`], and nobody else takes it.
pub(super) unsafe extern "C-unwind" fn trampoline(start: *mut c_void) -> *mut c_void {
    // SAFETY: the caller says so.
    let Start { record, range, routine, argument } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    // SAFETY: the call has no arguments and cannot fail.
    record.thread.store(unsafe { libc::gettid() }, Ordering::Release);
    // SAFETY: whoever started the thread promised that it may run this, and the component stays mapped while the record
    // says that it has a thread.
    let result = unsafe { routine(argument) };
    // Now, not when the C library gets to it: behind this line nothing of the component's may run on this thread.
    super::run_for(&range);
    record.release();
    result
}

/// The threads that the library at these addresses has started and that have not ended; [`UNBORN`] for one that is only
/// about to begin.
pub(super) fn running(range: &Range<usize>) -> Vec<i32> {
    let theirs = records().filter(|record| range.contains(&record.library.load(Ordering::Acquire)));
    theirs.map(|record| record.thread.load(Ordering::Acquire)).collect()
}

struct Record {
    /// Where the library begins; 0 if the record is free.
    library: AtomicUsize,
    /// The thread's number, once it runs, else [`UNBORN`].
    thread: AtomicI32,
    next: AtomicPtr<Record>,
}

impl Record {
    fn claim(library: usize) -> &'static Self {
        let free =
            |record: &&Self| record.library.compare_exchange(0, library, Ordering::Acquire, Ordering::Relaxed).is_ok();
        records().find(free).unwrap_or_else(|| Self::publish(library))
    }

    fn publish(library: usize) -> &'static Self {
        let record = Box::into_raw(Box::new(Self {
            library: AtomicUsize::new(library),
            thread: AtomicI32::new(UNBORN),
            next: AtomicPtr::new(ptr::null_mut()),
        }));
        // SAFETY: it was just made, and it is never freed.
        let this: &'static Self = unsafe { &*record };
        let mut head = RECORDS.load(Ordering::Acquire);
        loop {
            this.next.store(head, Ordering::Relaxed);
            // Release: whoever finds the record finds it made.
            match RECORDS.compare_exchange_weak(head, record, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return this,
                Err(other) => head = other,
            }
        }
    }

    fn release(&self) {
        self.thread.store(UNBORN, Ordering::Relaxed);
        // Release: what the thread ran of the library is over.
        self.library.store(0, Ordering::Release);
    }
}

fn records() -> impl Iterator<Item = &'static Record> {
    let at = |record: *mut Record| {
        // SAFETY: a record that was published is never freed, and null is no record.
        unsafe { record.as_ref() }
    };
    std::iter::successors(at(RECORDS.load(Ordering::Acquire)), move |record| at(record.next.load(Ordering::Acquire)))
}

/// No thread has this number.
pub(super) const UNBORN: i32 = 0;
static RECORDS: AtomicPtr<Record> = AtomicPtr::new(ptr::null_mut());
