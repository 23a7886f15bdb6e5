//! The security module, on a thread of its own because its calls wait for the device.

use std::thread;

#[cfg(feature = "simulation")]
use attestation::NsmError;
use attestation::{Nsm, TrustRoot};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use crate::config::{EmulatedNsmConfig, NsmConfig, SimulatedNsmConfig};
use crate::error::EnclaveError;
use crate::measurement::Measurement;
#[cfg(feature = "simulation")]
use crate::trust::simulated_root;

/// Requests that wait for the module.
const QUEUE: usize = 16;

/// The most bytes that one request for randomness returns (`GetRandom` of the NSM API).
const RANDOM_AT_ONCE: usize = 256;

type Request = Box<dyn FnOnce(&mut dyn Nsm) + Send>;

/// A handle to the security module's thread, which ends with the last handle.
#[derive(Clone)]
pub(crate) struct NsmHandle {
    requests: mpsc::Sender<Request>,
    root: TrustRoot,
}

impl NsmHandle {
    /// Moves the module to its thread.
    pub(crate) fn new(mut nsm: Box<dyn Nsm>) -> Self {
        let root = nsm.trust_root().clone();
        let (requests, mut queue) = mpsc::channel::<Request>(QUEUE);
        thread::spawn(move || {
            while let Some(request) = queue.blocking_recv() {
                request(nsm.as_mut());
            }
        });
        Self { requests, root }
    }

    /// The root that this module's documents lead to.
    pub(crate) fn trust_root(&self) -> &TrustRoot {
        &self.root
    }

    /// Random bytes from the module.
    pub(crate) async fn random<const LENGTH: usize>(
        &self,
    ) -> Result<Zeroizing<[u8; LENGTH]>, EnclaveError> {
        let random = self.ask(|nsm| {
            let mut bytes = Zeroizing::new([0; LENGTH]);
            bytes
                .chunks_mut(RANDOM_AT_ONCE)
                .try_for_each(|chunk| nsm.random(chunk))
                .map(|()| bytes)
        });
        Ok(random.await??)
    }

    /// Measures what this enclave was told and who it is to its clients, for good.
    pub(crate) async fn measure(&self, measurement: Measurement) -> Result<(), EnclaveError> {
        Ok(self.ask(move |nsm| measurement.measure(nsm)).await??)
    }

    /// Has the module do something, after what was asked of it before.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(&mut dyn Nsm) -> T + Send + 'static,
    ) -> Result<T, EnclaveError> {
        let (answer, receive) = oneshot::channel();
        let request: Request = Box::new(move |nsm| {
            // Fails if nobody waits for the answer any more.
            let _ = answer.send(request(nsm));
        });
        let sent = self.requests.send(request).await;
        sent.map_err(|_| EnclaveError::NsmGone)?;
        receive.await.map_err(|_| EnclaveError::NsmGone)
    }
}

/// Opens the configured module.
pub(crate) fn open(config: &NsmConfig) -> Result<NsmHandle, EnclaveError> {
    let nsm: Box<dyn Nsm> = match config {
        NsmConfig::Device => Box::new(attestation::nsm::DeviceNsm::open()?),
        NsmConfig::Emulated(config) => emulated(config)?,
        NsmConfig::Simulated(config) => simulated(config)?,
    };
    Ok(NsmHandle::new(nsm))
}

#[cfg(not(feature = "simulation"))]
fn emulated(_: &EmulatedNsmConfig) -> Result<Box<dyn Nsm>, EnclaveError> {
    Err(EnclaveError::SimulationOnly("nsm.emulated"))
}

/// The device, under a root that is not AWS's and counts as simulated.
#[cfg(feature = "simulation")]
fn emulated(config: &EmulatedNsmConfig) -> Result<Box<dyn Nsm>, EnclaveError> {
    let root = simulated_root(&config.root, "nsm.emulated.root")?;
    Ok(Box::new(attestation::nsm::DeviceNsm::open_under(root)?))
}

#[cfg(not(feature = "simulation"))]
fn simulated(_: &SimulatedNsmConfig) -> Result<Box<dyn Nsm>, EnclaveError> {
    Err(EnclaveError::SimulationOnly("nsm.simulated"))
}

/// A module whose certificate authority is kept in a file, made if it is absent.
#[cfg(feature = "simulation")]
fn simulated(config: &SimulatedNsmConfig) -> Result<Box<dyn Nsm>, EnclaveError> {
    use std::time::Duration;
    use std::{fs, io};

    use attestation::nsm::{Identity, SimulatedCa, SimulatedNsm};

    use crate::clock::Clock;
    use crate::config::Pcr;
    use crate::random::Random;
    use crate::root_key::{file_error, replace_private_file};

    let clock = Clock::default();
    let mut random = Random::without_nsm().map_err(|_| EnclaveError::NoRandomness)?;
    let path = &config.ca;
    let ca = match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(pem) => SimulatedCa::from_pem(&pem).map_err(|_| EnclaveError::FileContent {
            path: path.clone(),
            what: "not the certificate authority of a simulated NSM",
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let ca = SimulatedCa::generate(&mut random, clock.now()).map_err(NsmError::from)?;
            let pem = ca.to_pem().map_err(NsmError::from)?;
            replace_private_file(path, pem.as_bytes()).map_err(|error| file_error(path, error))?;
            ca
        }
        Err(error) => return Err(file_error(path, error)),
    };
    let mut identity = Identity::new(&mut random, clock.now()).in_region(config.region.as_str());
    if let Some(module_id) = &config.module_id {
        identity = identity.with_module_id(module_id);
    }
    for (index, Pcr(value)) in &config.pcrs {
        identity = identity.with_pcr(*index, *value);
    }
    let ahead = Duration::from_secs(config.clock_ahead_seconds);
    let now = Box::new(move || clock.now() + ahead);
    Ok(Box::new(SimulatedNsm::new(
        ca,
        identity,
        now,
        Box::new(random),
    )))
}

#[cfg(all(test, not(feature = "simulation")))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_simulation_opens_the_device_under_awss_root_only() {
        for (text, setting) in [
            (r#"{ "emulated": { "root": "root.pem" } }"#, "nsm.emulated"),
            (r#"{ "simulated": { "ca": "ca.pem" } }"#, "nsm.simulated"),
        ] {
            let refused = open(&serde_json::from_str(text).unwrap());
            let is_it = |is: &'static str| is == setting;
            assert!(matches!(refused, Err(EnclaveError::SimulationOnly(is)) if is_it(is)));
        }
    }
}
