//! Sign, Verify.

use crate::error::KmsError;
use crate::key::Key;
use crate::material::{MU_LEN, SignedMessage, SigningKey};
use crate::permit::{Action, Conditions, Permit, action};
use crate::protocol::spec::{KeySpec, MessageType, SigningAlgorithm};
use crate::protocol::{OperationName, request, response};

use super::{Context, Names, Outcome, stop_if_dry_run, usage};

/// Sign.
pub(super) fn sign(
    context: &mut Context<'_>,
    request: &request::Sign<'_>,
) -> Result<Outcome, KmsError> {
    let algorithm = request.signing_algorithm;
    let message_type = request.message_type.unwrap_or(MessageType::Raw);
    let conditions = Conditions {
        signing_algorithm: Some(algorithm),
        message_type: Some(message_type),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(action::Sign, &request.key_id, Names::All, &conditions)?;
    usage::require_signing(OperationName::Sign, algorithm, permit.key())?;
    let message = message(permit.key(), algorithm, message_type, &request.message)?;
    stop_if_dry_run(request.dry_run)?;

    let signature = signing_key(context, &permit)?.sign(algorithm, message, context.random)?;
    Ok(Outcome::read(&response::Sign {
        key_id: permit.key().arn(),
        signature: &signature,
        signing_algorithm: algorithm,
    }))
}

/// Verify.
pub(super) fn verify(
    context: &mut Context<'_>,
    request: &request::Verify<'_>,
) -> Result<Outcome, KmsError> {
    let algorithm = request.signing_algorithm;
    let message_type = request.message_type.unwrap_or(MessageType::Raw);
    let conditions = Conditions {
        signing_algorithm: Some(algorithm),
        message_type: Some(message_type),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(action::Verify, &request.key_id, Names::All, &conditions)?;
    usage::require_signing(OperationName::Verify, algorithm, permit.key())?;
    let message = message(permit.key(), algorithm, message_type, &request.message)?;
    stop_if_dry_run(request.dry_run)?;

    if !signing_key(context, &permit)?.verify(algorithm, message, &request.signature)? {
        return Err(KmsError::KmsInvalidSignature);
    }
    Ok(Outcome::read(&response::Verify {
        key_id: permit.key().arn(),
        signing_algorithm: algorithm,
    }))
}

/// Actions that a signing key is for.
trait Signing: Action {}

impl Signing for action::Sign {}
impl Signing for action::Verify {}

fn signing_key<'p>(
    context: &Context<'_>,
    permit: &'p Permit<impl Signing>,
) -> Result<&'p SigningKey, KmsError> {
    Ok(context.private_key(permit.key())?.signing()?)
}

/// The message, if the algorithm takes one of this kind and length.
///
/// # Errors
///
/// ValidationException. Ed25519 takes messages and Ed25519ph takes digests, ML-DSA takes messages
/// and representatives, all others take messages and digests.
fn message<'a>(
    key: &Key,
    algorithm: SigningAlgorithm,
    message_type: MessageType,
    message: &'a [u8],
) -> Result<SignedMessage<'a>, KmsError> {
    let is_ml_dsa = algorithm == SigningAlgorithm::MlDsaShake256;
    match (message_type, algorithm) {
        (MessageType::Digest, SigningAlgorithm::Ed25519Sha512)
        | (MessageType::Raw, SigningAlgorithm::Ed25519PhSha512) => Err(KmsError::validation(
            format!("Message type {message_type} is incompatible with algorithm {algorithm}."),
        )),
        (MessageType::Digest, _) if is_ml_dsa => Err(incompatible(message_type, key.spec)),
        (MessageType::ExternalMu, _) if !is_ml_dsa => Err(incompatible(message_type, key.spec)),
        (MessageType::Raw, _) => Ok(SignedMessage::Raw(message)),
        (MessageType::Digest, _) if Some(message.len()) != algorithm.digest_len() => {
            Err(KmsError::validation(format!(
                "Digest is invalid length for algorithm {algorithm}."
            )))
        }
        (MessageType::Digest, _) => Ok(SignedMessage::Digest(message)),
        (MessageType::ExternalMu, _) if message.len() != MU_LEN => Err(KmsError::validation(
            format!("External Mu is invalid length for algorithm {algorithm}."),
        )),
        (MessageType::ExternalMu, _) => Ok(SignedMessage::ExternalMu(message)),
    }
}

fn incompatible(message_type: MessageType, spec: KeySpec) -> KmsError {
    KmsError::validation(format!(
        "Message type {message_type} is incompatible with key spec {spec}."
    ))
}
