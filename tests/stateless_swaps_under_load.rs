//! Two hundred versions of `http`, one after the other, under busy connections: no request fails, no connection is
//! closed, and what is asked after a reload is answered by what the reload has brought.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use support::{Client, Gateway, Over, Upstream, Wrk, established, eventually, free_port, libraries, loopback, settled};

const SWAPS: u64 = 200;
const CONNECTIONS: usize = 64;
const THREADS: usize = 4;

#[test]
fn two_hundred_swaps_fail_no_request_and_close_no_connection() {
    let http = &libraries().http;
    let upstream = Upstream::start("app");
    let port = free_port();
    let gateway = Gateway::builder().library(http).toml(&configuration(port, &upstream)).start();
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| gateway.connect(port)).collect();
    let mut first = gateway.connect(port);
    let ours: BTreeSet<u16> = clients.iter().chain([&first]).map(Client::port).collect();
    let wrk = Wrk::start(loopback(port), CONNECTIONS);
    let everyone = CONNECTIONS * (1 + usize::from(wrk.is_some())) + 1;
    let begun = eventually("all connections are made", || {
        let there = established(port);
        (there.len() == everyone && there.is_superset(&ours)).then_some(there)
    });

    let (published, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let requests: u64 = thread::scope(|scope| {
        let _over = Over(&over);
        let busy: Vec<_> = clients
            .chunks_mut(CONNECTIONS / THREADS)
            .map(|clients| scope.spawn(|| keep_busy(clients, &published, &over)))
            .collect();
        for swap in 1..=SWAPS {
            gateway.swap(http, &format!("1.0.{swap}"));
            published.store(swap, Ordering::SeqCst);
            let answer = first.get("/").expect("the first connection is answered");
            assert_eq!(answer.served_by(), format!("1.0.{swap}"));
        }
        over.store(true, Ordering::SeqCst);
        busy.into_iter().map(|thread| thread.join().expect("no request has failed")).sum()
    });

    assert_eq!(established(port), begun, "connections that are there now, and those that were there in the beginning");
    if let Some(wrk) = wrk {
        let load = wrk.stop();
        println!("{requests} requests of our own, {} of wrk", load.requests);
        assert_eq!((load.other_statuses, &load.socket_errors), (0, &None));
        assert!(load.requests > SWAPS, "{load:?}");
    }
    assert!(requests > SWAPS * CONNECTIONS as u64, "{requests} requests are no load");
    settled(1, || gateway.maps().len());
    settled(vec![format!("1.0.{SWAPS}")], || {
        let status = gateway.status();
        let mapped = status.versions.iter().filter(|version| !["retired", "refused"].contains(&version.stage.as_str()));
        mapped.map(|version| version.number.clone()).collect()
    });
}

/// Asks on all connections at once, again and again. How many requests there were.
fn keep_busy(clients: &mut [Client], published: &AtomicU64, over: &AtomicBool) -> u64 {
    let mut requests = 0;
    while !over.load(Ordering::SeqCst) {
        // What was published before the first byte is sent is the oldest that may answer.
        let oldest = published.load(Ordering::SeqCst);
        let target = |at: usize| if at.is_multiple_of(2) { "/" } else { "/name" };
        for (at, client) in clients.iter_mut().enumerate() {
            let request = format!("GET {} HTTP/1.1\r\nHost: test\r\n\r\n", target(at));
            client.send(request.as_bytes()).expect("the connection is there");
        }
        for (at, client) in clients.iter_mut().enumerate() {
            let answer = client.answer("GET").expect("the connection is there");
            assert_eq!((answer.status, answer.closes()), (200, false), "{answer:?}");
            assert_eq!(answer.text(), if target(at) == "/" { "fixed" } else { "app" });
            let number = answer.served_by();
            let swap: u64 = number.strip_prefix("1.0.").map_or(0, |swap| swap.parse().expect("we have numbered them"));
            assert!(swap >= oldest, "answered by {number} after 1.0.{oldest} was published");
            requests += 1;
        }
    }
    requests
}

fn configuration(port: u16, upstream: &Upstream) -> String {
    format!(
        r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
served_by = "x-served-by"
routes = [{{ path = "/", status = 200, body = "fixed" }}, {{ path = "/name", upstream = "app" }}]

[upstream.app]
servers = ["tcp://{}"]

[component.http]
versions = {{ keep = 0 }}
"#,
        upstream.address()
    )
}
