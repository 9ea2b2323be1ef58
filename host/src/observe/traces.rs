//! The steps of traces: a thread tells a collector of them, by OTLP over HTTP.
//!
//! A step is the record of an exchange, or a call of one service by another. A worker never waits for a collector: where the queue is
//! full, or the collector does not take them, steps are dropped, and a notice is given.

mod step;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tandem_component::{Sampling, Trace};

use super::notice::{self, Notice};
use super::queue::{Inlet, Outlet, queue};
use super::records::Line;
use crate::config;

/// How many steps may wait to be exported.
const QUEUE: usize = 16 * 1024;
/// So many are exported at once.
const BATCH: usize = 512;
/// After so long what was handed over is exported.
const GATHER: Duration = Duration::from_secs(1);
/// A collector that does not take them in this time has lost them.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the steps of traces go.
#[derive(Debug)]
pub struct Traces {
    queue: Inlet<Entry>,
    settings: config::Traces,
}

/// What the exporting thread takes.
#[derive(Debug)]
enum Entry {
    Exchange(Box<Line>),
    Call(Box<Call>),
    /// Export what is there, and say so.
    Flush(Sender<()>),
}

/// A call of one service by another, from when it was made until its caller has heard of it.
#[derive(Debug)]
pub struct Call {
    /// Its own step.
    pub trace: Trace,
    /// The one that it was made in, where that is known.
    pub parent: Option<u64>,
    /// When it was made, in nanoseconds since 1970.
    pub began: u64,
    /// When it was over.
    pub ended: u64,
    /// The caller's service.
    pub from: String,
    /// The caller's version: `rest@1.2.0#3fa9c1`.
    pub version: Arc<str>,
    /// The service that was called.
    pub to: String,
    /// For whom, or nobody.
    pub account: String,
    /// Why there was no answer, where there was none.
    pub failed: Option<&'static str>,
}

impl Traces {
    /// Begins to export.
    ///
    /// # Errors
    /// The endpoint is none, or there is no thread for it.
    pub fn open(settings: &config::Traces) -> anyhow::Result<Self> {
        // Nothing is connected to here: the collector may come later.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&settings.endpoint.0)
            .with_timeout(PATIENCE)
            .build()?;
        let (queue, entries) = queue(QUEUE, GATHER);
        let exporting = Exporting { runtime, exporter, endpoint: settings.endpoint.0.clone(), batch: Vec::new() };
        thread::Builder::new().name("traces".into()).spawn(move || exporting.run(&entries))?;
        Ok(Traces { queue, settings: settings.clone() })
    }

    /// Whether it goes on as these settings say.
    pub fn stands(&self, settings: &config::Traces) -> bool {
        self.settings == *settings
    }

    /// Which traces that begin here are sampled.
    pub fn sampling(&self) -> Sampling {
        self.settings.sample
    }

    /// Hands over the record of an exchange. One that is no step of a trace, or of one that is not sampled, is passed over.
    pub fn push_exchange(&self, line: Line) {
        self.push(Entry::Exchange(Box::new(line)));
    }

    /// Hands over a call.
    pub fn push_call(&self, call: Call) {
        self.push(Entry::Call(Box::new(call)));
    }

    fn push(&self, entry: Entry) {
        if self.queue.push(entry).is_err() {
            notice::give(Notice::TracesLost, &format!("{} cannot keep up", self.settings.endpoint.0));
        }
    }

    /// Waits until all that was handed over is exported, but not for a collector that hangs.
    pub fn flush(&self) {
        let (done, flushed) = channel();
        // Where there is no room, what is there takes longer than anybody waits.
        let _ = self.queue.push_urgent(Entry::Flush(done)).map(|()| flushed.recv_timeout(PATIENCE));
    }
}

/// The thread that exports.
struct Exporting {
    runtime: tokio::runtime::Runtime,
    exporter: opentelemetry_otlp::SpanExporter,
    endpoint: String,
    batch: Vec<SpanData>,
}

impl Exporting {
    fn run(mut self, queue: &Outlet<Entry>) {
        // Whose steps these are: the names are OpenTelemetry's (semantic conventions, "Service" and "Process").
        let resource = Resource::builder_empty().with_service_name("tandem").with_attributes([
            opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            opentelemetry::KeyValue::new("process.pid", i64::from(std::process::id())),
        ]);
        self.exporter.set_resource(&resource.build());
        let mut entries = Vec::new();
        while queue.take(&mut entries) {
            for entry in entries.drain(..) {
                match entry {
                    Entry::Exchange(line) => self.batch.extend(step::of_exchange(&line)),
                    Entry::Call(call) => self.batch.push(step::of_call(*call)),
                    Entry::Flush(done) => {
                        self.export();
                        // Who asked may have given up waiting.
                        let _ = done.send(());
                    }
                }
                if self.batch.len() >= BATCH {
                    self.export();
                }
            }
            self.export();
        }
    }

    fn export(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len();
        // Its own patience is kept by the exporter; this one is for what it does not see.
        let exported = self.runtime.block_on(async {
            let exported = tokio::time::timeout(2 * PATIENCE, self.exporter.export(batch)).await;
            exported.unwrap_or_else(|_| Err(opentelemetry_sdk::error::OTelSdkError::Timeout(2 * PATIENCE)))
        });
        if let Err(error) = exported {
            notice::give(Notice::TracesLost, &format!("{} did not take {count} spans: {error}", self.endpoint));
        }
    }
}
