//! That each header is read as it is meant, from any number of its bytes on, and that nothing else is.

use std::net::SocketAddr;

use super::{Client, LINE_MAX, REST_MAX, SIGNATURE, Step, Version, crc32c, read, write};

/// One of version 2.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xbb];

fn ipv6() -> Vec<u8> {
    let mut addresses = [[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; 2].concat();
    addresses.extend([0xff, 0xff, 0, 1]);
    addresses
}

/// One whose TLV of a checksum is right, between others.
fn summed(command: u8, tail: &[u8]) -> Vec<u8> {
    let before = [4, 0, 2, 9, 9, 3, 0, 4];
    let mut header = binary(command, 0x11, &[&IPV4[..], &before, &[0; 4], tail].concat());
    let at = 16 + IPV4.len() + before.len();
    let sum = crc32c(header.iter().copied()).to_be_bytes();
    header[at..at + 4].copy_from_slice(&sum);
    header
}

/// Reads one that comes a byte at a time, as its reader would: no more than belongs to it.
fn slowly(header: &[u8]) -> Result<Option<SocketAddr>, String> {
    for n in 0..=header.len() {
        match read(&header[..n])? {
            Step::Whole(client) => {
                assert_eq!(n, header.len(), "it is whole before its end");
                return Ok(client);
            }
            Step::Bytes(more) => assert!(more > 0 && n + more <= header.len().max(16), "{more} after {n}"),
            Step::Line(more) => assert!(more > 0 && n + more <= LINE_MAX, "{more} after {n}"),
        }
    }
    Err("it goes on".into())
}

#[test]
fn a_header_says_whose_connection_it_is() {
    let any = ["ffff"; 8].join(":");
    let longest = format!("PROXY UNKNOWN {any} {any} 65535 65535\r\n");
    assert_eq!(longest.len(), LINE_MAX);
    let lines: [(&str, Option<&str>); 9] = [
        ("PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", Some("192.0.2.1:12345")),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Some("255.255.255.255:65535")),
        ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", Some("0.0.0.0:0")),
        ("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", Some("[2001:db8::1]:1")),
        // The same client as by IPv4.
        ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", Some("192.0.2.1:1")),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN 192.0.2.1 198.51.100.2 1 2\r\n", None),
        ("PROXY UNKNOWN \u{e9} what\rever\r\n", None),
        (&longest, None),
    ];
    let lines = lines.map(|(line, client)| (line.as_bytes().to_vec(), client.map(str::to_owned)));
    let v4 = || Some("192.0.2.1:12345".to_owned());
    let long = [&IPV4[..], &[4, 0x0f, 0xf1], &[0; 4081]].concat();
    assert_eq!(long.len(), REST_MAX);
    let binaries = [
        (binary(0x21, 0x11, &IPV4), v4()),
        (binary(0x21, 0x11, &[&IPV4[..], &[4, 0, 0, 0xee, 0, 1, 7]].concat()), v4()),
        (binary(0x21, 0x11, &long), v4()),
        (summed(0x21, &[]), v4()),
        (summed(0x21, &[1, 0, 2, b'h', b'2']), v4()),
        (binary(0x21, 0x21, &ipv6()), Some("[2001:db8::1]:65535".to_owned())),
        (binary(0x21, 0x31, &[b'/'; 216]), None),
        (binary(0x21, 0x12, &IPV4), None),
        (binary(0x21, 0x00, &[]), None),
        (binary(0x21, 0x00, &[1, 2, 3]), None),
        // LOCAL: whatever there is.
        (binary(0x20, 0x00, &[]), None),
        (binary(0x20, 0x11, &IPV4), None),
        (binary(0x20, 0x11, &[1, 2, 3]), None),
    ];
    for (header, client) in lines.into_iter().chain(binaries) {
        let expected = Ok(client.map(|client| client.parse().unwrap()));
        assert_eq!(slowly(&header), expected, "{}", header.escape_ascii());
    }
}

#[test]
fn what_is_written_is_read_as_it_was_meant() {
    let rows = [
        ("192.0.2.1:12345", "198.51.100.2:443", "192.0.2.1:12345"),
        ("[2001:db8::1]:65535", "[2001:db8::2]:1", "[2001:db8::1]:65535"),
        ("[::ffff:192.0.2.1]:1", "198.51.100.2:443", "192.0.2.1:1"),
        ("192.0.2.1:1", "[2001:db8::2]:443", "192.0.2.1:1"),
        ("[2001:db8::1]:1", "198.51.100.2:443", "[2001:db8::1]:1"),
    ];
    for version in [Version::V1, Version::V2] {
        for (client, server, expected) in rows {
            let ends = Client { client: client.parse().unwrap(), server: server.parse().unwrap() };
            assert_eq!(slowly(&write(version, Some(ends))), Ok(Some(expected.parse().unwrap())), "{version:?}");
        }
        assert_eq!(slowly(&write(version, None)), Ok(None));
    }
    let ends = Client { client: "192.0.2.1:12345".parse().unwrap(), server: "198.51.100.2:443".parse().unwrap() };
    assert_eq!(write(Version::V1, Some(ends)), b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n");
    assert_eq!(write(Version::V2, Some(ends)), binary(0x21, 0x11, &IPV4));
}

#[test]
fn what_is_none_is_said_to_be_none_as_soon_as_that_is_known() {
    let mut corrupted = summed(0x21, &[]);
    corrupted[16] ^= 1;
    let too_long = format!("PROXY TCP4 {}", "1".repeat(LINE_MAX));
    let short_sum = binary(0x21, 0x11, &[&IPV4[..], &[3, 0, 3, 0, 0, 0]].concat());
    let rows: [(&[u8], &str); 28] = [
        (b"G", "is no PROXY header"),
        (b"PROXX", "is no PROXY header"),
        (b"proxy TCP4", "is no PROXY header"),
        (b"PROXY\r", "is no PROXY header"),
        (b"\r\n\r\n\0\r\nQUIX", "is no PROXY header"),
        (b"\x16\x03\x01", "is no PROXY header"),
        (b"PROXY \r\n", "family"),
        (b"PROXY TCP4\r\n", "two addresses"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", "CR and LF"),
        (b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n", "one blank"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n", "one blank"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n", "a port is none"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n", "a port is none"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", "a port is none"),
        (b"PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n", "an address is none"),
        (b"PROXY TCP4 192.0.2.1 host 1 2\r\n", "an address is none"),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n", "an address is none"),
        (b"PROXY TCP6 192.0.2.1 192.0.2.1 1 2\r\n", "an address is none"),
        (b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", "its family"),
        (b"PROXY UNKNOWNS\r\n", "two addresses"),
        (too_long.as_bytes(), "more than 107 bytes"),
        (&binary(0x11, 0x11, &IPV4), "its version is 1"),
        (&binary(0x22, 0x11, &IPV4), "its command is 2"),
        (&binary(0x21, 0x41, &IPV4), "no family 0x41"),
        (&binary(0x21, 0x11, &IPV4[..11]), "shorter than its addresses"),
        (&binary(0x21, 0x11, &[&IPV4[..], &[4, 0, 2, 9]].concat()), "is cut off"),
        (&short_sum, "has not 4 bytes"),
        (&corrupted, "its checksum"),
    ];
    for (bytes, reason) in rows {
        let said = slowly(bytes).unwrap_err();
        assert!(said.contains(reason), "{}: {said}", bytes.escape_ascii());
    }
    // Not only after all of it has come.
    let said = read(&[&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat()).unwrap_err();
    assert!(said.contains("65535 bytes long"), "{said}");
}

#[test]
fn the_checksum_is_the_one_that_everybody_has() {
    assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
}
