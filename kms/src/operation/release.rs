//! How plaintext leaves: in the open to the caller, or sealed for an attested recipient.
//!
//! Every operation that gives out plaintext turns the request's `Recipient` into a [`Release`]
//! first, and has no other way to put the plaintext into its answer than through it. So a request
//! that names a recipient either has a verified document with a usable key in it, or ends here:
//! there is no path from a document that does not verify back to plaintext.

use attestation::rand_core::CryptoRng;
use attestation::{RecipientKey, VerifiedDocument};
use zeroize::Zeroizing;

use crate::error::KmsError;
use crate::protocol::{Plaintext, Recipient};

use super::Context;

/// How a request's plaintext may leave.
pub(super) enum Release {
    /// The request names no recipient.
    InTheOpen,
    /// Sealed with the key of a verified document.
    Sealed(Attested),
}

/// A recipient, attested.
pub(super) struct Attested {
    document: VerifiedDocument,
    key: RecipientKey,
}

/// Plaintext as it leaves.
pub(super) enum Released {
    /// To the caller.
    Open(Zeroizing<Vec<u8>>),
    /// To the recipient only.
    ForRecipient(Vec<u8>),
}

impl Release {
    /// How the plaintext of a request may leave: verifies the recipient's document, if there is
    /// one, and records its measurements.
    ///
    /// # Errors
    ///
    /// ValidationException that says what is wrong with the recipient. AWS's texts for this are
    /// not known; its error code is (a damaged document gets a ValidationException).
    pub(super) fn of(
        context: &mut Context<'_>,
        recipient: Option<Recipient>,
    ) -> Result<Self, KmsError> {
        let Some(recipient) = recipient else {
            return Ok(Self::InTheOpen);
        };
        let (Some(document), Some(_algorithm)) = (
            recipient.attestation_document,
            recipient.key_encryption_algorithm,
        ) else {
            return Err(KmsError::validation(
                "Recipient must contain both KeyEncryptionAlgorithm and AttestationDocument.",
            ));
        };
        context.event.claimed_recipient();
        let document = Self::verify(context, &document)?;
        let key = document.recipient_key().cloned().map_err(|error| {
            KmsError::validation(format!(
                "The attestation document has no usable public key: {error}"
            ))
        })?;
        context.event.recipient(&document);
        Ok(Self::Sealed(Attested { document, key }))
    }

    fn verify(context: &Context<'_>, document: &[u8]) -> Result<VerifiedDocument, KmsError> {
        let (verifier, now) = (context.verifier, context.now);
        if let Some(verified) = verifier.recall(document, now) {
            return Ok(verified);
        }
        context.before_long_work();
        verifier.verify(document, now).map_err(|error| {
            KmsError::validation(format!("The attestation document is not valid: {error}"))
        })
    }

    /// The verified document, for the conditions of policies.
    pub(super) fn document(&self) -> Option<&VerifiedDocument> {
        match self {
            Self::InTheOpen => None,
            Self::Sealed(attested) => Some(&attested.document),
        }
    }

    /// Makes plaintext ready to leave.
    ///
    /// # Errors
    ///
    /// KMSInternalException if it can't be sealed.
    pub(super) fn apply(
        &self,
        plaintext: Zeroizing<Vec<u8>>,
        random: &mut dyn CryptoRng,
    ) -> Result<Released, KmsError> {
        match self {
            Self::InTheOpen => Ok(Released::Open(plaintext)),
            Self::Sealed(attested) => attested
                .key
                .seal(&plaintext, random)
                .map(Released::ForRecipient)
                .map_err(|_| {
                    KmsError::KmsInternal(
                        "The plaintext could not be sealed for the recipient.".into(),
                    )
                }),
        }
    }
}

impl Released {
    /// The member of the answer.
    pub(super) fn as_plaintext(&self) -> Plaintext<'_> {
        match self {
            Self::Open(plaintext) => Plaintext::Open(plaintext),
            Self::ForRecipient(sealed) => Plaintext::ForRecipient(sealed),
        }
    }
}
