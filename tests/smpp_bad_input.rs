//! Whatever one peer sends, or does not, gets the status that it deserves or an orderly close, and another ESME's traffic goes on.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::esme::{BIND_TRANSCEIVER, DELIVER_SM, ENQUIRE_LINK, GENERIC_NACK, RESPONSE, SUBMIT_SM, UNBIND, message};
use support::{Chance, Esme, Over, Pdu, Smsc, eventually};

const ROK: u32 = 0;
const RINVCMDLEN: u32 = 0x02;
const RINVCMDID: u32 = 0x03;
const RINVBNDSTS: u32 = 0x04;
const RALYBND: u32 = 0x05;
const RINVPASWD: u32 = 0x0e;
const RTHROTTLED: u32 = 0x58;

const WINDOW: u32 = 10;
const RESPONSE_TIMER: Duration = Duration::from_secs(2);
const CONFIG: &str = r#"timers.bind = "1s"
timers.response = "2s"
window.submit = 10
smsc.receipt_after = "50ms"
unnamed.max_binds = 100"#;

#[test]
fn a_length_that_cannot_be_is_refused_and_the_connection_closed() {
    beside_another(|smsc| {
        for length in [0, 15, 17_000, u32::MAX] {
            for bound in [false, true] {
                let mut esme = if bound { Esme::bound(smsc.port, "acme") } else { Esme::connect(smsc.port) };
                // What follows is no PDU any more, whatever it looks like.
                let begin = [length, ENQUIRE_LINK, 0, 1].into_iter().flat_map(u32::to_be_bytes).collect::<Vec<u8>>();
                esme.send(&begin).unwrap();
                assert_eq!(esme.take().unwrap(), nack(RINVCMDLEN, 0), "{length}, {bound}");
                esme.closed().unwrap();
            }
        }
    });
}

#[test]
fn a_pdu_that_is_cut_off_or_does_not_hold_what_it_says() {
    beside_another(|smsc| {
        let whole = Pdu { command: SUBMIT_SM, status: 0, sequence: 7, body: message("hello") };
        // The connection ends in the middle of it.
        for cut in [1, 4, 15, 16, 17, whole.bytes().len() - 1] {
            let mut esme = Esme::bound(smsc.port, "acme");
            esme.send(&whole.bytes()[..cut]).unwrap();
            esme.socket().shutdown(std::net::Shutdown::Write).unwrap();
            esme.closed().unwrap();
        }
        // Its length is right and its body ends too early.
        let mut esme = Esme::bound(smsc.port, "acme");
        for cut in 0..whole.body.len() {
            let body = whole.body[..cut].to_vec();
            esme.send(&Pdu { body, ..whole.clone() }.bytes()).unwrap();
            assert_eq!(esme.take().unwrap(), response(SUBMIT_SM, RINVCMDLEN, 7), "{cut} bytes");
        }
        // It comes byte by byte.
        for byte in whole.bytes() {
            esme.send(&[byte]).unwrap();
        }
        assert_eq!(esme.take().unwrap().status, ROK);
    });
}

#[test]
fn garbage() {
    let mut chance = Chance::new();
    beside_another(|smsc| {
        for round in 0..60 {
            let mut esme = if round % 2 == 0 { Esme::bound(smsc.port, "acme") } else { Esme::connect(smsc.port) };
            let mut bytes: Vec<u8> = (0..1 + chance.below(8000)).map(|_| chance.draw() as u8).collect();
            if round % 3 == 0 {
                // Of a length that can be, so that it is looked into.
                let (length, command) = (16 + chance.below(bytes.len()), [4, 5, 9, 0x21, 0x103][chance.below(5)]);
                let head = [length as u32, command, 0, 1].into_iter().flat_map(u32::to_be_bytes).collect();
                bytes = [head, bytes].concat();
            }
            // The gateway may have closed before all was sent.
            let _ = esme.send(&bytes);
            let _ = esme.socket().shutdown(std::net::Shutdown::Write);
            // It cannot be said what comes back, but it ends. Unread garbage makes a close a reset.
            let begun = Instant::now();
            while esme.read().is_ok() {}
            assert!(begun.elapsed() < Duration::from_secs(10), "it ends soon");
        }
    });
}

#[test]
fn what_comes_out_of_order() {
    beside_another(|smsc| {
        let mut esme = Esme::connect(smsc.port);
        for command in [SUBMIT_SM, UNBIND] {
            let body = if command == SUBMIT_SM { message("too early") } else { Vec::new() };
            let sequence = esme.ask(command, &body).unwrap();
            assert_eq!(esme.take().unwrap(), response(command, RINVBNDSTS, sequence));
        }
        // It can ask whether we are there, and bind all the same.
        let sequence = esme.ask(ENQUIRE_LINK, &[]).unwrap();
        assert_eq!(esme.take().unwrap(), response(ENQUIRE_LINK, ROK, sequence));
        assert_eq!(esme.bind("acme", "secret").unwrap(), ROK);
        assert_eq!(esme.bind("acme", "secret").unwrap(), RALYBND);
        for (command, body) in [(0x77, &[][..]), (DELIVER_SM, &message("not yours")[..]), (0, &[][..])] {
            let sequence = esme.ask(command, body).unwrap();
            assert_eq!(esme.take().unwrap(), nack(RINVCMDID, sequence), "{command:#x}");
        }
        // Responses to nothing are passed over.
        for command in [SUBMIT_SM, DELIVER_SM, BIND_TRANSCEIVER, UNBIND] {
            esme.send(&response(command, ROK, 4711).bytes()).unwrap();
        }
        // Numbers are the peer's: also one that it has given before, or that no peer should give.
        for sequence in [1, 1, 0, u32::MAX] {
            esme.send(&Pdu { command: SUBMIT_SM, status: 0, sequence, body: message("hello") }.bytes()).unwrap();
            let taken = esme.response().unwrap();
            assert_eq!((taken.command, taken.status, taken.sequence), (SUBMIT_SM | RESPONSE, ROK, sequence));
        }
        let sequence = esme.ask(UNBIND, &[]).unwrap();
        assert_eq!(esme.response().unwrap(), response(UNBIND, ROK, sequence));
        esme.closed().unwrap();
    });
}

#[test]
fn a_bind_without_an_account_or_its_password() {
    beside_another(|smsc| {
        let long = "a".repeat(15);
        for (account, password) in [("nobody", "secret"), ("acme", "guess"), ("acme", ""), ("", ""), (&long, "secret")]
        {
            let mut esme = Esme::connect(smsc.port);
            assert_eq!(esme.bind(account, password).unwrap(), RINVPASWD, "{account}, {password}");
            esme.closed().unwrap();
        }
        let mut esme = Esme::connect(smsc.port);
        assert_eq!(esme.bind("longer than may be", "secret").unwrap(), RINVCMDLEN);
        esme.closed().unwrap();
        let status = smsc.gateway.status();
        assert_eq!(status.count("authentication-failed"), 5, "{:?}", status.notices);
    });
}

#[test]
fn more_than_the_window() {
    beside_another(|smsc| {
        let mut esme = Esme::bound(smsc.port, "acme");
        let many = 5 * WINDOW;
        // With one write, so that they are there at once.
        let all: Vec<u8> = (1..=many)
            .flat_map(|n| Pdu { command: SUBMIT_SM, status: 0, sequence: n, body: message(&n.to_string()) }.bytes())
            .collect();
        esme.send(&all).unwrap();
        let mut answered = BTreeSet::new();
        let mut taken = 0;
        while answered.len() < many as usize {
            let pdu = esme.response().unwrap();
            assert!(answered.insert(pdu.sequence) && (1..=many).contains(&pdu.sequence), "{pdu:?}");
            assert!([ROK, RTHROTTLED].contains(&pdu.status), "{pdu:?}");
            taken += u32::from(pdu.status == ROK);
        }
        // They may come in two reads.
        assert!((WINDOW..many).contains(&taken), "{taken} were taken");
        esme.submit("again").unwrap();
        assert_eq!(esme.response().unwrap().status, ROK, "there is room again");
    });
}

#[test]
fn a_peer_that_never_reads_is_given_up() {
    beside_another(|smsc| {
        let esme = Esme::bound(smsc.port, "deaf");
        assert_eq!(smsc.binds(), 2);
        let begun = Instant::now();
        let mut socket = esme.socket();
        socket.set_nonblocking(true).unwrap();
        let all =
            Pdu { command: SUBMIT_SM, status: 0, sequence: 1, body: message("does anybody hear") }.bytes().repeat(100);
        let mut sent = 0;
        // It submits as long as it can, answers nothing, and reads nothing: neither responses nor receipts.
        eventually("it is given up", || {
            while let Ok(bytes) = socket.write(&all[sent % all.len()..]) {
                sent += bytes;
            }
            (smsc.binds() == 1).then_some(())
        });
        assert!(begun.elapsed() > RESPONSE_TIMER / 2, "not at once: {:?}", begun.elapsed());
        assert!(begun.elapsed() < 5 * RESPONSE_TIMER, "and soon: {:?}", begun.elapsed());
        println!("{sent} bytes were sent within {:?}", begun.elapsed());
    });
}

#[test]
fn half_a_pdu_and_silence() {
    beside_another(|smsc| {
        let mut unbound = Esme::connect(smsc.port);
        unbound
            .send(&Pdu { command: BIND_TRANSCEIVER, status: 0, sequence: 1, body: vec![0; 40] }.bytes()[..20])
            .unwrap();
        let mut silent = Esme::connect(smsc.port);
        let mut bound = Esme::bound(smsc.port, "acme");
        bound.send(&Pdu { command: SUBMIT_SM, status: 0, sequence: 2, body: message("hello") }.bytes()[..20]).unwrap();
        let begun = Instant::now();
        unbound.closed().unwrap();
        silent.closed().unwrap();
        // Who is bound is asked whether it is there, and is said goodbye to.
        let said: Vec<u32> = std::iter::from_fn(|| bound.read().ok()).map(|pdu| pdu.command).collect();
        assert_eq!(said, [ENQUIRE_LINK, UNBIND]);
        assert!(begun.elapsed() < 4 * RESPONSE_TIMER, "{:?}", begun.elapsed());
    });
}

/// Does something bad to a gateway while another ESME submits one message after the other and takes their receipts: each comes
/// once, on the connection that it has had before, and soon.
fn beside_another(bad: impl FnOnce(&Smsc)) {
    const SOON: Duration = Duration::from_secs(5);
    let smsc = Smsc::start_with("data", &["acme", "deaf", "good"], CONFIG);
    let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _over = Over(&over);
        let good = scope.spawn(|| {
            let mut esme = Esme::bound(smsc.port, "good");
            let (mut taken, mut receipts, mut longest) = (Vec::new(), Vec::new(), Duration::ZERO);
            let mut begun = Instant::now();
            let mut asked = esme.submit("good").unwrap();
            while !over.load(Ordering::SeqCst) || receipts.len() < taken.len() {
                let pdu = esme.take().unwrap();
                if pdu.command == DELIVER_SM {
                    esme.answer(&pdu).unwrap();
                    receipts.push(pdu.receipt_of().expect("it is a receipt"));
                    continue;
                }
                assert_eq!((pdu.command, pdu.status, pdu.sequence), (SUBMIT_SM | RESPONSE, ROK, asked));
                taken.push(pdu.text());
                longest = longest.max(begun.elapsed());
                done.fetch_add(1, Ordering::SeqCst);
                if !over.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(5));
                    begun = Instant::now();
                    asked = esme.submit("good").unwrap();
                }
            }
            (taken, receipts, longest)
        });
        eventually("it submits", || (done.load(Ordering::SeqCst) > 0).then_some(()));
        bad(&smsc);
        let before = done.load(Ordering::SeqCst);
        eventually("it submits still", || (done.load(Ordering::SeqCst) > before).then_some(()));
        over.store(true, Ordering::SeqCst);
        let (mut taken, mut receipts, longest) = good.join().expect("nothing has disturbed it");
        taken.sort_unstable();
        receipts.sort_unstable();
        assert_eq!(taken, receipts, "a receipt for each, and for each but one");
        assert!(longest < SOON, "{longest:?} for a response");
        println!("{} messages of the other, the slowest response after {longest:?}", taken.len());
    });
    assert_eq!(smsc.gateway.status().count("session-broken"), 0);
}

fn nack(status: u32, sequence: u32) -> Pdu {
    Pdu { command: GENERIC_NACK, status, sequence, body: Vec::new() }
}

fn response(command: u32, status: u32, sequence: u32) -> Pdu {
    Pdu { command: command | RESPONSE, status, sequence, body: Vec::new() }
}
