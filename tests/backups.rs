//! A backup has the store as it was at one moment and the libraries that it names, and a restored gateway goes on from there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;

use support::{Builder, Client, Gateway, PATIENCE, Upstream, free_port, ledger, libraries};

#[test]
fn under_writes_it_has_all_that_was_answered_before_and_nothing_that_was_not_asked() {
    const WRITERS: usize = 3;
    let port = free_port();
    let gateway = adding(Gateway::builder(), port).start();
    let (asked, answered) = (counters(WRITERS), counters(WRITERS));
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (asked, answered, stop) = (Arc::clone(&asked), Arc::clone(&answered), Arc::clone(&stop));
            let mut client = gateway.connect(port);
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    asked[writer].fetch_add(1, Ordering::SeqCst);
                    client.send(format!("add {writer} 1\n").as_bytes()).unwrap();
                    assert_eq!(client.line().unwrap(), format!("ok {writer}"));
                    answered[writer].fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let read = |of: &[AtomicI64]| of.iter().map(|one| one.load(Ordering::SeqCst)).collect::<Vec<_>>();
    let mut bounds = Vec::new();
    for round in 0..4 {
        let before = read(&answered);
        support::settled(true, || read(&answered).iter().zip(&before).all(|(now, before)| now > before));
        let file = gateway.scratch(&format!("backup-{round}"));
        let low = read(&answered);
        let made = gateway.tandem(&["backup", file.to_str().unwrap()]);
        let high = read(&asked);
        assert!(made.status.success(), "{made:?}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        bounds.push((file, low, high));
    }
    stop.store(true, Ordering::SeqCst);
    writers.into_iter().for_each(|writer| writer.join().unwrap());

    for (file, low, high) in &bounds {
        let port = free_port();
        let builder = adding(Gateway::builder(), port);
        let restored = restore(&builder, file);
        assert!(restored.status.success(), "{restored:?}");
        let gateway = builder.start();
        let mut client = gateway.connect(port);
        for writer in 0..WRITERS {
            let kept = amount(&mut client, writer);
            assert!(
                (low[writer]..=high[writer]).contains(&kept),
                "{kept} of {writer}: {} were answered before, {} asked by its end",
                low[writer],
                high[writer]
            );
            // It goes on from there.
            client.send(format!("add {writer} 1\n").as_bytes()).unwrap();
            assert_eq!(client.line().unwrap(), format!("ok {writer}"));
            assert_eq!(amount(&mut client, writer), kept + 1);
        }
    }
}

#[test]
fn a_conversation_goes_on_with_the_version_that_it_is_bound_to_which_is_in_the_backup_alone() {
    let upstream = Upstream::start("app");
    let (port, server) = (free_port(), upstream.address());
    let configured = |port: u16| {
        let toml = format!(
            r#"
[upstream.app]
servers = ["tcp://{server}"]
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", upstream = "app" }}]
served_by = "x-served-by"
sticky = {{ cookie = "sid" }}
"#
        );
        Gateway::builder().library(&libraries().http).toml(&toml)
    };
    let mut gateway = configured(port).start();
    gateway.swap(&libraries().http, "1.0.0");
    assert!(gateway.connect(port).get("/login/7").unwrap().field("set-cookie").is_some());
    gateway.swap(&libraries().http, "2.0.0");

    // Also of a gateway that does not run.
    let (running, ended) = (gateway.scratch("running"), gateway.scratch("ended"));
    assert!(gateway.tandem(&["backup", running.to_str().unwrap()]).status.success());
    assert!(gateway.stop(libc::SIGTERM, PATIENCE).success());
    assert!(gateway.tandem(&["backup", ended.to_str().unwrap()]).status.success());

    for file in [running, ended] {
        let port = free_port();
        let builder = configured(port);
        let restored = restore(&builder, &file);
        assert!(restored.status.success(), "{restored:?}");
        let gateway = builder.start();
        let bound = |cookie: &str| {
            let mut client = gateway.connect(port);
            client.send(format!("GET /name HTTP/1.1\r\nHost: a\r\n{cookie}\r\n").as_bytes()).unwrap();
            client.answer("GET").unwrap().served_by().to_owned()
        };
        assert_eq!(bound("Cookie: sid=7\r\n"), "1.0.0", "{}", file.display());
        assert_ne!(bound(""), "1.0.0", "what lies in the components directory serves others");
    }
}

#[test]
fn what_could_hurt_is_refused_and_leaves_nothing_behind() {
    let port = free_port();
    let gateway = adding(Gateway::builder(), port).start();
    let mut client = gateway.connect(port);
    client.send(b"add 1 1\n").unwrap();
    assert_eq!(client.line().unwrap(), "ok 1");
    let file = gateway.scratch("backup");
    let path = file.to_str().unwrap();
    let refused = |output: Output, why: &str| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(why), "{why}: {output:?}");
    };
    assert!(gateway.tandem(&["backup", path]).status.success());
    refused(gateway.tandem(&["backup", path]), "is there already; --replace");
    assert!(gateway.tandem(&["backup", path, "--replace"]).status.success());
    refused(gateway.tandem(&["backup", "/nowhere/backup"]), "/nowhere");

    // Over a gateway that runs, and over a store that is there.
    refused(gateway.tandem(&["restore", path]), &format!("process {}", gateway.pid()));
    let other = adding(Gateway::builder(), free_port());
    assert!(restore(&other, &file).status.success());
    refused(restore(&other, &file), "is there already; move it away");

    // What is no backup, is damaged, or is a store. A backup in a store's place is none.
    let (text, cut, changed) = (gateway.scratch("text"), gateway.scratch("cut"), gateway.scratch("changed"));
    fs::write(&text, "no backup").unwrap();
    let content = fs::read(&file).unwrap();
    fs::write(&cut, &content[..content.len() / 2]).unwrap();
    fs::copy(&file, &changed).unwrap();
    let database = rusqlite::Connection::open(&changed).unwrap();
    assert!(database.execute("UPDATE backup_shelf SET library = x'00'", ()).unwrap() > 0);
    drop(database);
    for (file, why) in [
        (&text, "is no backup"),
        (&cut, "damaged"),
        (&changed, "is something else than what was put there"),
        (&gateway.scratch("data/store.sqlite"), "is a store, and no backup"),
        (&gateway.scratch("none"), "cannot be opened"),
    ] {
        let fresh = adding(Gateway::builder(), free_port());
        refused(restore(&fresh, file), why);
        let left: Vec<_> =
            fs::read_dir(fresh.scratch("data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "lock" || name == "shelf"), "{why}: {left:?}");
    }
    let misplaced = adding(Gateway::builder(), free_port());
    fs::create_dir(misplaced.scratch("data")).unwrap();
    fs::copy(&file, misplaced.scratch("data/store.sqlite")).unwrap();
    assert!(misplaced.start_in_vain().log.contains("another program"));
}

/// `tandem restore`, for a gateway that has not been started yet.
fn restore(builder: &Builder, file: &Path) -> Output {
    let config = builder.scratch("restore.toml");
    fs::write(&config, "data = \"data\"\n[service.any]\ncomponent = \"any\"\n").unwrap();
    let mut command = Command::new(&libraries().tandem);
    command.arg("restore").arg(file).arg("--config").arg(config).stdin(Stdio::null()).output().unwrap()
}

fn counters(count: usize) -> Arc<Vec<AtomicI64>> {
    Arc::new((0..count).map(|_| AtomicI64::new(0)).collect())
}

/// A gateway that adds up.
fn adding(builder: Builder, port: u16) -> Builder {
    let text = format!("[service.ledger]\ncomponent = \"ledger\"\nlisten = [\"tcp://127.0.0.1:{port}\"]");
    builder.library_as(&ledger(None), "libtandem_ledger.so").toml(&text)
}

fn amount(client: &mut Client, id: usize) -> i64 {
    client.send(format!("get {id}\n").as_bytes()).unwrap();
    let line = client.line().unwrap();
    let Some((_, amount)) = line.split_once("amount: ") else { return 0 };
    amount.trim_end_matches([' ', '}']).parse().unwrap()
}
