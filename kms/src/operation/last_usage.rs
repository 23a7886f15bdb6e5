//! GetKeyLastUsage.

use crate::error::KmsError;
use crate::permit::{Conditions, action};
use crate::protocol::request;
use crate::protocol::response;

use super::{Context, Names, Outcome};

/// GetKeyLastUsage: what is known since the enclave started.
pub(super) fn get_key_last_usage(
    context: &mut Context<'_>,
    request: &request::GetKeyLastUsage<'_>,
) -> Result<Outcome, KmsError> {
    let permit = context.permit(
        action::GetKeyLastUsage,
        &request.key_id,
        Names::IdOrArn,
        &Conditions::default(),
    )?;
    let key = permit.key();
    Ok(Outcome::read(&response::GetKeyLastUsage {
        key_id: key.id(),
        key_last_usage: key.last_usage.get(),
        tracking_start_date: context.config.usage_tracked_since.max(key.created),
        key_creation_date: key.created,
    }))
}
