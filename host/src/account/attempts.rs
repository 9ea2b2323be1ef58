//! How many wrong secrets may be tried: of an account, from an address, and of the one from the other. Pure.
//!
//! What counts is what was verified and was wrong. Who is beyond a limit is put off without its secret being looked at, so that a
//! right one is not to be told from a wrong one; at most as many more are tried as waited to be verified by then.
//!
//! An account is not shut out by what others try: where the limit of the account alone is reached, an address that it has come
//! from before is looked at still.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;

use serde::Deserialize;
use tandem_component::Peer;

use crate::agreement::rate::Rate;
use crate::config::Span;

/// `[attempts]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Of one account from one address.
    pub both: Rate,
    /// Of one account, wherever from.
    pub account: Rate,
    /// From one address, of whichever accounts.
    pub address: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        let a_minute = |of| Rate::new(of, Span::seconds(60), None).expect("it is neither nothing nor beyond counting");
        Limits { both: a_minute(10), account: a_minute(100), address: a_minute(100) }
    }
}

/// What was tried, by hashes that nobody outside can choose.
pub(super) struct Attempts {
    limits: Limits,
    lots: RandomState,
    /// The arrival times of the rates. One that has passed is as if it were not there.
    arrivals: HashMap<u64, u64>,
    /// The accounts that were right, from which address.
    right: HashSet<u64>,
    max: usize,
}

/// What a limit is of.
#[derive(Hash)]
enum Of<'a> {
    Both(&'a str, Address),
    Account(&'a str),
    Address(Address),
}

/// Where somebody is. One who has an IPv6 network has all of it.
#[derive(Clone, Copy, Hash)]
enum Address {
    V4([u8; 4]),
    V6([u8; 8]),
    /// Not on the network.
    Here,
}

impl Attempts {
    /// None yet; so many are kept.
    pub(super) fn new(limits: Limits, max: usize) -> Self {
        let (lots, arrivals, right) = (RandomState::new(), HashMap::new(), HashSet::new());
        Attempts { limits, lots, arrivals, right, max }
    }

    /// From now on these limits hold, for what was tried before as well.
    pub(super) fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether another secret is looked at.
    ///
    /// # Errors
    /// Not before then.
    pub(super) fn may_try(&self, name: &str, peer: Peer, now: u64) -> Result<(), u64> {
        let known = self.right.contains(&self.hash(&Of::Both(name, Address::of(peer))));
        let until = |of: &Of<'_>, rate: &Rate| {
            let tat = self.arrivals.get(&self.hash(of)).copied().unwrap_or(0);
            rate.allows(tat, now, 1, 1).err().map(|until| until.unwrap_or(u64::MAX))
        };
        let longest = self.of(name, peer).into_iter().flatten().filter_map(|(of, rate)| match of {
            Of::Account(_) if known => None,
            of => until(&of, rate),
        });
        longest.max().map_or(Ok(()), Err)
    }

    /// A secret was wrong.
    pub(super) fn wrong(&mut self, name: &str, peer: Peer, now: u64) {
        let tried = self.of(name, peer).into_iter().flatten().map(|(of, rate)| (self.hash(&of), *rate));
        for (hash, rate) in tried.collect::<Vec<_>>() {
            self.make_room(now);
            let tat = self.arrivals.entry(hash).or_default();
            *tat = rate.after(*tat, now, 1);
        }
    }

    /// A secret was right.
    pub(super) fn right(&mut self, name: &str, peer: Peer) {
        if self.right.len() >= self.max {
            self.right.clear();
        }
        self.right.insert(self.hash(&Of::Both(name, Address::of(peer))));
    }

    /// The limits that an attempt counts for. Who is not on the network is known by no address.
    fn of<'a>(&self, name: &'a str, peer: Peer) -> [Option<(Of<'a>, &Rate)>; 3] {
        let Limits { both, account, address } = &self.limits;
        let at = Address::of(peer);
        let from = if matches!(at, Address::Here) { None } else { Some((Of::Address(at), address)) };
        [Some((Of::Both(name, at), both)), Some((Of::Account(name), account)), from]
    }

    fn hash(&self, of: &Of<'_>) -> u64 {
        self.lots.hash_one(of)
    }

    /// Forgets those that have passed where there are as many as there may be; any other, where none has.
    fn make_room(&mut self, now: u64) {
        if self.arrivals.len() < self.max {
            return;
        }
        self.arrivals.retain(|_, tat| *tat > now);
        if self.arrivals.len() >= self.max
            && let Some(any) = self.arrivals.keys().next().copied()
        {
            self.arrivals.remove(&any);
        }
    }
}

impl Address {
    fn of(peer: Peer) -> Self {
        match peer.ip() {
            Some(IpAddr::V4(ip)) => Address::V4(ip.octets()),
            Some(IpAddr::V6(ip)) => match ip.to_ipv4_mapped() {
                Some(ip) => Address::V4(ip.octets()),
                None => {
                    let [network @ .., _, _, _, _, _, _, _, _] = ip.octets();
                    Address::V6(network)
                }
            },
            None => Address::Here,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn peer(address: &str) -> Peer {
        Peer::Inet(address.parse().unwrap())
    }

    fn attempts() -> Attempts {
        Attempts::new(Limits::default(), 1000)
    }

    #[test]
    fn ten_wrong_ones_of_an_account_from_an_address_and_then_one_after_the_other() {
        let (mut attempts, here, there) = (attempts(), peer("192.0.2.1:1"), peer("192.0.2.2:1"));
        for n in 0..10 {
            assert_eq!(attempts.may_try("acme", here, SECOND), Ok(()), "{n}");
            attempts.wrong("acme", here, SECOND);
        }
        assert_eq!(attempts.may_try("acme", here, SECOND), Err(7 * SECOND));
        assert_eq!(attempts.may_try("acme", peer("192.0.2.1:2"), SECOND), Err(7 * SECOND), "by another port");
        assert_eq!(attempts.may_try("acme", here, 7 * SECOND), Ok(()));
        assert_eq!(
            (attempts.may_try("acme", there, SECOND), attempts.may_try("other", here, SECOND)),
            (Ok(()), Ok(()))
        );
    }

    #[test]
    fn an_address_that_tries_many_accounts_is_put_off_with_all_of_its_network() {
        let mut attempts = attempts();
        for n in 0..100 {
            attempts.wrong(&format!("a{n}"), peer(&format!("[2001:db8:1:1::{n:x}]:1")), SECOND);
        }
        assert!(attempts.may_try("acme", peer("[2001:db8:1:1:ffff::]:1"), SECOND).is_err());
        assert_eq!(attempts.may_try("acme", peer("[2001:db8:1:2::]:1"), SECOND), Ok(()));
        assert_eq!(attempts.may_try("acme", Peer::Unix, SECOND), Ok(()));
    }

    #[test]
    fn an_account_that_many_try_is_shut_to_those_it_has_not_come_from() {
        let (mut attempts, own) = (attempts(), peer("198.51.100.1:1"));
        attempts.right("acme", own);
        for n in 0..100 {
            attempts.wrong("acme", peer(&format!("192.0.2.{n}:1")), SECOND);
        }
        assert!(attempts.may_try("acme", peer("203.0.113.1:1"), SECOND).is_err());
        assert_eq!(attempts.may_try("acme", own, SECOND), Ok(()));
        for _ in 0..10 {
            attempts.wrong("acme", own, SECOND);
        }
        assert!(attempts.may_try("acme", own, SECOND).is_err(), "its own attempts count all the same");
    }

    #[test]
    fn so_many_are_kept() {
        let mut attempts = attempts();
        for n in 0..10_000_u32 {
            attempts.wrong(&n.to_string(), peer("192.0.2.1:1"), SECOND);
            attempts.right(&n.to_string(), peer("192.0.2.1:1"));
        }
        assert!(attempts.arrivals.len() <= 1000 && attempts.right.len() <= 1000);
        attempts.wrong("later", Peer::Unix, 1_000_000 * SECOND);
        assert!(attempts.arrivals.len() <= 3, "what has passed goes first");
    }
}
