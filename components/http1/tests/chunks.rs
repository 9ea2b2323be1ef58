//! Chunked bodies as they are passed on.

use tandem_http1::{Chunked, Keep, Unchunkable};

/// What is emitted of a body that is there at once.
fn at_once(bytes: &[u8], keep: Keep) -> Result<(Vec<u8>, usize, bool), Unchunkable> {
    let mut out = Vec::new();
    let passed = Chunked::new(u64::MAX).pass(bytes, keep, |run| out.extend_from_slice(run))?;
    Ok((out, passed.taken, passed.through))
}

/// What is emitted of a body that comes in pieces of these lengths, over and over; unread bytes come again.
fn in_pieces(bytes: &[u8], keep: Keep, lengths: &[usize]) -> Result<(Vec<u8>, usize, bool), Unchunkable> {
    let (mut out, mut taken, mut through) = (Vec::new(), 0, false);
    let mut chunks = Chunked::new(u64::MAX);
    let mut end = 0;
    for n in lengths.iter().cycle() {
        end = (end + n).min(bytes.len());
        let passed = chunks.pass(&bytes[taken..end], keep, |run| out.extend_from_slice(run))?;
        taken += passed.taken;
        through = passed.through;
        if end == bytes.len() || through {
            break;
        }
    }
    Ok((out, taken, through))
}

#[test]
fn a_body_is_passed_on_as_it_came() {
    for (body, passed, data) in [
        ("0\r\n\r\n", "0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        (
            "005\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n",
            "005\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n",
            "hello0123456789",
        ),
        ("5;a=b\r\nhello\r\n1 ; c\r\n!\r\n0;d\r\n\r\n", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!"),
        ("1\r\nx\r\n0\r\nA: b\r\nC:d\r\n\r\n", "1\r\nx\r\n0\r\nA: b\r\nC:d\r\n\r\n", "x"),
        (
            "1\r\nx\r\n0\r\nContent-Length: 5\r\nA: b\r\ntransfer-encoding: chunked\r\nHost: x\r\nCookie: y\r\n\r\n",
            "1\r\nx\r\n0\r\nA: b\r\n\r\n",
            "x",
        ),
    ] {
        for (keep, expected) in [(Keep::Chunks, passed), (Keep::Data, data)] {
            let expected = (expected.as_bytes().to_vec(), body.len(), true);
            let followed = [body, "GET / HTTP/1.1\r\n"].concat();
            assert_eq!(at_once(followed.as_bytes(), keep), Ok(expected.clone()), "{body:?}");
            for lengths in [&[1][..], &[2], &[3, 1], &[7]] {
                assert_eq!(in_pieces(body.as_bytes(), keep, lengths), Ok(expected.clone()), "{body:?} in {lengths:?}");
            }
        }
    }
}

#[test]
fn a_plain_body_is_one_run() {
    let mut runs = 0;
    let body = b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
    Chunked::new(u64::MAX).pass(body, Keep::Chunks, |_| runs += 1).unwrap();
    assert_eq!(runs, 1);
}

#[test]
fn what_could_be_read_in_two_ways_is_malformed() {
    for body in [
        "\r\n",
        "Z\r\n",
        " 5\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "5 5\r\nhello\r\n",
        "5\nhello\r\n",
        "5\rhello\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5;a\nb\r\nhello\r\n",
        "5;\0\r\nhello\r\n",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\n\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nA: b\rC: d\r\n\r\n",
        "0\r\nA\r\n\r\n",
    ] {
        assert!(matches!(at_once(body.as_bytes(), Keep::Chunks), Err(Unchunkable::Malformed(_))), "{body:?}");
        let pieces = in_pieces(body.as_bytes(), Keep::Chunks, &[1]);
        assert!(matches!(pieces, Err(Unchunkable::Malformed(_))), "{body:?}: {pieces:?}");
    }
}

#[test]
fn a_body_has_its_limits() {
    let pass =
        |budget, bytes: &[u8]| Chunked::new(budget).pass(bytes, Keep::Chunks, |_| {}).map(|passed| passed.through);
    let body = b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
    assert_eq!(pass(10, body), Ok(true));
    assert_eq!(pass(9, body), Err(Unchunkable::TooLarge));
    assert_eq!(pass(0, b"ffffffffffffffff\r\n"), Err(Unchunkable::TooLarge));
    let extension = |n| format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(n));
    assert_eq!(pass(10, extension(500).as_bytes()), Ok(true));
    assert!(matches!(pass(10, extension(600).as_bytes()), Err(Unchunkable::Malformed(_))));
    assert!(matches!(pass(10, &extension(600).as_bytes()[..550]), Err(Unchunkable::Malformed(_))));
    let trailers = |n| format!("0\r\n{}\r\n", "A: b\r\n".repeat(n));
    assert_eq!(pass(10, trailers(32).as_bytes()), Ok(true));
    assert_eq!(pass(10, trailers(33).as_bytes()), Err(Unchunkable::TooLarge));
    let long = format!("0\r\nA: {}\r\n\r\n", "x".repeat(9000));
    assert_eq!(pass(10, long.as_bytes()), Err(Unchunkable::TooLarge));
    assert_eq!(pass(10, &long.as_bytes()[..8800]), Err(Unchunkable::TooLarge));
}

#[test]
fn data_that_others_move_is_skipped() {
    let mut chunks = Chunked::new(u64::MAX);
    let mut out = Vec::new();
    let passed = chunks.pass(b"a\r\n01234", Keep::Chunks, |run| out.extend_from_slice(run)).unwrap();
    assert_eq!((passed.taken, chunks.data_left()), (8, 5));
    chunks.skip(5);
    let passed = chunks.pass(b"\r\n0\r\n\r\n", Keep::Chunks, |run| out.extend_from_slice(run)).unwrap();
    assert!(passed.through);
    assert_eq!(out, b"a\r\n01234\r\n0\r\n\r\n");
}
