//! Data keys: symmetric keys made here, given out in the open (or sealed for a recipient) and as a
//! ciphertext under a KMS key.

use attestation::rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::error::KmsError;
use crate::permit::{Conditions, action};
use crate::protocol::spec::DataKeySpec;
use crate::protocol::{OperationName, request, response};

use super::release::Release;
use super::{Context, Names, Outcome, cipher, stop_if_dry_run, usage};

/// GenerateDataKey.
pub(super) fn generate_data_key(
    context: &mut Context<'_>,
    request: request::GenerateDataKey<'_>,
) -> Result<Outcome, KmsError> {
    let release = Release::of(context, request.recipient)?;
    let conditions = Conditions {
        encryption_context: Some(&request.encryption_context),
        recipient: release.document(),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::GenerateDataKey,
        &request.key_id,
        Names::All,
        &conditions,
    )?;
    let length = length(request.key_spec, request.number_of_bytes)?;
    usage::require_data_key_encryption(OperationName::GenerateDataKey, permit.key())?;
    stop_if_dry_run(request.dry_run)?;

    let data_key = fresh(length, context.random);
    let sealed = cipher::seal(
        &permit,
        &data_key,
        &request.encryption_context,
        context.random,
    )?;
    context
        .event
        .key_material("keyMaterialId", &sealed.material);
    let released = release.apply(data_key, context.random)?;
    Ok(Outcome::read(&response::GenerateDataKey {
        ciphertext_blob: &sealed.blob,
        plaintext: released.as_plaintext(),
        key_id: permit.key().arn(),
        key_material_id: Some(sealed.material.as_bytes()),
    }))
}

/// GenerateDataKeyWithoutPlaintext.
pub(super) fn generate_data_key_without_plaintext(
    context: &mut Context<'_>,
    request: &request::GenerateDataKeyWithoutPlaintext<'_>,
) -> Result<Outcome, KmsError> {
    let conditions = Conditions {
        encryption_context: Some(&request.encryption_context),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::GenerateDataKeyWithoutPlaintext,
        &request.key_id,
        Names::All,
        &conditions,
    )?;
    let length = length(request.key_spec, request.number_of_bytes)?;
    usage::require_data_key_encryption(
        OperationName::GenerateDataKeyWithoutPlaintext,
        permit.key(),
    )?;
    stop_if_dry_run(request.dry_run)?;

    let data_key = fresh(length, context.random);
    let sealed = cipher::seal(
        &permit,
        &data_key,
        &request.encryption_context,
        context.random,
    )?;
    context
        .event
        .key_material("keyMaterialId", &sealed.material);
    Ok(Outcome::read(&response::GenerateDataKeyWithoutPlaintext {
        ciphertext_blob: &sealed.blob,
        key_id: permit.key().arn(),
        key_material_id: Some(sealed.material.as_bytes()),
    }))
}

/// The data key's length in bytes: exactly one of the two members says it.
fn length(key_spec: Option<DataKeySpec>, number_of_bytes: Option<u16>) -> Result<usize, KmsError> {
    match (key_spec, number_of_bytes) {
        (Some(spec), None) => Ok(spec.number_of_bytes()),
        (None, Some(length)) => Ok(length.into()),
        (Some(_), Some(_)) | (None, None) => Err(KmsError::validation(
            "Please specify either number of bytes or key spec.",
        )),
    }
}

/// A new data key.
fn fresh(length: usize, random: &mut dyn CryptoRng) -> Zeroizing<Vec<u8>> {
    let mut data_key = Zeroizing::new(vec![0; length]);
    random.fill_bytes(&mut data_key);
    data_key
}
