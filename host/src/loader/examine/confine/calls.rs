//! The filter of system calls: what no component does is named and ends the child, and what is not known fails.
//!
//! There are two filters, of which the kernel takes the stricter word. The first has a list of [`ACTS`], what a component
//! must not do; one of them raises SIGSYS, whose handler says which it was and ends the process. The C library blocks
//! signals while it starts a thread or a process, and then the kernel ends the child by that signal itself: so a SIGSYS
//! of which nothing was said stands for that. The second has a list of what there is need of; what is on neither
//! fails with ENOSYS, as on a kernel that does not have it, which a C library of another day is prepared for.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_long, c_void};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicI32, Ordering};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Is, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::Act;

/// Filters the system calls of this process from here on. What is tried against the list is said to `verdicts`.
pub(super) fn filter(verdicts: &File) -> Result<(), String> {
    VERDICTS.store(verdicts.as_raw_fd(), Ordering::Relaxed);
    handle_sigsys().map_err(|error| error.to_string())?;
    let programs = programs().map_err(|error| error.to_string())?;
    programs.iter().try_for_each(|program| apply_filter(program)).map_err(|error| error.to_string())
}

fn programs() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let arch = if cfg!(target_arch = "x86_64") { TargetArch::x86_64 } else { TargetArch::aarch64 };
    let compile = |rules, otherwise, then| SeccompFilter::new(rules, otherwise, then, arch)?.try_into();
    // The number itself: this process is the only one that it may signal.
    let this = u64::from(std::process::id());

    let mut against: Rules = ACTS.iter().flat_map(|(_, calls)| *calls).map(|call| (*call, Vec::new())).collect();
    for (call, flags) in [(libc::SYS_openat, 2)].into_iter().chain(OPEN) {
        let writes = [libc::O_WRONLY, libc::O_RDWR, libc::O_ACCMODE];
        let writes = writes.map(|mode| argument(flags, Is::MaskedEq(libc::O_ACCMODE as u64), mode as u64));
        let makes = [libc::O_CREAT, libc::O_TRUNC].map(|flag| argument(flags, Is::MaskedEq(flag as u64), flag as u64));
        against.insert(call, writes.into_iter().chain(makes).collect::<Result<_, _>>()?);
    }
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        against.insert(call, vec![argument(0, Is::Ne, this)?]);
    }
    // Asking for a limit is no setting of it.
    let limits = SeccompCondition::new(2, Len::Qword, Is::Ne, 0)?;
    against.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![limits])?]);
    against.insert(libc::SYS_rt_sigaction, vec![argument(0, Is::Eq, libc::SIGSYS as u64)?]);

    let mut needed: Rules = NEEDED.iter().chain(NEEDED_HERE).map(|call| (*call, Vec::new())).collect();
    // Whether it is a terminal.
    needed.insert(libc::SYS_ioctl, vec![argument(1, Is::Eq, libc::TCGETS as _)?]);
    let names = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, libc::PR_GET_DUMPABLE];
    let names: Result<_, _> = names.into_iter().map(|option| argument(0, Is::Eq, option as u64)).collect();
    needed.insert(libc::SYS_prctl, names?);
    Ok([
        compile(against, SeccompAction::Allow, SeccompAction::Trap)?,
        compile(needed, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow)?,
    ])
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn argument(number: u8, is: Is, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(number, Len::Dword, is, value)?])
}

/// What an act is, by the system call that was refused.
fn act(call: c_long) -> Act {
    let listed = ACTS.iter().find(|(_, calls)| calls.contains(&call)).map(|(act, _)| *act);
    listed.unwrap_or(match call {
        libc::SYS_openat => Act::Write,
        libc::SYS_kill | libc::SYS_tgkill => Act::Reach,
        libc::SYS_prlimit64 | libc::SYS_rt_sigaction => Act::Escape,
        call if OPEN.iter().any(|(open, _)| *open == call) => Act::Write,
        _ => Act::Other,
    })
}

fn handle_sigsys() -> std::io::Result<()> {
    // SAFETY: all zeros are such a structure.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(c_int, *const Refused, *mut c_void) = refused;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the structure is filled, and the handler has the type that SA_SIGINFO says.
    match unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// What comes with a SIGSYS of the filter, as the kernel lays it out on machines of 64 bits.
#[repr(C)]
struct Refused {
    signal: c_int,
    errno: c_int,
    code: c_int,
    _padding: c_int,
    address: *const c_void,
    call: c_int,
    arch: u32,
}

/// Says what was tried, and ends the process. It does nothing that may not be done in the handler of a signal: no
/// allocation, no lock.
extern "C" fn refused(_: c_int, refused: *const Refused, _: *mut c_void) {
    // SAFETY: the kernel hands over what is laid out so, for as long as the handler runs.
    let call = unsafe { (*refused).call };
    let line = act(c_long::from(call)).line();
    let verdicts = VERDICTS.load(Ordering::Relaxed);
    // SAFETY: the text is static; a descriptor that the library has closed makes the call fail, and nothing else.
    unsafe { libc::write(verdicts, line.as_ptr().cast(), line.len()) };
    // SAFETY: it ends the process.
    unsafe { libc::_exit(1) };
}

/// Where the verdict goes to.
static VERDICTS: AtomicI32 = AtomicI32::new(-1);

/// What no component does, whatever the arguments.
const ACTS: &[(Act, &[c_long])] = &[
    (Act::Start, &[libc::SYS_clone, libc::SYS_clone3, libc::SYS_execve, libc::SYS_execveat]),
    #[cfg(target_arch = "x86_64")]
    (Act::Start, &[libc::SYS_fork, libc::SYS_vfork]),
    (
        Act::Connect,
        &[
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_accept,
            libc::SYS_accept4,
            libc::SYS_connect,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_sendmmsg,
            libc::SYS_io_uring_setup,
        ],
    ),
    (
        Act::Write,
        &[
            libc::SYS_truncate,
            libc::SYS_ftruncate,
            libc::SYS_fallocate,
            libc::SYS_unlinkat,
            libc::SYS_renameat2,
            libc::SYS_mkdirat,
            libc::SYS_linkat,
            libc::SYS_symlinkat,
            libc::SYS_mknodat,
            libc::SYS_fchmod,
            libc::SYS_fchmodat,
            libc::SYS_fchown,
            libc::SYS_fchownat,
            libc::SYS_utimensat,
            libc::SYS_setxattr,
            libc::SYS_lsetxattr,
            libc::SYS_fsetxattr,
            libc::SYS_removexattr,
            libc::SYS_lremovexattr,
            libc::SYS_fremovexattr,
            libc::SYS_mount,
            libc::SYS_umount2,
        ],
    ),
    #[cfg(target_arch = "x86_64")]
    (
        Act::Write,
        &[
            libc::SYS_creat,
            libc::SYS_unlink,
            libc::SYS_rename,
            libc::SYS_renameat,
            libc::SYS_mkdir,
            libc::SYS_rmdir,
            libc::SYS_link,
            libc::SYS_symlink,
            libc::SYS_mknod,
            libc::SYS_chmod,
            libc::SYS_chown,
            libc::SYS_lchown,
            libc::SYS_utime,
            libc::SYS_utimes,
            libc::SYS_futimesat,
        ],
    ),
    #[cfg(target_arch = "aarch64")]
    (Act::Write, &[libc::SYS_renameat]),
    (
        Act::Reach,
        &[
            libc::SYS_tkill,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_rt_tgsigqueueinfo,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_getfd,
            libc::SYS_pidfd_send_signal,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_setpgid,
            libc::SYS_setsid,
        ],
    ),
    (
        Act::Escape,
        &[
            libc::SYS_setrlimit,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_chroot,
            libc::SYS_pivot_root,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_kexec_load,
            libc::SYS_reboot,
            libc::SYS_setuid,
            libc::SYS_setgid,
            libc::SYS_setresuid,
            libc::SYS_setresgid,
            libc::SYS_capset,
        ],
    ),
];

/// The calls by which a file is opened beside `openat`, with the place of their flags.
#[cfg(target_arch = "x86_64")]
const OPEN: [(c_long, u8); 1] = [(libc::SYS_open, 1)];
#[cfg(not(target_arch = "x86_64"))]
const OPEN: [(c_long, u8); 0] = [];

/// What the dynamic linker, the C library and the child need, and what code does that computes.
const NEEDED: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_getcpu,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_getrusage,
    libc::SYS_prlimit64,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getpgid,
    libc::SYS_getsid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_kill,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What only this machine has of it.
#[cfg(target_arch = "x86_64")]
const NEEDED_HERE: &[c_long] = &[
    libc::SYS_arch_prctl,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_getdents,
    libc::SYS_dup2,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_time,
    libc::SYS_getrlimit,
    libc::SYS_getpgrp,
];
#[cfg(target_arch = "aarch64")]
const NEEDED_HERE: &[c_long] = &[libc::SYS_getrlimit];
