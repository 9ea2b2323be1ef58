//! Windows: console events, a port of the loopback for the command line, access lists, no Unix sockets.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use socket2::{SockRef, Socket, Type};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

use super::Signal;

pub use super::no_unix_sockets::*;

/// A connection of the command line to the host.
pub type AdminStream = tokio::net::TcpStream;

/// Where the command line finds the host: a port of the loopback. Every user of the machine reaches it, so who asks
/// shows a secret, which lies beside the port's number in a file that is the owner's alone.
#[derive(Debug)]
pub struct AdminListener {
    listener: TcpListener,
    secret: String,
}

/// … and listened to, in a runtime.
#[derive(Debug)]
pub struct AdminSocket(tokio::net::TcpListener);

/// The file in the data directory by which the command line finds the host.
pub const ADMIN: &str = "admin.port";

/// Hands over each console event that asks to end, on a thread of its own, until nobody takes it. Nothing here asks to
/// reload: that is the command line's.
///
/// # Errors
/// The events or the thread cannot be had.
pub fn on_signal(mut take: impl FnMut(Signal) -> bool + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (mut interrupt, mut pause, mut close, mut shutdown) =
        (ctrl_c()?, ctrl_break()?, ctrl_close()?, ctrl_shutdown()?);
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = pause.recv() => {}
                    _ = close.recv() => {}
                    _ = shutdown.recv() => {}
                }
                if !take(Signal::Stop) {
                    return;
                }
            }
        });
    })?;
    Ok(())
}

/// Whether a file is this process's user's: taken for granted here, where new files have the access list of their directory.
///
/// # Errors
/// None.
pub fn owns(_path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// From here on other threads would go before the calling one; std cannot say that here.
///
/// # Errors
/// None.
pub fn give_way() -> io::Result<()> {
    Ok(())
}

/// Makes a directory, where it is not there, that is its owner's alone.
///
/// # Errors
/// It cannot be made.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    close_to_others(path, "(OI)(CI)F")
}

/// Sends what the system takes at once.
///
/// # Errors
/// It takes nothing now, or the connection is broken.
pub fn send(stream: &tokio::net::TcpStream, bytes: &[u8]) -> io::Result<usize> {
    SockRef::from(stream).send(bytes)
}

/// Receives what the system has.
///
/// # Errors
/// It has nothing now, or the connection is broken.
pub fn receive(stream: &tokio::net::TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    (&*SockRef::from(stream)).read(buffer)
}

/// There are none here.
pub fn signal_name(_number: i32) -> Option<&'static str> {
    None
}

/// Which file that is, whatever it is called: nothing that can be asked for here.
pub type FileId = ();

/// Which file that is. Not known here.
pub fn file_id(_metadata: &fs::Metadata) -> Option<FileId> {
    None
}

/// Opens a file for appending, which is made where it is not there.
///
/// # Errors
/// It cannot be opened.
pub fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

impl AdminListener {
    /// Takes the place of one that was left behind there.
    ///
    /// # Errors
    /// No port can be had, or the file cannot be made.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let secret = format!("{:032x}", u128::from_ne_bytes(random));
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // New, since the owner and the access list of one that was there would stay.
        let mut file = File::create_new(path)?;
        close_to_others(path, "F")?;
        // At once, so that nobody reads a part of it.
        file.write_all(format!("{}\n{secret}\n", listener.local_addr()?.port()).as_bytes())?;
        Ok(AdminListener { listener, secret })
    }

    /// Listens, and what who connects has to show.
    ///
    /// # Errors
    /// The runtime cannot have it.
    pub fn listen(self) -> io::Result<(AdminSocket, Option<String>)> {
        self.listener.set_nonblocking(true)?;
        Ok((AdminSocket(tokio::net::TcpListener::from_std(self.listener)?), Some(self.secret)))
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
    let text = fs::read_to_string(path)?;
    let said = text.split_once('\n').and_then(|(port, secret)| Some((port.parse::<u16>().ok()?, secret)));
    let Some((port, secret)) = said else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file does not say a port and a secret"));
    };
    Ok((AdminStream::connect((Ipv4Addr::LOCALHOST, port)).await?, Some(secret.trim_end().to_owned())))
}

/// Readies a socket to be bound to a port. The options that Unix sets here would let another process take the port away.
///
/// # Errors
/// None.
pub fn ready_to_bind(_socket: &Socket, _kind: Type, _share: bool) -> io::Result<()> {
    Ok(())
}

/// Sockets for so many workers on one port. Connections: all accept from one queue. Datagrams: one worker takes them all,
/// since a peer's have to come to the same one.
///
/// # Errors
/// It cannot be bound.
pub fn bind_for_each(workers: usize, kind: Type, bind: impl Fn() -> io::Result<Socket>) -> io::Result<Vec<Socket>> {
    let mut sockets = vec![bind()?];
    while kind == Type::STREAM && sockets.len() < workers {
        sockets.push(sockets[0].try_clone()?);
    }
    Ok(sockets)
}

/// Whether a connection that does not wait is still being made.
pub fn is_connecting(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// What the process takes of the machine. Not known here.
pub fn usage() -> Option<super::Usage> {
    None
}

/// A thread. Nobody counts here how long it has waited for a processor.
#[derive(Debug)]
pub struct Waits;

impl Waits {
    /// Those of the thread that calls this.
    pub fn of_this_thread() -> Self {
        Waits
    }

    /// Not known.
    pub fn so_far(&self) -> Option<std::time::Duration> {
        None
    }
}

/// Nothing is said here of who could change a file: that takes the system's own calls for access lists.
///
/// # Errors
/// None.
pub fn exposed(_path: &Path) -> io::Result<Vec<super::Exposed>> {
    Ok(Vec::new())
}

/// Who may do what with a file is said by access lists, which std does not read.
///
/// # Errors
/// None.
pub fn mode(_file: &std::fs::File) -> io::Result<u32> {
    Ok(0)
}

/// Makes a file, where it is not there. It has the access list of its directory.
///
/// # Errors
/// It cannot be made.
pub fn make_private_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path).map(drop)
}

/// Everybody may read a file, and only its owner write it: it has the access list of its directory.
///
/// # Errors
/// There are none.
pub fn only_owner_writes(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Leaves a file or a directory to its owner, and to those who administer the machine. std has no access lists, so the
/// system's own program sets them.
fn close_to_others(path: &Path, rights: &str) -> io::Result<()> {
    /// By number, since their names are translated: whoever owns it, the system, the administrators.
    const WHO: [&str; 3] = ["*S-1-3-4", "*S-1-5-18", "*S-1-5-32-544"];
    let windows = std::env::var_os("SystemRoot").unwrap_or_else(|| OsString::from(r"C:\Windows"));
    let mut icacls = Command::new(PathBuf::from(windows).join("System32").join("icacls.exe"));
    // Absolute, since a path that begins with a slash would be taken for an option.
    icacls
        .arg(path::absolute(path)?)
        .args(["/inheritance:r", "/grant:r"])
        .args(WHO.map(|who| format!("{who}:{rights}")));
    let done = icacls.stdin(Stdio::null()).output()?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(io::Error::other(format!("icacls cannot close it to others: {said}")));
    }
    Ok(())
}
