//! The functions of the C library that the host's executable defines in its place, for components to find first.
//!
//! Each decides by address whose call it is. The executable's own is passed on after two comparisons; for any other the
//! object around the address is looked up, and only what lies in a watched directory is a component's. The invariants:
//!
//! - nothing here unwinds, takes a lock of its own, or needs anything to have been set up: std and the C library call
//!   these functions before `main`, inside `dlopen`, and on threads that are ending;
//! - before the first directory is watched, everything is passed on.
//!
//! That components find these definitions is due to `build.rs`, which has the linker export them.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::{WatchError, keys, ledger, starts};

/// A destructor, as the C library takes it.
pub(super) type Destructor = unsafe extern "C" fn(*mut c_void);
/// What a thread runs. It may unwind: `pthread_exit` does.
pub(super) type Routine = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// Registers a destructor of a thread-local. `dso` is an address inside the object that registers it.
///
/// # Safety
/// As for the C library: `destructor` may be called with `object` on this thread, once, when the thread ends.
#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_thread_atexit_impl(destructor: Destructor, object: *mut c_void, dso: *mut c_void) -> c_int {
    // Both, because code that several objects share may register in its own name what lies in another.
    let owner = [destructor as usize, dso as usize].into_iter().find(|address| component_around(*address).is_some());
    match owner {
        Some(owner) => ledger::push(ledger::Entry { destructor, object, owner }),
        // SAFETY: our caller upholds what the C library's function asks for, whose arguments these are.
        None => unsafe { thread_atexit(destructor, object, dso) },
    }
}

/// Makes a thread-specific key.
///
/// # Safety
/// As for the C library: `key` can be written to, and `destructor` may be called with each thread's value.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(key: *mut libc::pthread_key_t, destructor: Option<Destructor>) -> c_int {
    let Some(real) = REAL_KEY_CREATE.find() else { return libc::ENOSYS };
    // SAFETY: the symbol of this name has this type in every C library.
    let real: unsafe extern "C" fn(*mut libc::pthread_key_t, Option<Destructor>) -> c_int =
        unsafe { std::mem::transmute(real) };
    // SAFETY: our caller upholds what the C library's function asks for, whose arguments these are.
    let made = unsafe { real(key, destructor) };
    if let Some(destructor) = destructor
        && made == 0
        && component_around(destructor as usize).is_some()
    {
        // SAFETY: the call succeeded, so it has written the key.
        keys::made(unsafe { *key }, destructor);
    }
    made
}

/// Deletes a thread-specific key.
///
/// # Safety
/// As for the C library: nobody uses the key afterwards.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_delete(key: libc::pthread_key_t) -> c_int {
    keys::forget(key);
    // SAFETY: our caller upholds what the C library's function asks for.
    unsafe { key_delete(key) }
}

/// Starts a thread.
///
/// # Safety
/// As for the C library: `thread` can be written to, `attributes` are null or initialised, and `routine` may be called
/// with `argument` on another thread.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    routine: Routine,
    argument: *mut c_void,
) -> c_int {
    let Some(real) = REAL_CREATE.find() else { return libc::ENOSYS };
    // SAFETY: the symbol of this name has this type in every C library.
    let real: unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Routine, *mut c_void) -> c_int =
        unsafe { std::mem::transmute(real) };
    let Some(range) = component_around(routine as usize) else {
        // SAFETY: our caller upholds what the C library's function asks for, whose arguments these are.
        return unsafe { real(thread, attributes, routine, argument) };
    };
    let start = starts::Start::prepare(range, routine, argument);
    // SAFETY: as above; `trampoline` takes what `Start::prepare` gives, and takes it once.
    let started = unsafe { real(thread, attributes, starts::trampoline, start) };
    if started != 0 {
        // SAFETY: no thread was started, so nobody has taken it.
        unsafe { starts::Start::withdraw(start) };
    }
    started
}

/// The C library's own `__cxa_thread_atexit_impl`.
///
/// # Safety
/// `destructor` may be called with `object` on this thread, once, when the thread ends.
pub(super) unsafe fn thread_atexit(destructor: Destructor, object: *mut c_void, dso: *mut c_void) -> c_int {
    let Some(real) = REAL_ATEXIT.find() else { return -1 };
    // SAFETY: the symbol of this name has this type in every C library that has it.
    let real: unsafe extern "C" fn(Destructor, *mut c_void, *mut c_void) -> c_int =
        unsafe { std::mem::transmute(real) };
    // SAFETY: our caller upholds it.
    unsafe { real(destructor, object, dso) }
}

/// The C library's own `pthread_key_delete`.
///
/// # Safety
/// Nobody uses the key afterwards.
pub(super) unsafe fn key_delete(key: libc::pthread_key_t) -> c_int {
    let Some(real) = REAL_KEY_DELETE.find() else { return libc::ENOSYS };
    // SAFETY: the symbol of this name has this type in every C library.
    let real: unsafe extern "C" fn(libc::pthread_key_t) -> c_int = unsafe { std::mem::transmute(real) };
    // SAFETY: our caller upholds it.
    unsafe { real(key) }
}

/// An address inside the executable, to register with the C library in its name.
pub(super) fn own_dso() -> *mut c_void {
    (&raw const __dso_handle).cast_mut().cast()
}

pub(super) fn watch(directory: &Path) -> Result<(), WatchError> {
    let mut prefix = directory.canonicalize()?.into_os_string().as_bytes().to_vec();
    prefix.push(b'/');
    let mut prefix = prefix.into_boxed_slice();
    for place in &WATCHED {
        if place.get() == Some(&prefix) {
            return Ok(());
        }
        match place.set(prefix) {
            Ok(()) => return Ok(()),
            Err(back) => prefix = back,
        }
    }
    Err(WatchError::TooMany(WATCHED.len()))
}

pub(super) fn covers(library: &Path) -> bool {
    is_watched(library.as_os_str().as_bytes())
}

pub(super) fn installed() -> bool {
    let ours: [(&CStr, *const c_void); 4] = [
        (REAL_ATEXIT.name, __cxa_thread_atexit_impl as *const c_void),
        (REAL_KEY_CREATE.name, pthread_key_create as *const c_void),
        (REAL_KEY_DELETE.name, pthread_key_delete as *const c_void),
        (REAL_CREATE.name, pthread_create as *const c_void),
    ];
    // SAFETY: the names are strings, and looking a symbol up runs no code.
    ours.iter().all(|(name, ours)| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }.cast_const() == *ours)
}

/// The addresses of the component that has `address` in it, if it is one.
fn component_around(address: usize) -> Option<Range<usize>> {
    // The pointers lead to the first byte of the executable and behind its last one; only their addresses are used.
    let executable = (&raw const __executable_start).addr()..(&raw const _end).addr();
    if executable.contains(&address) || WATCHED[0].get().is_none() {
        return None;
    }
    let Some(find) = FIND_OBJECT.find() else {
        // Before glibc 2.35. This takes the dynamic linker's lock, as the C library's own lookup did there.
        let image = crate::loader::image::around(address)?;
        return covers(&image.path).then_some(image.range);
    };
    // SAFETY: the symbol of this name has this type; it is documented to be usable at any time, without a lock.
    let find: unsafe extern "C" fn(*mut c_void, *mut FoundObject) -> c_int = unsafe { std::mem::transmute(find) };
    let mut found = FoundObject::EMPTY;
    // SAFETY: `found` is larger than what the function writes.
    if unsafe { find(ptr::without_provenance_mut(address), &mut found) } != 0 || found.link_map.is_null() {
        return None;
    }
    // SAFETY: the address is one of code or data that is calling us, or that a caller vouches for, so its object is not
    // being closed, and the dynamic linker's record of it lives; the name is a string in it, if it is not null.
    let name = unsafe {
        let name = (*found.link_map).name;
        if name.is_null() { c"" } else { CStr::from_ptr(name) }
    };
    is_watched(name.to_bytes()).then(|| found.start.addr()..found.end.addr())
}

fn is_watched(path: &[u8]) -> bool {
    WATCHED.iter().map_while(OnceLock::get).any(|prefix| path.starts_with(prefix))
}

/// The directories of components, each with a slash at its end. There is room for more than one because tests run
/// several hosts in a process.
static WATCHED: [OnceLock<Box<[u8]>>; 16] = [const { OnceLock::new() }; 16];

static REAL_ATEXIT: Real = Real::new(c"__cxa_thread_atexit_impl");
static REAL_KEY_CREATE: Real = Real::new(c"pthread_key_create");
static REAL_KEY_DELETE: Real = Real::new(c"pthread_key_delete");
static REAL_CREATE: Real = Real::new(c"pthread_create");
static FIND_OBJECT: Real = Real::new(c"_dl_find_object");

/// A function that an object behind the executable defines: the C library's own.
struct Real {
    name: &'static CStr,
    /// Null before the first use. Relaxed: the pointer is all that there is to see, and every thread finds the same.
    function: AtomicPtr<c_void>,
}

impl Real {
    const fn new(name: &'static CStr) -> Self {
        Self { name, function: AtomicPtr::new(ptr::null_mut()) }
    }

    fn find(&self) -> Option<*mut c_void> {
        let mut function = self.function.load(Ordering::Relaxed);
        if function.is_null() {
            // SAFETY: the name is a string, and looking a symbol up runs no code of an object's own.
            function = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
            self.function.store(function, Ordering::Relaxed);
        }
        (!function.is_null()).then_some(function)
    }
}

/// The C library's `struct dl_find_object`, with more room at its end than any architecture has fields.
#[repr(C)]
struct FoundObject {
    flags: u64,
    start: *mut c_void,
    end: *mut c_void,
    link_map: *const LinkMap,
    rest: [u64; 16],
}

impl FoundObject {
    const EMPTY: Self =
        Self { flags: 0, start: ptr::null_mut(), end: ptr::null_mut(), link_map: ptr::null(), rest: [0; 16] };
}

/// The public beginning of the dynamic linker's record of an object.
#[repr(C)]
struct LinkMap {
    address: usize,
    name: *const c_char,
}

unsafe extern "C" {
    /// Defined by the start files of every object.
    static __dso_handle: u8;
    /// Defined by the linker.
    static __executable_start: u8;
    /// Defined by the linker.
    static _end: u8;
}
