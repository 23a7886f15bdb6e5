//! The CiphertextBlob format against vectors made by another implementation
//! (`vectors/ciphertext.py`).
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "../src/test_random.rs"]
mod test_random;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use kms::ciphertext::{self, Header, OVERHEAD};
use kms::crypto::SecretKey;
use kms::key::BackingKey;
use kms::name::KeyId;
use kms::protocol::EncryptionContext;
use kms::{KmsError, Timestamp};
use serde::Deserialize;
use test_random::Replay;

#[derive(Deserialize)]
struct Vectors {
    format: u8,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    key_id: String,
    material: String,
    backing_key_id: String,
    nonce: String,
    context: BTreeMap<String, String>,
    plaintext: String,
    blob: String,
}

impl Vector {
    fn key_id(&self) -> KeyId {
        self.key_id.parse().unwrap()
    }

    fn backing(&self) -> BackingKey {
        let material = hex::decode(&self.material).unwrap().try_into().unwrap();
        BackingKey::new(
            self.key_id(),
            SecretKey::from_bytes(&material),
            Timestamp::from_secs(0),
        )
    }

    fn context(&self) -> EncryptionContext<'_> {
        self.context.clone().into_iter().collect()
    }

    fn plaintext(&self) -> Vec<u8> {
        BASE64.decode(&self.plaintext).unwrap()
    }

    fn blob(&self) -> Vec<u8> {
        BASE64.decode(&self.blob).unwrap()
    }
}

fn vectors() -> Vec<Vector> {
    let file: Vectors = serde_json::from_str(include_str!("vectors/ciphertext.json")).unwrap();
    assert_eq!(file.format, 1);
    assert!(file.vectors.len() >= 10);
    file.vectors
}

#[test]
fn vectors_are_what_we_make() {
    for vector in vectors() {
        let backing = vector.backing();
        assert_eq!(backing.id().to_string(), vector.backing_key_id);
        let mut random = Replay::new(hex::decode(&vector.nonce).unwrap());
        let blob = ciphertext::seal(
            &backing,
            vector.key_id(),
            &vector.plaintext(),
            &vector.context(),
            &mut random,
        )
        .unwrap();
        assert_eq!(BASE64.encode(&blob), vector.blob, "{}", vector.name);
        assert_eq!(blob.len(), vector.plaintext().len() + OVERHEAD);
    }
}

#[test]
fn vectors_open() {
    for vector in vectors() {
        let (backing, blob) = (vector.backing(), vector.blob());
        let header = Header::parse(&blob).unwrap();
        assert_eq!(header.key_id, vector.key_id());
        assert_eq!(header.backing_id, *backing.id());
        let plaintext = ciphertext::open(&blob, &backing, &vector.context()).unwrap();
        assert_eq!(*plaintext, vector.plaintext(), "{}", vector.name);
    }
}

#[test]
fn a_blob_opens_with_its_own_key_and_context_only() {
    let vectors = vectors();
    for vector in &vectors {
        for other in &vectors {
            let own = vector.material == other.material
                && vector.key_id == other.key_id
                && vector.context == other.context;
            match ciphertext::open(&vector.blob(), &other.backing(), &other.context()) {
                Ok(plaintext) => {
                    assert!(own, "{} opens with that of {}", vector.name, other.name);
                    assert_eq!(*plaintext, vector.plaintext());
                }
                Err(error) => {
                    assert!(!own, "{} does not open", vector.name);
                    assert_eq!(error, KmsError::InvalidCiphertext);
                }
            }
        }
    }
}
