//! The bare relay: every PDU is decoded and encoded again, and its number mapped to that of the one bind with the SMSC.
//!
//! It shows what sockets and codec cost on a current-thread runtime. It knows no accounts, keeps no windows, has no timers, tells
//! messages from receipts by nothing, and stores nothing. What one read has brought in it writes at once; told to, it writes each
//! PDU by itself, as one does that has a codec between itself and its stream.

use std::cell::RefCell;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

use bytes::BytesMut;
use rusmpp_core::pdus::owned::{BindTransceiver, BindTransceiverResp, Pdu};
use slab::Slab;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::pdu::{BIND_TRANSCEIVER, RESPONSE, SUBMIT_SM, Unread, encode, encoded, number};

/// What is to be written to one peer, and that there is some.
#[derive(Default)]
struct Outbox {
    bytes: RefCell<BytesMut>,
    filled: Notify,
}

/// Whose request each number with the SMSC is, and which it was there.
type Asked = Rc<RefCell<Slab<(Rc<Outbox>, u32)>>>;

/// Serves until it is killed.
pub(crate) async fn serve(port: u16, smsc: u16, each: bool) -> io::Result<()> {
    let mut upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, smsc)).await?;
    upstream.set_nodelay(true)?;
    upstream.write_all(&encoded(BIND_TRANSCEIVER, 1, Some(&BindTransceiver::default().into()))).await?;
    let mut unread = Unread::default();
    unread.wait_for(BIND_TRANSCEIVER | RESPONSE, &mut upstream).await?;

    let (asked, outbox) = (Asked::default(), Rc::new(Outbox::default()));
    let (reads, writes) = upstream.into_split();
    tokio::task::spawn_local(write(writes, Rc::clone(&outbox), each));
    tokio::task::spawn_local(answer(reads, unread, Rc::clone(&asked)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (reads, writes) = stream.into_split();
        let own = Rc::new(Outbox::default());
        // A connection that fails ends alone; the load client counts it.
        tokio::task::spawn_local(write(writes, Rc::clone(&own), each));
        tokio::task::spawn_local(ask(reads, own, Rc::clone(&outbox), Rc::clone(&asked)));
    }
}

/// What an ESME asks goes to the SMSC.
async fn ask(mut reads: OwnedReadHalf, own: Rc<Outbox>, upstream: Rc<Outbox>, asked: Asked) -> io::Result<()> {
    let bound = encoded(BIND_TRANSCEIVER | RESPONSE, 0, Some(&BindTransceiverResp::default().into()));
    let mut unread = Unread::default();
    loop {
        unread.read(&mut reads).await?;
        while let Some(frame) = unread.take()? {
            match (frame.id, frame.decode()?) {
                (BIND_TRANSCEIVER, _) => {
                    let mut bound = bound.clone();
                    number(&mut bound, frame.sequence);
                    own.bytes.borrow_mut().extend_from_slice(&bound);
                    own.filled.notify_one();
                }
                (SUBMIT_SM, Some(pdu @ Pdu::SubmitSm(_))) => {
                    // A number that is 0 is none.
                    let number = 1 + asked.borrow_mut().insert((Rc::clone(&own), frame.sequence));
                    encode(&mut upstream.bytes.borrow_mut(), frame.id, 0, number as u32, Some(&pdu));
                }
                (other, _) => return Err(io::Error::other(format!("{other:#x} came"))),
            }
        }
        upstream.filled.notify_one();
    }
}

/// What the SMSC answers goes to whoever has asked.
async fn answer(mut reads: OwnedReadHalf, mut unread: Unread, asked: Asked) -> io::Result<()> {
    loop {
        unread.read(&mut reads).await?;
        while let Some(frame) = unread.take()? {
            let Some((outbox, sequence)) = asked.borrow_mut().try_remove(frame.sequence as usize - 1) else { continue };
            let pdu = frame.decode()?;
            encode(&mut outbox.bytes.borrow_mut(), frame.id, frame.status, sequence, pdu.as_ref());
            outbox.filled.notify_one();
        }
    }
}

async fn write(mut writes: OwnedWriteHalf, outbox: Rc<Outbox>, each: bool) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    loop {
        outbox.filled.notified().await;
        std::mem::swap(&mut bytes, &mut outbox.bytes.borrow_mut());
        while let (true, Some(length)) = (each, bytes.first_chunk().map(|length| u32::from_be_bytes(*length))) {
            writes.write_all(&bytes.split_to(length as usize)).await?;
        }
        writes.write_all(&bytes).await?;
        bytes.clear();
    }
}
