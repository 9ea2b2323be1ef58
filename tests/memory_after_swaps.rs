//! Memory does not grow with the number of swaps, whatever the versions leave behind.
//!
//! `SWAPS=2000` makes as many swaps as that; without it there are fewer, so that the test ends soon.

use std::time::{Duration, Instant};

use support::{Gateway, fixture, free_port, libraries, settled};

/// After so many swaps, memory is measured for the first time.
const FIRST: u32 = 200;

#[test]
fn memory_is_flat_over_swaps_of_http() {
    let http = &libraries().http;
    let port = free_port();
    let gateway = Gateway::builder()
        .library(http)
        .toml(&format!(
            r#"
workers = 2
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
served_by = "x-served-by"
routes = [{{ path = "/", status = 200, body = "fixed" }}]
[component.http]
versions = {{ keep = 0 }}
"#
        ))
        .start();
    let mut held: Vec<_> = (0..8).map(|_| gateway.connect(port)).collect();

    memory_is_flat(&gateway, |swap| {
        gateway.swap(http, &format!("1.0.{swap}"));
        for client in &mut held {
            assert_eq!(client.get("/").unwrap().served_by(), format!("1.0.{swap}"));
        }
        assert_eq!(gateway.connect(port).post("/", b"x").unwrap().status, 405);
    });
}

#[test]
fn memory_is_flat_over_swaps_of_a_component_that_panics_and_leaves_things_behind() {
    let careless = &fixture("careless");
    let port = free_port();
    let gateway = Gateway::builder()
        .library(careless)
        .toml(&format!(
            r#"
workers = 2
[service.careless]
component = "misbehaving-careless"
listen = ["tcp://127.0.0.1:{port}"]
[component.misbehaving-careless]
versions = {{ keep = 0 }}
"#
        ))
        .start();
    let mut held: Vec<_> = (0..8).map(|_| gateway.connect(port)).collect();

    memory_is_flat(&gateway, |swap| {
        gateway.swap(careless, &format!("1.0.{swap}"));
        for client in &mut held {
            let lines = b"thread-local\ncurrent\nchannel\nrandom\n";
            client.send(lines).unwrap();
            assert_eq!(client.read(lines.len()).unwrap(), lines);
        }
        for _ in 0..4 {
            let mut panics = gateway.connect(port);
            panics.send(b"panic\n").unwrap();
            assert_eq!(panics.read(6).unwrap(), b"sorry\n");
            panics.closed().unwrap();
        }
    });
}

/// Swaps, and compares what memory there is after the first of them with what there is after all.
fn memory_is_flat(gateway: &Gateway, mut swap: impl FnMut(u32)) {
    let swaps = std::env::var("SWAPS").map_or(400, |swaps| swaps.parse().expect("SWAPS is a number"));
    assert!(swaps > FIRST, "SWAPS: memory is measured after {FIRST} swaps for the first time");
    let begun = Instant::now();
    (1..=FIRST).for_each(&mut swap);
    let first = measured(gateway);
    (FIRST + 1..=swaps).for_each(&mut swap);
    let last = measured(gateway);
    println!("{first} bytes after {FIRST} swaps, {last} after {swaps}; {:?} a swap", begun.elapsed() / swaps);
    assert!(last <= first + first / 20, "{first} bytes after {FIRST} swaps, {last} after {swaps}");
}

/// What is there once all versions but one are gone.
fn measured(gateway: &Gateway) -> u64 {
    settled(1, || gateway.maps().len());
    std::thread::sleep(Duration::from_millis(200));
    gateway.rss()
}
