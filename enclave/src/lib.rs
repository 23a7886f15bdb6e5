//! The trusted edge: listeners, TLS, HTTP, NSM, entropy and time around the KMS engine.
//!
//! [`run`] is the whole life of an enclave process; `life` has its stages, each a type. From the
//! outside in:
//!
//! - `http` accepts connections and speaks HTTP/1.1 and HTTP/2 on them, in clear or over TLS
//!   (`tls`), within limits;
//! - `driver` gives each call to the engine in `kms`, on the task it arrived on, on a thread for
//!   slow ones, or through the `writer`, which makes changes durable before it lets answers go;
//!   `key_pairs` makes RSA key pairs in idle time (`priority`), some of them ahead;
//! - `store` and `audit` talk to the host, which keeps sealed records and audit events;
//! - `nsm`, `random` and `clock` are where attestation, randomness and time come from; `reseeding`
//!   makes the second from the first, and `time_check` holds the last against it;
//! - `identity` is what the enclave says of itself in its own documents, `throttle` how often it
//!   says so, and `measurement` what it adds to their registers;
//! - `opening`, `root_key` and `ceremony` get from a store, and a file, operators or a predecessor,
//!   to a state; `operators` and `handing_off` give it on to a successor;
//! - `boot` brings up the machine where this program is its first process.
//!
//! Nothing here knows what a policy means or how a key is encrypted; everything that does is in
//! `kms` and never waits for anything.

mod audit;
#[cfg(target_os = "linux")]
mod boot;
mod ceremony;
mod clock;
mod commit;
mod config;
mod counters;
mod driver;
mod error;
mod handing_off;
mod health;
mod http;
mod identity;
mod key_pairs;
mod life;
mod log;
mod measurement;
mod nsm;
mod opening;
mod operators;
mod places;
mod polling;
mod priority;
mod program;
mod random;
mod reading;
mod reseeding;
mod root_key;
mod sealed_keys;
mod serving;
mod store;
#[cfg(test)]
mod testing;
mod throttle;
mod time_check;
mod tls;
mod trust;
mod writer;

use std::pin::pin;

use tokio::task::JoinHandle;

#[cfg(target_os = "linux")]
pub use crate::boot::{init, is_init};
pub use crate::ceremony::{GENESIS_PATH, UNSEAL_PATH};
pub use crate::config::{
    Config, EmulatedNsmConfig, Limits, NsmConfig, Pcr, RequestQuotas, RootKeyConfig,
    SimulatedNsmConfig, Tls, Trust,
};
pub use crate::error::EnclaveError;
pub use crate::identity::{
    ATTESTATION_PATH, Freshness, MAX_NONCE_SIZE, MEDIA_TYPE, Receipt, Stage, Statement,
    TlsStatement,
};
use crate::log::Notice;
pub use crate::log::log_to_stderr;
pub use crate::operators::{
    CONFIRM_PATH, HANDOVER_MESSAGE_PATH, HANDOVER_PATH, NEW_SHARES_PATH, RESHARE_PATH,
};
pub use crate::priority::only_when_idle;
pub use crate::program::main;
pub use crate::tls::{AWS_REGIONS, TlsError};

/// Runs an enclave until `shutdown` is ready, and then until the requests in work are answered and
/// the audit events are with the host.
///
/// # Errors
///
/// When it can't start, or has to stop because somebody else wrote to its store. In every case
/// the error says what to do.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), EnclaveError> {
    Notice::Starting.log();
    let result = life::live(config, pin!(shutdown)).await;
    Notice::Stopped.log();
    result
}

/// A task that does not outlive its handle.
struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
