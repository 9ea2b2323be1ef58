//! What a component must not do, each as whoever means it would do it.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use std::{hint, thread};

use serde::Deserialize;

/// Where it writes to, if it may: the test looks there.
const PLACE: &str = "TANDEM_TEST_PLACE";

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Deed {
    ConnectTcp,
    ConnectUnix,
    SendUdp,
    WriteFile,
    OpenForWriting,
    RemoveFile,
    ChangeMode,
    ReadFile,
    Fork,
    ForkWithoutEnd,
    ThreadsWithoutEnd,
    ThreadThatEnds,
    AllocateWithoutEnd,
    MapWithoutEnd,
    OverflowStack,
    Spin,
    Sleep,
    KillParent,
    TraceParent,
    LiftLimits,
    HandleSigsys,
    UnknownCall,
    Exit,
}

/// Does it. Where that is not refused, what came of it.
pub(crate) fn commit(deed: Deed) -> Result<(), String> {
    let place = || std::env::var(PLACE).expect("the test says where");
    let done = match deed {
        Deed::ConnectTcp => TcpStream::connect(place()).map(drop),
        Deed::ConnectUnix => UnixStream::connect(place()).map(drop),
        Deed::SendUdp => UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"out", place()).map(drop)),
        Deed::WriteFile => fs::write(place(), "written"),
        Deed::OpenForWriting => OpenOptions::new().append(true).open(place()).map(drop),
        Deed::RemoveFile => fs::remove_file(place()),
        Deed::ChangeMode => fs::set_permissions(place(), fs::Permissions::from_mode(0o777)),
        Deed::ReadFile => fs::read("/etc/passwd").map(drop),
        // SAFETY: the call takes nothing.
        Deed::Fork => said(unsafe { libc::fork() }),
        Deed::ForkWithoutEnd => loop {
            // SAFETY: as above.
            unsafe { libc::fork() };
        },
        Deed::ThreadsWithoutEnd => loop {
            // Whatever comes of it: this is one that does not look.
            drop(thread::Builder::new().spawn(|| thread::sleep(Duration::from_secs(60))));
        },
        Deed::ThreadThatEnds => thread::Builder::new().spawn(|| {}).map(|thread| drop(thread.join())),
        Deed::AllocateWithoutEnd => {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            loop {
                kept.push(vec![1; 1 << 20]);
                hint::black_box(&kept);
            }
        }
        Deed::MapWithoutEnd => loop {
            let (all, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new mapping at an address of the kernel's choice is nobody else's.
            let mapped = unsafe { libc::mmap(std::ptr::null_mut(), 64 << 20, all, shared, -1, 0) };
            if mapped == libc::MAP_FAILED {
                break Err(io::Error::last_os_error());
            }
        },
        Deed::OverflowStack => {
            hint::black_box(deeper(&[0; 64]));
            Ok(())
        }
        Deed::Spin => loop {
            hint::spin_loop();
        },
        Deed::Sleep => loop {
            thread::sleep(Duration::from_secs(60));
        },
        // SAFETY: the calls take and leave no memory of ours.
        Deed::KillParent => said(unsafe { libc::kill(libc::getppid(), libc::SIGKILL) }),
        Deed::TraceParent => {
            let none = std::ptr::null_mut::<libc::c_void>();
            // SAFETY: attaching takes no memory of ours.
            match unsafe { libc::ptrace(libc::PTRACE_ATTACH, libc::getppid(), none, none) } {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        }
        Deed::LiftLimits => {
            let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
            // SAFETY: the limit is read during the call.
            said(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const unlimited) })
        }
        Deed::HandleSigsys => {
            // SAFETY: to ignore a signal takes no handler.
            match unsafe { libc::signal(libc::SIGSYS, libc::SIG_IGN) } {
                libc::SIG_ERR => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        }
        // SAFETY: there is no call of this number.
        Deed::UnknownCall => match unsafe { libc::syscall(4000) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        },
        Deed::Exit => std::process::exit(7),
    };
    done.map_err(|error| format!("it could not: {error}"))
}

fn said(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[allow(unconditional_recursion, reason = "that is what it is for")]
fn deeper(above: &[u8; 64]) -> u8 {
    let here = hint::black_box([above[0]; 64]);
    deeper(&here) + here[1]
}
