//! A datagram goes to the conversation of its peer with the service that it was sent to, whatever has become of others.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use support::{Gateway, PATIENCE, fixture, free_port, loopback};

#[test]
fn a_conversation_that_took_the_place_of_another_does_not_get_its_datagrams() {
    let (one, other) = (free_port(), free_port());
    // One worker, so that the second conversation is put where the first one was.
    let _gateway = Gateway::builder()
        .library(&fixture("careless"))
        .toml(&format!(
            r#"
workers = 1
[service.one]
component = "misbehaving-careless"
listen = ["udp://127.0.0.1:{one}"]
[service.other]
component = "misbehaving-careless"
listen = ["udp://127.0.0.1:{other}"]
"#
        ))
        .start();
    let (one, other) = (loopback(one), loopback(other));
    // One peer for both services: they see the same address.
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = |service: SocketAddr, text: &str| -> (String, SocketAddr) {
        peer.send_to(text.as_bytes(), service).unwrap();
        let mut back = [0; 100];
        let (length, from) = peer.recv_from(&mut back).expect("there is an answer");
        (String::from_utf8_lossy(&back[..length]).into_owned(), from)
    };

    assert_eq!(ask(one, "hello"), ("hello".to_owned(), one));
    assert_eq!(ask(one, "panic"), ("sorry\n".to_owned(), one), "the conversation ends");
    assert_eq!(ask(other, "hello"), ("hello".to_owned(), other), "another is in its place");

    assert_eq!(ask(one, "hello again"), ("hello again".to_owned(), one));
    assert_eq!(ask(other, "and you"), ("and you".to_owned(), other));
}
