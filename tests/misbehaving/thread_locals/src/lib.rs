//! Leaves things behind on the threads that call it, each in a way that real dependencies of components do.
//!
//! `ACTS` is what it can do, by number, so that a test can go through all of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::panic;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// What it can do.
const ACTS: &[(&CStr, fn())] = &[
    (c"allocates", || drop(std::hint::black_box(vec![format!("{:?}", Some(1)); 100]))),
    (c"hash map", || drop(std::hint::black_box(HashMap::from([(1, "one"), (2, "two")])))),
    (c"once lock and mutex", || {
        static NUMBERS: OnceLock<Mutex<Vec<u32>>> = OnceLock::new();
        NUMBERS.get_or_init(Mutex::default).lock().unwrap().push(1);
    }),
    (c"caught panic", || {
        panic::set_hook(Box::new(|_| {}));
        assert!(panic::catch_unwind(|| panic!("caught")).is_err());
    }),
    (c"thread-local without a destructor", || {
        thread_local!(static COUNT: Cell<u32> = const { Cell::new(0) });
        COUNT.set(COUNT.get() + 1);
    }),
    (c"thread-local with a destructor", || {
        thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        BUFFER.with_borrow_mut(|buffer| buffer.resize(1000, 1));
    }),
    (c"thread-local whose destructor makes another", || {
        struct Last;
        struct First;
        thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
        thread_local!(static FIRST: First = const { First });
        impl Drop for First {
            fn drop(&mut self) {
                LAST.with_borrow_mut(|last| *last = Some(Last));
            }
        }
        impl Drop for Last {
            fn drop(&mut self) {
                std::hint::black_box(self);
            }
        }
        FIRST.with(|_| ());
    }),
    (c"many thread-locals", || {
        macro_rules! many {
            ($($name:ident)*) => {$(
                thread_local!(static $name: RefCell<String> = const { RefCell::new(String::new()) });
                $name.with_borrow_mut(|name| name.push('x'));
            )*};
        }
        many!(A B C D E F G H I J K L M N O P Q R S T U V W X Y Z AA AB AC AD AE AF AG AH AI AJ AK AL AM AN AO AP);
    }),
    (c"thread::current", || {
        std::hint::black_box(thread::current());
    }),
    (c"thread::park", || thread::park_timeout(Duration::from_millis(1))),
    (c"thread::spawn and join", || thread::spawn(|| drop(thread::current())).join().unwrap()),
    (c"blocking receive", || {
        let (sender, receiver) = mpsc::channel::<u32>();
        assert!(receiver.recv_timeout(Duration::from_millis(1)).is_err());
        drop(sender);
    }),
    (c"blocking receive from a thread", || {
        let (sender, receiver) = mpsc::sync_channel::<u32>(0);
        let other = thread::spawn(move || sender.send(1).unwrap());
        assert_eq!(receiver.recv(), Ok(1));
        other.join().unwrap();
    }),
    (c"tokio mpsc receive", || {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<u32>(1);
        assert!(poll_once(receiver.recv()).is_pending());
        sender.try_send(1).unwrap();
        assert_eq!(poll_once(receiver.recv()), Poll::Ready(Some(1)));
    }),
    (c"tokio oneshot receive", || {
        let (sender, receiver) = tokio::sync::oneshot::channel::<u32>();
        sender.send(1).unwrap();
        assert_eq!(poll_once(receiver), Poll::Ready(Ok(1)));
    }),
    (c"tokio handle", || assert!(tokio::runtime::Handle::try_current().is_err())),
    (c"tokio runtime", || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { tokio::task::yield_now().await });
    }),
    (c"tokio runtime with threads", || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(async { tokio::spawn(async { 1 }).await.unwrap() });
    }),
    (c"random", || {
        std::hint::black_box(rand::random::<u64>());
    }),
];

/// How many acts there are.
#[unsafe(no_mangle)]
pub extern "C" fn acts() -> usize {
    ACTS.len()
}

/// What the act is called.
#[unsafe(no_mangle)]
pub extern "C" fn name(act: usize) -> *const c_char {
    ACTS[act].0.as_ptr()
}

/// Does it, on the calling thread.
#[unsafe(no_mangle)]
pub extern "C" fn act(act: usize) {
    ACTS[act].1();
}

/// How often this image has been asked: 1 the first time, if its statics are fresh.
#[unsafe(no_mangle)]
pub extern "C" fn count() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed) + 1
}

/// Leaves thread-locals behind that add, when they are destroyed, 1 and 10 times what is there to the counter: 10 if the
/// last registered goes first, as it should, and 1 if not.
#[unsafe(no_mangle)]
pub extern "C" fn count_destroyed(counter: &'static AtomicUsize) {
    struct Adds(&'static AtomicUsize);
    impl Drop for Adds {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    struct Multiplies(&'static AtomicUsize);
    impl Drop for Multiplies {
        fn drop(&mut self) {
            self.0.store(self.0.load(Ordering::SeqCst) * 10, Ordering::SeqCst);
        }
    }
    thread_local!(static FIRST: RefCell<Option<Multiplies>> = const { RefCell::new(None) });
    thread_local!(static SECOND: RefCell<Option<Adds>> = const { RefCell::new(None) });
    FIRST.set(Some(Multiplies(counter)));
    SECOND.set(Some(Adds(counter)));
}

/// Starts a thread that runs until `stop` is not 0, and does not wait for it.
#[unsafe(no_mangle)]
pub extern "C" fn start_thread(stop: &'static AtomicUsize) {
    let thread = thread::Builder::new().name("of-component".to_owned()).spawn(|| {
        while stop.load(Ordering::SeqCst) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    });
    drop(thread.expect("the system has room for a thread"));
}

/// Panics with a backtrace, and catches it.
#[unsafe(no_mangle)]
pub extern "C" fn backtrace() {
    std::hint::black_box(std::backtrace::Backtrace::force_capture().to_string());
}

/// Registers a destructor from inside `dlopen`, before the loader knows where the library lies.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn(*const c_void) = {
    extern "C" fn construct(_: *const c_void) {
        thread_local!(static CONSTRUCTED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        CONSTRUCTED.with_borrow_mut(|constructed| constructed.push(1));
    }
    construct
};

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
