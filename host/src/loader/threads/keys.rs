//! The thread-specific keys that components have made, each known by its destructor.
//!
//! The values are the threads' own, so each thread runs the destructors of its values; the keys are the process's, of
//! which it has 1,024, and go when no thread needs them any more. A key that is in the table has its library mapped.

use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::interpose::{self, Destructor};

/// Notes that a component has made this key.
pub(super) fn made(key: libc::pthread_key_t, destructor: Destructor) {
    if let Some(entry) = KEYS.get(key as usize) {
        entry.store(destructor as usize, Ordering::Release);
    }
}

/// Notes that this key is no longer.
pub(super) fn forget(key: libc::pthread_key_t) {
    if let Some(entry) = KEYS.get(key as usize) {
        entry.store(0, Ordering::Release);
    }
}

/// Runs, once each, the destructors of the values that the calling thread has under keys of these addresses.
pub(super) fn run_mine(range: &Range<usize>) -> usize {
    of(range).filter(|(key, destructor)| run(*key, *destructor)).count()
}

/// Deletes the keys of these addresses.
pub(super) fn delete(range: &Range<usize>) -> usize {
    of(range)
        .filter(|(key, _)| {
            forget(*key);
            // SAFETY: the caller closes the library whose key it is; nobody else knows the key.
            unsafe { interpose::key_delete(*key) == 0 }
        })
        .count()
}

fn of(range: &Range<usize>) -> impl Iterator<Item = (libc::pthread_key_t, usize)> {
    let keys = KEYS.iter().enumerate().map(|(key, entry)| (key as libc::pthread_key_t, entry.load(Ordering::Acquire)));
    keys.filter(|(_, destructor)| range.contains(destructor))
}

fn run(key: libc::pthread_key_t, destructor: usize) -> bool {
    // SAFETY: the key is in the table, so it has been made and not deleted.
    let value = unsafe { libc::pthread_getspecific(key) };
    if value.is_null() {
        return false;
    }
    // SAFETY: as above. The value is taken away first, as the C library does it: the destructor may set another.
    unsafe { libc::pthread_setspecific(key, ptr::null::<c_void>()) };
    // SAFETY: `made` put the address of a `Destructor` there; 0 is in no library's range.
    let destructor: Destructor = unsafe { std::mem::transmute(destructor) };
    // SAFETY: whoever made the key promised that this may be called with a thread's value on that thread.
    unsafe { destructor(value) };
    true
}

/// By key: the address of its destructor, or 0. Keys above the C library's limit do not exist.
static KEYS: [AtomicUsize; 1024] = [const { AtomicUsize::new(0) }; 1024];
