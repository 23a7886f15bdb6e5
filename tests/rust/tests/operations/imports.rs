//! Key material from outside.

use std::time::SystemTime;

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::operation::get_parameters_for_import::{
    GetParametersForImportError, GetParametersForImportOutput,
};
use aws_sdk_kms::operation::import_key_material::ImportKeyMaterialError;
use aws_sdk_kms::operation::import_key_material::builders::ImportKeyMaterialFluentBuilder;
use aws_sdk_kms::primitives::{Blob, DateTime};
use aws_sdk_kms::types::{
    AlgorithmSpec, ExpirationModelType, ImportState, ImportType, IncludeKeyMaterial,
    KeyMaterialState, KeyMetadata, KeySpec, KeyState, KeyUsageType, MacAlgorithmSpec, OriginType,
    WrappingKeySpec,
};

use crate::openssl;
use crate::refusals::{refused, refused_silently};
use crate::sdk::{
    DAY, HOUR, assert_after_now, bytes, create, decrypt, describe, encrypt, is_material_id, key,
};

async fn external_key(kms: &Client) -> KeyMetadata {
    let key = create(kms.create_key().origin(OriginType::External)).await;
    assert_eq!(key.key_state(), Some(&KeyState::PendingImport));
    key
}

async fn parameters(kms: &Client, key: &KeyMetadata) -> GetParametersForImportOutput {
    let call = kms.get_parameters_for_import().key_id(&key.key_id);
    let call = call.wrapping_algorithm(AlgorithmSpec::RsaesOaepSha256);
    let call = call.wrapping_key_spec(WrappingKeySpec::Rsa2048);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.key_id, key.arn);
    assert_after_now(answer.parameters_valid_to(), DAY);
    answer
}

/// An import that does not expire, ready to send.
async fn import(
    kms: &Client,
    key: &KeyMetadata,
    material: &[u8],
) -> ImportKeyMaterialFluentBuilder {
    import_with(kms, key, material, parameters(kms, key).await)
}

fn import_with(
    kms: &Client,
    key: &KeyMetadata,
    material: &[u8],
    parameters: GetParametersForImportOutput,
) -> ImportKeyMaterialFluentBuilder {
    let wrapped = openssl::encrypt(&bytes(parameters.public_key), material);
    kms.import_key_material()
        .key_id(&key.key_id)
        .set_import_token(parameters.import_token)
        .encrypted_key_material(Blob::new(wrapped))
        .expiration_model(ExpirationModelType::KeyMaterialDoesNotExpire)
}

pub async fn can_be_deleted_and_repeated(kms: &Client) {
    let key = external_key(kms).await;
    let arn = key.arn().unwrap();
    // To the second, as KMS keeps it.
    let valid_to = DateTime::from_secs(DateTime::from(SystemTime::now() + HOUR).secs());
    let call = import(kms, &key, &[1; 32]).await.valid_to(valid_to);
    let call = call.expiration_model(ExpirationModelType::KeyMaterialExpires);
    let imported = call.send().await.unwrap();
    assert_eq!(imported.key_id(), Some(arn));
    assert!(is_material_id(imported.key_material_id()));
    let described = describe(kms, &key.key_id).await;
    assert_eq!(described.key_state(), Some(&KeyState::Enabled));
    assert_eq!(described.valid_to(), Some(&valid_to));
    assert_eq!(
        described.expiration_model(),
        Some(&ExpirationModelType::KeyMaterialExpires)
    );

    let blob = encrypt(kms, &key, "kept").await;
    let call = kms.delete_imported_key_material().key_id(&key.key_id);
    let deleted = call.send().await.unwrap();
    assert_eq!(deleted.key_id(), Some(arn));
    assert_eq!(deleted.key_material_id, imported.key_material_id);
    let answer = kms.decrypt().ciphertext_blob(blob.clone()).send().await;
    let message = refused(answer, DecryptError::is_kms_invalid_state_exception);
    assert_eq!(message, format!("{arn} is pending import."));

    let answer = import(kms, &key, &[2; 32]).await.send().await;
    refused(
        answer,
        ImportKeyMaterialError::is_incorrect_key_material_exception,
    );
    let call = import(kms, &key, &[1; 32]).await;
    call.send().await.unwrap();
    assert_eq!(decrypt(kms, Some(blob)).await, b"kept");
}

pub async fn can_rotate(kms: &Client) {
    let key = external_key(kms).await;
    let call = import(kms, &key, &[1; 32]).await;
    call.send().await.unwrap();
    let call = import(kms, &key, &[2; 32]).await;
    let call = call.import_type(ImportType::NewKeyMaterial);
    let call = call.key_material_description("the second");
    let imported = call.send().await.unwrap();

    let pending = material(kms, &key, KeyMaterialState::PendingRotation).await;
    assert_eq!(pending, imported.key_material_id);
    let call = kms.rotate_key_on_demand().key_id(&key.key_id);
    call.send().await.unwrap();
    let current = material(kms, &key, KeyMaterialState::Current).await;
    assert_eq!(current, imported.key_material_id);
}

/// The id of an imported key's material in a state.
async fn material(kms: &Client, key: &KeyMetadata, state: KeyMaterialState) -> Option<String> {
    let call = kms.list_key_rotations().key_id(&key.key_id);
    let call = call.include_key_material(IncludeKeyMaterial::AllKeyMaterial);
    let listed = call.send().await.unwrap();
    let mut listed = listed.rotations.unwrap().into_iter();
    let found = listed.find(|it| it.key_material_state() == Some(&state))?;
    assert_eq!(found.import_state(), Some(&ImportState::Imported));
    assert_eq!(found.key_material_description(), Some("the second"));
    found.key_material_id
}

pub async fn are_used_as_they_are(kms: &Client) {
    let call = kms.create_key().origin(OriginType::External);
    let call = call.key_usage(KeyUsageType::GenerateVerifyMac);
    let key = create(call.key_spec(KeySpec::Hmac256)).await;
    let call = import(kms, &key, &[3; 48]).await;
    call.send().await.unwrap();
    let call = kms.generate_mac().key_id(&key.key_id);
    let call = call.mac_algorithm(MacAlgorithmSpec::HmacSha256);
    let made = call.message(Blob::new("m")).send().await.unwrap();
    assert_eq!(bytes(made.mac), openssl::hmac_sha256(&[3; 48], b"m"));
}

pub async fn need_their_own_token(kms: &Client) {
    let (one, other) = (external_key(kms).await, external_key(kms).await);
    let parameters = parameters(kms, &other).await;
    let answer = import_with(kms, &one, &[1; 32], parameters).send().await;
    refused_silently(
        answer,
        ImportKeyMaterialError::is_invalid_import_token_exception,
    );

    let call = kms
        .get_parameters_for_import()
        .key_id(key(kms).await.key_id);
    let call = call.wrapping_algorithm(AlgorithmSpec::RsaesOaepSha256);
    let answer = call
        .wrapping_key_spec(WrappingKeySpec::Rsa2048)
        .send()
        .await;
    refused(
        answer,
        GetParametersForImportError::is_unsupported_operation_exception,
    );
}
