//! The domain key, which seals records and wraps backing keys.

use attestation::Timestamp;
use rand_core::CryptoRng;

use crate::crypto::SecretKey;

/// The secrets of one domain: all that is sealed for one store.
pub(crate) struct DomainKey {
    /// Counts the domain keys there have been. Every record names the one it is sealed
    /// under, so that a new one can be phased in while records under the old one exist.
    pub(crate) epoch: u32,
    pub(crate) created: Timestamp,
    /// Seals records and key tokens.
    pub(crate) sealing: SecretKey,
    /// Makes record ids and the elements of the head's set hashes. It encrypts nothing and
    /// stays when the sealing key changes, or every record would have to move.
    pub(crate) naming: SecretKey,
}

impl DomainKey {
    /// The first domain key of a new store.
    pub(crate) fn generate(created: Timestamp, random: &mut dyn CryptoRng) -> Self {
        Self {
            epoch: 1,
            created,
            sealing: SecretKey::generate(random),
            naming: SecretKey::generate(random),
        }
    }
}
