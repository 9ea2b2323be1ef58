//! A worker's listening sockets: takes connections and datagrams in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tandem_component::Peer;
use tokio::io::ReadBuf;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::Worker;
use crate::observe::notice::{self, Notice};
use crate::system::{UnixListener, UnixStream};
use crate::transport::{Address, Bound, Entrance, Socket};

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

/// An address that a worker listens at: a task that accepts, and what stops it.
pub(super) struct Listener {
    service: usize,
    entrance: Arc<Entrance>,
    socket: Rc<Listening>,
    stop: Rc<Notify>,
    task: JoinHandle<()>,
}

/// A listening socket. It is not its task's, so that another worker can take it over.
enum Listening {
    Tcp(RefCell<Option<TcpListener>>),
    Unix(RefCell<Option<UnixListener>>),
    Udp(Datagrams),
}

/// A socket that takes datagrams.
struct Datagrams {
    /// What they are taken from …
    socket: RefCell<Option<UdpSocket>>,
    /// … and the same socket, as sessions answer by it: of no runtime, so theirs whichever worker they are on.
    answers: RefCell<Option<Arc<std::net::UdpSocket>>>,
    /// The sessions of those who talk. A key is used again when its session has ended: the session's number tells which one was
    /// meant.
    peers: RefCell<HashMap<SocketAddr, (usize, u64)>>,
}

impl Listener {
    /// Tells it to stop, and waits until what the kernel had accepted by then is served.
    pub(super) async fn end(self) {
        self.tell_to_stop();
        // A task that panicked has said so.
        let _ = self.task.await;
    }

    /// Tells it to stop.
    pub(super) fn tell_to_stop(&self) {
        self.stop.notify_one();
    }
}

impl Listening {
    fn of(bound: Bound) -> io::Result<Self> {
        Ok(match bound {
            Bound::Tcp(listener) => Listening::Tcp(RefCell::new(Some(TcpListener::from_std(listener)?))),
            Bound::Unix(listener) => Listening::Unix(RefCell::new(Some(UnixListener::from_std(listener)?))),
            Bound::Udp(socket) => {
                let answers = RefCell::new(Some(Arc::new(socket.try_clone()?)));
                let socket = RefCell::new(Some(UdpSocket::from_std(socket)?));
                Listening::Udp(Datagrams { socket, answers, peers: RefCell::default() })
            }
        })
    }

    /// Makes it part of the runtime that it is called in. What is left of it is nothing.
    fn taken_over(&self) -> io::Result<Self> {
        const GONE: io::ErrorKind = io::ErrorKind::NotConnected;
        Ok(match self {
            Listening::Tcp(listener) => {
                let listener = listener.take().ok_or(GONE)?.into_std()?;
                Listening::Tcp(RefCell::new(Some(TcpListener::from_std(listener)?)))
            }
            Listening::Unix(listener) => {
                let listener = listener.take().ok_or(GONE)?.into_std()?;
                Listening::Unix(RefCell::new(Some(UnixListener::from_std(listener)?)))
            }
            Listening::Udp(Datagrams { socket, answers, peers }) => {
                let socket = RefCell::new(Some(UdpSocket::from_std(socket.take().ok_or(GONE)?.into_std()?)?));
                let (answers, peers) = (RefCell::new(answers.take()), RefCell::new(peers.take()));
                Listening::Udp(Datagrams { socket, answers, peers })
            }
        })
    }
}

impl Worker {
    /// Listens at an address, with a socket that is bound to it.
    pub(super) fn listen(self: &Rc<Self>, service: usize, address: Address, bound: Bound, entrance: Arc<Entrance>) {
        self.serve_at(service, address, entrance, Listening::of(bound));
    }

    /// Listens where another worker did.
    pub(super) fn listen_on(self: &Rc<Self>, address: Address, listener: &Listener) {
        self.serve_at(listener.service, address, Arc::clone(&listener.entrance), listener.socket.taken_over());
    }

    /// One that listens still, which it does no more.
    pub(super) fn next_listener(&self) -> Option<Listener> {
        let mut listeners = self.listeners.borrow_mut();
        let next = listeners.keys().next()?.clone();
        listeners.remove(&next)
    }

    fn serve_at(
        self: &Rc<Self>,
        service: usize,
        address: Address,
        entrance: Arc<Entrance>,
        socket: io::Result<Listening>,
    ) {
        let socket = match socket {
            Ok(socket) => Rc::new(socket),
            Err(error) => return tracing::error!(%address, "a listening socket is lost: {error}"),
        };
        let stop = Rc::new(Notify::new());
        let at = At { service, entrance: Arc::clone(&entrance) };
        let serving = serve(Rc::clone(self), at, address.clone(), Rc::clone(&socket), Rc::clone(&stop));
        let task = tokio::task::spawn_local(serving);
        self.listeners.borrow_mut().insert(address, Listener { service, entrance, socket, stop, task });
    }
}

/// What is served where one listens, and what is asked for before.
struct At {
    service: usize,
    entrance: Arc<Entrance>,
}

/// Serves a listening socket until it is told to stop; what the kernel had accepted by then is still served.
async fn serve(
    worker: Rc<Worker>,
    At { service, entrance }: At,
    address: Address,
    socket: Rc<Listening>,
    stop: Rc<Notify>,
) {
    let result = match &*socket {
        Listening::Tcp(listener) => serve_tcp(worker, service, &entrance, listener, &stop).await,
        Listening::Unix(listener) => serve_unix(worker, service, listener, &stop).await,
        Listening::Udp(datagrams) => serve_udp(worker, service, datagrams, &stop).await,
    };
    if let Err(error) = result {
        tracing::error!(%address, "a listening socket is lost: {error}");
    }
}

async fn serve_tcp(
    worker: Rc<Worker>,
    service: usize,
    entrance: &Entrance,
    listener: &RefCell<Option<TcpListener>>,
    stop: &Notify,
) -> io::Result<()> {
    let admit = |(stream, peer): (TcpStream, SocketAddr)| {
        // Small writes are whole messages here. It fails only on a connection that is gone already.
        let _ = stream.set_nodelay(true);
        match entrance.terms() {
            None => drop(worker.admit(service, Socket::Tcp(stream), Peer::Inet(peer))),
            Some(terms) => worker.enter(service, terms, stream, peer),
        }
    };
    loop {
        // It is there as long as this task is: who takes it over has none of our tasks.
        let accept = |cx: &mut Context<'_>| listener.borrow().as_ref().map_or(Poll::Pending, |it| it.poll_accept(cx));
        tokio::select! {
            biased;
            () = stop.notified() => break,
            accepted = poll_fn(accept) => match accepted {
                Ok(accepted) => admit(accepted),
                Err(error) => refused(&error).await,
            },
        }
    }
    // What the kernel has accepted by now, asked of the kernel itself.
    let Some(listener) = listener.take() else { return Ok(()) };
    let listener = listener.into_std()?;
    while let Ok((stream, peer)) = listener.accept() {
        stream.set_nonblocking(true)?;
        admit((TcpStream::from_std(stream)?, peer));
    }
    Ok(())
}

async fn serve_unix(
    worker: Rc<Worker>,
    service: usize,
    listener: &RefCell<Option<UnixListener>>,
    stop: &Notify,
) -> io::Result<()> {
    let admit = |stream| worker.admit(service, Socket::Unix(stream), Peer::Unix);
    loop {
        let accept = |cx: &mut Context<'_>| listener.borrow().as_ref().map_or(Poll::Pending, |it| it.poll_accept(cx));
        tokio::select! {
            biased;
            () = stop.notified() => break,
            accepted = poll_fn(accept) => match accepted {
                Ok((stream, _)) => drop(admit(stream)),
                Err(error) => refused(&error).await,
            },
        }
    }
    let Some(listener) = listener.take() else { return Ok(()) };
    let listener = listener.into_std()?;
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true)?;
        admit(UnixStream::from_std(stream)?);
    }
    Ok(())
}

impl Datagrams {
    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let socket = self.socket.borrow();
        let Some(socket) = &*socket else { return Poll::Pending };
        let mut buffer = ReadBuf::new(buffer);
        let peer = ready!(socket.poll_recv_from(cx, &mut buffer))?;
        Poll::Ready(Ok((buffer.filled().len(), peer)))
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let socket = self.socket.borrow();
        socket.as_ref().ok_or(io::ErrorKind::WouldBlock)?.try_recv_from(buffer)
    }

    /// The session of a peer, opened where it has none.
    fn session_of(
        &self,
        worker: &Rc<Worker>,
        service: usize,
        peer: SocketAddr,
        swept: &mut u64,
    ) -> Option<(usize, u64)> {
        if let Some(key) = self.peers.borrow().get(&peer).copied().filter(|key| worker.converses(*key)) {
            return Some(key);
        }
        {
            let mut peers = self.peers.borrow_mut();
            let now = worker.time();
            // Not for each datagram of a flood.
            if peers.len() >= PEERS_MAX && now - *swept > SWEEP_PEERS {
                *swept = now;
                peers.retain(|_, key| worker.converses(*key));
            }
            if peers.len() >= PEERS_MAX {
                notice::give(Notice::DatagramLost, &format!("{PEERS_MAX} peers are talking already"));
                return None;
            }
        }
        let answers = self.answers.borrow().as_ref().map(Arc::downgrade)?;
        let key = worker.admit(service, Socket::Udp(answers, peer), Peer::Inet(peer))?;
        self.peers.borrow_mut().insert(peer, key);
        Some(key)
    }
}

async fn serve_udp(worker: Rc<Worker>, service: usize, datagrams: &Datagrams, stop: &Notify) -> io::Result<()> {
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
                received = poll_fn(|cx| datagrams.poll_receive(cx, &mut buffer)) => received,
            },
            Some(0) => break,
            Some(left) => {
                *left -= 1;
                match datagrams.try_receive(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    received => received,
                }
            }
        };
        // An error is about a datagram that was sent before (the peer's port is closed): nothing to do with this one.
        let Ok((n, peer)) = received else { continue };
        let Some(key) = datagrams.session_of(&worker, service, peer, &mut swept) else { continue };
        if !worker.take_datagram(key, &buffer[..n]) {
            notice::give(Notice::DatagramLost, &format!("{peer} sends faster than its session takes them"));
        }
    }
    // The sessions answer what has come in, by the socket that goes now.
    tokio::task::yield_now().await;
    drop((datagrams.socket.take(), datagrams.answers.take()));
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
