//! Data key pairs: asymmetric keys made here, the private half given out in the open (or sealed
//! for a recipient) and as a ciphertext under a KMS key.

use crate::error::KmsError;
use crate::key_pair;
use crate::permit::{Conditions, action};
use crate::protocol::{OperationName, request, response};

use super::release::Release;
use super::{Context, Names, Outcome, Unfinished, cipher, stop_if_dry_run, usage};

/// GenerateDataKeyPair.
pub(super) fn generate_data_key_pair(
    context: &mut Context<'_>,
    request: request::GenerateDataKeyPair<'_>,
) -> Result<Outcome, KmsError> {
    key_pair::require_supported(request.key_pair_spec)?;
    let release = Release::of(context, request.recipient)?;
    let conditions = Conditions {
        encryption_context: Some(&request.encryption_context),
        recipient: release.document(),
        data_key_pair_spec: Some(request.key_pair_spec),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::GenerateDataKeyPair,
        &request.key_id,
        Names::All,
        &conditions,
    )?;
    usage::require_data_key_encryption(OperationName::GenerateDataKeyPair, permit.key())?;
    stop_if_dry_run(request.dry_run)?;

    let Some(pair) = context.key_pair(request.key_pair_spec)? else {
        return Ok(Outcome::unfinished(Unfinished::Slow));
    };
    let sealed = cipher::seal(
        &permit,
        &pair.private_pkcs8,
        &request.encryption_context,
        context.random,
    )?;
    context
        .event
        .key_material("keyMaterialId", &sealed.material);
    let released = release.apply(pair.private_pkcs8, context.random)?;
    Ok(Outcome::read(&response::GenerateDataKeyPair {
        private_key_ciphertext_blob: &sealed.blob,
        private_key_plaintext: released.as_plaintext(),
        public_key: &pair.public_spki,
        key_id: permit.key().arn(),
        key_pair_spec: request.key_pair_spec,
        key_material_id: Some(sealed.material.as_bytes()),
    }))
}

/// GenerateDataKeyPairWithoutPlaintext.
pub(super) fn generate_data_key_pair_without_plaintext(
    context: &mut Context<'_>,
    request: &request::GenerateDataKeyPairWithoutPlaintext<'_>,
) -> Result<Outcome, KmsError> {
    key_pair::require_supported(request.key_pair_spec)?;
    let conditions = Conditions {
        encryption_context: Some(&request.encryption_context),
        data_key_pair_spec: Some(request.key_pair_spec),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::GenerateDataKeyPairWithoutPlaintext,
        &request.key_id,
        Names::All,
        &conditions,
    )?;
    usage::require_data_key_encryption(
        OperationName::GenerateDataKeyPairWithoutPlaintext,
        permit.key(),
    )?;
    stop_if_dry_run(request.dry_run)?;

    let Some(pair) = context.key_pair(request.key_pair_spec)? else {
        return Ok(Outcome::unfinished(Unfinished::Slow));
    };
    let sealed = cipher::seal(
        &permit,
        &pair.private_pkcs8,
        &request.encryption_context,
        context.random,
    )?;
    context
        .event
        .key_material("keyMaterialId", &sealed.material);
    Ok(Outcome::read(
        &response::GenerateDataKeyPairWithoutPlaintext {
            private_key_ciphertext_blob: &sealed.blob,
            public_key: &pair.public_spki,
            key_id: permit.key().arn(),
            key_pair_spec: request.key_pair_spec,
            key_material_id: Some(sealed.material.as_bytes()),
        },
    ))
}
