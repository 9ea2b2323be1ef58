//! What a worker admits, of its shares of agreements.

use std::rc::Rc;
use std::sync::Arc;

use super::Worker;
use crate::agreement::shares::{Asked, Shares, Told, Verdict};
use crate::config::Admission;
use crate::observe::notice::{self, Notice};
use crate::store::Home;
use tandem_component::Allowance;

impl Worker {
    /// Whether an account may have an exchange, or a session, of a service.
    #[inline]
    pub fn admits(&self, asked: &Asked<'_>, now: u64, wall: u64) -> Verdict {
        let mut shares = self.shares.borrow_mut();
        if shares.is_stale() {
            self.renew(&mut shares);
        }
        let at = shares.moment(now, wall);
        let verdict = shares.admit(asked, at);
        tell_operator(&verdict);
        verdict
    }

    /// What is left after a verdict, where that was asked.
    pub fn left(&self, asked: &Asked<'_>, verdict: &Verdict, now: u64, wall: u64) -> Option<Vec<Allowance>> {
        let shares = self.shares.borrow();
        shares.left(asked, verdict, shares.moment(now, wall))
    }

    /// Whether a service's exchanges have to be admitted.
    pub fn requires_admission(&self, service: usize) -> bool {
        self.look(|snapshot| snapshot.services[service].admission == Admission::Required)
    }

    /// What waits for a reservation is told when it is committed.
    pub fn wait_for_admission(&self, asked: &Asked<'_>, home: Home, number: u64) {
        self.shares.borrow_mut().wait(asked, home, number);
    }

    /// Tells sessions what was reserved for them.
    pub(super) async fn take_reserved(self: Rc<Self>) {
        while let Some(reserved) = self.inlets.reserved.next().await {
            let (now, wall) = self.now();
            let told = {
                let mut shares = self.shares.borrow_mut();
                if shares.is_stale() {
                    self.renew(&mut shares);
                }
                let at = shares.moment(now, wall);
                shares.reserved(reserved, at)
            };
            let mut sessions = self.sessions();
            for Told { home, number, verdict, left } in told {
                tell_operator(&verdict);
                if let Some(Some(session)) = sessions.get_mut(home.key)
                    && session.id == home.session
                {
                    session.admitted(number, verdict, left.as_deref());
                }
            }
        }
    }

    /// Gives back what was not used in its time.
    pub(super) fn sweep_shares(&self) {
        let (now, wall) = self.now();
        let mut shares = self.shares.borrow_mut();
        let at = shares.moment(now, wall);
        shares.sweep(at);
    }

    #[cold]
    fn renew(&self, shares: &mut Shares) {
        shares.renew(|| {
            self.look(|snapshot| {
                let names = snapshot.services.iter().map(|service| Arc::clone(&service.name)).collect();
                (Arc::clone(&snapshot.agreements), names)
            })
        });
    }
}

fn tell_operator(verdict: &Verdict) {
    match verdict {
        Verdict::Refused(_, Some(reason)) => notice::give(Notice::AgreementRefused, reason),
        Verdict::Failed(failure) => notice::give(Notice::AgreementFailing, &failure.to_string()),
        _ => {}
    }
}
