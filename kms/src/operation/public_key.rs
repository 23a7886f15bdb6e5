//! GetPublicKey.

use crate::error::KmsError;
use crate::permit::{Conditions, action};
use crate::protocol::{request, response};

use super::key_state::{self, Row};
use super::{Context, Names, Outcome, usage};

/// GetPublicKey.
pub(super) fn get_public_key(
    context: &mut Context<'_>,
    request: &request::GetPublicKey<'_>,
) -> Result<Outcome, KmsError> {
    let conditions = Conditions {
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::GetPublicKey,
        &request.key_id,
        Names::All,
        &conditions,
    )?;
    let key = permit.key();
    key_state::require(Row::GetPublicKey, key)?;
    usage::require_asymmetric(key)?;
    Ok(Outcome::read(&response::GetPublicKey {
        key_id: key.arn(),
        public_key: key.current_material()?.private()?.public_spki()?,
        key_spec: key.spec,
        key_usage: key.usage,
        encryption_algorithms: usage::encryption_algorithms(key.spec, key.usage),
        signing_algorithms: usage::signing_algorithms(key.spec, key.usage),
        key_agreement_algorithms: usage::key_agreement_algorithms(key.usage),
        encapsulation_algorithms: usage::encapsulation_algorithms(key.usage),
    }))
}
