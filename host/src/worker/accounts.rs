//! What a worker's sessions want to know of accounts, and what it answers them.

use std::rc::Rc;
use std::sync::Arc;

use tandem_component::Peer;

use super::Worker;
use crate::account::hashed::Verdict;
use crate::account::verifiers::{Asked, Asker, Subject, Verified};
use crate::account::{Account, NAME_MAX, table};
use crate::observe::notice::{self, Notice};
use crate::session::Identity;
use crate::store::Failure;
use crate::version::Service;

impl Worker {
    /// Finds out whose secret it is; `None` where that takes its time.
    pub fn authenticate(&self, name: &str, secret: &[u8], asker: Asker, wall: u64) -> Option<Identity> {
        let account = match self.account(name) {
            Ok(account) => account,
            Err(failure) => {
                self.put_off(&asker.service, asker.peer, name, &format!("accounts cannot be read: {failure}"));
                return Some(Identity::Unknown);
            }
        };
        let suspended = account.as_ref().is_some_and(|account| account.suspended);
        // That a secret is right is not to be seen by how soon it is turned away.
        let hasty = account.as_ref().is_some_and(|account| account.may_use(&asker.service));
        match self.verifiers.ask(name, secret, account, hasty, asker.clone()) {
            Ok(Asked::Known) if suspended => {
                let reason = reason(&asker.service, asker.peer, name, SUSPENDED);
                notice::give(Notice::AuthenticationFailed, &reason);
                Some(Identity::Suspended(name.to_owned()))
            }
            Ok(Asked::Known) => Some(Identity::Account(name.to_owned())),
            Ok(Asked::PutOff(until)) => {
                self.put_off(&asker.service, asker.peer, name, "too many wrong secrets were tried");
                Some(Identity::PutOff(wall.saturating_add(until.saturating_sub(asker.now))))
            }
            Ok(Asked::Waits) => None,
            Err(full) => {
                self.put_off(&asker.service, asker.peer, name, &full.to_string());
                Some(Identity::Unknown)
            }
        }
    }

    /// Tells sessions what was verified.
    pub(super) async fn take_verified(self: Rc<Self>) {
        while let Some(Verified { asker, subject, verdict }) = self.inlets.verified.next().await {
            // Also where its session has gone meanwhile: that secrets are tried is to be seen.
            let identity = self.identify(&asker, &subject, verdict);
            let Asker { home, number, .. } = asker;
            if let Some(Some(session)) = self.sessions().get_mut(home.key)
                && session.id == home.session
            {
                let asks = self.service_now(session.service, Service::asks_accounts);
                session.authenticated(number, identity, asks);
            }
        }
    }

    /// What follows from what was verified, for an account as it is now: it may have been changed meanwhile.
    fn identify(&self, asker: &Asker, subject: &Subject, verdict: Verdict) -> Identity {
        let Asker { service, peer, .. } = asker;
        let Subject { name, account, .. } = subject;
        let why = match (verdict, account, self.account(name)) {
            (Verdict::Undecided, ..) => {
                self.put_off(service, *peer, name, "there was no memory to verify the secret");
                return Identity::Unknown;
            }
            (Verdict::Wrong, Some(_), _) => "the secret is another",
            (_, None, _) => "there is no such account",
            (Verdict::Right, Some(_), Err(failure)) => {
                self.put_off(service, *peer, name, &format!("accounts cannot be read: {failure}"));
                return Identity::Unknown;
            }
            (Verdict::Right, Some(then), Ok(now)) => match now {
                Some(now) if now.secret == then.secret && now.may_use(service) && now.suspended => {
                    notice::give(Notice::AuthenticationFailed, &reason(service, *peer, name, SUSPENDED));
                    return Identity::Suspended(name.clone());
                }
                Some(now) if now.secret == then.secret && now.may_use(service) => {
                    return Identity::Account(name.clone());
                }
                Some(now) if now.secret == then.secret => "it may not use this service",
                Some(_) => "its secret was changed meanwhile",
                None => "it was removed meanwhile",
            },
        };
        notice::give(Notice::AuthenticationFailed, &reason(service, *peer, name, why));
        Identity::Nobody
    }

    /// Gives a notice of one whose secret was not looked at.
    pub fn put_off(&self, service: &str, peer: Peer, name: &str, why: &str) {
        notice::give(Notice::AuthenticationPutOff, &reason(service, peer, name, why));
    }

    /// The account of a name, as it is now: the configuration's, or else the store's.
    fn account(&self, name: &str) -> Result<Option<Account>, Failure> {
        if name.len() > NAME_MAX {
            return Ok(None);
        }
        if let Some(account) = self.look(|snapshot| snapshot.accounts.get(name).cloned()) {
            return Ok(Some(account));
        }
        // It is opened with the host's own tables, for the first account as well.
        if self.store.get().is_none() {
            return Ok(None);
        }
        let found = table::read(self.ask(&table::TABLE, &table::get(name))?)?;
        Ok(found.into_iter().next().map(|(_, account)| account))
    }

    /// The name of a service.
    pub fn service_name(&self, service: usize) -> Arc<str> {
        self.look(|snapshot| Arc::clone(&snapshot.services[service].name))
    }
}

const SUSPENDED: &str = "it is suspended";

/// The peer chooses the name, so it is written as a literal and not longer than one can be.
fn reason(service: &str, peer: Peer, name: &str, why: &str) -> String {
    let shown: String = name.chars().take(NAME_MAX).collect();
    format!("service.{service}: {peer}: account {shown:?}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_peer_makes_up_breaks_no_line() {
        let reason = reason("esme", Peer::Unix, &format!("a\n\u{1b}[1m{}", "x".repeat(10_000)), "why");
        assert!(reason.starts_with(r#"service.esme: "#) && reason.contains(r#"account "a\n\u{1b}[1mxx"#), "{reason}");
        assert!(reason.len() < 300 && reason.lines().count() == 1);
    }
}
