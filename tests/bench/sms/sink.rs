//! The SMSC: takes every message, forgets it, and says an id of its own.

use std::cell::Cell;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

use rusmpp_core::pdus::owned::{BindTransceiverResp, Pdu, SubmitSmResp};
use rusmpp_core::types::owned::COctetString;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::pdu::{BIND_TRANSCEIVER, ENQUIRE_LINK, HEADER, RESPONSE, SUBMIT_SM, UNBIND, Unread, encoded, number};

/// Serves until it is killed.
pub(crate) async fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let taken = Rc::new(Cell::new(0));
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that fails ends alone; who submits notices.
        tokio::task::spawn_local(take_all(stream, Rc::clone(&taken)));
    }
}

async fn take_all(mut stream: TcpStream, taken: Rc<Cell<u64>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let id = COctetString::from_vec(b"0000000000000000\0".to_vec())
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    let mut response = encoded(SUBMIT_SM | RESPONSE, 0, Some(&Pdu::from(SubmitSmResp::new(id, Vec::new()))));
    let bound = encoded(BIND_TRANSCEIVER | RESPONSE, 0, Some(&BindTransceiverResp::default().into()));
    let (mut unread, mut out) = (Unread::default(), Vec::new());
    loop {
        unread.read(&mut stream).await?;
        out.clear();
        while let Some(frame) = unread.take()? {
            let mut answer = match frame.id {
                SUBMIT_SM => {
                    taken.set(taken.get() + 1);
                    number(&mut response, frame.sequence);
                    write_hex(&mut response[HEADER..HEADER + 16], taken.get());
                    out.extend_from_slice(&response);
                    continue;
                }
                BIND_TRANSCEIVER => bound.clone(),
                ENQUIRE_LINK | UNBIND => encoded(frame.id | RESPONSE, 0, None),
                other => return Err(io::Error::other(format!("{other:#x} came"))),
            };
            number(&mut answer, frame.sequence);
            out.extend_from_slice(&answer);
        }
        stream.write_all(&out).await?;
    }
}

fn write_hex(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number % 16) as usize];
        number /= 16;
    }
}
