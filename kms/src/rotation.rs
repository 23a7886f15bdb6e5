//! Rotation: new material takes the place of a key's current one, and all old versions go on
//! decrypting what they encrypted.

use std::time::Duration;

use attestation::Timestamp;
use attestation::rand_core::CryptoRng;

use crate::key::{BackingKey, Key, Rotation};
use crate::protocol::spec::RotationType;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Rotation {
    /// A rotation every so many days, beginning with now.
    pub(crate) fn every(period_in_days: u16, now: Timestamp) -> Self {
        Self {
            period_in_days,
            next: now + DAY * u32::from(period_in_days),
        }
    }

    /// The rotation after the one that took place just now. It keeps its schedule, unless the key
    /// could not be used on the day and has only now caught up.
    fn after_one(self, now: Timestamp) -> Self {
        let was_late = self.next + DAY < now;
        Self::every(self.period_in_days, if was_late { now } else { self.next })
    }
}

/// Gives a key new random material, which is current from then on.
pub(crate) fn rotate(key: &mut Key, how: RotationType, now: Timestamp, random: &mut dyn CryptoRng) {
    let mut new = BackingKey::generate(key.id(), key.next_version_time(now), random);
    new.rotation = Some(how);
    key.backing = key.backing.iter().cloned().chain([new]).collect();
    if how == RotationType::Automatic {
        key.rotation = key.rotation.map(|rotation| rotation.after_one(now));
    }
}

/// How often a key was rotated on demand.
pub(crate) fn rotations_on_demand(key: &Key) -> usize {
    let versions = key.versions().into_iter();
    let rotated = versions.filter(|version| version.rotation == Some(RotationType::OnDemand));
    rotated.count()
}
