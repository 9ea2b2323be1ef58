//! A worker's listening sockets: takes connections and datagrams in.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tandem_component::Peer;
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener};
use tokio::sync::Notify;

use super::Worker;
use crate::observe::notice::{self, Notice};
use crate::transport::{Address, Bound, Socket};

/// After a failure to accept (no descriptors, no memory) the next try waits for so long.
const PAUSE: Duration = Duration::from_millis(100);
/// How many peers of one socket may have a conversation at a time.
const PEERS_MAX: usize = 65_536;
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
    while let Some(accepted) = at_once(listener.accept()) {
        admit(accepted);
    }
    Ok(())
}

async fn serve_unix(
    worker: Rc<Worker>,
    service: usize,
    listener: std::os::unix::net::UnixListener,
    stop: &Notify,
) -> io::Result<()> {
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
    while let Some((stream, _)) = at_once(listener.accept()) {
        admit(stream);
    }
    Ok(())
}

async fn serve_udp(worker: Rc<Worker>, service: usize, socket: std::net::UdpSocket, stop: &Notify) -> io::Result<()> {
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let mut peers: HashMap<SocketAddr, usize> = HashMap::new();
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let received = tokio::select! {
            biased;
            received = socket.recv_from(&mut buffer) => received,
            () = stop.notified() => return Ok(()),
        };
        // An error is about a datagram that was sent before (the peer's port is closed): nothing to do with this one.
        let Ok((n, peer)) = received else { continue };
        let known = peers.get(&peer).copied().filter(|key| worker.converses(*key, peer));
        let key = match known {
            Some(key) => key,
            None => {
                if peers.len() >= PEERS_MAX {
                    peers.retain(|peer, key| worker.converses(*key, *peer));
                }
                if peers.len() >= PEERS_MAX {
                    notice::give(Notice::DatagramLost, &format!("{PEERS_MAX} peers are talking already"));
                    continue;
                }
                let Some(key) = worker.admit(service, Socket::Udp(Arc::clone(&socket), peer), Peer::Inet(peer)) else {
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
}

/// What is there without waiting.
fn at_once<T>(accepting: impl Future<Output = io::Result<T>>) -> Option<T> {
    match pin!(accepting).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(accepted)) => Some(accepted),
        Poll::Ready(Err(_)) | Poll::Pending => None,
    }
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
    /// Whether the session under this key is the conversation with this peer.
    fn converses(&self, key: usize, peer: SocketAddr) -> bool {
        matches!(self.sessions().get(key), Some(Some(session)) if session.peer() == Peer::Inet(peer) && session.instance().is_some())
    }

    /// Hands a datagram to its session; false where that has too many.
    fn take_datagram(&self, key: usize, bytes: &[u8]) -> bool {
        match self.sessions().get_mut(key) {
            Some(Some(session)) => session.push_datagram(bytes),
            _ => false,
        }
    }
}
