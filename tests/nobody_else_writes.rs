//! Where others than the host's user could put a library, or change what the host keeps, it does not start, and a reload
//! changes nothing; it says who could, where, and by which command that ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{Client, Gateway, Signer, free_port, libraries};

const FILE: &str = "libtandem_echo.so";

fn echo(port: u16) -> String {
    format!("[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n")
}

fn start() -> (Gateway, Client) {
    let port = free_port();
    let gateway = Gateway::builder().library(&libraries().echo).toml(&echo(port)).start();
    let client = gateway.connect(port);
    (gateway, client)
}

fn echoes(client: &mut Client) {
    client.send(b"hello").unwrap();
    assert_eq!(client.read(5).unwrap(), b"hello");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Does what the text says between back quotes, as an operator would.
fn mend(text: &str) {
    let command = text.split('`').find(|part| part.starts_with("chmod go-w ")).expect("it says what to do");
    let done = std::process::Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(done.success(), "{command}");
}

#[test]
fn a_reload_changes_nothing_until_it_is_mended() {
    let (gateway, mut client) = start();
    let root = gateway.scratch(".").canonicalize().unwrap();
    let copy = fs::read_dir(root.join("data/shelf")).unwrap().map(|entry| entry.unwrap().path());
    let copy = copy.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "so")).unwrap();
    let places = [
        (root.join("components"), 0o775, "components: "),
        (root.join("components"), 0o757, "components: "),
        // Where everybody may put files of his own, but not touch those of others: it is enough for a library.
        (root.join("components"), 0o1777, "components: "),
        (root.clone(), 0o720, "data: "),
        (root.join("data"), 0o770, "data: "),
        (root.join("data/shelf"), 0o702, "data: "),
        (root.join("data/store.sqlite"), 0o660, "data: "),
        (copy, 0o600 | 0o020, "data: "),
    ];
    for (path, exposed, key) in places {
        gateway.deploy_stamped(&libraries().echo, "1.0.0");
        let (before, publication) = (mode(&path), gateway.status().publication);
        set_mode(&path, exposed);

        let checked = gateway.tandem(&["check"]);
        let reload = gateway.reload();

        let error = reload.error.as_ref().unwrap_or_else(|| panic!("{}: {reload:?}", path.display()));
        println!("{error}");
        assert!(error.starts_with(key), "{error}");
        assert!(error.contains(&format!("{} has mode {exposed:04o}", path.display())), "{error}");
        assert_eq!((reload.code, reload.publication, error.lines().count()), (Some(1), publication, 1));
        assert_eq!(checked.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&checked.stdout).contains(error), "{checked:?}");
        let status = gateway.status();
        assert!(status.notice("reload-refused").is_some_and(|last| last.contains(error)), "{status:?}");
        echoes(&mut client);

        mend(error);
        assert_eq!(mode(&path) & 0o022, 0);
        let reload = gateway.reload();
        assert!(reload.ok, "{reload:?}");
        echoes(&mut client);
        set_mode(&path, before);
    }
}

#[test]
fn a_library_that_others_can_write_to_is_refused_alone() {
    let (gateway, mut client) = start();
    let file = gateway.components().join(FILE);
    let serves = gateway.status().services[0].version.clone();
    gateway.deploy_stamped(&libraries().echo, "1.0.0");
    for exposed in [0o664, 0o646] {
        set_mode(&file, exposed);

        let reload = gateway.reload();

        let reason = reload.file(FILE).reason.clone().unwrap();
        assert_eq!(reload.file(FILE).outcome, "refused", "{reload:?}");
        assert!(reason.contains(&format!("has mode {exposed:04o}")), "{reason}");
        assert_eq!(gateway.status().services[0].version, serves);
        echoes(&mut client);
        mend(&reason);
    }
    assert_eq!(gateway.reload().file(FILE).outcome, "loaded");

    // A link is as good as what it leads to, and leads through.
    let elsewhere = gateway.scratch("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(&file, elsewhere.join(FILE)).unwrap();
    std::os::unix::fs::symlink(elsewhere.join(FILE), &file).unwrap();
    set_mode(&elsewhere, 0o777);
    let reload = gateway.reload();
    assert!(reload.file(FILE).reason.as_ref().is_some_and(|reason| reason.contains("elsewhere has mode 0777")));
    set_mode(&elsewhere, 0o755);
    assert!(gateway.reload().ok);
}

#[test]
fn it_does_not_start_there() {
    let exposes = |place: &str, exposed: u32| {
        let builder = Gateway::builder().library(&libraries().echo);
        let place = builder.scratch(place);
        fs::create_dir_all(&place).unwrap();
        set_mode(&place, exposed);
        let failed = builder.toml(&echo(free_port())).start_in_vain();
        let place = place.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(failed.status.code(), Some(1), "{}", failed.log);
        assert!(failed.log.contains(&format!("/{place} has mode {exposed:04o}")), "{}", failed.log);
        assert!(failed.log.contains("chmod go-w "), "{}", failed.log);
    };
    exposes("components", 0o775);
    exposes("data", 0o777);
    exposes("data/shelf", 0o770);
}

#[test]
fn the_file_that_names_the_keys_is_held_to_the_same() {
    let (gateway, mut client) = start();
    set_mode(&gateway.file(), 0o664);
    assert!(gateway.reload().ok, "without keys it is the operator's to say who configures");

    let signer = Signer::new();
    signer.sign(&gateway.components().join(FILE));
    gateway.configure(|text| format!("trust = [{:?}]\n{text}", signer.key()));
    let reload = gateway.reload();

    let error = reload.error.expect("who can write to it can name a key");
    assert!(error.starts_with("trust: ") && error.contains("tandem.toml has mode 0664"), "{error}");
    echoes(&mut client);
    mend(&error);
    assert!(gateway.reload().ok);
}

#[test]
fn what_the_host_makes_itself_is_nobody_else_s_whatever_its_mask() {
    let builder = Gateway::builder().library(&libraries().echo).umask(0);
    let gateway = builder.toml(&echo(free_port())).start();
    assert!(gateway.reload().ok);
    for name in ["data", "data/shelf", "data/store.sqlite", "data/store.sqlite-wal", "data/store.sqlite-shm"] {
        assert_eq!(mode(&gateway.scratch(name)) & 0o077, 0, "{name}");
    }
}
