//! A WebSocket that was opened before the first of two hundred swaps echoes through all of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use support::{Gateway, Over, Upstream, WebSocket, free_port, libraries, loopback, settled};

const SWAPS: u32 = 200;

#[test]
fn a_tunnel_lives_through_two_hundred_swaps() {
    let http = &libraries().http;
    let upstream = Upstream::start("echo");
    let port = free_port();
    let gateway = Gateway::builder()
        .library(http)
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", upstream = "app" }}]

[upstream.app]
servers = ["tcp://{}"]

[component.http]
versions = {{ keep = 0 }}
"#,
            upstream.address()
        ))
        .start();
    let mut quiet = WebSocket::open(loopback(port), "/websocket");
    let mut busy = WebSocket::open(loopback(port), "/websocket");
    quiet.echo("before the first swap").unwrap();

    let over = AtomicBool::new(false);
    let echoes = thread::scope(|scope| {
        let _over = Over(&over);
        let busy = scope.spawn(|| {
            let mut echoes = 0_usize;
            while !over.load(Ordering::SeqCst) {
                // From one byte to more than a read-ahead.
                busy.echo(&"x".repeat(1 << (echoes % 18))).expect("the tunnel is there");
                echoes += 1;
            }
            echoes
        });
        for swap in 1..=SWAPS {
            gateway.swap(http, &format!("1.0.{swap}"));
            quiet.echo(&format!("after swap {swap}")).unwrap();
        }
        over.store(true, Ordering::SeqCst);
        busy.join().expect("the busy tunnel is there")
    });

    println!("{echoes} echoes on the busy tunnel");
    assert!(echoes > SWAPS as usize);
    assert_eq!(upstream.accepted(), 2, "connections to the server, one for each tunnel");
    settled(1, || gateway.maps().len());
}
