//! What a library tries while it is examined does nothing to anybody, and is told: in its constructors and in `start`,
//! with Landlock and without.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod trials;

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tandem::loader::examine::{Act, Examined, Limits, Refused, examine};
use tandem::loader::shelf::Shelved;
use trials::{directory, fixture, shelved, trial, wrapper};

/// With all that this kernel has, and as on kernels that lack one of it.
const KERNELS: [&str; 2] = ["", "--without landlock"];

#[test]
fn no_socket_is_opened() {
    let place = directory("sockets");
    let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let path = place.join("socket");
    let _ = fs::remove_file(&path);
    let unix = UnixListener::bind(&path).unwrap();
    tcp.set_nonblocking(true).unwrap();
    udp.set_nonblocking(true).unwrap();
    unix.set_nonblocking(true).unwrap();
    for kernel in KERNELS {
        let told = |deed, place: &str| told("sockets", deed, place, kernel, Act::Connect);
        told("connect-tcp", &tcp.local_addr().unwrap().to_string());
        told("send-udp", &udp.local_addr().unwrap().to_string());
        told("connect-unix", path.to_str().unwrap());
        let nobody = |kind: ErrorKind| assert_eq!(kind, ErrorKind::WouldBlock, "somebody came");
        nobody(tcp.accept().unwrap_err().kind());
        nobody(unix.accept().unwrap_err().kind());
        nobody(udp.recv(&mut [0; 8]).unwrap_err().kind());
    }
}

#[test]
fn nothing_is_written() {
    let file = directory("files").join("kept");
    for kernel in KERNELS {
        for deed in ["write-file", "open-for-writing", "remove-file", "change-mode"] {
            fs::write(&file, "kept").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
            told("files", deed, file.to_str().unwrap(), kernel, Act::Write);
            assert_eq!(fs::read_to_string(&file).unwrap(), "kept", "{deed}");
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640, "{deed}");
        }
        let new = file.with_file_name("new");
        told("files", "write-file", new.to_str().unwrap(), kernel, Act::Write);
        assert!(!new.exists());
    }
}

#[test]
fn what_may_be_read_is_read() {
    for kernel in KERNELS {
        assert!(tried("reads", "read-file", "", kernel, Limits::within(Duration::from_secs(20))).is_ok(), "{kernel}");
    }
}

#[test]
fn no_thread_and_no_process_is_started() {
    for kernel in KERNELS {
        for deed in ["fork", "fork-without-end", "threads-without-end", "thread-that-ends"] {
            told("processes", deed, "", kernel, Act::Start);
        }
    }
}

#[test]
fn no_other_process_is_reached() {
    for kernel in KERNELS {
        for deed in ["kill-parent", "trace-parent"] {
            told("reach", deed, "", kernel, Act::Reach);
        }
    }
}

#[test]
fn what_confines_it_stays() {
    for kernel in KERNELS {
        for deed in ["lift-limits", "handle-sigsys"] {
            told("escape", deed, "", kernel, Act::Escape);
        }
        let unknown = tried("escape", "unknown-call", "", kernel, Limits::within(Duration::from_secs(20)));
        let reason = unknown.unwrap_err().to_string();
        assert_eq!(reason, "service `one`: it could not: Function not implemented (os error 38)");
    }
}

#[test]
fn memory_has_an_end() {
    const LIMITS: Limits = Limits { time: Duration::from_secs(20), memory: 256 << 20, altered: false };
    for kernel in KERNELS.into_iter().chain(["--without filter"]) {
        let reason = tried("memory", "allocate-without-end", "", kernel, LIMITS).unwrap_err().to_string();
        let begins = "the library killed its examination: SIGABRT, in `start` for service `one`; it said: ";
        assert!(reason.starts_with(begins) && reason.contains("memory allocation of 1048576 bytes failed"), "{reason}");
        let reason = tried("memory", "map-without-end", "", kernel, LIMITS).unwrap_err().to_string();
        assert_eq!(reason, "service `one`: it could not: Cannot allocate memory (os error 12)");
    }
    let reason = tried("memory", "overflow-stack", "", "", LIMITS).unwrap_err().to_string();
    assert!(reason.contains("SIGABRT, in `start`") && reason.contains("has overflowed its stack"), "{reason}");
}

#[test]
fn time_has_an_end() {
    for deed in ["spin", "sleep"] {
        let began = Instant::now();
        let refused = tried("time", deed, "", "", Limits::within(Duration::from_millis(500))).unwrap_err();
        assert!(matches!(refused, Refused::TimedOut { .. }), "{refused}");
        assert!(began.elapsed() < Duration::from_secs(10), "{deed}: {:?}", began.elapsed());
    }
}

#[test]
fn a_constructor_is_confined_as_well() {
    let (_shelf, shelved) = shelved("constructor", &fixture());
    let file = directory("constructor").join("written");
    let rows = [
        ("write-file", "it tried to write to the file system, while it was loaded; the host has the files"),
        ("send-udp", "it tried to open a socket, while it was loaded; the host has the sockets"),
        ("fork", "it tried to start a thread or a process, while it was loaded; a component starts none"),
        ("kill-parent", "it tried to reach into another process, while it was loaded; a component leaves"),
        ("exit", "the library killed its examination: exit status: 7, while it was loaded"),
    ];
    for (deed, says) in rows {
        let first = format!("TANDEM_TEST_CONSTRUCTOR={deed} TANDEM_TEST_PLACE={} exec", file.display());
        let host = wrapper("constructor", &first, "");
        let reason = examine(&host, &shelved, &[], Limits::within(Duration::from_secs(20))).unwrap_err().to_string();
        assert!(reason.starts_with(says), "{deed}: {reason}");
    }
    assert!(!file.exists());
}

#[test]
fn what_a_kernel_lacks_is_said_and_is_no_reason_to_refuse() {
    let (_shelf, shelved) = shelved("lacks", &fixture());
    let lacks = |name: &str, more: &str| {
        let host = wrapper(name, "exec", more);
        examine(&host, &shelved, &[], Limits::within(Duration::from_secs(20))).unwrap().lacks
    };
    let neither = lacks("lacks-both", "--without landlock --without filter");
    assert_eq!(neither, ["the kernel has no Landlock", "system calls cannot be filtered: it was left out"]);
    // Whether this kernel has Landlock is the kernel's to say; the filter every one has that tests run on.
    let all = lacks("lacks-none", "");
    println!("this kernel lacks: {all:?}");
    assert!(all.iter().all(|lack| lack.contains("Landlock")), "{all:?}");
}

/// Has it tried, and told as what it is. Nothing of it is left.
#[track_caller]
fn told(name: &str, deed: &str, place: &str, kernel: &str, is: Act) {
    let refused = tried(name, deed, place, kernel, Limits::within(Duration::from_secs(20))).unwrap_err();
    match &refused {
        Refused::Tried { act, .. } => assert_eq!(*act, is, "{deed}"),
        other => panic!("{deed} {kernel}: {other}"),
    }
    let reason = refused.to_string();
    assert!(reason.starts_with("it tried to ") && reason.contains(", in `start` for service `one`; "), "{reason}");
}

fn tried(name: &str, deed: &str, place: &str, more: &str, limits: Limits) -> Result<Examined, Refused> {
    let (_shelf, shelved): (_, Shelved) = shelved(name, &fixture());
    let host = wrapper(name, &format!("TANDEM_TEST_PLACE={place} exec"), more);
    assert!(Path::new(&host).exists());
    examine(&host, &shelved, &[trial("one", &json!({"act": "nothing", "deed": deed}))], limits)
}
