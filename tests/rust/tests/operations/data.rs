//! Symmetric encryption, data keys, random bytes.

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::RequestId;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::operation::generate_data_key::GenerateDataKeyError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    DataKeyPairSpec, DataKeySpec, EncryptionAlgorithmSpec, KeyLastUsageTrackingOperation,
};

use crate::openssl;
use crate::refusals::{invalid, refused, refused_silently};
use crate::sdk::{assert_now, bytes, decrypt, encrypt, is_material_id, key};

pub async fn is_encrypted_and_decrypted(kms: &Client) {
    let key = key(kms).await;
    let call = kms.encrypt().key_id(&key.key_id);
    let call = call.plaintext(Blob::new("secret"));
    let call = call.encryption_context("ключ", "значение");
    let encrypted = call.send().await.unwrap();
    assert_eq!(encrypted.key_id, key.arn);
    let algorithm = Some(&EncryptionAlgorithmSpec::SymmetricDefault);
    assert_eq!(encrypted.encryption_algorithm(), algorithm);

    let call = kms
        .decrypt()
        .ciphertext_blob(encrypted.ciphertext_blob.unwrap());
    refused_silently(
        call.clone().send().await,
        DecryptError::is_invalid_ciphertext_exception,
    );
    let call = call.encryption_context("ключ", "значение");
    let decrypted = call.clone().send().await.unwrap();
    assert_eq!(decrypted.key_id, key.arn);
    assert_eq!(decrypted.encryption_algorithm(), algorithm);
    assert_eq!(decrypted.key_material_id, key.current_key_material_id);
    assert_eq!(bytes(decrypted.plaintext), b"secret");

    let other = crate::sdk::key(kms).await;
    let answer = call.key_id(other.key_id).send().await;
    refused(answer, DecryptError::is_incorrect_key_exception);
}

pub async fn is_moved_to_another_key(kms: &Client) {
    let (from, to) = (key(kms).await, key(kms).await);
    let call = kms
        .re_encrypt()
        .ciphertext_blob(encrypt(kms, &from, "moved").await);
    let moved = call.destination_key_id(&to.key_id).send().await.unwrap();
    assert_eq!((&moved.source_key_id, &moved.key_id), (&from.arn, &to.arn));
    assert_eq!(moved.source_key_material_id, from.current_key_material_id);
    assert_eq!(
        moved.destination_key_material_id,
        to.current_key_material_id
    );
    assert_eq!(decrypt(kms, moved.ciphertext_blob).await, b"moved");
}

pub async fn keys_are_generated(kms: &Client) {
    let key = key(kms).await;
    let call = kms.generate_data_key().key_id(&key.key_id);
    let made = call.number_of_bytes(33).send().await.unwrap();
    assert_eq!(made.key_id, key.arn);
    assert_eq!(made.key_material_id, key.current_key_material_id);
    let plaintext = bytes(made.plaintext);
    assert_eq!(plaintext.len(), 33);
    assert_eq!(decrypt(kms, made.ciphertext_blob).await, plaintext);

    let call = kms
        .generate_data_key_without_plaintext()
        .key_id(&key.key_id);
    let made = call.key_spec(DataKeySpec::Aes128).send().await.unwrap();
    assert_eq!(made.key_id, key.arn);
    assert_eq!(made.key_material_id, key.current_key_material_id);
    assert_eq!(decrypt(kms, made.ciphertext_blob).await.len(), 16);
}

pub async fn key_pairs_are_generated(kms: &Client) {
    let key = key(kms).await;
    let call = kms.generate_data_key_pair().key_id(&key.key_id);
    let call = call.key_pair_spec(DataKeyPairSpec::EccNistP256);
    let made = call.send().await.unwrap();
    assert_eq!(made.key_id, key.arn);
    assert_eq!(made.key_pair_spec(), Some(&DataKeyPairSpec::EccNistP256));
    assert_eq!(made.key_material_id, key.current_key_material_id);
    let private = bytes(made.private_key_plaintext);
    assert_eq!(openssl::public_half(&private), bytes(made.public_key));
    assert_eq!(
        decrypt(kms, made.private_key_ciphertext_blob).await,
        private
    );

    let call = kms
        .generate_data_key_pair_without_plaintext()
        .key_id(&key.key_id);
    let spec = DataKeyPairSpec::EccNistEdwards25519;
    let made = call.key_pair_spec(spec.clone()).send().await.unwrap();
    assert_eq!(made.key_pair_spec(), Some(&spec));
    assert!(is_material_id(made.key_material_id()));
    let private = decrypt(kms, made.private_key_ciphertext_blob).await;
    assert_eq!(openssl::public_half(&private), bytes(made.public_key));
}

pub async fn bytes_are_random(kms: &Client) {
    let random = async |count| kms.generate_random().number_of_bytes(count).send().await;
    let first = bytes(random(16).await.unwrap().plaintext);
    let second = bytes(random(16).await.unwrap().plaintext);
    assert_eq!(first.len(), 16);
    assert_ne!(first, second);
    let message = invalid(random(1025).await);
    assert!(message.contains("Value '1025' at 'numberOfBytes'"));
}

pub async fn calls_can_be_dry_runs(kms: &Client) {
    let key = key(kms).await;
    let call = kms.generate_data_key().key_id(&key.key_id).dry_run(true);
    let answer = call.key_spec(DataKeySpec::Aes256).send().await;
    let message = refused(answer, GenerateDataKeyError::is_dry_run_operation_exception);
    assert_eq!(
        message,
        "The request would have succeeded, but the DryRun option is set."
    );
}

pub async fn last_use_is_known(kms: &Client) {
    let key = key(kms).await;
    let call = kms.get_key_last_usage().key_id(&key.key_id);
    let unused = call.clone().send().await.unwrap();
    assert_eq!(unused.key_last_usage().unwrap().operation(), None);
    let encryption = kms.encrypt().key_id(&key.key_id);
    let encryption = encryption.plaintext(Blob::new("x")).send().await.unwrap();
    let answer = call.send().await.unwrap();
    assert_eq!(answer.key_creation_date(), key.creation_date());
    assert!(answer.tracking_start_date().is_some());
    let used = answer.key_last_usage().unwrap();
    let operation = KeyLastUsageTrackingOperation::Encrypt;
    assert_eq!(used.operation(), Some(&operation));
    assert_eq!(used.kms_request_id(), encryption.request_id());
    assert!(used.cloud_trail_event_id().is_some());
    assert_now(used.timestamp());
}
