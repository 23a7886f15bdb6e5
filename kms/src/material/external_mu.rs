//! ML-DSA with the message representative μ made elsewhere.
//!
//! aws-lc does not offer it, so here the `ml-dsa` crate signs, with a key from the same seed.

use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, SigningKey, signature::Error};
use rand_core::CryptoRng;

use crate::protocol::spec::KeySpec;

use super::{ML_DSA_SEED_LEN, MaterialError};

/// The length of μ, in bytes.
pub const MU_LEN: usize = 64;

/// An ML-DSA key that signs representatives.
pub(super) enum ExternalMuKey {
    MlDsa44(SigningKey<MlDsa44>),
    MlDsa65(SigningKey<MlDsa65>),
    MlDsa87(SigningKey<MlDsa87>),
}

impl ExternalMuKey {
    pub(super) fn open(spec: KeySpec, seed: &[u8; ML_DSA_SEED_LEN]) -> Result<Self, MaterialError> {
        let seed = seed.into();
        match spec {
            KeySpec::MlDsa44 => Ok(Self::MlDsa44(SigningKey::from_seed(seed))),
            KeySpec::MlDsa65 => Ok(Self::MlDsa65(SigningKey::from_seed(seed))),
            KeySpec::MlDsa87 => Ok(Self::MlDsa87(SigningKey::from_seed(seed))),
            _ => Err(MaterialError),
        }
    }

    pub(super) fn sign(
        &self,
        mu: &[u8; MU_LEN],
        random: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, MaterialError> {
        match self {
            Self::MlDsa44(key) => sign(key, mu, random),
            Self::MlDsa65(key) => sign(key, mu, random),
            Self::MlDsa87(key) => sign(key, mu, random),
        }
    }

    pub(super) fn verify(&self, mu: &[u8; MU_LEN], signature: &[u8]) -> bool {
        match self {
            Self::MlDsa44(key) => verify(key, mu, signature),
            Self::MlDsa65(key) => verify(key, mu, signature),
            Self::MlDsa87(key) => verify(key, mu, signature),
        }
    }
}

fn sign<P: MlDsaParams>(
    key: &SigningKey<P>,
    mu: &[u8; MU_LEN],
    random: &mut dyn CryptoRng,
) -> Result<Vec<u8>, MaterialError> {
    let signature = key.expanded_key().sign_mu_randomized(mu.into(), random);
    let signature = signature.map_err(|_: Error| MaterialError)?;
    Ok(signature.encode().to_vec())
}

fn verify<P: MlDsaParams>(key: &SigningKey<P>, mu: &[u8; MU_LEN], signature: &[u8]) -> bool {
    let signature = Signature::<P>::try_from(signature);
    signature.is_ok_and(|signature| key.as_ref().verify_mu(mu.into(), &signature))
}
