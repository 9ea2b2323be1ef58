//! The ESMEs: binds whose windows are always full.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rusmpp_core::pdus::owned::{BindTransceiver, Pdu, SubmitSm};
use rusmpp_core::types::owned::{COctetString, OctetString};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::figures::Figures;
use crate::marked;
use crate::pdu::{BIND_TRANSCEIVER, RESPONSE, SUBMIT_SM, Unread, encoded, number};

const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Submits for as long as it is told, and says what has come of it.
/// Each message has a number of its own, from `first` on.
pub(crate) async fn submit(port: u16, binds: u32, window: u32, span: Duration, first: u64) -> io::Result<()> {
    let mut bound = Vec::new();
    for _ in 0..binds {
        bound.push(bind(port).await?);
    }
    let figures = Rc::new(RefCell::new(Figures::begin()));
    let (until, next, mut submitting) = (Instant::now() + span, Rc::new(Cell::new(first)), JoinSet::new());
    for (stream, unread) in bound {
        submitting.spawn_local(keep_full(stream, unread, window, until, Rc::clone(&next), Rc::clone(&figures)));
    }
    while let Some(done) = submitting.join_next().await {
        done.map_err(io::Error::other)??;
    }
    let figures = Rc::into_inner(figures).expect("all who had it are done");
    figures.into_inner().print();
    Ok(())
}

async fn bind(port: u16) -> io::Result<(TcpStream, Unread)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let bind = BindTransceiver::builder().system_id(text("b0")).password(text("bench")).build();
    stream.write_all(&encoded(BIND_TRANSCEIVER, 1, Some(&Pdu::BindTransceiver(bind)))).await?;
    let mut unread = Unread::default();
    timeout(ANSWER_MAX, unread.wait_for(BIND_TRANSCEIVER | RESPONSE, &mut stream)).await??;
    Ok((stream, unread))
}

/// For each response another request, until the time is up and all are answered.
async fn keep_full(
    mut stream: TcpStream,
    mut unread: Unread,
    window: u32,
    until: Instant,
    next: Rc<Cell<u64>>,
    figures: Rc<RefCell<Figures>>,
) -> io::Result<()> {
    let mut message = encoded(SUBMIT_SM, 0, Some(&message()));
    let place = marked::place(&message).expect("its text has a number");
    let mut last = 1;
    // When each was sent that has no answer, by its number: one may wait while many others come and go.
    let mut sent = HashMap::new();
    let (mut open, mut room, mut out) = (0, window, Vec::new());
    loop {
        let now = Instant::now();
        if now < until {
            out.clear();
            for _ in 0..std::mem::take(&mut room) {
                last += 1;
                number(&mut message, last);
                marked::write(&mut message, place, next.replace(next.get() + 1));
                out.extend_from_slice(&message);
                sent.insert(last, now);
                open += 1;
            }
            stream.write_all(&out).await?;
        } else if open == 0 {
            return Ok(());
        }
        timeout(ANSWER_MAX, unread.read(&mut stream)).await??;
        let (now, mut figures) = (Instant::now(), figures.borrow_mut());
        while let Some(frame) = unread.take()? {
            if frame.id != SUBMIT_SM | RESPONSE {
                return Err(io::Error::other(format!("{:#x} came", frame.id)));
            }
            let at = sent.remove(&frame.sequence);
            let at =
                at.ok_or_else(|| io::Error::other(format!("a response to {}, which was not asked", frame.sequence)))?;
            figures.answered(frame.status == 0, at, now);
            (open, room) = (open - 1, room + 1);
        }
    }
}

/// 100 characters, no receipt.
fn message() -> Pdu {
    let text_of_it = OctetString::from_vec(marked::TEXT.as_bytes().to_vec()).expect("up to 255 bytes");
    SubmitSm::builder()
        .source_addr(text("447700900001"))
        .destination_addr(text("447700900002"))
        .short_message(text_of_it)
        .build()
        .into()
}

fn text<const MIN: usize, const MAX: usize>(text: &str) -> COctetString<MIN, MAX> {
    COctetString::from_vec([text.as_bytes(), b"\0"].concat()).expect("a short text")
}
