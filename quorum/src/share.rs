//! One operator's share of a root key.
//!
//! In text it is `claviger-share-v1.` and base64url, without padding, of
//!
//! | bytes | |
//! |---:|---|
//! | 16 | the root key's id |
//! | 1 | how many shares it takes |
//! | 1 | the share's index, from 1 |
//! | 32 | the share: for each byte of the key, the value of its polynomial at the index |
//! | 4 | the first bytes of the SHA-256 of all before, against typing errors |

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kms::state::{RootKey, RootKeyId};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use vsss_rs::Gf256;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use crate::mac::hmac;
use crate::plan::MAX_OPERATORS;

const PREFIX: &str = "claviger-share-v1.";
const CHECKSUM_LEN: usize = 4;
const BODY_LEN: usize = RootKeyId::LEN + 2 + VALUE_LEN;

/// Bytes of a share's secret part, as many as a root key has.
const VALUE_LEN: usize = 32;

/// A share of a root key. Fewer than the threshold tell nothing about it. Wiped when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Share {
    #[zeroize(skip)]
    root_key_id: RootKeyId,
    #[zeroize(skip)]
    threshold: u8,
    #[zeroize(skip)]
    index: u8,
    value: [u8; VALUE_LEN],
}

/// Why a text is no share.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// It does not look like one.
    #[error(
        "not a share: it begins with {PREFIX} and has {} characters",
        text_len()
    )]
    Form,
    /// A character is wrong.
    #[error("the share is damaged: its checksum does not fit")]
    Checksum,
    /// The threshold or the index can't be.
    #[error("not a share: its threshold or its index is out of range")]
    Range,
}

impl Share {
    /// Splits a root key into `count` shares, any `threshold` of which make it again.
    ///
    /// Both are those of a valid plan: 2 ≤ `threshold` ≤ `count` ≤ [`MAX_OPERATORS`].
    pub(crate) fn split(
        root_key: &RootKey,
        threshold: u8,
        count: u8,
        random: &mut dyn CryptoRng,
    ) -> Vec<Self> {
        let split = Gf256::split_array(
            usize::from(threshold),
            usize::from(count),
            root_key.expose(),
            random,
        );
        let mut split = split.expect("a plan's numbers are in range");
        let root_key_id = root_key.id();
        let share = |bytes: &mut Vec<u8>| {
            let (&mut index, value) = bytes.split_first_mut().expect("an index comes first");
            let share = Self {
                root_key_id,
                threshold,
                index,
                value: (&*value).try_into().expect("as long as the key"),
            };
            bytes.zeroize();
            share
        };
        split.iter_mut().map(share).collect()
    }

    /// The key that these shares make: the right one only if they are its shares, and enough.
    pub(crate) fn combine<'s>(shares: impl Iterator<Item = &'s Self>) -> Option<RootKey> {
        let mut parts: Vec<Vec<u8>> = shares
            .map(|share| {
                let mut part = Vec::with_capacity(1 + VALUE_LEN);
                part.push(share.index);
                part.extend_from_slice(&share.value);
                part
            })
            .collect();
        let combined = Gf256::combine_array(&parts).ok().map(Zeroizing::new);
        parts.zeroize();
        let key: &[u8; VALUE_LEN] = combined.as_ref()?.as_slice().try_into().ok()?;
        Some(RootKey::from_bytes(key))
    }

    /// Which root key it is a share of.
    pub fn root_key_id(&self) -> RootKeyId {
        self.root_key_id
    }

    /// How many shares it takes.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Which of the shares it is, from 1.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// A hash by which the share can be recognised, and not be guessed: SHA-256 of
    /// `claviger/v1/share`, root key id, threshold, index and value.
    pub(crate) fn commitment(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"claviger/v1/share");
        hash.update(self.root_key_id.as_bytes());
        hash.update([self.threshold, self.index]);
        hash.update(self.value);
        hash.finalize().into()
    }

    /// A code by which the holder approves of a plan: HMAC-SHA-256 of `claviger/v1/approval` and the
    /// plan, under the value.
    pub(crate) fn approve(&self, plan: &[u8]) -> [u8; 32] {
        *hmac(&self.value, &[b"claviger/v1/approval", plan])
    }

    /// The share in text.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_LEN + CHECKSUM_LEN));
        bytes.extend_from_slice(self.root_key_id.as_bytes());
        bytes.extend_from_slice(&[self.threshold, self.index]);
        bytes.extend_from_slice(&self.value);
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        let mut text = Zeroizing::new(String::with_capacity(text_len()));
        text.push_str(PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        text
    }

    /// Reads a share from text; white space around it does not matter.
    ///
    /// # Errors
    ///
    /// [`ShareError`] if it is none.
    pub fn from_text(text: &str) -> Result<Self, ShareError> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(ShareError::Form)?;
        let mut bytes = Zeroizing::new([0; BODY_LEN + CHECKSUM_LEN]);
        let decoded = BASE64_URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut());
        if decoded != Ok(bytes.len()) {
            return Err(ShareError::Form);
        }
        let (body, found) = bytes.split_at(BODY_LEN);
        if found != checksum(body) {
            return Err(ShareError::Checksum);
        }
        let (id, rest) = body.split_first_chunk().ok_or(ShareError::Form)?;
        let (&[threshold, index], value) = rest.split_first_chunk().ok_or(ShareError::Form)?;
        let range = 1..=MAX_OPERATORS;
        if threshold < 2 || !range.contains(&threshold) || !range.contains(&index) {
            return Err(ShareError::Range);
        }
        Ok(Self {
            root_key_id: RootKeyId::from_bytes(*id),
            threshold,
            index,
            value: value.try_into().map_err(|_| ShareError::Form)?,
        })
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let hash = Sha256::digest(body);
    hash.first_chunk().copied().expect("a hash has 32 bytes")
}

const fn text_len() -> usize {
    PREFIX.len() + ((BODY_LEN + CHECKSUM_LEN) * 4).div_ceil(3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Random;

    fn split(threshold: u8, count: u8) -> (RootKey, Vec<Share>) {
        let mut random = Random::new(u64::from(threshold) * 256 + u64::from(count));
        let key = RootKey::generate(&mut random);
        let shares = Share::split(&key, threshold, count, &mut random);
        (key, shares)
    }

    #[test]
    fn any_threshold_of_the_shares_make_the_key() {
        for (threshold, count) in [(2, 2), (2, 3), (3, 5), (16, 16)] {
            let (key, shares) = split(threshold, count);
            assert_eq!(shares.len(), usize::from(count));
            let needed = usize::from(threshold);
            for start in 0..=shares.len() - needed {
                let some = shares.iter().skip(start).rev().take(needed);
                assert!(Share::combine(some).unwrap().id() == key.id());
            }
            let too_few = shares.iter().take(needed - 1);
            assert!(Share::combine(too_few).is_none_or(|other| other.id() != key.id()));
        }
    }

    #[test]
    fn a_share_is_read_back_from_its_text() {
        let (key, shares) = split(2, 3);
        for (share, index) in shares.iter().zip(1..) {
            let text = share.to_text();
            assert_eq!(text.len(), text_len());
            let read = Share::from_text(&format!("\n {}\n", *text)).unwrap();
            assert!(read.root_key_id() == key.id());
            assert_eq!((read.threshold(), read.index()), (2, index));
            assert_eq!(read.value, share.value);
            assert_eq!(read.commitment(), share.commitment());
        }
    }

    proptest! {
        #[test]
        fn a_wrong_character_is_found(place in 0..text_len(), other in "[A-Za-z0-9._-]") {
            let text = split(2, 3).1[0].to_text();
            let mut changed = text.to_string();
            changed.replace_range(place..=place, &other);
            prop_assume!(changed != *text);
            prop_assert!(Share::from_text(&changed).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,120}") {
            let _ = Share::from_text(&text);
            let _ = Share::from_text(&format!("{PREFIX}{text}"));
        }
    }
}
