//! A component that is examined, loaded, started, stopped and closed leaves nothing behind, however often.
//!
//! One test, since what is loaded belongs to the process. `LIVES=10000` makes as many as that.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tandem::loader::code::Code;
use tandem::loader::examine::{Limits, Trial, examine};
use tandem::loader::library::{Closed, mapped};
use tandem::loader::manifest::Manifest;
use tandem::loader::shelf::Shelf;
use tandem::loader::threads;
use tandem_component::Starting;
use tandem_component::abi::REVISION;

#[test]
fn lives_of_a_component_stay_flat_free_what_they_allocate_and_leave_no_mapping() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("comes-and-goes");
    let shelf = Shelf::open(&directory).unwrap();
    threads::watch(shelf.directory()).unwrap();
    let shelved = shelf.take(&component()).unwrap();
    let manifest = Manifest::read(&shelved.path, 1..=REVISION).unwrap();
    let starting = Starting {
        service: "one",
        version: "misbehaving-trials@0.1.0#abcdef",
        upstreams: Vec::new(),
        run: 1,
        records: false,
        traces: None,
    };
    let trial = |act: &str| Trial {
        service: "one".to_owned(),
        starting: rmp_serde::to_vec_named(&starting).unwrap(),
        config: rmp_serde::to_vec_named(&json!({"act": act})).unwrap(),
        states: Vec::new(),
    };
    let (well, badly) = (trial("nothing"), trial("panic"));
    let host = Path::new(env!("CARGO_BIN_EXE_tandem"));
    let began = Instant::now();
    let examined =
        examine(host, &shelved, std::slice::from_ref(&well), Limits::within(Duration::from_secs(20))).unwrap();
    println!("examined in {:?}", began.elapsed());

    let live = || {
        let code = Arc::new(Code::load(&examined, &shelf, manifest.clone()).unwrap());
        let object = code.start(&well.starting, &well.config, 1).unwrap();
        // A panic in `start` is caught, and leaves nothing behind either.
        assert!(code.start(&badly.starting, &badly.config, 2).is_err());
        assert!(code.memory().is_some_and(|bytes| bytes > 0), "it has started, and is counted");
        drop(object);
        assert_eq!(code.memory(), Some(0), "it has freed what it had allocated");
        match Arc::into_inner(code).expect("the object is gone").close() {
            Closed::Unmapped => {}
            Closed::Lingering { reason, .. } | Closed::Unseen { reason, .. } => panic!("{reason}"),
        }
    };
    (0..50).for_each(|_| live());
    let (resident, in_use, began) = (resident_kib(), allocated(), Instant::now());
    let lives = std::env::var("LIVES").map_or(500, |lives| lives.parse().expect("LIVES is a number"));
    println!("{resident} KiB resident, {in_use} bytes allocated after 50 lives");
    for life in 1..=lives {
        live();
        if life % (lives / 10).max(1) == 0 {
            println!(
                "{} KiB, {} bytes after {life} more, {:?} each",
                resident_kib(),
                allocated(),
                began.elapsed() / life
            );
        }
    }
    // What a life leaves is seen to the byte: a single allocation would be 24 bytes of each. What all of them may come to is how much
    // the allocator keeps at hand for this thread, and what the test prints and formats.
    let left = allocated().saturating_sub(in_use);
    assert!(left < 4096 + 8 * lives as usize, "{left} bytes more are allocated after {lives} lives");
    let grown = resident_kib().saturating_sub(resident);
    assert!(grown < 1024, "{grown} KiB more are resident after {lives} lives");
    assert!(mapped(shelf.directory()).is_empty());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let left: Vec<&str> =
        maps.lines().filter(|line| line.contains("misbehaving_trials") || line.contains("comes-and-goes")).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn component() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("misbehaving");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "misbehaving-trials", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "the component cannot be built");
    // Built for a named target, as under AddressSanitizer, it lies one directory deeper.
    target.join(std::env::var_os("CARGO_BUILD_TARGET").unwrap_or_default()).join("debug/libmisbehaving_trials.so")
}

/// What is allocated in this process and not freed, as the C library knows it.
fn allocated() -> usize {
    // SAFETY: the call takes nothing and gives a copy.
    unsafe { libc::mallinfo2() }.uordblks
}

fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
