//! A component that ends the process is named by the next run: which version, for which service, in which event.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use support::{Client, Gateway, fixture, free_port};

#[test]
fn one_that_aborts_is_named() {
    is_named(b"abort\n", "SIGABRT, in the event `bytes` of session ");
}

#[test]
fn one_whose_stack_overflows_is_named() {
    // std, which handles the signal after us, aborts then; the first is what counts.
    is_named(b"overflow\n", "SIGSEGV, in the event `bytes` of session ");
}

#[test]
fn one_that_exits_is_named() {
    is_named(b"exit\n", "exit, in the event `bytes` of session ");
}

#[test]
fn one_that_is_ended_by_the_processor_or_the_kernel_is_named_with_the_signal() {
    let signals =
        [("SIGSEGV", libc::SIGSEGV), ("SIGBUS", libc::SIGBUS), ("SIGILL", libc::SIGILL), ("SIGFPE", libc::SIGFPE)];
    for (signal, number) in signals {
        let (mut gateway, port) = start("signals");
        let version = gateway.status().services[0].version.clone().unwrap();
        let mut client = gateway.connect(port);
        client.send(b"before\n").unwrap();
        assert_eq!(client.line().unwrap(), "before");
        client.send(format!("{signal}\n").as_bytes()).unwrap();
        // Whoever looks at the process, a supervisor say, sees the same end as without us.
        assert_eq!(gateway.ended(ENDED).signal(), Some(number));

        gateway.start_again();

        let status = gateway.status();
        let reason = status.notice("crashed").expect("it is said");
        let begins =
            format!("service.it {version}: the process was ended by it: {signal}, in the event `bytes` of session ");
        assert!(reason.starts_with(&begins), "{reason} instead of {begins}");
    }
}

#[test]
fn one_that_ends_the_process_in_whichever_entry_is_named_and_serves_no_more() {
    let entries = [
        ("start", "being started"),
        ("state", "resuming it of session "),
        ("resumed", "resuming it of session "),
        ("open", "opening it of session "),
        ("opened", "in the event `opened` of session "),
        ("stop", "being stopped"),
    ];
    for (entry, what) in entries {
        let port = free_port();
        let builder = Gateway::builder().toml(&format!(
            "workers = 1\n[service.it]\ncomponent = \"misbehaving-entries\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
             config = {{ ends = true, at = {{ \"2.0.0\" = \"{entry}\" }} }}\n\
             [component.misbehaving-entries]\nversions = {{ keep = {} }}\n",
            u8::from(entry != "stop")
        ));
        let first = builder.scratch("first.so");
        support::stamp(&fixture("entries"), &first, "1.0.0").unwrap();
        let mut gateway = builder.library_as(&first, "libmisbehaving_entries.so").start();
        let mut idle = gateway.connect(port);
        says(&mut idle, "1.0.0", "before");

        // The command may be cut off, as by a gateway that ends meanwhile; the session is carried, another comes, or the next version.
        gateway.deploy_stamped(&fixture("entries"), "2.0.0");
        gateway.tandem(&["reload"]);
        match entry {
            "open" | "opened" => drop(gateway.connect(port)),
            "stop" => {
                gateway.deploy_stamped(&fixture("entries"), "3.0.0");
                gateway.tandem(&["reload"]);
            }
            _ => {}
        }
        assert_eq!(gateway.ended(ENDED).signal(), Some(libc::SIGABRT), "{entry}");

        gateway.start_again();

        let status = gateway.status();
        let reason = status.notice("crashed").unwrap_or_else(|| panic!("{entry}: {status:?}"));
        let how = format!("the process was ended by it: SIGABRT, {what}");
        assert!(reason.contains("misbehaving-entries@2.0.0#") && reason.contains(&how), "{reason} instead of {how}");
        says(&mut gateway.connect(port), if entry == "stop" { "3.0.0" } else { "1.0.0" }, "again");
        // It is not tried again by the next reload or start either.
        gateway.tandem(&["reload"]);
        gateway.kill_and_start();
        says(&mut gateway.connect(port), if entry == "stop" { "3.0.0" } else { "1.0.0" }, "and again");
    }
}

fn says(line: &mut Client, version: &str, text: &str) {
    line.send(format!("{text}\n").as_bytes()).unwrap();
    assert_eq!(line.line().unwrap(), format!("{version} {text}"));
}

#[test]
fn one_whose_thread_local_ends_the_process_as_it_retires_is_named() {
    let (mut gateway, port) = start("careless");
    let version = gateway.status().services[0].version.clone().unwrap();
    let mut client = gateway.connect(port);
    client.send(b"thread-local that panics\n").unwrap();
    assert_eq!(client.line().unwrap(), "thread-local that panics");
    gateway.configure(|text| text + "[component.misbehaving-careless]\nversions = { keep = 0 }\n");
    gateway.deploy_stamped(&fixture("careless"), "1.0.0");
    gateway.tandem(&["reload"]);
    assert_eq!(gateway.ended(ENDED).signal(), Some(libc::SIGABRT));

    gateway.start_again();

    let status = gateway.status();
    let expected = format!("{version}: the process was ended by it: SIGABRT, running what it has left behind");
    assert_eq!(status.notice("crashed"), Some(expected.as_str()));
    assert!(status.services[0].version.as_ref().unwrap().contains("@1.0.0#"), "the next one serves");
}

#[test]
fn an_end_that_is_nobodys_names_nobody() {
    let (mut gateway, port) = start("careless");
    let _client = gateway.connect(port);
    gateway.stop(libc::SIGABRT, ENDED);
    gateway.start_again();
    let status = gateway.status();
    assert_eq!(status.notice("crashed"), Some("the process was ended, by no component's event: SIGABRT"));

    gateway.stop_and_start();
    assert_eq!(gateway.status().count("crashed"), 0, "it is said once");
    gateway.kill_and_start();
    assert_eq!(gateway.status().count("crashed"), 0, "who kills it is not of the process");
}

fn is_named(told: &[u8], how: &str) {
    let (mut gateway, port) = start("careless");
    // Of several instances it is the one whose code ran.
    gateway.swap(&fixture("careless"), "1.0.0");
    let version = gateway.status().services[0].version.clone().unwrap();
    let mut client: Client = gateway.connect(port);
    client.send(told).unwrap();
    gateway.ended(ENDED);

    gateway.start_again();

    let status = gateway.status();
    let reason = status.notice("crashed").expect("it is said");
    let begins = format!("service.it {version}: the process was ended by it: {how}");
    assert!(reason.starts_with(&begins), "{reason} instead of {begins}");
    // It serves no more, and the one before does, though its file was overwritten.
    let now = status.services[0].version.clone().unwrap();
    assert_ne!(now, version);
    let bad = |status: support::Status| status.versions.into_iter().find(|one| one.version == version).unwrap();
    assert_eq!(bad(status).stage, "quarantined");
    let mut client = gateway.connect(port);
    client.send(b"again\n").unwrap();
    assert_eq!(client.read(6).unwrap(), b"again\n");
    // Nor does it after another restart, or a reload.
    gateway.kill_and_start();
    assert!(!gateway.reload().ok);
    assert_eq!(gateway.status().services[0].version.as_ref(), Some(&now));
    assert!(gateway.tandem(&["promote", &version]).status.success());
    assert_eq!(gateway.status().services[0].version.as_ref(), Some(&version));
}

#[test]
fn one_that_no_other_stands_in_for_serves_on() {
    let (mut gateway, port) = start("careless");
    gateway.connect(port).send(b"abort\n").unwrap();
    gateway.ended(ENDED);
    gateway.start_again();
    assert_eq!(gateway.status().count("version-failing"), 1);
    let mut client = gateway.connect(port);
    client.send(b"again\n").unwrap();
    assert_eq!(client.read(6).unwrap(), b"again\n");
}

/// How long a process may take to end.
const ENDED: Duration = Duration::from_secs(20);

fn start(name: &str) -> (Gateway, u16) {
    let port = free_port();
    let text = format!(
        "workers = 1\n[service.it]\ncomponent = \"misbehaving-{name}\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n"
    );
    (Gateway::builder().library(&fixture(name)).toml(&text).start(), port)
}
