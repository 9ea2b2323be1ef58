//! Pipelined requests that are cut at every byte by a swap are all answered, in order, on one connection.

use support::{Gateway, Upstream, free_port, libraries};

/// Of each kind of framing, to a server and to ourselves.
const REQUESTS: &str = "GET /echo/1 HTTP/1.1\r\nHost: t\r\n\r\n\
    POST /echo/2 HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello\
    GET /fixed HTTP/1.1\r\nHost: t\r\n\r\n\
    POST /echo/3 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nwor\r\n2\r\nld\r\n0\r\nEnd: now\r\n\r\n\
    HEAD /fixed HTTP/1.1\r\nHost: t\r\n\r\n\
    GET /fixed HTTP/1.1\r\nHost: t\r\n\r\n";

const ANSWERS: [(&str, &str); 6] = [
    ("GET", "GET /echo/1 "),
    ("POST", "POST /echo/2 hello"),
    ("GET", "fixed"),
    ("POST", "POST /echo/3 world"),
    ("HEAD", ""),
    ("GET", "fixed"),
];

#[test]
fn requests_cut_at_every_byte_are_answered_in_order() {
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
served_by = "x-served-by"
routes = [{{ path = "/echo", upstream = "app" }}, {{ path = "/fixed", status = 200, body = "fixed" }}]

[upstream.app]
servers = ["tcp://{}"]

[component.http]
versions = {{ keep = 0 }}
"#,
            upstream.address()
        ))
        .start();
    let mut client = gateway.connect(port);
    let last = REQUESTS.rfind("GET").expect("there are requests");

    for cut in 1..REQUESTS.len() {
        let (before, after) = REQUESTS.split_at(cut);
        client.send(before.as_bytes()).unwrap();
        gateway.swap(http, &format!("1.0.{cut}"));
        client.send(after.as_bytes()).unwrap();

        for (at, (method, body)) in ANSWERS.into_iter().enumerate() {
            let answer = client.answer(method).unwrap_or_else(|error| panic!("cut at {cut}, answer {at}: {error}"));
            assert_eq!((answer.status, answer.text().as_str()), (200, body), "cut at {cut}, answer {at}: {answer:?}");
            assert!(!answer.closes(), "cut at {cut}, answer {at}: {answer:?}");
            if at + 1 == ANSWERS.len() && cut <= last {
                assert_eq!(answer.served_by(), format!("1.0.{cut}"));
            }
        }
    }
}
