//! The enclave's randomness: two independent sources, of which one suffices.
//!
//! Every byte is the output of AWS-LC's generator (seeded from CPU jitter and the kernel),
//! combined by exclusive-or with an AES-256-CTR key stream whose key comes from the Nitro security
//! module and the kernel together. Whoever controls or predicts one of the two streams learns
//! nothing about the sum, so neither a weak kernel seed at boot nor a dishonest module is enough
//! to guess a key.
//!
//! No locks: a use takes the next block of the key stream by a counter.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hkdf;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

/// Bytes asked of the Nitro security module at start.
pub(crate) const NSM_SEED_BYTES: usize = 256;

/// Bytes asked of the kernel at start.
const SYSTEM_SEED_BYTES: usize = 64;

/// Separates this use of HKDF from any other.
const SALT: &[u8] = b"claviger enclave randomness v1";

/// A handle to the enclave's randomness; clones share one state and may be used in parallel.
#[derive(Clone)]
pub(crate) struct Random(Arc<Source>);

struct Source {
    system: SystemRandom,
    stream: EncryptingKey,
    next: AtomicU64,
}

/// No randomness could be had at start.
#[derive(Debug, thiserror::Error)]
#[error("the cryptographic library has no randomness")]
pub(crate) struct NoRandomness;

impl Random {
    /// Seeds the key stream from what the Nitro security module gave, and warms up the library's
    /// own generator, whose first use takes tens of milliseconds.
    pub(crate) fn new(from_nsm: &[u8; NSM_SEED_BYTES]) -> Result<Self, NoRandomness> {
        let system = SystemRandom::new();
        let mut seed = Zeroizing::new([0; NSM_SEED_BYTES + SYSTEM_SEED_BYTES]);
        let (nsm_part, system_part) = seed.split_at_mut(NSM_SEED_BYTES);
        nsm_part.copy_from_slice(from_nsm);
        system.fill(system_part).map_err(|_| NoRandomness)?;

        let mut key = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
            .extract(seed.as_ref())
            .expand(&[b"key stream"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut()))
            .map_err(|_| NoRandomness)?;
        let stream = UnboundCipherKey::new(&AES_256, key.as_ref())
            .and_then(EncryptingKey::ctr)
            .map_err(|_| NoRandomness)?;
        Ok(Self(Arc::new(Source {
            system,
            stream,
            next: AtomicU64::new(0),
        })))
    }

    /// Randomness for the simulated module itself, from the library and the kernel alone.
    #[cfg(feature = "simulation")]
    pub(crate) fn without_nsm() -> Result<Self, NoRandomness> {
        Self::new(&[0; NSM_SEED_BYTES])
    }

    fn fill(&self, out: &mut [u8]) {
        let source = &self.0;
        source
            .system
            .fill(out)
            .unwrap_or_else(|_| panic!("{NoRandomness}"));
        // Half of the counter block numbers the use, half counts its 16-byte blocks: no block of
        // the stream is used twice within 2^64 uses.
        let mut block = [0; 16];
        let (number, _) = block.split_at_mut(8);
        number.copy_from_slice(&source.next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let context = EncryptionContext::Iv128(FixedLength::from(block));
        source
            .stream
            .less_safe_encrypt(out, context)
            .unwrap_or_else(|_| panic!("{NoRandomness}"));
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Random {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand_core::Rng;

    use super::*;

    #[test]
    fn the_key_stream_changes_what_the_library_gives() {
        let random = Random::new(&[7; NSM_SEED_BYTES]).unwrap();
        let mut a = [0; 32];
        let mut b = [0; 32];
        for (number, out) in [(0_u64, &mut a), (1, &mut b)] {
            let mut block = [0; 16];
            block[..8].copy_from_slice(&number.to_be_bytes());
            let context = EncryptionContext::Iv128(FixedLength::from(block));
            random.0.stream.less_safe_encrypt(out, context).unwrap();
        }
        assert_ne!(a, [0; 32]);
        assert_ne!(a, b, "each use has its own part of the stream");
    }

    #[test]
    fn clones_do_not_repeat_each_other() {
        let random = Random::new(&[0; NSM_SEED_BYTES]).unwrap();
        let outputs: HashSet<[u8; 16]> = (0..4)
            .map(|_| {
                let mut random = random.clone();
                std::thread::spawn(move || {
                    (0..256)
                        .map(|_| {
                            let mut bytes = [0; 16];
                            random.fill_bytes(&mut bytes);
                            bytes
                        })
                        .collect::<Vec<_>>()
                })
            })
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(outputs.len(), 4 * 256);
    }
}
