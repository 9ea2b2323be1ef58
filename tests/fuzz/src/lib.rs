//! What is fuzzed. A target takes bytes and panics where a promise is not kept; what it promises stands at its file's head.
//!
//! `tests/seeded.rs` runs each on its corpus and on mutations of it, in every run of `cargo test`. `scripts/fuzz` runs them
//! guided by coverage, in `libfuzzer`. An input that has found something goes into `corpus`, under the name of its target.

#![forbid(unsafe_code)]

mod chunks;
mod configuration;
mod driven;
mod echo_session;
mod head;
mod http_session;
mod input;
mod lenient;
mod manifest;
mod pieces;
mod proxy_header;
mod remainder;
mod rows;
mod saved;
mod smpp_pdu;
mod smpp_session;
mod smpp_wire;
mod sms_text;

/// Panics where a promise is not kept.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("smpp_pdu", smpp_pdu::run),
    ("smpp_session", smpp_session::run),
    ("sms_text", sms_text::run),
    ("http_head", head::run),
    ("http_chunks", chunks::run),
    ("http_pieces", pieces::run),
    ("http_session", http_session::run),
    ("echo_session", echo_session::run),
    ("rows", rows::run),
    ("remainder", remainder::run),
    ("saved", saved::run),
    ("manifest", manifest::run),
    ("configuration", configuration::run),
    ("proxy_header", proxy_header::run),
];

/// The target of this name.
///
/// # Panics
/// Where there is none.
pub fn target(name: &str) -> Target {
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    found.unwrap_or_else(|| panic!("there is no target {name:?}; see TARGETS in tests/fuzz/src/lib.rs")).1
}
