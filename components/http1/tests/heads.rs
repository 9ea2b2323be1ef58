//! Heads of requests and answers: what is read, what is refused, and that it does not matter how the bytes arrive.

use tandem_http1::{Body, FIELDS_MAX, Limits, RequestHead, ResponseHead, Slots, Unreadable};

/// What reading ends with: the first answer that is not "more", and after how many bytes it came.
fn request_by_byte(bytes: &[u8]) -> (Result<Option<Body>, Unreadable>, usize) {
    for n in 1..=bytes.len() {
        match read(&bytes[..n]) {
            Ok(None) => {}
            end => return (end, n),
        }
    }
    (Ok(None), bytes.len())
}

fn read(bytes: &[u8]) -> Result<Option<Body>, Unreadable> {
    let mut slots = Slots::new();
    Ok(RequestHead::read(bytes, &mut slots, &Limits::default())?.map(|head| head.body))
}

#[test]
fn a_head_is_read_one_byte_at_a_time() {
    for (head, body) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Body::Empty),
        ("GET / HTTP/1.0\r\n\r\n", Body::Empty),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t z\t \r\n\r\n", Body::Empty),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Body::Empty),
        ("POST / HTTP/1.1\r\nhost:a\r\ncontent-length:17\r\n\r\n", Body::Length(17)),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 017\r\n\r\n", Body::Length(17)),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", Body::Chunked),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , chunked ,\r\n\r\n", Body::Chunked),
        ("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n", Body::Length(3)),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Body::Empty),
        ("GET http://a/ HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Body::Empty),
    ] {
        assert_eq!(request_by_byte(head.as_bytes()), (Ok(Some(body)), head.len()), "{head:?}");
        let with_more = [head, "GET / HTTP/1.1\r\n"].concat();
        let mut slots = Slots::new();
        let read = RequestHead::read(with_more.as_bytes(), &mut slots, &Limits::default()).unwrap().unwrap();
        assert_eq!(read.length, head.len(), "{head:?}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_malformed() {
    let of_post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    let heads = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: 0x5",
        "Content-Length: 5.0",
        "Content-Length: 18446744073709551616",
        "Transfer-Encoding: nonsense",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding : chunked",
        "Content-Length : 5",
        " Content-Length: 5",
        "A: b\r\n c",
        "A: b\r\n\tc",
        "A: b\rContent-Length: 5",
        "A: b\nContent-Length: 5",
        "A: b\r\r\nContent-Length: 5",
        "A: \0",
        "A: \x07",
        "A: \x7f",
        "A\0: b",
        "A B: c",
        "A",
        ": b",
        "A\u{e9}: b",
        "Host: b",
    ]
    .map(of_post);
    let whole = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "GET / \r\nHost: a\r\n\r\n",
        "GET / HTTP\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.x\r\nHost: a\r\n\r\n",
        "GET / HTTP/11\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00",
    ];
    for head in heads.iter().map(String::as_str).chain(whole) {
        assert!(
            matches!(read(head.as_bytes()), Err(Unreadable::Malformed(_))),
            "{head:?}: {:?}",
            read(head.as_bytes())
        );
        let (end, _) = request_by_byte(head.as_bytes());
        assert!(matches!(end, Err(Unreadable::Malformed(_))), "{head:?}: {end:?}");
    }
}

#[test]
fn what_is_understood_and_not_served_has_its_own_reason() {
    for (head, reason) in [
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Unreadable::Version),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Unreadable::Version),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", Unreadable::Version),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Unreadable::Coding),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
            Unreadable::Coding,
        ),
        ("POST / HTTP/1.0\r\n\r\n", Unreadable::LengthRequired),
    ] {
        assert_eq!(read(head.as_bytes()), Err(reason), "{head:?}");
        assert_eq!(request_by_byte(head.as_bytes()).0, Err(reason), "{head:?}");
    }
}

#[test]
fn a_head_has_its_limits() {
    let limits = Limits { head: 200, target: 50, fields: 5 };
    let read = |bytes: &[u8]| {
        let mut slots = Slots::new();
        RequestHead::read(bytes, &mut slots, &limits).map(|head| head.is_some())
    };
    let target = |n| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(n));
    assert_eq!(read(target(49).as_bytes()), Ok(true));
    assert_eq!(read(target(50).as_bytes()), Err(Unreadable::TargetTooLong));
    assert_eq!(read(&target(500).as_bytes()[..150]), Err(Unreadable::TargetTooLong));
    let value = |n| format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(n));
    assert_eq!(read(value(100).as_bytes()), Ok(true));
    assert_eq!(read(value(200).as_bytes()), Err(Unreadable::TooLarge));
    assert_eq!(read(&value(500).as_bytes()[..200]), Err(Unreadable::TooLarge));
    assert_eq!(read(&value(500).as_bytes()[..199]), Ok(false));
    let fields = |n| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(n));
    assert_eq!(read(fields(4).as_bytes()), Ok(true));
    assert_eq!(read(fields(5).as_bytes()), Err(Unreadable::TooLarge));
}

#[test]
fn as_many_fields_as_there_can_be_are_read_and_taken_out() {
    let limits = Limits { fields: FIELDS_MAX, ..Limits::default() };
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "TE: x\r\n".repeat(FIELDS_MAX - 1));
    let mut slots = Slots::new();
    let head = RequestHead::read(bytes.as_bytes(), &mut slots, &limits).unwrap().unwrap();
    let mut written = Vec::new();
    head.copy(&head.target().unwrap(), head.hop, &mut written);
    assert_eq!(written, b"GET / HTTP/1.1\r\nHost: a\r\n");
}

#[test]
fn upgrade_is_asked_for_twice_or_not_at_all() {
    let upgrade = |fields: &str, minor| {
        let bytes = format!("GET / HTTP/1.{minor}\r\nHost: a\r\n{fields}\r\n\r\n");
        let mut slots = Slots::new();
        let head = RequestHead::read(bytes.as_bytes(), &mut slots, &Limits::default()).unwrap().unwrap();
        !head.upgrade.is_empty()
    };
    assert!(upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket", 1));
    assert!(!upgrade("Connection: upgrade\r\nUpgrade: websocket", 0));
    assert!(!upgrade("Upgrade: websocket", 1));
    assert!(!upgrade("Connection: upgrade", 1));
    assert!(!upgrade("Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x", 1));
    assert!(!upgrade("Connection: upgrade\r\nUpgrade: websocket, h2c", 1));
}

fn answer_by_byte(bytes: &[u8]) -> Result<Option<(u16, Body)>, &'static str> {
    for n in 1..=bytes.len() {
        let mut slots = Slots::new();
        match ResponseHead::read(&bytes[..n], &mut slots, 1 << 10) {
            Ok(None) => {}
            Ok(Some(head)) => {
                assert_eq!(head.length, n);
                return Ok(Some((head.status, head.body)));
            }
            Err(reason) => return Err(reason),
        }
    }
    Ok(None)
}

#[test]
fn the_head_of_an_answer_is_read_one_byte_at_a_time() {
    for (head, status, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, Body::Length(5)),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, Body::Empty),
        ("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", 200, Body::Chunked),
        ("HTTP/1.0 404 N\u{e9} found\r\n\r\n", 404, Body::ToEnd),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, Body::Empty),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, Body::Empty),
        ("HTTP/1.1 100 Continue\r\n\r\n", 100, Body::Empty),
    ] {
        assert_eq!(answer_by_byte(head.as_bytes()), Ok(Some((status, body))), "{head:?}");
    }
    let large = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(2000));
    assert_eq!(answer_by_byte(large.as_bytes()), Err("the head is too large"));
    let mut slots = Slots::new();
    assert!(ResponseHead::read(large.as_bytes(), &mut slots, 1 << 10).is_err());
}
