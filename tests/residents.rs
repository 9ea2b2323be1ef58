//! Residents: a component may have a session of each service that has no peer, one on each worker. It is there as long as the
//! service is, whatever version serves it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use support::{Client, Gateway, asks, eventually, free_port};

const WORKERS: usize = 2;

#[test]
fn there_is_one_on_each_worker_and_it_is_carried() {
    let (gateway, mut caller) = start();
    let before = residents(&mut caller);
    for number in 1..=3 {
        gateway.swap(&asks(Some("resident")), &format!("1.0.{number}"));
        for _ in 0..8 {
            assert!(before.contains(&resident(&mut caller).unwrap()), "the same sessions go on");
        }
    }
    let until = Instant::now() + Duration::from_secs(10);
    while gateway.status().versions.iter().filter(|version| version.sessions > 0).count() > 1 {
        assert!(Instant::now() < until, "residents follow although nobody asks them anything");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_that_has_ended_is_opened_again() {
    let (_gateway, mut caller) = start();
    let before = residents(&mut caller);
    // Ends with the request unanswered.
    assert_eq!(says(&mut caller, "ask alone bye"), "failed Ended");
    let after = residents(&mut caller);
    assert_eq!(before.intersection(&after).count(), WORKERS - 1, "{before:?} {after:?}");
}

#[test]
fn a_version_that_wants_none_has_none_and_the_next_one_has_one_again() {
    let (gateway, mut caller) = start();
    residents(&mut caller);
    gateway.swap(&asks(None), "1.0.1");
    // That requests go to sessions that serve is forgotten with a publication, once there is none.
    eventually("a session is opened for each request", || {
        gateway.reload();
        says(&mut caller, "ask alone who").contains("over Call").then_some(())
    });
    gateway.swap(&asks(Some("resident")), "1.0.2");
    residents(&mut caller);
}

#[test]
fn a_service_that_is_taken_out_takes_its_residents_along() {
    let (mut gateway, mut caller) = start();
    residents(&mut caller);
    // The caller, and the residents of two services.
    assert_eq!(sessions(&gateway), 1 + 2 * WORKERS as u64);
    gateway.configure(|text| text.split("[service.alone]").next().unwrap().to_owned());
    gateway.reload();
    eventually("its residents have said goodbye", || (sessions(&gateway) == 1 + WORKERS as u64).then_some(()));
    let begun = Instant::now();
    drop(caller);
    gateway.stop(libc::SIGTERM, Duration::from_secs(10));
    assert!(begun.elapsed() < Duration::from_secs(5), "residents do not keep a gateway from stopping");
}

fn start() -> (Gateway, Client) {
    let port = free_port();
    let text = format!(
        "workers = {WORKERS}\n\
         [service.front]\ncomponent = \"asks\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
         [service.alone]\ncomponent = \"asks\"\nconfig = {{ serves = true }}\n"
    );
    let builder = Gateway::builder().library_as(&asks(Some("resident")), "libtandem_asks.so");
    let gateway = builder.toml(&text).start();
    let caller = gateway.connect(port);
    (gateway, caller)
}

/// All that answer, once there are as many as workers.
fn residents(caller: &mut Client) -> BTreeSet<String> {
    eventually("each worker has one", || {
        let numbers: BTreeSet<String> = (0..8).filter_map(|_| resident(caller)).collect();
        (numbers.len() == WORKERS).then_some(numbers)
    })
}

fn resident(caller: &mut Client) -> Option<String> {
    says(caller, "ask alone who").strip_prefix("front asks alone over Resident ").map(str::to_owned)
}

fn says(caller: &mut Client, line: &str) -> String {
    caller.send(format!("{line}\n").as_bytes()).unwrap();
    caller.line().unwrap()
}

fn sessions(gateway: &Gateway) -> u64 {
    gateway.status().versions.iter().map(|version| version.sessions).sum()
}
