//! A worker's connectors: a task for each connection that is kept, which makes it, waits for its end, and makes it again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tandem_component::{Peer, Role};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{NotOpened, Opened, Worker, random};
use crate::clock::nanos;
use crate::observe::notice::{self, Notice};
use crate::service::connector::{Backoff, Connection, Reconnect, Stage, Telling};
use crate::transport::{Address, Connecting, Socket};

/// A connection that a worker is to keep.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which.
    pub connection: Arc<Connection>,
    /// When it is made again.
    pub reconnect: Reconnect,
    /// How long its session gets to say goodbye when it is not wanted any more.
    pub goodbye: Duration,
}

/// The connections that a worker keeps, by their numbers.
#[derive(Default)]
pub(super) struct Connectors {
    kept: RefCell<HashMap<u64, Kept>>,
    /// A publication was taken: a service may be served that was not.
    published: Notify,
}

/// What a worker holds of a connection that it keeps.
struct Kept {
    shared: Rc<Shared>,
    goodbye: Duration,
    task: JoinHandle<()>,
}

/// What its task is told, and what it says.
struct Shared {
    reconnect: Cell<Reconnect>,
    /// It was told to reconnect in another way.
    changed: Notify,
    /// The key and the number of the session that is open.
    session: Cell<Option<(usize, u64)>>,
}

impl Worker {
    /// Keeps these connections and no others. One that is kept already stays as it is.
    pub(super) fn keep_connected(self: &Rc<Self>, wanted: Vec<Wanted>) {
        let mut before = self.connectors.kept.take();
        let kept = wanted.into_iter().map(|Wanted { connection, reconnect, goodbye }| {
            let number = connection.number;
            let kept = match before.remove(&number) {
                Some(kept) => Kept { goodbye, ..kept },
                None => self.begin(connection, reconnect, goodbye),
            };
            if kept.shared.reconnect.replace(reconnect) != reconnect {
                kept.shared.changed.notify_waiters();
            }
            (number, kept)
        });
        self.connectors.kept.replace(kept.collect());
        for kept in before.into_values() {
            kept.task.abort();
            if let Some(session) = kept.shared.session.take() {
                self.say_goodbye(session, kept.goodbye);
            }
        }
    }

    /// Makes no connection any more. Those that are there stay, for their sessions to say goodbye.
    pub(super) fn stop_connecting(&self) {
        self.connectors.kept.take().into_values().for_each(|kept| kept.task.abort());
    }

    /// A publication was taken.
    pub(super) fn wake_connectors(&self) {
        self.connectors.published.notify_waiters();
    }

    fn begin(self: &Rc<Self>, connection: Arc<Connection>, reconnect: Reconnect, goodbye: Duration) -> Kept {
        let (reconnect, changed, session) = (Cell::new(reconnect), Notify::new(), Cell::new(None));
        let shared = Rc::new(Shared { reconnect, changed, session });
        let connector = Connector {
            worker: Rc::clone(self),
            connection,
            shared: Rc::clone(&shared),
            backoff: Backoff::default(),
            telling: Telling::default(),
        };
        Kept { shared, goodbye, task: tokio::task::spawn_local(connector.keep()) }
    }

    pub(super) fn say_goodbye(&self, (key, id): (usize, u64), within: Duration) {
        let ((now, wall), within) = (self.now(), nanos(within));
        if let Some(Some(session)) = self.sessions().get_mut(key)
            && session.id == id
        {
            session.drain(now.saturating_add(within), wall.saturating_add(within));
        }
    }
}

/// Keeps one connection.
struct Connector {
    worker: Rc<Worker>,
    connection: Arc<Connection>,
    shared: Rc<Shared>,
    backoff: Backoff,
    telling: Telling,
}

impl Connector {
    /// Until its task is aborted.
    async fn keep(mut self) {
        let mut chance = random();
        loop {
            self.is_served().await;
            let reason = match self.connect().await {
                Ok(opened) => self.stand(opened).await,
                // Since a moment ago.
                Err(NotOpened::Unserved) => continue,
                Err(NotOpened::Refused(reason)) => reason,
            };
            self.wait(&reason, chance()).await;
        }
    }

    /// Waits until something serves the service: there is nothing to be said on a connection before.
    async fn is_served(&self) {
        loop {
            let published = self.worker.connectors.published.notified();
            if self.worker.service_now(self.connection.service, |service| service.instance.is_some()) {
                return;
            }
            self.connection.enter(Stage::Unserved);
            published.await;
        }
    }

    /// Makes the connection and opens a session on it.
    async fn connect(&self) -> Result<Opened, NotOpened> {
        self.connection.enter(Stage::Connecting);
        let socket = self.socket().await.map_err(|error| NotOpened::Refused(error.to_string()))?;
        let peer = match self.connection.address {
            Address::Tcp(inet) | Address::Udp(inet) => Peer::Inet(inet),
            Address::Unix(_) => Peer::Unix,
        };
        self.worker.open(self.connection.service, socket, Role::Client, peer).map_err(|not| match not {
            NotOpened::Refused(reason) => NotOpened::Refused(format!("the component refuses: {reason}")),
            unserved => unserved,
        })
    }

    async fn socket(&self) -> io::Result<Socket> {
        let timeout = self.shared.reconnect.get().timeout;
        let mut connecting = Connecting::begin(&self.connection.address)?;
        match tokio::time::timeout(timeout.get(), poll_fn(|cx| connecting.poll(cx))).await {
            Ok(made) => made?,
            Err(_) => return Err(io::Error::other(format!("there was no connection within {timeout}"))),
        }
        let socket = connecting.done();
        if is_its_own_peer(&socket, &self.connection.address) {
            return Err(io::Error::other("nobody listens there, and the connection came to itself"));
        }
        Ok(socket)
    }

    /// Waits for the end of a session. Why it came.
    async fn stand(&mut self, opened: Opened) -> String {
        self.shared.session.set(Some((opened.key, opened.id)));
        let (now, wall) = self.worker.now();
        self.connection.enter(Stage::Up(wall));
        if self.telling.is_up(now) {
            self.say_up();
        }
        let mut task = opened.task;
        let ended = tokio::select! {
            biased;
            ended = &mut task => ended,
            () = tokio::time::sleep(self.shared.reconnect.get().to.get()) => {
                self.backoff.start_again();
                if self.telling.stands(self.worker.time()) {
                    self.say_up();
                }
                task.await
            }
        };
        self.shared.session.set(None);
        match ended {
            Ok(Some(ending)) => ending.to_string(),
            Ok(None) => "the session is gone".to_owned(),
            Err(error) => format!("the session's task ended: {error}"),
        }
    }

    /// Waits before the next try.
    async fn wait(&mut self, reason: &str, chance: u64) {
        let wait = self.backoff.wait(&self.shared.reconnect.get(), chance);
        let (now, wall) = self.worker.now();
        self.connection.fall(wall.saturating_add(nanos(wait)), reason);
        if self.telling.is_down(now) {
            let wait = Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            self.say(Notice::ConnectorDown, &format!("{reason}; the next try is in {wait:?}"));
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.shared.changed.notified() => self.backoff.start_again(),
        }
    }

    fn say_up(&self) {
        self.say(Notice::ConnectorUp, "connected");
    }

    fn say(&self, notice: Notice, what: &str) {
        let service = self.worker.with_service_name(self.connection.service, str::to_owned);
        notice::give(notice, &format!("service.{service}: {}: {what}", self.connection));
    }
}

/// Whether a connection was made with itself: a port of our own that nobody listens at may be the one that the kernel gives it,
/// and then two ends that connect at once are one.
fn is_its_own_peer(socket: &Socket, address: &Address) -> bool {
    matches!(address, Address::Tcp(inet) if socket.local() == Peer::Inet(*inet))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use socket2::{Domain, Type};
    use tokio::net::TcpStream;

    use super::is_its_own_peer;
    use crate::transport::{Address, Socket};

    #[test]
    fn a_connection_with_itself_is_none() {
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let own = socket.local_addr().unwrap();
        socket.connect(&own).unwrap();
        socket.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _inside = runtime.enter();
        let socket = Socket::Tcp(TcpStream::from_std(socket.into()).unwrap());
        let own = own.as_socket().unwrap();
        assert!(is_its_own_peer(&socket, &Address::Tcp(own)));
        assert!(!is_its_own_peer(&socket, &Address::Tcp((own.ip(), own.port() ^ 1).into())));
    }
}
