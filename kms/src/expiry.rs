//! What becomes due without a call: KMS keys whose waiting period is over.
//!
//! AWS deletes such a key up to 24 hours after its deletion date, with its aliases and grants, and records a
//! `DeleteKey` event that no caller made. From then on nothing can decrypt what was encrypted
//! under it.

use attestation::rand_core::CryptoRng;

use crate::Timestamp;
use crate::audit::Event;
use crate::state::{Change, Key, State};

/// Keys to delete: what has to change, and what the audit trail gets once it has.
#[derive(Default)]
pub struct Expired {
    /// The deletions, of grants and aliases before their keys.
    pub changes: Vec<Change>,
    /// One event for each key.
    pub events: Vec<Event>,
}

/// The keys whose deletion date has come, at most so many of them.
pub fn expired(state: &State, now: Timestamp, most: usize, random: &mut dyn CryptoRng) -> Expired {
    let mut expired = Expired::default();
    for key in state.due_for_deletion(now).take(most) {
        expired.delete(state, key);
        let event = Event::key_deleted(key, now, random);
        expired.events.push(event);
    }
    expired
}

impl Expired {
    fn delete(&mut self, state: &State, key: &Key) {
        let grants = state.grants_on(key.account(), key.region(), key.id(), None);
        self.changes.extend(grants.map(|grant| Change::DeleteGrant {
            account: grant.account,
            region: grant.region.clone(),
            key: grant.key,
            id: grant.id,
        }));
        let aliases = state.aliases_of(key.account(), key.region(), key.id());
        self.changes
            .extend(aliases.map(|alias| Change::DeleteAlias {
                account: alias.account,
                region: alias.region.clone(),
                name: alias.name.clone(),
            }));
        self.changes.push(Change::DeleteKey {
            account: key.account(),
            region: key.region().clone(),
            id: key.id(),
        });
    }
}
