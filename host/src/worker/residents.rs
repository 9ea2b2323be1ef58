//! Residents: the session that a worker keeps for each service whose component wants one. It has no peer: it is for what happens
//! by itself, and for requests of other services that want a session that stays.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tandem_component::Transport;
use tokio::task::JoinHandle;

use super::takeover::Standing;
use super::{NotOpened, Opened, Worker, random};
use crate::clock::nanos;
use crate::observe::notice::{self, Notice};
use crate::service::connector::{Backoff, Reconnect};
use crate::session::Session;

/// The residents of a worker, by their services.
#[derive(Default)]
pub(super) struct Residents(RefCell<HashMap<usize, Kept>>);

struct Kept {
    /// The key and the number of the session that is open.
    session: Rc<Cell<Option<(usize, u64)>>>,
    task: JoinHandle<()>,
}

/// How long one gets to end when its service wants none any more.
const GOODBYE: Duration = Duration::from_secs(10);

impl Worker {
    /// Keeps a resident for each service whose active version wants one, and no others.
    pub(super) fn keep_residents(self: &Rc<Self>) {
        let wanted: Vec<usize> = self.look(|snapshot| {
            let services = snapshot.services.iter().enumerate();
            let resident = services.filter(|(_, service)| service.instance.as_ref().is_some_and(|it| it.is_resident()));
            resident.map(|(number, _)| number).collect()
        });
        let mut kept = self.residents.0.borrow_mut();
        for (_, kept) in kept.extract_if(|service, kept| !wanted.contains(service) || kept.task.is_finished()) {
            kept.task.abort();
            if let Some(session) = kept.session.take() {
                self.say_goodbye(session, GOODBYE);
            }
        }
        for service in wanted {
            kept.entry(service).or_insert_with(|| self.keep_one(service, None));
        }
    }

    fn keep_one(self: &Rc<Self>, service: usize, standing: Option<Opened>) -> Kept {
        let session = Rc::new(Cell::new(None));
        let keeping = Rc::clone(self).keep_resident(service, Rc::clone(&session), standing);
        Kept { session, task: tokio::task::spawn_local(keeping) }
    }

    /// Goes on with the residents that another worker kept.
    pub(super) fn keep_residents_on(self: &Rc<Self>, before: &Residents, standing: &mut Standing) {
        let kept = before.0.take().into_iter().map(|(service, kept)| {
            let opened = kept.session.get().and_then(|session| standing.take(session));
            (service, self.keep_one(service, opened))
        });
        self.residents.0.replace(kept.collect());
    }

    /// Opens no resident any more. Those that are there stay, to say goodbye.
    pub(super) fn stop_residents(&self) {
        self.residents.0.take().into_values().for_each(|kept| kept.task.abort());
    }

    /// Until nothing serves the service, or the task is aborted. `standing` is the session that is open already.
    async fn keep_resident(
        self: Rc<Self>,
        service: usize,
        session: Rc<Cell<Option<(usize, u64)>>>,
        mut standing: Option<Opened>,
    ) {
        let (mut chance, mut backoff, again) = (random(), Backoff::default(), Reconnect::default());
        loop {
            match standing.take().map_or_else(|| self.open_resident(service), Ok) {
                Ok(opened) => {
                    session.set(Some((opened.key, opened.id)));
                    let (begun, _) = self.now();
                    // One whose task has panicked has said so.
                    let _ = opened.task.await;
                    session.set(None);
                    if self.now().0.saturating_sub(begun) > nanos(again.to.get()) {
                        backoff.start_again();
                    }
                }
                Err(NotOpened::Unserved) => return,
                Err(NotOpened::Refused(reason)) => {
                    let name = self.with_service_name(service, str::to_owned);
                    notice::give(Notice::SessionRefused, &format!("service.{name}: its resident: {reason}"));
                }
            }
            tokio::time::sleep(backoff.wait(&again, chance())).await;
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
