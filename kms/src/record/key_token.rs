//! Key tokens: backing keys as they are stored.
//!
//! ```text
//! nonce 16 ‖ ciphertext ‖ tag 16
//! ```
//!
//! A token stays sealed on its own inside the sealed record, under its own label and
//! bound to its KMS key, so that no handling of records can hand out material.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::DomainKey;
use crate::crypto::{Fields, Label, Nonce, TAG_LEN, open, seal};
use crate::key::{BackingKey, BackingKeyId};
use crate::name::KeyId;

/// The bytes by which a token is longer than the material in it.
pub(crate) const OVERHEAD: usize = Nonce::LEN + TAG_LEN;

pub(crate) fn seal_token(
    domain_key: &DomainKey,
    key: KeyId,
    backing: &BackingKey,
    random: &mut dyn CryptoRng,
) -> Vec<u8> {
    let nonce = Nonce::generate(random);
    let material = backing.material().expose();
    let mut token = Vec::with_capacity(material.len() + OVERHEAD);
    token.extend_from_slice(nonce.as_bytes());
    token.extend_from_slice(material);
    seal(
        &domain_key.sealing,
        Label::KeyToken,
        nonce,
        additional_data(key, backing.id()).as_bytes(),
        &mut token,
        Nonce::LEN,
    );
    token
}

/// The material in a token of this backing key of this KMS key.
pub(crate) fn open_token(
    domain_key: &DomainKey,
    key: KeyId,
    backing: &BackingKeyId,
    token: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = token.split_first_chunk()?;
    open(
        &domain_key.sealing,
        Label::KeyToken,
        Nonce::from_bytes(*nonce),
        additional_data(key, backing).as_bytes(),
        sealed,
    )
    .ok()
}

fn additional_data(key: KeyId, backing: &BackingKeyId) -> Fields {
    Fields::with_capacity(64)
        .bytes(&key.to_bytes())
        .bytes(backing.as_bytes())
}

#[cfg(test)]
mod tests {
    use attestation::Timestamp;

    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn a_token_opens_for_its_own_key_only() {
        let mut random = TestRandom::new(1);
        let domain_key = DomainKey::generate(Timestamp::from_secs(0), &mut random);
        let other_domain = DomainKey::generate(Timestamp::from_secs(0), &mut random);
        let (key, other_key) = (KeyId::new([1; 16], false), KeyId::new([1; 16], true));
        let backing = BackingKey::generate(key, Timestamp::from_secs(0), &mut random);
        let other_backing = BackingKeyId::from_bytes([7; 32]);

        let token = seal_token(&domain_key, key, &backing, &mut random);
        assert_eq!(token.len(), 32 + OVERHEAD);
        let material = open_token(&domain_key, key, backing.id(), &token).unwrap();
        assert_eq!(*material, backing.material().expose());
        assert!(open_token(&other_domain, key, backing.id(), &token).is_none());
        assert!(open_token(&domain_key, other_key, backing.id(), &token).is_none());
        assert!(open_token(&domain_key, key, &other_backing, &token).is_none());
        assert!(open_token(&domain_key, key, backing.id(), &token[..15]).is_none());
    }
}
