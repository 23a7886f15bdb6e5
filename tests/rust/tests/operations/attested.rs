//! Calls with a `Recipient`: the answer is sealed to the key inside an attestation document.

use std::fs;
use std::process::Command;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    DataKeyPairSpec, DataKeySpec, KeyAgreementAlgorithmSpec, KeyEncryptionMechanism, KeySpec,
    KeyUsageType, RecipientInfo,
};

use crate::asymmetric::public_key;
use crate::openssl::{self, output, path};
use crate::refusals::invalid;
use crate::sdk::{bytes, create, decrypt, encrypt, key, variable};

pub async fn answers_open_with_the_recipients_key_alone(kms: &Client) {
    let key = key(kms).await;
    let recipient = recipient(new_document());

    let call = kms.generate_data_key().key_id(&key.key_id);
    let call = call.key_spec(DataKeySpec::Aes256);
    let made = call.recipient(recipient.clone()).send().await.unwrap();
    assert_eq!(made.plaintext, None);
    assert_eq!(
        open(made.ciphertext_for_recipient),
        decrypt(kms, made.ciphertext_blob).await
    );

    let call = kms.generate_data_key_pair().key_id(&key.key_id);
    let call = call.key_pair_spec(DataKeyPairSpec::EccNistP256);
    let made = call.recipient(recipient.clone()).send().await.unwrap();
    assert_eq!(made.private_key_plaintext, None);
    let private = open(made.ciphertext_for_recipient);
    assert_eq!(openssl::public_half(&private), bytes(made.public_key));

    let call = kms
        .decrypt()
        .ciphertext_blob(encrypt(kms, &key, "secret").await);
    let decrypted = call.recipient(recipient.clone()).send().await.unwrap();
    assert_eq!(decrypted.plaintext, None);
    assert_eq!(open(decrypted.ciphertext_for_recipient), b"secret");

    let call = kms.generate_random().number_of_bytes(77);
    let random = call.recipient(recipient.clone()).send().await.unwrap();
    assert_eq!(random.plaintext, None);
    assert_eq!(open(random.ciphertext_for_recipient).len(), 77);

    let call = kms.create_key().key_spec(KeySpec::EccNistP256);
    let agreeing = create(call.key_usage(KeyUsageType::KeyAgreement)).await;
    let call = kms.derive_shared_secret().key_id(&agreeing.key_id);
    let call = call.key_agreement_algorithm(KeyAgreementAlgorithmSpec::Ecdh);
    let call = call.public_key(public_key(kms, &agreeing).await.public_key.unwrap());
    let plain = call.clone().send().await.unwrap();
    let sealed = call.recipient(recipient).send().await.unwrap();
    assert_eq!(sealed.shared_secret, None);
    assert_eq!(
        open(sealed.ciphertext_for_recipient),
        bytes(plain.shared_secret)
    );
}

pub async fn documents_are_verified(kms: &Client) {
    let key = key(kms).await;
    let mut document = new_document();
    *document.last_mut().unwrap() ^= 1;
    let call = kms.generate_data_key().key_id(&key.key_id);
    let call = call.key_spec(DataKeySpec::Aes256);
    let answer = call.recipient(recipient(document)).send().await;
    invalid(answer);
}

fn recipient(document: Vec<u8>) -> RecipientInfo {
    RecipientInfo::builder()
        .key_encryption_algorithm(KeyEncryptionMechanism::RsaesOaepSha256)
        .attestation_document(Blob::new(document))
        .build()
}

/// A document of the server's own simulated NSM, for a new key in `recipient.pem`.
fn new_document() -> Vec<u8> {
    let mut command = Command::new(variable("CLAVIGER_BIN"));
    command.args(["attest", "new", "--ca"]);
    command.arg(format!("{}/nsm-ca.pem", variable("CLAVIGER_DATA")));
    command.arg("--recipient-key").arg(path("recipient.pem"));
    output(&mut command)
}

fn open(sealed: Option<Blob>) -> Vec<u8> {
    let file = path("sealed.bin");
    fs::write(&file, bytes(sealed)).expect("a file in the build folder");
    let mut command = Command::new(variable("CLAVIGER_BIN"));
    command.args(["attest", "open", "--key"]);
    command.arg(path("recipient.pem")).arg(file);
    output(&mut command)
}
