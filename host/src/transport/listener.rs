//! Listening sockets: one a worker for each address, all bound before any is used.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

use super::Address;

/// A listening socket of one worker, not yet part of its runtime.
#[derive(Debug)]
pub enum Bound {
    /// Accepts TCP connections.
    Tcp(std::net::TcpListener),
    /// Takes datagrams.
    Udp(std::net::UdpSocket),
    /// Accepts connections on a Unix socket; the workers share the one descriptor's queue.
    Unix(std::os::unix::net::UnixListener),
}

/// How many connections the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 4096;

/// Binds an address once for each worker.
///
/// # Errors
/// The address is taken by another process or another service, or is not one of this machine's.
pub fn bind(address: &Address, workers: usize) -> io::Result<Vec<Bound>> {
    match address {
        Address::Tcp(inet) => {
            // Sharing a port would also share it with a stranger who asks for the same: find out first.
            drop(inet_socket(*inet, Type::STREAM, Protocol::TCP, false)?);
            (0..workers)
                .map(|_| {
                    let socket = inet_socket(*inet, Type::STREAM, Protocol::TCP, true)?;
                    socket.listen(BACKLOG)?;
                    Ok(Bound::Tcp(socket.into()))
                })
                .collect()
        }
        Address::Udp(inet) => {
            drop(inet_socket(*inet, Type::DGRAM, Protocol::UDP, false)?);
            (0..workers).map(|_| Ok(Bound::Udp(inet_socket(*inet, Type::DGRAM, Protocol::UDP, true)?.into()))).collect()
        }
        Address::Unix(path) => {
            remove_stale(path)?;
            let listener = std::os::unix::net::UnixListener::bind(path)?;
            listener.set_nonblocking(true)?;
            (0..workers).map(|_| Ok(Bound::Unix(listener.try_clone()?))).collect()
        }
    }
}

fn inet_socket(address: SocketAddr, kind: Type, protocol: Protocol, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if kind == Type::STREAM {
        // Connections of a predecessor that linger in TIME_WAIT are no reason to refuse the port.
        socket.set_reuse_address(true)?;
    }
    socket.set_reuse_port(share)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if kind == Type::STREAM && !share {
        // With SO_REUSEADDR two may bind and only the second to listen is refused.
        socket.listen(1)?;
    }
    Ok(socket)
}

/// Removes the socket file that a predecessor left behind; one that still answers is in use.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            let answers = super::socket::connect_unix(path);
            if !matches!(&answers, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)
        }
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is in the way")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
