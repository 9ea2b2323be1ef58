//! What an operator asks of accounts, and is answered. A secret goes this way hashed only.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::Hashed;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum AccountRequest {
    /// Make one.
    Add {
        /// Its name.
        name: String,
        /// Its secret, hashed.
        #[schema(value_type = String)]
        secret: Hashed,
        /// The services that it may use; all of them where it is not said.
        services: Option<BTreeSet<String>>,
        /// There is one already, whose secret and services these are from now on.
        replace: bool,
    },
    /// Give one another secret.
    Passwd {
        /// Its name.
        name: String,
        /// Its secret from now on, hashed.
        #[schema(value_type = String)]
        secret: Hashed,
    },
    /// Have one use nothing for now, or again what it may.
    Suspend {
        /// Its name.
        name: String,
        /// Whether it is suspended from now on.
        suspended: bool,
    },
    /// Make one go.
    Remove {
        /// Its name.
        name: String,
    },
    /// Say which there are.
    List,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountStatus {
    /// Its name.
    pub name: String,
    /// Who has made it.
    pub from: From,
    /// The services that it may use; all of them where it is not said.
    pub services: Option<BTreeSet<String>>,
    /// Whether it may use nothing for now.
    pub suspended: bool,
}

/// Who has made an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// The configuration has it.
    Configuration,
    /// `tandem account` has put it into the store.
    Command,
}

/// What became of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// `added`, `replaced`, `changed`, `suspended`, `resumed` or `removed`.
    pub outcome: String,
}
