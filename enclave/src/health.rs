//! What `GET /health` tells: that the enclave serves, and on whose word.

use std::sync::atomic::Ordering;

use attestation::TrustRoot;
use kms::state::State;
use serde_json::json;

use crate::counters::{Counters, get};

/// What does not change while the enclave runs.
pub(crate) struct Health {
    /// The root of this enclave's own documents.
    pub(crate) own_root: TrustRoot,
    /// The roots whose documents open keys.
    pub(crate) trusted: Vec<TrustRoot>,
    pub(crate) accept_debug: bool,
}

impl Health {
    /// The whole answer.
    pub(crate) fn to_json(&self, state: &State, counters: &Counters) -> String {
        let away = counters.store_away.load(Ordering::Relaxed);
        let clock_wrong = counters.clock_wrong.load(Ordering::Relaxed);
        let behind = counters.audit_behind.load(Ordering::Relaxed);
        let roots: Vec<_> = self
            .trusted
            .iter()
            .map(|root| {
                json!({
                    "sha256": hex::encode(root.sha256()),
                    "simulated": root.is_simulated(),
                })
            })
            .collect();
        json!({
            "status": if clock_wrong { "clock_wrong" } else { "ok" },
            "version": env!("CARGO_PKG_VERSION"),
            "attestation": if self.own_root.is_simulated() { "simulated" } else { "nitro" },
            "trust": {
                "roots": roots,
                "simulated": self.trusted.iter().any(TrustRoot::is_simulated),
                "accept_debug": self.accept_debug,
            },
            "state": {
                "epoch": state.epoch(),
                "sequence": state.sequence(),
                // Calls that need one of them are to be tried again.
                "sealed_keys": state.sealed_keys(),
                // Until witnesses exist, an old copy of all records can't be told from the newest.
                "freshness": "none",
            },
            "store": if away { "away" } else { "connected" },
            "audit": {
                "host": if behind { "behind" } else { "connected" },
                "waiting": counters.audit_waiting(),
                "lost": get(&counters.audit_lost),
            },
        })
        .to_string()
    }
}
