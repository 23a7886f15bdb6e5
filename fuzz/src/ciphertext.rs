//! A CiphertextBlob that a caller wants decrypted.

use std::sync::LazyLock;

use attestation::Timestamp;
use kms::KmsError;
use kms::ciphertext::{self, Header};
use kms::key::BackingKey;
use kms::name::KeyId;
use kms::protocol::EncryptionContext;

use crate::edit::{Counter, edited};

const KEY: KeyId = KeyId::new([7; 16], false);

struct Genuine {
    backing: BackingKey,
    context: EncryptionContext<'static>,
    blob: Vec<u8>,
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    let random = &mut Counter(1);
    let backing = BackingKey::generate(KEY, Timestamp::from_secs(0), random);
    let context = EncryptionContext::from_iter([("Department", "HR")]);
    let blob = ciphertext::seal(&backing, KEY, b"a secret", &context, random)
        .expect("the key is symmetric");
    Genuine {
        backing,
        context,
        blob,
    }
});

/// A blob as it is, and the same bytes as edits of a genuine one.
///
/// Only the genuine one opens, and all others fail alike.
pub fn ciphertext_blob(data: &[u8]) {
    decrypt(data);
    decrypt(&edited(&GENUINE.blob, data));
}

fn decrypt(blob: &[u8]) {
    let header = Header::parse(blob);
    let opened = ciphertext::open(blob, &GENUINE.backing, &GENUINE.context);
    if blob == GENUINE.blob {
        assert_eq!(header.map(|header| header.key_id), Some(KEY));
        assert_eq!(opened.expect("the genuine one").as_slice(), b"a secret");
    } else {
        assert!(
            matches!(opened, Err(KmsError::InvalidCiphertext)),
            "a forgery"
        );
    }
}
