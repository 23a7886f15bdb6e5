//! Rotation: EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand,
//! ListKeyRotations.
//!
//! Automatic rotations take place in [`expiry`](crate::expiry). A rotation on demand takes effect
//! at once, so none is ever in progress when the next call comes.

use std::time::Duration;

use crate::audit;
use crate::error::KmsError;
use crate::import::Version;
use crate::key::{BackingKeyId, Import, Key, Rotation};
use crate::multi_region::{changes, is_pending_everywhere};
use crate::permit::{Action, Conditions, Permit, action};
use crate::protocol::response::{self, RotationsListEntry};
use crate::protocol::spec::{
    ImportState, IncludeKeyMaterial, KeyMaterialState, KeySpec, KeyState, Origin, RotationType,
};
use crate::protocol::{OperationName, Response, request};
use crate::rotation::{rotate, rotations_on_demand};

use super::key_state::{self, Row};
use super::marker::{self, Listing};
use super::{Context, Names, Outcome, multi_region};

/// The days from one rotation to the next unless the request says.
const DEFAULT_PERIOD: u16 = 365;

/// How often a key may be rotated on demand.
const MAX_ROTATIONS_ON_DEMAND: usize = 25;

/// So close to an automatic rotation there is none on demand.
const NEAR: Duration = Duration::from_secs(20 * 60);

/// How many versions a page has unless the request says, and the most it may say.
const DEFAULT_PAGE: u16 = 100;
const MAX_PAGE: u16 = 1000;

/// EnableKeyRotation: with the period that a key has already, nothing happens.
pub(super) fn enable_key_rotation(
    context: &mut Context<'_>,
    request: &request::EnableKeyRotation<'_>,
) -> Result<Outcome, KmsError> {
    let period = request.rotation_period_in_days.unwrap_or(DEFAULT_PERIOD);
    let conditions = Conditions {
        rotation_period_in_days: Some(period),
        ..Conditions::default()
    };
    let permit = permit_setting(
        context,
        action::EnableKeyRotation,
        &request.key_id,
        &conditions,
    )?;
    require_symmetric(permit.key())?;

    let rotation = match permit.key().rotation {
        Some(rotation) if rotation.period_in_days == period => rotation,
        _ => Rotation::every(period, context.now),
    };
    set_rotation(context, permit.key(), Some(rotation))
}

/// DisableKeyRotation: also of keys that are never rotated.
pub(super) fn disable_key_rotation(
    context: &mut Context<'_>,
    request: &request::DisableKeyRotation<'_>,
) -> Result<Outcome, KmsError> {
    let permit = permit_setting(
        context,
        action::DisableKeyRotation,
        &request.key_id,
        &Conditions::default(),
    )?;
    set_rotation(context, permit.key(), None)
}

/// GetKeyRotationStatus: while a key waits for its deletion, it is not rotated.
pub(super) fn get_key_rotation_status(
    context: &mut Context<'_>,
    request: &request::GetKeyRotationStatus<'_>,
) -> Result<Outcome, KmsError> {
    let permit = context.permit(
        action::GetKeyRotationStatus,
        &request.key_id,
        Names::IdOrArn,
        &Conditions::default(),
    )?;
    let key = permit.key();
    if matches!(key.state, KeyState::PendingImport | KeyState::Unavailable) {
        return Err(KmsError::wrong_origin(key));
    }
    let is_pending = matches!(
        key.state,
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion
    );
    let rotation = key.rotation.filter(|_| !is_pending);
    Ok(Outcome::read(&response::GetKeyRotationStatus {
        key_id: key.arn(),
        key_rotation_enabled: rotation.is_some(),
        rotation_period_in_days: rotation.map(|rotation| rotation.period_in_days),
        next_rotation_date: rotation.map(|rotation| rotation.next),
    }))
}

/// RotateKeyOnDemand.
pub(super) fn rotate_key_on_demand(
    context: &mut Context<'_>,
    request: &request::RotateKeyOnDemand<'_>,
) -> Result<Outcome, KmsError> {
    let permit = context.permit(
        action::RotateKeyOnDemand,
        &request.key_id,
        Names::IdOrArn,
        &Conditions::default(),
    )?;
    key_state::require(Row::RotateOnDemand, permit.key())?;
    require_symmetric(permit.key())?;
    require_no_replica(permit.key())?;
    if rotations_on_demand(permit.key()) >= MAX_ROTATIONS_ON_DEMAND {
        return Err(KmsError::LimitExceeded(
            format!(
                "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: {}",
                permit.key().arn()
            )
            .into(),
        ));
    }
    let next = permit.key().rotation.map(|rotation| rotation.next);
    if next.is_some_and(|next| next <= context.now + NEAR) {
        return Err(KmsError::Conflict(
            format!(
                "An automatic rotation of {} is in progress or scheduled to begin within the next 20 minutes.",
                permit.key().arn()
            )
            .into(),
        ));
    }

    let mut key = Key::clone(permit.key());
    if key.origin == Origin::External {
        if !is_pending_everywhere(context.state, &key)? {
            return Err(KmsError::KmsInvalidState(
                format!(
                    "No available key material pending rotation for the key: {}.",
                    key.arn()
                )
                .into(),
            ));
        }
        key.rotate_to_import(context.now);
    } else {
        rotate(
            &mut key,
            RotationType::OnDemand,
            context.now,
            context.random,
        );
    }
    context.event.changed(audit::key_id(key.arn()));
    let answer = response::RotateKeyOnDemand {
        key_id: permit.key().arn(),
    };
    Ok(Outcome::changes(
        answer.body(),
        changes(context.state, key)?,
    ))
}

/// ListKeyRotations.
pub(super) fn list_key_rotations(
    context: &mut Context<'_>,
    request: &request::ListKeyRotations<'_>,
) -> Result<Outcome, KmsError> {
    let limit = marker::page_length(request.limit, DEFAULT_PAGE, MAX_PAGE)?;
    let permit = context.permit(
        action::ListKeyRotations,
        &request.key_id,
        Names::IdOrArn,
        &Conditions::default(),
    )?;
    let key = permit.key();
    require_symmetric(key)?;
    let listing = Listing {
        operation: OperationName::ListKeyRotations,
        account: key.account(),
        region: key.region(),
        key: Some(key.id()),
    };
    let after = listing.start::<BackingKeyId>(request.marker.as_deref())?;
    let all = request.include_key_material == Some(IncludeKeyMaterial::AllKeyMaterial);
    let rest = key
        .versions()
        .into_iter()
        .skip_while(|version| after.is_some_and(|after| *version.id != after))
        .skip(usize::from(after.is_some()))
        .filter(|version| all || version.rotation.is_some());
    let (versions, next_marker) = listing.page(rest, limit, |version| *version.id);
    let is_pending_everywhere = is_pending_everywhere(context.state, key)?;
    Ok(Outcome::read(&response::ListKeyRotations {
        rotations: versions
            .into_iter()
            .map(|version| list_entry(key, version, is_pending_everywhere))
            .collect(),
        next_marker,
    }))
}

fn list_entry<'k>(
    key: &'k Key,
    version: Version<'k>,
    is_pending_everywhere: bool,
) -> RotationsListEntry<'k> {
    let current = key.current_version().map(|version| version.id);
    let import = version.import;
    RotationsListEntry {
        key_id: key.arn(),
        key_material_id: version.id.as_bytes(),
        key_material_description: import.and_then(|import| import.description.as_deref()),
        import_state: import.map(|_| match version.is_here {
            true => ImportState::Imported,
            false => ImportState::PendingImport,
        }),
        key_material_state: match (version.is_pending(), is_pending_everywhere) {
            (true, true) => KeyMaterialState::PendingRotation,
            (true, false) => KeyMaterialState::PendingMultiRegionImportAndRotation,
            (false, _) if current == Some(version.id) => KeyMaterialState::Current,
            (false, _) => KeyMaterialState::NonCurrent,
        },
        expiration_model: import
            .filter(|_| version.is_here)
            .map(Import::expiration_model),
        valid_to: import
            .filter(|_| version.is_here)
            .and_then(|import| import.valid_to),
        rotation_date: version.rotation.map(|_| version.created),
        rotation_type: version.rotation,
    }
}

/// Decides whether the caller may change the automatic rotation of a key.
fn permit_setting<A: Action>(
    context: &mut Context<'_>,
    action: A,
    key_id: &str,
    conditions: &Conditions<'_>,
) -> Result<Permit<A>, KmsError> {
    let permit = context.permit(action, key_id, Names::IdOrArn, conditions)?;
    key_state::require(Row::RotationSetting, permit.key())?;
    if permit.key().origin != Origin::AwsKms {
        return Err(KmsError::wrong_origin(permit.key()));
    }
    require_no_replica(permit.key())?;
    Ok(permit)
}

fn set_rotation(
    context: &mut Context<'_>,
    key: &Key,
    rotation: Option<Rotation>,
) -> Result<Outcome, KmsError> {
    context.event.changed(audit::key_id(key.arn()));
    if key.rotation == rotation {
        return Ok(Outcome::void(Vec::new()));
    }
    let mut key = key.clone();
    key.rotation = rotation;
    Ok(Outcome::void(changes(context.state, key)?))
}

/// Lets a key pass that is not rotated with another.
fn require_no_replica(key: &Key) -> Result<(), KmsError> {
    if key.is_replica() {
        return multi_region::require_primary(key);
    }
    Ok(())
}

/// Lets a key pass whose material can be rotated. AWS does not say more of others.
fn require_symmetric(key: &Key) -> Result<(), KmsError> {
    if key.spec == KeySpec::SymmetricDefault {
        Ok(())
    } else {
        Err(KmsError::UnsupportedOperation("".into()))
    }
}
