//! Whose code a thread runs: a word that is written before each call into a component and after it.
//!
//! It names the instance and the session for what a component logs or panics with, and for whoever looks at a thread that
//! does not come back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tandem_component::abi::Reports;

thread_local! {
    static WORD: AtomicU64 = const { AtomicU64::new(OUTSIDE) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

const OUTSIDE: u64 = 0;

/// What the numbers of instances stand for. Looked at only when something is reported.
static NAMES: Mutex<BTreeMap<u32, Name>> = Mutex::new(BTreeMap::new());

/// What an instance is called.
#[derive(Clone, Debug)]
pub struct Name {
    /// `http@1.2.0#3fa9c1`
    pub version: String,
    /// `web`
    pub service: String,
}

/// Says what an instance is called.
pub fn name(number: u32, name: Name) {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).insert(number, name);
}

/// Forgets an instance that has ended.
pub fn forget(number: u32) {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
}

/// This thread runs code of an instance until the guard is dropped.
#[inline]
pub fn enter(instance: u32, session: u64) -> Inside {
    WORD.with(|word| {
        let before = word.load(Ordering::Relaxed);
        // Relaxed: the word says where a thread is, it orders nothing.
        word.store(u64::from(instance) << 32 | session & 0xffff_ffff, Ordering::Relaxed);
        Inside { before }
    })
}

/// While it lives, the thread is inside a component.
pub struct Inside {
    before: u64,
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        WORD.with(|word| word.store(self.before, Ordering::Relaxed));
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

    fn panicked(message: &str, location: &str) {
        let (version, service, session) = whose();
        tracing::error!(target: "component", %version, %service, session, at = location, "panicked: {message}");
        LAST_PANIC.set(format!("{message} ({location})"));
    }
}

fn whose() -> (String, String, u64) {
    let word = WORD.with(|word| word.load(Ordering::Relaxed));
    let (number, session) = ((word >> 32) as u32, word & 0xffff_ffff);
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.get(&number).map_or_else(
        || ("?".to_owned(), "?".to_owned(), session),
        |name| (name.version.clone(), name.service.clone(), session),
    )
}
