//! The verifier: every rule a document must keep, in the order in which they are checked.

use core::time::Duration;

use crate::backend::{Crypto, Es384};
use crate::chain::{self, CertificateCache, Validity};
use crate::recipient::{RecipientKey, RecipientKeyError};
use crate::remembered::Remembered;
use crate::verified::Facts;
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
/// One verifier serves all threads. It remembers, in bounded space, which certificates it has seen
/// properly signed, which documents were good and until when, and the keys in them. That makes the
/// next time cheaper and nothing else: the answer is always what a new verifier's would be.
#[derive(Debug)]
pub struct Verifier {
    roots: Vec<TrustRoot>,
    options: VerifyOptions,
    backend: Backend,
    certificates: CertificateCache,
    documents: Remembered<Good>,
    recipient_keys: Remembered<RecipientKey>,
}

/// A document that was verified.
#[derive(Clone)]
struct Good {
    document: VerifiedDocument,
    /// When it is good: its certificates are valid, and it is neither too old nor too new.
    validity: Validity,
}

impl Verifier {
    /// How many documents are remembered. One has five kilobytes, and what it says three more; the
    /// longest has sixteen.
    const DOCUMENTS: usize = 512;

    /// How many keys of documents are remembered.
    const RECIPIENT_KEYS: usize = 512;

    /// A verifier that accepts documents under any of `roots`.
    pub fn new(roots: Vec<TrustRoot>, options: VerifyOptions) -> Self {
        Self {
            roots,
            options,
            backend: Backend::default(),
            certificates: CertificateCache::default(),
            documents: Remembered::new(Self::DOCUMENTS),
            recipient_keys: Remembered::new(Self::RECIPIENT_KEYS),
        }
    }

    /// The same with another cryptography backend, and nothing remembered.
    #[must_use]
    pub fn with_backend(self, backend: Backend) -> Self {
        Self {
            backend,
            ..Self::new(self.roots, self.options)
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

    /// What [`verify`](Self::verify) gives, in next to no time: if this very document was verified
    /// before and is still good.
    pub fn recall(&self, document: &[u8], now: Timestamp) -> Option<VerifiedDocument> {
        let good = self.documents.get(document)?;
        good.validity.contains(now).then_some(good.document)
    }

    fn verify_with(
        &self,
        crypto: &dyn Crypto,
        document: &[u8],
        now: Timestamp,
    ) -> Result<VerifiedDocument, VerifyError> {
        if let Some(verified) = self.recall(document, now) {
            return Ok(verified);
        }
        let good = self.verify_anew(crypto, document, now)?;
        let verified = good.document.clone();
        self.documents.insert(document, good);
        Ok(verified)
    }

    fn verify_anew(
        &self,
        crypto: &dyn Crypto,
        document: &[u8],
        now: Timestamp,
    ) -> Result<Good, VerifyError> {
        let document = AttestationDocument::parse(document)?;
        let chain = chain::verify(
            crypto,
            &self.certificates,
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
        let fresh = self.check_freshness(document.timestamp(), now)?;
        if document.pcrs().get(0).is_none() {
            return Err(VerifyError::NoImage);
        }
        if document.pcrs().is_debug() && !self.options.accept_debug {
            return Err(VerifyError::Debug);
        }

        let validity = chain.validity.within(fresh);
        let verified = VerifiedDocument::new(Facts {
            module_id: document.module_id().to_owned(),
            timestamp: document.timestamp(),
            pcrs: document.pcrs().clone(),
            public_key: document.public_key().map(<[u8]>::to_vec),
            user_data: document.user_data().map(<[u8]>::to_vec),
            nonce: document.nonce().map(<[u8]>::to_vec),
            root: chain.authorities.root.clone(),
            signed_sha384: digest,
            recipient_key: self.recipient_key(document.public_key()),
        });
        Ok(Good {
            document: verified,
            validity,
        })
    }

    /// Reads the key of a document. An enclave has one for many documents, and to read it and make it
    /// ready takes a third of the time that its use does.
    fn recipient_key(&self, spki: Option<&[u8]>) -> Result<RecipientKey, RecipientKeyError> {
        let spki = spki.ok_or(RecipientKeyError::Missing)?;
        if let Some(key) = self.recipient_keys.get(spki) {
            return Ok(key);
        }
        let key = RecipientKey::from_spki(spki, self.backend)?;
        self.recipient_keys.insert(spki, key.clone());
        Ok(key)
    }

    /// Gives when a document of this timestamp is neither too old nor too new, if that is now.
    fn check_freshness(
        &self,
        timestamp: Timestamp,
        now: Timestamp,
    ) -> Result<Validity, VerifyError> {
        let VerifyOptions {
            max_age,
            max_future,
            ..
        } = self.options;
        let fresh = Validity {
            not_before: timestamp - max_future,
            not_after: timestamp + max_age,
        };
        if now > fresh.not_after {
            let age = now.saturating_since(timestamp);
            return Err(VerifyError::Stale { age, max_age });
        }
        if now < fresh.not_before {
            let ahead = timestamp.saturating_since(now);
            return Err(VerifyError::Future { ahead, max_future });
        }
        Ok(fresh)
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
    use crate::backend::counting::Counting;

    const DOCUMENT: &[u8] = include_bytes!(
        "../tests/fixtures/nitro/aws/2025-10-15_reclaimprotocol-attestor-core_625d11b8.bin"
    );
    const MADE: Timestamp = Timestamp::from_millis(1_760_533_408_621);
    const MILLISECOND: Duration = Duration::from_millis(1);

    fn verifier(backend: Backend) -> Verifier {
        let options = VerifyOptions::default();
        Verifier::new(vec![TrustRoot::aws()], options).with_backend(backend)
    }

    /// Verifies, and counts the signatures that took: none if the document could be recalled.
    fn verify(
        verifier: &Verifier,
        document: &[u8],
        now: Timestamp,
    ) -> (usize, Result<Timestamp, VerifyError>) {
        let recalled = verifier.recall(document, now);
        let recalled = recalled.map(|recalled| recalled.timestamp());
        let counting = Counting::new(verifier.backend.crypto());
        let result = verifier.verify_with(&counting, document, now);
        let made = result.map(|verified| verified.timestamp());
        let good_at_once = made.ok().filter(|_| counting.verifications() == 0);
        assert_eq!(recalled, good_at_once);
        (counting.verifications(), made)
    }

    #[test]
    fn the_very_same_document_costs_nothing() {
        for backend in Backend::ALL {
            let verifier = verifier(*backend);
            assert_eq!(verify(&verifier, DOCUMENT, MADE), (5, Ok(MADE)));
            assert_eq!(verify(&verifier, DOCUMENT, MADE), (0, Ok(MADE)));
            // The same with a tag before it is another one, under a chain that is known.
            let tagged = [&[0xd2], DOCUMENT].concat();
            assert_eq!(verify(&verifier, &tagged, MADE), (1, Ok(MADE)));
            assert_eq!(verifier.documents.len(), 2);
        }
    }

    #[test]
    fn a_document_that_is_known_ages_like_any_other() {
        for backend in Backend::ALL {
            let known = verifier(*backend);
            let VerifyOptions {
                max_age,
                max_future,
                ..
            } = *known.options();
            verify(&known, DOCUMENT, MADE).1.unwrap();
            let (last, first) = (MADE + max_age, MADE - max_future);
            let hours = Duration::from_secs(4 * 3600);
            for now in [last, first] {
                assert_eq!(verify(&known, DOCUMENT, now), (0, Ok(MADE)));
            }
            for now in [
                last + MILLISECOND,
                first - MILLISECOND,
                MADE + hours,
                MADE - hours,
            ] {
                let (_, result) = verify(&known, DOCUMENT, now);
                let (_, expected) = verify(&verifier(*backend), DOCUMENT, now);
                assert_eq!(result, expected);
                assert!(result.is_err());
            }
        }
    }

    /// A document is good while its certificates are, even if it is young.
    #[test]
    fn a_document_that_is_known_ends_with_its_certificates() {
        let options = VerifyOptions {
            max_age: Duration::MAX,
            ..VerifyOptions::default()
        };
        let known = Verifier::new(vec![TrustRoot::aws()], options);
        known.verify(DOCUMENT, MADE).unwrap();
        let expired = known.verify(DOCUMENT, MADE + Duration::from_secs(4 * 3600));
        let error = VerifyError::Certificate(ChainPosition::Leaf, CertificateError::Expired);
        assert_eq!(expired.map(drop), Err(error));
    }

    #[test]
    fn nothing_is_remembered_of_a_document_that_is_bad() {
        for backend in Backend::ALL {
            let verifier = verifier(*backend);
            let mut bad = DOCUMENT.to_vec();
            *bad.last_mut().unwrap() ^= 1;
            let refused = Err(VerifyError::Signature);
            assert_eq!(verify(&verifier, &bad, MADE), (5, refused));
            assert_eq!(verify(&verifier, &bad, MADE), (1, refused));
            assert_eq!(verifier.documents.len(), 0);
            // Nor is it taken for the good one.
            assert_eq!(verify(&verifier, DOCUMENT, MADE), (1, Ok(MADE)));
            assert_eq!(verify(&verifier, &bad, MADE), (1, refused));
        }
    }

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
