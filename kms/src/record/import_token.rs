//! Import tokens: the private half of a wrapping key, kept by whoever is to use the public half.
//!
//! ```text
//! format 1 ‖ nonce 16 ‖ sealed content ‖ tag 16
//! ```
//!
//! So nothing need be stored for imports that may never come. The content is sealed under the
//! domain key and says for which key it is and until when.

use attestation::Timestamp;
use minicbor::{CborLen, Decode, Encode, decode};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::DomainKey;
use crate::crypto::{Fields, Label, Nonce, TAG_LEN, open, seal};
use crate::protocol::spec::WrappingAlgorithm;

const FORMAT: u8 = 1;

/// What a token holds.
#[derive(CborLen, Decode, Encode)]
pub(crate) struct ImportToken<'a> {
    /// The ARN of the key that material is to be imported into.
    #[b(0)]
    pub(crate) key_arn: &'a str,
    #[b(1)]
    algorithm: &'a str,
    #[n(2)]
    valid_to: u64,
    /// The private half of the wrapping key pair.
    #[cbor(b(3), with = "minicbor::bytes")]
    pub(crate) private_pkcs8: &'a [u8],
}

impl<'a> ImportToken<'a> {
    pub(crate) fn new(
        key_arn: &'a str,
        algorithm: WrappingAlgorithm,
        valid_to: Timestamp,
        private_pkcs8: &'a [u8],
    ) -> Self {
        Self {
            key_arn,
            algorithm: algorithm.as_str(),
            valid_to: valid_to.as_millis(),
            private_pkcs8,
        }
    }

    /// How the material is wrapped.
    pub(crate) fn algorithm(&self) -> Option<WrappingAlgorithm> {
        WrappingAlgorithm::from_name(self.algorithm)
    }

    /// When it expires.
    pub(crate) fn valid_to(&self) -> Timestamp {
        Timestamp::from_millis(self.valid_to)
    }

    pub(crate) fn seal(&self, domain_key: &DomainKey, random: &mut dyn CryptoRng) -> Vec<u8> {
        let nonce = Nonce::generate(random);
        let start = 1 + Nonce::LEN;
        // Of the right size, so that no copy of the key is left behind by a growing buffer.
        let mut token = Vec::with_capacity(start + minicbor::len(self) + TAG_LEN);
        token.push(FORMAT);
        token.extend_from_slice(nonce.as_bytes());
        minicbor::encode(self, &mut token).expect("a Vec takes whatever is written to it");
        seal(
            &domain_key.sealing,
            Label::ImportToken,
            nonce,
            additional_data().as_bytes(),
            &mut token,
            start,
        );
        token
    }

    /// Reads what [`open_import_token`] opened.
    pub(crate) fn read(content: &'a [u8]) -> Option<Self> {
        decode(content).ok()
    }
}

/// What is in a token that this domain key sealed.
pub(crate) fn open_import_token(
    domain_key: &DomainKey,
    token: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (&[FORMAT], rest) = token.split_first_chunk()? else {
        return None;
    };
    let (nonce, sealed) = rest.split_first_chunk()?;
    open(
        &domain_key.sealing,
        Label::ImportToken,
        Nonce::from_bytes(*nonce),
        additional_data().as_bytes(),
        sealed,
    )
    .ok()
}

fn additional_data() -> Fields {
    Fields::with_capacity(8).bytes(&[FORMAT])
}
