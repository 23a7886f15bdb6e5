//! ML-KEM: key encapsulation.
//!
//! A key is kept as its seed, as AWS hands it out in data key pairs. aws-lc takes expanded keys
//! only, so the `ml-kem` crate expands the seed; everything done with the key is aws-lc's.

use aws_lc_rs::kem::{
    Algorithm, Ciphertext, DecapsulationKey as Private, EncapsulationKey as Public, ML_KEM_512,
    ML_KEM_768, ML_KEM_1024,
};
#[expect(deprecated, reason = "the form that aws-lc takes")]
use ml_kem::ExpandedKeyEncoding;
use ml_kem::kem::{Decapsulator, Kem, KeyExport};
use ml_kem::pkcs8::{DecodePrivateKey, EncodePublicKey};
use ml_kem::{ml_kem_512, ml_kem_768, ml_kem_1024};
use zeroize::{Zeroize, Zeroizing};

use crate::protocol::spec::KeySpec;

use super::MaterialError;

/// An ML-KEM key that decapsulates, with its public half.
pub struct DecapsulationKey {
    private: Private,
    public: Public,
    public_spki: Vec<u8>,
    ciphertext_len: usize,
}

/// A fresh shared secret, and what the holder of the private key gets it from.
pub struct Encapsulated {
    /// The secret, of 32 bytes.
    pub secret: Zeroizing<Vec<u8>>,
    /// The ciphertext.
    pub ciphertext: Vec<u8>,
}

impl DecapsulationKey {
    pub(super) fn open(spec: KeySpec, pkcs8: &[u8]) -> Result<Self, MaterialError> {
        match spec {
            KeySpec::MlKem512 => expand::<ml_kem_512::DecapsulationKey>(pkcs8, &ML_KEM_512, 768),
            KeySpec::MlKem768 => expand::<ml_kem_768::DecapsulationKey>(pkcs8, &ML_KEM_768, 1088),
            KeySpec::MlKem1024 => {
                expand::<ml_kem_1024::DecapsulationKey>(pkcs8, &ML_KEM_1024, 1568)
            }
            _ => Err(MaterialError),
        }
    }

    pub(super) fn public_spki(&self) -> &[u8] {
        &self.public_spki
    }

    /// A shared secret that the private key can be used to get again.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] when the library fails.
    pub fn encapsulate(&self) -> Result<Encapsulated, MaterialError> {
        let (ciphertext, secret) = self.public.encapsulate().map_err(|_| MaterialError)?;
        Ok(Encapsulated {
            secret: Zeroizing::new(secret.as_ref().to_vec()),
            ciphertext: ciphertext.as_ref().to_vec(),
        })
    }

    /// The shared secret in a ciphertext; `None` for one of another length. Of any other that
    /// this key did not make comes a secret that nobody else knows: ML-KEM rejects implicitly.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if ciphertext.len() != self.ciphertext_len {
            return None;
        }
        let secret = self
            .private
            .decapsulate(Ciphertext::from(ciphertext))
            .ok()?;
        Some(Zeroizing::new(secret.as_ref().to_vec()))
    }
}

#[expect(deprecated, reason = "the form that aws-lc takes")]
fn expand<K>(
    pkcs8: &[u8],
    algorithm: &'static Algorithm,
    ciphertext_len: usize,
) -> Result<DecapsulationKey, MaterialError>
where
    K: DecodePrivateKey + Decapsulator + ExpandedKeyEncoding,
    <K::Kem as Kem>::EncapsulationKey: EncodePublicKey + KeyExport,
{
    let key = K::from_pkcs8_der(pkcs8).map_err(|_| MaterialError)?;
    let public = key.encapsulation_key();
    let public_spki = public.to_public_key_der().map_err(|_| MaterialError)?;
    let mut expanded = key.to_expanded_bytes();
    let private = Private::new(algorithm, &expanded);
    expanded.as_mut_slice().zeroize();
    Ok(DecapsulationKey {
        private: private.map_err(|_| MaterialError)?,
        public: Public::new(algorithm, &public.to_bytes()).map_err(|_| MaterialError)?,
        public_spki: public_spki.as_bytes().to_vec(),
        ciphertext_len,
    })
}
