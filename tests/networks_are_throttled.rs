//! A network is given so many messages in a span of time, counted at the network, whatever the number of workers, and however often
//! `messaging` is replaced meanwhile; one that says that it is given too much is left alone for a while, and gets each message.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use support::{Esme, Network, Smsc, libraries, settled};

/// A second's, at once, and in all.
const RATE: u32 = 50;
const BURST: u32 = 5;
const MESSAGES: usize = 200;

#[test]
fn no_more_than_its_throttle_reaches_a_network_over_swaps_and_the_way_back() {
    let place = Place::start(&format!("throttle = {{ of = {RATE}, per = \"1s\", burst = {BURST} }}"));
    let mut line = place.network.bound();
    let begun = Instant::now();
    let taking = thread::spawn(move || {
        let (mut texts, mut times) = (BTreeSet::new(), Vec::new());
        while texts.len() < MESSAGES {
            let submitted = line.submitted();
            times.push(begun.elapsed());
            assert!(texts.insert(submitted.body.clone()), "it is there once");
            line.name(&submitted, &format!("n{}", times.len()));
        }
        (times, line)
    });
    let submitting = place.submit(MESSAGES);
    for version in ["2.0.0", "3.0.0", "2.5.0"] {
        thread::sleep(Duration::from_millis(700));
        place.smsc.gateway.swap(&libraries().messaging, version);
    }
    submitting.join().unwrap();
    let (times, _line) = taking.join().unwrap();
    // The machine may be slow, so that there are fewer, and never more.
    for (count, at) in (1_u32..).zip(&times) {
        let allowed = at.as_secs_f64() * f64::from(RATE) + f64::from(BURST);
        assert!(f64::from(count) <= allowed + 1e-6, "{count} after {at:?}");
    }
    let (last, beyond_the_burst) = (times[MESSAGES - 1] - times[0], MESSAGES - BURST as usize);
    println!("{:.1} a second of {RATE}", beyond_the_burst as f64 / last.as_secs_f64());
}

#[test]
fn a_network_that_refuses_for_being_given_too_much_is_left_alone_and_gets_everything() {
    let place = Place::start("window = 20");
    let mut line = place.network.bound();
    let taking = thread::spawn(move || {
        let (mut taken, mut refused) = (BTreeSet::new(), 0);
        while taken.len() < 60 {
            let submitted = line.submitted();
            // By turns: throttled, and as much waits as may.
            if refused < 23 {
                refused += 1;
                line.respond(&submitted, [0x58, 0x14][refused % 2], b"").expect("it is there");
            } else {
                assert!(taken.insert(submitted.body.clone()), "it is there once");
                line.name(&submitted, &format!("n{}", taken.len()));
            }
        }
        line
    });
    place.submit(60).join().unwrap();
    let _line = taking.join().unwrap();
    settled([60, 0], || place.totals());
}

struct Place {
    smsc: Smsc,
    network: Network,
}

impl Place {
    /// With this to say of the network.
    fn start(of_the_network: &str) -> Self {
        let network = Network::up();
        let smsc = Smsc::start_with_messaging("carry", &["acme"], network.port, "");
        smsc.gateway.configure(|text| {
            let keys = format!("front = \"esme\"\nnetworks.smsc-a = {{ {of_the_network} }}\n");
            text.replacen("front = \"esme\"\n", &keys, 1)
        });
        let reload = smsc.gateway.reload();
        assert!(reload.ok, "{reload:?}");
        Place { smsc, network }
    }

    /// An ESME submits so many messages, and each is taken.
    fn submit(&self, count: usize) -> thread::JoinHandle<()> {
        let mut esme = Esme::bound(self.smsc.port, "acme");
        thread::spawn(move || {
            for n in 0..count {
                esme.submit(&format!("message {n}")).unwrap();
                assert_eq!(esme.response().unwrap().status, 0);
            }
        })
    }

    /// Accepted by messaging, and refused by a network for good.
    fn totals(&self) -> [i64; 2] {
        let store = rusqlite::Connection::open(self.smsc.gateway.scratch("data/store.sqlite")).unwrap();
        let sums = "SELECT sum(accepted), sum(rejected) FROM \"messaging.totals\"";
        store.query_row(sums, [], |row| Ok([row.get(0)?, row.get(1)?])).unwrap()
    }
}
