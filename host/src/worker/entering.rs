//! Who has connected, and has to do something before there is a session: to agree on TLS.
//!
//! Each has a task of its own and a time limit; the sockets are the worker's, so that another one can go on with them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use slab::Slab;
use tandem_component::Peer;
use tokio::net::TcpStream;

use super::Worker;
use crate::clock::{Nanos, nanos};
use crate::observe::notice::{self, Notice};
use crate::transport::{Handshake, Socket, Terms};

/// Those who are about to enter.
#[derive(Default)]
pub(super) struct Entrants(RefCell<Slab<Entrant>>);

/// One of them.
struct Entrant {
    service: usize,
    peer: SocketAddr,
    handshake: Handshake,
    /// Until then it has to be over …
    until: Nanos,
    /// … which is so long.
    within: Duration,
}

impl Worker {
    /// Takes in somebody who has connected, and lets them in as soon as they have done what is asked.
    pub(super) fn enter(self: &Rc<Self>, service: usize, terms: Arc<Terms>, stream: TcpStream, peer: SocketAddr) {
        let Some(tls) = &terms.tls else {
            self.admit(service, Socket::Tcp(stream), Peer::Inet(peer));
            return;
        };
        match Handshake::accept(stream, &tls.config) {
            Ok(handshake) => {
                let until = self.time().saturating_add(nanos(tls.timeout));
                self.await_entrant(Entrant { service, peer, handshake, until, within: tls.timeout });
            }
            Err(error) => self.turned_away(service, peer, &error.to_string()),
        }
    }

    /// Goes on with those who were about to enter another worker.
    pub(super) fn enter_on(self: &Rc<Self>, before: &Entrants) {
        for (_, Entrant { service, peer, handshake, until, within }) in before.0.take() {
            match handshake.taken_over() {
                Ok(handshake) => self.await_entrant(Entrant { service, peer, handshake, until, within }),
                Err(error) => self.turned_away(service, peer, &error.to_string()),
            }
        }
    }

    fn await_entrant(self: &Rc<Self>, entrant: Entrant) {
        let until = self.clock.borrow().instant(entrant.until);
        let key = self.entrants.0.borrow_mut().insert(entrant);
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let entered = poll_fn(|cx| worker.poll_entrant(key, cx));
            let entered = tokio::time::timeout_at(until.into(), entered).await;
            let Some(Entrant { service, peer, handshake, within, .. }) = worker.entrants.0.borrow_mut().try_remove(key)
            else {
                return;
            };
            match entered {
                Ok(Ok(())) => drop(worker.admit(service, Socket::Tls(handshake.done()), Peer::Inet(peer))),
                Ok(Err(error)) => worker.turned_away(service, peer, &error.to_string()),
                Err(_) => worker.turned_away(service, peer, &format!("it was not over within {within:?}")),
            }
        });
    }

    fn poll_entrant(&self, key: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut entrants = self.entrants.0.borrow_mut();
        // It is there as long as this task is: who takes it over has none of our tasks.
        entrants.get_mut(key).map_or(Poll::Pending, |entrant| entrant.handshake.poll(cx))
    }

    fn turned_away(&self, service: usize, peer: SocketAddr, reason: &str) {
        let name = self.with_service_name(service, str::to_owned);
        notice::give(Notice::HandshakeFailed, &format!("service.{name}: {peer}: {reason}"));
    }
}
