//! What cannot be loaded is refused with one line: the file, the reason, what to do. The version that ran serves on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{Client, Gateway, Reload, eventually, fixture, free_port, libraries, relabel, rewrite};

const FILE: &str = "libtandem_echo.so";

#[test]
fn a_file_that_is_no_library() {
    Serving::start().refuses(|bad| fs::write(bad, "hello, I am a text\n").unwrap(), &["not an ELF file", "cdylib"]);
}

#[test]
fn an_empty_file() {
    Serving::start().refuses(|bad| fs::write(bad, "").unwrap(), &["empty", "Copy it under another name and rename it"]);
}

#[test]
fn a_truncated_library() {
    let whole = fs::read(&libraries().echo).unwrap();
    for part in [whole.len() / 2, whole.len() - 1, 100] {
        Serving::start().refuses(|bad| fs::write(bad, &whole[..part]).unwrap(), &["copy it again"]);
    }
}

#[test]
fn a_library_of_another_architecture() {
    const E_MACHINE: usize = 18;
    const AARCH64: u8 = 183;
    Serving::start().refuses(
        |bad| {
            let mut library = fs::read(&libraries().echo).unwrap();
            library[E_MACHINE] = AARCH64;
            fs::write(bad, library).unwrap();
        },
        &["aarch64", "x86_64", "--target"],
    );
}

#[test]
fn a_library_without_a_manifest() {
    Serving::start().refuses(
        |bad| {
            let mut library = fs::read(&libraries().echo).unwrap();
            let name = library.windows(9).rposition(|name| name == b"\0.tandem\0").expect("the section has a name");
            library[name + 1..name + 8].copy_from_slice(b".tander");
            fs::write(bad, library).unwrap();
        },
        &["manifest", "export_component!"],
    );
}

#[test]
fn a_component_that_nothing_can_serve_does_not_stop_a_service_that_is_served() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!("[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n"))
        .start();
    gateway.configure(|text| text.replace("component = \"echo\"", "component = \"ecko\""));

    let reload = gateway.reload();

    let error = reload.error.expect("nothing was changed");
    assert!(error.contains("service.echo.component: no version of `ecko` can serve it; known are echo"), "{error}");
    assert_eq!(reload.code, Some(1));
    let mut client = gateway.connect(port);
    client.send(b"still here").unwrap();
    assert_eq!(client.read(10).unwrap(), b"still here");
}

#[test]
fn a_library_of_another_revision_of_the_api() {
    for (revision, way_out) in [(9, "upgrade the host"), (0, "build it again")] {
        Serving::start().refuses(
            |bad| rewrite(&libraries().echo, bad, |manifest| manifest["api"] = revision.into()).unwrap(),
            &["API revision", way_out],
        );
    }
}

#[test]
fn a_library_of_another_layout() {
    Serving::start().refuses(
        |bad| relabel(&fixture("other_layout"), bad, "echo", "0.2.0").unwrap(),
        &["laid out", "build it with the host's tandem-component"],
    );
}

#[test]
fn a_library_that_aborts_where_it_should_unwind() {
    Serving::start().refuses(|bad| relabel(&fixture("aborts"), bad, "echo", "0.2.0").unwrap(), &["panic = \"unwind\""]);
}

#[test]
fn a_library_whose_constructor_crashes() {
    Serving::start().refuses(
        |bad| relabel(&fixture("crashes"), bad, "echo", "0.2.0").unwrap(),
        &["killed its examination", "SIGABRT"],
    );
}

#[test]
fn a_library_whose_constructor_hangs() {
    Serving::start().refuses(
        |bad| relabel(&fixture("hangs"), bad, "echo", "0.2.0").unwrap(),
        &["did not finish within", "constructor"],
    );
}

#[test]
fn a_component_that_refuses_to_start() {
    Serving::start().refuses(
        |bad| relabel(&fixture("refuses"), bad, "echo", "0.2.0").unwrap(),
        &["it does not feel like it", "`echo`"],
    );
}

#[test]
fn a_link_that_leads_nowhere() {
    let mut serving = Serving::start();
    let file = serving.gateway.components().join(FILE);
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &file).unwrap();
    serving.is_refused(&["cannot be read", "No such file"]);
}

#[test]
fn a_directory_in_the_place_of_a_library() {
    let mut serving = Serving::start();
    fs::remove_file(serving.gateway.components().join(FILE)).unwrap();
    fs::create_dir(serving.gateway.components().join(FILE)).unwrap();
    serving.is_refused(&["not a regular file"]);
}

#[test]
fn a_file_that_is_no_library_by_its_name_is_passed_over() {
    let mut serving = Serving::start();
    fs::write(serving.gateway.components().join("README.txt"), "hello").unwrap();

    let reload = serving.gateway.reload();

    assert_eq!((reload.ok, reload.code, reload.file("README.txt").outcome.as_str()), (true, Some(0), "ignored"));
    assert_eq!(reload.file(FILE).outcome, "unchanged");
    serving.serves_on();
}

#[test]
fn a_good_library_beside_a_bad_one_is_loaded() {
    let serving = Serving::start();
    fs::write(serving.gateway.components().join("bad.so"), "no library").unwrap();
    serving.gateway.deploy_stamped(&libraries().echo, "1.0.0");

    let reload = serving.gateway.reload();

    assert_eq!((reload.ok, reload.code), (false, Some(1)));
    assert_eq!(reload.file("bad.so").outcome, "refused");
    assert_eq!(reload.file(FILE).outcome, "loaded");
    assert!(serving.gateway.status().services[0].version.as_ref().unwrap().starts_with("echo@1.0.0#"));
}

#[test]
fn what_is_repaired_is_loaded_and_no_longer_refused() {
    let serving = Serving::start();
    fs::write(serving.gateway.scratch("bad"), "no library").unwrap();
    serving.gateway.deploy(&serving.gateway.scratch("bad"), FILE);
    assert!(!serving.gateway.reload().ok);

    serving.gateway.swap(&libraries().echo, "1.0.0");

    assert!(serving.gateway.status().refused.is_empty());
}

#[test]
fn a_components_directory_that_is_missing() {
    let mut serving = Serving::start();
    let directory = serving.gateway.components();
    fs::rename(&directory, serving.gateway.scratch("aside")).unwrap();
    serving.changes_nothing(&[&directory.display().to_string(), "cannot be read"]);

    fs::rename(serving.gateway.scratch("aside"), &directory).unwrap();
    assert!(serving.gateway.reload().ok);
}

#[test]
fn a_components_directory_that_is_empty() {
    let mut serving = Serving::start();
    let directory = serving.gateway.components();
    fs::remove_file(directory.join(FILE)).unwrap();
    serving.changes_nothing(&[&directory.display().to_string(), "is empty", "copy it there"]);
}

#[test]
fn a_components_directory_that_is_unreadable() {
    let mut serving = Serving::start();
    let directory = serving.gateway.components();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read_dir(&directory).is_ok() {
        // Nothing is unreadable for root, but what leads nowhere.
        fs::rename(&directory, serving.gateway.scratch("aside")).unwrap();
        std::os::unix::fs::symlink(&directory, &directory).unwrap();
    }
    serving.changes_nothing(&[&directory.display().to_string(), "cannot be read"]);
    // So that the directory can be removed.
    let _ = fs::set_permissions(&directory, fs::Permissions::from_mode(0o700));
}

#[test]
fn a_key_that_the_configuration_does_not_know() {
    for (line, says) in [
        ("colour = \"blue\"", ["tandem.toml:1", "unknown field `colour`", "expected one of"]),
        ("[service.echo.listens]", ["tandem.toml:", "unknown field `listens`", "expected one of"]),
    ] {
        let mut serving = Serving::start();
        let at_top = !line.starts_with('[');
        serving.gateway.configure(|text| if at_top { format!("{line}\n{text}") } else { format!("{text}\n{line}\n") });
        serving.changes_nothing(&says);
    }
}

#[test]
fn a_key_that_a_component_does_not_know() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().http)
        .toml(&format!(
            r#"
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{port}"]
[service.web.config]
routes = [{{ path = "/", status = 200, body = "as before" }}]
"#
        ))
        .start();
    let mut client = gateway.connect(port);

    gateway.configure(|text| text.replace("as before", "anew").replace("path =", "colour = 1, path ="));
    let reload = gateway.reload();

    let error = reload.error.as_ref().expect("nothing is changed");
    for part in ["tandem.toml:7", "service.web.config.routes[0]", "unknown field `colour`", "expected one of"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!((reload.ok, reload.code, client.get("/").unwrap().text().as_str()), (false, Some(1), "as before"));
}

#[test]
fn a_port_that_is_taken() {
    let mut serving = Serving::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", taken.local_addr().unwrap());
    serving.gateway.configure(|text| text.replace("listen = [", &format!("listen = [\"{address}\", ")));
    serving.changes_nothing(&["service.echo.listen", &address, "choose another"]);

    drop(taken);
    assert!(serving.gateway.reload().ok);
    serving.serves_on();
}

#[test]
fn a_key_that_takes_a_restart() {
    let mut serving = Serving::start();
    serving.gateway.configure(|text| format!("workers = 7\n{text}"));
    serving.changes_nothing(&["workers", "restart"]);
}

#[test]
fn another_directory_for_data_takes_a_restart() {
    let mut serving = Serving::start();
    serving.gateway.configure(|text| text.replace("data = \"data\"", "data = \"elsewhere\""));
    // By the signal: a command asks whom its configuration names.
    serving.gateway.sighup();
    eventually("it is said", || {
        let log = serving.gateway.log();
        let line = log.lines().find(|line| line.contains("data: "))?;
        assert!(line.contains("is in use") && line.contains("elsewhere takes a restart"), "{line}");
        Some(())
    });
    assert!(!serving.gateway.scratch("elsewhere").exists());

    serving.gateway.configure(|text| text.replace("\"elsewhere\"", "\"data\""));
    assert!(serving.gateway.reload().ok);
    serving.serves_on();
}

#[test]
fn as_many_workers_as_processors_are_as_many_as_there_were() {
    let mut serving = Serving::start();
    // As a container's limit does that is changed while it runs.
    support::run_on_one_processor(serving.gateway.pid());

    let reload = serving.gateway.reload();

    assert!(reload.ok, "{reload:?}");
    serving.serves_on();
}

#[test]
fn a_version_that_is_named_and_not_there() {
    let mut serving = Serving::start();
    serving.gateway.configure(|text| format!("{text}[component.echo]\nversion = \"9.9.9\"\n"));

    let reload = serving.gateway.reload();

    assert_eq!((reload.ok, reload.code), (false, Some(1)), "{reload:?}");
    let found = reload.findings.iter().find(|found| found.contains("component.echo.version")).expect("it is said");
    assert!(found.contains("9.9.9") && found.contains(serving.version.as_ref().unwrap()), "{found}");
    serving.serves_on();

    // A digest may be named whole, as `status --json` prints it.
    let digest = serving.gateway.status().versions[0].digest.clone();
    serving.gateway.configure(|text| text.replace("9.9.9", &format!("0.1.0#{digest}")));
    let reload = serving.gateway.reload();
    assert!(reload.ok, "{reload:?}");
    serving.serves_on();
}

#[test]
fn what_is_said_of_a_component_that_nobody_has() {
    let mut serving = Serving::start();
    serving.gateway.configure(|text| format!("{text}[component.ecko]\nversions = {{ keep = 3 }}\n"));

    let reload = serving.gateway.reload();

    assert_eq!((reload.ok, reload.code), (false, Some(1)), "{reload:?}");
    let [finding] = &reload.findings[..] else { panic!("one finding: {reload:?}") };
    assert!(finding.starts_with("component.ecko: ") && finding.contains("`echo`"), "{finding}");
    serving.serves_on();
    let checked = serving.gateway.tandem(&["check"]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert!(String::from_utf8_lossy(&checked.stdout).contains(finding.as_str()), "{checked:?}");

    // Of one that is only about to serve, something may be said.
    let (other, file) = (serving.gateway.scratch("other"), "other.so");
    relabel(&libraries().echo, &other, "ecko", "1.0.0").unwrap();
    serving.gateway.deploy(&other, file);
    let reload = serving.gateway.reload();
    assert!(reload.ok && reload.file(file).outcome == "kept", "{reload:?}");
    serving.serves_on();
}

#[test]
fn a_gateway_does_not_start_where_it_could_not_serve() {
    let port = free_port();
    let echo = format!("[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]");
    let running = Gateway::builder().library(&libraries().echo).toml(&echo).start();

    let says = |failed: support::Failed, parts: &[&str]| {
        assert_eq!(failed.status.code(), Some(1), "{}", failed.log);
        for part in parts {
            assert!(failed.log.contains(part), "{part}: {}", failed.log);
        }
    };
    says(
        Gateway::builder().library(&libraries().echo).toml(&echo).start_in_vain(),
        &["service.echo.listen", &format!("127.0.0.1:{port}"), "choose another"],
    );
    says(
        Gateway::builder().library(&libraries().echo).toml(&format!("colour = 1\n{echo}")).start_in_vain(),
        &["colour"],
    );
    says(Gateway::builder().toml(&echo).start_in_vain(), &["components", "is empty"]);
    says(Gateway::builder().library(&fixture("refuses")).toml(&echo).start_in_vain(), &["echo"]);
    drop(running);
}

/// A gateway that echoes, and a connection to it from before.
struct Serving {
    gateway: Gateway,
    port: u16,
    client: Client,
    publication: u64,
    version: Option<String>,
}

impl Serving {
    fn start() -> Self {
        let port = free_port();
        let gateway = Gateway::builder()
            .library(&libraries().echo)
            .toml(&format!(
                r#"
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{port}"]

[examination]
limit = "1s"
"#
            ))
            .start();
        let mut client = gateway.connect(port);
        echo(&mut client);
        let mut status = gateway.status();
        let version = status.services.remove(0).version;
        Serving { gateway, port, client, publication: status.publication, version }
    }

    /// Puts what `make` makes in the place of the library, and expects it to be refused.
    fn refuses(mut self, make: impl FnOnce(&Path), says: &[&str]) {
        let bad = self.gateway.scratch("bad.so");
        make(&bad);
        self.gateway.deploy(&bad, FILE);
        self.is_refused(says);
    }

    fn is_refused(&mut self, says: &[&str]) {
        let reload: Reload = self.gateway.reload();
        assert_eq!((reload.ok, reload.code), (false, Some(1)), "{reload:?}");
        assert_eq!(reload.file(FILE).outcome, "refused", "{reload:?}");
        let reason = reload.file(FILE).reason.clone().expect("what is refused has a reason");
        println!("{FILE}: {reason}");
        assert_eq!(reason.lines().count(), 1, "one line: {reason}");
        says.iter().for_each(|part| assert!(reason.contains(part), "{part}: {reason}"));

        let text = self.gateway.tandem(&["reload"]);
        let lines = String::from_utf8(text.stdout).unwrap();
        let line = lines.lines().find(|line| line.contains(FILE)).expect("it has a line");
        assert!(line.contains("refused") && line.contains(&reason), "{line}");
        assert_eq!((lines.lines().count(), text.status.code()), (1, Some(1)), "{lines}");

        let status = self.gateway.status();
        let refused: Vec<_> = status.refused.iter().map(|refused| (&*refused.file, &refused.reason)).collect();
        assert_eq!(refused, [(FILE, &reason)]);
        assert!(status.notice("version-refused").is_some_and(|last| last.contains(&reason)), "{status:?}");
        let log = self.gateway.log();
        assert!(log.lines().any(|line| line.contains(FILE) && line.contains(&reason)), "no such line in the log");
        self.serves_on();
    }

    /// Reloads, and expects that nothing is changed at all.
    fn changes_nothing(&mut self, says: &[&str]) {
        let reload = self.gateway.reload();
        assert_eq!((reload.ok, reload.code), (false, Some(1)), "{reload:?}");
        let error = reload.error.expect("nothing was changed, for a reason");
        println!("{error}");
        assert_eq!(error.lines().count(), 1, "one line: {error}");
        says.iter().for_each(|part| assert!(error.contains(part), "{part}: {error}"));
        assert_eq!(reload.publication, self.publication);

        let text = self.gateway.tandem(&["reload"]);
        let said = [text.stdout, text.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        assert!(said.contains(&error), "{said}");
        assert_eq!(text.status.code(), Some(1));

        let status = self.gateway.status();
        assert!(status.notice("reload-refused").is_some_and(|last| last.contains(&error)), "{status:?}");
        assert!(self.gateway.log().lines().any(|line| line.contains(&error)), "no such line in the log");
        self.serves_on();
    }

    fn serves_on(&mut self) {
        assert_eq!(self.gateway.status().services[0].version, self.version);
        echo(&mut self.client);
        echo(&mut self.gateway.connect(self.port));
    }
}

fn echo(client: &mut Client) {
    client.send(b"hello").unwrap();
    assert_eq!(client.read(5).unwrap(), b"hello");
}
