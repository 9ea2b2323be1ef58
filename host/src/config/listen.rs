//! `listen = […]` of a service: where it listens, and what is asked of whoever connects there.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Config;
use crate::tls::Settings;
use crate::transport::Address;
use crate::transport::proxy::Proxies;

/// Where a service listens: `"tcp://127.0.0.1:8080"`, or `{ address = "tcp://127.0.0.1:8443", tls = "NAME" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub address: Address,
    /// Which `[tls.NAME]` is served by.
    pub tls: Option<String>,
    /// Who says there on behalf of whom they connect.
    pub proxy_protocol: Option<Proxies>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    address: Address,
    tls: Option<String>,
    proxy_protocol: Option<Proxies>,
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Listen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "an address, \"tcp://127.0.0.1:8080\" or { address = \"tcp://127.0.0.1:8443\", tls = \"NAME\" }",
                )
            }

            fn visit_str<E: serde::de::Error>(self, address: &str) -> Result<Listen, E> {
                Ok(Listen { address: address.parse().map_err(E::custom)?, tls: None, proxy_protocol: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listen, A::Error> {
                let Whole { address, tls, proxy_protocol } = Whole::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Listen { address, tls, proxy_protocol })
            }
        }

        // A format that does not tell what it has is none that a configuration is written in.
        deserializer.deserialize_any(Written)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        let tls = self.tls.iter().map(|name| format!("tls {name}"));
        let asked: Vec<String> = self.proxy_protocol.iter().map(|_| "proxy protocol".to_owned()).chain(tls).collect();
        if asked.is_empty() { Ok(()) } else { write!(f, " ({})", asked.join(", ")) }
    }
}

impl Listen {
    /// What a type cannot say.
    pub(super) fn check(&self, tls: &BTreeMap<String, Settings>) -> Result<(), String> {
        let Listen { address, tls: named, proxy_protocol } = self;
        if let Some(proxies) = proxy_protocol {
            if !matches!(address, Address::Tcp(_)) {
                return Err(format!("{address} is not TCP, by which proxies connect; write tcp://127.0.0.1:8080"));
            }
            proxies.check().map_err(|reason| format!("{address}: proxy_protocol: {reason}"))?;
        }
        let Some(name) = named else { return Ok(()) };
        if !matches!(address, Address::Tcp(_)) {
            return Err(format!("{address} is not TCP, which TLS is served on; write tcp://127.0.0.1:8443"));
        }
        if !tls.contains_key(name) {
            return Err(format!("{address}: there is no [tls.{name}]; write it, with certificates"));
        }
        Ok(())
    }
}

impl Config {
    /// Where its services listen.
    pub fn listeners(&self) -> impl Iterator<Item = &Listen> {
        self.service.values().flat_map(|service| &service.listen)
    }
}
