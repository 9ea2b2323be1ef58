//! The SMSC: takes every message, forgets it but for its number, and says an id of its own.
//!
//! Lines of its standard input ask it what has come, and each is answered by a line of JSON: `from N` begins anew with the messages
//! from that number on, `without N,N` leaves out those of which it does not matter whether they have come.

use std::cell::RefCell;
use std::io::{self, BufRead, Write};
use std::net::Ipv4Addr;
use std::rc::Rc;

use rusmpp_core::pdus::owned::{BindTransceiverResp, Pdu, SubmitSmResp};
use rusmpp_core::types::owned::COctetString;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::figures::unix_seconds;
use crate::marked::Watch;
use crate::pdu::{BIND_TRANSCEIVER, ENQUIRE_LINK, HEADER, RESPONSE, SUBMIT_SM, UNBIND, Unread, encoded, number};

/// What has come, over all connections.
#[derive(Default)]
struct Taken {
    messages: u64,
    last_at: f64,
    watch: Watch,
}

/// Serves until it is killed.
pub(crate) async fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let taken = Rc::new(RefCell::new(Taken::default()));
    tokio::task::spawn_local(say(Rc::clone(&taken)));
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that fails ends alone; who submits notices.
        tokio::task::spawn_local(take_all(stream, Rc::clone(&taken)));
    }
}

async fn take_all(mut stream: TcpStream, taken: Rc<RefCell<Taken>>) -> io::Result<()> {
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
                    let mut taken = taken.borrow_mut();
                    taken.messages += 1;
                    taken.watch.take(frame.body);
                    number(&mut response, frame.sequence);
                    write_hex(&mut response[HEADER..HEADER + 16], taken.messages);
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
        taken.borrow_mut().last_at = unix_seconds();
        stream.write_all(&out).await?;
    }
}

fn write_hex(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number % 16) as usize];
        number /= 16;
    }
}

/// Answers each line that is read.
async fn say(taken: Rc<RefCell<Taken>>) -> io::Result<()> {
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let mut taken = taken.borrow_mut();
        if let Some(first) = line.strip_prefix("from ").and_then(|first| first.parse().ok()) {
            taken.watch = Watch::from(first);
        }
        let without = line.strip_prefix("without ").unwrap_or_default();
        for number in without.split(',').filter_map(|number| number.parse().ok()) {
            taken.watch.leave_out(number);
        }
        let (last_at, Watch { distinct, doubled, strays, .. }) = (taken.last_at, &taken.watch);
        let mut out = io::stdout();
        writeln!(
            out,
            r#"{{"distinct": {distinct}, "doubled": {doubled}, "strays": {strays}, "last_at": {last_at:.6}}}"#
        )?;
        out.flush()?;
    }
    Ok(())
}

/// What is read, a line each; a thread reads it, since the runtime has none for files.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || io::stdin().lock().lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
    receiver
}
