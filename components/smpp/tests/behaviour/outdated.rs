//! How long messages are kept.

use serde_json::json;

use crate::support::*;

#[test]
fn a_message_goes_once_it_was_kept_for_long_enough() {
    let mut config = config();
    config["keep"] = json!("5m");
    config["smsc"] = json!({ "receipt_after": "1s", "state": "UNDELIV" });
    for seed in 0..12 {
        for carries in [false, true] {
            println!("seed {seed}, carries {carries}");
            let mut esme = Esme::connect(&config, seed, carries, false);
            esme.bind(TRANSMITTER);
            let ids: Vec<String> = (2..40).map(|n| esme.ask(&submit(n, "hi", n as u8 % 2)).text()).collect();
            let mut keep = |seconds: u32| {
                for _ in 0..seconds / 20 {
                    esme.wait(SECOND * 20);
                    esme.ask(&pdu(ENQUIRE_LINK, 50, &[]));
                }
                drop(esme.heard());
                esme.messages().len()
            };
            assert_eq!(keep(280), ids.len());
            assert_eq!(keep(80), 0);
            assert_eq!(esme.ask(&query(60, &ids[0], "100")).status, RINVMSGID);
        }
    }
}
