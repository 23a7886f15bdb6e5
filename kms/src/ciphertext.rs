//! CiphertextBlob: what Encrypt and the data key operations hand out, and Decrypt takes.
//!
//! ```text
//! format 1 ‖ key id 17 ‖ backing key id 32 ‖ nonce 16 ‖ ciphertext ‖ tag 16
//! ```
//!
//! The format, byte by byte, is `docs/ciphertext-format.md`; `kms/tests/vectors/ciphertext.json`
//! has examples. Every released format stays readable.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::KmsError;
use crate::crypto::{self, Fields, Label, Nonce, TAG_LEN};
use crate::key::{BackingKey, BackingKeyId};
use crate::name::KeyId;
use crate::protocol::EncryptionContext;

/// The format this version writes, and the only one there is.
const FORMAT: u8 = 1;
const HEADER_LEN: usize = 1 + KeyId::LEN + BackingKeyId::LEN + Nonce::LEN;

/// The bytes by which a CiphertextBlob is longer than its plaintext.
pub const OVERHEAD: usize = HEADER_LEN + TAG_LEN;

/// What a CiphertextBlob says about itself. Only [`open`] proves it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The KMS key it was encrypted with.
    pub key_id: KeyId,
    /// The version of that key's material.
    pub backing_id: BackingKeyId,
}

impl Header {
    /// Reads the header; `None` for what can't be a CiphertextBlob of ours.
    pub fn parse(blob: &[u8]) -> Option<Self> {
        Parts::split(blob).map(|parts| parts.header)
    }
}

/// Encrypts with a KMS key: a fresh CiphertextBlob each time.
///
/// # Errors
/// [`KmsError::KmsInternal`] when the backing key is not that of a symmetric key.
pub fn seal(
    backing: &BackingKey,
    key_id: KeyId,
    plaintext: &[u8],
    context: &EncryptionContext<'_>,
    random: &mut dyn CryptoRng,
) -> Result<Vec<u8>, KmsError> {
    let key = backing.material().symmetric()?;
    let nonce = Nonce::generate(random);
    let header = Header {
        key_id,
        backing_id: *backing.id(),
    };
    let mut blob = Vec::with_capacity(OVERHEAD + plaintext.len());
    blob.push(FORMAT);
    blob.extend_from_slice(&key_id.to_bytes());
    blob.extend_from_slice(backing.id().as_bytes());
    blob.extend_from_slice(nonce.as_bytes());
    blob.extend_from_slice(plaintext);
    crypto::seal(
        key,
        Label::Message,
        nonce,
        additional_data(&header, context).as_bytes(),
        &mut blob,
        HEADER_LEN,
    );
    Ok(blob)
}

/// Decrypts a CiphertextBlob with the backing key that its header names.
///
/// # Errors
/// [`KmsError::InvalidCiphertext`] when the blob, the backing key or the encryption context
/// is not the one it was sealed with; which of them, is not told.
pub fn open(
    blob: &[u8],
    backing: &BackingKey,
    context: &EncryptionContext<'_>,
) -> Result<Zeroizing<Vec<u8>>, KmsError> {
    let parts = Parts::split(blob)
        .filter(|parts| parts.header.backing_id == *backing.id())
        .ok_or(KmsError::InvalidCiphertext)?;
    crypto::open(
        backing.material().symmetric()?,
        Label::Message,
        parts.nonce,
        additional_data(&parts.header, context).as_bytes(),
        parts.sealed,
    )
    .map_err(|_| KmsError::InvalidCiphertext)
}

/// A blob taken apart.
struct Parts<'a> {
    header: Header,
    nonce: Nonce,
    sealed: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(blob: &'a [u8]) -> Option<Self> {
        let (&[format], rest) = blob.split_first_chunk()?;
        let (key_id, rest) = rest.split_first_chunk()?;
        let (backing_id, rest) = rest.split_first_chunk()?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        if format != FORMAT || sealed.len() < TAG_LEN {
            return None;
        }
        Some(Self {
            header: Header {
                key_id: KeyId::from_bytes(key_id)?,
                backing_id: BackingKeyId::from_bytes(*backing_id),
            },
            nonce: Nonce::from_bytes(*nonce),
            sealed,
        })
    }
}

/// The additional authenticated data: header and encryption context, in a form that no
/// other header or context shares. The nonce takes part as well: the key is derived from it.
fn additional_data(header: &Header, context: &EncryptionContext<'_>) -> Fields {
    let mut fields = Fields::with_capacity(128)
        .bytes(&[FORMAT])
        .bytes(&header.key_id.to_bytes())
        .bytes(header.backing_id.as_bytes());
    fields.push(&(context.len() as u64).to_be_bytes());
    for (key, value) in context.iter() {
        fields.push(key.as_bytes());
        fields.push(value.as_bytes());
    }
    fields
}

#[cfg(test)]
mod tests {
    use attestation::Timestamp;
    use proptest::{collection::btree_map, collection::vec, prelude::*, sample::Index};

    use super::*;
    use crate::test_random::TestRandom;

    /// Short texts of few letters, so that contexts come close to one another.
    fn contexts() -> impl Strategy<Value = EncryptionContext<'static>> {
        btree_map("[ab]{0,3}", "[ab]{0,3}", 0..4).prop_map(|pairs| pairs.into_iter().collect())
    }

    fn backing(seed: u64) -> (KeyId, BackingKey) {
        let id = KeyId::new([seed as u8; 16], seed.is_multiple_of(2));
        let created = Timestamp::from_secs(0);
        let backing = BackingKey::generate(id, created, &mut TestRandom::new(seed));
        (id, backing)
    }

    /// CiphertextBlob has at most 6144 bytes; AWS's own for a 32-byte data key has 184.
    const _: () = assert!(4096 + OVERHEAD <= 6144 && 32 + OVERHEAD <= 184);

    proptest! {
        #[test]
        fn what_is_sealed_opens(
            seed in any::<u64>(), plaintext in vec(any::<u8>(), 0..200), context in contexts(),
        ) {
            let (id, backing) = backing(seed);
            let blob = seal(&backing, id, &plaintext, &context, &mut TestRandom::new(seed)).unwrap();
            prop_assert_eq!(blob.len(), plaintext.len() + OVERHEAD);
            let header = Header { key_id: id, backing_id: *backing.id() };
            prop_assert_eq!(Header::parse(&blob), Some(header));
            let opened = open(&blob, &backing, &context);
            prop_assert_eq!(&*opened.unwrap(), &plaintext);
        }

        #[test]
        fn no_other_bytes_open(
            plaintext in vec(any::<u8>(), 0..60), at in any::<Index>(), bit in 0..8_u8, more in vec(any::<u8>(), 1..4),
        ) {
            let (id, backing) = backing(1);
            let context = EncryptionContext::default();
            let blob = seal(&backing, id, &plaintext, &context, &mut TestRandom::new(2)).unwrap();
            let at = at.index(blob.len());
            let mut flipped = blob.clone();
            flipped[at] ^= 1 << bit;
            let extended = [&blob[..], &more[..]].concat();
            let inserted = [&blob[..at], &more[..], &blob[at..]].concat();
            for damaged in [&flipped, &blob[..at], &blob[at + 1..], &extended, &inserted] {
                let opened = open(damaged, &backing, &context);
                prop_assert_eq!(opened.err(), Some(KmsError::InvalidCiphertext));
            }
        }

        #[test]
        fn contexts_that_differ_never_share_additional_data(a in contexts(), b in contexts()) {
            let (id, backing) = backing(1);
            let header = Header { key_id: id, backing_id: *backing.id() };
            prop_assert_eq!(a == b, additional_data(&header, &a) == additional_data(&header, &b));
        }

        #[test]
        fn another_context_or_key_does_not_open(a in contexts(), b in contexts(), seed in 2_u64..) {
            let (id, own) = backing(1);
            let blob = seal(&own, id, b"secret", &a, &mut TestRandom::new(3)).unwrap();
            prop_assert_eq!(open(&blob, &own, &b).is_ok(), a == b);
            let opened = open(&blob, &backing(seed).1, &a);
            prop_assert_eq!(opened.err(), Some(KmsError::InvalidCiphertext));
        }

        #[test]
        fn any_bytes_are_taken_calmly(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Header::parse(&bytes);
            prop_assert!(open(&bytes, &backing(1).1, &EncryptionContext::default()).is_err());
        }
    }
}
