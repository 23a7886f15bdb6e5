//! The cryptography of a call, called directly: what no implementation can do without.

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use aws_lc_rs::{digest, hmac};
use kms::crypto::{Label, Nonce, SecretKey, seal};

use crate::documents::recipient;

/// What a call has to compute.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cryptography {
    /// Bytes of a body whose signature is verified, with the day's signing key at hand.
    pub(crate) signed: Option<usize>,
    /// Bytes encrypted or decrypted under a key derived for them.
    pub(crate) sealed: Option<usize>,
    /// P-384 signatures.
    pub(crate) verifications: usize,
    /// Whether something is encrypted to a recipient's RSA key.
    pub(crate) to_recipient: bool,
}

impl Cryptography {
    /// Whether there is anything to compute.
    pub(crate) fn is_some(&self) -> bool {
        self.signed.is_some()
            || self.sealed.is_some()
            || self.verifications > 0
            || self.to_recipient
    }
}

/// Bytes of a canonical request, of the string to sign, of a ciphertext's header and context, and
/// of a certificate.
const CANONICAL: [u8; 420] = [b'c'; 420];
const TO_SIGN: [u8; 150] = [b's'; 150];
const ADDITIONAL: [u8; 100] = [b'a'; 100];
const CERTIFICATE: [u8; 500] = [b'x'; 500];

/// Keys to compute with.
pub(crate) struct Floor {
    signing_key: hmac::Key,
    backing_key: SecretKey,
    attester: UnparsedPublicKey<Vec<u8>>,
    signature: Vec<u8>,
    recipient: OaepPublicEncryptingKey,
}

impl Floor {
    pub(crate) fn new() -> Self {
        let attester = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let signature = attester.sign(&SystemRandom::new(), &CERTIFICATE).unwrap();
        let public_key = attester.public_key().as_ref().to_vec();
        let recipient = recipient();
        let recipient = PublicEncryptingKey::from_der(recipient.public_key_spki()).unwrap();
        Self {
            signing_key: hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]),
            backing_key: SecretKey::from_bytes(&[2; SecretKey::LEN]),
            attester: UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, public_key),
            signature: signature.as_ref().to_vec(),
            recipient: OaepPublicEncryptingKey::new(recipient).unwrap(),
        }
    }

    pub(crate) fn compute(&self, call: Cryptography) {
        if let Some(length) = call.signed {
            let body = vec![b'b'; length];
            black_box(digest::digest(&digest::SHA256, black_box(&body)));
            black_box(digest::digest(&digest::SHA256, black_box(&CANONICAL)));
            black_box(hmac::sign(&self.signing_key, black_box(&TO_SIGN)));
        }
        if let Some(length) = call.sealed {
            let nonce = Nonce::from_bytes(black_box([3; Nonce::LEN]));
            let mut text = vec![7; length];
            let key = &self.backing_key;
            seal(key, Label::Message, nonce, &ADDITIONAL, &mut text, 0);
            black_box(text);
        }
        for _ in 0..call.verifications {
            let verified = self.attester.verify(&CERTIFICATE, &self.signature);
            verified.unwrap();
        }
        if call.to_recipient {
            let mut sealed = vec![0; self.recipient.ciphertext_size()];
            let oaep = &OAEP_SHA256_MGF1SHA256;
            let encrypted = self.recipient.encrypt(oaep, &[7; 32], &mut sealed, None);
            encrypted.unwrap();
            black_box(sealed);
        }
    }
}
