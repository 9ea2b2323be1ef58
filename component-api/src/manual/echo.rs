//! The smallest component: `echo`, step by step.
//!
//! # The package
//!
//! `tandem new NAME` writes one that builds, is tested and swaps in (`tandem` is `target/release/tandem` of a checkout of Tandem; have that
//! directory on your PATH). What matters in its `Cargo.toml`:
//!
//! ```toml
//! [package]
//! name = "echo"                         # the component is called so; a leading `tandem-` is left out
//! version = "0.1.0"                     # and this is its version: of several, the highest serves
//! edition = "2024"
//!
//! [lib]
//! crate-type = ["cdylib"]               # a library that can be loaded. With "rlib" beside it, other packages' tests can drive it as well
//!
//! [dependencies]
//! serde = { version = "1", features = ["derive"] }
//! tandem-component = { path = "/path/to/tandem/component-api" }
//! ```
//!
//! Name and version are the package's; there is no second place where they are written. Where profiles are set,
//! `panic` stays `"unwind"`.
//!
//! # The code
//!
//! This is the whole of `components/echo/src/lib.rs`:
//!
#![doc = "```standalone_crate"]
#![doc = include_str!("../../../components/echo/src/lib.rs")]
#![doc = "```"]
//!
//! # Step by step
//!
//! 1. **`Echo`** is the protocol at one version with one configuration: what [`start`](crate::Component::start) makes of
//!    `[service.NAME.config]`. All sessions on all workers share it, and it never changes. Here there is nothing to
//!    configure, so `Config` is `()`, and a configuration that is there all the same is refused.
//! 2. **`Conversation`** is one session: one TCP or Unix connection, or the datagrams of one peer. It is data, so it derives
//!    `Serialize` and `Deserialize`; a newer version resumes it from there. It counts what it has sent back, and that
//!    count goes on when the library is replaced.
//! 3. **`POLICY`** says what becomes of sessions then. [`Carry`](crate::Policy::Carry): they move to the newer version,
//!    between two events.
//! 4. **`Then`** is what a session waits for: an answer, a timer. This one waits for nothing, so it is `()`.
//! 5. **[`handle`](crate::Session::handle)** takes one event and tells `out` what follows. `send` is an effect; so is `consume`,
//!    without which the bytes would stay with the host and come again. Effects happen when `handle` has returned `Ok`.
//! 6. **`End`**: the peer has finished, so the session closes its own stream, [`Stream::OWN`](crate::Stream::OWN), once all
//!    that it sent has left. **`Drain`**: the host wants it to end. Events that it does not know are passed over; there will be
//!    more of them in later revisions of this API.
//! 7. **[`at_boundary`](crate::Session::at_boundary)**: nothing is ever half done here.
//! 8. **[`export_component!`](crate::export_component)** puts the manifest into the library, and the one symbol that the host looks for.
//!
//! # Trying it
//!
//! `tandem new` has written `tandem.toml`, a gateway with this one service, and a directory for its components:
//!
//! ```toml
//! components = "var/components"         # where libraries are copied
//! data = "var/data"                     # the gateway's own: what runs, the store, the admin socket
//!
//! [service.echo]
//! component = "echo"
//! listen = ["tcp://127.0.0.1:7007", "udp://127.0.0.1:7007"]
//! ```
//!
//! `tandem dev --config tandem.toml` builds the library and copies it there, at once and whenever you save; `tandem run --config tandem.toml`, in a
//! second terminal, serves; `nc 127.0.0.1 7007`, in a third, is somebody who talks to it. The chapter on [swapping](super::swapping)
//! says what is behind these commands.
//!
//! Next: [sessions](super::sessions).
