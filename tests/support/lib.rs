//! What the tests are written with: a gateway in a directory of its own, libraries to give it, and peers that hide nothing.
//!
//! Nothing here retries, reconnects or falls back: a peer that sees a reset says so, and every wait has a bound.

mod applications;
mod beyond;
mod blame;
mod bytes;
mod certificates;
mod client;
mod collector;
pub mod esme;
mod esmes;
mod gateway;
mod hooks;
mod kannel;
mod kills;
mod libraries;
mod manifest;
mod network;
mod patience;
mod peer;
mod port;
mod process;
mod said;
mod signing;
mod small_disk;
mod smsc;
mod starter;
mod terminal;
pub mod told;
mod under_way;
mod unruly;
mod upstream;
mod websocket;
mod wrk;

pub use applications::{ACME, Applications, Setup, request};
pub use beyond::{Beyond, Happened, Taken};
pub use blame::{Blame, By, Reach, Shares, TakenBack, Turns};
pub use bytes::{Bytes, Chance};
pub use certificates::{Authority, Certificate};
pub use client::{Answer, Client};
pub use collector::{Collector, Step};
pub use esme::{Esme, Pdu};
pub use esmes::{ACCOUNTS, Esmes, Progress, Report, Submitted};
pub use gateway::{Builder, Failed, Gateway, loopback};
pub use hooks::Hooks;
pub use kannel::{Kannel, Reported};
pub use kills::kills;
pub use libraries::{
    Libraries, asks, built, cargo, doorkeeper, fixture, greeter, ledger, libraries, tally, target_directory,
};
pub use manifest::{StampError, link, relabel, rewrite, stamp};
pub use network::Network;
pub use patience::{Over, PATIENCE, eventually, settled};
pub use peer::{Browser, Peer, described};
pub use port::free_port;
pub use process::{established, limit_descriptors, processor_time, run_on_one_processor, signal};
pub use said::{
    Agreement, Balance, Connection, Drained, File, Holders, Holding, Ledger, Moves, Notice, OtherHolder, Quota,
    Refused, Reload, Service, Status, Stopping, Sums, Version,
};
pub use signing::{Signer, beside};
pub use small_disk::SmallDisk;
pub use smsc::{SECRET, Smsc, Stored};
pub use starter::Starter;
pub use terminal::Terminal;
pub use under_way::all_ends;
pub use unruly::{Manner, Telling, Unruly};
pub use upstream::Upstream;
pub use websocket::WebSocket;
pub use wrk::{Load, Wrk};
