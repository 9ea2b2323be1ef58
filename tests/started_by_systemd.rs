//! The gateway under whoever starts it and looks after it, as systemd does: it says how it is, and serves sockets that it is handed.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use support::{Builder, Gateway, PATIENCE, Starter, libraries, loopback, settled};

const ECHO: &str = "workers = 3\n[service.echo]\ncomponent = \"echo\"\n";

#[test]
fn it_says_when_it_serves_when_it_reloads_and_when_it_stops() {
    let (builder, starter) = begin();
    let mut gateway = builder.started_by(starter).start();
    let ready = gateway.starter().told();
    assert_eq!(ready["READY"], "1", "{ready:?}");
    assert!(ready["STATUS"].starts_with("Serving echo echo@"), "{ready:?}");

    gateway.sighup();
    let reloading = gateway.starter().told();
    assert_eq!(reloading["RELOADING"], "1", "{reloading:?}");
    let first: u64 = reloading["MONOTONIC_USEC"].parse().expect("it is a time");
    assert_eq!(gateway.starter().told()["READY"], "1");

    // Also one that an operator asks for, and one that changes nothing.
    gateway.configure(|text| format!("{text}[nonsense]\n"));
    assert!(!gateway.reload().ok);
    let second: u64 = gateway.starter().told()["MONOTONIC_USEC"].parse().expect("it is a time");
    assert!(second > first, "{second} is later than {first}");
    let refused = gateway.starter().told();
    assert!(refused["STATUS"].contains("the last reload changed nothing: "), "{refused:?}");
    assert_eq!(refused.keys().collect::<Vec<_>>(), ["READY", "STATUS"], "a reason of many lines is no other word");

    support::signal(gateway.pid(), libc::SIGTERM);
    let stopping = gateway.starter().told();
    assert_eq!(stopping["STOPPING"], "1", "{stopping:?}");
    let within: u64 = stopping["EXTEND_TIMEOUT_USEC"].parse().expect("it is a span");
    assert!(within > 10_000_000, "it says how long sessions get, and more: {within}");
    assert_eq!(gateway.ended(PATIENCE).code(), Some(0));
}

#[test]
fn what_serves_by_an_operator_s_word_is_said_as_well() {
    let (builder, starter) = begin();
    let gateway = builder.started_by(starter).start();
    let ready = gateway.starter().told();
    gateway.swap(&libraries().echo, "9.0.0");
    gateway.starter().told();
    assert!(gateway.starter().told()["STATUS"].contains("echo@9.0.0"));

    assert!(gateway.tandem(&["rollback", "echo"]).status.success());

    let back = gateway.starter().told();
    assert_eq!(back, BTreeMap::from([("STATUS".to_owned(), ready["STATUS"].clone())]));
}

#[test]
fn it_says_that_it_is_alive_while_its_workers_come_round() {
    const PATIENCE: Duration = Duration::from_secs(2);
    let (builder, starter) = begin();
    let gateway = builder.started_by(starter.patient_for(PATIENCE)).start();
    for _ in 0..3 {
        assert!(gateway.starter().hears_that_it_is_alive(10 * PATIENCE));
    }
    // A process that is stopped says nothing.
    support::signal(gateway.pid(), libc::SIGSTOP);
    while gateway.starter().hears_that_it_is_alive(PATIENCE) {}
    support::signal(gateway.pid(), libc::SIGCONT);
    assert!(gateway.starter().hears_that_it_is_alive(10 * PATIENCE));
}

#[test]
fn sockets_that_are_handed_over_serve_their_addresses_and_outlive_the_gateway() {
    let (builder, starter) = begin();
    let path = builder.scratch("echo.sock");
    let tcp = TcpListener::bind(loopback(0)).unwrap();
    let udp = UdpSocket::bind(loopback(0)).unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let (port, datagrams) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    let listen = format!(
        "listen = [\"tcp://127.0.0.1:{port}\", \"udp://127.0.0.1:{datagrams}\", \"unix://{}\"]",
        path.display()
    );
    let starter = starter.handing("echo.tcp", tcp).handing("echo.udp", udp).handing("echo.unix", unix);
    let mut gateway = builder.toml(&listen).started_by(starter).start();

    let all_serve = || {
        // More than one worker has its turn.
        for _ in 0..8 {
            echoes(&mut TcpStream::connect(loopback(port)).unwrap());
            echoes(&mut UnixStream::connect(&path).unwrap());
        }
        let peer = UdpSocket::bind(loopback(0)).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer.send_to(b"datagram", loopback(datagrams)).unwrap();
        let mut buffer = [0; 100];
        let length = peer.recv(&mut buffer).expect("it is echoed");
        assert_eq!(&buffer[..length], b"datagram");
    };
    all_serve();
    assert!(!gateway.log().contains("no service listens there"), "{}", gateway.log());

    // Who comes while none runs, waits.
    assert!(gateway.stop(libc::SIGTERM, PATIENCE).success());
    let mut early = TcpStream::connect(loopback(port)).expect("the socket is there still");
    gateway.start_again();
    echoes(&mut early);
    all_serve();
}

#[test]
fn a_service_that_goes_and_comes_again_has_its_socket_again() {
    let (builder, starter) = begin();
    let tcp = TcpListener::bind(loopback(0)).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let gateway = builder.started_by(starter.handing("tandem.socket", tcp)).start();
    let idle = format!("tcp://127.0.0.1:{port} (`tandem.socket`) was handed over, and no service listens there");
    settled(true, || gateway.log().contains(&idle));

    let with = |text: String| format!("{text}listen = [\"tcp://127.0.0.1:{port}\"]\n");
    gateway.configure(with);
    assert!(gateway.reload().ok);
    echoes(&mut TcpStream::connect(loopback(port)).unwrap());

    gateway.configure(|text| {
        text.lines().filter(|line| !line.starts_with("listen")).map(|line| format!("{line}\n")).collect()
    });
    assert!(gateway.reload().ok);
    let mut waits = TcpStream::connect(loopback(port)).expect("the socket is there still");
    gateway.configure(with);
    assert!(gateway.reload().ok);
    echoes(&mut waits);
}

#[test]
fn what_is_handed_over_and_serves_nothing_that_could_be_is_refused() {
    let (builder, starter) = begin();
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let failed = builder.started_by(starter.handing("accepted", connection)).start_in_vain();
    assert!(!failed.status.success());
    assert!(
        failed.log.contains("LISTEN_FDS") && failed.log.contains("`accepted`") && failed.log.contains("Accept=no"),
        "{}",
        failed.log
    );

    let (builder, starter) = begin();
    let file = std::fs::File::create(builder.scratch("file")).unwrap();
    let failed = builder.started_by(starter.handing("file", file)).start_in_vain();
    assert!(
        failed.log.contains("`file`") && failed.log.contains("no TCP, UDP or Unix stream socket"),
        "{}",
        failed.log
    );
}

/// A gateway with a service that listens nowhere, and who will start it.
fn begin() -> (Builder, Starter) {
    let builder = Gateway::builder().library(&libraries().echo).toml(ECHO);
    let starter = Starter::hearing_at(&builder.scratch("notify"));
    (builder, starter)
}

fn echoes(stream: &mut (impl Read + Write)) {
    stream.write_all(b"hello").unwrap();
    let mut buffer = [0; 5];
    stream.read_exact(&mut buffer).expect("it is echoed");
    assert_eq!(&buffer, b"hello");
}
