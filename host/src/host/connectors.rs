//! Which connections are kept, and by which worker: told with each publication, so that a reload that is refused connects
//! nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::Host;
use super::certificates::to_service;
use crate::admin::{ConnectionStage, ConnectionStatus};
use crate::clock::time_of_day;
use crate::config::Config;
use crate::service::connector::{Connection, Stage, Standing};
use crate::transport::{Address, Way};
use crate::worker::{Command, Wanted};

/// A connection, and the worker that keeps it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) connection: Arc<Connection>,
    worker: usize,
}

/// One that the configuration wants: service, address, and which of how many.
type Place = (usize, Address, usize);

impl Host {
    /// Tells every worker which connections to keep from now on.
    pub(super) fn keep_connected(&mut self, config: &Config) {
        let (mut places, mut hows) = (Vec::new(), HashMap::new());
        for (name, service) in &config.service {
            let number = self.services.iter().position(|known| known == name).expect("all were added before");
            let goodbye = config.component(&service.component).versions.goodbye.get();
            let tls = self.certificates.dialing(&to_service(name));
            let way = Way { proxy_protocol: service.connect_proxy_protocol, tls };
            hows.insert(number, (service.reconnect(), goodbye, way));
            for address in &service.connect {
                places.extend((0..service.connections()).map(|nth| (number, address.clone(), nth)));
            }
        }
        let before = std::mem::take(&mut self.connections);
        self.connections = spread(before, places, self.workers.len(), &mut self.connections_begun);
        for (index, worker) in self.workers.iter().enumerate() {
            let own = self.connections.iter().filter(|kept| kept.worker == index);
            let wanted = own.map(|Kept { connection, .. }| {
                let (reconnect, goodbye, way) = hows[&connection.service].clone();
                Wanted { connection: Arc::clone(connection), reconnect, goodbye, way }
            });
            worker.tell(Command::Connect(wanted.collect()));
        }
    }

    /// How the connections of a service are.
    pub(super) fn connections_of(&self, service: usize) -> Vec<ConnectionStatus> {
        let now = time_of_day();
        self.connections.iter().filter(|kept| kept.connection.service == service).map(|kept| kept.status(now)).collect()
    }
}

/// The connections that are wanted, in their order. One that is there stays with its worker; a new one is given to the worker
/// that has the fewest.
fn spread(before: Vec<Kept>, wanted: Vec<Place>, workers: usize, begun: &mut u64) -> Vec<Kept> {
    let place = |kept: &Kept| (kept.connection.service, kept.connection.address.clone(), kept.connection.nth);
    let mut before: HashMap<Place, Kept> = before.into_iter().map(|kept| (place(&kept), kept)).collect();
    let there: Vec<(Place, Option<Kept>)> = wanted
        .into_iter()
        .map(|wanted| {
            let kept = before.remove(&wanted);
            (wanted, kept)
        })
        .collect();
    let mut counts = vec![0; workers];
    there.iter().filter_map(|(_, kept)| kept.as_ref()).for_each(|kept| counts[kept.worker] += 1);
    let mut new = |(service, address, nth)| {
        let worker = (0..workers).min_by_key(|worker| counts[*worker]).expect("there is a worker");
        counts[worker] += 1;
        *begun += 1;
        Kept { connection: Arc::new(Connection::new(*begun, service, address, nth)), worker }
    };
    there.into_iter().map(|(wanted, kept)| kept.unwrap_or_else(|| new(wanted))).collect()
}

impl Kept {
    fn status(&self, now: u64) -> ConnectionStatus {
        let Standing { stage, reason } = self.connection.standing();
        let (stage, up_since, next_try_ms) = match stage {
            Stage::Unserved => (ConnectionStage::Unserved, None, None),
            Stage::Connecting => (ConnectionStage::Connecting, None, None),
            Stage::Up(since) => (ConnectionStage::Up, Some(since), None),
            Stage::Down(until) => (ConnectionStage::Down, None, Some(until.saturating_sub(now) / 1_000_000)),
        };
        let address = self.connection.address.to_string();
        ConnectionStatus {
            address,
            nth: self.connection.nth,
            worker: self.worker,
            stage,
            up_since,
            next_try_ms,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, Place, spread};

    fn places(service: usize, ports: std::ops::Range<usize>, connections: usize) -> Vec<Place> {
        let address = |port| format!("tcp://192.0.2.1:{port}").parse().unwrap();
        ports.flat_map(|port| (0..connections).map(move |nth| (service, address(port), nth))).collect()
    }

    fn workers(kept: &[Kept]) -> Vec<usize> {
        kept.iter().map(|kept| kept.worker).collect()
    }

    #[test]
    fn they_go_round_the_workers_also_from_one_service_to_the_next() {
        let wanted = [places(0, 1..2, 3), places(1, 1..4, 1)].concat();
        assert_eq!(workers(&spread(Vec::new(), wanted, 2, &mut 0)), [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn those_that_stay_stay_where_they_are_and_new_ones_fill_the_gaps() {
        let mut begun = 0;
        let before = spread(Vec::new(), places(0, 1..7, 1), 2, &mut begun);
        let wanted = [places(0, 1..2, 1), places(0, 3..4, 1), places(0, 5..6, 1), places(0, 7..9, 1)].concat();

        let after = spread(before.clone(), wanted, 2, &mut begun);

        let numbers: Vec<u64> = after.iter().map(|kept| kept.connection.number).collect();
        assert_eq!((workers(&after), numbers), (vec![0, 0, 0, 1, 1], vec![1, 3, 5, 7, 8]));
        assert!(std::sync::Arc::ptr_eq(&after[0].connection, &before[0].connection));
    }

    #[test]
    fn fewer_connections_take_the_last_ones_away() {
        let mut begun = 0;
        let before = spread(Vec::new(), places(0, 1..3, 4), 3, &mut begun);
        let after = spread(before, places(0, 1..3, 2), 3, &mut begun);
        assert_eq!(after.iter().map(|kept| kept.connection.number).collect::<Vec<_>>(), [1, 2, 5, 6]);
    }
}
