//! A worker's listening sockets: takes connections and datagrams in.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tandem_component::Peer;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Notify;

use super::Worker;
use crate::observe::notice::{self, Notice};
use crate::system::{BoundUnixListener, UnixListener, UnixStream};
use crate::transport::{Address, Bound, Socket};

/// After a failure to accept (no descriptors, no memory) the next try waits for so long.
const PAUSE: Duration = Duration::from_millis(100);
/// How many peers of one socket may have a conversation at a time.
const PEERS_MAX: usize = 65_536;
/// So often, in nanoseconds, those that have ended make room.
const SWEEP_PEERS: u64 = 1_000_000_000;
/// After so many datagrams the sessions have their turn: fewer than one of them may have waiting.
const DATAGRAMS_AT_ONCE: usize = 32;
/// How many that the kernel had are still taken when a socket is to go: it has room for some hundred.
const DATAGRAMS_LAST: usize = 1024;
/// The largest datagram there is.
const DATAGRAM_MAX: usize = 65_536;

/// Serves a listening socket until it is told to stop; what the kernel had accepted by then is still served.
pub(super) async fn serve(worker: Rc<Worker>, service: usize, address: Address, bound: Bound, stop: Rc<Notify>) {
    let result = match bound {
        Bound::Tcp(listener) => serve_tcp(worker, service, listener, &stop).await,
        Bound::Unix(listener) => serve_unix(worker, service, listener, &stop).await,
        Bound::Udp(socket) => serve_udp(worker, service, socket, &stop).await,
    };
    if let Err(error) = result {
        tracing::error!(%address, "a listening socket is lost: {error}");
    }
}

async fn serve_tcp(
    worker: Rc<Worker>,
    service: usize,
    listener: std::net::TcpListener,
    stop: &Notify,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let admit = |(stream, peer): (TcpStream, SocketAddr)| {
        // Small writes are whole messages here. It fails only on a connection that is gone already.
        let _ = stream.set_nodelay(true);
        worker.admit(service, Socket::Tcp(stream), Peer::Inet(peer));
    };
    loop {
        tokio::select! {
            biased;
            () = stop.notified() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => admit(accepted),
                Err(error) => refused(&error).await,
            },
        }
    }
    // What the kernel has accepted by now, asked of the kernel itself.
    let listener = listener.into_std()?;
    while let Ok((stream, peer)) = listener.accept() {
        stream.set_nonblocking(true)?;
        admit((TcpStream::from_std(stream)?, peer));
    }
    Ok(())
}

async fn serve_unix(worker: Rc<Worker>, service: usize, listener: BoundUnixListener, stop: &Notify) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let admit = |stream| worker.admit(service, Socket::Unix(stream), Peer::Unix);
    loop {
        tokio::select! {
            biased;
            () = stop.notified() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(admit(stream)),
                Err(error) => refused(&error).await,
            },
        }
    }
    let listener = listener.into_std()?;
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true)?;
        admit(UnixStream::from_std(stream)?);
    }
    Ok(())
}

async fn serve_udp(worker: Rc<Worker>, service: usize, socket: std::net::UdpSocket, stop: &Notify) -> io::Result<()> {
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    // A key is used again when its session has ended: the session's number tells which one was meant.
    let mut peers: HashMap<SocketAddr, (usize, u64)> = HashMap::new();
    let mut swept = 0;
    let mut buffer = vec![0; DATAGRAM_MAX];
    // How many more are taken, once it was told to stop.
    let mut last: Option<usize> = None;
    for taken in 1_usize.. {
        if taken.is_multiple_of(DATAGRAMS_AT_ONCE) {
            // The sessions take what they have, before there is more than they may have.
            tokio::task::yield_now().await;
        }
        let received = match &mut last {
            None => tokio::select! {
                biased;
                () = stop.notified() => {
                    last = Some(DATAGRAMS_LAST);
                    continue;
                }
                received = socket.recv_from(&mut buffer) => received,
            },
            Some(0) => break,
            Some(left) => {
                *left -= 1;
                match socket.try_recv_from(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    received => received,
                }
            }
        };
        // An error is about a datagram that was sent before (the peer's port is closed): nothing to do with this one.
        let Ok((n, peer)) = received else { continue };
        let known = peers.get(&peer).copied().filter(|key| worker.converses(*key));
        let key = match known {
            Some(key) => key,
            None => {
                let now = worker.time();
                // Not for each datagram of a flood.
                if peers.len() >= PEERS_MAX && now - swept > SWEEP_PEERS {
                    swept = now;
                    peers.retain(|_, key| worker.converses(*key));
                }
                if peers.len() >= PEERS_MAX {
                    notice::give(Notice::DatagramLost, &format!("{PEERS_MAX} peers are talking already"));
                    continue;
                }
                let Some(key) = worker.admit(service, Socket::Udp(Arc::downgrade(&socket), peer), Peer::Inet(peer))
                else {
                    continue;
                };
                peers.insert(peer, key);
                key
            }
        };
        if !worker.take_datagram(key, &buffer[..n]) {
            notice::give(Notice::DatagramLost, &format!("{peer} sends faster than its session takes them"));
        }
    }
    // The sessions answer what has come in, by the socket that goes now.
    tokio::task::yield_now().await;
    Ok(())
}

async fn refused(error: &io::Error) {
    // The peer gave up before it was accepted.
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
        return;
    }
    notice::give(Notice::AcceptFailed, &format!("{error}; the next try is in {PAUSE:?}"));
    tokio::time::sleep(PAUSE).await;
}

impl Worker {
    /// Whether the session with this key and number still talks.
    fn converses(&self, (key, id): (usize, u64)) -> bool {
        matches!(self.sessions().get(key), Some(Some(session)) if session.id == id && session.instance().is_some())
    }

    /// Hands a datagram to its session; false where that has too many.
    fn take_datagram(&self, (key, _): (usize, u64), bytes: &[u8]) -> bool {
        match self.sessions().get_mut(key) {
            Some(Some(session)) => session.push_datagram(bytes),
            _ => false,
        }
    }
}
