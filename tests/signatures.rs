//! With keys in `trust`, only a library that one of them has signed is looked at, also when it comes from the shelf.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::{Client, Gateway, Signer, Upstream, beside, fixture, free_port, libraries, relabel, stamp};

const FILE: &str = "libtandem_echo.so";

/// A gateway that trusts these, with an `echo` that the first of them has signed.
fn start(trusted: &[&Signer]) -> (Gateway, u16) {
    let port = free_port();
    let builder = Gateway::builder().library(&libraries().echo);
    trusted[0].sign(&builder.scratch("components").join(FILE));
    let echo = format!("[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n");
    (builder.toml(&format!("{}\n{echo}", trust(trusted))).start(), port)
}

fn trust(trusted: &[&Signer]) -> String {
    format!("trust = {:?}", trusted.iter().map(|signer| signer.key()).collect::<Vec<_>>())
}

/// An `echo` of this number, not in the components directory yet.
fn version(gateway: &Gateway, number: &str) -> PathBuf {
    let library = gateway.scratch(&format!("echo-{number}.so"));
    stamp(&libraries().echo, &library, number).unwrap();
    library
}

fn deploy(gateway: &Gateway, library: &Path, signature: Option<&str>) {
    let file = gateway.components().join(FILE);
    match signature {
        Some(text) => fs::write(beside(&file), text).unwrap(),
        None => fs::remove_file(beside(&file)).unwrap_or_default(),
    }
    gateway.deploy(library, FILE);
}

fn echoes(client: &mut Client) {
    client.send(b"hello").unwrap();
    assert_eq!(client.read(5).unwrap(), b"hello");
}

#[test]
fn what_is_not_signed_by_a_trusted_key_is_refused_with_the_way_out() {
    let [ours, other, theirs] = [(), (), ()].map(|()| Signer::new());
    let (gateway, port) = start(&[&ours, &other]);
    let serves = gateway.status().services[0].version.clone();
    let mut client = gateway.connect(port);
    let library = version(&gateway, "1.0.0");
    let (good, elder) = (ours.signature(&library), ours.signature(&libraries().echo));
    let rows = [
        (None, ["it is not signed", "minisign -Sm"]),
        (Some(theirs.signature(&library)), ["a key that `trust` does not name", "name that key there"]),
        // Of the library that was there before, as it is while only one of the two has been copied.
        (Some(elder), ["it is not what was signed", "copy it and its signature again"]),
        (Some(good.replace("trusted comment: ", "trusted comment: 9")), ["it is not what was signed", "again"]),
        (Some(String::new()), ["none of minisign's", "sign it again"]),
        (Some("untrusted comment: a\nRWQ\n".into()), ["none of minisign's", "sign it again"]),
    ];
    for (signature, says) in rows {
        deploy(&gateway, &library, signature.as_deref());

        let checked = gateway.tandem(&["check"]);
        let reload = gateway.reload();

        let file = reload.file(FILE);
        assert_eq!((reload.ok, file.outcome.as_str()), (false, "refused"), "{reload:?}");
        let reason = file.reason.as_ref().unwrap();
        println!("{reason}");
        says.iter().for_each(|part| assert!(reason.contains(part), "{part}: {reason}"));
        // The signature is not a file of its own.
        assert_eq!(reload.files.len(), 1, "{reload:?}");
        assert!(String::from_utf8_lossy(&checked.stdout).contains(says[0]), "{checked:?}");
        let status = gateway.status();
        assert!(status.notice("version-refused").is_some_and(|last| last.contains(reason)), "{status:?}");
        assert_eq!((status.count("file-ignored"), &status.services[0].version), (0, &serves));
        echoes(&mut client);
    }
    deploy(&gateway, &library, Some(&other.signature(&library)));
    assert!(gateway.tandem(&["check"]).status.success());
    let reload = gateway.reload();
    assert_eq!((reload.ok, reload.file(FILE).outcome.as_str()), (true, "loaded"), "{reload:?}");
    echoes(&mut client);
}

/// What is refused for its signature is not tried: this one would take a second.
#[test]
fn what_is_not_trusted_is_not_examined() {
    let ours = Signer::new();
    let (gateway, _) = start(&[&ours]);
    let hangs = gateway.scratch("hangs.so");
    relabel(&fixture("hangs"), &hangs, "echo", "9.0.0").unwrap();
    let reason = |signature: &str| {
        deploy(&gateway, &hangs, Some(signature));
        gateway.reload().file(FILE).reason.clone().unwrap()
    };
    assert!(reason(&Signer::new().signature(&hangs)).contains("a key that `trust` does not name"));
    assert!(reason(&ours.signature(&hangs)).contains("did not finish within"));
}

#[test]
fn a_key_that_is_taken_out_loads_nothing_more_and_stops_nothing() {
    let [ours, other] = [(), ()].map(|()| Signer::new());
    let (mut gateway, port) = start(&[&ours, &other]);
    let mut client = gateway.connect(port);
    let both = trust(&[&ours, &other]);
    gateway.configure(|text| text.replace(&both, &trust(&[&other])));

    let reload = gateway.reload();

    assert_eq!((reload.ok, reload.file(FILE).outcome.as_str()), (false, "refused"), "{reload:?}");
    echoes(&mut client);
    echoes(&mut gateway.connect(port));

    assert!(gateway.stop(libc::SIGTERM, Duration::from_secs(20)).success());
    let started = gateway.tandem(&["run"]);
    assert_eq!(started.status.code(), Some(1));
    let log = String::from_utf8_lossy(&started.stderr).into_owned() + &String::from_utf8_lossy(&started.stdout);
    assert!(log.contains("no service can be served") && log.contains("a key that `trust` does not name"), "{log}");
}

#[test]
fn what_comes_from_the_shelf_is_asked_again_who_has_signed_it() {
    let [ours, other] = [(), ()].map(|()| Signer::new());
    let (upstream, port) = (Upstream::start("app"), free_port());
    let builder = Gateway::builder().library(&libraries().http);
    let file = builder.scratch("components").join("libtandem_http.so");
    ours.sign(&file);
    let mut gateway = builder
        .toml(&format!(
            r#"
{}
[upstream.app]
servers = ["tcp://{}"]
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", upstream = "app" }}]
served_by = "x-served-by"
sticky = {{ cookie = "sid" }}
"#,
            trust(&[&ours, &other]),
            upstream.address()
        ))
        .start();
    let served_by = |gateway: &Gateway| {
        let mut client = gateway.connect(port);
        client.send(b"GET /name HTTP/1.1\r\nHost: a\r\nCookie: sid=1\r\n\r\n").unwrap();
        client.answer("GET").unwrap().served_by().to_owned()
    };
    assert_eq!(gateway.connect(port).get("/login/1").unwrap().status, 200);
    let bound = served_by(&gateway);
    let library = gateway.scratch("next.so");
    stamp(&libraries().http, &library, "1.0.0").unwrap();
    fs::write(beside(&file), other.signature(&library)).unwrap();
    gateway.deploy(&library, "libtandem_http.so");
    assert!(gateway.reload().ok);

    // It is nowhere but on the shelf, its signature beside it.
    gateway.kill_and_start();
    assert_eq!(served_by(&gateway), bound);

    let both = trust(&[&ours, &other]);
    gateway.configure(|text| text.replace(&both, &trust(&[&other])));
    gateway.kill_and_start();

    assert_eq!(served_by(&gateway), "1.0.0");
    let log = gateway.log();
    let moved = log.lines().find(|line| line.contains("binding-moved") && line.contains("which cannot serve"));
    assert!(moved.is_some_and(|line| line.contains("a key that `trust` does not name")), "{moved:?}");
}

#[test]
fn inspect_says_who_has_signed_and_runs_nothing() {
    let ours = Signer::new();
    let (gateway, _) = start(&[&ours]);
    // Its constructor aborts the process that loads it.
    let crashes = gateway.scratch("crashes.so");
    relabel(&fixture("crashes"), &crashes, "echo", "9.0.0").unwrap();
    let inspect = |arguments: &[&str]| {
        let output = gateway.tandem(&[&["inspect", crashes.to_str().unwrap()], arguments].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };

    let (code, text) = inspect(&[]);
    assert!(text.starts_with("echo@9.0.0#") && text.contains("signed  refused: it is not signed"), "{text}");
    assert_eq!(code, Some(1));

    ours.sign(&crashes);
    let (code, text) = inspect(&[]);
    assert!(text.contains(&format!("signed  by {}, which is trusted", ours.key())), "{text}");
    assert_eq!(code, Some(0));
    let said: serde_json::Value = serde_json::from_str(&inspect(&["--json"]).1).unwrap();
    assert_eq!((&said["signature"]["trusted"], &said["version"]), (&true.into(), &"9.0.0".into()));
}

#[test]
fn what_the_command_minisign_signs_is_trusted() {
    if Command::new("minisign").arg("-v").output().is_err() {
        println!(
            "minisign is not installed: only what it has signed before is verified, in host/src/loader/signature.rs"
        );
        return;
    }
    let (gateway, port) = start(&[&Signer::new()]);
    let at = |name: &str| gateway.scratch(name).display().to_string();
    let minisign = |arguments: &[&str]| {
        let done = Command::new("minisign").args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    minisign(&["-GW", "-p", &at("minisign.pub"), "-s", &at("minisign.key")]);
    let public = fs::read_to_string(gateway.scratch("minisign.pub")).unwrap();
    let key = public.lines().nth(1).unwrap().to_owned();
    gateway.configure(|text| text.replacen("trust = [", &format!("trust = [{key:?}, "), 1));
    let mut client = gateway.connect(port);
    for (number, how) in [("1.0.0", "-Sm"), ("2.0.0", "-Slm")] {
        let library = version(&gateway, number);
        minisign(&[how, library.to_str().unwrap(), "-s", &at("minisign.key")]);
        let signature = fs::read_to_string(beside(&library)).unwrap();
        deploy(&gateway, &library, Some(&signature));

        let reload = gateway.reload();

        assert_eq!((reload.ok, reload.file(FILE).outcome.as_str()), (true, "loaded"), "{reload:?}");
        echoes(&mut client);
    }
}
