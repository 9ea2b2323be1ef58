//! How much may be unanswered.

use serde_json::json;

use crate::support::*;

#[test]
fn a_whole_window_is_answered_in_order() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        let window: Vec<u8> = (2..102).flat_map(|n| submit(n, "hi", 0)).collect();
        esme.say(&window);
        let heard: Vec<_> = esme.heard().iter().map(|pdu| (pdu.id, pdu.status, pdu.sequence)).collect();
        assert_eq!(heard, (2..102).map(|n| (SUBMIT_SM | RESP, 0, n)).collect::<Vec<_>>());
        assert_eq!(esme.messages().len(), 100);
    });
}

#[test]
fn what_is_beyond_the_window_is_throttled() {
    let mut config = config();
    config["window"] = json!({ "submit": 5 });
    at_once(&config, |esme| {
        esme.bind(TRANSMITTER);
        esme.say(&(2..9).flat_map(|n| submit(n, "hi", 0)).collect::<Vec<u8>>());
        let heard: Vec<_> = esme.heard().iter().map(|pdu| (pdu.status, pdu.sequence)).collect();
        // What is not asked for is refused at once, and overtakes what waits for its admission.
        assert_eq!(heard, [(RTHROTTLED, 7), (RTHROTTLED, 8), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6)]);
        assert_eq!(esme.messages().len(), 5);
        assert_eq!(esme.ask(&submit(9, "hi", 0)).status, 0, "the window is open again");
    });
}

#[test]
fn our_own_window_is_kept() {
    let mut config = config();
    config["window"] = json!({ "deliver": 3 });
    every_way(&config, |esme| {
        esme.bind(TRANSCEIVER);
        for n in 2..10 {
            esme.ask(&submit(n, "hi", 1));
        }
        esme.wait(SECOND);
        let mut received = Vec::new();
        loop {
            let heard = esme.heard();
            if heard.is_empty() {
                break;
            }
            assert!(heard.len() <= 3, "{}", heard.len());
            for receipt in heard {
                received.push(receipt.sequence);
                esme.say(&answer(DELIVER_SM | RESP, 0, receipt.sequence, b"\0"));
            }
        }
        assert_eq!(received.len(), 8);
    });
}
