//! A service is given to another component: what was connected before goes on with the one that it knows, and says goodbye
//! at the drain deadline.

use std::time::{Duration, Instant};

use support::{Gateway, free_port, libraries};

#[test]
fn connections_stay_with_their_component_until_its_drain_deadline() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .library(&libraries().echo)
        .toml(&format!(
            r#"
[component.http]
versions = {{ drain = "2s" }}
[service.one]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.one.config]
routes = [{{ path = "/", status = 200, body = "http" }}]
"#
        ))
        .start();
    let mut client = gateway.connect(port);
    assert_eq!(client.get("/").unwrap().text(), "http");
    let begun = Instant::now();

    gateway.configure(|text| {
        let (text, _) = text.split_once("[service.one.config]").expect("it is there");
        text.replace("component = \"http\"", "component = \"echo\"")
    });
    let reload = gateway.reload();

    assert!(reload.ok, "{reload:?}");
    assert_eq!(client.get("/").unwrap().text(), "http");
    assert!(gateway.status().notice("move-refused").is_some_and(|last| last.contains("another component, `echo`")));
    let mut other = gateway.connect(port);
    other.send(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(other.read(18).unwrap(), b"GET / HTTP/1.1\r\n\r\n");
    client.closed().expect("it is closed in order");
    assert!(begun.elapsed() >= Duration::from_secs(2));
}
