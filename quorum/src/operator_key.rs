//! The public key of somebody who is to get a secret.

use std::fmt;

use bech32::{Bech32, Hrp};
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::age;
use crate::rsa;
use crate::sealed::Sealed;

/// An age recipient of the X25519 kind, `age1…` in text (<https://age-encryption.org/v1>), or an
/// RSA key of 2048 to 4096 bits, in text its SubjectPublicKeyInfo in PEM.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct OperatorKey(Kind);

#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Age([u8; 32]),
    /// The SubjectPublicKeyInfo.
    Rsa(Vec<u8>),
}

/// A text is no public key that secrets can be encrypted to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not the public key of an age identity (age1 and 58 characters), nor of an RSA key \
     of 2048 to 4096 bits (-----BEGIN PUBLIC KEY-----)"
)]
pub struct OperatorKeyError(String);

const HRP: Hrp = Hrp::parse_unchecked("age");

impl OperatorKey {
    /// Reads `age1…` or `-----BEGIN PUBLIC KEY-----…`.
    ///
    /// # Errors
    ///
    /// [`OperatorKeyError`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, OperatorKeyError> {
        let kind = match text.trim_start().starts_with("-----BEGIN") {
            true => rsa::from_pem(text).map(Kind::Rsa),
            false => age_recipient(text).map(Kind::Age),
        };
        kind.map(Self)
            .ok_or_else(|| OperatorKeyError(text.chars().take(100).collect()))
    }

    /// Encrypts a secret so that only the key's holder reads it. An RSA key takes 190 bytes at
    /// least.
    ///
    /// # Errors
    ///
    /// [`OperatorKeyError`] if the key is one of the few that nobody can hold, or the secret is too
    /// long for it.
    pub fn seal(
        &self,
        secret: &[u8],
        random: &mut dyn CryptoRng,
    ) -> Result<Sealed, OperatorKeyError> {
        let sealed = match &self.0 {
            Kind::Age(recipient) => age::encrypt(recipient, secret, random).map(Sealed::Age),
            Kind::Rsa(spki) => rsa::encrypt(spki, secret).map(Sealed::Rsa),
        };
        sealed.ok_or_else(|| OperatorKeyError(self.to_string()))
    }
}

fn age_recipient(text: &str) -> Option<[u8; 32]> {
    let decoded = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text).ok()?;
    let key: Vec<u8> = decoded.byte_iter().collect();
    let is_recipient = decoded.hrp() == HRP && text.starts_with("age1");
    is_recipient.then_some(key.try_into().ok()?)
}

impl fmt::Display for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.0 {
            Kind::Age(recipient) => bech32::encode::<Bech32>(HRP, recipient).ok(),
            Kind::Rsa(spki) => rsa::to_pem(spki),
        };
        f.write_str(&text.ok_or(fmt::Error)?)
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
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
    };

    use super::*;
    use crate::testing::Random;

    const PKCS1: &str = include_str!("../tests/vectors/keys/rsa-2048-pkcs1.pem");
    const RSA_2048: &str = include_str!("../tests/vectors/keys/rsa-2048.pem");

    /// From the documentation of age.
    const KNOWN: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    fn rsa_key(size: KeySize) -> (PrivateDecryptingKey, String) {
        let key = PrivateDecryptingKey::generate(size).unwrap();
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        (key, rsa::to_pem(spki.as_ref()).unwrap())
    }

    #[test]
    fn a_key_is_read_back_from_its_text() {
        let rsa_4096 = include_str!("../tests/vectors/keys/rsa-4096.pem");
        for text in [KNOWN, RSA_2048, rsa_4096] {
            assert_eq!(OperatorKey::from_text(text).unwrap().to_string(), text);
        }
        let indented = format!("\n{}\n\n", RSA_2048.trim_end());
        let read = OperatorKey::from_text(&indented).unwrap();
        assert_eq!(read.to_string(), RSA_2048);
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
            &RSA_2048.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
            &RSA_2048.replace("-----END", "-----EMD"),
            &RSA_2048[..200],
            &format!("{RSA_2048}{KNOWN}"),
            include_str!("../tests/vectors/keys/rsa-1024.pem"),
            include_str!("../tests/vectors/keys/rsa-8192.pem"),
            include_str!("../tests/vectors/keys/rsa-2048-exponent-3.pem"),
            &PKCS1.replace("RSA PUBLIC KEY", "PUBLIC KEY"),
            include_str!("../tests/vectors/keys/p256.pem"),
        ] {
            assert!(OperatorKey::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_sealed_to_an_rsa_key_opens_with_it_alone() {
        let mut random = Random::new(1);
        let secret = [7; 190];
        let (private, public) = rsa_key(KeySize::Rsa2048);
        let (other, _) = rsa_key(KeySize::Rsa2048);
        let key = OperatorKey::from_text(&public).unwrap();
        let sealed = key.seal(&secret, &mut random).unwrap();
        assert_eq!((sealed.extension(), sealed.as_bytes().len()), ("rsa", 256));
        let open = |key: PrivateDecryptingKey| {
            let key = OaepPrivateDecryptingKey::new(key).unwrap();
            let mut opened = vec![0; key.min_output_size()];
            let opened = key.decrypt(
                &OAEP_SHA256_MGF1SHA256,
                sealed.as_bytes(),
                &mut opened,
                None,
            );
            opened.map(|opened| opened.to_vec())
        };
        assert_eq!(open(private).unwrap(), secret);
        assert!(open(other).is_err());
        assert!(key.seal(&[7; 191], &mut random).is_err());
    }

    #[test]
    fn to_a_key_of_small_order_nothing_is_encrypted() {
        let mut random = Random::new(1);
        let key = OperatorKey(Kind::Age([0; 32]));
        assert!(key.seal(b"x", &mut random).is_err());
    }
}
