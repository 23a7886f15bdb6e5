//! Certificates that were verified before.
//!
//! A chain of four authorities and a leaf costs four signature verifications. The authorities of
//! one instance stay the same for hours, and so does the leaf of one security module. Three things
//! are remembered, all of chains that verified as a whole, so nobody who lacks an authority of a
//! pinned root can put one in:
//!
//! - for an authority one timeless fact: *this key signed exactly these bytes*, and the key that is
//!   in them. All else about it is checked anew each time;
//! - for a whole `cabundle`, byte for byte, what was found in it;
//! - for a whole chain, byte for byte, what was found in it.
//!
//! The last two are functions of these bytes, of the pinned roots and of the time, and hold while
//! all their certificates are valid.

use std::sync::Arc;

use super::{Authorities, Certificate, Chain, Signed};
use crate::Timestamp;
use crate::backend::{P384_POINT_LEN, P384PublicKey};
use crate::remembered::Remembered;

/// Bounded sets of signatures and chains known to be good.
#[derive(Debug)]
pub(crate) struct CertificateCache {
    signatures: Remembered<P384PublicKey>,
    authorities: Remembered<Arc<Authorities>>,
    chains: Remembered<Arc<Chain>>,
}

impl Default for CertificateCache {
    fn default() -> Self {
        Self {
            signatures: Remembered::new(Self::SIGNATURES),
            authorities: Remembered::new(Self::AUTHORITIES),
            chains: Remembered::new(Self::CHAINS),
        }
    }
}

impl CertificateCache {
    /// How many authorities are kept. An entry has up to two kilobytes, so about two megabytes in
    /// all.
    pub(super) const SIGNATURES: usize = 1024;
    /// How many times a `cabundle` is kept. AWS's have two kilobytes, the longest eight.
    pub(super) const AUTHORITIES: usize = 512;
    /// How many chains are kept. AWS's have three kilobytes, the longest nine.
    pub(super) const CHAINS: usize = 512;

    /// What is known of exactly this chain, if all of it is valid at `now`.
    pub(super) fn chain(&self, key: &ChainKey, now: Timestamp) -> Option<Arc<Chain>> {
        let chain = self.chains.get(&key.bytes)?;
        chain.validity.contains(now).then_some(chain)
    }

    /// Remembers a chain that was verified.
    pub(super) fn insert_chain(&self, key: &ChainKey, chain: &Arc<Chain>) {
        self.chains.insert(&key.bytes, Arc::clone(chain));
    }

    /// What is known of exactly this `cabundle`, if all of it is valid at `now`.
    pub(super) fn authorities(&self, key: &ChainKey, now: Timestamp) -> Option<Arc<Authorities>> {
        let authorities = self.authorities.get(key.authorities())?;
        authorities.validity.contains(now).then_some(authorities)
    }

    /// Remembers a `cabundle` that was verified.
    pub(super) fn insert_authorities(&self, key: &ChainKey, authorities: &Arc<Authorities>) {
        let authorities = Arc::clone(authorities);
        self.authorities.insert(key.authorities(), authorities);
    }

    /// The key in `certificate`, if `issuer` is known to have signed it.
    pub(super) fn signed_key(
        &self,
        issuer: &P384PublicKey,
        certificate: &Certificate<'_>,
    ) -> Option<P384PublicKey> {
        self.signatures.get(&signature_key(issuer, certificate))
    }

    /// Remembers what an authority signed.
    pub(super) fn insert_signed(&self, signed: &Signed<'_, '_>) {
        let key = signature_key(&signed.issuer_key, signed.certificate);
        self.signatures.insert(&key, signed.key.clone());
    }

    #[cfg(test)]
    pub(super) fn signatures(&self) -> usize {
        self.signatures.len()
    }

    #[cfg(test)]
    pub(super) fn forget_chains(&mut self) {
        self.chains = Remembered::new(Self::CHAINS);
    }

    #[cfg(test)]
    pub(super) fn forget_authorities(&mut self) {
        self.authorities = Remembered::new(Self::AUTHORITIES);
    }
}

/// A chain's exact bytes, each certificate after its length.
pub(super) struct ChainKey {
    bytes: Vec<u8>,
    /// How many of them are the authorities'.
    authorities: usize,
}

impl ChainKey {
    pub(super) fn new(cabundle: &[&[u8]], leaf: &[u8]) -> Self {
        let certificates = || cabundle.iter().copied().chain([leaf]);
        let length = |der: &[u8]| size_of::<usize>() + der.len();
        let mut bytes = Vec::with_capacity(certificates().map(length).sum());
        for der in certificates() {
            bytes.extend_from_slice(&der.len().to_be_bytes());
            bytes.extend_from_slice(der);
        }
        Self {
            authorities: bytes.len().saturating_sub(length(leaf)),
            bytes,
        }
    }

    /// The same of the authorities alone.
    fn authorities(&self) -> &[u8] {
        self.bytes.get(..self.authorities).unwrap_or_default()
    }
}

/// The issuer's key, whose length is fixed, and the certificate's exact bytes.
fn signature_key(issuer: &P384PublicKey, certificate: &Certificate<'_>) -> Vec<u8> {
    let mut key = Vec::with_capacity(P384_POINT_LEN + certificate.der.len());
    key.extend_from_slice(issuer.as_bytes());
    key.extend_from_slice(certificate.der);
    key
}
