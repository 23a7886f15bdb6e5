//! Documents that are wrong in one way, for the tests of those who verify them.
//!
//! A [`Forge`] holds a valid document in its parts. A test changes one, and everything that
//! depends on it is signed again, so that the document is wrong in that one way only:
//!
//! ```
//! # use attestation::nsm::{AttestationRequest, NsmError, SimulatedNsm, forge};
//! # fn example(nsm: &mut SimulatedNsm) -> Result<(), NsmError> {
//! let forge = nsm.forge(AttestationRequest::default())?;
//! let mut payload = forge.payload(&forge.certificates()?);
//! payload.set("digest", forge::cbor::text("SHA512"));
//! let document = forge.sign(payload.to_cbor())?.to_cbor();
//! # Ok(())
//! # }
//! ```

use rand_core::CryptoRng;

use super::ca::SimulatedCa;
use super::certificate::p384_spki;
use super::chain::Link;
use super::document::Statement;
use crate::backend::{Crypto, P384KeyPair, P384PublicKey};
use crate::nsm::NsmError;

pub use super::cbor;
pub use super::certificate::{CertificateTemplate, Extension, time};
pub use super::document::Payload;

/// Index of the root in [`Forge::chain`].
pub const ROOT: usize = 0;
/// Index of the regional certificate.
pub const REGIONAL: usize = 1;
/// Index of the zonal certificate.
pub const ZONAL: usize = 2;
/// Index of the instance's certificate.
pub const INSTANCE: usize = 3;
/// Index of the certificate whose key signs the document.
pub const LEAF: usize = 4;

/// The protected header that belongs there: `{1: -35}`, ES384.
pub const PROTECTED_ES384: &[u8] = &[0xa1, 0x01, 0x38, 0x22];

/// A valid document in its parts.
#[derive(Clone)]
pub struct Forge {
    /// The certificates, root first. Each is signed by the one before it, the root by itself,
    /// and the document by the last. One can be taken out or put elsewhere; names and key
    /// identifiers are not adapted.
    pub chain: Vec<ForgedCertificate>,
    statement: Statement,
    crypto: &'static dyn Crypto,
}

/// A certificate that is signed again when it or its issuer's key changes.
#[derive(Clone)]
pub struct ForgedCertificate {
    template: CertificateTemplate,
    key: P384KeyPair,
    /// The certificate as it was, while nothing in it has changed.
    original: Option<Vec<u8>>,
    /// Whose signature that has.
    original_issuer: P384PublicKey,
}

impl ForgedCertificate {
    /// The parts, to look at.
    pub fn template(&self) -> &CertificateTemplate {
        &self.template
    }

    /// The parts, to change.
    pub fn edit(&mut self) -> &mut CertificateTemplate {
        self.original = None;
        &mut self.template
    }
}

impl Forge {
    pub(super) fn new(
        ca: &SimulatedCa,
        root: CertificateTemplate,
        links: &[Link],
        statement: Statement,
        crypto: &'static dyn Crypto,
    ) -> Self {
        let root = ForgedCertificate {
            template: root,
            key: ca.key().clone(),
            original: Some(ca.certificate().to_vec()),
            original_issuer: ca.key().public().clone(),
        };
        let issuers = std::iter::once(ca.key()).chain(links.iter().map(|link| &link.key));
        let below_root = std::iter::zip(issuers, links).map(|(issuer, link)| ForgedCertificate {
            template: link.template.clone(),
            key: link.key.clone(),
            original: Some(link.certificate.clone()),
            original_issuer: issuer.public().clone(),
        });
        Self {
            chain: std::iter::once(root).chain(below_root).collect(),
            statement,
            crypto,
        }
    }

    /// Gives a certificate another key.
    ///
    /// # Errors
    /// If there is no such certificate, or `random` does not yield a key.
    pub fn rekey(&mut self, index: usize, random: &mut dyn CryptoRng) -> Result<(), NsmError> {
        let key = P384KeyPair::generate(self.crypto, random).map_err(|_| NsmError::Internal)?;
        let certificate = self.chain.get_mut(index).ok_or(NsmError::InvalidArgument)?;
        certificate.edit().public_key = p384_spki(key.public());
        certificate.key = key;
        Ok(())
    }

    /// The certificates, root first, signed where something changed.
    ///
    /// # Errors
    /// If a signature can not be made.
    pub fn certificates(&self) -> Result<Vec<Vec<u8>>, NsmError> {
        let issuers = self.chain.iter().take(1).chain(&self.chain);
        std::iter::zip(issuers, &self.chain)
            .map(|(issuer, subject)| match &subject.original {
                Some(original) if subject.original_issuer == *issuer.key.public() => {
                    Ok(original.clone())
                }
                _ => subject
                    .template
                    .sign(&issuer.key, self.crypto)
                    .map_err(|_| NsmError::Internal),
            })
            .collect()
    }

    /// The payload with these certificates, root first, leaf last.
    pub fn payload(&self, certificates: &[Vec<u8>]) -> Payload {
        self.statement.to_payload(certificates)
    }

    /// The message around a payload, signed with the key of the last certificate.
    ///
    /// # Errors
    /// If the signature can not be made.
    pub fn sign(&self, payload: Vec<u8>) -> Result<Message, NsmError> {
        self.sign_with_header(PROTECTED_ES384, payload)
    }

    /// The same with another protected header, which the signature covers.
    ///
    /// # Errors
    /// If the signature can not be made.
    pub fn sign_with_header(
        &self,
        protected: &[u8],
        payload: Vec<u8>,
    ) -> Result<Message, NsmError> {
        let leaf = self.chain.last().ok_or(NsmError::Internal)?;
        // Sig_structure, RFC 9052 section 4.4.
        let to_be_signed = cbor::array(
            4,
            [
                cbor::text("Signature1"),
                cbor::bytes(protected),
                cbor::bytes(&[]),
                cbor::bytes(&payload),
            ],
        );
        let signature = self
            .crypto
            .sign_es384(&leaf.key, &self.crypto.sha384(&[&to_be_signed]))
            .map_err(|_| NsmError::Internal)?;
        Ok(Message {
            opening: cbor::array(4, []),
            protected: cbor::bytes(protected),
            unprotected: cbor::map(0, []),
            payload: cbor::bytes(&payload),
            signature: cbor::bytes(&signature),
            closing: Vec::new(),
        })
    }

    /// The whole document, as the parts now are.
    ///
    /// # Errors
    /// If a signature can not be made.
    pub fn document(&self) -> Result<Vec<u8>, NsmError> {
        let payload = self.payload(&self.certificates()?);
        Ok(self.sign(payload.to_cbor())?.to_cbor())
    }
}

/// A COSE_Sign1 message as finished CBOR items.
#[derive(Clone, Debug)]
pub struct Message {
    /// The head of the array, and any tags before it.
    pub opening: Vec<u8>,
    /// The protected header, in its byte string.
    pub protected: Vec<u8>,
    /// The unprotected header.
    pub unprotected: Vec<u8>,
    /// The payload, in its byte string.
    pub payload: Vec<u8>,
    /// The signature, in its byte string.
    pub signature: Vec<u8>,
    /// Whatever comes after the array.
    pub closing: Vec<u8>,
}

impl Message {
    /// The message.
    pub fn to_cbor(&self) -> Vec<u8> {
        [
            self.opening.as_slice(),
            &self.protected,
            &self.unprotected,
            &self.payload,
            &self.signature,
            &self.closing,
        ]
        .concat()
    }
}
