//! GenerateMac, VerifyMac.

use aws_lc_rs::hmac;

use crate::error::KmsError;
use crate::permit::{Action, Conditions, Permit, action};
use crate::protocol::spec::MacAlgorithm;
use crate::protocol::{OperationName, request, response};

use super::{Context, Names, Outcome, stop_if_dry_run, usage};

/// GenerateMac.
pub(super) fn generate_mac(
    context: &mut Context<'_>,
    request: &request::GenerateMac<'_>,
) -> Result<Outcome, KmsError> {
    let algorithm = request.mac_algorithm;
    let conditions = Conditions {
        mac_algorithm: Some(algorithm),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::GenerateMac,
        &request.key_id,
        Names::All,
        &conditions,
    )?;
    usage::require_mac(OperationName::GenerateMac, algorithm, permit.key())?;
    stop_if_dry_run(request.dry_run)?;

    let mac = hmac::sign(&mac_key(&permit, algorithm)?, &request.message);
    Ok(Outcome::read(&response::GenerateMac {
        mac: mac.as_ref(),
        mac_algorithm: algorithm,
        key_id: permit.key().arn(),
    }))
}

/// VerifyMac.
pub(super) fn verify_mac(
    context: &mut Context<'_>,
    request: &request::VerifyMac<'_>,
) -> Result<Outcome, KmsError> {
    let algorithm = request.mac_algorithm;
    let conditions = Conditions {
        mac_algorithm: Some(algorithm),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(action::VerifyMac, &request.key_id, Names::All, &conditions)?;
    usage::require_mac(OperationName::VerifyMac, algorithm, permit.key())?;
    stop_if_dry_run(request.dry_run)?;

    let key = mac_key(&permit, algorithm)?;
    hmac::verify(&key, &request.message, &request.mac).map_err(|_| KmsError::KmsInvalidMac)?;
    Ok(Outcome::read(&response::VerifyMac {
        key_id: permit.key().arn(),
        mac_algorithm: algorithm,
    }))
}

/// Actions that a MAC key is for.
trait Authenticating: Action {}

impl Authenticating for action::GenerateMac {}
impl Authenticating for action::VerifyMac {}

/// The key of the permit, ready for HMAC, which takes no longer than the MAC itself.
fn mac_key(
    permit: &Permit<impl Authenticating>,
    algorithm: MacAlgorithm,
) -> Result<hmac::Key, KmsError> {
    let hmac = match algorithm {
        MacAlgorithm::HmacSha224 => hmac::HMAC_SHA224,
        MacAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
        MacAlgorithm::HmacSha384 => hmac::HMAC_SHA384,
        MacAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
    };
    let material = permit.key().current_material()?;
    Ok(hmac::Key::new(hmac, material.mac()?.expose()))
}
