//! Where the randomness comes from, and comes from anew: the sources are checked before they count.
//!
//! A start fails without them. Later the key stream of [`Random`] gets a new key from time to time;
//! a module that fails then does not stop the service, because the old key is as good as before.
//!
//! The kernel's own generator is fed by a hardware generator, which in an enclave has to be the
//! Nitro security module: there is no other that could be known to be one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use std::{fs, io};

use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::config::NsmConfig;
use crate::counters::add;
use crate::error::EnclaveError;
use crate::identity::sha256;
use crate::log::Notice;
use crate::nsm::NsmHandle;
use crate::random::{NSM_SEED_BYTES, Random};

/// How often the key stream gets a new key.
const PERIOD: Duration = Duration::from_secs(60 * 60);

/// When a new key is tried again that could not be made.
const RETRY: Duration = Duration::from_secs(60);

/// Where the kernel says which hardware generator it uses.
const CURRENT_GENERATOR: &str = "/sys/class/misc/hw_random/rng_current";

/// The security module, as its driver names itself there.
const MODULE_GENERATOR: &str = "nsm-hwrng";

/// Bytes that a block of randomness does not hold twice: by chance that happens to one of 2^121
/// blocks.
const PIECE: usize = 16;

/// Refuses a kernel whose hardware generator is not the security module. A simulated enclave runs
/// on whatever kernel there is.
pub(crate) fn check_kernel(nsm: &NsmConfig) -> Result<(), EnclaveError> {
    match nsm {
        NsmConfig::Device | NsmConfig::Emulated(_) => check_generator(Path::new(CURRENT_GENERATOR)),
        NsmConfig::Simulated(_) => Ok(()),
    }
}

fn check_generator(current: &Path) -> Result<(), EnclaveError> {
    let found = match fs::read_to_string(current) {
        Ok(name) if name.trim_end() == MODULE_GENERATOR => return Ok(()),
        Ok(name) => format!("{:?}", name.trim_end()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "none".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(EnclaveError::KernelGenerator { found })
}

/// How many new keys there were, since the start.
#[derive(Default)]
pub(crate) struct Reseeds {
    pub(crate) made: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// The security module's randomness, block by block, each of them checked.
pub(crate) struct Reseeding {
    nsm: NsmHandle,
    /// SHA-256 of the last block: what it was is a secret.
    last: [u8; 32],
}

impl Reseeding {
    /// Makes the randomness of this enclave. The module's first block is but there to see that the
    /// second is another.
    pub(crate) async fn start(nsm: NsmHandle) -> Result<(Self, Random), EnclaveError> {
        let mut reseeding = Self { nsm, last: [0; 32] };
        reseeding.block().await?;
        let random = Random::new(&*reseeding.block().await?);
        Ok((reseeding, random.map_err(|_| EnclaveError::NoRandomness)?))
    }

    /// Goes on giving the key stream new keys.
    pub(crate) async fn run(mut self, random: Random, reseeds: Arc<Reseeds>) {
        let mut wait = PERIOD;
        loop {
            sleep(wait).await;
            wait = self.reseed(&random, &reseeds).await;
        }
    }

    /// Gives the key stream a new key; returns how long to wait for the next one.
    async fn reseed(&mut self, random: &Random, reseeds: &Reseeds) -> Duration {
        let reseeded = match self.block().await {
            Ok(block) => random
                .reseed(&block)
                .map_err(|_| EnclaveError::NoRandomness),
            Err(error) => Err(error),
        };
        match reseeded {
            Ok(()) => {
                add(&reseeds.made, 1);
                PERIOD
            }
            Err(_) => {
                add(&reseeds.failed, 1);
                Notice::ReseedFailed.log();
                RETRY
            }
        }
    }

    /// The module's next block of randomness, unless it is none: repetition is the first thing to
    /// look for in a source (NIST SP 800-90B, 4.4.1), and the only one in what a generator like the
    /// module's has conditioned.
    async fn block(&mut self) -> Result<Zeroizing<[u8; NSM_SEED_BYTES]>, EnclaveError> {
        let block = self.nsm.random().await?;
        let hash = sha256(block.as_slice());
        if repeats_itself(block.as_slice()) || hash == self.last {
            return Err(EnclaveError::NsmRepeats);
        }
        self.last = hash;
        Ok(block)
    }
}

fn repeats_itself(block: &[u8]) -> bool {
    let mut pieces = block.chunks(PIECE);
    while let Some(piece) = pieces.next() {
        if pieces.clone().any(|other| other == piece) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use attestation::NsmError;

    use super::*;
    use crate::counters::get;
    use crate::testing::Module;

    /// Makes a block of randomness, or fails.
    type Block = fn(&mut [u8]) -> Result<(), NsmError>;

    /// A module that gives these blocks one after the other.
    fn module(blocks: Vec<Block>) -> NsmHandle {
        let mut blocks = blocks.into_iter();
        NsmHandle::new(Box::new(Module::with_random(move |out| {
            blocks.next().expect("a block")(out)
        })))
    }

    fn good(out: &mut [u8]) -> Result<(), NsmError> {
        getrandom::fill(out).map_err(|_| NsmError::Internal)
    }

    fn constant(out: &mut [u8]) -> Result<(), NsmError> {
        out.fill(0x5a);
        Ok(())
    }

    /// Without a repetition in itself.
    fn the_same(out: &mut [u8]) -> Result<(), NsmError> {
        for (at, byte) in out.iter_mut().enumerate() {
            *byte = at as u8;
        }
        Ok(())
    }

    fn zero(out: &mut [u8]) -> Result<(), NsmError> {
        out.fill(0);
        Ok(())
    }

    /// As [`good`], but for a piece that comes twice.
    fn with_a_piece_twice(out: &mut [u8]) -> Result<(), NsmError> {
        good(out)?;
        out.copy_within(32..48, 240);
        Ok(())
    }

    fn failing(_: &mut [u8]) -> Result<(), NsmError> {
        Err(NsmError::Internal)
    }

    #[tokio::test]
    async fn an_enclave_does_not_start_with_a_module_that_repeats_itself() {
        for bad in [constant, the_same, zero, with_a_piece_twice] {
            let refused = Reseeding::start(module(vec![bad, bad])).await;
            assert!(matches!(refused, Err(EnclaveError::NsmRepeats)));
        }
        let refused = Reseeding::start(module(vec![good, failing])).await;
        assert!(matches!(
            refused,
            Err(EnclaveError::Nsm(NsmError::Internal))
        ));
        Reseeding::start(module(vec![the_same, good]))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_module_that_fails_later_is_counted_and_asked_again() {
        let blocks = vec![good, the_same, the_same, zero, failing, good];
        let (mut reseeding, random) = Reseeding::start(module(blocks)).await.unwrap();
        let reseeds = Reseeds::default();
        for failures in 1..=3 {
            let key = random.key_in_use();
            assert_eq!(reseeding.reseed(&random, &reseeds).await, RETRY);
            assert_eq!(get(&reseeds.failed), failures);
            assert!(key.upgrade().is_some(), "the old key goes on");
        }
        let key = random.key_in_use();
        assert_eq!(reseeding.reseed(&random, &reseeds).await, PERIOD);
        assert!(key.upgrade().is_none());
        assert_eq!(get(&reseeds.made), 1);
        assert_eq!(get(&reseeds.failed), 3);
    }

    #[test]
    fn the_kernels_generator_has_to_be_the_module() {
        let folder = tempfile::tempdir().unwrap();
        let current = folder.path().join("rng_current");
        let refusal = || check_generator(&current).unwrap_err().to_string();
        assert!(refusal().contains("generator is none"), "{}", refusal());
        for other in ["virtio_rng.0\n", "none\n", "nsm-hwrng2\n", ""] {
            fs::write(&current, other).unwrap();
            let name = format!("generator is {:?}", other.trim_end());
            assert!(refusal().contains(&name), "{}", refusal());
        }
        fs::write(&current, "nsm-hwrng\n").unwrap();
        check_generator(&current).unwrap();
    }

    #[test]
    fn only_a_simulated_enclave_runs_on_any_kernel() {
        // No test runs in an enclave.
        let check = |text| check_kernel(&serde_json::from_str(text).unwrap());
        for text in [r#""device""#, r#"{ "emulated": { "root": "root.pem" } }"#] {
            assert!(matches!(
                check(text),
                Err(EnclaveError::KernelGenerator { .. })
            ));
        }
        check(r#"{ "simulated": { "ca": "ca.pem" } }"#).unwrap();
    }
}
