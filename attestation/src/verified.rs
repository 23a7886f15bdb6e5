//! What verification yields.

use crate::{Backend, Pcrs, Timestamp, TrustRoot};

/// A document that passed every check of [`Verifier::verify`](crate::Verifier::verify), which
/// alone can make one.
#[derive(Clone, Debug)]
pub struct VerifiedDocument {
    pub(crate) module_id: String,
    pub(crate) timestamp: Timestamp,
    pub(crate) pcrs: Pcrs,
    pub(crate) public_key: Option<Vec<u8>>,
    pub(crate) user_data: Option<Vec<u8>>,
    pub(crate) nonce: Option<Vec<u8>>,
    pub(crate) root: TrustRoot,
    pub(crate) payload_sha384: [u8; 48],
    pub(crate) backend: Backend,
}

impl VerifiedDocument {
    /// The module id: `i-<instance>-enc<enclave>`.
    pub fn module_id(&self) -> &str {
        &self.module_id
    }

    /// When the NSM made the document.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The measurements.
    pub fn pcrs(&self) -> &Pcrs {
        &self.pcrs
    }

    /// The public key the enclave asked to have signed, as it gave it.
    pub fn public_key(&self) -> Option<&[u8]> {
        self.public_key.as_deref()
    }

    /// The user data; empty is not absent.
    pub fn user_data(&self) -> Option<&[u8]> {
        self.user_data.as_deref()
    }

    /// The nonce; empty is not absent.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// The root that the document's chain starts from.
    pub fn root(&self) -> &TrustRoot {
        &self.root
    }

    /// Whether the enclave runs in debug mode; only a verifier told to accept these yields one.
    pub fn is_debug(&self) -> bool {
        self.pcrs.is_debug()
    }

    /// The SHA-384 of the signed payload: the document's identity, where one is needed.
    ///
    /// Not of the whole document: an ECDSA signature (r, s) has a valid twin (r, n−s).
    pub fn payload_sha384(&self) -> &[u8; 48] {
        &self.payload_sha384
    }
}
