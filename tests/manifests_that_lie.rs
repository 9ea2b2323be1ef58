//! A library that says of itself what is not so is refused where that can be seen, with what is wrong; where it cannot, the lie harms
//! nobody but the sessions that run it, and there is a way back.

use serde_json::{Value, json};
use support::{Client, Gateway, eventually, fixture, free_port, libraries, rewrite, settled};

const NAME: &str = "misbehaving-entries";
const FILE: &str = "libmisbehaving_entries.so";

/// What is changed in a manifest, and what the refusal says.
type Row = (&'static str, Value, &'static str);

#[test]
fn a_lie_that_can_be_seen_is_refused_with_what_is_wrong() {
    let column = |name: &str, kind: &str| json!({"name": name, "kind": kind});
    let table = |key: &str, columns: Value| json!([{"name": "notes", "key": [key], "columns": columns}]);
    let ledger =
        json!({"totals": "a", "rows": "b", "version": "c", "more": "d", "uncertain": "e", "phase": "f", "pending": []});
    let rows: Vec<Row> = vec![
        // Its name, and its version.
        ("/name", json!("Entries"), "its name `Entries` is not a component's name: it takes a-z"),
        ("/name", json!("../echo"), "its name `../echo` is not a component's name"),
        ("/name", json!(7), "its Tandem manifest is not readable: invalid type"),
        ("/version", json!("9"), "its Tandem manifest is not readable: unexpected end of input"),
        ("/version", json!("9.0.0.0"), "its Tandem manifest is not readable: unexpected character"),
        // The revision of the API, and the form.
        ("/api", json!(8), "is built against API revision 8, and this host speaks up to 7; upgrade the host first"),
        ("/api", json!(0), "is built against API revision 0, and this host speaks 1 and later; build it again"),
        ("/api", json!(5), "its code has API revision 7, and its manifest says 5; build it again"),
        ("/api", json!(1), "its code has API revision 7, and its manifest says 1; build it again"),
        ("/tandem", json!(2), "its Tandem manifest has form 2, and this host reads form 1"),
        // What becomes of its sessions.
        ("/policy", json!("stay"), "its Tandem manifest is not readable: unknown variant `stay`"),
        ("/then", json!("many"), "its Tandem manifest is not readable: invalid type"),
        // Its tables.
        ("/tables", table("no", json!([column("id", "integer")])), "table `notes`"),
        ("/tables", table("id", json!([column("id", "number")])), "table `notes`, column `id`"),
        (
            "/tables",
            table("id", json!([column("id", "integer"), column("id", "integer")])),
            "table `notes`, column `id`",
        ),
        ("/tables", table("id", json!([column("a b", "integer")])), "table `notes`"),
        ("/tables", table("id", json!([column("id", "text")])), "table `notes`, column `id`"),
        ("/tables", table("id", json!([])), "table `notes`"),
        ("/ledger", ledger, "`a`"),
    ];
    let place = Place::start();
    let mut bystander = place.line();
    says(&mut bystander, "1.0.0", "before");
    for (key, value, reason) in rows {
        let lie = value.to_string();
        place.deploy(|manifest| {
            manifest["version"] = json!("2.0.0");
            let key = key.trim_start_matches('/');
            if key == "ledger" {
                // There is not room for all.
                manifest["tables"] = json!([]);
            }
            manifest[key] = value;
        });

        let reload = place.gateway.reload();

        let file = reload.file(FILE);
        assert!(!reload.ok && file.outcome == "refused", "{key} = {lie}: {reload:?}");
        let said = file.reason.clone().unwrap();
        assert!(said.contains(reason) && said.lines().count() == 1, "{key} = {lie}: {said}");
        says(&mut bystander, "1.0.0", "as before");
    }
    // And what is no manifest at all.
    for text in ["", "{", "[]", "null", "{\"tandem\":1}", "{\"tandem\":18446744073709551616}"] {
        place.deploy_text(text);
        let file = place.gateway.reload();
        let file = file.file(FILE);
        assert!(file.outcome == "refused", "{text}: {file:?}");
        let said = file.reason.clone().unwrap();
        assert!(said.contains("its Tandem manifest is not readable"), "{text}: {said}");
    }
    says(&mut bystander, "1.0.0", "in the end");
    // What was the truth serves on, also as another version of itself.
    place.deploy(|manifest| manifest["version"] = json!("2.0.0"));
    assert!(place.gateway.reload().ok);
    says(&mut bystander, "2.0.0", "on the next one");
}

#[test]
fn one_that_hides_its_tables_writes_nothing_and_harms_nobody() {
    let place = Place::start_with(|manifest| {
        manifest["tables"] = json!([]);
        // A `Then` that it does not have, and residents that it knows nothing of.
        manifest["then"] = json!(["Nonsense"]);
        manifest["resident"] = json!(true);
    });
    let mut before = place.line();
    says(&mut before, "1.0.0", "before");
    for (operation, count) in ["row", "rows", "changed", "store-failed"].into_iter().zip(1..) {
        let mut line = place.line();
        line.send(format!("do {operation}\n").as_bytes()).unwrap();
        assert_eq!(line.line().unwrap(), "sorry", "{operation}");
        line.closed().unwrap();
        settled(count, || place.gateway.status().count("session-broken"));
        let status = place.gateway.status();
        let told = status.notice("session-broken").unwrap();
        assert!(told.contains(&format!("service.lines {NAME}@1.0.0#")) && told.contains("notes"), "{told}");
    }
    says(&mut before, "1.0.0", "still here");
    // One that says the truth has them, with the same sessions.
    place.deploy(|manifest| manifest["version"] = json!("2.0.0"));
    assert!(place.gateway.reload().ok);
    says(&mut before, "2.0.0", "on the next one");
    before.send(b"do changed\nand on\n").unwrap();
    assert_eq!(before.line().unwrap(), "2.0.0 and on");
    settled("retired".to_owned(), || place.stage("1.0.0"));
    // Now that they are there, nobody hides them any more.
    place.deploy(|manifest| {
        manifest["version"] = json!("3.0.0");
        manifest["tables"] = json!([]);
    });
    let reload = place.gateway.reload();
    let reason = reload.file(FILE).reason.clone().unwrap_or_default();
    assert!(!reload.ok && reason.contains("this one has dropped it"), "{reload:?}");
}

#[test]
fn one_that_says_it_is_another_component_gets_none_of_its_sessions_and_goes_back() {
    let place = Place::start();
    let mut echo = place.gateway.connect(place.echo);
    echoes(&mut echo, "before");
    let impostor = place.gateway.scratch("impostor.so");
    rewrite(&fixture("entries"), &impostor, |manifest| {
        manifest["name"] = json!("echo");
        manifest["version"] = json!("9.0.0");
    })
    .unwrap();
    place.gateway.deploy(&impostor, "impostor.so");
    let reload = place.gateway.reload();
    assert!(reload.ok, "nothing of it can be seen to be another: {reload:?}");

    // Who was there is there.
    echoes(&mut echo, "after");
    let told = eventually("it is told", || place.gateway.status().notice("move-refused").map(str::to_owned));
    assert!(told.contains("cannot resume the state at session"), "{told}");
    // Who comes is its, until somebody looks, or it fails.
    says(&mut place.gateway.connect(place.echo), "9.0.0", "anything");
    let rolled = place.gateway.tandem(&["rollback", "echo"]);
    assert!(rolled.status.success(), "{rolled:?}");
    echoes(&mut place.gateway.connect(place.echo), "as it was");
    echoes(&mut echo, "at last");
}

fn echoes(line: &mut Client, text: &str) {
    line.send(format!("{text}\n").as_bytes()).unwrap();
    assert_eq!(line.line().unwrap(), text);
}

#[track_caller]
fn says(line: &mut Client, version: &str, text: &str) {
    line.send(format!("{text}\n").as_bytes()).unwrap();
    assert_eq!(line.line().unwrap(), format!("{version} {text}"));
}

struct Place {
    gateway: Gateway,
    lines: u16,
    echo: u16,
}

impl Place {
    fn start() -> Self {
        Place::start_with(|_| ())
    }

    /// With such a first version, 1.0.0.
    fn start_with(change: impl FnOnce(&mut Value)) -> Self {
        let (lines, echo) = (free_port(), free_port());
        let builder = Gateway::builder().library(&libraries().echo).toml(&format!(
            r#"
workers = 1
[service.lines]
component = "{NAME}"
listen = ["tcp://127.0.0.1:{lines}"]
[service.lines.config]
at = {{}}
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{echo}"]
[component.{NAME}]
versions = {{ keep = 0 }}
rollback = {{ failures = 1000 }}
"#
        ));
        let first = builder.scratch("first.so");
        rewrite(&fixture("entries"), &first, |manifest| {
            manifest["version"] = json!("1.0.0");
            change(manifest);
        })
        .unwrap();
        Place { gateway: builder.library_as(&first, FILE).start(), lines, echo }
    }

    fn line(&self) -> Client {
        self.gateway.connect(self.lines)
    }

    fn deploy(&self, change: impl FnOnce(&mut Value)) {
        let lie = self.gateway.scratch("lie.so");
        rewrite(&fixture("entries"), &lie, change).unwrap();
        self.gateway.deploy(&lie, FILE);
    }

    /// With this in the place of its manifest.
    fn deploy_text(&self, text: &str) {
        let mut library = std::fs::read(fixture("entries")).unwrap();
        let at = library.windows(9).position(|bytes| bytes == b"{\"tandem\"").unwrap();
        let length = library[at..].iter().position(|byte| *byte == b'\n' || *byte == 0).unwrap();
        library[at..at + length].fill(b' ');
        library[at..at + text.len()].copy_from_slice(text.as_bytes());
        support::link(&mut library).unwrap();
        let lie = self.gateway.scratch("lie.so");
        std::fs::write(&lie, library).unwrap();
        self.gateway.deploy(&lie, FILE);
    }

    fn stage(&self, number: &str) -> String {
        let versions = self.gateway.status().versions;
        versions.into_iter().find(|one| one.number == number && one.component == NAME).unwrap().stage
    }
}
