//! The accounts that `tandem account` edits: rows of the store, beside those that the configuration has.

use std::collections::{BTreeMap, BTreeSet};

use super::Host;
use crate::account::{self, Account, Hashed, table};
use crate::admin::{AccountRequest, AccountStatus, Answer, Changed, From};
use crate::agreement::usage::Standing;
use crate::config::Config;
use crate::store::{Found, Question};

impl Host {
    /// Does what is asked of accounts. What is changed is committed when it is answered, and holds.
    pub(super) fn account(&mut self, request: AccountRequest) -> Answer {
        let answer = match request {
            AccountRequest::Add { name, secret, services, replace } => {
                self.add_account(name, secret, services, replace)
            }
            AccountRequest::Passwd { name, secret } => {
                self.change_account(name, "changed", |account| account.secret = secret)
            }
            AccountRequest::Suspend { name, suspended } => {
                let outcome = if suspended { "suspended" } else { "resumed" };
                self.change_account(name, outcome, |account| account.suspended = suspended)
            }
            AccountRequest::Remove { name } => self.remove_account(name),
            AccountRequest::List => self.accounts().map(Answer::Accounts),
        };
        if let Err(reason) = self.tell_standings(None) {
            tracing::warn!("which accounts there are, and which are suspended, cannot be read: {reason}");
        }
        answer.unwrap_or_else(Answer::Refused)
    }

    /// Tells the workers which accounts there are and which are suspended, by a configuration that is about to hold, or the one that does.
    ///
    /// # Errors
    /// Those of the store cannot be read: it is left as it is.
    pub(super) fn tell_standings(&self, config: Option<&Config>) -> Result<(), String> {
        let configured = &config.unwrap_or(&self.config).account;
        let stored = self.stored_accounts()?.into_iter().filter(|(name, _)| !configured.contains_key(name));
        let all = stored.chain(configured.clone());
        let standing = |account: &Account| if account.suspended { Standing::Suspended } else { Standing::Good };
        self.usage.set_accounts(all.map(|(name, account)| (name, standing(&account))).collect());
        Ok(())
    }

    fn add_account(
        &self,
        name: String,
        secret: Hashed,
        services: Option<BTreeSet<String>>,
        replace: bool,
    ) -> Result<Answer, String> {
        account::check_name(&name)?;
        account::check_services(services.as_ref(), self.config.service.keys())?;
        self.refuse_the_configurations(&name)?;
        if replace && !self.is_stored(&name)? {
            return Err(format!(
                "account `{name}`: there is none to replace; `tandem account list` says which there are"
            ));
        }
        // One that is suspended stays so.
        let suspended = replace && self.stored_account(&name).is_ok_and(|account| account.suspended);
        let step = table::put(&name, &Account { secret, services, suspended }, replace);
        let done = self.open_store()?.write(vec![step]).map_err(|failure| failure.to_string())?;
        if done.iter().any(|(_, found)| *found == Found::Done(false)) {
            return Err(format!(
                "account `{name}` is there already; with --replace it gets this secret and these services"
            ));
        }
        Ok(changed(name, if replace { "replaced" } else { "added" }))
    }

    fn change_account(&self, name: String, outcome: &str, change: impl FnOnce(&mut Account)) -> Result<Answer, String> {
        self.refuse_the_configurations(&name)?;
        let mut account = self.stored_account(&name)?;
        change(&mut account);
        let step = table::put(&name, &account, true);
        self.open_store()?.write(vec![step]).map_err(|failure| failure.to_string())?;
        Ok(changed(name, outcome))
    }

    fn remove_account(&self, name: String) -> Result<Answer, String> {
        self.refuse_the_configurations(&name)?;
        if !self.is_stored(&name)? {
            return Err(format!("account `{name}`: there is none; `tandem account list` says which there are"));
        }
        self.open_store()?.write(vec![table::delete(&name)]).map_err(|failure| failure.to_string())?;
        Ok(changed(name, "removed"))
    }

    fn accounts(&self) -> Result<Vec<AccountStatus>, String> {
        let mut accounts = BTreeMap::new();
        let stored = self.stored_accounts()?.into_iter().map(|(name, account)| (name, account, From::Command));
        let configured = self.config.account.clone().into_iter();
        // Those last, since they hold where both have one.
        for (name, account, from) in stored.chain(configured.map(|(name, one)| (name, one, From::Configuration))) {
            accounts.insert(
                name.clone(),
                AccountStatus { name, from, services: account.services, suspended: account.suspended },
            );
        }
        Ok(accounts.into_values().collect())
    }

    fn refuse_the_configurations(&self, name: &str) -> Result<(), String> {
        match self.config.account.contains_key(name) {
            true => Err(format!("account `{name}` is the configuration's; change [account.{name}] there, and reload")),
            false => Ok(()),
        }
    }

    /// Those of the store.
    fn stored_accounts(&self) -> Result<Vec<(String, Account)>, String> {
        match self.ask_store(&table::all())? {
            Some(found) => table::read(found).map_err(|failure| failure.to_string()),
            None => Ok(Vec::new()),
        }
    }

    /// The one of the store with this name.
    fn stored_account(&self, name: &str) -> Result<Account, String> {
        let found = match self.ask_store(&table::get(name))? {
            Some(found) => table::read(found).map_err(|failure| failure.to_string())?,
            None => Vec::new(),
        };
        let none = || format!("account `{name}`: there is none; `tandem account list` says which there are");
        found.into_iter().next().map(|(_, account)| account).ok_or_else(none)
    }

    /// Whether the store has a row of this name, be it as it may: one that cannot be read can be removed.
    fn is_stored(&self, name: &str) -> Result<bool, String> {
        Ok(matches!(self.ask_store(&table::get(name))?, Some(Found::Row(Some(_)))))
    }

    /// What the store has found; `None` where there is none, which is not made for a question.
    fn ask_store(&self, question: &Question) -> Result<Option<Found>, String> {
        let Some(store) = self.store.get() else { return Ok(None) };
        let found = store.reader().and_then(|mut reader| reader.ask(&table::TABLE, question));
        found.map(Some).map_err(|failure| failure.to_string())
    }
}

fn changed(name: String, outcome: &str) -> Answer {
    tracing::info!(account = name, "{outcome}");
    Answer::Account(Changed { name, outcome: outcome.to_owned() })
}
