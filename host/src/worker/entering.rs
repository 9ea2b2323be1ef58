//! Who has connected, and has to do something before there is a session: to say on behalf of whom, to agree on TLS.
//!
//! Each has a task of its own and a time limit for each of the two; the sockets are the worker's, so that another one can go on with them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use slab::Slab;
use tandem_component::Peer;
use tokio::net::TcpStream;

use super::Worker;
use crate::clock::{Nanos, nanos};
use crate::observe::notice::{self, Notice};
use crate::transport::proxy::Header;
use crate::transport::{Handshake, Socket, Terms};

/// Those who are about to enter.
#[derive(Default)]
pub(super) struct Entrants(RefCell<Slab<Entrant>>);

/// One of them.
struct Entrant {
    service: usize,
    /// As whom they enter: who has connected, until somebody else is named.
    peer: SocketAddr,
    terms: Arc<Terms>,
    stage: Stage,
    /// Until then this stage has to be over …
    until: Nanos,
    /// … which is so long.
    within: Duration,
}

/// What is waited for.
enum Stage {
    /// The header of the PROXY protocol.
    Header(TcpStream, Header),
    /// That TLS is agreed on.
    Handshake(Handshake),
}

impl Entrants {
    /// Nobody is about to enter.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

impl Stage {
    fn taken_over(self) -> io::Result<Self> {
        Ok(match self {
            Stage::Header(stream, header) => Stage::Header(TcpStream::from_std(stream.into_std()?)?, header),
            Stage::Handshake(handshake) => Stage::Handshake(handshake.taken_over()?),
        })
    }

    /// What takes too long, in the words of a notice.
    fn name(&self) -> &'static str {
        match self {
            Stage::Header(..) => "its PROXY header",
            Stage::Handshake(_) => "it",
        }
    }

    /// What it is where nothing comes of it.
    fn failure(&self) -> Notice {
        match self {
            Stage::Header(..) => Notice::ProxyRefused,
            Stage::Handshake(_) => Notice::HandshakeFailed,
        }
    }

    /// Somebody else on behalf of whom it is, once it is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<SocketAddr>>> {
        match self {
            Stage::Header(stream, header) => header.poll(stream, cx),
            Stage::Handshake(handshake) => {
                ready!(handshake.poll(cx))?;
                Poll::Ready(Ok(None))
            }
        }
    }
}

impl Worker {
    /// Takes in somebody who has connected, and lets them in as soon as they have done what is asked.
    pub(super) fn enter(self: &Rc<Self>, service: usize, terms: Arc<Terms>, stream: TcpStream, peer: SocketAddr) {
        let Some(proxies) = &terms.proxies else { return self.enter_by(service, terms, stream, peer) };
        if !proxies.has(peer.ip()) {
            let reason = "it is none of the proxies that are believed (proxy_protocol.from)";
            return self.turned_away(Notice::ProxyRefused, service, peer, reason);
        }
        let within = proxies.timeout.get();
        self.await_entrant(service, peer, terms, Stage::Header(stream, Header::default()), within);
    }

    /// … once it is known who they are.
    fn enter_by(self: &Rc<Self>, service: usize, terms: Arc<Terms>, stream: TcpStream, peer: SocketAddr) {
        let Some(tls) = &terms.tls else {
            self.admit(service, Socket::Tcp(stream), Peer::Inet(peer));
            return;
        };
        match Handshake::accept(stream, &tls.config) {
            Ok(handshake) => {
                let within = tls.timeout;
                self.await_entrant(service, peer, terms, Stage::Handshake(handshake), within);
            }
            Err(error) => self.turned_away(Notice::HandshakeFailed, service, peer, &error.to_string()),
        }
    }

    /// Goes on with those who were about to enter another worker.
    pub(super) fn enter_on(self: &Rc<Self>, before: &Entrants) {
        for (_, entrant) in before.0.take() {
            let (failure, service, peer) = (entrant.stage.failure(), entrant.service, entrant.peer);
            match entrant.stage.taken_over() {
                Ok(stage) => self.attend_entrant(Entrant { stage, ..entrant }),
                Err(error) => self.turned_away(failure, service, peer, &error.to_string()),
            }
        }
    }

    fn await_entrant(
        self: &Rc<Self>,
        service: usize,
        peer: SocketAddr,
        terms: Arc<Terms>,
        stage: Stage,
        within: Duration,
    ) {
        let until = self.time().saturating_add(nanos(within));
        self.attend_entrant(Entrant { service, peer, terms, stage, until, within });
    }

    fn attend_entrant(self: &Rc<Self>, entrant: Entrant) {
        let until = self.clock.borrow().instant(entrant.until);
        let key = self.entrants.0.borrow_mut().insert(entrant);
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let done = poll_fn(|cx| worker.poll_entrant(key, cx));
            let done = tokio::time::timeout_at(until.into(), done).await;
            let Some(entrant) = worker.entrants.0.borrow_mut().try_remove(key) else { return };
            let Entrant { service, peer, terms, stage, within, .. } = entrant;
            let turned_away = |reason: &str| worker.turned_away(stage.failure(), service, peer, reason);
            match done {
                Err(_) => turned_away(&format!("{} was not over within {within:?}", stage.name())),
                Ok(Err(error)) => turned_away(&error.to_string()),
                Ok(Ok(client)) => match stage {
                    Stage::Header(stream, _) => worker.enter_by(service, terms, stream, client.unwrap_or(peer)),
                    Stage::Handshake(it) => drop(worker.admit(service, Socket::Tls(it.done()), Peer::Inet(peer))),
                },
            }
        });
    }

    fn poll_entrant(&self, key: usize, cx: &mut Context<'_>) -> Poll<io::Result<Option<SocketAddr>>> {
        let mut entrants = self.entrants.0.borrow_mut();
        // It is there as long as this task is: who takes it over has none of our tasks.
        entrants.get_mut(key).map_or(Poll::Pending, |entrant| entrant.stage.poll(cx))
    }

    fn turned_away(&self, why: Notice, service: usize, peer: SocketAddr, reason: &str) {
        let name = self.with_service_name(service, str::to_owned);
        notice::give(why, &format!("service.{name}: {peer}: {reason}"));
    }
}
