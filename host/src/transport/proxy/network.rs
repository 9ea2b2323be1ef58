//! Addresses that begin alike: `10.0.0.0/8`, `2001:db8::/32`, or one, `127.0.0.1`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    /// So many bits are the same.
    bits: u32,
}

impl Network {
    /// Whether an address is one of them. One of IPv4 is the same in the clothes of IPv6.
    pub fn has(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |reason: &str| format!("`{text}` is no network: {reason}; write 127.0.0.1 or 10.0.0.0/8");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|error| wrong(&format!("{error}")))?;
        // What is compared with it is canonical as well.
        if address.to_canonical() != address {
            return Err(wrong(&format!("it is {} in other clothes", address.to_canonical())));
        }
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => longest,
            Some(bits) => match bits.parse() {
                Ok(number @ 0..=128) if number <= longest => number,
                _ => return Err(wrong(&format!("`{bits}` is not between 0 and {longest}"))),
            },
        };
        let host = match address {
            IpAddr::V4(address) => address.to_bits().checked_shl(bits).unwrap_or(0) != 0,
            IpAddr::V6(address) => address.to_bits().checked_shl(bits).unwrap_or(0) != 0,
        };
        if host {
            // Whoever has written it may have meant the one address, or another length.
            return Err(wrong(&format!("it has bits beyond the first {bits}")));
        }
        Ok(Network { address, bits })
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn who_is_in_it_and_who_is_not() {
        let rows = [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/31", "10.0.0.1", true),
            ("10.0.0.0/31", "10.0.0.2", false),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "127.0.0.1", false),
            ("::1", "::1", true),
        ];
        for (network, address, is_in) in rows {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.has(address.parse().unwrap()), is_in, "{network} {address}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_way_out() {
        for text in
            ["", "localhost", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::1/64", "::ffff:1.2.3.4"]
        {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.contains(&format!("`{text}`")) && error.contains("10.0.0.0/8"), "{error}");
        }
    }
}
