//! The cryptography of a call, called directly: what no server can do without.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::cipher::{AES_256, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    self, KeySize, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey,
};
use aws_lc_rs::{digest, hmac, rand};
use kms::crypto::{Label, Nonce, SecretKey, seal};
use kms::protocol::spec::KeyPairSpec;

use super::load::processor_time;
use super::scenario::{Cryptography, Scenario};
use crate::Failure;
use crate::random::system_random;

/// Bytes of a canonical request, and of the string to sign.
const CANONICAL: [u8; 420] = [b'c'; 420];
const TO_SIGN: [u8; 150] = [b's'; 150];

/// Bytes of additional data of a ciphertext: header and encryption context.
const ADDITIONAL: [u8; 100] = [b'a'; 100];

/// Bytes that the signatures of a document cover: its payload, and each certificate.
const PAYLOAD: [u8; 4400] = [b'p'; 4400];
const CERTIFICATE: [u8; 500] = [b'x'; 500];

/// How many signatures are verified in turns: none comes twice to a server, and a processor that
/// has met a signature a moment ago guesses its branches.
const SIGNATURES: usize = 256;

/// How many calls pass between two looks at the clock, unless each takes long.
const BATCH: u32 = 8;

/// Keys to compute with.
pub(super) struct Floor {
    signing_key: hmac::Key,
    backing_key: SecretKey,
    recipient: OaepPublicEncryptingKey,
    attesters: Vec<Attester>,
    signer: EcdsaKeyPair,
}

/// One who signs documents and certificates.
struct Attester {
    key: ParsedPublicKey,
    payload_signature: Vec<u8>,
    certificate_signature: Vec<u8>,
}

impl Attester {
    fn generate() -> Result<Self, Failure> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?;
        let sign = |message: &[u8]| pair.sign(&random, message);
        let public_key = pair.public_key().as_ref();
        Ok(Self {
            payload_signature: sign(&PAYLOAD)?.as_ref().to_vec(),
            certificate_signature: sign(&CERTIFICATE)?.as_ref().to_vec(),
            key: ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, public_key)?,
        })
    }
}

/// Verifies a document and the certificates that are not known. All keys are but those in them.
fn verify<'a>(
    signatures: usize,
    attesters: &mut impl Iterator<Item = &'a Attester>,
) -> Result<(), Failure> {
    for (number, attester) in (0..signatures).zip(attesters) {
        if number == 0 {
            let signature = &attester.payload_signature;
            attester.key.verify_sig(&PAYLOAD, signature)?;
        } else {
            let key = ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, attester.key.as_ref())?;
            key.verify_sig(&CERTIFICATE, &attester.certificate_signature)?;
        }
    }
    Ok(())
}

impl Floor {
    /// With a recipient's public key, DER.
    pub(super) fn new(recipient: &[u8]) -> Result<Self, Failure> {
        let attesters = (0..SIGNATURES).map(|_| Attester::generate());
        Ok(Self {
            signing_key: hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]),
            backing_key: SecretKey::generate(&mut system_random()),
            recipient: OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(recipient)?)?,
            attesters: attesters.collect::<Result<_, _>>()?,
            signer: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
        })
    }

    /// Computes for about this long what the calls of a scenario have to; gives the processor time
    /// of all that, and for how many calls it was.
    ///
    /// On as many threads as there are processors: at full speed they are all busy, and two that
    /// share a core are then slower than one alone.
    pub(super) fn measure(
        &self,
        scenario: Scenario,
        time: Duration,
    ) -> Result<(Duration, u32), Failure> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let measured = std::thread::scope(|scope| {
            let measure = || self.measure_one(scenario, time).map_err(|e| e.to_string());
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(measure)).collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined
                .map(|measured| measured.unwrap_or_else(|_| Err("a thread panicked".to_owned())))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let calls = measured.iter().map(|(_, calls)| calls).sum();
        Ok((measured.iter().map(|(used, _)| *used).sum(), calls))
    }

    fn measure_one(&self, scenario: Scenario, time: Duration) -> Result<(Duration, u32), Failure> {
        let parts = scenario.parts();
        let mut attesters = self.attesters.iter().cycle();
        let begun = processor_time()?;
        let batch = match scenario {
            Scenario::DataKeyPair(_) => 1,
            _ => BATCH,
        };
        let mut calls = 0;
        loop {
            for _ in 0..batch {
                for (part, times) in &parts {
                    let cryptography = part.cryptography();
                    for _ in 0..*times {
                        self.compute(&cryptography, &mut attesters)?;
                        calls += 1;
                    }
                }
            }
            let used = processor_time()?.saturating_sub(begun);
            if used >= time {
                return Ok((used, calls));
            }
        }
    }

    fn compute<'a>(
        &self,
        call: &Cryptography,
        attesters: &mut impl Iterator<Item = &'a Attester>,
    ) -> Result<(), Failure> {
        // The signature, with the signing key of the day at hand.
        let body = vec![b'b'; call.body];
        black_box(digest::digest(&digest::SHA256, black_box(&body)));
        black_box(digest::digest(&digest::SHA256, black_box(&CANONICAL)));
        black_box(hmac::sign(&self.signing_key, black_box(&TO_SIGN)));

        let mut data_key = [0; 32];
        if call.data_key {
            rand::fill(&mut data_key)?;
        }
        if let Some(length) = call.sealed {
            let mut nonce = [0; Nonce::LEN];
            rand::fill(&mut nonce)?;
            let nonce = Nonce::from_bytes(nonce);
            let mut text = vec![7; length];
            seal(
                &self.backing_key,
                Label::Message,
                nonce,
                &ADDITIONAL,
                &mut text,
                0,
            );
            black_box(text);
        }
        if let Some(verifications) = call.verifications {
            // A document that is known needs none: its bytes are compared.
            verify(verifications, attesters)?;
            // The recipient's RSA key encrypts a key, and that, in CBC, the data key.
            let mut content_key = [0; 32];
            rand::fill(&mut content_key)?;
            let cipher = UnboundCipherKey::new(&AES_256, &content_key)?;
            let mut content = data_key.to_vec();
            black_box(PaddedBlockEncryptingKey::cbc_pkcs7(cipher)?.encrypt(&mut content)?);
            black_box(content);
            let mut sealed = vec![0; self.recipient.ciphertext_size()];
            self.recipient
                .encrypt(&OAEP_SHA256_MGF1SHA256, &content_key, &mut sealed, None)?;
            black_box(sealed);
        }
        if let Some(spec) = call.key_pair {
            generate(spec)?;
        }
        if call.signs {
            black_box(self.signer.sign(&SystemRandom::new(), &TO_SIGN)?);
        }
        Ok(())
    }
}

/// Makes a key pair as the library does, and drops it.
pub(super) fn generate(spec: KeyPairSpec) -> Result<(), Failure> {
    let ecdsa = |algorithm| EcdsaKeyPair::generate(algorithm).map(|pair| drop(black_box(pair)));
    let rsa = |size| rsa::KeyPair::generate(size).map(|pair| drop(black_box(pair)));
    let made = match spec {
        KeyPairSpec::EccNistP256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyPairSpec::EccNistP384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyPairSpec::EccNistP521 => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING),
        KeyPairSpec::EccSecgP256k1 => ecdsa(&ECDSA_P256K1_SHA256_ASN1_SIGNING),
        KeyPairSpec::EccNistEdwards25519 => {
            Ed25519KeyPair::generate().map(|pair| drop(black_box(pair)))
        }
        KeyPairSpec::Rsa2048 => rsa(KeySize::Rsa2048),
        KeyPairSpec::Rsa3072 => rsa(KeySize::Rsa3072),
        KeyPairSpec::Rsa4096 => rsa(KeySize::Rsa4096),
        other => return Err(format!("no floor for {other}").into()),
    };
    Ok(made?)
}
