//! A version that was refused when its code was loaded already is accepted once what was wrong is right, and serves.

use std::fs;
use std::thread;

use support::{Gateway, Status, eventually, fixture, free_port, libraries, relabel, stamp};

#[test]
fn an_older_version_that_still_drains_and_refuses_the_configuration_serves_again_when_that_is_right() {
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
routes = [{{ path = "/", status = 200, body = "first" }}]
served_by = "x-served-by"
"#
        ))
        .start();
    let mut pinned = gateway.connect(port);
    assert_eq!(pinned.get("/").unwrap().served_by(), "0.1.0");
    gateway.swap(&libraries().http, "1.0.0");

    // Back to the older one, with a mistake.
    gateway.deploy(&libraries().http, HTTP);
    gateway.configure(|text| text.replace("status = 200", "statsu = 200"));
    let reload = gateway.reload();

    assert_eq!((reload.ok, reload.file(HTTP).outcome.as_str()), (false, "refused"), "{reload:?}");
    assert!(reload.file(HTTP).reason.as_ref().unwrap().contains("statsu"), "{reload:?}");
    assert_eq!(gateway.connect(port).get("/").unwrap().served_by(), "1.0.0", "what serves goes on");
    assert_eq!(pinned.get("/").unwrap().served_by(), "0.1.0", "and what drains");

    gateway.configure(|text| text.replace("statsu = 200", "status = 200"));
    let reload = gateway.reload();

    assert_eq!((reload.ok, reload.file(HTTP).outcome.as_str()), (true, "loaded"), "{reload:?}");
    assert_eq!(gateway.connect(port).get("/").unwrap().served_by(), "0.1.0");
    assert_eq!(stage(&gateway.status(), "http", "0.1.0"), "active");
}

#[test]
fn a_version_that_was_held_back_by_another_serves_with_the_next_reload_though_it_is_not_unloaded_yet() {
    let (web, port) = (free_port(), free_port());
    let gateway = Gateway::builder()
        .library(&libraries().echo)
        .library(&libraries().http)
        .toml(&format!(
            r#"
together = [["echo", "http"]]
[examination]
limit = "3s"
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{port}"]
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{web}"]
[service.web.config]
routes = [{{ path = "/", status = 200 }}]
served_by = "x-served-by"
"#
        ))
        .start();
    let right = gateway.scratch("right.so");
    stamp(&libraries().http, &right, "3.0.0").unwrap();
    gateway.deploy_stamped(&libraries().echo, "2.0.0");
    // Its examination takes the whole limit, while echo's new version is loaded and started already.
    let hangs = gateway.scratch("hangs.so");
    relabel(&fixture("hangs"), &hangs, "http", "2.0.0").unwrap();
    gateway.deploy(&hangs, HTTP);

    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| gateway.reload());
        eventually("echo's new version is loaded", || (gateway.maps().len() == 3).then_some(()));
        // Waits for the first, and comes before the end of what the first one started in vain.
        fs::rename(&right, gateway.components().join(HTTP)).unwrap();
        let second = gateway.reload();
        (first.join().expect("it has an answer"), second)
    });

    let held_back = first.file("libtandem_echo.so");
    assert_eq!((first.ok, held_back.outcome.as_str()), (false, "refused"), "{first:?}");
    assert!(held_back.reason.as_ref().unwrap().contains("it changes together with `http`"), "{first:?}");
    assert!(second.ok, "{second:?}");
    assert_eq!(second.file("libtandem_echo.so").outcome, "loaded", "{second:?}");
    let status = gateway.status();
    assert_eq!((stage(&status, "echo", "2.0.0"), stage(&status, "http", "3.0.0")), ("active", "active"), "{status:?}");
    assert_eq!(gateway.connect(web).get("/").unwrap().served_by(), "3.0.0");
    let mut client = gateway.connect(port);
    client.send(b"hello").unwrap();
    assert_eq!(client.read(5).unwrap(), b"hello");
}

const HTTP: &str = "libtandem_http.so";

fn stage<'a>(status: &'a Status, component: &str, number: &str) -> &'a str {
    let version = status.versions.iter().find(|version| version.component == component && version.number == number);
    &version.unwrap_or_else(|| panic!("no {component} {number}: {status:?}")).stage
}
