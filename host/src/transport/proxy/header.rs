//! The header of the PROXY protocol, version 1 (a line) and 2 (binary), in both directions. No sockets here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Deserialize;

/// With this begins one of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// … and with this one of version 1.
const PROXY: &[u8] = b"PROXY ";
/// The longest line, with its end.
const LINE_MAX: usize = 107;
/// What there is of each of version 2 …
const FIXED: usize = 16;
/// … and how much may follow: what is beside the addresses has a bound of ours. They are a few words in what is sent today.
const REST_MAX: usize = 4096;
/// The kind of the TLV that has a checksum of the whole.
const CRC32C: u8 = 3;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// A line.
    V1,
    /// Binary.
    V2,
}

/// Whose connection it is that another one is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The client's address …
    pub client: SocketAddr,
    /// … and that which it has connected to.
    pub server: SocketAddr,
}

/// What is said first on a connection that is made for a client, or for nobody but us.
pub fn write(version: Version, client: Option<Client>) -> Vec<u8> {
    let ends = client.map(|Client { client, server }| {
        let (from, to) = (client.ip().to_canonical(), server.ip().to_canonical());
        let (from, to) = match (from, to) {
            (IpAddr::V4(_), IpAddr::V4(_)) => (from, to),
            // Both are of one family.
            _ => (in_v6(from).into(), in_v6(to).into()),
        };
        (SocketAddr::new(from, client.port()), SocketAddr::new(to, server.port()))
    });
    match version {
        Version::V1 => write_line(ends),
        Version::V2 => write_binary(ends),
    }
}

fn in_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn write_line(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let Some((from, to)) = ends else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port()).into_bytes()
}

fn write_binary(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some((from, to)) = ends else {
        // LOCAL, of no family.
        header.extend([0x20, 0, 0, 0]);
        return header;
    };
    header.extend(if from.is_ipv4() { [0x21, 0x11, 0, 12] } else { [0x21, 0x21, 0, 36] });
    for end in [from, to] {
        match end.ip() {
            IpAddr::V4(address) => header.extend(address.octets()),
            IpAddr::V6(address) => header.extend(address.octets()),
        }
    }
    [from, to].iter().for_each(|end| header.extend(end.port().to_be_bytes()));
    header
}

/// How it goes on after what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has so many more bytes at least.
    Bytes(usize),
    /// It goes on to the end of a line, which is within so many bytes.
    Line(usize),
    /// It is whole. The client's address; none where the connection is the proxy's own, or the proxy does not know.
    Whole(Option<SocketAddr>),
}

/// Reads what has come so far, of which no more was taken than was asked for.
///
/// # Errors
/// It cannot become a header: why.
pub fn read(bytes: &[u8]) -> Result<Step, String> {
    let begins = |whole: &[u8]| bytes.iter().zip(whole).all(|(byte, expected)| byte == expected);
    if bytes.is_empty() {
        // No header of either kind is shorter.
        Ok(Step::Bytes(SIGNATURE.len()))
    } else if begins(PROXY) {
        read_line(bytes)
    } else if begins(&SIGNATURE) {
        read_binary(bytes)
    } else {
        Err("what comes first is no PROXY header".into())
    }
}

fn read_line(bytes: &[u8]) -> Result<Step, String> {
    let Some(line) = bytes.strip_suffix(b"\n") else {
        return match LINE_MAX.checked_sub(bytes.len()) {
            None | Some(0) => Err(format!("its PROXY header is a line of more than {LINE_MAX} bytes")),
            Some(left) => Ok(Step::Line(left)),
        };
    };
    parse_line(line).map(Step::Whole).map_err(|reason| format!("its PROXY header is wrong: {reason}"))
}

fn parse_line(line: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    let line = line.strip_suffix(b"\r").ok_or("its line does not end with CR and LF")?;
    let said = line.strip_prefix(PROXY).ok_or("it does not begin with `PROXY `")?;
    if said == b"UNKNOWN" || said.starts_with(b"UNKNOWN ") {
        return Ok(None);
    }
    let said = std::str::from_utf8(said).map_err(|_| "it is no text")?;
    let fields: Vec<&str> = said.split(' ').collect();
    let [family, client, server, client_port, server_port] = fields[..] else {
        return Err("it has not family, two addresses and two ports with one blank between them");
    };
    let address = |text: &str| {
        let address: Option<IpAddr> = match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
            _ => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        };
        address.ok_or("an address is none of its family")
    };
    if !matches!(family, "TCP4" | "TCP6") {
        return Err("its family is not TCP4, TCP6 or UNKNOWN");
    }
    address(server)?;
    port(server_port)?;
    Ok(Some(SocketAddr::new(address(client)?.to_canonical(), port(client_port)?)))
}

fn port(text: &str) -> Result<u16, &'static str> {
    // Rust's own takes a sign and zeros before it.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or("a port is none")
}

fn read_binary(bytes: &[u8]) -> Result<Step, String> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Step::Bytes(FIXED - bytes.len()));
    };
    let wrong = |reason: &str| Err(format!("its PROXY header is wrong: {reason}"));
    let [command, family, high, low] = [fixed[12], fixed[13], fixed[14], fixed[15]];
    if command >> 4 != 2 {
        return wrong(&format!("its version is {}", command >> 4));
    }
    if command & 0xf > 1 {
        return wrong(&format!("its command is {}, and there are 0 and 1", command & 0xf));
    }
    if family >> 4 > 3 || family & 0xf > 2 {
        return wrong(&format!("there is no family {family:#04x}"));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > REST_MAX {
        return Err(format!("its PROXY header is {length} bytes long, and no more than {REST_MAX} are taken"));
    }
    if rest.len() < length {
        return Ok(Step::Bytes(length - rest.len()));
    }
    // By LOCAL the proxy speaks for itself, and what it says of addresses is to be skipped whatever it is.
    if command & 0xf == 0 {
        return Ok(Step::Whole(None));
    }
    match client(family, bytes) {
        Ok(client) => Ok(Step::Whole(client)),
        Err(reason) => wrong(reason),
    }
}

/// The client's address in one of version 2 that is whole.
fn client(family: u8, whole: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    const SHORT: &str = "it is shorter than its addresses";
    let rest = &whole[FIXED..];
    let (client, length) = match family >> 4 {
        1 => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *rest.first_chunk::<12>().ok_or(SHORT)?;
            (Some((IpAddr::from([a, b, c, d]), [high, low])), 12)
        }
        2 => {
            let rest = rest.first_chunk::<36>().ok_or(SHORT)?;
            let address: [u8; 16] = *rest.first_chunk().ok_or(SHORT)?;
            // A client that came by IPv4 is the same one however a proxy writes it.
            (Some((IpAddr::from(address).to_canonical(), [rest[32], rest[33]])), 36)
        }
        // Two paths, which are names on another machine.
        3 => rest.first_chunk::<216>().map(|_| (None, 216)).ok_or(SHORT)?,
        // What it does not know, and whatever follows.
        _ => return Ok(None),
    };
    check_tlvs(whole, FIXED + length)?;
    // What carried it to the proxy may be something else than a stream, which nothing here can make use of.
    let is_stream = family & 0xf == 1;
    Ok(client.filter(|_| is_stream).map(|(address, port)| SocketAddr::new(address, u16::from_be_bytes(port))))
}

/// What is said beside the addresses is skipped, but for a checksum.
fn check_tlvs(whole: &[u8], mut at: usize) -> Result<(), &'static str> {
    const CUT: &str = "one of its TLVs is cut off";
    while at < whole.len() {
        let [kind, high, low] = *whole[at..].first_chunk().ok_or(CUT)?;
        let value = at + 3..at + 3 + usize::from(u16::from_be_bytes([high, low]));
        let said = whole.get(value.clone()).ok_or(CUT)?;
        if kind == CRC32C {
            let said: [u8; 4] = said.try_into().map_err(|_| "its checksum has not 4 bytes")?;
            // It is of the whole with zeros in its own place.
            let parts = [&whole[..value.start], &[0; 4], &whole[value.end..]];
            if crc32c(parts.into_iter().flatten().copied()) != u32::from_be_bytes(said) {
                return Err("its checksum is another one's");
            }
        }
        at = value.end;
    }
    Ok(())
}

/// Bit by bit: it is a few words, once a connection.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests;
