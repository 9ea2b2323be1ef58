//! The client's side of a WebSocket: the handshake, and text that comes back.

use std::io;
use std::net::SocketAddr;

use crate::client::Client;

/// A WebSocket to an echo.
#[derive(Debug)]
pub struct WebSocket {
    client: Client,
    sent: u32,
}

/// The nonce of RFC 6455's example, and what a server makes of it: so that neither side needs SHA-1.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

impl WebSocket {
    /// Opens one.
    ///
    /// # Panics
    /// Where the server does not switch protocols.
    pub fn open(address: SocketAddr, target: &str) -> Self {
        let mut client = Client::connect(address);
        let handshake = format!(
            "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        client.send(handshake.as_bytes()).expect("the handshake is sent");
        let answer = client.answer("GET").expect("the handshake is answered");
        assert_eq!((answer.status, answer.field("sec-websocket-accept")), (101, Some(ACCEPT)), "{answer:?}");
        WebSocket { client, sent: 0 }
    }

    /// Sends a masked text and reads the same text, unmasked, back.
    ///
    /// # Errors
    /// The connection's; `InvalidData` where something else comes back.
    pub fn echo(&mut self, text: &str) -> io::Result<()> {
        self.sent += 1;
        let mask = self.sent.to_be_bytes();
        let masked = text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let mut frame = header(0x80, text.len());
        frame.extend_from_slice(&mask);
        frame.extend(masked);
        self.client.send(&frame)?;

        let expected = [header(0, text.len()).as_slice(), text.as_bytes()].concat();
        let received = self.client.read(expected.len())?;
        if received != expected {
            let received = String::from_utf8_lossy(&received).into_owned();
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{received:?} for {text:?}")));
        }
        Ok(())
    }
}

/// The beginning of a text frame, whole and last.
pub(crate) fn header(mask_bit: u8, length: usize) -> Vec<u8> {
    const TEXT: u8 = 0x81;
    match length {
        0..126 => vec![TEXT, mask_bit | length as u8],
        126..65_536 => [&[TEXT, mask_bit | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[TEXT, mask_bit | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}
