//! The ends of the work `smpp-submit`, and what Tandem is compared with there: `sms submit PORT BINDS WINDOW SECONDS` is the
//! ESMEs, `sms sink PORT` the SMSC, `sms relay PORT SMSC_PORT together|each` the bare relay between them.
//!
//! All are on the codec that the component is on. The two ends decode nothing that they need not know, and write PDUs that
//! were encoded once with another number in them, so that they are faster than what is between them; that they are, the bench
//! shows by a turn without anything in between.

#[path = "../cpu.rs"]
mod cpu;
mod pdu;
mod relay;
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
        ["submit", gateway, binds, window, seconds] => {
            let span = Duration::from_secs(number(seconds)?.into());
            local.block_on(&runtime, submit::submit(port(gateway)?, number(binds)?, number(window)?, span))
        }
        ["sink", listen] => local.block_on(&runtime, sink::serve(port(listen)?)),
        ["relay", listen, smsc, writes @ ("together" | "each")] => {
            local.block_on(&runtime, relay::serve(port(listen)?, port(smsc)?, writes == "each"))
        }
        _ => {
            let usage =
                "usage: sms submit PORT BINDS WINDOW SECONDS, sms sink PORT, or sms relay PORT SMSC_PORT together|each";
            Err(io::Error::new(io::ErrorKind::InvalidInput, usage))
        }
    }
}
