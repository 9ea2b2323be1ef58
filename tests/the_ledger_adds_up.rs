//! `tandem status --ledger`: accepted = delivered + rejected + expired + cancelled + pending, by the version that has accepted, and an
//! alarm where that is not so. (That it adds up under traffic, swaps and kills is looked at where there is such traffic.)

use support::{Balance, Esme, Gateway, Smsc, Sums, eventually, free_port, libraries, rewrite, settled};

/// Nobody listens there.
fn no_smsc() -> u16 {
    free_port()
}

/// Sends a text that takes three parts.
fn send_long(gateway: &Gateway, port: u16) {
    let body = serde_json::json!({ "from": "100", "to": "200", "text": "x".repeat(400) }).to_string();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWNtZTpzZWNyZXQ=\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = gateway.connect(port);
    client.send(format!("{head}{body}").as_bytes()).unwrap();
    let answer = client.answer("POST").unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn pending(count: i64) -> Sums {
    Sums { accepted: count, pending: count, ..Sums::default() }
}

#[test]
fn each_version_answers_for_what_it_has_accepted_in_whole_and_in_parts() {
    let port = free_port();
    let rest = format!("[service.rest]\ncomponent = \"rest\"\nlisten = [\"tcp://127.0.0.1:{port}\"]");
    let rest = format!("{rest}\nconfig.submit_to = \"messages\"");
    let builder = Gateway::builder().library(&libraries().rest);
    let mut smsc = Smsc::start_with_messaging_by(builder, "carry", &["acme"], no_smsc(), &rest);
    let mut esme = Esme::bound(smsc.port, "acme");
    for text in ["one", "two", "three"] {
        esme.submit(text).unwrap();
        assert_eq!(esme.response().unwrap().status, 0, "{text}");
    }
    smsc.gateway.swap(&libraries().messaging, "1.0.1");
    send_long(&smsc.gateway, port);

    let versions = |balances: Vec<Balance>| -> Vec<(Sums, Sums)> {
        balances.into_iter().map(|balance| (balance.whole, balance.parts)).collect()
    };
    let expected = vec![(pending(3), pending(3)), (pending(1), pending(3))];
    settled(expected.clone(), || versions(smsc.gateway.ledger()));
    smsc.gateway.kill_and_start();
    settled(expected, || versions(smsc.gateway.ledger()));

    let said = smsc.gateway.tandem(&["status", "--ledger"]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.contains("  in parts") && text.contains("all of messaging") && text.contains("it adds up"), "{text}");
}

#[test]
fn what_is_missing_raises_an_alarm_once_and_ends_the_command_with_1() {
    let smsc = Smsc::start_with_messaging("carry", &["acme"], no_smsc(), "");
    let mut esme = Esme::bound(smsc.port, "acme");
    for text in ["one", "two"] {
        esme.submit(text).unwrap();
        assert_eq!(esme.response().unwrap().status, 0, "{text}");
    }
    settled(pending(2), || smsc.gateway.ledger_in_all());
    assert_eq!(smsc.gateway.status().count("ledger-unbalanced"), 0);

    let by_hand = |sql: &str| {
        let store = rusqlite::Connection::open(smsc.gateway.scratch("data/store.sqlite")).unwrap();
        store.busy_timeout(support::PATIENCE).unwrap();
        store.execute(sql, []).unwrap()
    };
    let accepted = "UPDATE \"messaging.totals\" SET accepted = accepted";
    assert_eq!(by_hand(&format!("{accepted} + 1")), 1);
    for _ in 0..2 {
        let said = smsc.gateway.tandem(&["status", "--ledger"]);
        let text = String::from_utf8(said.stdout).unwrap();
        assert_eq!(said.status.code(), Some(1), "{text}");
        assert!(text.contains("it does NOT add up"), "{text}");
        assert!(text.contains("accepted 3 = ") && text.contains("pending 2, and 1 missing"), "{text}");
    }
    let status = smsc.gateway.status();
    assert_eq!(status.count("ledger-unbalanced"), 1, "{status:?}");
    assert!(status.notice("ledger-unbalanced").unwrap().contains("and 1 missing"), "{status:?}");

    // The host looks by itself as well: a while after each publication.
    assert_eq!(by_hand(&format!("{accepted} + 1")), 1);
    smsc.gateway.swap(&libraries().messaging, "1.0.1");
    let alarm =
        || smsc.gateway.status().notice("ledger-unbalanced").filter(|last| last.contains("2 missing")).map(|_| ());
    eventually("an alarm that nobody has asked for", alarm);

    assert_eq!(by_hand(&format!("{accepted} - 2")), 1);
    settled(pending(2), || smsc.gateway.ledger_in_all());
    assert_eq!(smsc.gateway.status().count("ledger-unbalanced"), 2);
}

#[test]
fn a_ledger_that_cannot_be_read_is_refused_with_what_it_lacks() {
    let smsc = Smsc::start_with_messaging("carry", &["acme"], no_smsc(), "");
    let bad = smsc.gateway.scratch("bad.so");
    let no_column = |manifest: &mut serde_json::Value| {
        manifest["version"] = "9.0.0".into();
        manifest["ledger"]["phase"] = "stage".into();
    };
    rewrite(&libraries().messaging, &bad, no_column).unwrap();
    smsc.gateway.deploy(&bad, "messaging.so");
    let reload = smsc.gateway.reload();
    let reason = reload.file("messaging.so").reason.as_deref().unwrap_or_default();
    assert!(
        reason.contains("table `messages`, column `stage`: the ledger needs it, and it is not declared"),
        "{reload:?}"
    );
    assert_eq!(smsc.gateway.ledger_in_all(), Sums::default());
}
