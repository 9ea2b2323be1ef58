//! Unix: signals, Unix sockets, file modes, several sockets on one port.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufRead};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;

use rustix::net::{RecvFlags, SendFlags};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpStream;

use super::Signal;

pub use std::os::unix::net::UnixListener as BoundUnixListener;
pub use tokio::net::{UnixListener, UnixStream};

/// A connection of the command line to the host.
pub type AdminStream = std::os::unix::net::UnixStream;

/// Where the command line finds the host.
#[derive(Debug)]
pub struct AdminListener(BoundUnixListener);

/// Whether there are Unix sockets.
pub const UNIX_SOCKETS: bool = true;
/// The file in the data directory by which the command line finds the host.
pub const ADMIN: &str = "admin.sock";

/// Hands over each signal, on a thread of its own, until nobody takes it.
///
/// # Errors
/// The signals or the thread cannot be had.
pub fn on_signal(mut take: impl FnMut(Signal) -> bool + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if !take(if signal == SIGHUP { Signal::Reload } else { Signal::Stop }) {
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

    /// Waits for a connection.
    ///
    /// # Errors
    /// There is none to be had.
    pub fn accept(&self) -> io::Result<AdminStream> {
        self.0.accept().map(|(stream, _)| stream)
    }

    /// Whether who connected may ask, by what it says first. Here the mode of the file has decided that.
    ///
    /// # Errors
    /// It says nothing.
    pub fn admits(&self, _said: &mut impl BufRead) -> io::Result<bool> {
        Ok(true)
    }
}

/// Connects to the host that serves this file.
///
/// # Errors
/// Nobody serves it, or it is another user's.
pub fn connect_admin(path: &Path) -> io::Result<AdminStream> {
    AdminStream::connect(path)
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

/// A socket whose queue is full would keep a blocking call waiting.
fn connect_at_once(path: &Path) -> io::Result<std::os::unix::net::UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}
