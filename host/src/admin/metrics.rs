//! `/metrics`: how things are, as OpenMetrics has it. It is made of a [`Status`] when it is asked for, so what is counted costs no more than it
//! does without.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{AgreementStatus, ConnectionStage, SpanStatus, Status, VersionStatus};
use crate::system::{self, Usage};

/// What the answer is.
pub(super) const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A status as metrics.
pub(super) fn text(status: Status) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { status, usage: system::usage() }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// What is told at once.
#[derive(Debug)]
struct Scrape {
    status: Status,
    usage: Option<Usage>,
}

type Labels = Vec<(&'static str, String)>;

/// Writes a metric, with a value for each set of labels; nothing where there is none.
fn family(
    encoder: &mut DescriptorEncoder<'_>,
    (kind, name, help): (MetricType, &str, &str),
    values: impl IntoIterator<Item = (Labels, f64)>,
) -> fmt::Result {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        let mut one = metric.encode_family(&labels)?;
        match kind {
            MetricType::Counter => one.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
            _ => one.encode_gauge(&value)?,
        }
    }
    Ok(())
}

fn one(value: f64) -> [(Labels, f64); 1] {
    [(Labels::new(), value)]
}

/// As metrics have them: 2^53 is reached after three centuries of a million a second.
#[allow(clippy::cast_precision_loss)]
fn float(count: u64) -> f64 {
    count as f64
}

fn seconds(nanos: u64) -> f64 {
    float(nanos) / 1e9
}

fn of_version(version: &VersionStatus) -> Labels {
    vec![("component", version.component.clone()), ("version", version.version.clone())]
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        use MetricType::{Counter, Gauge};
        let encoder = &mut encoder;
        let Status { versions, services, upstreams, agreements, notices, .. } = &self.status;

        let build = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        family(encoder, (Gauge, "tandem_build_info", "The version of Tandem."), [(build, 1.0)])?;
        family(encoder, (Gauge, "tandem_workers", "Worker threads."), one(float(self.status.workers as u64)))?;
        let publications = one(float(self.status.publication));
        family(
            encoder,
            (Counter, "tandem_publications", "What was published: swaps, reloads, rollbacks."),
            publications,
        )?;
        if let Some(moves) = self.status.moves {
            let help = "Sessions that the last publication has moved to another version.";
            family(encoder, (Gauge, "tandem_last_move_sessions", help), one(float(moves.moved)))?;
            let help = "How long they took, from the publication to the last of them.";
            family(encoder, (Gauge, "tandem_last_move_seconds", help), one(moves.took_ms / 1e3))?;
        }

        let is_up = |up: bool| f64::from(u8::from(up));
        let up = services.iter().map(|service| {
            let labels = vec![("service", service.name.clone()), ("component", service.component.clone())];
            (labels, is_up(service.version.is_some()))
        });
        family(encoder, (Gauge, "tandem_service_up", "Whether a version serves the service."), up)?;
        let up = services.iter().flat_map(|service| {
            service.connect.iter().map(|connection| {
                let labels = vec![
                    ("service", service.name.clone()),
                    ("address", connection.address.clone()),
                    ("nth", connection.nth.to_string()),
                ];
                (labels, is_up(connection.stage == ConnectionStage::Up))
            })
        });
        family(encoder, (Gauge, "tandem_connector_up", "Whether a connection that a service keeps is up."), up)?;
        let up = upstreams.iter().flat_map(|upstream| {
            upstream.servers.iter().map(|server| {
                let labels = vec![("upstream", upstream.name.clone()), ("address", server.address.clone())];
                (labels, is_up(!server.ejected))
            })
        });
        family(encoder, (Gauge, "tandem_upstream_server_up", "Whether a server of an upstream is not left out."), up)?;

        // Of one that was never loaded nothing but its stage is said.
        let worked = || versions.iter().filter(|version| version.taken > 0 || !version.services.is_empty());
        let each = |value: fn(&VersionStatus) -> u64| worked().map(move |one| (of_version(one), float(value(one))));
        let stages = versions.iter().map(|version| {
            let mut labels = of_version(version);
            labels.push(("stage", version.stage.clone()));
            (labels, 1.0)
        });
        family(
            encoder,
            (Gauge, "tandem_version_stage", "Where a version is in its life, by the label `stage`."),
            stages,
        )?;
        let sessions = each(|version| version.sessions);
        family(encoder, (Gauge, "tandem_version_sessions", "Sessions that run on a version."), sessions)?;
        let help = "Sessions that were opened on a version, or carried to it.";
        family(encoder, (Counter, "tandem_version_sessions_taken", help), each(|version| version.taken))?;
        let failures = worked().flat_map(|version| {
            let faults = version.failures.saturating_sub(version.panics);
            [("panic", version.panics), ("fault", faults)].map(|(kind, count)| {
                let mut labels = of_version(version);
                labels.push(("kind", kind.to_owned()));
                (labels, float(count))
            })
        });
        let help = "Sessions that a version has ended by a panic, or by breaking a rule.";
        family(encoder, (Counter, "tandem_version_failures", help), failures)?;
        self.exchanges(encoder)?;
        let help = "Events that took a version longer than overrun.report.";
        family(encoder, (Counter, "tandem_version_overruns", help), each(|version| version.overruns))?;
        let memory = versions.iter().filter_map(|version| Some((of_version(version), float(version.memory?))));
        let help = "Bytes that a version's library has allocated and not freed.";
        family(encoder, (Gauge, "tandem_version_memory_bytes", help), memory)?;
        let lingering = versions.iter().filter(|version| version.stage == "lingering").count();
        let help = "Versions that are retired and still mapped.";
        family(encoder, (Gauge, "tandem_versions_lingering", help), one(float(lingering as u64)))?;

        let used = agreements.iter().flat_map(used);
        let help = "What is used of an agreement now, by the label `of`; of a rate, how much of its burst.";
        family(encoder, (Gauge, "tandem_agreement_used", help), used.clone().map(|(labels, used, _)| (labels, used)))?;
        let limits = used.map(|(labels, _, limit)| (labels, limit));
        family(encoder, (Gauge, "tandem_agreement_limit", "How much that may be."), limits)?;
        let refused = agreements.iter().map(|one| (of_agreement(one), float(one.refused)));
        family(
            encoder,
            (Counter, "tandem_agreement_refused", "How often an agreement has refused something."),
            refused,
        )?;

        let given: BTreeMap<String, u64> =
            notices.iter().map(|tally| (tally.notice.to_string(), tally.count)).collect();
        let given = given.into_iter().map(|(notice, count)| (vec![("notice", notice)], float(count)));
        family(encoder, (Counter, "tandem_notices", "Notices, by the closed list of them."), given)?;

        let help = "When the process began, in seconds since 1970.";
        family(encoder, (Gauge, "process_start_time_seconds", help), one(seconds(self.status.since)))?;
        if let Some(Usage { resident, processor, descriptors }) = self.usage {
            let help = "Memory that is resident, in bytes.";
            family(encoder, (Gauge, "process_resident_memory_bytes", help), one(float(resident)))?;
            let help = "Time on processors, in seconds.";
            family(encoder, (Counter, "process_cpu_seconds", help), one(processor.as_secs_f64()))?;
            family(encoder, (Gauge, "process_open_fds", "Open descriptors."), one(float(descriptors)))?;
        }
        Ok(())
    }
}

impl Scrape {
    /// How exchanges ended and how long they took, by the version that has told of them.
    fn exchanges(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let told = || self.status.versions.iter().filter_map(|one| Some((one, one.exchanges.as_ref()?)));
        let ended = told().flat_map(|(version, exchanges)| {
            exchanges.by_outcome().map(|(outcome, count)| {
                let mut labels = of_version(version);
                labels.push(("outcome", outcome.word().to_owned()));
                (labels, float(count))
            })
        });
        let help = "Exchanges that have ended on a version, by how.";
        family(encoder, (MetricType::Counter, "tandem_version_exchanges", help), ended)?;
        if told().next().is_none() {
            return Ok(());
        }
        let help = "How long exchanges took on a version.";
        let (name, kind) = ("tandem_version_exchange_seconds", MetricType::Histogram);
        let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
        for (version, exchanges) in told() {
            let sum = seconds(exchanges.took_us.saturating_mul(1000));
            let buckets = buckets(&exchanges.spans);
            metric.encode_family(&of_version(version))?.encode_histogram::<NoLabelSet>(
                sum,
                exchanges.ended,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

/// What alarms and objectives are usually about, in microseconds. Each is the end of a span, so that none is cut in two.
const BUCKETS: [u64; 18] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    60_000_000,
    600_000_000,
];

/// How many are in each bucket, and where in seconds that ends.
fn buckets(spans: &[SpanStatus]) -> Vec<(f64, u64)> {
    let ends = BUCKETS.into_iter().map(|end| (end, seconds(end * 1000))).chain([(u64::MAX, f64::INFINITY)]);
    let mut spans = spans.iter().peekable();
    let bucket = |(last, end)| {
        let within = std::iter::from_fn(|| spans.next_if(|span| span.up_to_us.unwrap_or(u64::MAX) <= last));
        (end, within.map(|span| span.count).sum())
    };
    ends.map(bucket).collect()
}

fn of_agreement(one: &AgreementStatus) -> Labels {
    vec![("agreement", one.agreement.clone()), ("account", one.account.clone()), ("service", one.service.clone())]
}

/// What is used, and of how much.
fn used(one: &AgreementStatus) -> Vec<(Labels, f64, f64)> {
    let row = |of: &str, used: u64, limit: u64| {
        let mut labels = of_agreement(one);
        labels.push(("of", of.to_owned()));
        (labels, float(used), float(limit))
    };
    let rate = one.rate.map(|rate| row("rate", rate.burst.saturating_sub(rate.left), rate.burst));
    let quotas = one.quotas.iter().map(|quota| row(&quota.period, quota.used, quota.of));
    let at_a_time = [("concurrent", one.concurrent), ("sessions", one.sessions)];
    let at_a_time = at_a_time.into_iter().filter_map(|(of, (now, limit))| Some(row(of, now, limit?)));
    rate.into_iter().chain(quotas).chain(at_a_time).collect()
}

#[cfg(test)]
mod tests {
    use tandem_component::Outcome;

    use super::*;
    use crate::admin::ExchangesStatus;
    use crate::version::{Counted, Exchanges};

    #[test]
    fn a_bucket_has_all_that_took_no_longer() {
        for end in BUCKETS {
            let exchanges = Exchanges::default();
            let nanos = end * 1000;
            [0, nanos - 1, nanos, nanos + 1, u64::MAX]
                .into_iter()
                .for_each(|took| exchanges.count(0, Outcome::Done, took));
            let mut counted = Counted::default();
            exchanges.add_to(&mut counted);
            let status = ExchangesStatus::from(&counted);
            let buckets = buckets(&status.spans);
            let up_to: u64 = buckets.iter().filter(|(until, _)| *until <= seconds(nanos)).map(|(_, count)| count).sum();
            assert_eq!((up_to, buckets.iter().map(|(_, count)| count).sum::<u64>()), (3, 5), "{end} µs");
        }
    }
}
