//! A worker's connectors: a task for each connection that is kept, which makes it, waits for its end, and makes it again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tandem_component::{Peer, Role};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::takeover::Standing;
use super::{NotOpened, Opened, Worker, random};
use crate::clock::nanos;
use crate::observe::notice::{self, Notice};
use crate::service::connector::{Backoff, Connection, Reconnect, Stage, Telling};
use crate::transport::{Address, Connecting, Socket, Way};

/// A connection that a worker is to keep.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which.
    pub connection: Arc<Connection>,
    /// When it is made again.
    pub reconnect: Reconnect,
    /// How long its session gets to say goodbye when it is not wanted any more.
    pub goodbye: Duration,
    /// What is said there first, and how it is made sure who is there.
    pub way: Way,
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

/// What its task is told, what it says, and what it keeps: so that another worker's can go on where it was.
struct Shared {
    connection: Arc<Connection>,
    reconnect: Cell<Reconnect>,
    way: RefCell<Way>,
    /// It was told to reconnect in another way.
    changed: Notify,
    /// The connection that is being made.
    connecting: RefCell<Option<Connecting>>,
    /// The key and the number of the session that is open.
    session: Cell<Option<(usize, u64)>>,
    backoff: RefCell<Backoff>,
    telling: RefCell<Telling>,
}

impl Worker {
    /// Keeps these connections and no others. One that is kept already stays as it is.
    pub(super) fn keep_connected(self: &Rc<Self>, wanted: Vec<Wanted>) {
        let mut before = self.connectors.kept.take();
        let kept = wanted.into_iter().map(|Wanted { connection, reconnect, goodbye, way }| {
            let number = connection.number;
            let kept = match before.remove(&number) {
                Some(kept) => Kept { goodbye, ..kept },
                None => self.begin(connection, reconnect, goodbye),
            };
            // For the next one that is made.
            kept.shared.way.replace(way);
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
        let shared = Shared {
            connection,
            reconnect: Cell::new(reconnect),
            way: RefCell::default(),
            changed: Notify::new(),
            connecting: RefCell::default(),
            session: Cell::new(None),
            backoff: RefCell::default(),
            telling: RefCell::default(),
        };
        self.keep(shared, goodbye, None)
    }

    /// `standing` is the session that is open already.
    fn keep(self: &Rc<Self>, shared: Shared, goodbye: Duration, standing: Option<Opened>) -> Kept {
        let shared = Rc::new(shared);
        let connector = Connector { worker: Rc::clone(self), shared: Rc::clone(&shared) };
        Kept { shared, goodbye, task: tokio::task::spawn_local(connector.keep(standing)) }
    }

    /// Goes on with the connections that another worker kept. One that was being made is made anew.
    pub(super) fn keep_on(self: &Rc<Self>, before: &Connectors, standing: &mut Standing) {
        let kept = before.kept.take().into_iter().map(|(number, kept)| {
            let Shared { connection, reconnect, way, connecting, session, backoff, telling, .. } = &*kept.shared;
            drop(connecting.take());
            let opened = session.get().and_then(|session| standing.take(session));
            let shared = Shared {
                connection: Arc::clone(connection),
                reconnect: reconnect.clone(),
                way: RefCell::new(way.take()),
                changed: Notify::new(),
                connecting: RefCell::default(),
                session: Cell::new(None),
                backoff: RefCell::new(backoff.take()),
                telling: RefCell::new(telling.take()),
            };
            (number, self.keep(shared, kept.goodbye, opened))
        });
        self.connectors.kept.replace(kept.collect());
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
    shared: Rc<Shared>,
}

impl Connector {
    /// Until its task is aborted.
    async fn keep(self, standing: Option<Opened>) {
        let mut chance = random();
        if let Some(opened) = standing {
            let reason = self.stand(opened).await;
            self.wait(&reason, chance()).await;
        }
        loop {
            self.is_served().await;
            let reason = match self.connect().await {
                Ok(opened) => {
                    self.is_up();
                    self.stand(opened).await
                }
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
            if self.worker.service_now(self.shared.connection.service, |service| service.instance.is_some()) {
                return;
            }
            self.shared.connection.enter(Stage::Unserved);
            published.await;
        }
    }

    /// Makes the connection and opens a session on it.
    async fn connect(&self) -> Result<Opened, NotOpened> {
        let connection = &self.shared.connection;
        connection.enter(Stage::Connecting);
        let socket = self.socket().await.map_err(|error| NotOpened::Refused(error.to_string()))?;
        let peer = match connection.address {
            Address::Tcp(inet) | Address::Udp(inet) => Peer::Inet(inet),
            Address::Unix(_) => Peer::Unix,
        };
        self.worker.open(connection.service, socket, Role::Client, peer).map_err(|not| match not {
            NotOpened::Refused(reason) => NotOpened::Refused(format!("the component refuses: {reason}")),
            unserved => unserved,
        })
    }

    async fn socket(&self) -> io::Result<Socket> {
        let timeout = self.shared.reconnect.get().timeout;
        let Shared { connection, connecting, way, .. } = &*self.shared;
        // Nobody has connected to us for whom it would be.
        connecting.replace(Some(Connecting::begin(&connection.address, &way.borrow(), None)?));
        let poll = |cx: &mut Context<'_>| connecting.borrow_mut().as_mut().map_or(Poll::Pending, |it| it.poll(cx));
        let made = tokio::time::timeout(timeout.get(), poll_fn(poll)).await;
        let made = made.map_err(|_| io::Error::other(format!("there was no connection within {timeout}")));
        let socket = connecting.take().and_then(Connecting::done);
        made.flatten()?;
        let socket = socket.ok_or(io::ErrorKind::NotConnected)?;
        if is_its_own_peer(&socket, &connection.address) {
            return Err(io::Error::other("nobody listens there, and the connection came to itself"));
        }
        Ok(socket)
    }

    fn is_up(&self) {
        let (now, wall) = self.worker.now();
        self.shared.connection.enter(Stage::Up(wall));
        if self.shared.telling.borrow_mut().is_up(now) {
            self.say_up();
        }
    }

    /// Waits for the end of a session. Why it came.
    async fn stand(&self, opened: Opened) -> String {
        self.shared.session.set(Some((opened.key, opened.id)));
        let mut task = opened.task;
        let ended = tokio::select! {
            biased;
            ended = &mut task => ended,
            () = tokio::time::sleep(self.shared.reconnect.get().to.get()) => {
                self.shared.backoff.borrow_mut().start_again();
                if self.shared.telling.borrow_mut().stands(self.worker.time()) {
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
    async fn wait(&self, reason: &str, chance: u64) {
        let wait = self.shared.backoff.borrow_mut().wait(&self.shared.reconnect.get(), chance);
        let (now, wall) = self.worker.now();
        self.shared.connection.fall(wall.saturating_add(nanos(wait)), reason);
        let news = self.shared.telling.borrow_mut().is_down(now);
        if news {
            let wait = Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            self.say(Notice::ConnectorDown, &format!("{reason}; the next try is in {wait:?}"));
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.shared.changed.notified() => self.shared.backoff.borrow_mut().start_again(),
        }
    }

    fn say_up(&self) {
        self.say(Notice::ConnectorUp, "connected");
    }

    fn say(&self, notice: Notice, what: &str) {
        let connection = &self.shared.connection;
        let service = self.worker.with_service_name(connection.service, str::to_owned);
        notice::give(notice, &format!("service.{service}: {connection}: {what}"));
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
