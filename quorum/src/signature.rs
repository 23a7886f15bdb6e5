//! A signature of a file, as `ssh-keygen -Y sign` makes it (OpenSSH's `PROTOCOL.sshsig`).
//!
//! ```text
//! "SSHSIG" ‖ version 1 ‖ key ‖ namespace ‖ reserved ‖ hash algorithm ‖ signature
//! ```
//!
//! in PEM. What is signed is not the file but
//!
//! ```text
//! "SSHSIG" ‖ namespace ‖ reserved ‖ hash algorithm ‖ hash of the file
//! ```

use aws_lc_rs::digest::{self, SHA256, SHA512, digest};
use pem_rfc7468::Decoder;
use ssh_encoding::{Decode as _, Encode as _, Reader as _};

use crate::signing_key::SigningKey;

const MAGIC: [u8; 6] = *b"SSHSIG";
const VERSION: u32 = 1;
const LABEL: &str = "SSH SIGNATURE";

/// The longest text: a signature with an RSA key of 8192 bits.
const MAX_TEXT: usize = 8192;

/// A signature, not yet verified.
pub(crate) struct Signature {
    key: Vec<u8>,
    namespace: String,
    hash: Hash,
    signature: Vec<u8>,
}

/// What the file is hashed with.
struct Hash {
    name: String,
    algorithm: &'static digest::Algorithm,
}

impl Signature {
    /// Reads `-----BEGIN SSH SIGNATURE-----…`.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let mut pem = Decoder::new_detect_wrap(text.as_bytes()).ok()?;
        let mut bytes = Vec::new();
        pem.decode_to_end(&mut bytes).ok()?;
        if pem.type_label() != LABEL {
            return None;
        }
        Self::decode(&bytes)
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let reader = &mut bytes;
        if <[u8; 6]>::decode(reader).ok()? != MAGIC || u32::decode(reader).ok()? != VERSION {
            return None;
        }
        let key = Vec::decode(reader).ok()?;
        let namespace = String::decode(reader).ok()?;
        let reserved = Vec::<u8>::decode(reader).ok()?;
        let name = String::decode(reader).ok()?;
        let algorithm = match name.as_str() {
            "sha256" => &SHA256,
            "sha512" => &SHA512,
            _ => return None,
        };
        let signature = Vec::decode(reader).ok()?;
        (reader.is_finished() && reserved.is_empty()).then_some(Self {
            key,
            namespace,
            hash: Hash { name, algorithm },
            signature,
        })
    }

    /// The key that it says it was made with, as SSH encodes keys.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// What it was made for.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether it is a signature of this file with this key.
    pub(crate) fn is_of(&self, file: &[u8], key: &SigningKey) -> bool {
        let signed = self.signed(file);
        signed.is_some_and(|signed| key.verifies(&signed, &self.signature))
    }

    fn signed(&self, file: &[u8]) -> Option<Vec<u8>> {
        let mut signed = MAGIC.to_vec();
        let hash = digest(self.hash.algorithm, file);
        let parts = [self.namespace.as_bytes(), &[], self.hash.name.as_bytes()];
        for part in parts.into_iter().chain([hash.as_ref()]) {
            part.encode(&mut signed).ok()?;
        }
        Some(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = include_str!("../tests/vectors/release/ada.sig");

    fn binary(text: &str) -> Vec<u8> {
        pem_rfc7468::Decoder::new_detect_wrap(text.as_bytes())
            .and_then(|mut pem| {
                let mut bytes = Vec::new();
                pem.decode_to_end(&mut bytes)?;
                Ok(bytes)
            })
            .unwrap()
    }

    #[test]
    fn signatures_of_security_keys_are_those_of_openssh() {
        let file = b"This is a test, this is only a test";
        for (key, signature) in [
            (
                include_str!("../tests/vectors/release/openssh-sk-ed25519.pub"),
                include_str!("../tests/vectors/release/openssh-sk-ed25519.sig"),
            ),
            (
                include_str!("../tests/vectors/release/openssh-sk-p256.pub"),
                include_str!("../tests/vectors/release/openssh-sk-p256.sig"),
            ),
        ] {
            let key = SigningKey::from_text(key).unwrap();
            let signature = Signature::from_text(signature).unwrap();
            assert_eq!(signature.namespace(), "unittest");
            assert_eq!(signature.key(), key.as_bytes());
            assert!(signature.is_of(file, &key));
            assert!(!signature.is_of(&file[1..], &key));
        }
    }

    #[test]
    fn what_ssh_keygen_does_not_make_is_refused() {
        let good = binary(ADA);
        assert!(Signature::decode(&good).is_some());
        let replaced = |from: &[u8], to: &[u8]| {
            let place = good.windows(from.len()).position(|bytes| bytes == from);
            let place = place.unwrap();
            [&good[..place], to, &good[place + from.len()..]].concat()
        };
        for other in [
            vec![],
            replaced(b"SSHSIG", b"SSHKEY"),
            replaced(b"SSHSIG\0\0\0\x01", b"SSHSIG\0\0\0\0"),
            replaced(b"SSHSIG\0\0\0\x01", b"SSHSIG\0\0\0\x02"),
            replaced(b"\0\0\0\x06sha512", b"\0\0\0\x04sha1"),
            // Something reserved.
            replaced(b"\0\0\0\0\0\0\0\x06", b"\0\0\0\x01a\0\0\0\x06"),
            [&good[..], &[0]].concat(),
        ] {
            assert!(Signature::decode(&other).is_none(), "{other:02x?}");
        }
        for cut in 0..good.len() {
            assert!(Signature::decode(&good[..cut]).is_none(), "cut at {cut}");
        }
        for text in [
            "",
            "SSHSIG",
            &ADA.replace("SSH SIGNATURE", "SIGNATURE"),
            &ADA.replace("-----END", "----END"),
            &ADA.replace('0', "!"),
            &format!("{ADA}{}", "\n".repeat(MAX_TEXT)),
        ] {
            assert!(Signature::from_text(text).is_none(), "{text}");
        }
    }
}
