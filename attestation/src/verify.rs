//! The verifier: every rule a document must keep, in the order in which they are checked.

use core::time::Duration;

use crate::backend::{Crypto, Es384};
use crate::chain::{self, CertificateCache};
use crate::{
    AttestationDocument, Backend, CertificateError, ChainPosition, DocumentError, Timestamp,
    TrustRoot, VerifiedDocument, consistency,
};

/// What a [`Verifier`] accepts beyond what every document must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VerifyOptions {
    /// How old a document may be: 300 seconds by default.
    pub max_age: Duration,
    /// How far in the future its timestamp may lie, as clocks differ: 60 seconds by default.
    pub max_future: Duration,
    /// Whether documents of enclaves in debug mode are accepted: not by default, as the parent
    /// instance can read all that such an enclave holds.
    pub accept_debug: bool,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(300),
            max_future: Duration::from_secs(60),
            accept_debug: false,
        }
    }
}

/// Verifies attestation documents against pinned roots.
///
/// One verifier serves all threads. It remembers which certificates of authorities it has seen
/// properly signed, in bounded space; nothing else about one document affects another.
#[derive(Debug)]
pub struct Verifier {
    roots: Vec<TrustRoot>,
    options: VerifyOptions,
    backend: Backend,
    cache: CertificateCache,
}

impl Verifier {
    /// A verifier that accepts documents under any of `roots`.
    pub fn new(roots: Vec<TrustRoot>, options: VerifyOptions) -> Self {
        Self {
            roots,
            options,
            backend: Backend::default(),
            cache: CertificateCache::default(),
        }
    }

    /// The same with another cryptography backend, and nothing remembered.
    #[must_use]
    pub fn with_backend(self, backend: Backend) -> Self {
        Self {
            backend,
            cache: CertificateCache::default(),
            ..self
        }
    }

    /// The pinned roots.
    pub fn roots(&self) -> &[TrustRoot] {
        &self.roots
    }

    /// What it accepts.
    pub fn options(&self) -> &VerifyOptions {
        &self.options
    }

    /// Verifies a document as of `now`: its form, its chain of certificates, its signature, that
    /// the two agree with each other, its age, and that the enclave is not in debug mode.
    ///
    /// A certificate being valid does not make a document fresh: chains stay valid for three
    /// hours, so the document's own timestamp decides.
    ///
    /// # Errors
    ///
    /// The first rule that the document breaks.
    pub fn verify(&self, document: &[u8], now: Timestamp) -> Result<VerifiedDocument, VerifyError> {
        self.verify_with(self.backend.crypto(), document, now)
    }

    fn verify_with(
        &self,
        crypto: &dyn Crypto,
        document: &[u8],
        now: Timestamp,
    ) -> Result<VerifiedDocument, VerifyError> {
        let document = AttestationDocument::parse(document)?;
        let chain = chain::verify(
            crypto,
            &self.cache,
            &self.roots,
            document.cabundle(),
            document.certificate(),
            now,
        )?;

        let (head, payload) = document.signed_parts();
        let digest = crypto.sha384(&[head.as_bytes(), payload]);
        let signature = Es384::Raw(document.signature());
        if !crypto.verify_es384(&chain.leaf_key, &digest, signature) {
            return Err(VerifyError::Signature);
        }

        consistency::check(crypto, &document, &chain)?;
        self.check_freshness(document.timestamp(), now)?;
        if document.pcrs().get(0).is_none() {
            return Err(VerifyError::NoImage);
        }
        if document.pcrs().is_debug() && !self.options.accept_debug {
            return Err(VerifyError::Debug);
        }

        Ok(VerifiedDocument {
            module_id: document.module_id().to_owned(),
            timestamp: document.timestamp(),
            pcrs: document.pcrs().clone(),
            public_key: document.public_key().map(<[u8]>::to_vec),
            user_data: document.user_data().map(<[u8]>::to_vec),
            nonce: document.nonce().map(<[u8]>::to_vec),
            root: chain.root,
            payload_sha384: crypto.sha384(&[payload]),
            backend: self.backend,
        })
    }

    fn check_freshness(&self, timestamp: Timestamp, now: Timestamp) -> Result<(), VerifyError> {
        let VerifyOptions {
            max_age,
            max_future,
            ..
        } = self.options;
        if timestamp < now - max_age {
            let age = now.saturating_since(timestamp);
            return Err(VerifyError::Stale { age, max_age });
        }
        if timestamp > now + max_future {
            let ahead = timestamp.saturating_since(now);
            return Err(VerifyError::Future { ahead, max_future });
        }
        Ok(())
    }
}

/// Why a document was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VerifyError {
    /// A certificate of the chain.
    #[error("{0}: {1}")]
    Certificate(ChainPosition, CertificateError),
    /// `cabundle` is too short or too long.
    #[error("a cabundle of {0} certificates: it must have 2 to 8")]
    ChainLength(usize),
    /// The enclave runs in debug mode.
    #[error(
        "the enclave runs in debug mode, where its memory is not protected: start it without \
         --debug-mode, or accept debug documents where nothing needs protection"
    )]
    Debug,
    /// The form.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The timestamp lies in the future.
    #[error(
        "the document was made {} ms in the future; {} ms are allowed: check the clock",
        ahead.as_millis(),
        max_future.as_millis()
    )]
    Future {
        /// How far ahead of the verifier's clock.
        ahead: Duration,
        /// How far it may be.
        max_future: Duration,
    },
    /// PCR4 is not the measurement of the instance that the module id names.
    #[error("PCR4 is not that of the instance in the module id")]
    Instance,
    /// The certificate above the leaf is another instance's.
    #[error("the certificate above the signing one is not that of the instance in the module id")]
    InstanceName,
    /// The leaf certificate is another module's.
    #[error("the signing certificate is not named after the module id")]
    ModuleName,
    /// The certificates name more than one region.
    #[error("the certificates are of different regions")]
    Region,
    /// PCR0 is missing, which measures the image and tells debug mode.
    #[error("the document has no PCR0, so nothing says what image runs in the enclave")]
    NoImage,
    /// The COSE signature.
    #[error("the document's signature is not that of its certificate's key")]
    Signature,
    /// Too old.
    #[error(
        "the document is {} ms old; {} ms are allowed: ask the enclave for a new one",
        age.as_millis(),
        max_age.as_millis()
    )]
    Stale {
        /// How long ago it was made.
        age: Duration,
        /// How old it may be.
        max_age: Duration,
    },
    /// The document was made when the key that signed it had no certificate.
    #[error("the document's timestamp lies outside the validity of its signing certificate")]
    TimestampOutsideCertificate,
    /// The first certificate is none of the pinned roots.
    #[error(
        "the chain does not start from a trusted root: if it is that of another partition or of a \
         simulated NSM, it has to be configured"
    )]
    UntrustedRoot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_verifier_serves_all_threads() {
        const fn shared<T: Send + Sync>() {}
        const { shared::<Verifier>() };
        const { shared::<VerifiedDocument>() };
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let options = VerifyOptions::default();
        assert_eq!(options.max_age, Duration::from_secs(300));
        assert_eq!(options.max_future, Duration::from_secs(60));
        assert!(!options.accept_debug);
    }
}
