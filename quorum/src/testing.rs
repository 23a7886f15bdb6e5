//! What the tests of this crate share.

use std::convert::Infallible;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use bech32::{Bech32, Hrp};
use rand_core::{CryptoRng, TryCryptoRng, TryRng};
use sha2::{Digest as _, Sha256};

use crate::OperatorKey;

/// A generator that gives the same bytes for the same seed.
pub(crate) struct Random {
    seed: u64,
    block: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, block: 0 }
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(self.seed.to_le_bytes());
            hash.update(self.block.to_le_bytes());
            self.block += 1;
            let hash = hash.finalize();
            chunk.copy_from_slice(&hash[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Random {}

/// An age identity in text, and its public key.
pub(crate) fn key_pair(random: &mut dyn CryptoRng) -> (String, OperatorKey) {
    let mut secret = [0; 32];
    random.fill_bytes(&mut secret);
    let key = PrivateKey::from_private_key(&X25519, &secret).unwrap();
    let text = |hrp: &str, bytes: &[u8]| bech32::encode::<Bech32>(Hrp::parse(hrp).unwrap(), bytes);
    let public = key.compute_public_key().unwrap();
    let public = text("age", public.as_ref()).unwrap();
    let identity = text("age-secret-key-", &secret).unwrap().to_uppercase();
    (identity, OperatorKey::from_text(&public).unwrap())
}
