//! Certificates that were verified before.
//!
//! A chain of four authorities and a leaf costs four signature verifications. The authorities of
//! one instance stay the same for hours, and so does the leaf of one security module. Two things
//! are remembered, both of chains that verified as a whole, so nobody who lacks an authority of a
//! pinned root can put one in:
//!
//! - for an authority one timeless fact: *this key signed exactly these bytes*. All else about it
//!   is checked anew each time;
//! - for a whole chain, byte for byte, what was found in it. It is a function of these bytes, of
//!   the pinned roots and of the time, and holds while all its certificates are valid.

use std::sync::Arc;

use super::{Certificate, Chain};
use crate::Timestamp;
use crate::backend::{P384_POINT_LEN, P384PublicKey};
use crate::remembered::Remembered;

/// Bounded sets of signatures and chains known to be good.
#[derive(Debug)]
pub(crate) struct CertificateCache {
    signatures: Remembered<()>,
    chains: Remembered<Arc<Chain>>,
}

impl Default for CertificateCache {
    fn default() -> Self {
        Self {
            signatures: Remembered::new(Self::SIGNATURES),
            chains: Remembered::new(Self::CHAINS),
        }
    }
}

impl CertificateCache {
    /// How many authorities are kept. An entry has up to 1121 bytes, so about one megabyte in all.
    pub(super) const SIGNATURES: usize = 1024;
    /// How many chains are kept. AWS's have three kilobytes, the longest nine.
    pub(super) const CHAINS: usize = 512;

    /// What is known of exactly this chain, if all of it is valid at `now`.
    pub(super) fn chain(&self, key: &ChainKey, now: Timestamp) -> Option<Arc<Chain>> {
        let chain = self.chains.get(&key.0)?;
        chain.validity.contains(now).then_some(chain)
    }

    /// Remembers a chain that was verified.
    pub(super) fn insert_chain(&self, key: &ChainKey, chain: &Arc<Chain>) {
        let end = chain.validity.not_after;
        self.chains.insert(&key.0, Arc::clone(chain), end);
    }

    /// Whether `issuer` is known to have signed `certificate`.
    pub(super) fn is_signed(&self, issuer: &P384PublicKey, certificate: &Certificate<'_>) -> bool {
        self.signatures
            .get(&signature_key(issuer, certificate))
            .is_some()
    }

    /// Remembers that `issuer` signed `certificate`.
    pub(super) fn insert_signed(&self, issuer: &P384PublicKey, certificate: &Certificate<'_>) {
        let key = signature_key(issuer, certificate);
        let end = certificate.validity.not_after;
        self.signatures.insert(&key, (), end);
    }

    #[cfg(test)]
    pub(super) fn signatures(&self) -> usize {
        self.signatures.len()
    }

    #[cfg(test)]
    pub(super) fn forget_chains(&mut self) {
        self.chains = Remembered::new(Self::CHAINS);
    }
}

/// A chain's exact bytes, each certificate after its length.
pub(super) struct ChainKey(Vec<u8>);

impl ChainKey {
    pub(super) fn new(cabundle: &[&[u8]], leaf: &[u8]) -> Self {
        let certificates = || cabundle.iter().copied().chain([leaf]);
        let length = certificates().map(|der| size_of::<usize>() + der.len());
        let mut key = Vec::with_capacity(length.sum());
        for der in certificates() {
            key.extend_from_slice(&der.len().to_be_bytes());
            key.extend_from_slice(der);
        }
        Self(key)
    }
}

/// The issuer's key, whose length is fixed, and the certificate's exact bytes.
fn signature_key(issuer: &P384PublicKey, certificate: &Certificate<'_>) -> Vec<u8> {
    let mut key = Vec::with_capacity(P384_POINT_LEN + certificate.der.len());
    key.extend_from_slice(issuer.as_bytes());
    key.extend_from_slice(certificate.der);
    key
}
