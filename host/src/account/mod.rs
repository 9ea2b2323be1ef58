//! Accounts: who is on the other side, and how that is proven.
//!
//! | module | what it is about |
//! |---|---|
//! | [`attempts`] | how many wrong secrets may be tried |
//! | [`hashed`] | a secret as it is kept: its hash |
//! | [`table`] | the accounts that `tandem account` keeps in the store |
//! | [`verifiers`] | the threads that verify secrets, since that is slow on purpose |
//!
//! An account is the configuration's (`[account.acme]`) or a row of the store; where both have one, the configuration's
//! holds. Both are looked up as they are when somebody asks, so what is changed holds at once.
//!
//! Invariants:
//! - No secret is kept but as a hash; what waits to be verified is wiped afterwards, and nothing here prints either.
//! - Whether a name or a secret was wrong, or the service the wrong one, does not show: not in the answer, and not in its
//!   time, as far as the account's hash costs what those cost that are made here.

pub mod attempts;
pub mod hashed;
mod queue;
mod remembered;
pub mod table;
pub mod verifiers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

pub use hashed::Hashed;

/// Accounts by name.
pub type Accounts = BTreeMap<String, Account>;

/// `[account.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What its secret is known by.
    pub secret: Hashed,
    /// The services that it may use; all of them where it is not said.
    pub services: Option<BTreeSet<String>>,
    /// It may use none of them for now.
    pub suspended: bool,
}

impl Account {
    /// Whether it may use a service.
    pub fn may_use(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service))
    }
}

/// The longest name. In bytes, as the longest secret.
pub const NAME_MAX: usize = 128;
/// The longest secret: what hashes it reads the whole of it.
pub const SECRET_MAX: usize = 1024;

/// Checks a name.
///
/// # Errors
/// Nobody could write it in a command or find it in a log.
pub fn check_name(name: &str) -> Result<(), String> {
    let unfit = |c: char| c.is_control() || c.is_whitespace();
    if name.is_empty() || name.len() > NAME_MAX || name.contains(unfit) {
        return Err(format!(
            "an account's name has 1 to {NAME_MAX} bytes, none of them a space or a control character"
        ));
    }
    Ok(())
}

/// Checks which services an account may use.
///
/// # Errors
/// One of them is none, or there are none at all.
pub fn check_services<'a>(
    services: Option<&BTreeSet<String>>,
    mut known: impl Iterator<Item = &'a String> + Clone,
) -> Result<(), String> {
    let Some(services) = services else { return Ok(()) };
    if services.is_empty() {
        return Err("it may use none; name some, or leave `services` out for all of them".to_owned());
    }
    match services.iter().find(|name| known.clone().all(|service| service != *name)) {
        Some(unknown) => {
            let first = known.next().map_or_else(String::new, |name| format!("`{name}`"));
            let all = known.fold(first, |all, name| format!("{all}, `{name}`"));
            Err(format!("there is no service `{unknown}`; there are {all}"))
        }
        None => Ok(()),
    }
}

/// The keys of `[account.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    secret: Hashed,
    services: Option<BTreeSet<String>>,
    #[serde(default)]
    suspended: bool,
}

/// By hand: where a table is expected and something else stands, serde's own errors say what, and it may be a secret.
impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = Account;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with `secret`")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Account, A::Error> {
                let Keys { secret, services, suspended } = Keys::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Account { secret, services, suspended })
            }
            fn visit_str<E: Error>(self, _: &str) -> Result<Account, E> {
                Err(E::custom("an account is a table: write [account.NAME] with secret = \"$argon2id$…\""))
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<Account, E> {
                self.visit_str("")
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<Account, E> {
                self.visit_str("")
            }
        }
        deserializer.deserialize_any(Table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_written_and_found() {
        for name in ["acme", "user@example.org", "esme-1", "größe"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "a b", "a\n", "a\u{0}", &"x".repeat(NAME_MAX + 1)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn services_are_some_that_there_are() {
        let known = ["web".to_owned(), "esme".to_owned()];
        let check =
            |names: &[&str]| check_services(Some(&names.iter().map(ToString::to_string).collect()), known.iter());
        assert_eq!(check(&["esme"]), Ok(()));
        assert_eq!(check_services(None, known.iter()), Ok(()));
        assert!(check(&["esme", "x"]).unwrap_err().ends_with("no service `x`; there are `web`, `esme`"));
        assert!(check(&[]).is_err());
    }
}
