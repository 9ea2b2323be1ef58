//! What a component leaves behind on threads does not keep it mapped, and what does keep it mapped is said.
//!
//! Libraries, thread-locals and keys belong to the process, so each test runs in a process of its own: this executable
//! again, with the test's name. That such a process ends well is part of each test.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::ffi::{CStr, c_char};
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tandem::loader::library::{Closed, Library, mapped};
use tandem::loader::shelf::{Shelf, Shelved};
use tandem::loader::threads;

#[test]
fn the_executable_sees_what_components_register() {
    in_a_process("the_executable_sees_what_components_register", || assert!(threads::installed()));
}

#[test]
fn every_act_is_unmapped_after_its_threads_have_run_what_they_hold() {
    in_a_process("every_act_is_unmapped_after_its_threads_have_run_what_they_hold", || {
        let (shelf, shelved) = shelf();
        let workers = [Worker::start(), Worker::start()];
        for number in 0..acts(&shelf, &shelved) {
            let library = load(&shelf, &shelved);
            let name = name(&library, number);
            act(&library, number);
            workers.iter().for_each(|worker| {
                let act = *symbol::<extern "C" fn(usize)>(&library, "act");
                worker.run(move || act(number));
            });
            let range = library.range();
            workers.iter().for_each(|worker| {
                let range = range.clone();
                worker.run(move || {
                    threads::run_for(&range);
                });
            });
            unmapped(library, &name);
            assert!(mapped(shelf.directory()).is_empty(), "{name}");
        }
        // They end here, with nothing of the libraries to call: a crash would be this process's.
        workers.into_iter().for_each(Worker::end);
    });
}

#[test]
fn five_hundred_loads_of_each_act_stay_flat() {
    in_a_process("five_hundred_loads_of_each_act_stay_flat", || {
        let (shelf, shelved) = shelf();
        let worker = Worker::start();
        for number in 0..acts(&shelf, &shelved) {
            let round = || {
                let library = load(&shelf, &shelved);
                let act = *symbol::<extern "C" fn(usize)>(&library, "act");
                let range = library.range();
                worker.run(move || {
                    act(number);
                    threads::run_for(&range);
                });
                unmapped(library, "a round");
            };
            (0..20).for_each(|_| round());
            let (before, began) = (resident_kib(), Instant::now());
            (0..500).for_each(|_| round());
            let (grown, took) = (resident_kib().saturating_sub(before), began.elapsed() / 500);
            let library = load(&shelf, &shelved);
            let name = name(&library, number);
            unmapped(library, &name);
            println!("{name}: {grown} KiB more after 500 loads, {took:?} each");
            assert!(grown < 4096, "{name}: {grown} KiB more after 500 loads");
        }
        worker.end();
    });
}

#[test]
fn two_thousand_loads_do_not_use_up_the_keys() {
    in_a_process("two_thousand_loads_do_not_use_up_the_keys", || {
        let (shelf, shelved) = shelf();
        let library = load(&shelf, &shelved);
        let acts = 0..acts(&shelf, &shelved);
        let current = acts.into_iter().find(|number| name(&library, *number) == "thread::current").unwrap();
        unmapped(library, "thread::current");
        for _ in 0..2000 {
            let library = load(&shelf, &shelved);
            act(&library, current);
            unmapped(library, "thread::current");
        }
    });
}

#[test]
fn a_thread_that_has_not_run_what_it_holds_keeps_the_library_and_is_named() {
    in_a_process("a_thread_that_has_not_run_what_it_holds_keeps_the_library_and_is_named", || {
        let (shelf, shelved) = shelf();
        let library = load(&shelf, &shelved);
        let worker = Worker::start();
        let count = *symbol::<extern "C" fn(&'static AtomicUsize)>(&library, "count_destroyed");
        worker.run(move || count(&DESTROYED));

        let Closed::Lingering { reason, library: Some(library) } = library.close() else { panic!("it was closed") };
        assert!(
            reason.starts_with("thread `worker` (") && reason.ends_with("2 thread-locals of it to destroy"),
            "{reason}"
        );
        assert_eq!(DESTROYED.load(Ordering::SeqCst), 0);

        // At its end the thread runs them, the last registered first; after that nothing needs the library.
        worker.end();
        assert_eq!(DESTROYED.load(Ordering::SeqCst), 10);
        unmapped(library, "after the thread");
    });
}

#[test]
fn destructors_run_once_and_the_last_registered_first() {
    in_a_process("destructors_run_once_and_the_last_registered_first", || {
        let (shelf, shelved) = shelf();
        let library = load(&shelf, &shelved);
        symbol::<extern "C" fn(&'static AtomicUsize)>(&library, "count_destroyed")(&DESTROYED);
        assert!(threads::run_for(&library.range()) >= 2);
        assert_eq!(DESTROYED.load(Ordering::SeqCst), 10);
        assert_eq!(threads::run_for(&library.range()), 0);
        unmapped(library, "after two");
        assert_eq!(DESTROYED.load(Ordering::SeqCst), 10);
    });
}

#[test]
fn a_thread_that_the_library_started_keeps_it_until_it_ends() {
    in_a_process("a_thread_that_the_library_started_keeps_it_until_it_ends", || {
        let (shelf, shelved) = shelf();
        let mut library = load(&shelf, &shelved);
        symbol::<extern "C" fn(&'static AtomicUsize)>(&library, "start_thread")(&STOP);
        thread::sleep(Duration::from_millis(20));
        let Closed::Lingering { reason, library: Some(still) } = library.close() else { panic!("it was closed") };
        assert!(reason.starts_with("thread `of-component` (") && reason.ends_with("still runs"), "{reason}");
        library = still;

        STOP.store(1, Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(5);
        while !threads::holders(&library.range()).is_empty() {
            assert!(Instant::now() < deadline, "the thread does not end");
            thread::sleep(Duration::from_millis(1));
        }
        unmapped(library, "after its thread");
    });
}

#[test]
fn a_thread_that_is_being_started_keeps_the_library_too() {
    in_a_process("a_thread_that_is_being_started_keeps_the_library_too", || {
        let (shelf, shelved) = shelf();
        for _ in 0..200 {
            STOP.store(1, Ordering::SeqCst);
            let mut library = load(&shelf, &shelved);
            symbol::<extern "C" fn(&'static AtomicUsize)>(&library, "start_thread")(&STOP);
            // Closed at once, and again and again: while the thread begins, runs and ends.
            loop {
                match library.close() {
                    Closed::Unmapped => break,
                    Closed::Lingering { library: Some(still), .. } => library = still,
                    Closed::Lingering { reason, library: None } | Closed::Unseen { reason, .. } => panic!("{reason}"),
                }
            }
        }
    });
}

#[test]
fn beside_a_lingering_library_a_fresh_copy_is_loaded() {
    in_a_process("beside_a_lingering_library_a_fresh_copy_is_loaded", || {
        let (shelf, shelved) = shelf();
        let count = |library: &Library| symbol::<extern "C" fn() -> usize>(library, "count")();
        let lingering = load(&shelf, &shelved);
        assert_eq!((count(&lingering), count(&lingering)), (1, 2));

        let path = shelf.fresh_path(&shelved.digest).unwrap();
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), format!("{}.1.so", shelved.digest));
        // SAFETY: the fixture has a constructor that is made for this.
        let again = unsafe { Library::load(&shelved.path) }.unwrap_err().to_string();
        assert!(again.contains("is mapped already"), "{again}");
        let fresh = load(&shelf, &shelved);
        assert_eq!(count(&fresh), 1);
        assert_eq!(mapped(shelf.directory()).len(), 2);

        // Neither is swept away while it is mapped and kept; the second copy goes once nothing is mapped from it.
        let keep = [shelved.digest].into();
        assert_eq!(shelf.sweep(&keep).unwrap(), []);
        assert_eq!(fs::read_dir(shelf.directory()).unwrap().count(), 2);
        unmapped(fresh, "the second copy");
        assert_eq!(shelf.sweep(&keep).unwrap(), []);
        assert_eq!(fs::read_dir(shelf.directory()).unwrap().count(), 1);
        unmapped(lingering, "the first copy");
    });
}

#[test]
fn a_backtrace_leaves_its_mapping_and_is_found_out() {
    in_a_process("a_backtrace_leaves_its_mapping_and_is_found_out", || {
        let (shelf, shelved) = shelf();
        let library = load(&shelf, &shelved);
        symbol::<extern "C" fn()>(&library, "backtrace")();
        match library.close() {
            Closed::Lingering { reason, library: None } => {
                assert!(reason.contains("as a backtrace leaves"), "{reason}")
            }
            other => panic!("{other:?}"),
        }
        assert!(mapped(shelf.directory()).is_empty());
    });
}

#[test]
fn what_is_not_on_the_shelf_is_not_loaded() {
    in_a_process("what_is_not_on_the_shelf_is_not_loaded", || {
        // SAFETY: it is refused before anything of it runs.
        let error = unsafe { Library::load(&fixture()) }.unwrap_err().to_string();
        assert!(error.contains("is not on a shelf"), "{error}");
    });
}

#[test]
fn threads_and_the_process_may_end_with_the_library_loaded() {
    in_a_process("threads_and_the_process_may_end_with_the_library_loaded", || {
        let (shelf, shelved) = shelf();
        let library = load(&shelf, &shelved);
        let worker = Worker::start();
        for number in 0..acts(&shelf, &shelved) {
            let act = *symbol::<extern "C" fn(usize)>(&library, "act");
            act(number);
            worker.run(move || act(number));
        }
        worker.end();
    });
}

static DESTROYED: AtomicUsize = AtomicUsize::new(0);
static STOP: AtomicUsize = AtomicUsize::new(0);

/// Runs `test` in a process of its own, with a time limit, and fails as it fails.
fn in_a_process(name: &str, test: impl FnOnce()) {
    const CHILD: &str = "TANDEM_TEST_IN_A_PROCESS";
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    fixture(); // Not counted against the limit; the child waits for the same build.
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let _ = fs::remove_dir_all(place(child.id()));
            assert!(status.success(), "{name}: {status}");
            return;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            let _ = fs::remove_dir_all(place(child.id()));
            panic!("{name} takes longer than two minutes");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The library under test, built once.
fn fixture() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/misbehaving");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "misbehaving-thread-locals", "--target-dir", target])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(built.success(), "the fixture cannot be built");
        // Built for a named target, as under AddressSanitizer, it lies one directory deeper.
        let target = PathBuf::from(target).join(std::env::var_os("CARGO_BUILD_TARGET").unwrap_or_default());
        target.join("debug/libmisbehaving_thread_locals.so")
    });
    built.clone()
}

/// A shelf of this process's own, with the fixture on it.
fn shelf() -> (Shelf, Shelved) {
    let shelf = Shelf::open(&place(process::id())).unwrap();
    threads::watch(shelf.directory()).unwrap();
    let shelved = shelf.take(&fixture()).unwrap();
    (shelf, shelved)
}

/// Where the shelf of a process lies. Its parent deletes it.
fn place(process: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("shelf-{process}"))
}

fn load(shelf: &Shelf, shelved: &Shelved) -> Library {
    let path = shelf.fresh_path(&shelved.digest).unwrap();
    // SAFETY: the fixture's constructor registers a thread-local, which is what is tested.
    unsafe { Library::load(&path) }.unwrap()
}

fn symbol<'a, T>(library: &'a Library, name: &str) -> libloading::Symbol<'a, T> {
    // SAFETY: the types are those in the fixture's source, and no test uses a symbol after it has closed the library.
    unsafe { library.symbol(name) }.unwrap()
}

fn acts(shelf: &Shelf, shelved: &Shelved) -> usize {
    let library = load(shelf, shelved);
    let acts = symbol::<extern "C" fn() -> usize>(&library, "acts")();
    unmapped(library, "acts");
    acts
}

fn name(library: &Library, number: usize) -> String {
    let name = symbol::<extern "C" fn(usize) -> *const c_char>(library, "name")(number);
    // SAFETY: the fixture gives a string that lives as long as the library is mapped.
    unsafe { CStr::from_ptr(name) }.to_str().unwrap().to_owned()
}

fn act(library: &Library, number: usize) {
    symbol::<extern "C" fn(usize)>(library, "act")(number);
}

fn unmapped(library: Library, what: &str) {
    match library.close() {
        Closed::Unmapped => {}
        Closed::Lingering { reason, .. } | Closed::Unseen { reason, .. } => panic!("{what}: {reason}"),
    }
}

fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A thread that runs what it is given, like one of the host's.
struct Worker {
    jobs: mpsc::Sender<Box<dyn FnOnce() + Send>>,
    done: mpsc::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

impl Worker {
    fn start() -> Self {
        let (jobs, next) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (finished, done) = mpsc::channel();
        let run = move || {
            next.iter().for_each(|job| {
                job();
                finished.send(()).unwrap()
            })
        };
        let thread = thread::Builder::new().name("worker".to_owned()).spawn(run).unwrap();
        Self { jobs, done, thread }
    }

    fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.jobs.send(Box::new(job)).unwrap();
        self.done.recv_timeout(Duration::from_secs(20)).expect("the job ends");
    }

    fn end(self) {
        drop(self.jobs);
        self.thread.join().unwrap();
    }
}
