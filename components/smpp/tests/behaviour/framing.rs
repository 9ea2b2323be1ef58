//! Where PDUs begin and end.

use crate::support::*;

#[test]
fn a_length_that_cannot_be_is_nacked_and_ends_the_connection() {
    for length in [0u32, 1, 15, 16_385, u32::MAX] {
        every_way(&config(), |esme| {
            esme.bind(TRANSCEIVER);
            let answer = esme.ask(&length.to_be_bytes());
            assert_eq!(answer, Pdu { id: RESP, status: RINVCMDLEN, sequence: 0, body: vec![] });
            assert!(esme.is_closed());
        });
    }
}

#[test]
fn what_is_not_whole_is_waited_for() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        let request = submit(2, "hello", 0);
        esme.say(&request[..30]);
        assert_eq!(esme.heard(), []);
        esme.say(&request[30..]);
        assert_eq!(esme.heard()[0].status, 0);
    });
}

#[test]
fn an_unknown_command_is_nacked_and_the_bind_goes_on() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        // Unknown; not expected of an ESME; broadcast_sm and what belongs to it, of 5.0.
        for id in [0x0fff, OUTBIND, DELIVER_SM, 0x111, 0x112, 0x113] {
            let answer = esme.ask(&pdu(id, 9, b"whatever"));
            assert_eq!(answer, Pdu { id: RESP, status: RINVCMDID, sequence: 9, body: vec![] });
        }
        assert_eq!(esme.ask(&submit(10, "hi", 0)).status, 0);
    });
}

#[test]
fn a_body_that_is_none_is_refused_in_its_own_response() {
    every_way(&config(), |esme| {
        esme.bind(TRANSMITTER);
        for id in [SUBMIT_SM, SUBMIT_MULTI, DATA_SM, QUERY_SM, CANCEL_SM, REPLACE_SM] {
            for body in [&b""[..], b"no end", b"\0", &[0xff; 40]] {
                assert_eq!(
                    esme.ask(&pdu(id, 9, body)),
                    Pdu { id: id | RESP, status: RINVCMDLEN, sequence: 9, body: vec![] }
                );
            }
        }
        assert_eq!(esme.ask(&pdu(ENQUIRE_LINK, 9, b"x")).status, RINVCMDLEN);
        assert_eq!(esme.ask(&submit(10, "hi", 0)).status, 0);
    });
}

#[test]
fn a_response_to_nothing_is_passed_over() {
    every_way(&config(), |esme| {
        esme.bind(TRANSCEIVER);
        esme.say(&answer(DELIVER_SM | RESP, 0, 77, b"\0"));
        esme.say(&answer(RESP, 3, 78, b""));
        esme.say(&answer(0x8fff_0000, 3, 79, b""));
        assert_eq!(esme.heard(), []);
    });
}
