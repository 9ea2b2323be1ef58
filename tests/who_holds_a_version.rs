//! `tandem sessions`: who holds a version, since when, for what, and why it has not moved.

use std::net::TcpListener;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use support::{Client, Gateway, Holders, Upstream, asks, fixture, free_port, libraries, settled};

const CARELESS: &str = "misbehaving-careless";

#[test]
fn each_session_is_told_with_the_reason_that_it_stays_by() {
    let (gateway, port) = careless("carry");
    let begun = nanos(SystemTime::now());
    let mut busy = gateway.connect(port);
    let mut free = gateway.connect(port);
    say(&mut busy, "begin");
    say(&mut free, "hello");
    gateway.swap(&fixture("careless"), "2.0.0");
    settled(1, || gateway.status().count("move-refused"));

    let holders = settled_holders(&gateway, &[], |holders| holders.count == 2);

    let [stays, moved] = &holders.sessions[..] else { panic!("{holders:?}") };
    assert!(stays.version.starts_with("misbehaving-careless@0.1.0#"), "{stays:?}");
    assert_eq!((stays.service.as_str(), stays.policy.as_str()), ("careless", "carry"));
    assert_eq!(stays.stays.as_deref(), Some("it is in the middle of something"));
    assert_eq!(stays.peer, format!("127.0.0.1:{}", busy.port()));
    assert!(stays.worker < 2 && begun <= stays.established && stays.established <= stays.since, "{stays:?}");
    assert!(stays.idle_since >= stays.since && stays.idle_since <= nanos(SystemTime::now()), "{stays:?}");
    assert!(moved.version.starts_with("misbehaving-careless@2.0.0#"), "{moved:?}");
    assert_eq!((moved.stays.as_deref(), moved.peer.clone()), (None, format!("127.0.0.1:{}", free.port())));
    assert!(moved.since > moved.established, "it is there since it was carried: {moved:?}");
    let serves = |what: &str| holders.others.iter().filter(|other| other.what == what).count();
    assert_eq!((serves("it serves"), holders.others.len()), (1, 1), "{holders:?}");

    let named = |named: &str| sessions(&gateway, &[named]);
    assert_eq!(named(CARELESS).count, 2);
    for narrow in ["misbehaving-careless@0.1.0", &stays.version] {
        let there: Vec<u64> = named(narrow).sessions.iter().map(|session| session.session).collect();
        assert_eq!(there, [stays.session], "{narrow}");
    }
    let refused = gateway.tandem(&["sessions", "misbehaving-careless@7.0.0"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no version misbehaving-careless@7.0.0 is known"));
    assert!(!refused.status.success());
    let text = gateway.tandem(&["sessions", CARELESS]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("stays, since it is in the middle of something"), "{text}");
}

#[test]
fn of_many_the_longest_there_are_told_and_all_are_counted() {
    let (gateway, port) = careless("pin");
    let mut old: Vec<Client> = Vec::new();
    for _ in 0..20 {
        let mut client = gateway.connect(port);
        say(&mut client, "hello");
        old.push(client);
    }
    gateway.swap(&fixture("careless"), "2.0.0");
    let mut new: Vec<Client> = (0..20).map(|_| gateway.connect(port)).collect();
    new.iter_mut().for_each(|client| say(client, "hello"));

    let holders = sessions(&gateway, &["--limit", "7"]);

    assert_eq!((holders.count, holders.sessions.len()), (40, 7));
    let peers: Vec<String> = holders.sessions.iter().map(|session| session.peer.clone()).collect();
    let oldest: Vec<String> = old[..7].iter().map(|client| format!("127.0.0.1:{}", client.port())).collect();
    assert_eq!(peers, oldest);
    assert!(holders.sessions.iter().all(|session| session.stays.as_deref() == Some("it is pinned")), "{holders:?}");
    let text = gateway.tandem(&["sessions", "--limit", "7"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("and 33 more"), "{text:?}");
}

#[test]
fn what_a_session_waits_for_is_said() {
    let (front, web) = (free_port(), free_port());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .library_as(&asks(None), "libtandem_asks.so")
        .toml(&format!(
            r#"
[upstream.app]
servers = ["tcp://{}"]
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{web}"]
[service.web.config]
routes = [{{ path = "/", upstream = "app" }}]
[service.front]
component = "asks"
listen = ["tcp://127.0.0.1:{front}"]
[service.back]
component = "asks"
"#,
            silent.local_addr().unwrap()
        ))
        .start();
    let mut caller = gateway.connect(front);
    caller.send(b"ask back keep it\n").unwrap();
    let waits = |service: &str| {
        let holders = sessions(&gateway, &["asks"]);
        let session = holders.sessions.into_iter().find(|session| session.service == service);
        session.map(|session| session.waits).unwrap_or_default()
    };
    settled(vec!["1 call to `back`".to_owned()], || waits("front"));
    settled(vec!["its own answer to 1 request".to_owned()], || waits("back"));

    let mut asks = gateway.connect(web);
    asks.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();

    let holders = settled_holders(&gateway, &["http"], |holders| {
        holders.sessions.iter().any(|one| one.waits.iter().any(|what| what.contains("which it has dialed")))
    });
    let waits = &holders.sessions[0].waits;
    assert!(waits.iter().any(|what| what.starts_with("a timer, in ") || what.contains("timers, in ")), "{waits:?}");
}

#[test]
fn conversations_that_are_bound_and_versions_that_are_kept_are_told_as_what_they_are() {
    let (upstream, port) = (Upstream::start("app"), free_port());
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
[upstream.app]
servers = ["tcp://{}"]
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", upstream = "app" }}]
sticky = {{ cookie = "sid" }}
[component.http]
versions = {{ keep = 1 }}
"#,
            upstream.address()
        ))
        .start();
    let mut client = gateway.connect(port);
    assert!(client.get("/login/4711").unwrap().field("set-cookie").is_some());
    gateway.swap(&libraries().http, "1.0.0");

    let holders = sessions(&gateway, &["http@0.1.0"]);
    let whats: Vec<&str> = holders.others.iter().map(|other| other.what.as_str()).collect();
    assert!(whats.contains(&"kept started for a way back"), "{whats:?}");
    assert!(
        whats.iter().any(|what| what.starts_with("the conversation ") && what.contains("is bound to it until ")),
        "{whats:?}"
    );
    assert!(holders.others.iter().all(|other| other.service.as_deref() == Some("web")), "{holders:?}");

    // The binding is what is drained: the conversation is bound anew, and nothing of the version is left but what is kept.
    let drained = gateway.tandem(&["drain", "http@0.1.0", "--within", "5s"]);
    assert!(drained.status.success(), "{drained:?}");
    let whats: Vec<String> = sessions(&gateway, &["http@0.1.0"]).others.into_iter().map(|other| other.what).collect();
    assert_eq!(whats, ["kept started for a way back"]);
}

fn settled_holders(gateway: &Gateway, arguments: &[&str], enough: impl Fn(&Holders) -> bool) -> Holders {
    let begun = Instant::now();
    loop {
        let holders = sessions(gateway, arguments);
        if enough(&holders) {
            return holders;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{holders:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn sessions(gateway: &Gateway, arguments: &[&str]) -> Holders {
    let output = gateway.tandem(&[&["sessions", "--json"], arguments].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn say(client: &mut Client, line: &str) {
    client.send(format!("{line}\n").as_bytes()).unwrap();
    assert_eq!(client.read(line.len() + 1).unwrap(), format!("{line}\n").as_bytes());
}

fn nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

fn careless(policy: &str) -> (Gateway, u16) {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            r#"
workers = 2
[service.careless]
component = "{CARELESS}"
listen = ["tcp://127.0.0.1:{port}"]
policy = "{policy}"
[component.{CARELESS}]
versions = {{ keep = 0 }}
"#
        ))
        .start();
    (gateway, port)
}
