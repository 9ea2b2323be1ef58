//! Where an endpoint is: `tcp://127.0.0.1:8080`, `udp://[::1]:5060`, `unix:///run/app.sock`.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use crate::system::UNIX_SOCKETS;

/// Where an endpoint is. A host name is resolved once, when the configuration is read, to its first address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub enum Address {
    /// A TCP address and port.
    Tcp(SocketAddr),
    /// A UDP address and port.
    Udp(SocketAddr),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Address::read(text, UNIX_SOCKETS)
    }
}

impl Address {
    fn read(text: &str, unix_sockets: bool) -> Result<Self, String> {
        let wrong = |reason: String| {
            let unix = if unix_sockets { ", unix:///path" } else { "" };
            format!("`{text}` is no address: {reason}; write tcp://127.0.0.1:8080{unix} or udp://[::1]:5060")
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme".into()))?;
        let inet = || {
            rest.to_socket_addrs()
                .map_err(|error| wrong(format!("{error}")))?
                .next()
                .ok_or_else(|| wrong("the name has no address".into()))
        };
        match scheme {
            "tcp" => Ok(Address::Tcp(inet()?)),
            "udp" => Ok(Address::Udp(inet()?)),
            "unix" if !unix_sockets => Err(wrong("this system's Unix sockets are not supported".into())),
            "unix" if rest.starts_with('/') => Ok(Address::Unix(rest.into())),
            "unix" => Err(wrong("the path of a Unix socket is absolute".into())),
            other => Err(wrong(format!("`{other}` is no transport of ours"))),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "tcp://{address}"),
            Address::Udp(address) => write!(f, "udp://{address}"),
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_reads_as_it_is_written() {
        for text in ["tcp://127.0.0.1:8080", "udp://[::1]:5060", "unix:///run/app.sock"] {
            assert_eq!(Address::read(text, true).unwrap().to_string(), text);
        }
    }

    #[test]
    fn where_there_are_no_unix_sockets_their_addresses_are_refused_and_not_proposed() {
        let refused = Address::read("unix:///run/app.sock", false).unwrap_err();
        assert!(refused.contains("not supported") && !refused.contains("unix:///path"), "{refused}");
        assert!(Address::read("tcp://127.0.0.1:8080", false).is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_way_out() {
        for text in
            ["127.0.0.1:80", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "unix://relative", "quic://127.0.0.1:1"]
        {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(text) && error.contains("tcp://127.0.0.1:8080"), "{error}");
        }
    }
}
