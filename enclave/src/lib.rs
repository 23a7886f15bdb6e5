//! The trusted edge: listeners, TLS, HTTP, NSM, entropy and time around the KMS engine.
//!
//! [`run`] is the whole life of an enclave process. From the outside in:
//!
//! - `http` accepts connections and speaks HTTP/1.1 and HTTP/2 on them, in clear or over TLS
//!   (`tls`), within limits;
//! - `driver` gives each call to the engine in `kms`, on the task it arrived on, on a thread for
//!   slow ones, or through the `writer`, which makes changes durable before it lets answers go;
//! - `store` and `audit` talk to the host, which keeps sealed records and audit events;
//! - `nsm`, `random` and `clock` are where attestation, randomness and time come from, and
//!   `time_check` holds the last against the first;
//! - `identity` is what the enclave says of itself in its own documents, and `measurement` what it
//!   adds to their registers;
//! - `opening`, `root_key` and `ceremony` get from a store, and a file or operators, to a state;
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
mod health;
mod http;
mod identity;
mod log;
mod measurement;
mod nsm;
mod opening;
mod program;
mod random;
mod root_key;
mod store;
#[cfg(test)]
mod testing;
mod time_check;
mod tls;
mod trust;
mod writer;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use kms::engine::{Engine, EngineConfig};
use kms::key_pair::AwsLcKeyPairs;
use link::Listener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

#[cfg(target_os = "linux")]
pub use crate::boot::{init, is_init};
use crate::ceremony::Surroundings;
pub use crate::ceremony::{GENESIS_PATH, UNSEAL_PATH};
use crate::clock::Clock;
use crate::commit::Fenced;
pub use crate::config::{
    Config, EmulatedNsmConfig, Limits, NsmConfig, RootKeyConfig, SimulatedNsmConfig, Tls, Trust,
};
use crate::counters::Counters;
use crate::driver::{Driver, Stepper};
pub use crate::error::EnclaveError;
use crate::health::Health;
use crate::http::{Front, Server};
pub use crate::identity::{
    ATTESTATION_PATH, Freshness, MAX_NONCE_SIZE, MEDIA_TYPE, Receipt, Stage, Statement,
    TlsStatement,
};
use crate::identity::{Identity, PublicIdentity, Situation};
use crate::log::Notice;
pub use crate::log::log_to_stderr;
use crate::measurement::Measurement;
use crate::opening::Opened;
pub use crate::program::main;
use crate::random::Random;
use crate::store::Store;
pub use crate::tls::{AWS_REGIONS, TlsError};
use crate::tls::{Https, Issuance};
use crate::writer::{Current, Writer};

/// Runs an enclave until `shutdown` is ready, and then until the requests in work are answered and
/// the audit events are with the host.
///
/// # Errors
///
/// When it can't start, or has to stop because somebody else wrote to its store. In every case
/// the error says what to do.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), EnclaveError> {
    Notice::Starting.log();
    let mut shutdown = pin!(shutdown);
    let running = tokio::select! {
        started = Running::start(config) => started?,
        () = &mut shutdown => return Ok(()),
    };
    let result = running.until(shutdown).await;
    Notice::Stopped.log();
    result
}

/// An enclave that serves.
struct Running {
    listener: Listener,
    server: Server,
    writer: Task<Result<(), Fenced>>,
    audit: Task<()>,
    renewal: Option<Task<()>>,
    time_check: Task<()>,
    counters: Arc<Counters>,
    shutdown_time: Duration,
}

impl Running {
    async fn start(config: Config) -> Result<Self, EnclaveError> {
        config::refuse_in_release(&config)?;
        let clock = Clock::default();
        let nsm = nsm::open(&config.nsm)?;
        let own_root = nsm.trust_root();
        config::refuse_simulation(&config, own_root.is_simulated())?;
        let limits = config.limits.clone();
        let verifier = trust::verifier(&config.trust, own_root)?;
        let random = Random::new(&nsm.random().await?).map_err(|_| EnclaveError::NoRandomness)?;
        time_check::compare(&nsm, clock).await?;

        let store = Store::new(config.host.clone());
        let simulated = verifier.roots().iter().filter(|root| root.is_simulated());
        let simulated_roots = simulated.count();
        let mut opened = match &config.root_key {
            RootKeyConfig::DevFile(path) => {
                Opened::with_dev_file(store, path, clock, random.clone()).await?
            }
            RootKeyConfig::Quorum => {
                ceremony::hold(Surroundings {
                    config: &config,
                    nsm: &nsm,
                    simulated_roots,
                    store,
                    clock,
                    random: random.clone(),
                })
                .await?
            }
        };
        let mark = time_check::high_water(&opened.state, clock.now())?;
        if !mark.is_empty() {
            opened.commit(mark).await?;
        }
        if let Some(seed) = &config.seed {
            opened.apply(seed, config.account).await?;
        }
        let authority = match &config.tls {
            Some(_) => Some(opened.tls_authority().await?),
            None => None,
        };
        // Before the first document of an enclave that serves.
        let certificate = authority.as_ref().map(|authority| authority.certificate());
        let measurement = Measurement::new(config.hash, certificate);
        nsm.measure(measurement).await?;
        let identity = Identity::new(nsm.clone(), simulated_roots, Situation::SERVING);
        let identity = Arc::new(identity);
        let tls = match (authority, &config.tls) {
            (Some(authority), Some(tls)) => {
                let issuance = Issuance {
                    authority,
                    names: tls.names.clone(),
                    identity: Arc::clone(&identity),
                    clock,
                };
                Some(Https::start(issuance).await?)
            }
            _ => None,
        };

        let listener =
            link::listen(&config.listen)
                .await
                .map_err(|source| EnclaveError::Listen {
                    address: config.listen.clone(),
                    source,
                })?;
        let counters = Arc::new(Counters::default());
        let (audit, delivery) = audit::channel(
            config.host,
            limits.audit_queue,
            Arc::clone(&counters),
            tls.as_ref().map(|https| https.ca_pem.clone()),
            clock,
            random.clone(),
        );
        let health = Health {
            own_root: own_root.clone(),
            trusted: verifier.roots().to_vec(),
            accept_debug: config.trust.accept_debug,
        };
        let mut engine_config = EngineConfig::default();
        engine_config.usage_tracked_since = clock.now();
        let stepper = Arc::new(Stepper {
            engine: Engine::new(engine_config, verifier, Arc::new(AwsLcKeyPairs)),
            current: Current::new(opened.state),
            clock,
            random,
            audit,
            counters: Arc::clone(&counters),
        });
        let (waiting, queue) = mpsc::channel(limits.commit_queue);
        let (right, right_time) = mpsc::channel(1);
        let writer = Writer {
            queue,
            right_time,
            stepper: Arc::clone(&stepper),
            store: opened.store,
        };
        let driver = Arc::new(Driver::new(stepper, waiting, &limits));
        let identity = PublicIdentity {
            identity,
            certificate: tls.as_ref().map(|https| Arc::clone(&https.certificate)),
        };
        let (acceptor, renewal) = tls.map(|https| (https.acceptor, https.renewal)).unzip();
        Notice::Serving {
            address: config.listen,
            tls: acceptor.is_some(),
        }
        .log();
        Ok(Self {
            listener,
            shutdown_time: limits.shutdown_time(),
            server: Server::new(
                Front::Callers { driver, health },
                identity,
                limits,
                acceptor,
            ),
            writer: Task::spawn(writer.run()),
            audit: Task::spawn(delivery.run()),
            renewal,
            time_check: Task::spawn(time_check::watch(nsm, clock, Arc::clone(&counters), right)),
            counters,
        })
    }

    async fn until(self, shutdown: impl Future<Output = ()>) -> Result<(), EnclaveError> {
        let Self {
            listener,
            server,
            mut writer,
            mut audit,
            renewal: _renewal,
            time_check: _time_check,
            counters,
            shutdown_time,
        } = self;
        let (down, is_down) = watch::channel(false);
        let mut serving = Box::pin(server.run(listener, is_down));
        let result = tokio::select! {
            () = shutdown => Ok(()),
            () = serving.as_mut() => Ok(()),
            ended = &mut writer.0 => Err(match ended {
                Ok(Err(Fenced)) => EnclaveError::Fenced,
                Ok(Ok(())) | Err(_) => EnclaveError::WriterGone,
            }),
        };
        // After a clean shutdown the writer ends when the last request is answered. If the writer
        // ended first, nothing may be answered any more.
        if result.is_ok() {
            Notice::ShuttingDown.log();
            down.send_replace(true);
            serving.await;
            // Not even a store that does not answer can hold up the end.
            let _ = timeout(shutdown_time, &mut writer.0).await;
        } else {
            drop(serving);
            if matches!(result, Err(EnclaveError::Fenced)) {
                Notice::Fenced.log();
            }
        }
        // Its queue has to be closed by now for the delivery to end.
        drop(writer);
        let _ = timeout(shutdown_time, &mut audit.0).await;
        let events = counters.audit_waiting();
        if events > 0 {
            Notice::AuditLost { events }.log();
        }
        result
    }
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
