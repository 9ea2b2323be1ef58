//! A client that sends the whole of a body that nobody wants, and only then reads, finds the answer that refuses it.

use std::thread;
use std::time::Duration;

use support::{Gateway, free_port, libraries};

#[test]
fn a_slow_upload_that_is_too_large_is_answered_when_it_is_through() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", status = 200, methods = ["POST"] }}]
limits = {{ body_bytes = "1KiB" }}
"#
        ))
        .start();
    let mut client = gateway.connect(port);

    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    for _ in 0..40 {
        client.send(&[0; 25_000]).expect("it is read, though for nobody");
        thread::sleep(Duration::from_millis(100));
    }

    assert_eq!(client.answer("POST").unwrap().status, 413);
}
