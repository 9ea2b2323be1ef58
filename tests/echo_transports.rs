//! One service over TCP, UDP and Unix sockets, carried through swaps.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixStream;

use support::{Gateway, PATIENCE, free_port, libraries, loopback, settled, signal};

#[test]
fn every_transport_goes_on_through_swaps() {
    let echo = &libraries().echo;
    let port = free_port();
    let builder = Gateway::builder().library(echo);
    let path = builder.scratch("echo.sock");
    let gateway = builder
        .toml(&format!(
            r#"
[service.echo]
component = "echo"
listen = ["tcp://127.0.0.1:{port}", "udp://127.0.0.1:{port}", "unix://{}"]
[component.echo]
versions = {{ keep = 0 }}
"#,
            path.display()
        ))
        .start();
    let unix = || {
        let stream = UnixStream::connect(&path).expect("the socket is there");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let (mut tcp, mut old_unix, old_udp) = (gateway.connect(port), unix(), udp(port));

    for swap in 0..20 {
        if swap > 0 {
            gateway.swap(echo, &format!("1.0.{swap}"));
        }
        let text = format!("after swap {swap}");
        for client in [&mut tcp, &mut gateway.connect(port)] {
            client.send(text.as_bytes()).unwrap();
            assert_eq!(client.read(text.len()).unwrap(), text.as_bytes());
        }
        for stream in [&mut old_unix, &mut unix()] {
            stream.write_all(text.as_bytes()).unwrap();
            let mut back = vec![0; text.len()];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, text.as_bytes());
        }
        for socket in [&old_udp, &udp(port)] {
            socket.send(text.as_bytes()).unwrap();
            let mut back = [0; 2048];
            let length = socket.recv(&mut back).expect("the datagram comes back");
            assert_eq!(&back[..length], text.as_bytes());
        }
    }

    tcp.finish().unwrap();
    tcp.closed().unwrap();
    settled(1, || gateway.maps().len());
}

#[test]
fn what_is_half_closed_is_answered_to_the_end() {
    let port = free_port();
    let gateway = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!("[service.echo]\ncomponent = \"echo\"\nlisten = [\"tcp://127.0.0.1:{port}\"]"))
        .start();
    let mut client = gateway.connect(port);
    let text = "x".repeat(3_000_000);
    let mut socket = client.socket();

    let sent = text.clone();
    let sending = std::thread::spawn(move || {
        socket.write_all(sent.as_bytes()).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
    });

    assert!(client.read(text.len()).unwrap() == text.as_bytes());
    client.closed().unwrap();
    sending.join().unwrap();
}

#[test]
fn a_burst_of_datagrams_from_one_peer_is_answered_whole() {
    const BURST: u8 = 120;
    let port = free_port();
    let mut gateway = Gateway::builder()
        .library(&libraries().echo)
        .toml(&format!("workers = 1\n[service.echo]\ncomponent = \"echo\"\nlisten = [\"udp://127.0.0.1:{port}\"]"))
        .start();
    let client = udp(port);
    let answers = |expected: std::ops::Range<u8>| {
        for number in expected {
            let mut back = [0; 16];
            let length = client.recv(&mut back).expect("each comes back");
            assert_eq!(back[..length], [number]);
        }
    };

    let burst = |client: &UdpSocket| {
        for number in 0..BURST {
            client.send(&[number]).unwrap();
        }
    };

    // All of them are there when the gateway looks next.
    signal(gateway.pid(), libc::SIGSTOP);
    burst(&client);
    signal(gateway.pid(), libc::SIGCONT);
    answers(0..BURST);

    // So are they when it looks for the last time.
    signal(gateway.pid(), libc::SIGSTOP);
    burst(&client);
    signal(gateway.pid(), libc::SIGTERM);
    signal(gateway.pid(), libc::SIGCONT);
    answers(0..BURST);
    assert_eq!(gateway.ended(PATIENCE).code(), Some(0));
}

fn udp(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(loopback(port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}
