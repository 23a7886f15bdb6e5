//! Imported key material: its owner keeps it, and can take it away and bring it back.
//!
//! A key with imported material remembers every version that was ever current, by its id, even
//! while the material is not here: only the same material may come back. As long as any of them is
//! missing the key can't be used. A version that was imported to rotate to it is not bound to the
//! key before the rotation: taken away, it is forgotten.

use std::sync::Arc;

use attestation::Timestamp;

use crate::key::{BackingKey, BackingKeyId, Import, Key, MissingMaterial};
use crate::protocol::spec::{KeyState, Origin, RotationType};

/// One version of a key's material, whether the material is here or not.
#[derive(Clone, Copy)]
pub(crate) struct Version<'k> {
    pub(crate) id: &'k BackingKeyId,
    /// When it became the key's material.
    pub(crate) created: Timestamp,
    pub(crate) rotation: Option<RotationType>,
    /// What is known of it if it was imported.
    pub(crate) import: Option<&'k Import>,
    pub(crate) is_here: bool,
}

impl Version<'_> {
    /// Whether it waits for the rotation that makes it current.
    pub(crate) fn is_pending(&self) -> bool {
        self.import.is_some_and(|import| import.pending_rotation)
    }
}

impl Key {
    /// All versions of the material, the oldest first, and last the one that waits for a rotation.
    pub(crate) fn versions(&self) -> Vec<Version<'_>> {
        let here = self.backing.iter().map(|backing| Version {
            id: backing.id(),
            created: backing.created(),
            rotation: backing.rotation,
            import: backing.import.as_deref(),
            is_here: true,
        });
        let missing = self.missing.iter().map(|missing| Version {
            id: &missing.id,
            created: missing.created,
            rotation: missing.rotation,
            import: Some(&missing.import),
            is_here: false,
        });
        let mut versions: Vec<_> = here.chain(missing).collect();
        versions.sort_by_key(|version| (version.is_pending(), version.created));
        versions
    }

    /// The version that encrypts, or would if it were here.
    pub(crate) fn current_version(&self) -> Option<Version<'_>> {
        let mut versions = self.versions().into_iter();
        versions.rfind(|version| !version.is_pending())
    }

    /// The version that waits for a rotation, here or, in a replica, still to be imported.
    pub(crate) fn pending_version(&self) -> Option<Version<'_>> {
        self.versions().into_iter().find(Version::is_pending)
    }

    /// Puts imported material where its version is, or adds a version.
    pub(crate) fn import(&mut self, backing: BackingKey) {
        let id = *backing.id();
        let missing = std::mem::take(&mut self.missing).into_iter();
        self.missing = missing.filter(|missing| missing.id != id).collect();
        let others = self.backing.iter().filter(|other| *other.id() != id);
        let mut here: Vec<_> = others.cloned().chain([backing]).collect();
        here.sort_by_key(|backing| (backing.is_pending(), backing.created()));
        self.backing = here.into();
        self.settle_import();
    }

    /// Takes a version's material away; its id stays known, unless it was only waiting for a
    /// rotation.
    pub(crate) fn remove_import(&mut self, id: &BackingKeyId) {
        let removed = self.backing.iter().find(|backing| backing.id() == id);
        let missing = removed
            .filter(|removed| !removed.is_pending() || self.is_replica())
            .map(MissingMaterial::of);
        let rest = self.backing.iter().filter(|backing| backing.id() != id);
        self.backing = rest.cloned().collect();
        let known = std::mem::take(&mut self.missing).into_iter();
        self.missing = known.chain(missing).collect();
        self.settle_import();
    }

    /// Forgets a version that waits for a rotation.
    pub(crate) fn forget_pending(&mut self) {
        let rest = self.backing.iter().filter(|backing| !backing.is_pending());
        self.backing = rest.cloned().collect();
        let known = std::mem::take(&mut self.missing).into_iter();
        self.missing = known
            .filter(|missing| !missing.import.pending_rotation)
            .collect();
    }

    /// Makes the version that waits for it the current one, if its material is here.
    pub(crate) fn rotate_to_import(&mut self, now: Timestamp) {
        let since = self.next_version_time(now);
        let rotated = self.backing.iter().map(|backing| match &backing.import {
            Some(import) if import.pending_rotation => {
                let mut backing = backing.clone().since(since);
                backing.rotation = Some(RotationType::OnDemand);
                backing.import = Some(Arc::new(Import {
                    pending_rotation: false,
                    ..Import::clone(import)
                }));
                backing
            }
            _ => backing.clone(),
        });
        self.backing = rotated.collect();
    }

    /// The moment a new version begins: now, but after all others, so that they stay in order.
    pub(crate) fn next_version_time(&self, now: Timestamp) -> Timestamp {
        let versions = self.versions().into_iter();
        let last = versions
            .filter(|version| !version.is_pending())
            .map(|version| version.created)
            .max();
        last.map_or(now, |last| {
            now.max(Timestamp::from_millis(last.as_millis() + 1))
        })
    }

    /// Whether no material is missing that something was encrypted with.
    pub(crate) fn is_complete(&self) -> bool {
        let mut versions = self.versions().into_iter();
        self.current().is_some() && versions.all(|version| version.is_here || version.is_pending())
    }

    /// Moves a key with imported material to the state that its material allows. One whose deletion
    /// is pending stays so.
    pub(crate) fn settle_import(&mut self) {
        if self.origin != Origin::External {
            return;
        }
        match (self.state, self.is_complete()) {
            (KeyState::PendingImport, true) => self.state = KeyState::Enabled,
            (KeyState::Enabled | KeyState::Disabled, false) => {
                self.state = KeyState::PendingImport;
            }
            _ => {}
        }
    }
}

impl MissingMaterial {
    /// What stays of a version whose material is taken away.
    pub(crate) fn of(backing: &BackingKey) -> Self {
        Self {
            id: *backing.id(),
            created: backing.created(),
            rotation: backing.rotation,
            import: backing.import.as_deref().cloned().unwrap_or_default(),
        }
    }
}
