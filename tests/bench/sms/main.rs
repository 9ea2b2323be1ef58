//! The ends of the works `smpp-submit` and `messages`, and what Tandem is compared with in the first:
//!
//! - `sms submit PORT BINDS WINDOW SECONDS FIRST` is the ESMEs, `sms post PORT CONNECTIONS SECONDS FIRST REQUEST TAKEN` the
//!   applications, with the file that has the request and a word of the answer to one that was taken;
//! - `sms sink PORT` is the SMSC, `sms reply PORT` a server that only answers applications;
//! - `sms relay PORT SMSC_PORT together|each` is the bare relay between them.
//!
//! ESMEs, SMSC and relay are on the codec that the component is on. The ends decode nothing that they need not know, and write what
//! was encoded once with other numbers in it, so that they are faster than what is between them; that they are, the bench shows by
//! a turn without anything in between.

#[path = "../cpu.rs"]
mod cpu;
mod figures;
mod marked;
mod pdu;
mod post;
mod relay;
mod reply;
mod sink;
mod submit;

use std::io;
use std::time::Duration;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u32>().map_err(io::Error::other);
    let port = |text: &str| text.parse::<u16>().map_err(io::Error::other);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    match words[..] {
        ["submit", gateway, binds, window, seconds, first] => {
            let (span, first) =
                (Duration::from_secs(number(seconds)?.into()), first.parse().map_err(io::Error::other)?);
            local.block_on(&runtime, submit::submit(port(gateway)?, number(binds)?, number(window)?, span, first))
        }
        ["post", gateway, connections, seconds, first, request, taken] => {
            let (span, first) =
                (Duration::from_secs(number(seconds)?.into()), first.parse().map_err(io::Error::other)?);
            let (gateway, request) = (port(gateway)?, std::fs::read(request)?);
            local.block_on(&runtime, post::post(gateway, number(connections)?, span, first, request, taken))
        }
        ["reply", listen] => local.block_on(&runtime, reply::serve(port(listen)?)),
        ["sink", listen] => local.block_on(&runtime, sink::serve(port(listen)?)),
        ["relay", listen, smsc, writes @ ("together" | "each")] => {
            local.block_on(&runtime, relay::serve(port(listen)?, port(smsc)?, writes == "each"))
        }
        _ => {
            let usage = "usage: sms submit PORT BINDS WINDOW SECONDS FIRST, sms post PORT CONNECTIONS SECONDS FIRST REQUEST TAKEN, \
                 sms reply PORT, sms sink PORT, or sms relay PORT SMSC_PORT together|each";
            Err(io::Error::new(io::ErrorKind::InvalidInput, usage))
        }
    }
}
