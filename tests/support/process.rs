//! What the kernel knows of a process: its memory, what it has mapped, its connections.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Sends a signal to a process that the test has started and not waited for yet.
///
/// # Panics
/// Where it is not there.
pub fn signal(pid: u32, signal: libc::c_int) {
    let pid = libc::pid_t::try_from(pid).expect("a process number is a pid_t");
    // SAFETY: `kill` takes numbers. The process is a child that was not waited for, so the number is still its own.
    let sent = unsafe { libc::kill(pid, signal) };
    assert_eq!(sent, 0, "signal {signal} to {pid}: {}", std::io::Error::last_os_error());
}

/// Has the process of a command end with the thread that starts it, so that a test that is killed leaves none behind.
pub(crate) fn end_with_this_thread(command: &mut Command) {
    // SAFETY: `prctl` takes numbers and may be called between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

/// Has the process of a command find these as its descriptors from 3 on.
pub(crate) fn hand_over<'a>(command: &mut Command, handed: impl Iterator<Item = &'a OwnedFd>) {
    /// Above all that it is to have.
    const ASIDE: libc::c_int = 100;
    let handed: Vec<libc::c_int> = handed.map(AsRawFd::as_raw_fd).collect();
    // SAFETY: `fcntl` and `dup2` take numbers and may be called between fork and exec; nothing is allocated there.
    unsafe {
        command.pre_exec(move || {
            let ok = |number: libc::c_int| if number < 0 { Err(std::io::Error::last_os_error()) } else { Ok(number) };
            // First out of the way of each other, and so that one that is in its place already is inherited as well.
            for (place, descriptor) in handed.iter().enumerate() {
                ok(libc::dup2(ok(libc::fcntl(*descriptor, libc::F_DUPFD, 0))?, ASIDE + place as libc::c_int))?;
            }
            for place in 0..handed.len() as libc::c_int {
                ok(libc::dup2(ASIDE + place, 3 + place))?;
                ok(libc::close(ASIDE + place))?;
            }
            Ok(())
        });
    }
}

/// Gives a process so many descriptors at most from now on, and says how many it might have had before.
///
/// # Panics
/// Where the process is not there, or may not have as many.
pub fn limit_descriptors(pid: u32, count: u64) -> u64 {
    let pid = libc::pid_t::try_from(pid).expect("a process number is a pid_t");
    let mut before = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is valid and written during the call; nothing is read.
    let done = unsafe { libc::prlimit64(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut before) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    let limit = libc::rlimit64 { rlim_cur: count, ..before };
    // SAFETY: the limit is valid and read during the call; nothing is written.
    let done = unsafe { libc::prlimit64(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    before.rlim_cur
}

/// How long a process has kept processors busy.
///
/// # Panics
/// Where the process is not there.
pub fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let fields = stat.rsplit_once(") ").expect("its name stands in brackets").1.split(' ').skip(11);
    let ticks: u64 = fields.take(2).map(|field| field.parse::<u64>().expect("times are numbers")).sum();
    Duration::from_millis(ticks * 10)
}

/// Leaves the first thread of a process one of the processors that it may run on.
///
/// # Panics
/// Where the process is not there.
pub fn run_on_one_processor(pid: u32) {
    let pid = libc::pid_t::try_from(pid).expect("a process number is a pid_t");
    // SAFETY: a set of processors is bits, of which none are set is one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is valid and written during the call.
    let got = unsafe { libc::sched_getaffinity(pid, size_of_val(&set), &raw mut set) };
    assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the number is below that of the bits in a set.
    let first = (0..libc::CPU_SETSIZE as usize).find(|processor| unsafe { libc::CPU_ISSET(*processor, &set) });
    // SAFETY: as above.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number was one of a set.
    unsafe { libc::CPU_SET(first.expect("a process may run somewhere"), &mut one) };
    // SAFETY: the set is valid and read during the call.
    let done = unsafe { libc::sched_setaffinity(pid, size_of_val(&one), &raw const one) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// The resident memory of a process, in bytes.
pub(crate) fn rss(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has resident memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("VmRSS is a number of kB") * 1024
}

/// The libraries under a directory that a process has mapped.
pub(crate) fn mapped(pid: u32, directory: &Path) -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process is there");
    maps.lines()
        .filter_map(|line| line.find('/').map(|at| PathBuf::from(line[at..].trim_end_matches(" (deleted)"))))
        .filter(|path| path.starts_with(directory) && path.extension().is_some_and(|extension| extension == "so"))
        .collect()
}

/// The ports of the clients that have a TCP connection to a port of the loopback: a connection that was made anew has
/// another.
pub fn established(port: u16) -> BTreeSet<u16> {
    const ESTABLISHED: &str = "01";
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel lists its TCP connections");
    let end = |text: &str| text.split_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
            (end(remote) == Some(port) && state == ESTABLISHED).then(|| end(local))?
        })
        .collect()
}
