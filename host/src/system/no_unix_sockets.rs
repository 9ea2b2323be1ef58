//! Unix sockets where there are none: types without values, so that code for them holds here without a second form of it.

use std::convert::Infallible;
use std::io;
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::Socket;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// A listening socket, not yet part of a runtime.
#[derive(Debug)]
pub struct BoundUnixListener(Infallible);

/// A listening socket of a runtime.
#[derive(Debug)]
pub struct UnixListener(Infallible);

/// A connection, in a runtime or not.
#[derive(Debug)]
pub struct UnixStream(Infallible);

/// Whether there are Unix sockets.
pub const UNIX_SOCKETS: bool = false;

/// There is nothing to connect to: such an address is refused where it is read.
///
/// # Errors
/// Always.
pub fn connect_unix(_path: &Path) -> io::Result<UnixStream> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is none.
///
/// # Errors
/// Always.
pub fn unix_listener(_socket: Socket) -> io::Result<BoundUnixListener> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is nothing to listen on: such an address is refused where it is read.
///
/// # Errors
/// Always.
pub fn bind_unix(_path: &Path) -> io::Result<BoundUnixListener> {
    Err(io::ErrorKind::Unsupported.into())
}

// From here on nothing can be called: who calls it has a value of a type that has none.

#[allow(missing_docs, clippy::missing_errors_doc)] // They are what std and tokio say of them.
impl BoundUnixListener {
    pub fn try_clone(&self) -> io::Result<Self> {
        match self.0 {}
    }

    pub fn accept(&self) -> io::Result<(UnixStream, Infallible)> {
        match self.0 {}
    }
}

#[allow(missing_docs, clippy::missing_errors_doc)] // As above.
impl UnixListener {
    pub fn from_std(listener: BoundUnixListener) -> io::Result<Self> {
        match listener.0 {}
    }

    pub fn into_std(self) -> io::Result<BoundUnixListener> {
        match self.0 {}
    }

    pub fn poll_accept(&self, _cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, Infallible)>> {
        match self.0 {}
    }
}

#[allow(missing_docs, clippy::missing_errors_doc)] // As above.
impl UnixStream {
    pub fn from_std(stream: Self) -> io::Result<Self> {
        match stream.0 {}
    }

    pub fn into_std(self) -> io::Result<Self> {
        match self.0 {}
    }

    pub fn set_nonblocking(&self, _on: bool) -> io::Result<()> {
        match self.0 {}
    }

    pub fn try_io<T>(&self, _interest: Interest, _act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.0 {}
    }
}

impl AsSocket for UnixStream {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        match self.0 {}
    }
}

impl AsyncRead for UnixStream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

impl AsyncWrite for UnixStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}
