//! Whatever a library does when it is examined, the host goes on and the operator learns what it did, and where.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod trials;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tandem::loader::examine::{Limits, Refused, Step, examine};
use tandem::loader::manifest::Manifest;
use tandem::loader::shelf::Shelf;
use tandem_component::abi::REVISION;
use trials::{built, directory, fixture, host, shelved, trial, tried, wrapper};

#[test]
fn a_component_that_fits_passes_and_names_its_content() {
    let (_shelf, shelved) = shelved("passes", &fixture());
    let examined = tried(&shelved, &[json!({"act": "nothing"}), json!({"act": "nothing"})]).unwrap();
    assert_eq!((examined.digest(), &examined.lingers), (&shelved.digest, &None));
    assert!(tried(&shelved, &[]).is_ok());
}

#[test]
fn what_a_component_says_of_its_configuration_reaches_the_operator() {
    let (_shelf, shelved) = shelved("refuses", &fixture());
    let reason = |config| tried(&shelved, &[json!({"act": "nothing"}), config]).unwrap_err().to_string();
    assert_eq!(reason(json!({"act": "refuse"})), "service `two`: routes is empty, 0 of them; name one");
    let missing = reason(json!({"act": "nothing", "routes": [{"path": "/"}, {}]}));
    assert_eq!(missing, "service `two`: routes[1]: missing field `path`");
    let unknown = reason(json!({"act": "nothing", "root": 1}));
    assert!(unknown.starts_with("service `two`: root: unknown field `root`, expected"), "{unknown}");
    let panicked = reason(json!({"act": "panic"}));
    assert!(
        panicked.starts_with("service `two`: it panicked: not today (") && panicked.contains("lib.rs:"),
        "{panicked}"
    );
}

#[test]
fn what_kills_the_examination_is_named_with_the_place() {
    let (_shelf, shelved) = shelved("kills", &fixture());
    let reason = |act: &str| tried(&shelved, &[json!({"act": act})]).unwrap_err().to_string();
    assert_eq!(reason("crash"), "the library killed its examination: SIGSEGV, in `start` for service `one`");
    assert_eq!(reason("exit"), "the library killed its examination: exit status: 7, in `start` for service `one`");
    let stopped = reason("crash-when-stopped");
    assert_eq!(stopped, "the library killed its examination: SIGSEGV, while it was stopped for service `one`");

    // A verdict that is printed counts for nothing, and is shown as what it is.
    let printed = reason("print");
    assert!(printed.starts_with("the library killed its examination: SIGABRT, in `start`"), "{printed}");
    assert!(printed.ends_with("printed for one | and then it died"), "{printed}");
    // A panic while it stops is caught, in the host as here.
    assert!(tried(&shelved, &[json!({"act": "panic-when-stopped"})]).is_ok());
}

#[test]
fn a_constructor_that_dies_or_hangs_is_named() {
    let (_shelf, shelved) = shelved("constructors", &fixture());
    // The environment is the child's; this test's own process loads nothing.
    let reason = |act: &str| {
        let host = wrapper("constructors", &format!("TANDEM_TEST_CONSTRUCTOR={act} exec"), "");
        examine(&host, &shelved, &[], Limits::within(Duration::from_secs(1))).unwrap_err().to_string()
    };
    assert_eq!(reason("crash"), "the library killed its examination: SIGSEGV, while it was loaded");
    assert_eq!(reason("exit"), "the library killed its examination: exit status: 7, while it was loaded");
    assert_eq!(
        reason("sleep"),
        "it did not finish within 1s, while it was loaded (a constructor or `start` that hangs?)"
    );
}

#[test]
fn a_start_that_hangs_is_ended_and_leaves_no_process() {
    let (_shelf, shelved) = shelved("hangs", &fixture());
    let began = Instant::now();
    let refused = examine(
        &host(),
        &shelved,
        &[trial("one", &json!({"act": "hang"}))],
        Limits::within(Duration::from_millis(300)),
    );
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    match refused {
        Err(Refused::TimedOut { step: Some(Step::Start(service)), .. }) => assert_eq!(service, "one"),
        other => panic!("{other:?}"),
    }
    let library = shelved.path.to_str().unwrap();
    assert!(!mapped_anywhere(library), "a process still has {library}");
}

#[test]
fn a_thread_that_still_runs_is_named_where_nothing_keeps_it_from_being_started() {
    let (_shelf, shelved) = shelved("threads", &fixture());
    let without_filter = wrapper("threads", "exec", "--without filter");
    let trial = trial("one", &json!({"act": "start-thread"}));
    let tried = examine(&without_filter, &shelved, &[trial], Limits::within(Duration::from_secs(20)));
    if !is_root() {
        // The limit of a user's processes keeps it from being started, and this component does not look.
        assert!(tried.is_ok(), "{tried:?}");
        return;
    }
    let reason = tried.unwrap_err().to_string();
    assert!(reason.starts_with("it was stopped, and thread `of-component` ("), "{reason}");
    assert!(reason.ends_with("which it started, still runs; a component starts no threads"), "{reason}");
}

#[test]
fn processes_that_nothing_keeps_from_being_started_are_ended_and_leave_no_threads() {
    const NAME: &str = "processes_that_nothing_keeps_from_being_started_are_ended_and_leave_no_threads";
    if !is_root() {
        // For a user, the limit of processes keeps them from being started.
        return;
    }
    // The threads are counted, so no other test may have some.
    if std::env::var_os("TANDEM_TEST_ALONE").is_none() {
        let this = std::env::current_exe().unwrap();
        let alone = Command::new(this).args([NAME, "--exact"]).env("TANDEM_TEST_ALONE", "1").output().unwrap();
        assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stdout));
        return;
    }
    let (_shelf, shelved) = shelved("processes", &fixture());
    let unconfined = wrapper("processes", "exec", "--without filter --without landlock");
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for (act, took_at_most) in [("start-process", 1500), ("start-process-away", 4000)] {
        let began = Instant::now();
        let trial = trial("one", &json!({ "act": act }));
        let reason =
            examine(&unconfined, &shelved, &[trial], Limits::within(Duration::from_secs(2))).unwrap_err().to_string();
        assert!(began.elapsed() < Duration::from_millis(took_at_most), "{act}: {:?}", began.elapsed());
        assert_eq!(
            reason, "it was stopped, and a process that it started still runs; a component starts none",
            "{act}"
        );
        let began = Instant::now();
        while threads() > before || runs("sleep\x004711\0") {
            assert!(began.elapsed() < Duration::from_secs(2), "{act}: {} threads of {before}", threads());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_component_that_aborts_when_it_panics_is_refused() {
    let library = built("misbehaving-trials", &["--config", "profile.dev.panic=\"abort\""], "abort");
    let (_shelf, shelved) = shelved("aborts", &library);
    let reason = tried(&shelved, &[]).unwrap_err().to_string();
    assert_eq!(reason, "it is built with panic = \"abort\"; build it with panic = \"unwind\"");
}

#[test]
fn a_library_that_is_no_component_is_refused() {
    let library = built("misbehaving-thread-locals", &[], "misbehaving");
    let (_shelf, shelved) = shelved("no-component", &library);
    let reason = tried(&shelved, &[]).unwrap_err().to_string();
    assert!(reason.contains("not the symbol `tandem_component_root`"), "{reason}");
}

#[test]
fn a_version_that_was_stamped_into_the_file_is_the_code_s_as_well() {
    let mut data = fs::read(fixture()).unwrap();
    let at = data.windows(9).position(|bytes| bytes == b"{\"tandem\"").unwrap();
    let version = data[at..].windows(5).position(|bytes| bytes == b"0.1.0").unwrap() + at;
    data[version] = b'9';
    let manifest = Manifest::parse(&data, 1..=REVISION).unwrap();
    assert_eq!(manifest.version.to_string(), "9.1.0");
    let stamped = directory("stamped").join("stamped.so");
    fs::write(&stamped, data).unwrap();
    let (_shelf, shelved) = shelved("stamped", &stamped);
    assert!(tried(&shelved, &[]).unwrap_err().to_string().contains("is not what its linker has written"));
    let limits = Limits { altered: true, ..Limits::within(Duration::from_secs(20)) };
    examine(&host(), &shelved, &[], limits).unwrap();
}

#[test]
fn a_host_that_cannot_examine_says_so_and_blames_no_library() {
    let (_shelf, shelved) = shelved("host", &fixture());
    let with = |host: &Path| examine(host, &shelved, &[], Limits::within(Duration::from_secs(5))).unwrap_err();
    let absent = with(Path::new("/nonexistent/tandem"));
    assert!(matches!(absent, Refused::Unexamined(_)), "{absent:?}");
    let other = with(Path::new("/bin/false"));
    assert!(other.to_string().starts_with("the host cannot examine it: the child ended early"), "{other}");
}

#[test]
fn damaged_libraries_harm_nobody_but_the_child() {
    let whole = fs::read(fixture()).unwrap();
    let seed = std::env::var("TANDEM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_1e55_u64);
    println!("TANDEM_SEED={seed}");
    let mut state = seed;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let place = directory("damaged");
    let shelf = Shelf::open(&place.join("shelf")).unwrap();
    let (mut unread, mut unfit, mut killed, mut hung, mut passed) = (0, 0, 0, 0, 0);
    for _ in 0..60 {
        let mut data = whole.clone();
        // Where the dynamic linker reads: the header, the tables at the beginning, and here and there.
        for _ in 0..200 {
            let at = if below(4) == 0 { below(data.len()) } else { below(data.len().min(0x20_000)) };
            data[at] = below(256) as u8;
        }
        let file = place.join("damaged.so");
        fs::write(&file, &data).unwrap();
        let shelved = shelf.take(&file).unwrap();
        if Manifest::read(&shelved.path, 1..=REVISION).is_err() {
            unread += 1;
        }
        match examine(
            &host(),
            &shelved,
            &[trial("one", &json!({"act": "nothing"}))],
            // As if nobody could see what it is before it is tried.
            Limits { altered: true, ..Limits::within(Duration::from_secs(1)) },
        ) {
            Ok(_) => passed += 1,
            Err(Refused::Unfit { .. }) => unfit += 1,
            Err(Refused::Killed { .. }) => killed += 1,
            Err(Refused::TimedOut { .. }) => hung += 1,
            Err(other) => panic!("{other}"),
        }
        shelf.sweep(&[].into()).unwrap();
    }
    println!(
        "of 60: {unread} without a readable manifest, {unfit} unfit, {killed} killed it, {hung} hung, {passed} passed"
    );
    assert!(killed > 0, "none of the damage was any");
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn runs(command: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok()).any(|line| line == command)
}

fn mapped_anywhere(library: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| fs::read_to_string(process.path().join("maps")).ok())
        .any(|maps| maps.contains(library))
}
