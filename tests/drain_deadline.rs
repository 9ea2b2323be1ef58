//! Sessions that are still there at the drain deadline of what they run on are asked to say goodbye.

use support::{Gateway, free_port, libraries};

#[test]
fn sessions_of_a_configuration_that_was_replaced_are_asked_as_well() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
policy = "pin"
[service.web.config]
routes = [{{ path = "/", status = 200, body = "as before" }}]
[component.http]
versions = {{ drain = "3s" }}
"#
        ))
        .start();
    let mut old = gateway.connect(port);
    assert_eq!(old.get("/").unwrap().text(), "as before");

    // The version stays the same, so that it does not drain as a whole.
    gateway.configure(|text| text.replace("as before", "anew"));
    let reload = gateway.reload();

    assert!(reload.ok && reload.file("libtandem_http.so").outcome == "unchanged", "{reload:?}");
    assert_eq!(old.get("/").unwrap().text(), "as before", "it is pinned");
    let mut new = gateway.connect(port);
    assert_eq!(new.get("/").unwrap().text(), "anew");
    old.closed().expect("its goodbye is a close in order");
    assert_eq!(new.get("/").unwrap().text(), "anew", "what serves does not drain");
}
