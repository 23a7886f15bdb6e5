//! What the enclave counts: all that may be known about its work from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::StatusCode;
use kms::audit::Event;
use link::{Metric, Sample};

use crate::reseeding::Reseeds;

/// Numbers since the start, shared by all tasks.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_open: AtomicU64,
    pub(crate) tls_failures: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) client_errors: AtomicU64,
    pub(crate) server_errors: AtomicU64,
    pub(crate) attested: AtomicU64,
    pub(crate) attestation_refused: AtomicU64,
    pub(crate) signature_refused: AtomicU64,
    pub(crate) access_denied: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) key_pairs_ready: AtomicU64,
    pub(crate) key_pairs_not_ready: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) commit_failures: AtomicU64,
    pub(crate) reseeds: Arc<Reseeds>,
    pub(crate) audit_events: AtomicU64,
    pub(crate) audit_acknowledged: AtomicU64,
    pub(crate) audit_lost: AtomicU64,
    /// Whether the clock and that of the security module are too far apart.
    pub(crate) clock_wrong: AtomicBool,
    /// Whether the last attempt to reach the store failed.
    pub(crate) store_away: AtomicBool,
    /// Whether the host is behind with writing audit events, or does not take them.
    pub(crate) audit_behind: AtomicBool,
}

impl Counters {
    /// Counts a call by its answer.
    pub(crate) fn answered(&self, status: StatusCode, event: &Event) {
        add(&self.calls, 1);
        match event.attested() {
            Some(true) => add(&self.attested, 1),
            Some(false) => add(&self.attestation_refused, 1),
            None => {}
        }
        match event.error_code() {
            Some(
                "IncompleteSignatureException"
                | "InvalidSignatureException"
                | "MissingAuthenticationTokenException"
                | "UnrecognizedClientException",
            ) => add(&self.signature_refused, 1),
            Some("AccessDeniedException") => add(&self.access_denied, 1),
            Some("ThrottlingException") => add(&self.throttled, 1),
            _ => {}
        }
        if status.is_server_error() {
            add(&self.server_errors, 1);
        } else if status.is_client_error() {
            add(&self.client_errors, 1);
        }
    }

    /// Audit events made and neither acknowledged nor lost.
    pub(crate) fn audit_waiting(&self) -> u64 {
        // Read in this order the difference can't be negative: an event is made first.
        let over = get(&self.audit_acknowledged) + get(&self.audit_lost);
        get(&self.audit_events).saturating_sub(over)
    }

    /// The counters as metrics.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        [
            (Metric::Connections, get(&self.connections)),
            (Metric::ConnectionsOpen, get(&self.connections_open)),
            (Metric::TlsFailures, get(&self.tls_failures)),
            (Metric::Calls, get(&self.calls)),
            (Metric::ClientErrors, get(&self.client_errors)),
            (Metric::ServerErrors, get(&self.server_errors)),
            (Metric::Attested, get(&self.attested)),
            (Metric::AttestationRefused, get(&self.attestation_refused)),
            (Metric::SignatureRefused, get(&self.signature_refused)),
            (Metric::AccessDenied, get(&self.access_denied)),
            (Metric::Throttled, get(&self.throttled)),
            (Metric::KeyPairsReady, get(&self.key_pairs_ready)),
            (Metric::KeyPairsNotReady, get(&self.key_pairs_not_ready)),
            (Metric::Commits, get(&self.commits)),
            (Metric::CommitFailures, get(&self.commit_failures)),
            (Metric::AuditEvents, get(&self.audit_events)),
            (Metric::AuditEventsLost, get(&self.audit_lost)),
            (Metric::AuditEventsWaiting, self.audit_waiting()),
            (Metric::Reseeds, get(&self.reseeds.made)),
            (Metric::ReseedFailures, get(&self.reseeds.failed)),
        ]
        .map(|(metric, value)| Sample::new(metric, value))
        .into()
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

/// Reads a counter.
pub(crate) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
