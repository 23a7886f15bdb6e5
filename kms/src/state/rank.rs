//! Roughly where a key is among all there could be, so that it is found with few looks.
//!
//! Key ids are random. Where one is among others can be told from its first bytes to within a few
//! places, where halving looks at one place after another, and may wait for memory at each.

use std::cmp::Ordering;
use std::sync::Arc;

use attestation::Timestamp;

use crate::grant::{GrantId, Grantee};
use crate::name::{AccountId, AliasName, KeyId, Region};
use crate::principal::IdentityName;

/// A key of an ordered map.
pub(super) trait Rank: Ord {
    /// Of two keys the lower one never has the higher rank. It is below [`Ranks::END`], and the
    /// same for all if nothing is known of how they are spread.
    fn rank(&self) -> u64 {
        0
    }
}

/// The ranks that the keys of a node can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ranks {
    low: u64,
    high: u64,
}

impl Ranks {
    /// What is above all ranks. A rank times the count of a node's keys does not overflow.
    const END: u64 = 1 << 57;

    /// All there are.
    pub(super) const ALL: Self = Self {
        low: 0,
        high: Self::END,
    };

    /// Takes over what is known of a child's.
    pub(super) fn narrow(&mut self, low: Option<u64>, high: Option<u64>) {
        self.low = low.unwrap_or(self.low);
        self.high = high.unwrap_or(self.high);
    }

    /// The place among `count` keys in order of the one with this rank, or where it would be.
    /// `compare` compares the key at a place to it.
    ///
    /// The first look is where the key is if all are spread evenly, the next ones go each twice as
    /// far: few looks if they almost are, and at most twice as many as halving needs if they are
    /// not.
    pub(super) fn search(
        self,
        count: usize,
        rank: u64,
        compare: impl Fn(usize) -> Ordering,
    ) -> Result<usize, usize> {
        let (mut start, mut end) = (0, count);
        // Without a guess no step is small enough, and what is left is halved.
        let (mut place, mut step) = match self.guess(count, rank) {
            Some(place) => (place, 1),
            None => (count / 2, count),
        };
        while start < end {
            if !(start..end).contains(&place) {
                place = start + (end - start) / 2;
            }
            match compare(place) {
                Ordering::Equal => return Ok(place),
                Ordering::Less => {
                    start = place + 1;
                    place += step;
                }
                Ordering::Greater => {
                    end = place;
                    place = place.saturating_sub(step);
                }
            }
            step *= 2;
        }
        Err(start)
    }

    fn guess(self, count: usize, rank: u64) -> Option<usize> {
        let range = self.high.checked_sub(self.low)?;
        let place = (rank.saturating_sub(self.low) * count as u64).checked_div(range)?;
        Some(place as usize)
    }
}

impl Rank for KeyId {
    fn rank(&self) -> u64 {
        // The form of the id is its first byte.
        let [a, b, c, d, e, f, g, h, ..] = self.to_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl Rank for (KeyId, GrantId) {
    fn rank(&self) -> u64 {
        self.0.rank()
    }
}

impl Rank for (KeyId, Grantee, GrantId) {
    fn rank(&self) -> u64 {
        self.0.rank()
    }
}

impl Rank for (KeyId, Option<AliasName>) {
    fn rank(&self) -> u64 {
        self.0.rank()
    }
}

impl Rank for str {}
impl Rank for Arc<str> {}
impl Rank for AliasName {}
impl Rank for IdentityName {}
impl Rank for (AccountId, Region) {}
impl Rank for (Arc<str>, Option<Arc<str>>) {}
impl Rank for (Grantee, KeyId, GrantId) {}
impl Rank for (Timestamp, AccountId, Region, KeyId) {}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::{array::uniform16, collection::btree_set, prelude::*};

    use super::*;

    /// Ids of which many begin alike.
    fn ids() -> impl Strategy<Value = KeyId> {
        let bytes = (uniform16(any::<u8>()), 0..16_usize).prop_map(|(mut bytes, same)| {
            bytes[..same].fill(7);
            bytes
        });
        (bytes, any::<bool>()).prop_map(|(bytes, multi_region)| KeyId::new(bytes, multi_region))
    }

    proptest! {
        #[test]
        fn ranks_are_in_the_order_of_ids(ids in btree_set(ids(), 2..40)) {
            let ranks: Vec<u64> = ids.iter().map(KeyId::rank).collect();
            prop_assert!(ranks.is_sorted());
            prop_assert!(ranks.iter().all(|rank| *rank < Ranks::END));
        }

        /// Whatever the ranks are, even wrong ones.
        #[test]
        fn a_search_finds_what_halving_finds(
            keys in btree_set(any::<u16>(), 0..66),
            wanted in any::<u16>(),
            (low, high) in (0..Ranks::END, 0..=Ranks::END),
            rank in 0..Ranks::END,
        ) {
            let keys: Vec<u16> = keys.into_iter().collect();
            let ranks = Ranks { low, high };
            for wanted in keys.clone().into_iter().chain([wanted]) {
                let looks = Cell::new(0);
                let found = ranks.search(keys.len(), rank, |place| {
                    looks.set(looks.get() + 1);
                    keys[place].cmp(&wanted)
                });
                prop_assert_eq!(found, keys.binary_search(&wanted));
                // Halving needs one for each binary digit.
                let most = 2 * (usize::BITS - keys.len().leading_zeros());
                prop_assert!(looks.get() <= most as usize, "{} looks", looks.get());
            }
        }
    }
}
