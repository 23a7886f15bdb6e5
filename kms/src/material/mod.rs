//! Key material of every key spec: what a version of a KMS key is made of.
//!
//! At rest material is bytes, and so it is in a key token: a symmetric or MAC key as it is, a
//! private key in PKCS#8, an ML-DSA key as its seed. A private key is parsed when it is first
//! used and kept from then on, with the key and for all who share it: parsing an RSA key costs
//! about as much as signing with it.

mod agreement;
mod encapsulation;
mod external_mu;
mod imported;
mod oaep;
mod signing;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::crypto::SecretKey;
use crate::error::KmsError;
use crate::key_pair::{KeyPair, KeyPairSource, unsupported};
use crate::protocol::spec::{KeyPairSpec, KeySpec, KeyUsage};

pub use agreement::{AgreementKey, PeerKey};
pub use encapsulation::{DecapsulationKey, Encapsulated};
pub use external_mu::MU_LEN;
pub use imported::{ImportError, is_importable};
pub use oaep::{DecryptionKey, OaepHash};
pub use signing::{SignedMessage, SigningKey};

/// The length of an ML-DSA key's seed, of whatever parameter set.
const ML_DSA_SEED_LEN: usize = 32;

/// The material of one version of a KMS key.
///
/// Wiped when dropped. Like [`SecretKey`] it has no `Debug` and no equality. Clones share all but
/// the bytes of a symmetric key.
#[derive(Clone)]
pub enum Material {
    /// Of `SYMMETRIC_DEFAULT`.
    Symmetric(SecretKey),
    /// Of `HMAC_*`.
    Mac(Arc<MacKey>),
    /// Of all asymmetric specs.
    Private(Arc<PrivateKey>),
}

/// The material can't be used for what it is there for: a defect, since it was checked when it
/// was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the key material can not be used")]
pub struct MaterialError;

impl From<MaterialError> for KmsError {
    fn from(_: MaterialError) -> Self {
        Self::KmsInternal("The key material could not be used.".into())
    }
}

impl From<SecretKey> for Material {
    fn from(key: SecretKey) -> Self {
        Self::Symmetric(key)
    }
}

impl Material {
    /// New material for a key of this spec and usage.
    ///
    /// # Errors
    ///
    /// UnsupportedOperationException for SM2, KMSInternalException when the source fails.
    pub fn generate(
        spec: KeySpec,
        usage: KeyUsage,
        key_pairs: &dyn KeyPairSource,
        random: &mut dyn CryptoRng,
    ) -> Result<Self, KmsError> {
        let bytes = match (spec, KeyPairSpec::from_name(spec.as_str())) {
            (KeySpec::SymmetricDefault, _) => return Ok(SecretKey::generate(random).into()),
            (_, Some(spec)) => key_pairs.generate(spec)?.private_pkcs8,
            (_, None) => {
                let length = mac_key_len(spec).unwrap_or(ML_DSA_SEED_LEN);
                let mut bytes = Zeroizing::new(vec![0; length]);
                random.fill_bytes(&mut bytes);
                bytes
            }
        };
        Self::of(spec, usage, bytes)
    }

    /// The private half of a key pair as material of a key of this spec and usage.
    ///
    /// # Errors
    ///
    /// UnsupportedOperationException for SM2.
    pub fn of_pair(spec: KeySpec, usage: KeyUsage, pair: KeyPair) -> Result<Self, KmsError> {
        Self::of(spec, usage, pair.private_pkcs8)
    }

    /// Material of a key of this spec and usage, as it was taken from [`expose`](Self::expose).
    /// What is in a private key shows when it is opened; [`check`](Self::check) does it now.
    ///
    /// `None` for SM2, and for a key that has not the length it must have.
    pub fn from_bytes(spec: KeySpec, usage: KeyUsage, bytes: &[u8]) -> Option<Self> {
        if spec == KeySpec::SymmetricDefault {
            return Some(SecretKey::from_bytes(bytes.try_into().ok()?).into());
        }
        if bytes.is_empty() {
            return None;
        }
        Self::of(spec, usage, Zeroizing::new(bytes.to_vec())).ok()
    }

    fn of(spec: KeySpec, usage: KeyUsage, bytes: Zeroizing<Vec<u8>>) -> Result<Self, KmsError> {
        match spec {
            KeySpec::Sm2 => Err(unsupported("KeySpec", spec)),
            KeySpec::SymmetricDefault => Err(MaterialError.into()),
            _ if mac_key_len(spec).is_some() => Ok(Self::Mac(Arc::new(MacKey(bytes)))),
            _ => Ok(Self::Private(Arc::new(PrivateKey {
                spec,
                usage,
                bytes,
                opened: OnceLock::new(),
            }))),
        }
    }

    /// Opens a private key, for material from elsewhere, which may be anything.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] if it is not a key of its spec.
    pub fn check(&self) -> Result<(), MaterialError> {
        match self {
            Self::Symmetric(_) | Self::Mac(_) => Ok(()),
            Self::Private(key) => key.open().map(|_| ()),
        }
    }

    /// The material itself, for sealing.
    pub fn expose(&self) -> &[u8] {
        match self {
            Self::Symmetric(key) => key.expose(),
            Self::Mac(key) => key.expose(),
            Self::Private(key) => &key.bytes,
        }
    }

    /// The key that the id of this material is derived from: the material itself if it is a
    /// symmetric key, else its hash.
    pub(crate) fn id_key(&self) -> SecretKey {
        match self {
            Self::Symmetric(key) => key.clone(),
            Self::Mac(_) | Self::Private(_) => {
                let hash: Zeroizing<[u8; 32]> =
                    Zeroizing::new(Sha256::digest(self.expose()).into());
                SecretKey::from_bytes(&hash)
            }
        }
    }

    /// The key that encrypts symmetrically.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] if there is none.
    pub fn symmetric(&self) -> Result<&SecretKey, MaterialError> {
        match self {
            Self::Symmetric(key) => Ok(key),
            Self::Mac(_) | Self::Private(_) => Err(MaterialError),
        }
    }

    /// The key that makes message authentication codes.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] if there is none.
    pub fn mac(&self) -> Result<&MacKey, MaterialError> {
        match self {
            Self::Mac(key) => Ok(key),
            Self::Symmetric(_) | Self::Private(_) => Err(MaterialError),
        }
    }

    /// The private key.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] if there is none.
    pub fn private(&self) -> Result<&PrivateKey, MaterialError> {
        match self {
            Self::Private(key) => Ok(key),
            Self::Symmetric(_) | Self::Mac(_) => Err(MaterialError),
        }
    }
}

/// The length of the keys of an HMAC spec that are made here, in bytes: that of the MAC.
fn mac_key_len(spec: KeySpec) -> Option<usize> {
    match spec {
        KeySpec::Hmac224 => Some(28),
        KeySpec::Hmac256 => Some(32),
        KeySpec::Hmac384 => Some(48),
        KeySpec::Hmac512 => Some(64),
        _ => None,
    }
}

/// A key of HMAC.
pub struct MacKey(Zeroizing<Vec<u8>>);

impl MacKey {
    /// The key itself.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// A private key, opened when it is first used.
pub struct PrivateKey {
    spec: KeySpec,
    usage: KeyUsage,
    bytes: Zeroizing<Vec<u8>>,
    opened: OnceLock<Option<Box<Opened>>>,
}

/// A private key that is ready for use. What that is, follows from the usage of its KMS key.
enum Opened {
    Agreement(AgreementKey),
    Decapsulation(DecapsulationKey),
    Decryption(DecryptionKey),
    Signing(SigningKey),
}

impl PrivateKey {
    /// Whether to use it takes less than 0.1 ms. Others take up to 2 ms (RSA_4096).
    pub(crate) fn is_quick(&self) -> bool {
        matches!(
            self.spec,
            KeySpec::EccNistP256 | KeySpec::EccNistEdwards25519
        )
    }

    /// The key of a KMS key for key agreement.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] if it isn't one.
    pub fn agreement(&self) -> Result<&AgreementKey, MaterialError> {
        match self.open()? {
            Opened::Agreement(key) => Ok(key),
            _ => Err(MaterialError),
        }
    }

    /// The key of a KMS key for encapsulation.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] if it isn't one.
    pub fn decapsulation(&self) -> Result<&DecapsulationKey, MaterialError> {
        match self.open()? {
            Opened::Decapsulation(key) => Ok(key),
            _ => Err(MaterialError),
        }
    }

    /// The key of a KMS key for encryption.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] if it isn't one.
    pub fn decryption(&self) -> Result<&DecryptionKey, MaterialError> {
        match self.open()? {
            Opened::Decryption(key) => Ok(key),
            _ => Err(MaterialError),
        }
    }

    /// The key of a KMS key for signatures.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] if it isn't one.
    pub fn signing(&self) -> Result<&SigningKey, MaterialError> {
        match self.open()? {
            Opened::Signing(key) => Ok(key),
            _ => Err(MaterialError),
        }
    }

    /// The public key: DER of an X.509 SubjectPublicKeyInfo.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] if the private key can't be opened.
    pub fn public_spki(&self) -> Result<&[u8], MaterialError> {
        Ok(match self.open()? {
            Opened::Agreement(key) => key.public_spki(),
            Opened::Decapsulation(key) => key.public_spki(),
            Opened::Decryption(key) => key.public_spki(),
            Opened::Signing(key) => key.public_spki(),
        })
    }

    fn open(&self) -> Result<&Opened, MaterialError> {
        let opened = self.opened.get_or_init(|| {
            let opened = match self.usage {
                KeyUsage::EncryptDecrypt => {
                    DecryptionKey::open(self.spec, &self.bytes).map(Opened::Decryption)
                }
                KeyUsage::SignVerify => {
                    SigningKey::open(self.spec, &self.bytes).map(Opened::Signing)
                }
                KeyUsage::KeyAgreement => {
                    AgreementKey::open(self.spec, &self.bytes).map(Opened::Agreement)
                }
                KeyUsage::EncapsulateDecapsulate => {
                    DecapsulationKey::open(self.spec, &self.bytes).map(Opened::Decapsulation)
                }
                KeyUsage::GenerateVerifyMac => Err(MaterialError),
            };
            opened.ok().map(Box::new)
        });
        opened.as_deref().ok_or(MaterialError)
    }
}
