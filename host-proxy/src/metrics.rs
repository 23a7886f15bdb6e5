//! What the host proxy counts, in Prometheus' text form.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use link::{Metric, MetricKind, Sample};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::store::{Outcome, StoreError};

/// All counters of the process, and those that the enclave sent.
pub(crate) struct Metrics {
    registry: Registry,
    /// Client connections being relayed.
    pub(crate) connections_open: Gauge,
    /// Client connections accepted.
    pub(crate) connections: Counter,
    /// Client connections closed because there were too many.
    pub(crate) connections_refused: Counter,
    /// Client connections closed because the enclave could not be reached.
    pub(crate) connections_unreachable: Counter,
    /// Bytes from clients.
    pub(crate) bytes_to_enclave: Counter,
    /// Bytes from the enclave.
    pub(crate) bytes_from_enclave: Counter,
    /// Link connections taken.
    pub(crate) links: Counter,
    /// Link connections ended by an error.
    pub(crate) link_errors: Counter,
    commits: Counter,
    commit_conflicts: Counter,
    commit_failures: Counter,
    commit_seconds: Histogram,
    /// Audit events on stable storage.
    pub(crate) audit_events: Counter,
    /// Attempts to write audit events that failed and will be repeated.
    pub(crate) audit_failures: Counter,
    /// Whether audit events are waiting because writing fails.
    pub(crate) audit_failing: Gauge,
    /// Audit files closed because of their size.
    pub(crate) audit_rotations: Counter,
    /// Audit files removed because more than the wanted number were there.
    pub(crate) audit_removed: Counter,
    /// Torn last lines found at start.
    pub(crate) audit_torn: Counter,
    enclave: std::sync::Arc<EnclaveMetrics>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("claviger");
        let enclave = std::sync::Arc::new(EnclaveMetrics::new());
        registry.register_collector(Box::new(std::sync::Arc::clone(&enclave)));
        let commit_seconds = Histogram::new(exponential_buckets(0.000_25, 2.0, 14));
        registry.register_with_unit(
            "store_commit",
            "Time a commit takes to be durable",
            Unit::Seconds,
            commit_seconds.clone(),
        );
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let connections_open = gauge("relay_connections_open", "Client connections being relayed");
        let audit_failing = gauge("audit_failing", "1 while audit events cannot be written");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            connections_open,
            connections: counter("relay_connections", "Client connections accepted"),
            connections_refused: counter(
                "relay_refused",
                "Client connections closed because there were too many",
            ),
            connections_unreachable: counter(
                "relay_unreachable",
                "Client connections closed because the enclave could not be reached",
            ),
            bytes_to_enclave: counter("relay_to_enclave_bytes", "Bytes from clients"),
            bytes_from_enclave: counter("relay_from_enclave_bytes", "Bytes to clients"),
            links: counter("links", "Link connections taken from the enclave"),
            link_errors: counter("link_errors", "Link connections ended by an error"),
            commits: counter("store_commits", "Commits done"),
            commit_conflicts: counter(
                "store_conflicts",
                "Commits refused because the head was another",
            ),
            commit_failures: counter("store_failures", "Commits that failed"),
            commit_seconds,
            audit_events: counter("audit_events", "Audit events on stable storage"),
            audit_failures: counter("audit_failures", "Failed attempts to write audit events"),
            audit_failing,
            audit_rotations: counter("audit_rotations", "Audit files closed for their size"),
            audit_removed: counter("audit_removed", "Old audit files removed as configured"),
            audit_torn: counter("audit_torn", "Torn audit lines found at start"),
            enclave,
            registry,
        }
    }

    /// Counts a commit that took `time`.
    pub(crate) fn commit_done(&self, outcome: &Result<Outcome, StoreError>, time: Duration) {
        let counter = match outcome {
            Ok(Outcome::Committed) => {
                self.commit_seconds.observe(time.as_secs_f64());
                &self.commits
            }
            Ok(Outcome::Conflict { .. }) => &self.commit_conflicts,
            Err(_) => &self.commit_failures,
        };
        counter.inc();
    }

    /// Takes over what the enclave says of itself.
    pub(crate) fn take(&self, samples: &[Sample]) {
        for sample in samples {
            if let Some(metric) = sample.metric() {
                self.enclave.set(metric, sample.value);
            }
        }
    }

    /// Everything in the OpenMetrics text format, which Prometheus reads.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The last value of each metric that the enclave sent.
///
/// A collector, because counters come as totals: when the enclave starts anew
/// they begin at 0 again, as Prometheus expects of a counter.
#[derive(Debug)]
struct EnclaveMetrics {
    values: Vec<(Metric, Value)>,
}

#[derive(Debug, Default)]
struct Value {
    known: AtomicBool,
    value: AtomicU64,
}

impl EnclaveMetrics {
    fn new() -> Self {
        let values = Metric::ALL.iter().map(|&metric| (metric, Value::default()));
        Self {
            values: values.collect(),
        }
    }

    fn set(&self, metric: Metric, value: u64) {
        if let Some((_, cell)) = self.values.iter().find(|(known, _)| *known == metric) {
            cell.value.store(value, Ordering::Relaxed);
            cell.known.store(true, Ordering::Release);
        }
    }
}

impl Collector for EnclaveMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (metric, cell) in &self.values {
            if !cell.known.load(Ordering::Acquire) {
                continue;
            }
            let value = cell.value.load(Ordering::Relaxed);
            let name = format!("enclave_{}", metric.name());
            match metric.kind() {
                MetricKind::Counter => {
                    let counter = ConstCounter::new(value);
                    let kind = counter.metric_type();
                    let encoder = encoder.encode_descriptor(&name, metric.help(), None, kind)?;
                    counter.encode(encoder)?;
                }
                MetricKind::Gauge => {
                    let gauge = ConstGauge::new(value);
                    let kind = gauge.metric_type();
                    let encoder = encoder.encode_descriptor(&name, metric.help(), None, kind)?;
                    gauge.encode(encoder)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_what_was_counted() {
        let metrics = Metrics::new();
        metrics.connections.inc();
        metrics.connections_open.set(1);
        metrics.bytes_to_enclave.inc_by(5000);
        let time = Duration::from_millis(3);
        metrics.commit_done(&Ok(Outcome::Committed), time);
        metrics.commit_done(&Ok(Outcome::Conflict { head: None }), time);
        metrics.commit_done(&Err(StoreError::TooLarge(1)), time);
        let text = metrics.text().unwrap();
        for line in [
            "# TYPE claviger_relay_connections counter",
            "claviger_relay_connections_total 1",
            "claviger_relay_connections_open 1",
            "claviger_relay_to_enclave_bytes_total 5000",
            "claviger_store_commits_total 1",
            "claviger_store_conflicts_total 1",
            "claviger_store_failures_total 1",
            "claviger_store_commit_seconds_count 1",
            "claviger_store_commit_seconds_bucket{le=\"0.002\"} 0",
            "claviger_store_commit_seconds_bucket{le=\"0.004\"} 1",
            "claviger_audit_failing 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_enclaves_metrics_have_fixed_names_and_appear_once_sent() {
        let metrics = Metrics::new();
        assert!(!metrics.text().unwrap().contains("enclave_calls"));
        metrics.take(&[Sample::new(Metric::Calls, 7), Sample::new(Metric::Keys, 3)]);
        metrics.take(&[Sample::new(Metric::Calls, 9)]);
        let text = metrics.text().unwrap();
        for line in [
            "claviger_enclave_calls_total 9",
            "# TYPE claviger_enclave_keys gauge",
            "claviger_enclave_keys 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
