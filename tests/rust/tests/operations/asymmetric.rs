//! Keys with a public half, and MAC keys.

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::encrypt::EncryptError;
use aws_sdk_kms::operation::get_public_key::{GetPublicKeyError, GetPublicKeyOutput};
use aws_sdk_kms::operation::verify::VerifyError;
use aws_sdk_kms::operation::verify_mac::VerifyMacError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    EncapsulationAlgorithmSpec, EncryptionAlgorithmSpec, KeyAgreementAlgorithmSpec, KeyMetadata,
    KeySpec, KeyUsageType, MacAlgorithmSpec, OriginType, SigningAlgorithmSpec,
};

use crate::openssl;
use crate::refusals::{refused, refused_silently};
use crate::sdk::{bytes, create};

pub async fn public_key(kms: &Client, key: &KeyMetadata) -> GetPublicKeyOutput {
    let call = kms.get_public_key().key_id(&key.key_id);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.key_id, key.arn);
    assert_eq!(answer.key_spec, key.key_spec);
    assert_eq!(answer.key_usage, key.key_usage);
    answer
}

async fn key_for(kms: &Client, usage: KeyUsageType, spec: KeySpec) -> KeyMetadata {
    let key = create(kms.create_key().key_usage(usage.clone()).key_spec(spec)).await;
    assert_eq!(key.key_usage(), Some(&usage));
    key
}

pub async fn signatures_verify(kms: &Client) {
    let key = key_for(kms, KeyUsageType::SignVerify, KeySpec::EccNistP384).await;
    let algorithm = SigningAlgorithmSpec::EcdsaSha384;
    assert_eq!(
        key.signing_algorithms(),
        [SigningAlgorithmSpec::EcdsaSha384]
    );
    let public = public_key(kms, &key).await;
    assert_eq!(public.signing_algorithms(), key.signing_algorithms());

    let call = kms.sign().key_id(&key.key_id).message(Blob::new("m"));
    let signed = call.signing_algorithm(algorithm.clone());
    let signed = signed.send().await.unwrap();
    assert_eq!(signed.key_id, key.arn);
    assert_eq!(signed.signing_algorithm(), Some(&algorithm));
    let signature = signed.signature.unwrap();
    openssl::verify_sha384(&bytes(public.public_key), b"m", signature.as_ref());

    let call = kms.verify().key_id(&key.key_id).signature(signature);
    let call = call.signing_algorithm(algorithm).message(Blob::new("m"));
    let verified = call.clone().send().await.unwrap();
    assert_eq!(verified.key_id, key.arn);
    assert!(verified.signature_valid);
    let answer = call.message(Blob::new("n")).send().await;
    refused_silently(answer, VerifyError::is_kms_invalid_signature_exception);

    let call = kms.encrypt().key_id(&key.key_id).plaintext(Blob::new("m"));
    let answer = call.send().await;
    refused(answer, EncryptError::is_invalid_key_usage_exception);
}

pub async fn encryption_from_outside_is_decrypted(kms: &Client) {
    let key = key_for(kms, KeyUsageType::EncryptDecrypt, KeySpec::Rsa2048).await;
    let public = public_key(kms, &key).await;
    assert_eq!(public.encryption_algorithms(), key.encryption_algorithms());
    let blob = openssl::encrypt(&bytes(public.public_key), b"from outside");
    let call = kms.decrypt().key_id(&key.key_id);
    let call = call.ciphertext_blob(Blob::new(blob));
    let algorithm = EncryptionAlgorithmSpec::RsaesOaepSha256;
    let call = call.encryption_algorithm(algorithm.clone());
    let decrypted = call.send().await.unwrap();
    assert_eq!(decrypted.encryption_algorithm(), Some(&algorithm));
    assert_eq!(bytes(decrypted.plaintext), b"from outside");
}

pub async fn macs_verify(kms: &Client) {
    let key = key_for(kms, KeyUsageType::GenerateVerifyMac, KeySpec::Hmac512).await;
    let algorithm = MacAlgorithmSpec::HmacSha512;
    assert_eq!(key.mac_algorithms(), [MacAlgorithmSpec::HmacSha512]);
    let call = kms.generate_mac().key_id(&key.key_id);
    let call = call.message(Blob::new("m"));
    let made = call.mac_algorithm(algorithm.clone()).send().await.unwrap();
    assert_eq!(made.key_id, key.arn);
    assert_eq!(made.mac_algorithm(), Some(&algorithm));
    let mac = made.mac.unwrap();
    assert_eq!(mac.as_ref().len(), 64);

    let call = kms.verify_mac().key_id(&key.key_id).mac(mac);
    let call = call.mac_algorithm(algorithm).message(Blob::new("m"));
    assert!(call.clone().send().await.unwrap().mac_valid);
    let answer = call.message(Blob::new("n")).send().await;
    refused_silently(answer, VerifyMacError::is_kms_invalid_mac_exception);

    let answer = kms.get_public_key().key_id(&key.key_id).send().await;
    refused_silently(
        answer,
        GetPublicKeyError::is_unsupported_operation_exception,
    );
}

pub async fn both_sides_derive_the_same_secret(kms: &Client) {
    let one = key_for(kms, KeyUsageType::KeyAgreement, KeySpec::EccNistP256).await;
    let two = key_for(kms, KeyUsageType::KeyAgreement, KeySpec::EccNistP256).await;
    let secret = derive(kms, &one, &two).await;
    assert_eq!(secret.len(), 32);
    assert_eq!(derive(kms, &two, &one).await, secret);
}

async fn derive(kms: &Client, mine: &KeyMetadata, theirs: &KeyMetadata) -> Vec<u8> {
    let theirs = public_key(kms, theirs).await;
    assert_eq!(
        theirs.key_agreement_algorithms(),
        [KeyAgreementAlgorithmSpec::Ecdh]
    );
    let call = kms.derive_shared_secret().key_id(&mine.key_id);
    let algorithm = KeyAgreementAlgorithmSpec::Ecdh;
    let call = call.key_agreement_algorithm(algorithm.clone());
    let call = call.public_key(theirs.public_key.unwrap());
    let derived = call.send().await.unwrap();
    assert_eq!(derived.key_id, mine.arn);
    assert_eq!(derived.key_agreement_algorithm(), Some(&algorithm));
    assert_eq!(derived.key_origin(), Some(&OriginType::AwsKms));
    bytes(derived.shared_secret)
}

pub async fn encapsulated_secrets_are_decapsulated(kms: &Client) {
    let usage = KeyUsageType::EncapsulateDecapsulate;
    let key = key_for(kms, usage, KeySpec::MlKem768).await;
    let algorithm = EncapsulationAlgorithmSpec::MlKem;
    assert_eq!(
        key.encapsulation_algorithms(),
        [EncapsulationAlgorithmSpec::MlKem]
    );
    let public = public_key(kms, &key).await;
    assert_eq!(
        public.encapsulation_algorithms(),
        key.encapsulation_algorithms()
    );

    let call = kms.encapsulate().key_id(&key.key_id);
    let call = call.encapsulation_algorithm(algorithm.clone());
    let made = call.send().await.unwrap();
    assert_eq!(made.key_id, key.arn);
    assert_eq!(made.encapsulation_algorithm(), Some(&algorithm));
    let call = kms.decapsulate().key_id(&key.key_id);
    let call = call.encapsulation_algorithm(algorithm.clone());
    let call = call.shared_secret_ciphertext_blob(made.shared_secret_ciphertext_blob.unwrap());
    let opened = call.send().await.unwrap();
    assert_eq!(opened.key_id, key.arn);
    assert_eq!(opened.encapsulation_algorithm(), Some(&algorithm));
    let secret = bytes(made.shared_secret);
    assert_eq!(secret.len(), 32);
    assert_eq!(bytes(opened.shared_secret), secret);
}
