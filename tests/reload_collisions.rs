//! Files and signals that come in each other's way: the content that is newest serves in the end, and nothing that runs
//! is hurt.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Client, Gateway, Status, fixture, free_port, libraries, link, relabel, settled, signal, stamp};

const FILE: &str = "libtandem_echo.so";

#[test]
fn a_signal_that_comes_before_the_gateway_serves_is_a_reload_and_not_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let (file, pipe) = (directory.path().join("whole.toml"), directory.path().join("tandem.toml"));
    fs::create_dir(directory.path().join("components")).unwrap();
    fs::copy(&libraries().echo, directory.path().join("components").join(FILE)).unwrap();
    let port = free_port();
    let text = format!(
        r#"
components = "components"
data = "data"
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{port}"]
"#
    );
    fs::write(&file, &text).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there").success());
    let tandem = |command| {
        let mut tandem = Command::new(&libraries().tandem);
        tandem.arg(command).arg("--config").arg(&pipe).stderr(Stdio::null());
        tandem
    };
    let mut gateway = Killed(tandem("run").spawn().unwrap());
    // It is open once somebody reads it: the gateway is about to read its configuration, and waits for it.
    let mut reader = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    fs::rename(&file, &pipe).unwrap();

    signal(gateway.0.id(), libc::SIGHUP);

    reader.write_all(text.as_bytes()).unwrap();
    drop(reader);
    settled(Some(2), || {
        if let Some(status) = gateway.0.try_wait().unwrap() {
            panic!("it has ended: {status}");
        }
        let status = tandem("status").arg("--json").output().unwrap();
        Some(serde_json::from_slice::<Status>(&status.stdout).ok()?.publication)
    });
}

/// A process that goes with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn of_two_files_of_one_number_the_newer_one_serves_and_says_so() {
    let (gateway, port) = start("");
    let mut client = gateway.connect(port);
    echo(&mut client);
    // What follows the sections of a library is content like any other.
    let mut other = fs::read(&libraries().echo).unwrap();
    other.extend_from_slice(b"other");
    link(&mut other).unwrap();
    fs::write(gateway.scratch("other"), other).unwrap();
    gateway.deploy(&gateway.scratch("other"), "other.so");

    let reload = gateway.reload();

    assert!(reload.ok, "{reload:?}");
    let (newer, older) = (reload.file("other.so"), reload.file(FILE));
    assert_eq!((newer.outcome.as_str(), older.outcome.as_str()), ("loaded", "kept"));
    assert!(newer.reason.as_ref().unwrap().contains("same number"), "{newer:?}");
    assert!(older.reason.as_ref().unwrap().contains(newer.version.as_ref().unwrap()), "{older:?}");
    let status = gateway.status();
    assert_eq!(status.services[0].version, newer.version);
    assert!(status.notice("version-replaced").is_some_and(|last| last.contains("same number")), "{status:?}");
    assert!(gateway.log().contains("same number"));
    echo(&mut client);

    let again = gateway.reload();
    assert_eq!((again.file("other.so").outcome.as_str(), again.file(FILE).outcome.as_str()), ("unchanged", "kept"));
}

#[test]
fn a_library_overwritten_in_place_while_it_runs_hurts_nothing() {
    let (gateway, port) = start("");
    let mut client = gateway.connect(port);
    echo(&mut client);
    let next = gateway.scratch("next.so");
    stamp(&libraries().echo, &next, "1.0.0").unwrap();

    gateway.deploy_by_cp(&next, FILE);
    echo(&mut client);
    let file = fs::OpenOptions::new().write(true).open(gateway.components().join(FILE)).unwrap();
    file.set_len(1000).unwrap();
    echo(&mut client);
    assert_eq!(gateway.reload().file(FILE).outcome, "refused");
    echo(&mut client);
    fs::remove_file(gateway.components().join(FILE)).unwrap();
    echo(&mut client);
    gateway.deploy_by_cp(&next, FILE);

    assert_eq!(gateway.reload().file(FILE).outcome, "loaded");
    echo(&mut client);
    echo(&mut gateway.connect(port));
}

#[test]
fn a_file_that_is_being_written_is_not_taken_by_half() {
    let (gateway, port) = start("");
    let mut client = gateway.connect(port);
    let next = gateway.scratch("next.so");
    stamp(&libraries().echo, &next, "1.0.0").unwrap();
    let whole = fs::read(&next).unwrap();

    // As slow copies do: a piece, and a pause.
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            use std::io::Write;
            let mut file = fs::File::create(gateway.components().join(FILE)).unwrap();
            for piece in whole.chunks(whole.len() / 20) {
                file.write_all(piece).unwrap();
                thread::sleep(Duration::from_millis(30));
            }
        });
        while !writing.is_finished() {
            let reload = gateway.reload();
            let found = reload.file(FILE);
            assert!(
                found.outcome == "refused" || found.version.as_ref().is_some_and(|version| version.contains("1.0.0")),
                "{found:?}"
            );
            echo(&mut client);
        }
    });

    gateway.reload();
    assert!(gateway.status().services[0].version.as_ref().unwrap().starts_with("echo@1.0.0#"));
    echo(&mut client);
}

#[test]
fn an_older_build_copied_over_a_newer_one_is_a_way_back() {
    let (gateway, port) = start("");
    let mut client = gateway.connect(port);
    gateway.swap(&libraries().echo, "1.0.0");
    echo(&mut client);

    gateway.deploy(&libraries().echo, FILE);

    assert_eq!(gateway.reload().file(FILE).outcome, "loaded");
    assert!(gateway.status().services[0].version.as_ref().unwrap().starts_with("echo@0.1.0#"));
    echo(&mut client);
}

#[test]
fn the_last_of_many_signals_finds_what_was_there_before_it() {
    let (gateway, port) = start("[examination]\nlimit = \"2s\"");
    let mut client = gateway.connect(port);
    // Its examination takes the whole limit, so that the signals below come while a reload is under way.
    relabel(&fixture("hangs"), &gateway.components().join("slow.so"), "echo", "9.0.0").unwrap();

    for build in 1..=10 {
        gateway.deploy_stamped(&libraries().echo, &format!("1.0.{build}"));
        gateway.sighup();
        thread::sleep(Duration::from_millis(100));
    }

    settled(Some("echo@1.0.10".to_owned()), || {
        let version = gateway.status().services.remove(0).version?;
        version.split_once('#').map(|(number, _)| number.to_owned())
    });
    echo(&mut client);
}

#[test]
fn reloads_from_everywhere_at_once_all_get_an_answer() {
    let (gateway, port) = start("");
    let mut client = gateway.connect(port);
    gateway.deploy_stamped(&libraries().echo, "1.0.0");

    let reloads = thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| gateway.reload())).collect();
        (0..8).for_each(|_| gateway.sighup());
        asking.into_iter().map(|thread| thread.join().expect("each gets an answer")).collect::<Vec<_>>()
    });

    for reload in &reloads {
        assert!(reload.ok && ["loaded", "unchanged"].contains(&&*reload.file(FILE).outcome), "{reload:?}");
        assert!(reload.file(FILE).version.as_ref().unwrap().starts_with("echo@1.0.0#"), "{reload:?}");
    }
    echo(&mut client);
}

#[test]
fn a_swap_every_ten_milliseconds_loses_nothing() {
    const BUILDS: usize = 6;
    /// So many are to serve, for as long as it takes within reason: what comes while a reload is under way is taken together.
    const SERVED: u64 = 8;
    const REASON: Duration = Duration::from_secs(60);
    let (gateway, port) = start("[component.echo]\nversions = { keep = 0 }\n");
    let builds: Vec<PathBuf> = (0..BUILDS).map(|build| gateway.scratch(&format!("build-{build}.so"))).collect();
    for (build, file) in builds.iter().enumerate() {
        stamp(&libraries().echo, file, &format!("1.0.{build}")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let over = AtomicBool::new(false);
    let (swaps, said) = thread::scope(|scope| {
        // Connections that stay, and a new one now and then.
        let talks = (0..4).map(|_| {
            scope.spawn(|| {
                let (mut client, mut said) = (gateway.connect(port), 0);
                while !over.load(Ordering::Relaxed) {
                    echo(&mut client);
                    said += 1;
                    if said % 100 == 0 {
                        echo(&mut gateway.connect(port));
                    }
                }
                said
            })
        });
        let talks: Vec<_> = talks.collect();
        let (mut swaps, begun) = (0, Instant::now());
        while swaps % 100 > 0 || gateway.status().count("version-active") < SERVED && begun.elapsed() < REASON {
            // Each is another link to a file that is there, so no copying makes it slower.
            let hidden = gateway.components().join(".next.so");
            fs::hard_link(&builds[swaps % BUILDS], &hidden).unwrap();
            fs::rename(hidden, gateway.components().join(FILE)).unwrap();
            gateway.sighup();
            thread::sleep(Duration::from_millis(10));
            swaps += 1;
        }
        over.store(true, Ordering::Relaxed);
        (swaps, talks.into_iter().map(|talk| talk.join().expect("nothing is lost")).sum::<u32>())
    });

    let last = format!("echo@1.0.{}", (swaps - 1) % BUILDS);
    settled(Some(last), || {
        let version = gateway.status().services.remove(0).version?;
        version.split_once('#').map(|(number, _)| number.to_owned())
    });
    // Of all that were, one is mapped.
    settled(1, || gateway.maps().len());
    let status = gateway.status();
    assert_eq!([status.count("version-lingers"), status.count("session-broken")], [0, 0]);
    assert!(said > 1000 && status.count("version-active") > 2, "{said}, {}", status.count("version-active"));
    println!("{swaps} files, {} of them served, {said} exchanges", status.count("version-active"));
}

fn start(more: &str) -> (Gateway, u16) {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!("[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n{more}"))
        .start();
    (gateway, port)
}

fn echo(client: &mut Client) {
    client.send(b"hello").unwrap();
    assert_eq!(client.read(5).unwrap(), b"hello");
}
