//! The Debian package, in a root directory of its own: installed, started as its unit does, upgraded under traffic, removed and purged.
//!
//! Its scripts run without that directory as their root (`dpkg --force-script-chrootless`), so that nothing of the machine is changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use support::{Client, free_port, libraries, loopback, settled, stamp};

#[test]
fn it_is_installed_started_upgraded_removed_and_purged() {
    let wants = ["dpkg-deb", "dpkg-shlibdeps", "systemd-sysusers", "deb-systemd-helper", "setpriv"];
    if !wants.into_iter().all(has) || !is_root() {
        println!(
            "skipped: the Debian package is made and installed by root with dpkg-dev, systemd and init-system-helpers"
        );
        return;
    }
    let mut root = Root::new();
    let first = root.build("1.0.0", |_| {});
    if has("lintian") {
        // But for what is so for speed here alone.
        let fast = "uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball";
        let mut lintian = Command::new("lintian");
        lintian.args(["--fail-on", "error,warning", "--allow-root", "--suppress-tags", fast]).arg(&first);
        let read = lintian.output().unwrap();
        assert!(read.status.success(), "{}", text_of(&read));
    } else {
        println!("skipped: lintian is not installed: nobody reads the package");
    }
    let installed = root.dpkg(&["--install", first.to_str().unwrap()]);
    assert!(installed.status.success(), "{installed:?}");

    // Its user owns the data and nothing that it loads code from.
    let (user, group) = root.user();
    let mode = |path: &str| {
        let found = fs::metadata(root.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        (found.uid(), found.gid(), found.mode() & 0o7777)
    };
    assert_eq!(mode("var/lib/tandem"), (user, group, 0o700));
    assert_eq!(mode("etc/tandem/tandem.toml"), (0, group, 0o640));
    assert_eq!(mode("usr/lib/tandem/components"), (0, 0, 0o755));
    assert_eq!(mode("usr/lib/tandem/components/libtandem_http.so"), (0, 0, 0o644));
    for path in [
        "usr/lib/systemd/system/tandem.service",
        "usr/share/man/man1/tandem-run.1.gz",
        "usr/share/bash-completion/completions/tandem",
        "usr/share/zsh/vendor-completions/_tandem",
        "usr/share/fish/vendor_completions.d/tandem.fish",
        "usr/share/doc/tandem/copyright",
        "usr/share/doc/tandem/docs/configuration.md",
    ] {
        assert!(root.path(path).is_file(), "{path}");
    }
    // What is linked, with the texts that come with it.
    let others = Command::new("zcat").arg(root.path("usr/share/doc/tandem/third-party.gz")).output().unwrap();
    let others = String::from_utf8_lossy(&others.stdout).into_owned();
    for said in ["\ntokio 1.", "\nrusqlite 0.", ": Apache-2.0", "Permission is hereby granted, free of charge"] {
        assert!(others.contains(said), "{said}: {} letters", others.len());
    }
    assert!(!others.contains("\ntempfile "), "what only tests want is in no program");

    // The configuration that comes with it, with this root's paths and a free port.
    let port = free_port();
    let file = root.path("etc/tandem/tandem.toml");
    let text = fs::read_to_string(&file).unwrap();
    let here = root.directory.path().display();
    let text =
        ["usr", "var"].iter().fold(text, |text, top| text.replace(&format!("\"/{top}/"), &format!("\"{here}/{top}/")));
    let text = text.replace(":8081", &format!(":{port}"));
    fs::write(&file, text).unwrap();
    root.start();
    settled(true, || Client::try_connect(loopback(port)).is_ok());
    let mut client = Client::connect(loopback(port));
    let built = served_by(&mut client);

    assert_ne!(built, "9.1.0");

    // Another version of a component, and nothing else: the connection and the process are the same.
    let second = root.build("1.1.0", |built| restamp(built, "9.1.0"));
    let upgraded = root.dpkg(&["--install", second.to_str().unwrap()]);
    let said = text_of(&upgraded);
    assert!(upgraded.status.success() && said.contains("the host has not changed"), "{said}");
    assert!(said.contains("libtandem_http.so: loaded http@9.1.0#"), "it says what became of each: {said}");
    assert_eq!(served_by(&mut client), "9.1.0", "the same connection runs on the new version");
    assert!(fs::read_to_string(&file).unwrap().contains(&port.to_string()), "what an operator has written stays");

    // One that is refused fails no upgrade, and what served serves on.
    let third = root.build("1.2.0", |built| replace(&built.join("libtandem_http.so"), b"no library"));
    let refused = root.dpkg(&["--install", third.to_str().unwrap()]);
    assert!(refused.status.success() && text_of(&refused).contains("not all was taken"), "{refused:?}");
    assert_eq!(served_by(&mut client), "9.1.0");

    // Another package brings a component of its own, and takes it away again.
    let other = root.other_package("libtandem_http_local.so", "9.2.0");
    let extended = root.dpkg(&["--install", other.to_str().unwrap()]);
    assert!(text_of(&extended).contains("libtandem_http_local.so: loaded http@9.2.0#"), "{extended:?}");
    assert_eq!(served_by(&mut client), "9.2.0");

    // Another host: that is said, and the process is left alone where no systemd would restart it.
    let fourth = root.build("1.3.0", |built| {
        let mut host = fs::read(built.join("tandem")).unwrap();
        host.extend_from_slice(b"another");
        replace(&built.join("tandem"), &host);
        fs::set_permissions(built.join("tandem"), Permissions::from_mode(0o755)).unwrap();
    });
    let upgraded = root.dpkg(&["--install", fourth.to_str().unwrap()]);
    assert!(text_of(&upgraded).contains("the host itself has changed"), "{upgraded:?}");
    assert_eq!(served_by(&mut client), "9.2.0");

    // Removed, it is stopped, and what it has kept stays; purged, nothing is left.
    assert!(root.dpkg(&["--remove", "tandem-local", "tandem"]).status.success());
    assert!(root.gateway.as_mut().unwrap().wait().unwrap().success(), "it has ended in order");
    assert!(root.path("var/lib/tandem/shelf").is_dir() && file.is_file() && !root.path("usr/bin/tandem").exists());
    assert!(root.dpkg(&["--purge", "tandem"]).status.success());
    for path in ["var/lib/tandem", "var/log/tandem", "etc/tandem", "usr/lib/tandem"] {
        assert!(!root.path(path).exists(), "{path} is left");
    }
}

/// A directory that stands for a machine's root directory.
struct Root {
    directory: tempfile::TempDir,
    gateway: Option<Child>,
}

impl Root {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The gateway's user goes through it.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let root = Root { directory, gateway: None };
        for path in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc", "packages"] {
            fs::create_dir_all(root.path(path)).unwrap();
        }
        // What it depends on is the machine's. It is said to be there, since dpkg runs no trigger of a package that lacks something.
        let there = |name: &str| {
            format!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: {}\nVersion: 999\nMaintainer: nobody <nobody@example.org>\nDescription: there\n\n",
                architecture()
            )
        };
        let there: String = ["libc6", "libgcc-s1", "init-system-helpers", "systemd"].into_iter().map(there).collect();
        fs::write(root.path("var/lib/dpkg/status"), there).unwrap();
        fs::write(root.path("var/lib/dpkg/available"), "").unwrap();
        root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// A package of this version, with what `change` makes of the gateway and its components.
    fn build(&self, version: &str, change: impl FnOnce(&Path)) -> PathBuf {
        let built = self.path(&format!("built-{version}"));
        fs::create_dir(&built).unwrap();
        for file in [&libraries().tandem, &libraries().http, &libraries().echo] {
            fs::hard_link(file, built.join(file.file_name().unwrap()))
                .or_else(|_| fs::copy(file, built.join(file.file_name().unwrap())).map(drop))
                .unwrap();
        }
        change(&built);
        let to = self.path("packages");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/package");
        let options = ["--version", version, "--compression", "none", "--built"];
        let output = Command::new(script).args(options).arg(&built).arg("--to").arg(&to).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    }

    /// A package that has a version of `http` as a file of this name, and nothing else.
    fn other_package(&self, name: &str, version: &str) -> PathBuf {
        let (tree, package) = (self.path("local"), self.path("packages/local.deb"));
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::create_dir_all(tree.join("usr/lib/tandem/components")).unwrap();
        let control = "Package: tandem-local\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: local\n";
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        let library = tree.join("usr/lib/tandem/components").join(name);
        stamp(&libraries().http, &library, version).unwrap();
        fs::set_permissions(&library, Permissions::from_mode(0o644)).unwrap();
        let built = Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "--build"])
            .arg(&tree)
            .arg(&package)
            .output();
        assert!(built.unwrap().status.success());
        package
    }

    fn dpkg(&self, arguments: &[&str]) -> Output {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", self.directory.path().display()));
        dpkg.args(["--force-script-chrootless", "--force-confold"]).args(arguments);
        dpkg.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).output().unwrap()
    }

    fn user(&self) -> (u32, u32) {
        let passwd = fs::read_to_string(self.path("etc/passwd")).unwrap();
        let line = passwd.lines().find(|line| line.starts_with("tandem:")).expect("the package has a user of its own");
        let fields: Vec<&str> = line.split(':').collect();
        (fields[2].parse().unwrap(), fields[3].parse().unwrap())
    }

    /// Starts it as the unit does: the same command, the same user, the same mask.
    fn start(&mut self) {
        let unit = fs::read_to_string(self.path("usr/lib/systemd/system/tandem.service")).unwrap();
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let at = |word: &str| {
            if word.starts_with('/') { format!("{}{word}", self.directory.path().display()) } else { word.to_owned() }
        };
        let words: Vec<String> = line.split(' ').map(at).collect();
        let (user, group) = self.user();
        let log = fs::File::create(self.path("log")).unwrap();
        let child = Command::new("setpriv")
            .args([
                format!("--reuid={user}"),
                format!("--regid={group}"),
                "--clear-groups".to_owned(),
                "--pdeathsig=KILL".to_owned(),
            ])
            .args(["sh", "-c", "umask 077; exec \"$@\"", "sh"])
            .args(words)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn();
        self.gateway = Some(child.unwrap());
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Some(gateway) = &mut self.gateway {
            // It may have ended already.
            let _ = gateway.kill();
            let _ = gateway.wait();
        }
        if std::thread::panicking() {
            println!("--- the gateway's log ---\n{}", fs::read_to_string(self.path("log")).unwrap_or_default());
        }
    }
}

/// What was there is a link to what cargo has built, which stays.
fn replace(path: &Path, content: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
}

/// Puts another version of `http` in the place of the one that was built.
fn restamp(built: &Path, version: &str) {
    let library = built.join("libtandem_http.so");
    fs::remove_file(&library).unwrap();
    stamp(&libraries().http, &library, version).unwrap();
}

fn served_by(client: &mut Client) -> String {
    client.get("/").unwrap().served_by().to_owned()
}

fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn architecture() -> String {
    let said = Command::new("dpkg").arg("--print-architecture").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}
