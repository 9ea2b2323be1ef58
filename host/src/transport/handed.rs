//! Listening sockets that were handed over by whoever has started the process: each serves the address that it is bound to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use socket2::Socket;

use super::{Address, Bound};
use crate::system::{HandedOver, Place, unix_listener};

/// Listening sockets by their addresses. They stay, also while no service listens there: what comes in meanwhile waits in their queues.
#[derive(Debug, Default)]
pub struct Handed(BTreeMap<Address, Vec<Named>>);

#[derive(Debug)]
struct Named {
    name: String,
    socket: Socket,
}

impl Handed {
    /// What was handed over, by where it listens.
    pub fn of(all: Vec<HandedOver>) -> Self {
        let mut handed = Handed::default();
        for HandedOver { name, place, socket } in all {
            let address = match place {
                Place::Tcp(inet) => Address::Tcp(inet),
                Place::Udp(inet) => Address::Udp(inet),
                Place::Unix(path) => Address::Unix(path),
            };
            handed.0.entry(address).or_default().push(Named { name, socket });
        }
        handed
    }

    /// One for each worker, where any was handed over for this address. Workers share a queue where there are fewer; what takes datagrams
    /// is one worker's alone, so that what one peer sends stays together.
    ///
    /// # Errors
    /// There are more than workers, or no descriptor is left.
    pub fn sockets(&self, address: &Address, workers: usize) -> Option<io::Result<Vec<Bound>>> {
        let named = self.0.get(address)?;
        if named.len() > workers {
            let reason = format!("{} sockets were handed over for it, and there are {workers} workers", named.len());
            return Some(Err(io::Error::other(reason)));
        }
        let each = if matches!(address, Address::Udp(_)) { named.len() } else { workers };
        let bound = |worker: usize| {
            let socket = named[worker % named.len()].socket.try_clone()?;
            Ok(match address {
                Address::Tcp(_) => Bound::Tcp(socket.into()),
                Address::Udp(_) => Bound::Udp(socket.into()),
                Address::Unix(_) => Bound::Unix(unix_listener(socket)?),
            })
        };
        Some((0..each).map(bound).collect())
    }

    /// Those that serve none of these addresses, as an operator knows them.
    pub fn idle<'a>(&self, served: impl IntoIterator<Item = &'a Address>) -> Vec<String> {
        let served: BTreeSet<&Address> = served.into_iter().collect();
        let idle = self.0.iter().filter(|(address, _)| !served.contains(address));
        idle.flat_map(|(address, named)| named.iter().map(move |one| format!("{address} (`{}`)", one.name))).collect()
    }
}
