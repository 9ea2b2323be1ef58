//! Listening sockets: one a worker for each address, all bound before any is used.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

use super::Address;
use crate::system::{self, BoundUnixListener};

/// A listening socket of one worker, not yet part of its runtime.
#[derive(Debug)]
pub enum Bound {
    /// Accepts TCP connections.
    Tcp(std::net::TcpListener),
    /// Takes datagrams.
    Udp(std::net::UdpSocket),
    /// Accepts connections on a Unix socket; the workers share the one descriptor's queue.
    Unix(BoundUnixListener),
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
            let sockets = system::bind_for_each(workers, Type::STREAM, || {
                let socket = inet_socket(*inet, Type::STREAM, Protocol::TCP, true)?;
                socket.listen(BACKLOG)?;
                Ok(socket)
            });
            Ok(sockets?.into_iter().map(|socket| Bound::Tcp(socket.into())).collect())
        }
        Address::Udp(inet) => {
            drop(inet_socket(*inet, Type::DGRAM, Protocol::UDP, false)?);
            let bind = || inet_socket(*inet, Type::DGRAM, Protocol::UDP, true);
            let sockets = system::bind_for_each(workers, Type::DGRAM, bind)?;
            Ok(sockets.into_iter().map(|socket| Bound::Udp(socket.into())).collect())
        }
        Address::Unix(path) => {
            let listener = system::bind_unix(path)?;
            (0..workers).map(|_| Ok(Bound::Unix(listener.try_clone()?))).collect()
        }
    }
}

fn inet_socket(address: SocketAddr, kind: Type, protocol: Protocol, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    system::ready_to_bind(&socket, kind, share)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if kind == Type::STREAM && !share {
        // With SO_REUSEADDR two may bind and only the second to listen is refused.
        socket.listen(1)?;
    }
    Ok(socket)
}
