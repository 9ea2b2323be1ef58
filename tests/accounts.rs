//! Who is on the other side is known by an account's secret, which the configuration has or `tandem account` has added: what is
//! changed holds at once, a question is answered whatever happens meanwhile, and no traffic waits for one.

use std::io::Write;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHasher, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use support::{Client, Gateway, doorkeeper, free_port, ledger, libraries, relabel, settled};

#[test]
fn a_secret_is_right_or_wrong_and_a_name_that_is_none_is_no_other_answer() {
    let place = Place::start(&account("acme", &hashed("correct-horse", USUAL), ""));
    let mut session = place.connect();
    for _ in 0..2 {
        session.says("login 1 acme correct-horse", "1 welcome acme");
        session.says("login 2 acme battery-staple", "2 no");
        session.says("login 3 nobody correct-horse", "3 no");
        session.says("login 4 acme", "4 no");
    }
    let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
    for n in 0..7 {
        wrong.push(session.takes(&format!("login 1 acme wrong-{n}"), "1 no"));
        unknown.push(session.takes(&format!("login 1 nobody-{n} wrong"), "1 no"));
    }
    let (wrong, unknown) = (median(wrong), median(unknown));
    assert!(unknown > wrong / 4 && wrong > unknown / 4, "a wrong secret takes {wrong:?}, a wrong name {unknown:?}");

    let status = place.gateway.status();
    assert_eq!(status.count("authentication-failed"), 6 + 14);
    let said = status.notice("authentication-failed").unwrap();
    assert!(
        said.starts_with("service.door: 127.0.0.1:") && said.contains("account \"nobody-6\": there is no"),
        "{said}"
    );
    let log = place.gateway.log();
    assert!(log.contains("account \"acme\": the secret is another"), "{log}");
    for secret in ["correct-horse", "battery-staple", "wrong-3", "$argon2id$v"] {
        assert!(!log.contains(secret) && !format!("{status:?}").contains(secret), "{secret}");
    }
}

#[test]
fn an_account_that_is_added_is_there_at_once_and_after_a_crash_and_one_that_is_removed_is_not() {
    let mut place = Place::start("");
    place.says(&["list", "--json"], "[]");
    place.connect().says("login 1 acme secret", "1 no");
    place.add("acme", "secret", &[], "added acme");
    place.add("other", "its own", &["--services", "side"], "added other");
    place.connect().says("login 1 acme secret", "1 welcome acme");
    let list = "ACCOUNT                  FROM           SERVICES\n\
                acme                     command        all\n\
                other                    command        side";
    place.says(&["list"], list);
    let schema = place.gateway.tandem(&["status", "--schema"]);
    assert!(
        String::from_utf8_lossy(&schema.stdout).contains("tandem@"),
        "the host's own tables are in the history: {schema:?}"
    );

    place.gateway.kill_and_start();

    let mut session = place.connect();
    session.says("login 1 acme secret", "1 welcome acme");
    session.says("login 2 acme other", "2 no");
    place.says(&["list"], list);
    place.add("acme", "another", &["--replace"], "replaced acme");
    session.says("login 3 acme secret", "3 no");
    session.says("login 4 acme another", "4 welcome acme");
    place.says(&["remove", "acme"], "removed acme");
    session.says("login 5 acme another", "5 no");
    place.connect().says("login 6 acme another", "6 no");
    place.gateway.kill_and_start();
    place.connect().says("login 7 acme another", "7 no");
}

#[test]
fn a_reload_changes_what_the_configuration_has() {
    let (before, after) = (hashed("before", USUAL), hashed("after", USUAL));
    let place = Place::start(&account("acme", &before, ""));
    let mut session = place.connect();
    session.says("login 1 acme before", "1 welcome acme");

    place.gateway.configure(|text| text.replace(&before, &after));
    assert!(place.gateway.reload().ok);

    session.says("login 2 acme before", "2 no");
    session.says("login 3 acme after", "3 welcome acme");
    place.gateway.configure(|text| text.replace("[account.acme]", "[account.else]"));
    assert!(place.gateway.reload().ok);
    session.says("login 4 acme after", "4 no");
    session.says("login 5 else after", "5 welcome else");
}

#[test]
fn a_secret_that_is_not_hashed_is_refused_and_not_repeated() {
    let hash = hashed("secret", USUAL);
    let place = Place::start(&account("acme", &hash, ""));
    place.gateway.configure(|text| text.replace(&hash, "hunter2"));

    let reload = place.gateway.reload();

    let error = reload.error.unwrap();
    assert!(error.contains("`tandem account hash`") && error.contains("tandem.toml:"), "{error}");
    let check = place.gateway.tandem(&["check"]);
    assert!(!check.status.success() && !format!("{check:?}{error}").contains("hunter2"), "{check:?}");
    assert!(!place.gateway.log().contains("hunter2"));
    place.connect().says("login 1 acme secret", "1 welcome acme");
}

#[test]
fn what_the_command_may_not_do_is_said() {
    let place = Place::start(&account("acme", &hashed("secret", USUAL), ""));
    place.add("there", "secret", &[], "added there");
    let rows: [(&[&str], &str, &str); 9] = [
        (&["add", "acme"], "x", "`acme` is the configuration's; change [account.acme] there, and reload"),
        (&["remove", "acme"], "", "`acme` is the configuration's"),
        (&["add", "there"], "x", "`there` is there already; with --replace"),
        (&["add", "new", "--replace"], "x", "`new`: there is none to replace"),
        (&["remove", "new"], "", "`new`: there is none"),
        (&["add", "new", "--services", "door,x"], "x", "there is no service `x`; there are `door`, `side`"),
        (&["add", "a b"], "x", "an account's name"),
        (&["add", "new"], "\n", "the secret is empty"),
        (&["add", "new"], &"x".repeat(5000), "longer than 1024 bytes"),
    ];
    for (arguments, secret, reason) in rows {
        let output = place.account(arguments, secret);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(reason), "{arguments:?}: {output:?}");
    }
    let list = r#"[{"name":"acme","from":"configuration","services":null,"suspended":false},{"name":"there","from":"command","services":null,"suspended":false}]"#;
    place.says(&["list", "--json"], list);
}

#[test]
fn what_the_command_hashes_is_what_the_configuration_takes() {
    let hash = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&libraries().tandem);
        command.args(["account", "hash"]).args(arguments);
        text(&with_input(command, "a secret with spaces\r\n"))
    };
    let json: serde_json::Value = serde_json::from_str(&hash(&["--json"])).unwrap();
    for hash in [hash(&[]), json["secret"].as_str().unwrap().to_owned()] {
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let place = Place::start(&account("acme", &hash, ""));
        place.connect().says("login 1 acme a secret with spaces", "1 welcome acme");
    }
}

#[test]
fn the_configurations_account_holds_where_the_command_has_added_one_of_that_name() {
    let place = Place::start("");
    place.add("acme", "added", &[], "added acme");
    let mut session = place.connect();
    session.says("login 1 acme added", "1 welcome acme");
    place.gateway.configure(|text| text + &account("acme", &hashed("configured", USUAL), ""));
    assert!(place.gateway.reload().ok);

    session.says("login 2 acme added", "2 no");
    session.says("login 3 acme configured", "3 welcome acme");
    place.says(&["list", "--json"], r#"[{"name":"acme","from":"configuration","services":null,"suspended":false}]"#);
}

#[test]
fn an_account_uses_the_services_that_it_may_use() {
    let place = Place::start(&account("acme", &hashed("secret", USUAL), "services = [\"side\"]"));
    let (mut door, mut side) = (place.connect(), place.connect_to(place.side));
    side.says("login 1 acme secret", "1 welcome acme");
    side.says("login 2 acme wrong", "2 no");
    door.says("login 3 acme secret", "3 no");
    let said = place.gateway.status().notice("authentication-failed").unwrap().to_owned();
    assert!(
        said.contains("service.door: ") && said.ends_with("account \"acme\": it may not use this service"),
        "{said}"
    );
    // The right secret was verified before, which is not to be seen.
    let away: Vec<Duration> = (0..5).map(|_| door.takes("login 4 acme secret", "4 no")).collect();
    let wrong: Vec<Duration> = (0..5).map(|n| door.takes(&format!("login 5 acme {n}"), "5 no")).collect();
    let (away, wrong) = (median(away), median(wrong));
    assert!(away > wrong / 4, "{away:?} where a wrong secret takes {wrong:?}");
}

#[test]
fn two_hundred_at_once_are_all_answered_and_traffic_goes_on() {
    const ACCOUNTS: usize = 20;
    const EACH: usize = 10;
    let secret = |n: usize| format!("secret-{n}");
    let accounts: String = (0..ACCOUNTS).map(|n| account(&format!("a{n}"), &hashed(&secret(n), USUAL), "")).collect();
    let place = Place::start(&accounts);
    // Of one account all secrets are right but one, so that they share verifications.
    let mut sessions: Vec<(Line, usize, bool)> =
        (0..ACCOUNTS * EACH).map(|n| (place.connect(), n % ACCOUNTS, n >= ACCOUNTS)).collect();
    let mut pinging = place.connect();
    pinging.says("ping", "pong");
    let begun = Instant::now();
    for (session, n, right) in &mut sessions {
        let secret = if *right { secret(*n) } else { "wrong".to_owned() };
        session.send(&format!("login {n} a{n} {secret}"));
    }
    let answers = thread::spawn(move || {
        for (session, n, right) in &mut sessions {
            let expected = if *right { format!("{n} welcome a{n}") } else { format!("{n} no") };
            assert_eq!(session.line(), expected);
        }
        (begun.elapsed(), sessions)
    });
    let mut pings = Vec::new();
    while !answers.is_finished() {
        pings.push(pinging.takes("ping", "pong"));
    }
    let (took, mut sessions) = answers.join().unwrap();
    let (count, longest) = (pings.len(), *pings.iter().max().unwrap());
    println!("{} answers in {took:?}, {count} pings, the longest {longest:?}", ACCOUNTS * EACH);
    // Two verifications of each account; on the worker, so many pings would fit in between.
    assert!(count > 4 * ACCOUNTS && median(pings) < took / 40, "{count} pings in {took:?}");

    // The second time is at once: nothing is verified.
    let begun = Instant::now();
    for (session, n, _) in &mut sessions {
        session.says(&format!("login {n} a{n} {}", secret(*n)), &format!("{n} welcome a{n}"));
    }
    assert!(begun.elapsed() < took, "{:?} the second time, {took:?} the first", begun.elapsed());
}

#[test]
fn who_tries_many_secrets_of_one_account_keeps_no_other_waiting() {
    let accounts = account("tried", &hashed("secret", USUAL), "") + &account("acme", &hashed("secret", USUAL), "");
    let place = Place::start(&accounts);
    let (mut trying, mut other) = (place.connect(), place.connect());
    let lines: String = (0..60).map(|n| format!("login {n} tried guess-{n}\n")).collect();
    trying.0.send(lines.as_bytes()).unwrap();
    other.says("login 1 acme secret", "1 welcome acme");
    let answers: Vec<String> = (0..60).map(|_| trying.line()).collect();
    let away = answers.iter().filter(|answer| answer.ends_with(" later")).count();
    assert!(
        away >= 20 && answers.iter().all(|answer| answer.ends_with(" later") || answer.ends_with(" no")),
        "{answers:?}"
    );
    let said = place.gateway.status().notice("authentication-put-off").unwrap().to_owned();
    assert!(said.contains("account \"tried\": 8 other secrets of this account wait"), "{said}");
    trying.says("login 1 tried secret", "1 welcome tried");
}

#[test]
fn a_question_outlives_a_swap() {
    for policy in ["carry", "renew", "pin"] {
        let place = Place::start_with(policy, &account("slow", &hashed("secret", SLOW), ""));
        let in_the_middle = (2..10).any(|major| {
            let mut session = place.connect();
            let here = session.asks("version");
            // A wrong secret, since a right one is known the second time.
            session.send("login 1 slow wrong");
            session.send(&format!("login 2 slow wrong-{major}"));
            place.gateway.swap(&doorkeeper(), &format!("{major}.0.0"));
            session.send("version");
            let mut said: Vec<String> = (0..3).map(|_| session.line()).collect();
            let version = said.iter().position(|line| line.contains('@')).unwrap();
            assert_eq!(said.remove(version) == here, policy == "pin", "{policy}: {here}");
            said.sort_unstable();
            assert_eq!(said, ["1 no", "2 no"], "{policy}");
            version == 0
        });
        assert!(in_the_middle, "{policy}: no swap came before its answers");
        place.connect().says("login 3 slow secret", "3 welcome slow");
    }
}

#[test]
fn a_question_that_is_taken_back_is_not_answered_and_who_has_gone_is_noticed() {
    let place = Place::start(&account("slow", &hashed("secret", SLOW), ""));
    let mut session = place.connect();
    session.send("login 1 slow secret");
    session.says("forget 1", "1 forgotten");
    session.says("login 2 slow secret", "2 welcome slow");
    session.says("ping", "pong");
    let mut gone = place.connect();
    gone.send("login 3 slow wrong");
    drop(gone);
    settled(1, || place.gateway.status().count("authentication-failed"));
    session.says("ping", "pong");
}

#[test]
fn an_account_that_is_suspended_is_told_so_with_its_secret_and_is_admitted_nothing() {
    let place = Place::start("[agreement.gold]\naccounts = [\"acme\"]\nconcurrent = 5\n");
    place.add("acme", "secret", &[], "added acme");
    let mut session = place.connect();
    session.says("login 1 acme secret", "1 welcome acme");
    session.says("hold 2 acme", "2 admitted");
    session.says("admit 3 other", "3 admitted");

    place.says(&["suspend", "acme"], "suspended acme");

    // Its session stays, with what it holds, and gets nothing new.
    session.says("admit 4 acme", "4 refused suspended");
    session.says("done 2", "2 done");
    session.says("hold 5 acme", "5 refused suspended");
    session.says("admit 6 other", "6 admitted");
    let mut another = place.connect();
    for _ in 0..2 {
        another.says("login 1 acme secret", "1 suspended acme");
        another.says("login 2 acme wrong", "2 no");
    }
    let said = place.gateway.status().notice("authentication-failed").unwrap().to_owned();
    assert!(said.ends_with("account \"acme\": the secret is another"), "{said}");
    assert!(place.gateway.log().contains("account \"acme\": it is suspended"));
    let list = "ACCOUNT                  FROM           SERVICES\n\
                acme                     command        all (suspended)";
    place.says(&["list"], list);
    let mut place = place;
    place.gateway.kill_and_start();
    let mut session = place.connect();
    session.says("login 1 acme secret", "1 suspended acme");
    session.says("admit 2 acme", "2 refused suspended");
    place.add("acme", "another", &["--replace"], "replaced acme");
    session.says("login 3 acme another", "3 suspended acme");

    place.says(&["resume", "acme"], "resumed acme");

    session.says("login 4 acme another", "4 welcome acme");
    session.says("admit 5 acme", "5 admitted");
    let output = place.account(&["suspend", "nobody"], "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("`nobody`: there is none"), "{output:?}");
    // The configuration's is suspended there.
    place.gateway.configure(|text| text + &account("its", &hashed("own", USUAL), "suspended = true"));
    assert!(place.gateway.reload().ok);
    session.says("login 6 its own", "6 suspended its");
    session.says("admit 7 its", "7 refused suspended");
    let output = place.account(&["resume", "its"], "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("is the configuration's"), "{output:?}");
}

#[test]
fn a_session_of_an_account_that_was_removed_is_admitted_nothing_more() {
    let place = Place::start(&account("its", &hashed("own", USUAL), ""));
    place.add("acme", "secret", &[], "added acme");
    let mut session = place.connect();
    session.says("login 1 acme secret", "1 welcome acme");
    session.says("hold 2 acme", "2 admitted");
    session.says("admit 3 its", "3 admitted");
    session.says("admit 4 nobody", "4 admitted");

    place.says(&["remove", "acme"], "removed acme");
    place.gateway.configure(|text| text.replace("[account.its]", "[account.another]"));
    assert!(place.gateway.reload().ok);

    session.says("admit 5 acme", "5 refused suspended");
    session.says("admit 6 its", "6 refused suspended");
    session.says("admit 7 nobody", "7 admitted");
    session.says("done 2", "2 done");
    let said = place.gateway.status().notice("agreement-refused").unwrap().to_owned();
    assert!(said.contains("account \"its\": it was removed"), "{said}");
    place.add("acme", "another", &[], "added acme");
    session.says("admit 8 acme", "8 admitted");
}

#[test]
fn another_secret_leaves_the_rest_of_an_account() {
    let place = Place::start("");
    place.add("acme", "secret", &["--services", "door"], "added acme");
    let output = place.account(&["passwd", "acme"], "another\n");
    assert_eq!(text(&output), "changed acme");
    let mut session = place.connect();
    session.says("login 1 acme secret", "1 no");
    session.says("login 2 acme another", "2 welcome acme");
    place.says(&["list", "--json"], r#"[{"name":"acme","from":"command","services":["door"],"suspended":false}]"#);
    let output = place.account(&["passwd", "nobody"], "x");
    assert!(String::from_utf8_lossy(&output.stderr).contains("`nobody`: there is none"), "{output:?}");
}

#[test]
fn wrong_secrets_are_limited_and_a_right_one_is_not_looked_at_meanwhile() {
    let accounts = account("acme", &hashed("secret", USUAL), "") + &account("other", &hashed("secret", USUAL), "");
    let limits = "[attempts]\nboth = { of = 3, per = \"1h\" }\naddress = { of = 5, per = \"1h\" }\n";
    let place = Place::start(&(accounts + limits));
    let mut session = place.connect();
    session.says("login 1 acme secret", "1 welcome acme");
    for n in 0..3 {
        session.says(&format!("login 2 acme guess-{n}"), "2 no");
    }
    // Right or wrong, known or not: nobody can tell.
    for secret in ["guess-3", "secret"] {
        let said = session.asks(&format!("login 3 acme {secret}"));
        let seconds: u64 = said.strip_prefix("3 in ").unwrap().parse().unwrap();
        assert!((1100..=1200).contains(&seconds), "{said}");
    }
    let said = place.gateway.status().notice("authentication-put-off").unwrap().to_owned();
    assert!(said.ends_with("account \"acme\": too many wrong secrets were tried"), "{said}");
    session.says("login 4 other secret", "4 welcome other");
    session.says("login 5 nobody guess", "5 no");
    session.says("login 6 noone guess", "6 no");
    assert!(session.asks("login 7 other secret").starts_with("7 in "), "the address has tried five");
    place.gateway.configure(|text| text.replace("per = \"1h\"", "per = \"1h\", burst = 50"));
    assert!(place.gateway.reload().ok);
    session.says("login 8 other secret", "8 welcome other");
    session.says("login 9 acme secret", "9 welcome acme");
}

#[test]
fn accounts_that_cannot_be_read_are_a_temporary_error() {
    let place = Place::start("");
    place.add("acme", "secret", &[], "added acme");
    let mut session = place.connect();
    session.says("login 1 acme secret", "1 welcome acme");
    let store = rusqlite::Connection::open(place.gateway.scratch("data/store.sqlite")).unwrap();
    store.execute(r#"UPDATE "tandem.accounts" SET secret = 'secret'"#, []).unwrap();

    session.says("login 2 acme secret", "2 later");

    let said = place.gateway.status().notice("authentication-put-off").unwrap().to_owned();
    assert!(said.contains("accounts cannot be read: the table of accounts, row \"acme\""), "{said}");
    session.says("login 3 nobody secret", "3 no");
    let list = place.account(&["list"], "");
    assert!(String::from_utf8_lossy(&list.stderr).contains("row \"acme\""), "{list:?}");
    place.says(&["remove", "acme"], "removed acme");
    session.says("login 4 acme secret", "4 no");
}

#[test]
fn no_component_has_the_name_and_the_tables_of_the_host() {
    let place = Place::start("");
    let own = place.gateway.components().join("libown.so");
    relabel(&ledger(None), &own, "tandem", "1.0.0").unwrap();

    let reload = place.gateway.reload();

    let file = reload.file("libown.so");
    let reason = file.reason.as_deref().unwrap_or_default();
    assert!(file.outcome == "refused" && reason.contains("the tables of `tandem` are the host's own"), "{reload:?}");
    // One without tables may serve: those of the host are not ones that it has dropped.
    place.add("acme", "secret", &[], "added acme");
    relabel(&doorkeeper(), &own, "tandem", "9.0.0").unwrap();
    let service = format!("[service.own]\ncomponent = \"tandem\"\nlisten = [\"tcp://127.0.0.1:{}\"]\n", free_port());
    place.gateway.configure(|text| text + &service);
    let reload = place.gateway.reload();
    assert!(reload.ok, "{reload:?}");
}

/// What hashes cost: memory in KiB, and passes. What is usual …
const USUAL: (u32, u32) = (19 * 1024, 2);
/// … and what takes longer than a reload, or nearly.
const SLOW: (u32, u32) = (64 * 1024, 10);

/// What stands for a secret in the configuration.
fn hashed(secret: &str, (memory, passes): (u32, u32)) -> String {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory, passes, 1, None).unwrap());
    let hash: PasswordHash = argon2.hash_password(secret.as_bytes()).unwrap();
    hash.to_string()
}

fn account(name: &str, hash: &str, more: &str) -> String {
    format!("[account.{name}]\nsecret = \"{hash}\"\n{more}\n")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn with_input(mut command: std::process::Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tandem can be run");
    // It may have refused before it has read.
    let _ = child.stdin.take().expect("it was asked for").write_all(input.as_bytes());
    child.wait_with_output().expect("the child is ours")
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap().trim_end().to_owned()
}

/// A gateway with two services of the doorkeeper, on one worker.
struct Place {
    gateway: Gateway,
    door: u16,
    side: u16,
}

impl Place {
    fn start(accounts: &str) -> Self {
        Place::start_with("carry", accounts)
    }

    fn start_with(policy: &str, accounts: &str) -> Self {
        let (door, side) = (free_port(), free_port());
        let service = |name: &str, port: u16| {
            format!(
                "[service.{name}]\ncomponent = \"doorkeeper\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\npolicy = \"{policy}\"\n"
            )
        };
        let limits = "attempts = { both = { of = 1000, per = \"1m\" }, account = { of = 1000, per = \"1m\" }, \
             address = { of = 1000, per = \"1m\" } }\n";
        let limits = if accounts.contains("[attempts]") { "" } else { limits };
        let services = format!("workers = 1\n{limits}{}{}", service("door", door), service("side", side));
        let gateway = Gateway::builder().toml(&services).toml(accounts).library(&doorkeeper()).start();
        Place { gateway, door, side }
    }

    fn connect(&self) -> Line {
        self.connect_to(self.door)
    }

    fn connect_to(&self, port: u16) -> Line {
        Line(self.gateway.connect(port))
    }

    /// `tandem account`
    fn account(&self, arguments: &[&str], input: &str) -> Output {
        with_input(self.gateway.command(&[&["account"], arguments].concat()), input)
    }

    #[track_caller]
    fn says(&self, arguments: &[&str], answer: &str) {
        assert_eq!(text(&self.account(arguments, "")), answer, "{arguments:?}");
    }

    #[track_caller]
    fn add(&self, name: &str, secret: &str, more: &[&str], answer: &str) {
        let output = self.account(&[&["add", name], more].concat(), &format!("{secret}\n"));
        assert_eq!(text(&output), answer);
    }
}

struct Line(Client);

impl Line {
    fn send(&mut self, line: &str) {
        self.0.send(format!("{line}\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn line(&mut self) -> String {
        self.0.line().unwrap()
    }

    #[track_caller]
    fn asks(&mut self, line: &str) -> String {
        self.send(line);
        self.line()
    }

    #[track_caller]
    fn says(&mut self, line: &str, answer: &str) {
        assert_eq!(self.asks(line), answer, "to {line:?}");
    }

    #[track_caller]
    fn takes(&mut self, line: &str, answer: &str) -> Duration {
        let begun = Instant::now();
        self.says(line, answer);
        begun.elapsed()
    }
}
