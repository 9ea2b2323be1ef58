//! A step of a trace, as OpenTelemetry has it: a span.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};
use serde_json::Value;
use tandem_component::Peer;

use super::Call;
use crate::observe::records::Line;

/// The exchange that a record is of. `None` for one that is no step of a trace, or of one that is not sampled.
pub(super) fn of_exchange(line: &Line) -> Option<SpanData> {
    let mut fields = line.read();
    if fields.remove("sampled")? != true {
        return None;
    }
    let trace = TraceId::from_hex(fields.remove("trace")?.as_str()?).ok()?;
    let parent = fields.remove("parent").and_then(|parent| SpanId::from_hex(parent.as_str()?).ok());
    // Where the component has drawn none, nothing else names it either.
    let own = fields.remove("span").and_then(|span| SpanId::from_hex(span.as_str()?).ok());
    let own = own.unwrap_or_else(|| RandomIdGenerator::default().new_span_id());
    let took = fields.remove("duration_us").and_then(|took| took.as_u64()).unwrap_or_default();
    let asked_by_us = fields.remove("asked_by").is_some_and(|by| by == "us");
    let outcome = fields.remove("outcome").and_then(|outcome| outcome.as_str().map(str::to_owned)).unwrap_or_default();
    let name = ["event", "method"].iter().find_map(|name| fields.get(*name)?.as_str()).unwrap_or(line.component());
    let name = Cow::Owned(name.to_owned());
    let is_http = fields.contains_key("method");
    let mut attributes = vec![
        KeyValue::new("tandem.service", Arc::clone(&line.service)),
        KeyValue::new("tandem.component", line.component().to_owned()),
        KeyValue::new("tandem.version", Arc::clone(&line.version)),
        KeyValue::new("tandem.session", signed(line.session)),
        KeyValue::new("tandem.outcome", outcome.clone()),
        KeyValue::new("network.peer.address", line.peer.to_string()),
    ];
    attributes.extend(fields.into_iter().filter_map(|(name, value)| attribute(&name, value, is_http)));
    let ended = at(line.time);
    Some(SpanData {
        span_context: context(trace, own),
        parent_span_id: parent.unwrap_or(SpanId::INVALID),
        // Whoever it was, it may be elsewhere.
        parent_span_is_remote: parent.is_some(),
        span_kind: match (line.peer, asked_by_us) {
            (Peer::Service, _) => SpanKind::Internal,
            (_, true) => SpanKind::Client,
            _ => SpanKind::Server,
        },
        start_time: ended.checked_sub(Duration::from_micros(took)).unwrap_or(ended),
        end_time: ended,
        status: if outcome == "failed" { Status::error(outcome) } else { Status::Unset },
        ..blank(name, attributes)
    })
}

/// A call of one service by another.
pub(super) fn of_call(call: Call) -> SpanData {
    let Call { trace, parent, began, ended, from, version, to, account, failed } = call;
    let bytes = trace.to_bytes();
    let (id, _) = bytes.split_first_chunk().unwrap_or((&[0; 16], &[]));
    let name = Cow::Owned(format!("call {to}"));
    let mut attributes = vec![
        KeyValue::new("tandem.service", from),
        KeyValue::new("tandem.version", version),
        KeyValue::new("tandem.called", to),
    ];
    if !account.is_empty() {
        attributes.push(KeyValue::new("tandem.account", account));
    }
    SpanData {
        span_context: context(TraceId::from_bytes(*id), SpanId::from_bytes(trace.span().to_be_bytes())),
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.to_be_bytes())),
        start_time: at(began),
        end_time: at(ended.max(began)),
        status: failed.map_or(Status::Unset, Status::error),
        ..blank(name, attributes)
    }
}

fn blank(name: Cow<'static, str>, attributes: Vec<KeyValue>) -> SpanData {
    SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name,
        start_time: UNIX_EPOCH,
        end_time: UNIX_EPOCH,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("tandem").build(),
    }
}

fn context(trace: TraceId, span: SpanId) -> SpanContext {
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// A field of a record: by the name that OpenTelemetry has for it, or else by ours. What is empty says nothing.
fn attribute(name: &str, value: Value, is_http: bool) -> Option<KeyValue> {
    let name = match name {
        "method" => "http.request.method".to_owned(),
        "status" if is_http => "http.response.status_code".to_owned(),
        "user_agent" => "user_agent.original".to_owned(),
        other => format!("tandem.{other}"),
    };
    let value: opentelemetry::Value = match value {
        Value::String(text) if !text.is_empty() => text.into(),
        Value::Bool(is) => is.into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64()?.into(),
        },
        _ => return None,
    };
    Some(KeyValue::new(name, value))
}

fn at(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
