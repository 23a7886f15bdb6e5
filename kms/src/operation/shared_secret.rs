//! Shared secrets: DeriveSharedSecret by key agreement, Encapsulate and Decapsulate.

use crate::error::KmsError;
use crate::material::DecapsulationKey;
use crate::permit::{Action, Conditions, Permit, action};
use crate::protocol::{OperationName, request, response};

use super::release::Release;
use super::{Context, Names, Outcome, stop_if_dry_run, usage};

/// DeriveSharedSecret.
pub(super) fn derive_shared_secret(
    context: &mut Context<'_>,
    request: request::DeriveSharedSecret<'_>,
) -> Result<Outcome, KmsError> {
    let algorithm = request.key_agreement_algorithm;
    let release = Release::of(context, request.recipient)?;
    let conditions = Conditions {
        recipient: release.document(),
        key_agreement_algorithm: Some(algorithm),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::DeriveSharedSecret,
        &request.key_id,
        Names::All,
        &conditions,
    )?;
    let key = permit.key();
    usage::require_agreement(OperationName::DeriveSharedSecret, algorithm, key)?;
    let private = context.private_key(key)?.agreement()?;
    // AWS has no words for a public key that is none, or is on another curve.
    let peer = private.peer(&request.public_key);
    let peer = peer.ok_or_else(|| KmsError::validation(""))?;
    stop_if_dry_run(request.dry_run)?;

    let secret = private.agree(peer)?;
    let released = release.apply(secret, context.random)?;
    Ok(Outcome::read(&response::DeriveSharedSecret {
        key_id: key.arn(),
        shared_secret: released.as_plaintext(),
        key_agreement_algorithm: algorithm,
        key_origin: key.origin,
    }))
}

/// Encapsulate.
pub(super) fn encapsulate(
    context: &mut Context<'_>,
    request: &request::Encapsulate<'_>,
) -> Result<Outcome, KmsError> {
    let algorithm = request.encapsulation_algorithm;
    let conditions = Conditions {
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::Encapsulate,
        &request.key_id,
        Names::All,
        &conditions,
    )?;
    usage::require_encapsulation(OperationName::Encapsulate, algorithm, permit.key())?;
    stop_if_dry_run(request.dry_run)?;

    let encapsulated = decapsulation_key(context, &permit)?.encapsulate()?;
    Ok(Outcome::read(&response::Encapsulate {
        key_id: permit.key().arn(),
        shared_secret: &encapsulated.secret,
        shared_secret_ciphertext_blob: &encapsulated.ciphertext,
        encapsulation_algorithm: algorithm,
    }))
}

/// Decapsulate.
pub(super) fn decapsulate(
    context: &mut Context<'_>,
    request: &request::Decapsulate<'_>,
) -> Result<Outcome, KmsError> {
    let algorithm = request.encapsulation_algorithm;
    let conditions = Conditions {
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::Decapsulate,
        &request.key_id,
        Names::All,
        &conditions,
    )?;
    usage::require_encapsulation(OperationName::Decapsulate, algorithm, permit.key())?;
    let key = decapsulation_key(context, &permit)?;
    let secret = key.decapsulate(&request.shared_secret_ciphertext_blob);
    let secret = secret.ok_or(KmsError::InvalidCiphertext)?;
    stop_if_dry_run(request.dry_run)?;

    Ok(Outcome::read(&response::Decapsulate {
        key_id: permit.key().arn(),
        shared_secret: &secret,
        encapsulation_algorithm: algorithm,
    }))
}

/// Actions that an encapsulation key is for.
trait Encapsulating: Action {}

impl Encapsulating for action::Decapsulate {}
impl Encapsulating for action::Encapsulate {}

fn decapsulation_key<'p>(
    context: &Context<'_>,
    permit: &'p Permit<impl Encapsulating>,
) -> Result<&'p DecapsulationKey, KmsError> {
    Ok(context.private_key(permit.key())?.decapsulation()?)
}
