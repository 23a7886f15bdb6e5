//! The life of a KMS key: EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion.

use std::time::Duration;

use crate::audit;
use crate::error::KmsError;
use crate::key::Key;
use crate::multi_region::changes;
use crate::permit::{Action, Conditions, action};
use crate::protocol::spec::KeyState;
use crate::protocol::{Response, request, response};
use crate::state::Change;

use super::key_state::{self, Row};
use super::{Context, Names, Outcome};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The waiting times that may be chosen, in days. The service model would allow 1 to 365.
const MIN_WINDOW: u16 = 7;
const MAX_WINDOW: u16 = 30;

/// EnableKey.
pub(super) fn enable_key(
    context: &mut Context<'_>,
    request: &request::EnableKey<'_>,
) -> Result<Outcome, KmsError> {
    set_state(
        context,
        action::EnableKey,
        &request.key_id,
        KeyState::Enabled,
    )
}

/// DisableKey.
pub(super) fn disable_key(
    context: &mut Context<'_>,
    request: &request::DisableKey<'_>,
) -> Result<Outcome, KmsError> {
    set_state(
        context,
        action::DisableKey,
        &request.key_id,
        KeyState::Disabled,
    )
}

/// Enables or disables a key; to a key that is so already, nothing happens.
fn set_state<A: Action>(
    context: &mut Context<'_>,
    action: A,
    key_id: &str,
    state: KeyState,
) -> Result<Outcome, KmsError> {
    let permit = context.permit(action, key_id, Names::IdOrArn, &Conditions::default())?;
    key_state::require(Row::EnableOrDisable, permit.key())?;

    context.event.changed(audit::key_id(permit.key().arn()));
    if permit.key().state == state {
        return Ok(Outcome::void(Vec::new()));
    }
    let mut key = Key::clone(permit.key());
    key.state = state;
    Ok(Outcome::void(vec![Change::PutKey(key)]))
}

/// ScheduleKeyDeletion.
pub(super) fn schedule_key_deletion(
    context: &mut Context<'_>,
    request: &request::ScheduleKeyDeletion<'_>,
) -> Result<Outcome, KmsError> {
    let days = window(request.pending_window_in_days)?;
    let conditions = Conditions {
        pending_window_in_days: Some(days),
        ..Conditions::default()
    };
    let permit = context.permit(
        action::ScheduleKeyDeletion,
        &request.key_id,
        Names::IdOrArn,
        &conditions,
    )?;
    key_state::require(Row::ScheduleDeletion, permit.key())?;

    let mut key = Key::clone(permit.key());
    let mut set = key.related_set();
    if key.is_replica() || set.replicas.is_empty() {
        key.state = KeyState::PendingDeletion;
        key.deletion_date = Some(context.now + DAY * u32::from(days));
    } else {
        // A primary key waits for its replicas to be gone, and only then begins its own wait.
        key.state = KeyState::PendingReplicaDeletion;
        set.deletion_window = Some(days);
        key.set_related(set);
    }
    let answer = response::ScheduleKeyDeletion {
        key_id: key.arn(),
        deletion_date: key.deletion_date,
        key_state: key.state,
        pending_window_in_days: days,
    };
    context.event.changed(audit::scheduled_deletion(&answer));
    let body = answer.body();
    Ok(Outcome::changes(body, changes(context.state, key)?))
}

/// CancelKeyDeletion: the key is disabled from then on, not enabled; or it waits for its imported
/// material.
pub(super) fn cancel_key_deletion(
    context: &mut Context<'_>,
    request: &request::CancelKeyDeletion<'_>,
) -> Result<Outcome, KmsError> {
    let permit = context.permit(
        action::CancelKeyDeletion,
        &request.key_id,
        Names::IdOrArn,
        &Conditions::default(),
    )?;
    key_state::require(Row::CancelDeletion, permit.key())?;

    let mut key = Key::clone(permit.key());
    key.state = KeyState::Disabled;
    key.settle_import();
    key.deletion_date = None;
    if !key.is_replica() {
        let mut set = key.related_set();
        set.deletion_window = None;
        key.set_related(set);
    }
    context.event.changed(audit::key_id(key.arn()));
    let answer = response::CancelKeyDeletion {
        key_id: permit.key().arn(),
    };
    Ok(Outcome::changes(
        answer.body(),
        changes(context.state, key)?,
    ))
}

/// The waiting time in days.
fn window(days: Option<u16>) -> Result<u16, KmsError> {
    match days.unwrap_or(MAX_WINDOW) {
        days @ MIN_WINDOW..=MAX_WINDOW => Ok(days),
        _ => Err(KmsError::validation(format!(
            "PendingWindowInDays must be between {MIN_WINDOW} and {MAX_WINDOW}"
        ))),
    }
}
