//! The public key of somebody who is to get a secret.

use std::fmt;

use bech32::{Bech32, Hrp};
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::age;

/// An age recipient of the X25519 kind, `age1…` in text (<https://age-encryption.org/v1>).
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct OperatorKey([u8; 32]);

/// A text is no public key that secrets can be encrypted to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not the public key of an age identity (age1 and 58 characters)")]
pub struct OperatorKeyError(String);

const HRP: Hrp = Hrp::parse_unchecked("age");

impl OperatorKey {
    /// Reads `age1…`.
    ///
    /// # Errors
    ///
    /// [`OperatorKeyError`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, OperatorKeyError> {
        let wrong = || OperatorKeyError(text.chars().take(100).collect());
        let decoded = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text)
            .map_err(|_| wrong())?;
        let key: Vec<u8> = decoded.byte_iter().collect();
        match <[u8; 32]>::try_from(key) {
            Ok(key) if decoded.hrp() == HRP && text.starts_with("age1") => Ok(Self(key)),
            _ => Err(wrong()),
        }
    }

    /// Encrypts a secret so that only the key's holder reads it: an armored age file.
    ///
    /// # Errors
    ///
    /// [`OperatorKeyError`] if the key is one of the few that nobody can hold.
    pub fn seal(
        &self,
        secret: &[u8],
        random: &mut dyn CryptoRng,
    ) -> Result<String, OperatorKeyError> {
        age::encrypt(&self.0, secret, random).ok_or_else(|| OperatorKeyError(self.to_string()))
    }
}

impl fmt::Display for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode::<Bech32>(HRP, &self.0).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for OperatorKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OperatorKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of age.
    const KNOWN: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    #[test]
    fn a_key_is_read_back_from_its_text() {
        assert_eq!(OperatorKey::from_text(KNOWN).unwrap().to_string(), KNOWN);
    }

    #[test]
    fn other_texts_are_refused() {
        let flipped = KNOWN.replace("cac8p", "cac8q");
        let capital = KNOWN.to_uppercase();
        for text in [
            "",
            "age1",
            &KNOWN[..61],
            &flipped,
            &capital,
            "ssh-ed25519 AAAA",
        ] {
            assert!(OperatorKey::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn to_a_key_of_small_order_nothing_is_encrypted() {
        let mut random = crate::testing::Random::new(1);
        assert!(OperatorKey([0; 32]).seal(b"x", &mut random).is_err());
    }
}
