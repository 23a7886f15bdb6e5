//! Signatures of certificate authorities that were verified before.
//!
//! A chain of four costs four signature verifications, and the authorities of one instance stay the same
//! for hours. What is remembered is one timeless fact: *this key signed exactly these bytes*.
//! Everything else about a certificate, its validity first of all, is checked anew each time.
//!
//! Only certificates of authorities in chains that verified as a whole are kept, so nobody who
//! lacks an authority of a pinned root can put one in.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::Certificate;
use crate::Timestamp;
use crate::backend::{P384_POINT_LEN, P384PublicKey};

/// A bounded set of signatures known to be good.
#[derive(Default)]
pub(crate) struct CertificateCache {
    entries: RwLock<BTreeMap<Box<[u8]>, Timestamp>>,
}

impl CertificateCache {
    /// How many are kept. An entry has up to 1121 bytes, so about one megabyte in all.
    pub(super) const CAPACITY: usize = 1024;

    /// Whether `issuer` is known to have signed `certificate`.
    pub(super) fn contains(&self, issuer: &P384PublicKey, certificate: &Certificate<'_>) -> bool {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.contains_key(&*key(issuer, certificate))
    }

    /// Remembers that `issuer` signed `certificate`. If there is no room, what has expired goes,
    /// or else what expires first.
    pub(super) fn insert(
        &self,
        issuer: &P384PublicKey,
        certificate: &Certificate<'_>,
        now: Timestamp,
    ) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= Self::CAPACITY {
            entries.retain(|_, not_after| *not_after >= now);
        }
        while entries.len() >= Self::CAPACITY {
            let Some(first) = entries
                .iter()
                .min_by_key(|(_, not_after)| **not_after)
                .map(|(key, _)| key.clone())
            else {
                break;
            };
            entries.remove(&first);
        }
        entries.insert(key(issuer, certificate), certificate.not_after());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.read().unwrap().len()
    }
}

impl core::fmt::Debug for CertificateCache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CertificateCache").finish_non_exhaustive()
    }
}

/// The issuer's key, whose length is fixed, and the certificate's exact bytes.
fn key(issuer: &P384PublicKey, certificate: &Certificate<'_>) -> Box<[u8]> {
    let mut key = Vec::with_capacity(P384_POINT_LEN + certificate.der.len());
    key.extend_from_slice(issuer.as_bytes());
    key.extend_from_slice(certificate.der);
    key.into_boxed_slice()
}
