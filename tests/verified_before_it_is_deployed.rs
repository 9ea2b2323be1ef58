//! `tandem verify`: whether a version can take over from another, before anybody deploys it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use support::{Client, Gateway, fixture, free_port, ledger, relabel, rewrite, stamp};

const TURNCOAT: &str = "misbehaving-turncoat";

#[test]
fn sessions_that_were_recorded_are_resumed_by_the_version_that_is_to_follow() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&fixture("turncoat"))
        .toml(&format!(
            "[service.lines]\ncomponent = \"{TURNCOAT}\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\npolicy = \"carry\"\n\
             [service.lines.config]\nmisbehaves = {{ \"2.0.0\" = \"refuses\" }}\n"
        ))
        .start();
    let mut clients: Vec<Client> = (0..3).map(|_| gateway.connect(port)).collect();
    for client in &mut clients {
        client.send(b"one\n").unwrap();
        client.line().unwrap();
    }
    let file = gateway.scratch("states.json");
    let recorded = gateway.tandem(&["sessions", TURNCOAT, "--record", file.to_str().unwrap()]);
    assert_eq!(recorded.status.code(), Some(0), "{recorded:?}");
    assert!(!text(&recorded).contains("opening"), "what is in them is nobody's to read over a shoulder: {recorded:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // They go on where they are, and know nothing of it.
    for client in &mut clients {
        client.send(b"two\n").unwrap();
        assert!(client.line().unwrap().contains(" 2"), "it has counted");
    }

    let old = gateway.components().join(fixture("turncoat").file_name().unwrap());
    let verify = |number: &str| {
        let new = stamped(&gateway, number);
        let states = file.to_str().unwrap();
        gateway.tandem(&["verify", old.to_str().unwrap(), new.to_str().unwrap(), "--states", states])
    };
    let good = verify("1.0.0");
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    assert!(text(&good).contains("3 of 3 recorded sessions go on with it"), "{good:?}");
    assert!(text(&good).contains(&format!("{TURNCOAT}@1.0.0#")) && text(&good).contains(" can take over from "));
    let bad = verify("2.0.0");
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    assert!(text(&bad).contains("0 of 3 recorded sessions go on"), "{bad:?}");
    assert_eq!(text(&bad).matches("that was recorded of service.lines does not go on: ").count(), 3, "{bad:?}");
    assert!(text(&bad).contains(" cannot take over from "), "{bad:?}");

    // Nothing of it was deployed.
    assert_eq!(gateway.status().numbers(TURNCOAT, "active"), ["0.1.0"]);
    let another = gateway.tandem(&[
        "verify",
        stamped(&gateway, "3.0.0").to_str().unwrap(),
        stamped(&gateway, "3.1.0").to_str().unwrap(),
        "--states",
        file.to_str().unwrap(),
    ]);
    let said = String::from_utf8_lossy(&another.stderr).into_owned();
    assert!(
        another.status.code() == Some(1) && said.contains(&format!("it has no session of {TURNCOAT}@3.0.0#")),
        "{said}"
    );
    assert!(said.contains(&format!("it has of {TURNCOAT}@0.1.0#")), "{said}");
}

#[test]
fn what_does_not_fit_is_named_with_the_way_out() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let first = at("first.so");
    stamp(&ledger(None), &first, "1.0.0").unwrap();
    let configuration = at("tandem.toml");
    let text =
        "[service.ledger]\ncomponent = \"ledger\"\nlisten = [\"tcp://127.0.0.1:7\"]\n[examination]\naltered = true\n";
    fs::write(&configuration, text).unwrap();
    let verify = |new: &Path| {
        let json = tandem(&["verify", first.to_str().unwrap(), new.to_str().unwrap(), "--json"], &configuration);
        let said: Value = serde_json::from_slice(&json.stdout).unwrap_or_else(|_| panic!("{json:?}"));
        assert_eq!(json.status.code(), Some(i32::from(said["ok"] != true)), "{said}");
        said
    };
    let finds = |new: &Path, reason: &str| {
        let said = verify(new);
        let findings = said["findings"].as_array().unwrap();
        assert!(findings.iter().any(|finding| finding.as_str().unwrap().contains(reason)), "{reason}: {said}");
    };

    let good = at("good.so");
    stamp(&ledger(None), &good, "1.1.0").unwrap();
    let said = verify(&good);
    assert_eq!((&said["ok"], &said["findings"]), (&json!(true), &json!([])), "{said}");
    assert!(said["facts"].to_string().contains("it starts with the configuration of 1 services"), "{said}");

    let lower = at("lower.so");
    stamp(&ledger(None), &lower, "0.9.0").unwrap();
    finds(&lower, "its number 0.9.0 is below 1.0.0, and the highest one serves; raise `version` in its Cargo.toml");
    let other = at("other.so");
    relabel(&ledger(None), &other, "journal", "1.1.0").unwrap();
    finds(&other, "it is `journal`, and the other one is `ledger`");
    let dropped = at("dropped.so");
    rewrite(&ledger(None), &dropped, |manifest| {
        manifest["version"] = json!("1.1.0");
        manifest["tables"][0]["columns"].as_array_mut().unwrap().pop();
    })
    .unwrap();
    finds(&dropped, "table `");
    let broken = at("broken.so");
    fs::write(&broken, b"\x7fELF and nothing else").unwrap();
    let refused = tandem(&["verify", first.to_str().unwrap(), broken.to_str().unwrap()], &configuration);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("broken.so"), "{refused:?}");
    let crashes = at("crashes.so");
    relabel(&fixture("crashes"), &crashes, "ledger", "1.1.0").unwrap();
    finds(&crashes, "the library killed its examination");
}

fn stamped(gateway: &Gateway, number: &str) -> PathBuf {
    let file = gateway.scratch(&format!("{number}.so"));
    stamp(&fixture("turncoat"), &file, number).unwrap();
    file
}

fn tandem(arguments: &[&str], configuration: &Path) -> Output {
    let mut command = std::process::Command::new(&support::libraries().tandem);
    command.args(arguments).arg("--config").arg(configuration).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
