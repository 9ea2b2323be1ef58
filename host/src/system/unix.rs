//! Unix: signals, Unix sockets, file modes, several sockets on one port.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpStream;

use super::{Exposed, Others, Signal, Usage};

pub use std::os::unix::net::UnixListener as BoundUnixListener;
pub use tokio::net::{UnixListener, UnixStream};

/// A thread, of which the kernel counts how long it has waited for a processor. Where there is no `/proc`, nobody does.
#[derive(Debug)]
pub struct Waits(Option<PathBuf>);

impl Waits {
    /// Those of the thread that calls this.
    pub fn of_this_thread() -> Self {
        let thread = fs::read_link("/proc/thread-self").ok();
        Waits(thread.map(|thread| Path::new("/proc").join(thread).join("schedstat")))
    }

    /// For how long it has waited since it began; nothing where that is not known, or the thread has ended.
    pub fn so_far(&self) -> Option<Duration> {
        // Nanoseconds that it ran, nanoseconds that it could have, how often it began to.
        let counts = fs::read_to_string(self.0.as_ref()?).ok()?;
        Some(Duration::from_nanos(counts.split_whitespace().nth(1)?.parse().ok()?))
    }
}

/// What the process takes of the machine; nothing where there is no `/proc`.
pub fn usage() -> Option<Usage> {
    // The name in brackets may hold anything, so it is counted from what follows on it: proc_pid_stat(5).
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)?.saturating_add(field(15)?);
    let processor = Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / rustix::param::clock_ticks_per_second()));
    let resident = field(24)?.saturating_mul(rustix::param::page_size() as u64);
    let descriptors = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    Some(Usage { resident, processor, descriptors })
}

/// A connection of the command line to the host.
pub type AdminStream = UnixStream;

/// Where the command line finds the host: made, …
#[derive(Debug)]
pub struct AdminListener(BoundUnixListener);

/// … and listened to, in a runtime.
#[derive(Debug)]
pub struct AdminSocket(UnixListener);

/// Whether there are Unix sockets.
pub const UNIX_SOCKETS: bool = true;
/// The file in the data directory by which the command line finds the host.
pub const ADMIN: &str = "admin.sock";

/// Hands over each signal, on a thread of its own, until nobody takes it.
///
/// # Errors
/// The signals or the thread cannot be had.
pub fn on_signal(mut take: impl FnMut(Signal) -> bool + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let meaning = match signal {
                SIGHUP => Signal::Reload,
                SIGUSR1 => Signal::Reopen,
                SIGUSR2 => Signal::Other("SIGUSR2"),
                _ => Signal::Stop,
            };
            if !take(meaning) {
                return;
            }
        }
    })?;
    Ok(())
}

/// From here on other threads go before the calling one and its children. Only Linux has this for a thread.
///
/// # Errors
/// It keeps its priority.
pub fn give_way() -> io::Result<()> {
    /// A third of another's share where both want all there is.
    #[cfg(target_os = "linux")]
    const GIVE_WAY: i32 = 5;
    #[cfg(target_os = "linux")]
    rustix::process::nice(GIVE_WAY)?;
    Ok(())
}

/// Makes a directory, where it is not there, that is its owner's alone.
///
/// # Errors
/// It cannot be made.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a file, where it is not there, that is its owner's alone.
///
/// # Errors
/// It cannot be made.
pub fn make_private_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

/// Only its owner may write a file or a directory: as a library has to be, and the way to it.
///
/// # Errors
/// It is somebody else's.
pub fn only_owner_writes(path: &Path) -> io::Result<()> {
    let mode = path.metadata()?.mode();
    fs::set_permissions(path, Permissions::from_mode(mode & 0o7755))
}

/// Whether a file is this process's user's.
///
/// # Errors
/// It cannot be looked at.
pub fn owns(path: &Path) -> io::Result<bool> {
    Ok(path.metadata()?.uid() == rustix::process::geteuid().as_raw())
}

/// What others than root and this process's user could change on the way to a file: itself, each directory that is gone
/// through, and each symbolic link. A directory on the way in which everybody may have files of his own and nobody may touch
/// those of others, as in `/tmp`, is none.
///
/// # Errors
/// It cannot be looked at.
pub fn exposed(path: &Path) -> io::Result<Vec<Exposed>> {
    /// As many as the kernel follows.
    const LINKS_MAX: usize = 40;
    const STICKY: u32 = 0o1000;
    let names = |path: &Path| path.components().rev().map(|one| one.as_os_str().to_owned()).collect::<Vec<_>>();
    let (user, mut found, mut links) = (rustix::process::geteuid().as_raw(), Vec::new(), 0);
    // What lies ahead, the next at the end. It begins with the root directory.
    let (mut here, mut ahead) = (PathBuf::new(), names(&std::path::absolute(path)?));
    while let Some(name) = ahead.pop() {
        if name == Component::ParentDir.as_os_str() {
            here.pop();
            continue;
        }
        here.push(name);
        let metadata = match fs::symlink_metadata(&here) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            metadata => metadata?,
        };
        if ![0, user].contains(&metadata.uid()) {
            found.push(Exposed { path: here.clone(), to: Others::Owner(metadata.uid()) });
        }
        if metadata.is_symlink() {
            links += 1;
            if links > LINKS_MAX {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            // A target that is absolute begins with the root directory, which replaces what is here.
            let target = fs::read_link(&here)?;
            here.pop();
            ahead.extend(names(&target));
            continue;
        }
        let mode = metadata.mode() & 0o7777;
        let shared = metadata.is_dir() && !ahead.is_empty() && mode & STICKY != 0;
        if mode & 0o022 != 0 && !shared {
            found.push(Exposed { path: here.clone(), to: Others::Mode(mode) });
        }
    }
    Ok(found)
}

/// Sends what the kernel takes at once. Straight to the kernel: the C library's way has points at which a thread could be
/// cancelled, which a process of many threads pays for.
///
/// # Errors
/// The kernel takes nothing now, or the connection is broken.
#[inline]
pub fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(stream, bytes, SendFlags::NOSIGNAL)?)
}

/// Receives what the kernel has. Straight from it, as [`send`].
///
/// # Errors
/// It has nothing now, or the connection is broken.
#[inline]
pub fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(stream, buffer, RecvFlags::empty())?.0)
}

/// Who may do what with a file, as `chmod` has it.
///
/// # Errors
/// The kernel does not say.
pub fn mode(file: &std::fs::File) -> io::Result<u32> {
    Ok(rustix::fs::fstat(file)?.st_mode as u32 & 0o7777)
}

/// What a signal is called that ends a process.
pub fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGABRT => "SIGABRT",
        _ => return None,
    })
}

/// Which file that is, whatever it is called: device and number.
pub type FileId = (u64, u64);

/// Which file that is.
pub fn file_id(metadata: &fs::Metadata) -> Option<FileId> {
    Some((metadata.dev(), metadata.ino()))
}

/// Opens a file for appending, which is made where it is not there, but does not wait for who reads, should it be a pipe.
///
/// # Errors
/// It cannot be opened, or is a pipe that nobody reads.
pub fn append(path: &Path) -> io::Result<File> {
    let open = OpenOptions::new().append(true).create(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = open.map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) => io::Error::other("it is a pipe that nobody reads; start who is to read it first"),
        _ => error,
    })?;
    // The thread that writes may wait.
    rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::APPEND)?;
    Ok(file)
}

impl AdminListener {
    /// Takes the place of one that was left behind there.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = BoundUnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(AdminListener(listener))
    }

    /// Listens, and what who connects has to show: nothing, since the mode of the file decides who can.
    ///
    /// # Errors
    /// The runtime cannot have it.
    pub fn listen(self) -> io::Result<(AdminSocket, Option<String>)> {
        self.0.set_nonblocking(true)?;
        Ok((AdminSocket(UnixListener::from_std(self.0)?), None))
    }
}

impl AdminSocket {
    /// Waits for a connection.
    ///
    /// # Errors
    /// There is none to be had.
    pub async fn accept(&self) -> io::Result<AdminStream> {
        Ok(self.0.accept().await?.0)
    }
}

/// Connects to the host that serves this file, and what is to be shown there.
///
/// # Errors
/// Nobody serves it, or it is another user's.
pub async fn connect_admin(path: &Path) -> io::Result<(AdminStream, Option<String>)> {
    Ok((AdminStream::connect(path).await?, None))
}

/// Readies a socket to be bound to a port: `share` it with our other workers, or find out whether it is taken.
///
/// # Errors
/// The system refuses.
pub fn ready_to_bind(socket: &Socket, kind: Type, share: bool) -> io::Result<()> {
    if kind == Type::STREAM {
        // Connections of a predecessor that linger in TIME_WAIT are no reason to refuse the port.
        socket.set_reuse_address(true)?;
    }
    socket.set_reuse_port(share)
}

/// Sockets for so many workers on one port: one for each, among which Linux spreads what comes in.
///
/// # Errors
/// One cannot be bound.
pub fn bind_for_each(workers: usize, _kind: Type, bind: impl Fn() -> io::Result<Socket>) -> io::Result<Vec<Socket>> {
    (0..workers).map(|_| bind()).collect()
}

/// Whether a connection that does not wait is still being made.
pub fn is_connecting(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Connects to a Unix socket at once or not at all.
///
/// # Errors
/// Nobody listens there, or its queue is full.
pub fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    UnixStream::from_std(connect_at_once(path)?)
}

/// Listens on a Unix socket in the place of one that a predecessor left behind; one that still answers is in use.
///
/// # Errors
/// It is in use, or a file that is no socket is there.
pub fn bind_unix(path: &Path) -> io::Result<BoundUnixListener> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            let answers = connect_at_once(path);
            if !matches!(&answers, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is in the way")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = BoundUnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A Unix socket that listens already.
///
/// # Errors
/// None.
pub fn unix_listener(socket: Socket) -> io::Result<BoundUnixListener> {
    Ok(socket.into())
}

/// A socket whose queue is full would keep a blocking call waiting.
fn connect_at_once(path: &Path) -> io::Result<std::os::unix::net::UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories of these modes, one in another, below a temporary one.
    fn chain(modes: &[(&str, u32)]) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let mut path = root.path().canonicalize().unwrap();
        for (name, mode) in modes {
            path.push(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
        }
        (root, path)
    }

    fn modes(path: &Path) -> Vec<(String, u32)> {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let found = exposed(path).unwrap().into_iter();
        found
            .map(|one| match one.to {
                Others::Mode(mode) => (name(&one.path), mode),
                Others::Owner(owner) => panic!("{} is of {owner}", one.path.display()),
            })
            .collect()
    }

    #[test]
    fn every_directory_on_the_way_counts() {
        type Modes<'a> = &'a [(&'a str, u32)];
        let rows: [(Modes<'_>, Modes<'_>); 6] = [
            (&[("a", 0o755), ("b", 0o700)], &[]),
            (&[("a", 0o755), ("b", 0o775)], &[("b", 0o775)]),
            (&[("a", 0o757), ("b", 0o755)], &[("a", 0o757)]),
            (&[("a", 0o777), ("b", 0o720)], &[("a", 0o777), ("b", 0o720)]),
            // As /tmp is: for others' directories, and not for one's own.
            (&[("a", 0o1777), ("b", 0o755)], &[]),
            (&[("a", 0o755), ("b", 0o1777)], &[("b", 0o1777)]),
        ];
        for (made, says) in rows {
            let (_root, path) = chain(made);
            let says: Vec<(String, u32)> = says.iter().map(|(name, mode)| ((*name).to_owned(), *mode)).collect();
            assert_eq!(modes(&path), says, "{made:?}");
            // What is not there yet, is judged by what it will lie in. A sticky directory will do for that.
            if made[1].1 & 0o1000 == 0 {
                assert_eq!(modes(&path.join("not/there")), says, "{made:?}");
            }
        }
    }

    #[test]
    fn a_link_leads_through_all_that_it_names() {
        let (root, path) = chain(&[("open", 0o777), ("closed", 0o755)]);
        let link = root.path().join("link");
        std::os::unix::fs::symlink("open/../open/closed", &link).unwrap();
        assert_eq!(modes(&link.join("file")), [("open".to_owned(), 0o777), ("open".to_owned(), 0o777)]);
        std::os::unix::fs::symlink(&path, root.path().join("whole")).unwrap();
        assert_eq!(modes(&root.path().join("whole")), [("open".to_owned(), 0o777)]);
        let round = root.path().join("round");
        std::os::unix::fs::symlink(&round, &round).unwrap();
        assert_eq!(exposed(&round).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }

    #[test]
    fn another_user_s_directory_is_named_with_its_owner() {
        let (_root, path) = chain(&[("theirs", 0o755), ("ours", 0o755)]);
        let theirs = path.parent().unwrap();
        // Only root can give something away.
        if std::os::unix::fs::chown(theirs, Some(4711), None).is_err() {
            return;
        }
        assert_eq!(exposed(&path).unwrap(), [Exposed { path: theirs.to_owned(), to: Others::Owner(4711) }]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_that_sleeps_does_not_wait() {
        let waits = Waits::of_this_thread();
        let before = waits.so_far().unwrap();
        let asleep = Duration::from_millis(500);
        thread::sleep(asleep);
        assert!(waits.so_far().unwrap() - before < asleep, "it was woken, and waited for that");
        assert!(thread::spawn(Waits::of_this_thread).join().unwrap().so_far().is_none(), "it has ended");
    }
}
