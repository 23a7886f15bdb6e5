//! The keys signatures are made with.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Service, TERMINATOR};

/// The secret half of an access key. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct SecretAccessKey(Zeroizing<String>);

impl SecretAccessKey {
    /// Takes the secret as the client has it.
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret itself, to sign with or to seal into a record.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The key that signs an access key's requests of one day to one service in one region. Wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    /// Derives the signing key of an access key for a day (`YYYYMMDD`), a region and a service.
    pub fn derive(secret: &SecretAccessKey, date: &str, region: &str, service: Service) -> Self {
        Self::derive_for(secret, date, region, service.name())
    }

    /// Derives the signing key for any service.
    pub(super) fn derive_for(
        secret: &SecretAccessKey,
        date: &str,
        region: &str,
        service: &str,
    ) -> Self {
        let secret = Zeroizing::new(["AWS4", secret.expose()].concat());
        let day = hmac_sha256(secret.as_bytes(), date.as_bytes());
        let parts = [region, service, TERMINATOR];
        parts
            .iter()
            .fold(Self(day), |key, part| Self(key.sign(part.as_bytes())))
    }

    /// The signature of a string to sign.
    pub(super) fn sign(&self, message: &[u8]) -> Zeroizing<[u8; 32]> {
        hmac_sha256(self.0.as_slice(), message)
    }
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().into())
}
