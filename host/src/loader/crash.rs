//! Writes down whose code ran when the process is ended by it: by a signal, or by an `exit` that is not the host's.
//!
//! A signal comes on the thread that has caused it, wherever that was, so nothing is done here that might wait or allocate: the words of
//! [`inside`](crate::observe::inside) are read, and a line is written to a file that is open already. Then whoever handled the signal before has it,
//! std's report of a stack overflow among them.

use std::fs::File;
use std::io;

#[cfg(unix)]
pub use unix::install;

/// Elsewhere nothing is written down.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn install(_file: File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
mod unix {
    use std::ffi::c_int;
    use std::mem::MaybeUninit;
    use std::os::fd::IntoRawFd;
    use std::ptr;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

    use super::{File, inside_line, io};

    /// What a component can do to the process.
    const SIGNALS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];

    /// The file, and whether there is a line in it.
    static FILE: AtomicI32 = AtomicI32::new(-1);
    static WRITTEN: AtomicBool = AtomicBool::new(false);
    /// Who handled the signals before.
    static BEFORE: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();

    /// From now on, what ends the process by a signal or an `exit` is written to this file, once.
    ///
    /// # Errors
    /// The system refuses.
    pub fn install(file: File) -> io::Result<()> {
        FILE.store(file.into_raw_fd(), Ordering::Release);
        let mut before = [const { MaybeUninit::<libc::sigaction>::zeroed() }; SIGNALS.len()];
        for (signal, before) in SIGNALS.iter().zip(&mut before) {
            // SAFETY: both are `sigaction`s, of which all zeros is one.
            let (mut action, before) =
                unsafe { (MaybeUninit::<libc::sigaction>::zeroed().assume_init(), before.assume_init_mut()) };
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
            action.sa_sigaction = handler as usize;
            // A stack that has overflowed is none to handle that on: std has given each thread another one.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: the handler does nothing that a signal may not interrupt, see there.
            if unsafe { libc::sigaction(*signal, &raw const action, before) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: each was zeroed, which is a `sigaction`, and written by the system.
        let before = before.map(|before| unsafe { before.assume_init() });
        // It is installed once; a second time would take the first for what was before.
        let _ = BEFORE.set(before);
        // SAFETY: it takes a function for the end of the process.
        match unsafe { libc::atexit(at_exit) } {
            0 => Ok(()),
            _ => Err(io::Error::other("there is no room for what is done at the end of the process")),
        }
    }

    extern "C" fn handle(signal: c_int, information: *mut libc::siginfo_t, _: *mut libc::c_void) {
        write(&format_args!("signal {signal}"));
        let Some(at) = SIGNALS.iter().position(|known| *known == signal) else { return };
        let before = BEFORE.get().map_or(ptr::null(), |before| &raw const before[at]);
        // SAFETY: `sigaction` and `raise` may be called here, and the system has given the information.
        unsafe {
            if before.is_null() {
                libc::signal(signal, libc::SIG_DFL);
            } else {
                libc::sigaction(signal, before, ptr::null_mut());
            }
            // What the thread has caused comes again as soon as it goes on; what was sent does not.
            if (*information).si_code <= 0 {
                libc::raise(signal);
            }
        }
    }

    /// The host's own ends are none of a component's.
    extern "C" fn at_exit() {
        if crate::observe::inside::now().is_some() {
            write(&format_args!("exit"));
        }
    }

    /// Writes one line, the first.
    fn write(what: &std::fmt::Arguments<'_>) {
        if WRITTEN.swap(true, Ordering::AcqRel) {
            return;
        }
        let line = inside_line(what);
        // SAFETY: it writes what it is given. Where that fails there is nobody to be told.
        let _ = unsafe { libc::write(FILE.load(Ordering::Acquire), line.0.as_ptr().cast(), line.1) };
    }
}

/// The line, and how long it is.
#[cfg(unix)]
fn inside_line(what: &std::fmt::Arguments<'_>) -> ([u8; 128], usize) {
    use std::io::Write;

    let mut buffer = [0; 128];
    let mut room = &mut buffer[..];
    // Numbers and short words, which std writes without a buffer of its own; they are shorter than there is room for.
    let _ = match crate::observe::inside::now() {
        Some(seen) => {
            writeln!(room, "{what} instance {} session {} what {}", seen.instance, seen.session, seen.what.number())
        }
        None => writeln!(room, "{what}"),
    };
    let left = room.len();
    (buffer, 128 - left)
}
