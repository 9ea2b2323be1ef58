//! Where what comes from elsewhere comes in. It is the worker's and not its tasks', so that another worker can take it over.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use super::{Command, Mail};
use crate::account::verifiers::Verified;
use crate::agreement::usage::Reserved;
use crate::store::Settled;

/// All that a worker takes in.
pub(super) struct Inlets {
    pub(super) commands: Inlet<mpsc::Receiver<Command>>,
    pub(super) settled: Inlet<mpsc::UnboundedReceiver<Vec<Settled>>>,
    pub(super) verified: Inlet<mpsc::UnboundedReceiver<Verified>>,
    pub(super) reserved: Inlet<mpsc::UnboundedReceiver<Reserved>>,
    pub(super) mail: Inlet<mpsc::UnboundedReceiver<Mail>>,
}

/// One of them.
pub(super) struct Inlet<R>(RefCell<Option<R>>);

impl Inlets {
    pub(super) fn taken_over(&self) -> Self {
        let Inlets { commands, settled, verified, reserved, mail } = self;
        Inlets {
            commands: commands.taken_over(),
            settled: settled.taken_over(),
            verified: verified.taken_over(),
            reserved: reserved.taken_over(),
            mail: mail.taken_over(),
        }
    }
}

impl<R> Inlet<R> {
    pub(super) fn new(receiver: R) -> Self {
        Inlet(RefCell::new(Some(receiver)))
    }

    fn taken_over(&self) -> Self {
        Inlet(RefCell::new(self.0.take()))
    }

    /// Looks whether something has come. Of what another worker has taken over nothing comes.
    #[inline]
    pub(super) fn poll<T>(&self, poll: impl FnOnce(&mut R) -> Poll<T>) -> Poll<T> {
        self.0.borrow_mut().as_mut().map_or(Poll::Pending, poll)
    }
}

impl<T> Inlet<mpsc::UnboundedReceiver<T>> {
    /// What comes next; nothing once nobody is left who could send it.
    pub(super) async fn next(&self) -> Option<T> {
        poll_fn(|cx: &mut Context<'_>| self.poll(|receiver| receiver.poll_recv(cx))).await
    }
}

impl<T> Inlet<mpsc::Receiver<T>> {
    /// What comes next; nothing once nobody is left who could send it.
    pub(super) async fn next(&self) -> Option<T> {
        poll_fn(|cx: &mut Context<'_>| self.poll(|receiver| receiver.poll_recv(cx))).await
    }
}
