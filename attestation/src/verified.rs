//! What verification yields.

use std::sync::Arc;

use crate::recipient::{RecipientKey, RecipientKeyError};
use crate::{Pcrs, Timestamp, TrustRoot};

/// A document that passed every check of [`Verifier::verify`](crate::Verifier::verify), which
/// alone can make one. A clone shares what it says.
#[derive(Clone, Debug)]
pub struct VerifiedDocument {
    facts: Arc<Facts>,
}

/// What a document says.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) module_id: String,
    pub(crate) timestamp: Timestamp,
    pub(crate) pcrs: Pcrs,
    pub(crate) public_key: Option<Vec<u8>>,
    pub(crate) user_data: Option<Vec<u8>>,
    pub(crate) nonce: Option<Vec<u8>>,
    pub(crate) root: TrustRoot,
    pub(crate) signed_sha384: [u8; 48],
    /// `public_key`, read.
    pub(crate) recipient_key: Result<RecipientKey, RecipientKeyError>,
}

impl VerifiedDocument {
    /// For the verifier only.
    pub(crate) fn new(facts: Facts) -> Self {
        Self {
            facts: Arc::new(facts),
        }
    }

    /// The module id: `i-<instance>-enc<enclave>`.
    pub fn module_id(&self) -> &str {
        &self.facts.module_id
    }

    /// When the NSM made the document.
    pub fn timestamp(&self) -> Timestamp {
        self.facts.timestamp
    }

    /// The measurements.
    pub fn pcrs(&self) -> &Pcrs {
        &self.facts.pcrs
    }

    /// The public key the enclave asked to have signed, as it gave it.
    pub fn public_key(&self) -> Option<&[u8]> {
        self.facts.public_key.as_deref()
    }

    /// The user data; empty is not absent.
    pub fn user_data(&self) -> Option<&[u8]> {
        self.facts.user_data.as_deref()
    }

    /// The nonce; empty is not absent.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.facts.nonce.as_deref()
    }

    /// The root that the document's chain starts from.
    pub fn root(&self) -> &TrustRoot {
        &self.facts.root
    }

    /// Whether the enclave runs in debug mode; only a verifier told to accept these yields one.
    pub fn is_debug(&self) -> bool {
        self.facts.pcrs.is_debug()
    }

    /// The key that secrets for this enclave are sealed to: the document's `public_key`.
    ///
    /// # Errors
    /// If the document has none, or it is not the canonical DER SubjectPublicKeyInfo of an RSA key
    /// of 2048, 3072 or 4096 bits with an odd exponent of 65537 to 2^32.
    pub fn recipient_key(&self) -> Result<&RecipientKey, RecipientKeyError> {
        self.facts.recipient_key.as_ref().map_err(|error| *error)
    }

    /// The SHA-384 of what the NSM signed: the document's identity, where one is needed.
    ///
    /// Not of the whole document: an ECDSA signature (r, s) has a valid twin (r, n−s).
    pub fn signed_sha384(&self) -> &[u8; 48] {
        &self.facts.signed_sha384
    }
}
