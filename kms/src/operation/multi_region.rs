//! Multi-Region keys: ReplicateKey, UpdatePrimaryRegion.
//!
//! All regions are in one state, so what AWS does in the background is done here in one commit:
//! ReplicateKey still answers that the replica is being made, as its callers expect, but the next
//! call finds it ready; and primary keys change places without a state in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit;
use crate::error::KmsError;
use crate::key::{BackingKey, Key, KeyPolicy, MissingMaterial};
use crate::multi_region::changes;
use crate::name::{self, Region};
use crate::permit::{AccountResource, Conditions, Permit, action};
use crate::policy;
use crate::protocol::response::{self, KeyMetadata, TagEntry};
use crate::protocol::spec::{KeyState, Origin};
use crate::protocol::{Response, request};

use super::key_state::{self, Row};
use super::{Context, Found, Names, Outcome, key_policy, metadata, tag};

/// The most replicas a key may have. AWS's own limit is the number of its regions; here every name
/// of a region is one, and each replica has all others in its record.
const MAX_REPLICAS: usize = 50;

/// ReplicateKey.
pub(super) fn replicate_key(
    context: &mut Context<'_>,
    request: &request::ReplicateKey<'_>,
) -> Result<Outcome, KmsError> {
    let region = parse_region(&request.replica_region)?;
    let tags = tag::new_tags(&request.tags)?;
    let permit = permit_replica(context, request, &region, &tags)?;
    key_state::require(Row::Replicate, permit.key())?;
    require_primary(permit.key())?;
    require_place(context, permit.key(), &region)?;
    let primary = permit.key();
    let policy = replica_policy(context, request, primary, &region)?;

    let mut set = primary.related_set();
    set.replicas.insert(region.clone());
    // Imported material is brought to each key by its owner, the same as in the primary key.
    let (backing, missing) = match primary.origin {
        Origin::External => {
            let missing = primary
                .backing
                .iter()
                .map(MissingMaterial::of)
                .map(unset_expiry);
            (Arc::new([]) as Arc<[BackingKey]>, missing.collect())
        }
        _ => (Arc::clone(&primary.backing), Box::default()),
    };
    let (account, id) = (primary.account(), primary.id());
    let mut replica = Key::new(account, region, id, context.now, backing);
    replica.spec = primary.spec;
    replica.usage = primary.usage;
    replica.origin = primary.origin;
    replica.missing = missing;
    replica.rotation = primary.rotation;
    replica.description = request.description.as_deref().unwrap_or_default().into();
    replica.policy = policy;
    replica.tags = tags;
    replica.set_related(set);
    replica.settle_import();

    let default_policy;
    let replica_policy = match &replica.policy {
        Some(policy) => policy.text().as_ref(),
        None => {
            default_policy = policy::default_key_policy(account);
            default_policy.as_str()
        }
    };
    context.event.key(&replica);
    let answer = response::ReplicateKey {
        replica_key_metadata: KeyMetadata {
            key_state: KeyState::Creating,
            current_key_material_id: None,
            ..metadata::of(&replica)
        },
        replica_policy,
        replica_tags: TagEntry::all(&replica.tags).collect(),
    };
    context.event.changed(audit::replicated_key(&answer));
    let body = answer.body();
    Ok(Outcome::changes(body, changes(context.state, replica)?))
}

/// UpdatePrimaryRegion.
pub(super) fn update_primary_region(
    context: &mut Context<'_>,
    request: &request::UpdatePrimaryRegion<'_>,
) -> Result<Outcome, KmsError> {
    let region = parse_region(&request.primary_region)?;
    let conditions = Conditions {
        primary_region: Some(&region),
        ..Conditions::default()
    };
    let permit = context.permit(
        action::UpdatePrimaryRegion,
        &request.key_id,
        Names::IdOrArn,
        &conditions,
    )?;
    key_state::require(Row::UpdatePrimary, permit.key())?;
    require_primary(permit.key())?;
    let primary = permit.key();
    if region == *primary.region() {
        return Err(KmsError::UnsupportedOperation(
            format!("{} is the primary key already.", primary.arn()).into(),
        ));
    }
    let replica = context
        .state
        .key(primary.account(), &region, primary.id())?
        .filter(|key| key.is_replica())
        .ok_or_else(|| {
            let arn = name::key_arn(&region, primary.account(), primary.id());
            KmsError::key_not_found(&arn)
        })?;
    let found = Found::new(replica, None);
    let replica = context.permit_found(action::UpdatePrimaryRegion, found, &conditions)?;
    key_state::require(Row::UpdatePrimary, replica.key())?;

    let mut set = primary.related_set();
    set.replicas.remove(&region);
    set.replicas.insert(primary.region().clone());
    set.primary = region;
    let mut new_primary = Key::clone(replica.key());
    new_primary.set_related(set);
    context.event.changed(audit::key_id(primary.arn()));
    Ok(Outcome::void(changes(context.state, new_primary)?))
}

/// The expiry of material is set where it is imported.
fn unset_expiry(mut missing: MissingMaterial) -> MissingMaterial {
    missing.import.valid_to = None;
    missing
}

/// Decides whether the caller may replicate this key, and make this replica there.
fn permit_replica(
    context: &mut Context<'_>,
    request: &request::ReplicateKey<'_>,
    region: &Region,
    tags: &BTreeMap<String, String>,
) -> Result<Permit<action::ReplicateKey>, KmsError> {
    let conditions = Conditions {
        replica_region: Some(region),
        bypass_policy_lockout_safety_check: Some(request.bypass_policy_lockout_safety_check),
        ..Conditions::default()
    };
    let permit = context.permit(
        action::ReplicateKey,
        &request.key_id,
        Names::IdOrArn,
        &conditions,
    )?;
    let key = permit.key();
    let conditions = Conditions {
        key_spec: Some(key.spec),
        key_usage: Some(key.usage),
        key_origin: Some(key.origin),
        multi_region: Some(true),
        request_tags: Some(tags),
        ..conditions
    };
    let account = AccountResource(context.account());
    let _permit = context.permit_resource(action::CreateKey, account, &conditions)?;
    if !tags.is_empty() {
        let account = AccountResource(context.account());
        let _permit = context.permit_resource(action::TagResource, account, &conditions)?;
    }
    Ok(permit)
}

/// The key policy of the replica to make, if the request has one.
fn replica_policy(
    context: &Context<'_>,
    request: &request::ReplicateKey<'_>,
    primary: &Key,
    region: &Region,
) -> Result<Option<KeyPolicy>, KmsError> {
    let Some(policy) = &request.policy else {
        return Ok(None);
    };
    let conditions = Conditions {
        bypass_policy_lockout_safety_check: Some(request.bypass_policy_lockout_safety_check),
        key_spec: Some(primary.spec),
        key_usage: Some(primary.usage),
        key_origin: Some(primary.origin),
        multi_region: Some(true),
        replica_region: Some(region),
        ..Conditions::default()
    };
    let arn = name::key_arn(region, primary.account(), primary.id());
    key_policy::read(context, policy, &arn, &conditions).map(Some)
}

/// Lets a key pass that can have replicas.
pub(super) fn require_primary(key: &Key) -> Result<(), KmsError> {
    if key.is_primary() {
        return Ok(());
    }
    Err(KmsError::UnsupportedOperation(
        format!("{} is not a multi-region primary key.", key.arn()).into(),
    ))
}

/// Lets a region pass where there is no related key yet.
fn require_place(context: &Context<'_>, primary: &Key, region: &Region) -> Result<(), KmsError> {
    let (account, id) = (primary.account(), primary.id());
    if context.state.key(account, region, id)?.is_some() {
        let arn = name::key_arn(region, account, id);
        return Err(KmsError::AlreadyExists(
            format!("A key with the ARN {arn} already exists").into(),
        ));
    }
    if primary.replica_regions().count() >= MAX_REPLICAS {
        return Err(KmsError::LimitExceeded(
            format!("{} has {MAX_REPLICAS} replica keys already.", primary.arn()).into(),
        ));
    }
    Ok(())
}

/// The region that a member names, whose shape was checked.
fn parse_region(name: &str) -> Result<Region, KmsError> {
    name.parse()
        .map_err(|_| KmsError::validation(format!("Invalid region {name}")))
}
