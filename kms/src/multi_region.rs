//! Multi-Region keys: a primary key and its replicas, in regions of this one server.
//!
//! Related keys have the same id, the same material and the same automatic rotation. Everything
//! else is each key's own, and so is the presence of imported material: its owner brings it to each
//! of them. Each has the whole set in its record, and what they share changes in all
//! of them in one commit, so that no reader ever sees them differ.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use attestation::Timestamp;

use crate::key::{BackingKey, Key, MissingMaterial, MultiRegion};
use crate::name::Region;
use crate::protocol::spec::{KeyState, Origin};
use crate::state::{Change, State, StillOpening};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Key {
    /// Whether it is a multi-Region primary key, with replicas or without.
    pub fn is_primary(&self) -> bool {
        self.id().is_multi_region() && self.primary_region() == self.region()
    }

    /// Whether it is a replica of a key in another region.
    pub fn is_replica(&self) -> bool {
        self.primary_region() != self.region()
    }

    /// The region of its primary key: its own, unless it is a replica.
    pub fn primary_region(&self) -> &Region {
        match &self.multi_region {
            Some(set) => &set.primary,
            None => self.region(),
        }
    }

    /// The regions of the replicas, in the order of their names.
    pub fn replica_regions(&self) -> impl Iterator<Item = &Region> {
        self.multi_region.iter().flat_map(|set| &set.replicas)
    }

    /// Puts it into a set, which is none if there are no replicas.
    pub(crate) fn set_related(&mut self, set: MultiRegion) {
        self.multi_region = (!set.replicas.is_empty()).then(|| Arc::new(set));
    }

    /// The set it belongs to.
    pub(crate) fn related_set(&self) -> MultiRegion {
        match &self.multi_region {
            Some(set) => MultiRegion::clone(set),
            None => MultiRegion {
                primary: self.region().clone(),
                replicas: BTreeSet::new(),
                deletion_window: None,
            },
        }
    }
}

/// The change of a key and of its related keys, which share its material and its rotation.
pub(crate) fn changes(state: &State, key: Key) -> Result<Vec<Change>, StillOpening> {
    let others = related(state, &key)?.into_iter().map(|other| {
        let mut other = Key::clone(other);
        match key.origin {
            Origin::External => follow_import(&mut other, &key),
            _ => other.backing = Arc::clone(&key.backing),
        }
        other.rotation = key.rotation;
        other.multi_region = key.multi_region.clone();
        other
    });
    let mut changes: Vec<Change> = others.map(Change::PutKey).collect();
    changes.push(Change::PutKey(key));
    Ok(changes)
}

/// Does to a related key what it shares of a change of imported material: which version waits for a
/// rotation, and the rotation. The primary key leads.
fn follow_import(other: &mut Key, key: &Key) {
    if key.is_replica() {
        return;
    }
    let pending = key.pending_version().map(|version| *version.id);
    let waits = other.pending_version().map(|version| *version.id);
    if pending == waits {
        return;
    }
    let rotated = key.current_version().map(|version| *version.id) == waits;
    match waits {
        Some(_) if rotated => {
            let since = key.current_version().map(|version| version.created);
            other.rotate_to_import(since.unwrap_or_default());
        }
        Some(_) => other.forget_pending(),
        None => {}
    }
    let missing = key.backing.iter().filter(|backing| backing.is_pending());
    let missing = missing.map(MissingMaterial::of).map(|mut missing| {
        missing.import.valid_to = None;
        missing
    });
    let known = std::mem::take(&mut other.missing).into_iter();
    other.missing = known.chain(missing).collect();
}

/// Whether the version that waits for a rotation is here in all related keys.
pub(crate) fn is_pending_everywhere(state: &State, key: &Key) -> Result<bool, StillOpening> {
    let has_pending = |key: &Key| key.backing.iter().any(BackingKey::is_pending);
    let others = related(state, key)?;
    Ok(has_pending(key) && others.into_iter().all(|other| has_pending(other)))
}

/// What the deletion of a key changes in its related keys: they lose a replica, and a primary key
/// that is to follow its last replica begins to wait for that.
pub(crate) fn changes_without(
    state: &State,
    key: &Key,
    now: Timestamp,
) -> Result<Vec<Change>, StillOpening> {
    let mut set = key.related_set();
    set.replicas.remove(key.region());
    let window = set.deletion_window.filter(|_| set.replicas.is_empty());
    let others = related(state, key)?.into_iter().map(|other| {
        let mut other = Key::clone(other);
        other.set_related(set.clone());
        if let (KeyState::PendingReplicaDeletion, Some(days)) = (other.state, window) {
            other.state = KeyState::PendingDeletion;
            other.deletion_date = Some(now + DAY * u32::from(days));
        }
        Change::PutKey(other)
    });
    Ok(others.collect())
}

/// The other keys of a key's set.
fn related<'s>(state: &'s State, key: &Key) -> Result<Vec<&'s Arc<Key>>, StillOpening> {
    let set = key.related_set();
    let here = key.region().clone();
    let (account, id) = (key.account(), key.id());
    std::iter::once(set.primary)
        .chain(set.replicas)
        .filter(move |region| *region != here)
        .filter_map(move |region| state.key(account, &region, id).transpose())
        .collect()
}
