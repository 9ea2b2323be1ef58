//! Swapping: one version in place of another, while somebody is connected.
//!
//! The package is that of `tandem new lines`, with version 1 in its `src/lib.rs`. Every command takes the configuration of the gateway that it
//! is for, here `--config tandem.toml`; it is left out below.
//!
//! # With each save
//!
//! `tandem run` serves in one terminal, `tandem dev` builds in another, and in a third `nc 127.0.0.1 7007` has said a line. Save a change of
//! `src/lib.rs`, and say another:
//!
//! ```text
//! $ tandem dev
//!     Finished `dev` profile [unoptimized + debuginfo] target(s) in 1.35s
//! target/debug/liblines.so is copied into var/components
//! liblines.so: loaded lines@0.1.0#5bc6bb: it is newer than lines@0.1.0#8babde, which has the same number
//! 1 sessions moved, 0 stay where they are
//! watching /home/ann/lines; ctrl-C ends it
//! ```
//!
//! The connection is the same, and so is the session on it: its next line has the next number. What does not compile is not deployed, and
//! what is refused changes nothing; the version before serves on. Where a session cannot go on with the new version, it stays where it is, and
//! below the line that counts them it says why (``missing field `name` ``: give the field `#[serde(default)]`, and save). Between two builds of one number the later one counts, which is
//! meant for this. (The first time, before there is a gateway, start with `tandem dev`: a gateway does not begin without a component.)
//!
//! # By hand
//!
//! What is deployed for others has a number of its own. For version 2, end `tandem dev`, give `Talk` its new field, raise `version` in
//! `Cargo.toml` to `0.2.0`, and build it with `cargo build --release`. Then three commands are all:
//!
//! ```text
//! $ cp target/release/liblines.so var/components/
//! $ tandem reload
//! liblines.so: loaded lines@0.2.0#e5fd41
//! $ tandem status
//! 1 sessions moved in 1.1 ms, 0 stay where they are
//! VERSION                      STAGE      SESSIONS      TAKEN   FAILED  OVERRUN     MEMORY  SERVICES
//! lines@0.2.0#e5fd41           active            1          1        0        0      120 B  lines
//! lines@0.1.0#e0d0a4           staged            0          2        0        0       24 B  lines
//! ```
//!
//! SIGHUP does what `reload` does. The file may be copied over the one before: what runs is a copy that the gateway has made. The version before
//! is kept for a way back, which its sessions take as well:
//!
//! ```text
//! $ tandem rollback lines
//! lines@0.1.0#e0d0a4 serves, and lines@0.2.0#e5fd41 did
//! $ tandem promote lines
//! lines@0.2.0#e5fd41 serves, and lines@0.1.0#e0d0a4 did
//! ```
//!
//! # Looked at before
//!
//! The harness has carried sessions that a test has made. `tandem verify` takes those of the gateway at work, which have been through what
//! peers really do:
//!
//! ```text
//! $ tandem sessions lines --record states.json
//! $ tandem verify var/components/liblines.so target/release/liblines.so --states states.json
//!   sessions go on with it, with their state (policy `carry`)
//!   it passes its examination; it starts with the configuration of 1 services
//!   1 of 1 recorded sessions go on with it
//! lines@0.2.0#e5fd41 can take over from lines@0.1.0#e0d0a4
//! ```
//!
//! Nothing of it is deployed, and no session notices. Where it says that it cannot, it says why and what would be right, and its exit code is 1:
//! a number that is not above the other, a field without a default, a column that is gone. A canary (`[component.lines]` with `canary`) tries a
//! version with a share of new sessions first; a reload refuses whatever `verify` refuses, but for the recorded sessions.
//!
//! Next: [tables](super::tables).
