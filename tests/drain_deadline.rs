//! Sessions that are still there at the drain deadline of what they run on are asked to say goodbye.

use std::thread;
use std::time::{Duration, Instant};

use support::esme::UNBIND;
use support::{Esme, Gateway, Smsc, Upstream, free_port, libraries};

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

#[test]
fn an_upstream_that_is_added_has_nobody_asked_and_one_that_is_taken_out_is_refused_where_it_is_used() {
    let (port, other, upstream) = (free_port(), free_port(), Upstream::start("app"));
    let server = upstream.address();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .library(&libraries().echo)
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
policy = "pin"
[service.web.config]
routes = [{{ path = "/", upstream = "app" }}]
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{other}"]
policy = "pin"
[component.http]
versions = {{ drain = "1s" }}
[component.echo]
versions = {{ drain = "1s" }}
[upstream.app]
servers = ["tcp://{server}"]
"#
        ))
        .start();
    let (mut web, mut echo) = (gateway.connect(port), gateway.connect(other));
    let mut serves = || {
        assert_eq!(web.get("/name").unwrap().text(), "app");
        echo.send(b"hello").unwrap();
        assert_eq!(echo.read(5).unwrap(), b"hello");
    };
    serves();

    gateway.configure(|text| format!("{text}\n[upstream.another]\nservers = [\"tcp://{server}\"]\n"));
    assert!(gateway.reload().ok);

    thread::sleep(Duration::from_secs(2));
    serves();
    // One that nobody has used so far can be used, and then not be taken out.
    gateway.configure(|text| text.replace("upstream = \"app\"", "upstream = \"another\""));
    assert!(gateway.reload().ok);
    gateway.configure(|text| text.replace("[upstream.another]", "[upstream.third]"));
    let error = gateway.reload().error.expect("it is named by a route");
    assert!(error.contains("no [upstream.another] is configured"), "{error}");
}

#[test]
fn a_deadline_is_kept_also_while_one_reload_follows_on_another() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!(
            r#"
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{port}"]
policy = "pin"
[component.echo]
versions = {{ drain = "1s" }}
"#
        ))
        .start();
    let mut client = gateway.connect(port);
    client.send(b"hello").unwrap();
    assert_eq!(client.read(5).unwrap(), b"hello");
    let begun = Instant::now();
    gateway.swap(&libraries().echo, "1.0.0");

    let closed = thread::scope(|scope| {
        let closed = scope.spawn(|| client.closed().map(|()| begun.elapsed()));
        while !closed.is_finished() && begun.elapsed() < Duration::from_secs(10) {
            gateway.sighup();
            thread::sleep(Duration::from_millis(5));
        }
        closed.join().unwrap().expect("it is closed in order")
    });

    assert!(closed >= Duration::from_secs(1), "{closed:?}: it has its time");
    assert!(closed < Duration::from_secs(9), "{closed:?}: it has no more than its time");
}

/// Each is told by its protocol and has its time to answer; and so many a second, that they do not all come back in one moment.
#[test]
fn binds_of_a_pinned_version_are_unbound_so_many_a_second() {
    const BINDS: usize = 12;
    /// By each of two workers.
    const RATE: usize = 3;
    let smsc = Smsc::start("pin", &["acme"], Duration::from_millis(50));
    smsc.gateway.configure(|text| {
        text.replace("versions = { keep = 0 }", &format!("versions = {{ keep = 0, drain = \"1s\", rate = {RATE} }}"))
            .replace("timers.receipts", "unnamed.max_binds = 20\ntimers.receipts")
    });
    assert!(smsc.gateway.reload().ok);
    let esmes: Vec<Esme> = (0..BINDS).map(|_| Esme::bound(smsc.port, "acme")).collect();
    let begun = Instant::now();
    smsc.gateway.swap(&libraries().smpp, "1.0.1");
    let mut new = Esme::bound(smsc.port, "acme");

    let waiting: Vec<_> = esmes
        .into_iter()
        .map(|mut esme| {
            thread::spawn(move || {
                let unbind = esme.take().unwrap();
                assert_eq!(unbind.command, UNBIND, "{unbind:?}");
                let at = begun.elapsed();
                esme.answer(&unbind).unwrap();
                esme.closed().unwrap();
                at
            })
        })
        .collect();
    let mut times: Vec<Duration> = waiting.into_iter().map(|waits| waits.join().unwrap()).collect();
    times.sort_unstable();

    assert!(times[0] >= Duration::from_secs(1), "{times:?}: they have their time");
    // As many as both workers may tell in a second, and one of each that begins it.
    let in_a_second =
        |from: Duration| times.iter().filter(|at| (from..from + Duration::from_secs(1)).contains(*at)).count();
    let most = times.iter().map(|from| in_a_second(*from)).max().unwrap();
    assert!(most <= 2 * (RATE + 1), "{most} in one second: {times:?}");
    assert!(times[BINDS - 1] - times[0] >= Duration::from_secs(1), "{times:?}");
    new.submit("still bound").unwrap();
    assert_eq!(new.response().unwrap().status, 0, "whoever runs the new version stays");
}
