//! What one enclave gives another to take its place: the root key, and for which state it is.
//!
//! The text is sealed to the key in the successor's document, in a format that does not
//! authenticate. So it says itself who it is for, and proves that it comes from one who has the
//! root key.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kms::state::RootKey;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::mac::hmac;

const PREFIX: &str = "claviger-handover-v1.";
const MAC_LABEL: &[u8] = b"claviger/v1/handover";
const KEY_LEN: usize = 32;
const HASH_LEN: usize = 32;
const RELEASE_LEN: usize = 8;
const BODY_LEN: usize = KEY_LEN + HASH_LEN + RELEASE_LEN;

/// A root key on its way from one enclave to the next.
///
/// In text: `claviger-handover-v1.` and base64url, without padding, of root key (32 bytes), SHA-256
/// of the head (32), release (8, big-endian) and MAC (32).
#[derive(Clone)]
pub struct Handover {
    /// The root key.
    pub root_key: RootKey,
    /// SHA-256 of the sealed head at which the giver stopped. The successor opens no other.
    pub head: [u8; HASH_LEN],
    /// The number of the release that the successor is; 0 before there was any.
    pub release: u64,
}

/// A text is no hand-over to this enclave.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is not a hand-over to this enclave")]
pub struct HandoverError;

impl Handover {
    /// Whether a text means to be one; for telling it from a share.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The text for the one who has this public key: an RSA SubjectPublicKeyInfo in DER.
    pub fn to_text(&self, recipient: &[u8]) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_LEN + HASH_LEN));
        bytes.extend_from_slice(self.root_key.expose());
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(&self.release.to_be_bytes());
        let mac = mac(&self.root_key, recipient, &bytes);
        bytes.extend_from_slice(mac.as_ref());
        let length = PREFIX.len() + (bytes.len() * 4).div_ceil(3);
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        text
    }

    /// Reads a text that was given to the one who has this public key.
    ///
    /// # Errors
    ///
    /// [`HandoverError`] if it is none, was changed, or was given to somebody else.
    pub fn from_text(text: &str, recipient: &[u8]) -> Result<Self, HandoverError> {
        let text = text.strip_prefix(PREFIX).ok_or(HandoverError)?;
        let mut bytes = Zeroizing::new([0; BODY_LEN + HASH_LEN]);
        let decoded = BASE64_URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut());
        if decoded != Ok(bytes.len()) {
            return Err(HandoverError);
        }
        let (body, found) = bytes.split_at(BODY_LEN);
        let (key, rest) = body.split_first_chunk().ok_or(HandoverError)?;
        let (head, release) = rest.split_first_chunk().ok_or(HandoverError)?;
        let root_key = RootKey::from_bytes(key);
        let genuine = mac(&root_key, recipient, body);
        if !bool::from(genuine.as_ref().ct_eq(found)) {
            return Err(HandoverError);
        }
        Ok(Self {
            root_key,
            head: *head,
            release: u64::from_be_bytes(release.try_into().map_err(|_| HandoverError)?),
        })
    }
}

/// HMAC-SHA-256 of the SHA-256 of the recipient's key and the body, under a key derived from the
/// root key.
fn mac(root_key: &RootKey, recipient: &[u8], body: &[u8]) -> Zeroizing<[u8; HASH_LEN]> {
    let key = hmac(root_key.expose(), &[MAC_LABEL]);
    hmac(key.as_ref(), &[&Sha256::digest(recipient), body])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Random;

    fn handover() -> Handover {
        Handover {
            root_key: RootKey::generate(&mut Random::new(1)),
            head: [7; 32],
            release: 3,
        }
    }

    #[test]
    fn it_is_read_back_by_the_one_it_is_for() {
        let text = handover().to_text(b"successor");
        assert!(Handover::is_meant(&text));
        let read = Handover::from_text(&text, b"successor").unwrap();
        assert!(read.root_key.expose() == handover().root_key.expose());
        assert_eq!((read.head, read.release), ([7; 32], 3));
        let other = Handover::from_text(&text, b"another");
        assert_eq!(other.err(), Some(HandoverError));
    }

    proptest! {
        #[test]
        fn a_changed_text_is_none(place in 0_usize..160, other in "[A-Za-z0-9._-]") {
            let text = handover().to_text(b"successor");
            let mut changed = text.to_string();
            let place = place % changed.len();
            changed.replace_range(place..=place, &other);
            prop_assume!(changed != *text);
            prop_assert!(Handover::from_text(&changed, b"successor").is_err());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = Handover::from_text(&text, b"");
            let _ = Handover::from_text(&format!("{PREFIX}{text}"), b"");
        }
    }
}
