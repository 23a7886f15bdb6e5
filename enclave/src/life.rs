//! The life of an enclave: each stage is a type, and only the stage before can make it.
//!
//! ```text
//!  Sealed ──a file, shares, a plan, a hand-over──► Provisioned ──► Serving ──a successor──► HandingOff ──► the end
//!                                                       ▲                                      │
//!                                                       └────────nobody fetches the key────────┘
//! ```
//!
//! - [`Sealed`] has no root key. It serves its operators ([`ceremony`](crate::ceremony)).
//! - [`Provisioned`] has one, with the store opened by it, and has measured who it is.
//! - [`Serving`] answers callers.
//! - [`HandingOff`](crate::handing_off::HandingOff) has stopped, for another enclave to take over.

use std::pin::Pin;
use std::sync::Arc;

use attestation::Verifier;

use crate::Task;
use crate::ceremony;
use crate::clock::Clock;
use crate::config::{self, Config, RootKeyConfig};
use crate::error::EnclaveError;
use crate::handing_off::Outcome;
use crate::identity::{Identity, Situation};
use crate::log::Notice;
use crate::measurement::Measurement;
use crate::nsm::{self, NsmHandle};
use crate::opening::Opened;
use crate::random::Random;
use crate::reseeding::{self, Reseeding, Reseeds};
use crate::serving::{Ended, Serving};
use crate::store::Store;
use crate::time_check;
use crate::tls::{Https, Issuance};
use crate::trust;

/// Lives from the first stage to the end.
pub(crate) async fn live(
    config: Config,
    mut shutdown: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), EnclaveError> {
    let provisioning = async { Sealed::start(config).await?.provision().await };
    let mut provisioned = tokio::select! {
        provisioned = provisioning => provisioned?,
        () = &mut shutdown => return Ok(()),
    };
    loop {
        let serving = tokio::select! {
            serving = provisioned.serve() => serving?,
            () = &mut shutdown => return Ok(()),
        };
        let handing_off = match serving.until(shutdown.as_mut()).await? {
            Ended::Stopped => return Ok(()),
            Ended::HandingOff(handing_off) => handing_off,
        };
        provisioned = match handing_off.until(shutdown.as_mut()).await? {
            Outcome::Over => return Ok(()),
            Outcome::NotTaken(provisioned) => *provisioned,
        };
    }
}

/// What an enclave has in every stage.
pub(crate) struct Enclave {
    pub(crate) config: Config,
    pub(crate) nsm: NsmHandle,
    /// How many simulated roots it believes.
    pub(crate) simulated_roots: usize,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) reseeds: Arc<Reseeds>,
    _reseeding: Task<()>,
}

impl Enclave {
    /// Who it is in this stage, for strangers.
    pub(crate) fn identity(&self, situation: Situation) -> Identity {
        Identity::new(self.nsm.clone(), self.simulated_roots, situation)
    }

    /// A verifier of the documents that open keys.
    pub(crate) fn verifier(&self) -> Result<Verifier, EnclaveError> {
        trust::verifier(&self.config.trust, self.nsm.trust_root())
    }
}

/// The first stage: no root key yet.
pub(crate) struct Sealed(Enclave);

impl Sealed {
    /// Checks all that must be right before there are secrets: settings, module, randomness, time.
    async fn start(config: Config) -> Result<Self, EnclaveError> {
        config::refuse_in_release(&config)?;
        let clock = Clock::default();
        let nsm = nsm::open(&config.nsm)?;
        config::refuse_simulation(&config, nsm.trust_root().is_simulated())?;
        let verifier = trust::verifier(&config.trust, nsm.trust_root())?;
        trust::warn(&verifier);
        let simulated = verifier.roots().iter().filter(|root| root.is_simulated());
        reseeding::check_kernel(&config.nsm)?;
        let (reseeding, random) = Reseeding::start(nsm.clone()).await?;
        time_check::compare(&nsm, clock).await?;
        let reseeds = Arc::default();
        Ok(Self(Enclave {
            simulated_roots: simulated.count(),
            config,
            nsm,
            clock,
            _reseeding: Task::spawn(reseeding.run(random.clone(), Arc::clone(&reseeds))),
            random,
            reseeds,
        }))
    }

    /// Gets the root key in the way that the settings say, and opens the store with it.
    async fn provision(self) -> Result<Provisioned, EnclaveError> {
        let Self(enclave) = self;
        let store = Store::new(enclave.config.host.clone());
        let opened = match &enclave.config.root_key {
            RootKeyConfig::DevFile(path) => {
                let (clock, random) = (enclave.clock, enclave.random.clone());
                let most_keys = enclave.config.limits.keys_before_serving;
                Opened::with_dev_file(store, path, most_keys, clock, random).await?
            }
            RootKeyConfig::Quorum => ceremony::hold(&enclave, store).await?,
        };
        Provisioned::new(enclave, opened).await
    }
}

/// The second stage: a root key, and the store that it opens.
pub(crate) struct Provisioned {
    pub(crate) enclave: Enclave,
    pub(crate) opened: Opened,
    pub(crate) https: Option<Https>,
}

impl Provisioned {
    /// Brings the state up to what this start has to add, and measures who the enclave now is.
    async fn new(enclave: Enclave, mut opened: Opened) -> Result<Self, EnclaveError> {
        let config = &enclave.config;
        let mark = time_check::high_water(&opened.state, enclave.clock.now())?;
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
        enclave.nsm.measure(measurement).await?;
        let https = match (authority, &config.tls) {
            (Some(authority), Some(tls)) => {
                let issuance = Issuance {
                    authority,
                    names: tls.names.clone(),
                    identity: Arc::new(enclave.identity(Situation::SERVING)),
                    clock: enclave.clock,
                };
                Some(Https::start(issuance).await?)
            }
            _ => None,
        };
        Ok(Self {
            enclave,
            opened,
            https,
        })
    }

    /// Begins to answer callers.
    async fn serve(self) -> Result<Serving, EnclaveError> {
        let address = self.enclave.config.listen.clone();
        let tls = self.https.is_some();
        let serving = Serving::begin(self).await?;
        Notice::Serving { address, tls }.log();
        Ok(serving)
    }
}
