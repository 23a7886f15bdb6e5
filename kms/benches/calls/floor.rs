//! The cryptography of a call, called directly: what no implementation can do without.

use std::cell::Cell;
use std::hint::black_box;

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    ParsedPublicKey,
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

/// Bytes of a canonical request, of the string to sign, of a ciphertext's header and context, of a
/// document's payload, and of a certificate.
const CANONICAL: [u8; 420] = [b'c'; 420];
const TO_SIGN: [u8; 150] = [b's'; 150];
const ADDITIONAL: [u8; 100] = [b'a'; 100];
const PAYLOAD: [u8; 4400] = [b'p'; 4400];
const CERTIFICATE: [u8; 500] = [b'x'; 500];

/// How many signatures are verified in turns: none comes twice to a server, and a processor that
/// has met a signature a moment ago guesses its branches.
const SIGNATURES: usize = 256;

/// Keys to compute with.
pub(crate) struct Floor {
    signing_key: hmac::Key,
    backing_key: SecretKey,
    attesters: Vec<Attester>,
    /// Which of them comes next.
    next: Cell<usize>,
    recipient: OaepPublicEncryptingKey,
}

/// One who signs documents and certificates.
struct Attester {
    key: ParsedPublicKey,
    payload_signature: Vec<u8>,
    certificate_signature: Vec<u8>,
}

impl Attester {
    fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let sign = |message: &[u8]| pair.sign(&SystemRandom::new(), message).unwrap();
        let public_key = pair.public_key().as_ref();
        Self {
            payload_signature: sign(&PAYLOAD).as_ref().to_vec(),
            certificate_signature: sign(&CERTIFICATE).as_ref().to_vec(),
            key: ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, public_key).unwrap(),
        }
    }
}

impl Floor {
    pub(crate) fn new() -> Self {
        let recipient = recipient();
        let recipient = PublicEncryptingKey::from_der(recipient.public_key_spki()).unwrap();
        Self {
            signing_key: hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]),
            backing_key: SecretKey::from_bytes(&[2; SecretKey::LEN]),
            attesters: (0..SIGNATURES).map(|_| Attester::generate()).collect(),
            next: Cell::new(0),
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
        for number in 0..call.verifications {
            let next = self.next.replace((self.next.get() + 1) % SIGNATURES);
            let attester = &self.attesters[next];
            if number == 0 {
                let signature = &attester.payload_signature;
                attester.key.verify_sig(&PAYLOAD, signature).unwrap();
            } else {
                // The key in a certificate that is not known.
                let key = ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, attester.key.as_ref());
                let signature = &attester.certificate_signature;
                key.unwrap().verify_sig(&CERTIFICATE, signature).unwrap();
            }
        }
        if call.to_recipient {
            // The recipient's RSA key encrypts a key, and that, in CBC, the data key.
            let content_key = black_box([6; 32]);
            let cipher = UnboundCipherKey::new(&AES_256, &content_key).unwrap();
            let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(cipher).unwrap();
            let context = EncryptionContext::Iv128(FixedLength::from([5; 16]));
            let mut content = vec![7; 32];
            black_box(cipher.less_safe_encrypt(&mut content, context).unwrap());
            black_box(content);
            let mut sealed = vec![0; self.recipient.ciphertext_size()];
            let oaep = &OAEP_SHA256_MGF1SHA256;
            let encrypted = self
                .recipient
                .encrypt(oaep, &content_key, &mut sealed, None);
            encrypted.unwrap();
            black_box(sealed);
        }
    }
}
