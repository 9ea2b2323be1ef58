//! Residents: the session that a worker keeps for each service whose component wants one. It has no peer: it is for what happens
//! by itself, and for requests of other services that want a session that stays.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tandem_component::Transport;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::takeover::Standing;
use super::{NotOpened, Opened, Worker, random};
use crate::clock::nanos;
use crate::config::Span;
use crate::observe::notice::{self, Notice};
use crate::service::connector::{Backoff, Reconnect};
use crate::session::Session;

/// The residents of a worker, by their services.
#[derive(Default)]
pub(super) struct Residents {
    kept: RefCell<HashMap<usize, Kept>>,
    /// A publication was taken: another version may serve, with which one does not end as it did.
    published: Notify,
}

struct Kept {
    /// The key and the number of the session that is open.
    session: Rc<Cell<Option<(usize, u64)>>>,
    task: JoinHandle<()>,
}

/// When one that has ended is opened again. The first wait is short: there is no peer who would have to be spared, requests have nobody to
/// go to meanwhile, and a version whose residents end is known for it only once some of them have.
const AGAIN: Reconnect = Reconnect { from: Span::millis(50), to: Span::seconds(30), timeout: Span::seconds(5) };

/// How long one gets to end when its service wants none any more.
const GOODBYE: Duration = Duration::from_secs(10);

impl Worker {
    /// Keeps a resident for each service whose active version wants one, and no others. One that has ended is opened again now: what made
    /// it end may be gone with the version that it was of.
    pub(super) fn keep_residents(self: &Rc<Self>) {
        let wanted: Vec<usize> = self.look(|snapshot| {
            let services = snapshot.services.iter().enumerate();
            let resident = services.filter(|(_, service)| service.instance.as_ref().is_some_and(|it| it.is_resident()));
            resident.map(|(number, _)| number).collect()
        });
        let mut kept = self.residents.kept.borrow_mut();
        for (_, kept) in kept.extract_if(|service, kept| !wanted.contains(service) || kept.task.is_finished()) {
            kept.task.abort();
            if let Some(session) = kept.session.take() {
                self.say_goodbye(session, GOODBYE);
            }
        }
        for service in wanted {
            kept.entry(service).or_insert_with(|| self.keep_one(service, None));
        }
        self.residents.published.notify_waiters();
    }

    fn keep_one(self: &Rc<Self>, service: usize, standing: Option<Opened>) -> Kept {
        let session = Rc::new(Cell::new(None));
        let keeping = Rc::clone(self).keep_resident(service, Rc::clone(&session), standing);
        Kept { session, task: tokio::task::spawn_local(keeping) }
    }

    /// Goes on with the residents that another worker kept.
    pub(super) fn keep_residents_on(self: &Rc<Self>, before: &Residents, standing: &mut Standing) {
        let kept = before.kept.take().into_iter().map(|(service, kept)| {
            let opened = kept.session.get().and_then(|session| standing.take(session));
            (service, self.keep_one(service, opened))
        });
        self.residents.kept.replace(kept.collect());
    }

    /// Opens no resident any more. Those that are there stay, to say goodbye.
    pub(super) fn stop_residents(&self) {
        self.residents.kept.take().into_values().for_each(|kept| kept.task.abort());
    }

    /// Until nothing serves the service, or the task is aborted. `standing` is the session that is open already.
    async fn keep_resident(
        self: Rc<Self>,
        service: usize,
        session: Rc<Cell<Option<(usize, u64)>>>,
        mut standing: Option<Opened>,
    ) {
        let (mut chance, mut backoff) = (random(), Backoff::default());
        loop {
            match standing.take().map_or_else(|| self.open_resident(service), Ok) {
                Ok(opened) => {
                    session.set(Some((opened.key, opened.id)));
                    let (begun, _) = self.now();
                    // One whose task has panicked has said so.
                    let _ = opened.task.await;
                    session.set(None);
                    if self.now().0.saturating_sub(begun) > nanos(AGAIN.to.get()) {
                        backoff.start_again();
                    }
                }
                Err(NotOpened::Unserved) => return,
                Err(NotOpened::Refused(reason)) => {
                    let name = self.with_service_name(service, str::to_owned);
                    notice::give(Notice::SessionRefused, &format!("service.{name}: its resident: {reason}"));
                }
            }
            wait(&mut backoff, chance(), &self.residents.published).await;
        }
    }

    fn open_resident(self: &Rc<Self>, service: usize) -> Result<Opened, NotOpened> {
        let (publication, instance) =
            self.look(|snapshot| (snapshot.number, snapshot.services[service].instance.clone()));
        let instance = instance.filter(|instance| instance.is_resident()).ok_or(NotOpened::Unserved)?;
        let session = Session::open_alone(self, service, publication, instance, Transport::Resident);
        Ok(self.seat(session.map_err(NotOpened::Refused)?))
    }
}

/// Until it is time to try again, or something else was published; then the waits begin anew.
async fn wait(backoff: &mut Backoff, chance: u64, published: &Notify) {
    tokio::select! {
        () = tokio::time::sleep(backoff.wait(&AGAIN, chance)) => {}
        () = published.notified() => backoff.start_again(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[test]
    fn a_publication_ends_the_wait() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (mut backoff, published) = (Backoff::default(), Notify::new());
        for _ in 0..20 {
            backoff.wait(&AGAIN, u64::MAX);
        }
        runtime.block_on(async {
            let mut waiting = pin!(wait(&mut backoff, u64::MAX, &published));
            let mut is_over = async || poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_ready())).await;
            assert!(!is_over().await, "half a minute is not over");
            published.notify_waiters();
            assert!(is_over().await);
        });
        assert!(backoff.wait(&AGAIN, u64::MAX) <= AGAIN.from.get(), "the waits begin anew");
    }
}
