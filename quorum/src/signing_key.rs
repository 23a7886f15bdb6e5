//! The SSH key that an operator signs release manifests with.
//!
//! Keys and signatures are encoded as OpenSSH does (RFC 4253, 5656, 8332 and 8709, and its
//! `PROTOCOL.u2f`). This module reads that encoding; aws-lc-rs verifies.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ssh_encoding::{Decode as _, Mpint, Reader as _};

use crate::rsa;

/// The longest text of a key: one of RSA with 8192 bits and a comment.
const MAX_TEXT: usize = 4096;

const MAX_RSA_BITS: usize = 8192;

/// The flag of a security key's signature that says that somebody touched it.
const USER_PRESENT: u8 = 1;

const SSH_ED25519: &str = "ssh-ed25519";
const SSH_P256: &str = "ecdsa-sha2-nistp256";
const SSH_RSA: &str = "ssh-rsa";
const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";
const SK_P256: &str = "sk-ecdsa-sha2-nistp256@openssh.com";

/// An operator's public SSH key, `ssh-ed25519 AAAA…` in text: Ed25519, ECDSA on P-256, both of
/// them also on a FIDO security key, or RSA of 2048 to 8192 bits.
#[derive(Clone, Eq, PartialEq)]
pub struct SigningKey {
    /// As it is encoded, with the name of the algorithm before.
    encoded: Vec<u8>,
    algorithm: String,
    numbers: Numbers,
    /// For whom a security key signs.
    application: Option<Vec<u8>>,
}

/// The key itself, whoever holds it in whatever device.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Numbers {
    Ed25519(Vec<u8>),
    /// The point, uncompressed.
    P256(Vec<u8>),
    /// Modulus and exponent, without leading zeros.
    Rsa(Vec<u8>, Vec<u8>),
}

/// A text is no SSH key that releases can be signed with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not the public key of an SSH key: {SSH_ED25519}, {SSH_P256}, one of them on a \
     security key (sk-...), or {SSH_RSA} of 2048 to 8192 bits"
)]
pub struct SigningKeyError(String);

impl SigningKey {
    /// Reads a line of a `.pub` file. A comment at its end is left out.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, SigningKeyError> {
        Self::read(text).ok_or_else(|| SigningKeyError(text.chars().take(100).collect()))
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT || text.trim_end().contains(['\r', '\n']) {
            return None;
        }
        let mut words = text.split_ascii_whitespace();
        let algorithm = words.next()?;
        let encoded = BASE64_STANDARD.decode(words.next()?).ok()?;
        let key = Self::decode(encoded)?;
        (key.algorithm == algorithm && key.numbers.are_a_key()).then_some(key)
    }

    fn decode(encoded: Vec<u8>) -> Option<Self> {
        let reader = &mut encoded.as_slice();
        let algorithm = String::decode(reader).ok()?;
        let numbers = match algorithm.as_str() {
            SSH_ED25519 | SK_ED25519 => Numbers::Ed25519(Vec::decode(reader).ok()?),
            SSH_P256 | SK_P256 => {
                let curve = String::decode(reader).ok()?;
                let point = Vec::decode(reader).ok()?;
                (curve == "nistp256").then_some(Numbers::P256(point))?
            }
            SSH_RSA => {
                let (exponent, modulus) = (positive(reader)?, positive(reader)?);
                Numbers::Rsa(modulus, exponent)
            }
            _ => return None,
        };
        let application = match algorithm.as_str() {
            SK_ED25519 | SK_P256 => Some(Vec::decode(reader).ok()?),
            _ => None,
        };
        reader.is_finished().then_some(())?;
        Some(Self {
            encoded,
            algorithm,
            numbers,
            application,
        })
    }

    /// The same for the same key, however it is encoded.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// As it is encoded in signatures.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.encoded
    }

    /// Whether this is a signature of the message with this key, as SSH encodes signatures.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify(message, signature).is_some()
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let reader = &mut &*signature;
        let algorithm = String::decode(reader).ok()?;
        let signature = Vec::decode(reader).ok()?;
        let mut message = message.to_vec();
        if let Some(application) = &self.application {
            let flags = u8::decode(reader).ok()?;
            let counter = <[u8; 4]>::decode(reader).ok()?;
            if flags & USER_PRESENT == 0 {
                return None;
            }
            // What the security key signs in place of the message.
            let hash = |bytes: &[u8]| digest(&SHA256, bytes);
            let (application, signed) = (hash(application), hash(&message));
            message = [application.as_ref(), &[flags], &counter, signed.as_ref()].concat();
        }
        reader.is_finished().then_some(())?;
        let same_algorithm = algorithm == self.algorithm;
        match &self.numbers {
            Numbers::Ed25519(key) if same_algorithm => UnparsedPublicKey::new(&ED25519, key)
                .verify(&message, &signature)
                .ok(),
            Numbers::P256(point) if same_algorithm => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(&message, &fixed(&signature)?)
                    .ok()
            }
            Numbers::Rsa(n, e) => {
                let parameters = match algorithm.as_str() {
                    "rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
                    "rsa-sha2-512" => &RSA_PKCS1_2048_8192_SHA512,
                    _ => return None,
                };
                RsaPublicKeyComponents { n, e }
                    .verify(parameters, &message, &signature)
                    .ok()
            }
            _ => None,
        }
    }
}

impl Numbers {
    /// Whether signatures can be verified with them.
    fn are_a_key(&self) -> bool {
        match self {
            Self::Ed25519(key) => ParsedPublicKey::new(&ED25519, key).is_ok(),
            Self::P256(point) => {
                point.len() == 65 && ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).is_ok()
            }
            Self::Rsa(n, e) => rsa::is_good(n, e, MAX_RSA_BITS),
        }
    }
}

/// An integer above zero, without leading zeros.
fn positive(reader: &mut &[u8]) -> Option<Vec<u8>> {
    let number = Mpint::decode(reader).ok()?;
    Some(number.as_positive_bytes()?.to_vec())
}

/// The two numbers of an ECDSA signature on P-256, one after the other.
fn fixed(signature: &[u8]) -> Option<[u8; 64]> {
    let reader = &mut &*signature;
    let mut fixed = [0; 64];
    for half in fixed.chunks_exact_mut(32) {
        let number = positive(reader)?;
        let zeros = half.len().checked_sub(number.len())?;
        half.get_mut(zeros..)?.copy_from_slice(&number);
    }
    reader.is_finished().then_some(fixed)
}

/// An encoded key as `ssh-keygen -l` names it.
pub(crate) fn fingerprint(encoded: &[u8]) -> String {
    let hash = digest(&SHA256, encoded);
    format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(hash))
}

impl fmt::Display for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = BASE64_STANDARD.encode(&self.encoded);
        write!(f, "{} {encoded}", self.algorithm)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SigningKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256};
    use proptest::prelude::*;
    use ssh_encoding::Encode as _;

    use super::*;

    const ADA: &str = include_str!("../tests/vectors/release/ada.pub");
    const GRACE: &str = include_str!("../tests/vectors/release/grace.pub");
    const MARY: &str = include_str!("../tests/vectors/release/mary.pub");
    const SK_ED25519: &str = include_str!("../tests/vectors/release/openssh-sk-ed25519.pub");
    const SK_P256: &str = include_str!("../tests/vectors/release/openssh-sk-p256.pub");

    fn encoded(parts: &[&[u8]]) -> Vec<u8> {
        let mut encoded = Vec::new();
        for part in parts {
            part.encode(&mut encoded).unwrap();
        }
        encoded
    }

    fn text(algorithm: &str, parts: &[&[u8]]) -> String {
        let encoded = [encoded(&[algorithm.as_bytes()]), encoded(parts)].concat();
        format!("{algorithm} {}", BASE64_STANDARD.encode(encoded))
    }

    #[test]
    fn a_key_is_read_back_from_its_text() {
        for line in [ADA, GRACE, MARY, SK_ED25519, SK_P256] {
            let key = SigningKey::from_text(line).unwrap();
            let without_comment: Vec<_> = line.split(' ').take(2).collect();
            assert_eq!(key.to_string(), without_comment.join(" "));
            assert_eq!(SigningKey::from_text(&key.to_string()).unwrap(), key);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let [ada, grace, mary] =
            [ADA, GRACE, MARY].map(|line| SigningKey::from_text(line).unwrap());
        let (Numbers::P256(point), Numbers::Rsa(n, _)) = (&grace.numbers, &mary.numbers) else {
            panic!("other keys than they were");
        };
        let n = &[&[0], n.as_slice()].concat();
        let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
        let mut off_the_curve = point.clone();
        off_the_curve[64] ^= 1;
        let longer = [ada.as_bytes(), &[0]].concat();
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-dss AAAAB3NzaC1kc3MAAAAA",
            &format!("{ADA}{GRACE}"),
            &ADA.replace("ssh-ed25519", "ssh-rsa"),
            &format!("no-pty {ADA}"),
            &format!("{ada}{}", " ".repeat(MAX_TEXT)),
            &format!("ssh-ed25519 {}", BASE64_STANDARD.encode(longer)),
            &text(SSH_ED25519, &[&[7; 31]]),
            &text("ecdsa-sha2-nistp384", &[b"nistp256", point]),
            &text(SSH_P256, &[b"nistp384", point]),
            &text(SSH_P256, &[b"nistp256", &compressed]),
            &text(SSH_P256, &[b"nistp256", &off_the_curve]),
            &text(SSH_RSA, &[&[1, 0, 1], &n[..129]]),
            &text(SSH_RSA, &[&[1], n]),
            &text(SSH_RSA, &[&[3], n]),
            &text(SSH_RSA, &[&[1, 0, 0], n]),
            &text(SSH_RSA, &[&[1, 0, 1], &n[1..]]),
        ] {
            assert!(SigningKey::from_text(text).is_err(), "{text}");
        }
        assert!(SigningKey::from_text(&text(SSH_RSA, &[&[1, 0, 1], n])).is_ok());
        assert!(SigningKey::from_text(&text(SSH_P256, &[b"nistp256", point])).is_ok());
    }

    #[test]
    fn a_security_key_signs_only_when_touched() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let public = pair.public_key().as_ref();
        let algorithm = super::SK_ED25519;
        let key = SigningKey::from_text(&text(algorithm, &[public, b"ssh:"])).unwrap();
        let signature = |flags: u8, counter: [u8; 4], named: &str| {
            let (application, message) = (digest(&SHA256, b"ssh:"), digest(&SHA256, b"message"));
            let signed = [application.as_ref(), &[flags], &counter, message.as_ref()].concat();
            let signature = encoded(&[named.as_bytes(), pair.sign(&signed).as_ref()]);
            [&signature[..], &[flags], &counter].concat()
        };
        let good = signature(USER_PRESENT, [1, 2, 3, 4], algorithm);
        assert!(key.verifies(b"message", &good));
        assert!(!key.verifies(b"massage", &good));
        assert!(key.verifies(b"message", &signature(5, [0; 4], algorithm)));
        assert!(!key.verifies(b"message", &signature(0, [0; 4], algorithm)));
        assert!(!key.verifies(b"message", &signature(1, [0; 4], SSH_ED25519)));
        for place in 0..good.len() {
            let mut changed = good.clone();
            changed[place] ^= 1;
            assert!(!key.verifies(b"message", &changed), "byte {place}");
            assert!(!key.verifies(b"message", &good[..place]), "cut at {place}");
        }
        // Without the device, the same key signs nothing for it.
        let plain = encoded(&[SSH_ED25519.as_bytes(), pair.sign(b"message").as_ref()]);
        assert!(!key.verifies(b"message", &plain));
        let same = SigningKey::from_text(&text(SSH_ED25519, &[public])).unwrap();
        assert!(same.verifies(b"message", &plain));
        assert!(same.numbers() == key.numbers());
    }

    #[test]
    fn rsa_signs_with_sha_2() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let n = pair
            .public_key()
            .modulus()
            .big_endian_without_leading_zero();
        let n = [&[0], n].concat();
        let key = SigningKey::from_text(&text(SSH_RSA, &[&[1, 0, 1], &n])).unwrap();
        let mut signed = [0; 256];
        let random = SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, b"message", &mut signed)
            .unwrap();
        for (algorithm, good) in [
            ("rsa-sha2-256", true),
            ("rsa-sha2-512", false),
            (SSH_RSA, false),
        ] {
            let signature = encoded(&[algorithm.as_bytes(), &signed]);
            assert_eq!(key.verifies(b"message", &signature), good, "{algorithm}");
            assert!(!key.verifies(b"massage", &signature));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = SigningKey::decode(bytes.clone());
            for line in [ADA, GRACE, MARY, SK_ED25519, SK_P256] {
                let key = SigningKey::from_text(line).unwrap();
                let named = [encoded(&[key.algorithm.as_bytes()]), bytes.clone()].concat();
                prop_assert!(!key.verifies(b"message", &named));
                let _ = SigningKey::decode(named);
            }
        }
    }
}
