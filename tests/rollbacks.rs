//! From one version back to the one before: by an operator's word, and by itself where a version fails at work. Sessions go back with
//! their state, and what was decided holds across reloads and restarts.

use std::process::Output;

use support::{Client, Gateway, Reload, Version, eventually, fixture, free_port, settled};

const FILE: &str = "libmisbehaving_turncoat.so";
const NAME: &str = "misbehaving-turncoat";

#[test]
fn an_operator_goes_back_with_all_sessions_and_forward_again() {
    let mut place = Place::start("");
    let mut line = place.line();
    assert_eq!(line.says(), "1.0.0 1");
    place.swap("2.0.0");
    assert_eq!(line.says(), "2.0.0 2");

    let rolled = place.tandem(&["rollback", NAME]);
    assert!(rolled.status.success(), "{rolled:?}");
    assert_eq!((line.says(), place.line().says()), ("1.0.0 3".into(), "1.0.0 1".into()));
    assert!(place.gateway.status().count("version-rolled") == 1);

    // A reload leaves it so, and says why.
    let reload = place.gateway.reload();
    let file = reload.file(FILE);
    assert_eq!((reload.ok, file.outcome.as_str()), (true, "kept"), "{reload:?}");
    assert!(file.reason.as_ref().unwrap().contains("held (by `tandem rollback`)"), "{reload:?}");
    assert_eq!(line.says(), "1.0.0 4");
    // Twice is no further back.
    let again = place.tandem(&["rollback", NAME]);
    assert!(!again.status.success() && said(&again).contains("is held already"), "{again:?}");

    // So do a restart and a crash, though the file of that version was overwritten long ago.
    place.gateway.stop_and_start();
    assert_eq!(place.line().says(), "1.0.0 1");
    place.gateway.kill_and_start();
    assert_eq!(place.line().says(), "1.0.0 1");
    let withdrawn = place.version("2.0.0");
    assert_eq!(withdrawn.stage, "withdrawn");
    assert!(withdrawn.reason.unwrap().contains("held (by `tandem rollback`)"));

    let mut line = place.line();
    assert_eq!(line.says(), "1.0.0 1");
    let promoted = place.tandem(&["promote", NAME]);
    assert!(promoted.status.success(), "{promoted:?}");
    assert_eq!(line.says(), "2.0.0 2");
    place.gateway.stop_and_start();
    assert_eq!(place.line().says(), "2.0.0 1");
    // And back again, to what is on the shelf alone.
    let rolled = place.tandem(&["rollback", NAME, "--json"]);
    assert!(rolled.status.success(), "{rolled:?}");
    assert_eq!(place.line().says(), "1.0.0 1");
}

#[test]
fn what_is_held_is_held_until_the_files_change() {
    let place = Place::start("");
    let mut line = place.line();
    place.swap("2.0.0");
    place.swap("3.0.0");
    assert!(place.tandem(&["promote", &format!("{NAME}@2.0.0")]).status.success());
    assert_eq!(line.says(), "2.0.0 1");
    assert!(place.gateway.reload().ok);
    assert_eq!(line.says(), "2.0.0 2");
    place.swap("2.5.0");
    assert_eq!(line.says(), "2.5.0 3");
    assert_eq!(place.gateway.status().count("hold-ended"), 1);
    // What is no version of it, is not known, or has no way back is said.
    let rows = [
        (["promote", "misbehaving-turncoat@9.0.0"], "no version misbehaving-turncoat@9.0.0 is known; known are"),
        (["promote", "smtp"], "no version of `smtp` serves; those that serve are of misbehaving-turncoat"),
        (["rollback", "smtp"], "no version of `smtp` serves"),
        (["rollback", "misbehaving-turncoat@2.0.0"], "`tandem rollback misbehaving-turncoat` does that"),
    ];
    for (arguments, expected) in rows {
        let output = place.tandem(&arguments);
        assert!(!output.status.success() && said(&output).contains(expected), "{arguments:?}: {output:?}");
    }
    assert_eq!(line.says(), "2.5.0 4");
}

#[test]
fn what_the_configuration_names_is_not_overruled() {
    let place = Place::start("[component.misbehaving-turncoat]\nversion = \"1.0.0\"\n");
    let mut line = place.line();
    place.gateway.configure(|text| text.replace("\"1.0.0\"", "\"2.0.0\""));
    place.swap("2.0.0");
    assert_eq!(line.says(), "2.0.0 1");
    for arguments in [vec!["rollback", NAME], vec!["promote", "misbehaving-turncoat@1.0.0"]] {
        let output = place.tandem(&arguments);
        let reason = "version names 2.0.0; change it there, and reload";
        assert!(!output.status.success() && said(&output).contains(reason), "{arguments:?}: {output:?}");
    }
    assert_eq!(line.says(), "2.0.0 2");
}

#[test]
fn where_none_has_served_before_there_is_no_way_back() {
    let place = Place::start("");
    let output = place.tandem(&["rollback", NAME]);
    assert!(!output.status.success() && said(&output).contains("there to go back to"), "{output:?}");
    let place = Place::start("[component.misbehaving-turncoat]\nversions = { keep = 0 }\n");
    let mut line = place.line();
    place.swap("2.0.0");
    assert_eq!(line.says(), "2.0.0 1");
    let output = place.tandem(&["rollback", NAME]);
    assert!(!output.status.success() && said(&output).contains("versions.keep is 0"), "{output:?}");
}

#[test]
fn a_version_that_fails_is_taken_back_by_itself_with_the_sessions_that_were_carried_to_it() {
    for how in ["panics", "faults", "opens"] {
        let mut place = Place::start(&misbehaves("2.0.0", how));
        let mut idle: Vec<Line> = (0..20).map(|_| place.line()).collect();
        idle.iter_mut().for_each(|line| assert_eq!(line.says(), "1.0.0 1"));
        place.swap("2.0.0");
        let failed = place.until_taken_back(&place.version("2.0.0"));
        assert!((10..1000).contains(&failed), "{how}: {failed} failed");
        idle.iter_mut().for_each(|line| assert_eq!(line.says(), "1.0.0 2", "{how}"));

        let status = place.gateway.status();
        assert_eq!((status.count("version-quarantined"), status.count("version-rolled")), (1, 1), "{how}");
        let bad = || place.version("2.0.0");
        settled("quarantined".to_owned(), || bad().stage);
        assert!(bad().reason.unwrap().contains("failures of"), "{:?}", bad());
        let reason = refused(&place.gateway.reload());
        assert!(reason.contains("quarantined") && reason.contains("tandem promote"), "{reason}");
        place.gateway.kill_and_start();
        assert_eq!(place.line().says(), "1.0.0 1", "{how}");
        assert!(refused(&place.gateway.reload()).contains("quarantined"));

        // It changes: what it is now is tried.
        place.swap("2.0.1");
        assert_eq!(place.line().says(), "2.0.1 1");
    }
}

#[test]
fn an_operator_may_have_a_version_serve_again_that_has_failed() {
    let place = Place::start(&misbehaves("2.0.0", "panics"));
    place.swap("2.0.0");
    place.until_taken_back(&place.version("2.0.0"));
    let bad = place.version("2.0.0").version;
    let promoted = place.tandem(&["promote", &bad]);
    assert!(promoted.status.success(), "{promoted:?}");
    assert!(place.line().fails(), "as it did");
    place.until_taken_back(&place.version("2.0.0"));
    assert_eq!(place.gateway.status().count("version-quarantined"), 2);
    // What it was told to do it does no more.
    place.gateway.configure(|text| text.replace("\"panics\"", "\"refuses\""));
    assert!(!place.gateway.reload().ok, "it is quarantined still");
    assert!(place.tandem(&["promote", &bad]).status.success());
    assert_eq!(place.line().says(), "2.0.0 1");
}

#[test]
fn one_that_fails_seldom_serves_on_and_so_does_one_without_a_way_back() {
    let place = Place::start(&format!(
        "{}[component.misbehaving-turncoat]\nrollback = {{ failures = 2, share = \"50%\" }}\n",
        misbehaves("2.0.0", "seldom")
    ));
    place.swap("2.0.0");
    for _ in 0..3 {
        // A panic among so many sessions.
        (0..5).for_each(|_| assert_eq!(place.line().says(), "2.0.0 1"));
        let mut line = place.line();
        (1..100).for_each(|n| assert_eq!(line.says(), format!("2.0.0 {n}")));
        assert!(line.fails());
    }
    let status = place.gateway.status();
    assert_eq!((status.count("session-broken"), status.count("version-quarantined")), (3, 0));

    let place = Place::start(&misbehaves("1.0.0", "panics"));
    for _ in 0..12 {
        assert!(place.line().fails());
    }
    assert_eq!(place.gateway.status().count("version-quarantined"), 0);
}

#[test]
fn what_a_group_has_changed_together_goes_back_together() {
    let other = free_port();
    let place = Place::start(&format!(
        "together = [[\"misbehaving-turncoat\", \"echo\"]]\n{}[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{other}\"]\n",
        misbehaves("2.0.0", "panics")
    ));
    place.gateway.deploy_stamped(&support::libraries().echo, "7.0.0");
    place.swap("2.0.0");
    let serving = || {
        let versions = place.gateway.status().versions;
        let active = versions.into_iter().filter(|one| one.stage == "active").map(|one| one.number);
        active.collect::<Vec<_>>()
    };
    assert_eq!(serving(), ["7.0.0", "2.0.0"]);
    let bad = place.version("2.0.0");
    place.until_taken_back(&bad);
    let versions = serving();
    assert!(versions[0] != "7.0.0" && versions[1] == "1.0.0", "{versions:?}");
    // The one that has not failed is not quarantined: it comes with the next that its fellow can be.
    place.swap("2.0.1");
    assert_eq!(serving()[1], "2.0.1");
}

/// A configuration by which a version misbehaves.
fn misbehaves(version: &str, how: &str) -> String {
    format!("[service.it.config]\nmisbehaves = {{ \"{version}\" = \"{how}\" }}\n")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refused(reload: &Reload) -> String {
    assert!(!reload.ok, "{reload:?}");
    let file = reload.file(FILE);
    assert_eq!(file.outcome, "refused", "{reload:?}");
    file.reason.clone().unwrap_or_default()
}

struct Place {
    gateway: Gateway,
    port: u16,
}

impl Place {
    fn start(more: &str) -> Self {
        let port = free_port();
        let (above, below) = match more.starts_with("together") {
            true => more.split_once('\n').unwrap_or_default(),
            false => ("", more),
        };
        let text = format!(
            "{above}\nworkers = 2\n[service.it]\ncomponent = \"{NAME}\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n{below}"
        );
        let mut builder = Gateway::builder().toml(&text);
        if !above.is_empty() {
            builder = builder.library(&support::libraries().echo);
        }
        let first = builder.scratch("first.so");
        support::stamp(&fixture("turncoat"), &first, "1.0.0").unwrap();
        Place { gateway: builder.library_as(&first, FILE).start(), port }
    }

    fn swap(&self, version: &str) {
        self.gateway.swap(&fixture("turncoat"), version);
    }

    fn line(&self) -> Line {
        Line(self.gateway.connect(self.port))
    }

    fn tandem(&self, arguments: &[&str]) -> Output {
        self.gateway.tandem(arguments)
    }

    fn version(&self, number: &str) -> Version {
        let mut versions = self.gateway.status().versions.into_iter();
        versions.find(|one| one.number == number && one.component == NAME).unwrap()
    }

    /// Says lines on new connections until this version serves no more. How many failed.
    fn until_taken_back(&self, bad: &Version) -> usize {
        let mut failed = 0;
        eventually("it is taken back", || {
            failed += usize::from(self.line().fails());
            let versions = self.gateway.status().versions;
            versions.iter().all(|one| one.version != bad.version || one.stage != "active").then_some(failed)
        })
    }
}

struct Line(Client);

impl Line {
    #[track_caller]
    fn says(&mut self) -> String {
        self.0.send(b"line\n").unwrap();
        self.0.line().unwrap()
    }

    fn fails(&mut self) -> bool {
        self.0.send(b"line\n").is_err() || self.0.line().is_err()
    }
}
