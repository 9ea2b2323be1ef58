//! That the reference tells of each key.

#[path = "../../../tests/support/reference.rs"]
mod told;

use serde_json::json;

#[test]
fn each_key_is_told_of_as_it_is() {
    let rate = json!({ "of": 10, "per": "1m" });
    let whole = json!({
        "service": { "web": {
            "component": "http", "listen": [{ "address": "tcp://127.0.0.1:8080", "proxy_protocol": { "from": ["10.0.0.0/8"] } }], "records": { "file": "f" }, "bindings": {},
            "reconnect": {}, "connect_tls": {},
        } },
        "tls": { "public": { "certificates": [{ "certificate": "c", "key": "k" }] } },
        "upstream": { "app": { "servers": ["tcp://127.0.0.1:9000"], "eject": {}, "tls": {} } },
        "account": { "acme": {
            "secret": "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        } },
        "attempts": { "both": rate, "account": rate, "address": rate },
        "agreement": { "gold": { "rate": rate, "quota": {} } },
        "component": { "http": { "versions": {}, "rollback": {}, "memory": {}, "canary": {} } },
        "traces": { "endpoint": "http://127.0.0.1:4318" },
        "admin": {},
        "overrun": {},
        "examination": {},
    });
    told::check::<super::Config>("The gateway", &whole);
}
