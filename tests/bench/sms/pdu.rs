//! PDUs: found in bytes, made by the codec, and made others of by writing another number into them.

use std::io;

use bytes::BytesMut;
use rusmpp_core::CommandId;
use rusmpp_core::decode::owned::DecodeWithKeyOptional;
use rusmpp_core::encode::owned::Encode;
use rusmpp_core::pdus::owned::Pdu;
use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) const HEADER: usize = 16;
pub(crate) const RESPONSE: u32 = 0x8000_0000;
pub(crate) const SUBMIT_SM: u32 = 4;
pub(crate) const UNBIND: u32 = 6;
pub(crate) const BIND_TRANSCEIVER: u32 = 9;
pub(crate) const ENQUIRE_LINK: u32 = 0x15;
/// What one read takes at most.
const READ_BYTES: usize = 64 * 1024;

/// One PDU.
pub(crate) struct Frame<'b> {
    pub(crate) id: u32,
    pub(crate) status: u32,
    pub(crate) sequence: u32,
    pub(crate) body: &'b [u8],
}

/// What was read of a stream and is not taken yet.
#[derive(Default)]
pub(crate) struct Unread {
    bytes: Vec<u8>,
    at: usize,
}

impl Unread {
    /// Reads more.
    pub(crate) async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.reserve(READ_BYTES);
        match stream.read_buf(&mut self.bytes).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Takes the next whole PDU.
    pub(crate) fn take(&mut self) -> io::Result<Option<Frame<'_>>> {
        let rest = &self.bytes[self.at..];
        let Some((head, _)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [length, id, status, sequence] = std::array::from_fn(|n| {
            u32::from_be_bytes([head[4 * n], head[4 * n + 1], head[4 * n + 2], head[4 * n + 3]])
        });
        if (length as usize) < HEADER || length as usize > READ_BYTES {
            return Err(io::Error::other(format!("a PDU of {length} bytes")));
        }
        let Some(body) = rest.get(HEADER..length as usize) else { return Ok(None) };
        self.at += length as usize;
        Ok(Some(Frame { id, status, sequence, body }))
    }

    /// Takes PDUs until there is one that is this response, and it is one of success.
    pub(crate) async fn wait_for(&mut self, id: u32, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        loop {
            while let Some(frame) = self.take()? {
                if frame.id == id && frame.status == 0 {
                    return Ok(());
                }
                if frame.status != 0 {
                    return Err(io::Error::other(format!("status {:#x} in {:#x}", frame.status, frame.id)));
                }
            }
            self.read(stream).await?;
        }
    }
}

impl Frame<'_> {
    /// What its body says; `None` where it has none.
    pub(crate) fn decode(&self) -> io::Result<Option<Pdu>> {
        let mut body = BytesMut::from(self.body);
        let decoded = Pdu::decode(CommandId::from(self.id), &mut body, self.body.len());
        Ok(decoded.map_err(|error| io::Error::other(format!("{error:?}")))?.map(|(pdu, _)| pdu))
    }
}

/// Encodes a PDU behind what is there already. `None` is one without a body.
pub(crate) fn encode(out: &mut BytesMut, id: u32, status: u32, sequence: u32, pdu: Option<&Pdu>) {
    let begin = out.len();
    for number in [0, id, status, sequence] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    if let Some(pdu) = pdu {
        pdu.encode(out);
    }
    let length = u32::try_from(out.len() - begin).expect("PDUs are short");
    out[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
}

/// A PDU, whole.
pub(crate) fn encoded(id: u32, sequence: u32, pdu: Option<&Pdu>) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(&mut out, id, 0, sequence, pdu);
    out.to_vec()
}

/// Writes the number of a PDU.
pub(crate) fn number(pdu: &mut [u8], sequence: u32) {
    pdu[12..16].copy_from_slice(&sequence.to_be_bytes());
}
