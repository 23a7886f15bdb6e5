//! Encryption under a key that is used once.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, aead::inout::InOutBuf};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{Label, SecretKey, derive};

/// Bytes that sealing adds: the tag of AES-GCM.
pub const TAG_LEN: usize = 16;

/// AES-GCM's own nonce. Every key is derived for one message, so it may be constant.
const GCM_NONCE: [u8; 12] = [0; 12];

/// 128 random bits that make a derived key unique.
///
/// The GCM nonce (96 bits) would bound the number of messages under one key to
/// 2^32; with a fresh key for each 128-bit nonce two messages share a key only
/// after some 2^64 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; Nonce::LEN]);

impl Nonce {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Draws a new nonce.
    pub fn generate(random: &mut dyn CryptoRng) -> Self {
        let mut nonce = [0; Self::LEN];
        random.fill_bytes(&mut nonce);
        Self(nonce)
    }

    /// A nonce as it was stored, for opening.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The nonce as it is stored.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// What was to be opened was not sealed with this key, label, nonce and
/// additional data. There is nothing more to know, and nothing more is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed data does not open")]
pub struct OpenError;

/// Encrypts `buffer[start..]` in place and appends the tag.
///
/// The part before `start` is left as it is: a header that goes in front, for
/// example. `nonce` must be fresh from [`Nonce::generate`].
///
/// # Panics
/// When `start` is beyond the buffer's end.
pub fn seal(
    parent: &SecretKey,
    label: Label,
    nonce: Nonce,
    additional: &[u8],
    buffer: &mut Vec<u8>,
    start: usize,
) {
    let tag = cipher(parent, label, nonce)
        .encrypt_inout_detached(
            &GCM_NONCE.into(),
            additional,
            InOutBuf::from(&mut buffer[start..]),
        )
        .expect("AES-GCM takes 64 GiB, and no message of ours comes near it");
    buffer.extend_from_slice(&tag);
}

/// Decrypts what [`seal`] appended: ciphertext and tag.
///
/// # Errors
/// [`OpenError`] when anything at all differs from what was sealed.
pub fn open(
    parent: &SecretKey,
    label: Label,
    nonce: Nonce,
    additional: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(OpenError)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    cipher(parent, label, nonce)
        .decrypt_inout_detached(
            &GCM_NONCE.into(),
            additional,
            InOutBuf::from(buffer.as_mut_slice()),
            tag.into(),
        )
        .map_err(|_| OpenError)?;
    Ok(buffer)
}

fn cipher(parent: &SecretKey, label: Label, nonce: Nonce) -> Aes256Gcm {
    let key = derive(parent, label, nonce.as_bytes());
    Aes256Gcm::new(key.expose().into())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce as GcmNonce, UnboundKey};
    use proptest::{array::uniform16, array::uniform32, collection::vec, prelude::*};

    use super::*;

    fn sealed(parent: &SecretKey, nonce: Nonce, additional: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = plaintext.to_vec();
        seal(parent, Label::Record, nonce, additional, &mut buffer, 0);
        buffer
    }

    proptest! {
        #[test]
        fn aws_lc_opens_what_is_sealed(
            parent in uniform32(any::<u8>()),
            nonce in uniform16(any::<u8>()),
            additional in vec(any::<u8>(), 0..80),
            plaintext in vec(any::<u8>(), 0..80),
        ) {
            let (parent, nonce) = (SecretKey::from_bytes(&parent), Nonce::from_bytes(nonce));
            let mut buffer = sealed(&parent, nonce, &additional, &plaintext);
            prop_assert_eq!(buffer.len(), plaintext.len() + TAG_LEN);
            let opened = open(&parent, Label::Record, nonce, &additional, &buffer).unwrap();
            prop_assert_eq!(&*opened, &plaintext);

            let key = derive(&parent, Label::Record, nonce.as_bytes());
            let oracle = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).unwrap());
            let opened = oracle
                .open_in_place(GcmNonce::assume_unique_for_key([0; 12]), Aad::from(&additional), &mut buffer)
                .unwrap();
            prop_assert_eq!(&*opened, &plaintext);
        }
    }

    #[test]
    fn everything_takes_part() {
        let (parent, nonce) = (SecretKey::from_bytes(&[1; 32]), Nonce::from_bytes([2; 16]));
        let buffer = sealed(&parent, nonce, b"additional", b"plaintext");
        let other_parent = SecretKey::from_bytes(&[3; 32]);
        let other_nonce = Nonce::from_bytes([4; 16]);
        assert!(open(&parent, Label::Record, nonce, b"additional", &buffer).is_ok());
        assert!(open(&other_parent, Label::Record, nonce, b"additional", &buffer).is_err());
        assert!(open(&parent, Label::Message, nonce, b"additional", &buffer).is_err());
        assert!(open(&parent, Label::Record, other_nonce, b"additional", &buffer).is_err());
        assert!(open(&parent, Label::Record, nonce, b"Additional", &buffer).is_err());
        for len in 0..buffer.len() {
            assert!(open(&parent, Label::Record, nonce, b"additional", &buffer[..len]).is_err());
        }
        for bit in 0..buffer.len() * 8 {
            let mut flipped = buffer.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&parent, Label::Record, nonce, b"additional", &flipped).is_err());
        }
    }

    #[test]
    fn what_stands_in_front_stays() {
        let (parent, nonce) = (SecretKey::from_bytes(&[1; 32]), Nonce::from_bytes([2; 16]));
        let mut buffer = b"header-secret".to_vec();
        seal(&parent, Label::Record, nonce, b"", &mut buffer, 7);
        assert_eq!(&buffer[..7], b"header-");
        let opened = open(&parent, Label::Record, nonce, b"", &buffer[7..]).unwrap();
        assert_eq!(&*opened, b"secret");
    }
}
