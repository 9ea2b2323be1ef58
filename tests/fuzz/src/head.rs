//! Heads of HTTP: read the same from any number of bytes, by a careless peer, and once they were passed on.

use tandem_http1::{Body, Limits, RequestHead, ResponseHead, Slots};

use crate::lenient::Lenient;

/// What matters of a request's head.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    method: String,
    length: usize,
    body: Body,
    host: Option<Vec<u8>>,
    persists: bool,
    upgrades: bool,
}

pub(crate) fn run(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let limits = [Limits::default(), Limits { head: 256, target: 40, fields: 4 }][usize::from(first & 1)];
    request(bytes, &limits);
    answer(bytes, limits.head);
}

fn request(bytes: &[u8], limits: &Limits) {
    let whole = read(bytes, limits);
    for cut in cuts(bytes.len()) {
        match read(&bytes[..cut], limits) {
            // There was more to come; whatever it is.
            Ok(None) => {}
            Ok(Some(head)) => assert_eq!(whole, Ok(Some(head)), "read from {cut} bytes of {}", bytes.len()),
            Err(reason) => assert!(whole.is_err(), "{reason:?} in {cut} bytes, and then {whole:?}"),
        }
    }
    let mut slots = Slots::new();
    let Ok(Some(head)) = RequestHead::read(bytes, &mut slots, limits) else { return };
    let seen = Lenient::read(bytes).expect("what is a head to us is one to anybody");
    assert_eq!(seen.length, head.length, "a head ends in one place");
    assert_eq!(is_lenient(&seen), Some(head.body), "{seen:?}");
    assert_eq!(seen.hosts, usize::from(head.host.is_some()));
    let Ok(target) = head.target() else { return };
    let mut passed = Vec::new();
    head.copy(&target, head.hop, &mut passed);
    let framing = match head.body {
        Body::Chunked => "Transfer-Encoding: chunked\r\n\r\n",
        _ => "\r\n",
    };
    passed.extend_from_slice(framing.as_bytes());
    let unlimited = Limits { head: usize::MAX, target: usize::MAX / 2, fields: tandem_http1::FIELDS_MAX };
    // HTTP/1.0 does without a Host, which who passes it on as HTTP/1.1 has to add.
    if head.minor == 1 {
        let again = read(&passed, &unlimited).expect("what is passed on can be read").expect("and is whole");
        assert_eq!((again.method.as_str(), again.body), (head.method, head.body));
        assert_eq!((again.length, again.host.as_deref()), (passed.len(), head.host));
    }
}

fn answer(bytes: &[u8], limit: usize) {
    let read = |bytes: &[u8]| {
        let mut slots = Slots::new();
        let head = ResponseHead::read(bytes, &mut slots, limit)?;
        Ok::<_, &str>(head.map(|head| (head.status, head.length, head.body, head.has_date)))
    };
    let whole = read(bytes);
    for cut in cuts(bytes.len()) {
        match read(&bytes[..cut]) {
            Ok(None) => {}
            Ok(Some(head)) => assert_eq!(whole, Ok(Some(head)), "read from {cut} bytes of {}", bytes.len()),
            Err(reason) => assert!(whole.is_err(), "{reason} in {cut} bytes, and then {whole:?}"),
        }
    }
    let mut slots = Slots::new();
    let Ok(Some(head)) = ResponseHead::read(bytes, &mut slots, limit) else { return };
    let seen = Lenient::read(bytes).expect("what is a head to us is one to anybody");
    assert_eq!(seen.length, head.length, "a head ends in one place");
}

/// What the limits leave of it.
fn read(bytes: &[u8], limits: &Limits) -> Result<Option<Reading>, tandem_http1::Unreadable> {
    let mut slots = Slots::new();
    let head = RequestHead::read(bytes, &mut slots, limits)?;
    Ok(head.map(|head| Reading {
        method: head.method.to_owned(),
        length: head.length,
        body: head.body,
        host: head.host.map(<[u8]>::to_vec),
        persists: head.connection.persists(head.minor),
        upgrades: !head.upgrade.is_empty(),
    }))
}

/// The body that a careless peer expects; `None` where it could expect two.
fn is_lenient(seen: &Lenient) -> Option<Body> {
    match (seen.chunked, seen.lengths.as_slice()) {
        (false, []) | (false, [0]) => Some(Body::Empty),
        (false, [length]) => Some(Body::Length(*length)),
        (true, []) => Some(Body::Chunked),
        _ => None,
    }
}

/// Where to cut: everywhere, or in some 200 places.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(length / 200 + 1)
}
