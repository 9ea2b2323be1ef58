//! What a component reports to the host without being asked: panics and its log.
//!
//! A library has a standard library and a `tracing` of its own, so both are set up once per library, when the host has
//! loaded it. What stays is in statics that go with the library; so is what `tracing` allocates for its global subscriber and never frees,
//! since the library's [allocator](crate::memory) has room of its own for that.

use std::fmt::{self, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use abi_stable::std_types::RStr;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::abi::HostTableRef;

static HOST: OnceLock<HostTableRef> = OnceLock::new();

/// Installs the panic hook and the subscriber. A second call does nothing.
pub(crate) fn begin(host: HostTableRef) {
    if HOST.set(host).is_err() {
        return;
    }
    std::panic::set_hook(Box::new(report_panic));
    // Fails only where the component has set one of its own, which then is what it wants.
    let _ = tracing::dispatcher::set_global_default(tracing::Dispatch::new(Forward));
}

/// The library has as much memory as it may have. Returns where the host does not keep the thread.
pub(crate) fn exhausted() {
    if let Some(host) = HOST.get() {
        (host.exhausted())();
    }
}

/// Quiet: no backtrace is taken, since that would map debug information for good (about 36 MB a load).
fn report_panic(info: &PanicHookInfo<'_>) {
    let Some(host) = HOST.get() else { return };
    let message = info.payload_as_str().unwrap_or("a payload that is no text");
    let mut location = String::new();
    if let Some(place) = info.location() {
        let _ = write!(location, "{place}");
    }
    (host.panicked())(RStr::from_str(message), RStr::from_str(&location));
}

/// Hands each event of the component's `tracing` to the host. Spans are not forwarded: an event of the host's world has
/// component, version and session beside it anyway.
struct Forward;

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        HOST.get().is_some_and(|host| number(metadata.level()) <= (host.level())())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match HOST.get().map_or(0, |host| (host.level())()) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn event(&self, event: &Event<'_>) {
        let Some(host) = HOST.get() else { return };
        let mut text = Text::default();
        event.record(&mut text);
        (host.log())(
            number(event.metadata().level()),
            RStr::from_str(event.metadata().target()),
            RStr::from_str(&text.message),
            RStr::from_str(&text.fields),
        );
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn number(level: &Level) -> u32 {
    match *level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
            return;
        }
        let separator = if self.fields.is_empty() { "" } else { " " };
        let _ = write!(self.fields, "{separator}{}={value:?}", field.name());
    }
}
