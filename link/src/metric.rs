//! The numbers that may leave the enclave.

use minicbor::{Decode, Encode};

/// A metric of the enclave, published by the host under a fixed name.
///
/// This list is all that an enclave can tell the world this way: it sends a
/// number of this list and a value, never a name or a label. A number once
/// used keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// Client connections accepted.
    Connections = 0,
    /// Client connections open now.
    ConnectionsOpen = 1,
    /// TLS handshakes that failed.
    TlsFailures = 2,
    /// Calls answered, whatever the answer.
    Calls = 3,
    /// Calls answered with a client's error (HTTP 4xx).
    ClientErrors = 4,
    /// Calls answered with a server's error (HTTP 5xx).
    ServerErrors = 5,
    /// Calls that brought an attestation document which was verified.
    Attested = 6,
    /// Calls whose attestation document was refused.
    AttestationRefused = 7,
    /// Calls whose signature or credentials were refused.
    SignatureRefused = 8,
    /// Calls that the policies did not allow.
    AccessDenied = 9,
    /// Calls refused because of too much load.
    Throttled = 10,
    /// Commits acknowledged by the store.
    Commits = 11,
    /// Commits that the store refused or failed to do.
    CommitFailures = 12,
    /// Audit events made.
    AuditEvents = 13,
    /// Audit events lost because the host did not take them in time.
    AuditEventsLost = 14,
    /// Audit events made and not yet acknowledged by the host.
    AuditEventsWaiting = 15,
    /// KMS keys in the state, whatever their key state.
    Keys = 16,
    /// The sequence number of the head.
    Sequence = 17,
    /// New keys of the random key stream.
    Reseeds = 18,
    /// Attempts at that which failed.
    ReseedFailures = 19,
    /// RSA key pairs that had been made ahead when a call needed one.
    KeyPairsReady = 20,
    /// RSA key pairs that had to be made while a call waited.
    KeyPairsNotReady = 21,
}

/// How a metric behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, from 0 at the start of the enclave.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Metric {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Connections,
        Self::ConnectionsOpen,
        Self::TlsFailures,
        Self::Calls,
        Self::ClientErrors,
        Self::ServerErrors,
        Self::Attested,
        Self::AttestationRefused,
        Self::SignatureRefused,
        Self::AccessDenied,
        Self::Throttled,
        Self::Commits,
        Self::CommitFailures,
        Self::AuditEvents,
        Self::AuditEventsLost,
        Self::AuditEventsWaiting,
        Self::Keys,
        Self::Sequence,
        Self::Reseeds,
        Self::ReseedFailures,
        Self::KeyPairsReady,
        Self::KeyPairsNotReady,
    ];

    /// Its number on the wire.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Whether it is a counter or a gauge.
    pub const fn kind(self) -> MetricKind {
        self.describe().0
    }

    /// Its name, in Prometheus' manner but without prefix and suffix.
    pub const fn name(self) -> &'static str {
        self.describe().1
    }

    /// One line that says what it counts.
    pub const fn help(self) -> &'static str {
        self.describe().2
    }

    const fn describe(self) -> (MetricKind, &'static str, &'static str) {
        use MetricKind::{Counter, Gauge};
        match self {
            Self::Connections => (Counter, "connections", "Client connections accepted"),
            Self::ConnectionsOpen => (Gauge, "connections_open", "Client connections open"),
            Self::TlsFailures => (Counter, "tls_failures", "TLS handshakes that failed"),
            Self::Calls => (Counter, "calls", "Calls answered"),
            Self::ClientErrors => (Counter, "client_errors", "Calls answered with HTTP 4xx"),
            Self::ServerErrors => (Counter, "server_errors", "Calls answered with HTTP 5xx"),
            Self::Attested => (Counter, "attested", "Attestation documents verified"),
            Self::AttestationRefused => (
                Counter,
                "attestation_refused",
                "Attestation documents refused",
            ),
            Self::SignatureRefused => (
                Counter,
                "signature_refused",
                "Calls whose signature or credentials were refused",
            ),
            Self::AccessDenied => (Counter, "access_denied", "Calls that no policy allowed"),
            Self::Throttled => (
                Counter,
                "throttled",
                "Calls refused because of too much load",
            ),
            Self::Commits => (
                Counter,
                "commits",
                "Commits acknowledged by the record store",
            ),
            Self::CommitFailures => (
                Counter,
                "commit_failures",
                "Commits refused or failed at the record store",
            ),
            Self::AuditEvents => (Counter, "audit_events", "Audit events made"),
            Self::AuditEventsLost => (
                Counter,
                "audit_events_lost",
                "Audit events the host did not take in time",
            ),
            Self::AuditEventsWaiting => (
                Gauge,
                "audit_events_waiting",
                "Audit events not yet acknowledged by the host",
            ),
            Self::Keys => (Gauge, "keys", "KMS keys in the state"),
            Self::Sequence => (Gauge, "sequence", "Sequence number of the head"),
            Self::Reseeds => (Counter, "reseeds", "New keys of the random key stream"),
            Self::ReseedFailures => (
                Counter,
                "reseed_failures",
                "New keys of the random key stream that could not be made",
            ),
            Self::KeyPairsReady => (
                Counter,
                "key_pairs_ready",
                "RSA key pairs made ahead when a call needed one",
            ),
            Self::KeyPairsNotReady => (
                Counter,
                "key_pairs_not_ready",
                "RSA key pairs made while a call waited",
            ),
        }
    }
}

/// The value of one metric at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sample {
    #[n(0)]
    code: u16,
    /// The value.
    #[n(1)]
    pub value: u64,
}

impl Sample {
    /// Says that `metric` stands at `value`.
    pub const fn new(metric: Metric, value: u64) -> Self {
        Self {
            code: metric.code(),
            value,
        }
    }

    /// Which metric this is; `None` when the sender knows more than we do.
    pub fn metric(&self) -> Option<Metric> {
        Metric::ALL
            .iter()
            .copied()
            .find(|metric| metric.code() == self.code)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_and_names_are_distinct_and_names_fit_prometheus() {
        let codes: HashSet<_> = Metric::ALL.iter().map(|metric| metric.code()).collect();
        let names: HashSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(codes.len(), Metric::ALL.len());
        assert_eq!(names.len(), Metric::ALL.len());
        for name in names {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
            // The exposition adds `_total` to counters itself.
            assert!(!name.ends_with("_total"), "{name}");
        }
    }

    #[test]
    fn a_sample_of_an_unknown_metric_is_recognised_as_such() {
        for &metric in Metric::ALL {
            assert_eq!(Sample::new(metric, 7).metric(), Some(metric));
        }
        let unknown = Sample {
            code: 60_000,
            value: 1,
        };
        assert_eq!(unknown.metric(), None);
    }
}
