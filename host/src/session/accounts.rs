//! Whose secret it is.

use tandem_component::abi::{authenticated, kind, unstored};

use super::driver::Driver;
use super::{Answer, Content, Session};
use crate::account::verifiers::Asker;
use crate::store::Home;
use crate::version::{Instance, Service};

/// What a session is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It is the secret of this account, which may use the session's service.
    Account(String),
    /// It is the secret of this account, which is suspended.
    Suspended(String),
    /// It is not.
    Nobody,
    /// It is not looked at before then, by the time of day.
    PutOff(u64),
    /// That cannot be said now.
    Unknown,
}

impl Driver<'_, '_> {
    /// Finds out whose secret it is: at once where it was verified before, else by an answer that comes later.
    pub(super) fn authenticate(&mut self, account: &str, secret: &[u8], token: u64) {
        let session = &mut *self.session;
        let home = Home { worker: self.worker.index(), key: session.key, session: session.id };
        let (service, peer) = (self.worker.service_name(session.service), session.peer());
        let Some(number) = session.asked.ask(token) else {
            self.worker.put_off(&service, peer, account, "its session asks for too much at a time");
            session.answers.push_back(Identity::Unknown.answer(token));
            return;
        };
        let asker = Asker { home, number, service, peer, now: self.now };
        if let Some(identity) = self.worker.authenticate(account, secret, asker, self.wall) {
            let asks = self.worker.service_now(session.service, Service::asks_accounts);
            session.authenticated(number, identity, asks);
        }
    }
}

impl Identity {
    fn answer(self, token: u64) -> Answer {
        let identified = Answer { kind: kind::AUTHENTICATED, token, ..Answer::default() };
        match self {
            Identity::Account(name) => {
                Answer { detail: authenticated::ACCOUNT, content: Content::of(name.into()), ..identified }
            }
            Identity::Suspended(name) => {
                Answer { detail: authenticated::SUSPENDED, content: Content::of(name.into()), ..identified }
            }
            Identity::PutOff(until) => Answer { detail: authenticated::PUT_OFF, number: until, ..identified },
            Identity::Nobody => identified,
            Identity::Unknown => Answer { kind: kind::STORE_FAILED, detail: unstored::UNAVAILABLE, ..identified },
        }
    }
}

impl Session {
    /// Answers a question, unless it was cancelled or the session has ended. Where a canary asks whose sessions are, it may be the
    /// canary's from its next event on.
    pub fn authenticated(&mut self, number: u64, identity: Identity, asks: bool) {
        if let Some(token) = self.asked.answer(number) {
            if let (Identity::Account(name), true) = (&identity, asks) {
                self.account = Some(name.as_str().into());
                self.publication = 0;
            }
            // To an earlier revision it is a temporary error, as others are, and not a wrong secret.
            let knows = self.instance().is_some_and(Instance::asks_admissions);
            let identity = match identity {
                Identity::PutOff(_) if !knows => Identity::Unknown,
                identity => identity,
            };
            self.answers.push_back(identity.answer(token));
            self.wake();
        }
    }
}
