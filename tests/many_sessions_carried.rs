//! Many sessions are carried by one swap: those that idle, and those that are asked meanwhile. None is closed, each answers
//! right, and the gateway says that all have moved and how long it took.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{
    Client, Gateway, Over, PATIENCE, Status, eventually, free_port, ledger, libraries, limit_descriptors, loopback,
    settled,
};

const SESSIONS: usize = 2_000;
/// What this process may have, and so what it starts: for both tests at once.
const DESCRIPTORS: u64 = 4_000;
/// So many of them are asked while the others idle.
const ASKED: usize = 20;

#[test]
fn every_session_moves_and_none_is_closed() {
    limit_descriptors(std::process::id(), DESCRIPTORS);
    let port = free_port();
    let text = format!("workers = 2\n[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n");
    let gateway = Gateway::builder().toml(&text).library(&libraries().echo).start();
    let mut idle: Vec<TcpStream> = (0..SESSIONS).map(|_| open(port)).collect();
    let asked = idle.split_off(SESSIONS - ASKED);
    let over = AtomicBool::new(false);

    let (answers, longest) = thread::scope(|scope| {
        let end = Over(&over);
        let asking: Vec<_> = asked.iter().map(|stream| scope.spawn(|| ask_on(stream, &over))).collect();
        for version in ["7.0.0", "7.1.0", "7.2.0"] {
            gateway.swap(&libraries().echo, version);
            let moves = eventually("every session has followed", || gateway.status().moves);
            assert_eq!((moves.moved, moves.stay), (SESSIONS as u64, 0), "{version}: {moves:?}");
            assert!(moves.took_ms < 10_000.0, "{version}: {moves:?}");
        }
        drop(end);
        let each = asking.into_iter().map(|asking| asking.join().expect("every answer is right"));
        each.fold((0, Duration::ZERO), |(count, longest), (n, wait)| (count + n, longest.max(wait)))
    });

    println!("{answers} answers meanwhile, the longest wait {longest:?}");
    assert!(answers > ASKED, "they were asked meanwhile");
    assert!(longest < Duration::from_secs(5), "{longest:?}: whoever asks does not wait for those that idle");
    idle.iter().for_each(ask);
    let status = gateway.status();
    assert_eq!(status.numbers("echo", "active"), ["7.2.0"]);
    assert_eq!(sessions_of(&status), SESSIONS as u64);
    assert!(status.notice("sessions-moved").is_some_and(|said| said.contains(&format!("{SESSIONS} sessions in"))));
}

/// Each session writes once during the swap and is silent from then on, so that some are caught by the publication while they
/// wait for the commit: nothing but the store's word is left to move those.
#[test]
fn a_session_that_waits_for_the_store_moves_once_it_has_settled() {
    const SESSIONS: usize = 1_000;
    const AT_ONCE: usize = 8;
    limit_descriptors(std::process::id(), DESCRIPTORS);
    let port = free_port();
    let text =
        format!("workers = 2\n[service.ledger]\ncomponent = \"ledger\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n");
    let library = ledger(None);
    let gateway = Gateway::builder().toml(&text).library_as(&library, "libtandem_ledger.so").start();
    let mut sessions: Vec<Client> = (0..SESSIONS).map(|_| gateway.connect(port)).collect();
    settled(SESSIONS as u64, || sessions_of(&gateway.status()));

    let reloaded = AtomicBool::new(false);
    let mut written = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let _over = Over(&reloaded);
            gateway.deploy_stamped_as(&library, "7.0.0", "libtandem_ledger.so");
            assert!(gateway.reload().ok);
        });
        for some in sessions.chunks_mut(AT_ONCE) {
            if reloaded.load(Ordering::Relaxed) {
                break;
            }
            some.iter_mut().for_each(|session| session.send(b"put 1 x\n").expect("the session is open"));
            written += some.len();
            thread::sleep(Duration::from_millis(1));
        }
    });

    let moves = eventually("every session has followed", || gateway.status().moves);
    assert_eq!((moves.moved, moves.stay), (SESSIONS as u64, 0), "{moves:?}");
    sessions[..written].iter_mut().for_each(|session| assert_eq!(session.line().expect("it is answered"), "ok 1"));
    println!("{written} sessions wrote meanwhile");
}

fn sessions_of(status: &Status) -> u64 {
    status.versions.iter().map(|version| version.sessions).sum()
}

/// A session that has been answered.
fn open(port: u16) -> TcpStream {
    let stream = TcpStream::connect(loopback(port)).expect("the gateway accepts");
    stream.set_nodelay(true).expect("it is a TCP socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("the time is not zero");
    ask(&stream);
    stream
}

fn ask(mut stream: &TcpStream) {
    let mut answer = [0; 5];
    stream.write_all(b"hello").expect("the session is open");
    stream.read_exact(&mut answer).expect("the session is open");
    assert_eq!(&answer, b"hello");
}

/// How many answers came, and how long the longest took.
fn ask_on(stream: &TcpStream, over: &AtomicBool) -> (usize, Duration) {
    let (mut answers, mut longest) = (0, Duration::ZERO);
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        ask(stream);
        longest = longest.max(asked.elapsed());
        answers += 1;
        thread::sleep(Duration::from_millis(2));
    }
    (answers, longest)
}
