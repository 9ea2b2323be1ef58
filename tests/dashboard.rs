//! The dashboard in headless Chromium, by keys and by mouse, while a version is tried, promoted, taken back and drained.

use support::{Browser, Esme, Gateway, Smsc, eventually, free_port, libraries, settled, target_directory};

const WORD: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn an_operator_sees_a_canary_come_promotes_it_goes_back_and_drains() {
    let [web, pinned, admin] = [free_port(), free_port(), free_port()];
    let builder = Gateway::builder().library(&libraries().http);
    let word = builder.scratch("word");
    std::fs::write(&word, WORD).unwrap();
    let text = format!(
        r#"
workers = 1
[admin]
listen = ["127.0.0.1:{admin}"]
token_file = {word:?}
[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{web}"]
config = {{ routes = [{{ path = "/", status = 200, body = "well" }}] }}
[service.pinned]
component = "http"
policy = "pin"
listen = ["tcp://127.0.0.1:{pinned}"]
config = {{ routes = [{{ path = "/", status = 200, body = "pinned" }}] }}
[component.http]
canary = {{ share = "50%" }}
[agreement.gold]
accounts = ["*"]
quota = {{ day = 1000 }}
"#
    );
    let gateway = builder.data("data").toml(&text).start();
    let pictures = target_directory("dashboard");
    std::fs::create_dir_all(&pictures).unwrap();
    let url = format!("http://127.0.0.1:{admin}/");
    let Some(mut browser) = Browser::start(&[&url, WORD, pictures.to_str().unwrap()]) else { return };

    browser.does("enter");
    browser.does("stage http@0.1.0 active");
    let mut clients: Vec<_> = (0..20).map(|_| gateway.connect(web)).collect();
    clients.iter_mut().for_each(|client| drop(client.get("/").unwrap()));
    browser.does("areas http 1");
    // How long they took is known though nobody keeps records.
    browser.does("cell http@0.1.0 exchanges failed = 0 of 20");
    browser.does("cell http@0.1.0 99 in 100 = 10 µs");
    // A canary comes by a reload that the operator asks for.
    gateway.deploy_stamped(&libraries().http, "1.1.0");
    browser.does("reload");
    browser.does("stage http@1.1.0 canary");
    browser.does("text #versions it takes 50 % of new sessions");
    browser.does("event version-tried");
    // Who thinks better of it changes nothing.
    browser.does("forsake Promote http@1.1.0");
    assert_eq!(gateway.status().numbers("http", "canary"), ["1.1.0"]);
    browser.does("press Promote http@1.1.0");
    browser.does("stage http@1.1.0 active");
    assert_eq!(gateway.status().numbers("http", "active"), ["1.1.0"]);
    clients.iter_mut().for_each(|client| drop(client.get("/").unwrap()));
    browser.does("areas http 2");
    browser.does("cell http@1.1.0 exchanges failed = 0 of 20");
    browser.does("choose exchanges");
    browser.does("areas http 2");
    browser.does("everybody");
    browser.does("press Roll http@1.1.0");
    browser.does("stage http@0.1.0 active");
    browser.does("text #versions it is withdrawn");
    browser.does("event version-rolled");
    eventually("they are back", || (gateway.status().numbers("http", "active") == ["0.1.0"]).then_some(()));
    // Who is to stay with the version that they began on does, until it is drained: of itself that is minutes later.
    let mut stays = gateway.connect(pinned);
    assert_eq!(stays.get("/").unwrap().text(), "pinned");
    gateway.deploy_stamped(&libraries().http, "1.2.0");
    browser.does("reload");
    browser.does("stage http@1.2.0 canary");
    browser.does("press Promote http@1.2.0");
    browser.does("stage http@0.1.0 draining");
    assert_eq!(stays.get("/").unwrap().text(), "pinned");
    browser.does("press Drain http@0.1.0");
    stays.closed().expect("its goodbye is a close in order");
    browser.does("event version-drained");
    browser.does("stage http@0.1.0 staged");
    // What is refused is there with its reason.
    std::fs::write(gateway.components().join("libbroken.so"), "no library").unwrap();
    browser.does("reload");
    browser.does("text #refusals libbroken.so");
    settled(true, || !gateway.reload().ok);
    browser.ends();
}

/// What is used of agreements, and what has become of what was accepted.
#[test]
fn an_operator_sees_what_is_used_and_what_is_pending() {
    let admin = free_port();
    let builder = Gateway::builder();
    let word = builder.scratch("word");
    std::fs::write(&word, WORD).unwrap();
    let rest = format!(
        "[admin]\nlisten = [\"127.0.0.1:{admin}\"]\ntoken_file = {word:?}\n\
         [agreement.gold]\naccounts = [\"acme\"]\nquota = {{ month = 1000 }}\n"
    );
    // Nobody listens where the messages are to go.
    let smsc = Smsc::start_with_messaging_by(builder, "carry", &["acme"], free_port(), &rest);
    let mut esme = Esme::bound(smsc.port, "acme");
    for text in ["one", "two", "three"] {
        esme.submit(text).unwrap();
        assert_eq!(esme.response().unwrap().status, 0, "{text}");
    }
    // What a worker has taken in advance of a quota and not used comes back.
    settled(vec![3, 3], || smsc.gateway.status().agreements.iter().map(|one| one.quotas[0].used).collect());
    let pictures = target_directory("dashboard-of-messages");
    std::fs::create_dir_all(&pictures).unwrap();
    let url = format!("http://127.0.0.1:{admin}/");
    let Some(mut browser) = Browser::start(&[&url, WORD, pictures.to_str().unwrap()]) else { return };
    browser.does("enter");
    browser.does("text #agreements gold");
    browser.does("text #agreements month 3 of 1,000");
    browser.does("balance in whole accepted = 3");
    browser.does("balance in parts pending = 3");
    browser.does("everybody");
    browser.ends();
}
