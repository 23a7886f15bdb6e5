//! What becomes due without a call: keys whose waiting period is over are deleted, imported material
//! expires, and keys that are to be rotated get new material.
//!
//! AWS deletes a key up to 24 hours after its deletion date, with its aliases and grants. From then
//! on nothing can decrypt what was encrypted under it. Rotation waits while a key is disabled or about to be
//! deleted, and takes place at once when the key can be used again. What happens is recorded in
//! events that no caller made.

use std::sync::Arc;

use attestation::rand_core::CryptoRng;
use serde_json::{Value, json};

use crate::Timestamp;
use crate::audit::Event;
use crate::multi_region;
use crate::protocol::spec::RotationType;
use crate::rotation;
use crate::state::{BackingKeyId, Batch, Change, Key, State, StillOpening};

/// Does what is due now, to at most so many keys, and returns the events that go to the audit trail
/// once the batch is committed: one for each thing that happened.
///
/// What becomes of one key may bear on the next, so each is looked at in the state that those
/// before it leave behind. While not all keys are open, nothing is done.
pub fn settle(
    batch: &mut Batch,
    now: Timestamp,
    most: usize,
    random: &mut dyn CryptoRng,
) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < most
        && let Ok(Some((key, due))) = next(batch.state(), now, random)
    {
        batch.push(due.changes);
        events.push(Event::service_event(
            due.name,
            &key,
            due.details,
            now,
            random,
        ));
    }
    events
}

/// The key that is first, and what happens to it.
fn next(
    state: &State,
    now: Timestamp,
    random: &mut dyn CryptoRng,
) -> Result<Option<(Arc<Key>, Due)>, StillOpening> {
    let Some(key) = state.due(now)?.next().cloned() else {
        return Ok(None);
    };
    let due = if key.deletion_date.is_some_and(|date| date <= now) {
        delete(state, &key, now)?
    } else if let Some(id) = expired_material(&key, now) {
        delete_material(state, &key, &id)?
    } else {
        rotate(state, &key, now, random)?
    };
    Ok(Some((key, due)))
}

/// What happens to a key.
struct Due {
    changes: Vec<Change>,
    /// What CloudTrail calls it.
    name: &'static str,
    /// What CloudTrail says about it.
    details: Value,
}

/// The deletion of a key, after its grants and aliases.
fn delete(state: &State, key: &Key, now: Timestamp) -> Result<Due, StillOpening> {
    let grants = state.grants_on(key.account(), key.region(), key.id(), None);
    let grants = grants.map(|grant| Change::DeleteGrant {
        account: grant.account,
        region: grant.region.clone(),
        key: grant.key,
        id: grant.id,
    });
    let aliases = state.aliases_of(key.account(), key.region(), key.id());
    let aliases = aliases.map(|alias| Change::DeleteAlias {
        account: alias.account,
        region: alias.region.clone(),
        name: alias.name.clone(),
    });
    let mut changes: Vec<Change> = grants.chain(aliases).collect();
    changes.extend(multi_region::changes_without(state, key, now)?);
    changes.push(Change::DeleteKey {
        account: key.account(),
        region: key.region().clone(),
        id: key.id(),
    });
    Ok(Due {
        changes,
        name: "DeleteKey",
        details: json!({ "keyId": key.id().to_string() }),
    })
}

/// Imported material whose time is over.
fn expired_material(key: &Key, now: Timestamp) -> Option<BackingKeyId> {
    let mut versions = key.backing.iter();
    let expired = versions.find(|backing| backing.valid_to().is_some_and(|date| date <= now));
    expired.map(|backing| *backing.id())
}

/// The expiry of imported material: the key can't be used until the same material is imported
/// again.
fn delete_material(state: &State, key: &Key, id: &BackingKeyId) -> Result<Due, StillOpening> {
    let mut without = key.clone();
    without.remove_import(id);
    Ok(Due {
        changes: multi_region::changes(state, without)?,
        name: "DeleteExpiredKeyMaterial",
        details: json!({ "keyId": key.id().to_string(), "keyMaterialId": id.to_string() }),
    })
}

/// The automatic rotation of a key, and with it of its replicas.
fn rotate(
    state: &State,
    key: &Key,
    now: Timestamp,
    random: &mut dyn CryptoRng,
) -> Result<Due, StillOpening> {
    let mut rotated = key.clone();
    rotation::rotate(&mut rotated, RotationType::Automatic, now, random);
    let id = |key: &Key| key.current().map(|backing| backing.id().to_string());
    let details = json!({
        "keyId": key.id().to_string(),
        "keyOrigin": key.origin.as_str(),
        "rotationType": RotationType::Automatic.as_str(),
        "previousKeyMaterialId": id(key),
        "currentKeyMaterialId": id(&rotated),
    });
    Ok(Due {
        changes: multi_region::changes(state, rotated)?,
        name: "RotateKey",
        details,
    })
}
