//! What an ESME sees, and an SMSC that is bound to, one behaviour a file.

mod admitting;
mod anything;
mod asking;
mod binding;
mod connector_binding;
mod connector_receiving;
mod connector_submitting;
mod delivering;
mod end_to_end;
mod framing;
mod full;
mod goodbye;
mod handing_over;
mod keeping_alive;
mod outbind;
mod outdated;
mod recalling;
mod receipts;
mod recording;
mod store_failing;
mod submitting;
mod support;
mod windows;
