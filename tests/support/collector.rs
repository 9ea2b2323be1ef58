//! A collector of traces: [`Collector`].

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

use crate::hooks::posted;

/// It takes OTLP over HTTP, in protobuf, and keeps all that it has taken. Its thread ends with the test's process.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens.
    pub port: u16,
    steps: Arc<Mutex<Vec<Step>>>,
}

/// A span. Ids are lowercase hexadecimal digits.
#[derive(Clone, Debug)]
pub struct Step {
    /// Of its trace.
    pub trace: String,
    /// Its own.
    pub id: String,
    /// What has led to it, or nothing.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// `SpanKind` of OTLP: 1 internal, 2 server, 3 client.
    pub kind: i32,
    /// From when to when, in nanoseconds since 1970.
    pub during: (u64, u64),
    /// Why it has failed, where it has.
    pub failed: Option<String>,
    /// What is said of it, and of whose it is.
    pub attributes: BTreeMap<String, String>,
}

impl Collector {
    /// Starts one.
    ///
    /// # Panics
    /// Where there is no free port.
    pub fn start() -> Self {
        Collector::start_at(0)
    }

    /// Starts one where another was, or was looked for.
    ///
    /// # Panics
    /// Where the port is taken.
    pub fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let steps = Arc::<Mutex<Vec<Step>>>::default();
        let shared = Arc::clone(&steps);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let steps = Arc::clone(&shared);
                thread::spawn(move || {
                    let mut reader = BufReader::new(&stream);
                    while take(&mut reader, &stream, &steps).is_some() {}
                });
            }
        });
        Collector { port, steps }
    }

    /// `[traces]` of a gateway that exports here.
    pub fn configuration(&self) -> String {
        format!("[traces]\nendpoint = \"http://127.0.0.1:{}\"\n", self.port)
    }

    /// All that have come.
    pub fn steps(&self) -> Vec<Step> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Step {
    /// What is said of it by this name, or nothing.
    pub fn says(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Takes one request and answers it; nothing where there is none, or none that can be read.
fn take(reader: &mut BufReader<&TcpStream>, mut stream: &TcpStream, steps: &Mutex<Vec<Step>>) -> Option<()> {
    let (head, body) = posted(reader)?;
    let is_ours = head.starts_with("POST /v1/traces HTTP/1.1\r\n")
        && head.to_ascii_lowercase().contains("\r\ncontent-type: application/x-protobuf\r\n");
    let read = ExportTraceServiceRequest::decode(&body[..]);
    let answer = match (is_ours, read) {
        (true, Ok(request)) => {
            steps.lock().unwrap_or_else(PoisonError::into_inner).extend(steps_of(request));
            "200 OK"
        }
        _ => "400 Bad Request",
    };
    stream
        .write_all(
            format!("HTTP/1.1 {answer}\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
                .as_bytes(),
        )
        .ok()
}

fn steps_of(request: ExportTraceServiceRequest) -> Vec<Step> {
    let mut steps = Vec::new();
    for group in request.resource_spans {
        let whose = group.resource.unwrap_or_default().attributes;
        for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let said = whose.iter().cloned().chain(span.attributes).map(|said| {
                let value = match said.value.and_then(|value| value.value) {
                    Some(Value::StringValue(text)) => text,
                    Some(Value::IntValue(number)) => number.to_string(),
                    Some(Value::BoolValue(is)) => is.to_string(),
                    other => format!("{other:?}"),
                };
                (said.key, value)
            });
            steps.push(Step {
                trace: hexadecimal(&span.trace_id),
                id: hexadecimal(&span.span_id),
                parent: hexadecimal(&span.parent_span_id),
                name: span.name,
                kind: span.kind,
                during: (span.start_time_unix_nano, span.end_time_unix_nano),
                failed: span.status.filter(|status| status.code == 2).map(|status| status.message),
                attributes: said.collect(),
            });
        }
    }
    steps
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
