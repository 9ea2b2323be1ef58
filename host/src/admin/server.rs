//! The host's end of the admin interface: HTTP/1.1 on the socket in the data directory, and where the configuration says.
//!
//! It has a thread and a runtime of its own, so nothing that an operator asks takes a worker's time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use axum::{Extension, Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use super::guard::{self, Guard};
use super::routes;
use crate::host::Event;
use crate::observe::notice::{self, Notice};
use crate::system::{AdminListener, AdminSocket, AdminStream};
use crate::tls::Serving;
use crate::transport::{Entrance, Terms};

/// How long a client may take to ask, and to take what it is answered.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a failure to accept the next try waits for so long.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest head of a request.
const HEAD_MAX: usize = 64 * 1024;
/// So many are connected at a time; more are closed.
const CLIENTS_MAX: usize = 64;

/// Where the admin interface is to be found beside the socket, and by which word.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Listening sockets.
    pub sockets: Vec<Arc<std::net::TcpListener>>,
    /// What who asks there has to show.
    pub token: String,
    /// By what TLS, as the configuration says now.
    pub entrance: Arc<Entrance>,
}

impl Beside {
    /// Listens at these addresses.
    ///
    /// # Errors
    /// An address cannot be had: which, and why.
    pub fn bind(addresses: &[SocketAddr], token: String) -> Result<Self, String> {
        let bind = |address: &SocketAddr| {
            let socket = std::net::TcpListener::bind(address).and_then(|socket| {
                socket.set_nonblocking(true)?;
                Ok(Arc::new(socket))
            });
            socket.map_err(|error| format!("admin.listen: {address} cannot be had: {error}"))
        };
        let sockets = addresses.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Beside { sockets, token, entrance: Arc::default() })
    }
}

/// Serves the socket at this path, and what is beside it, on a thread of its own. The host holds the lock of its data directory, so a
/// socket that is there already is one that a predecessor has left behind.
///
/// # Errors
/// The socket or the thread cannot be had.
pub fn serve(path: &Path, beside: Beside, host: Sender<Event>) -> io::Result<()> {
    let listener = AdminListener::bind(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("admin".into()).spawn(move || {
        if let Err(error) = runtime.block_on(listen(listener, beside, host)) {
            tracing::error!("the admin interface cannot be had: {error}");
        }
    })?;
    Ok(())
}

async fn listen(listener: AdminListener, beside: Beside, host: Sender<Event>) -> io::Result<()> {
    let router = routes::router(host.clone());
    // Who is elsewhere and says nothing keeps nobody from the socket on this machine.
    let [clients, clients_elsewhere] = [(); 2].map(|()| Arc::new(Semaphore::new(CLIENTS_MAX)));
    for socket in beside.sockets {
        let socket =
            Tcp { socket: TcpListener::from_std(socket.try_clone()?)?, entrance: Arc::clone(&beside.entrance) };
        let guarded = behind(Guard::of_who_shows(&beside.token), router.clone());
        tokio::spawn(accept(socket, guarded, Arc::clone(&clients_elsewhere), host.clone()));
    }
    let (socket, token) = listener.listen()?;
    let guard = token.map_or_else(Guard::of_who_is_let_in, |token| Guard::of_who_shows(&token));
    accept(socket, behind(guard, router), clients, host).await;
    Ok(())
}

fn behind(guard: Guard, router: Router) -> Router {
    router.layer(middleware::from_fn_with_state(guard, guard::guard))
}

/// A listening socket.
trait Listening {
    type Stream: Asks;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A connection that was accepted.
trait Asks: Send + 'static {
    /// Does what is to be done before it can be asked by.
    fn enter(self) -> impl Future<Output = io::Result<Box<dyn Bytes>>> + Send;
}

/// What carries bytes both ways.
trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// Where the configuration says.
struct Tcp {
    socket: TcpListener,
    entrance: Arc<Entrance>,
}

struct TcpAsks {
    stream: TcpStream,
    peer: SocketAddr,
    terms: Option<Arc<Terms>>,
}

impl Listening for Tcp {
    type Stream = TcpAsks;

    async fn next(&self) -> io::Result<TcpAsks> {
        let (stream, peer) = self.socket.accept().await?;
        Ok(TcpAsks { stream, peer, terms: self.entrance.terms() })
    }
}

impl Asks for TcpAsks {
    async fn enter(self) -> io::Result<Box<dyn Bytes>> {
        let TcpAsks { stream, peer, terms } = self;
        let Some(Serving { config, timeout, .. }) = terms.as_ref().and_then(|terms| terms.tls.as_deref()) else {
            return Ok(Box::new(stream));
        };
        let timeout = (*timeout).min(PATIENCE);
        let agreed = tokio::time::timeout(timeout, TlsAcceptor::from(Arc::clone(config)).accept(stream)).await;
        let agreed = agreed.unwrap_or_else(|_| Err(io::Error::other(format!("it was not over within {timeout:?}"))));
        match agreed {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                notice::give(Notice::HandshakeFailed, &format!("the admin interface: {peer}: {error}"));
                Err(error)
            }
        }
    }
}

impl Listening for AdminSocket {
    type Stream = AdminStream;

    async fn next(&self) -> io::Result<AdminStream> {
        self.accept().await
    }
}

impl Asks for AdminStream {
    async fn enter(self) -> io::Result<Box<dyn Bytes>> {
        Ok(Box::new(self))
    }
}

async fn accept(socket: impl Listening, router: Router, clients: Arc<Semaphore>, host: Sender<Event>) {
    loop {
        let stream = match socket.next().await {
            Ok(stream) => stream,
            // Out of descriptors the kernel says so at once, and would be asked for ever.
            Err(error) => {
                notice::give(
                    Notice::AcceptFailed,
                    &format!("the admin interface: {error}; the next try is in {PAUSE:?}"),
                );
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&clients).try_acquire_owned() else { continue };
        let (router, host) = (router.clone(), host.clone());
        tokio::spawn(async move {
            match stream.enter().await {
                Ok(stream) => {
                    if let Err(error) = converse(stream, router, host).await {
                        tracing::debug!("an admin client: {error}");
                    }
                }
                Err(error) => tracing::debug!("an admin client: {error}"),
            }
            drop(place);
        });
    }
}

/// That who asked on this connection has the host stop, once the answer is on its way.
#[derive(Clone, Default)]
pub(super) struct Stops(Arc<AtomicBool>);

impl Stops {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    host: Sender<Event>,
) -> Result<(), hyper::Error> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(PATIENCE));
    let stops = Stops::default();
    let service = TowerToHyperService::new(router.layer(Extension(stops.clone())));
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .await;
    if stops.0.load(Ordering::Relaxed) {
        // Where the host's thread has ended, it has stopped.
        let _ = host.send(Event::Stop);
    }
    ended
}
