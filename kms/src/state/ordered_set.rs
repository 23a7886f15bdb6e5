//! A persistent set in order, for listing.

use std::ops::Bound;

use super::ordered_map::OrderedMap;
use super::rank::Rank;

/// Keys in order. Clones share everything.
pub(super) struct OrderedSet<K>(OrderedMap<K, ()>);

impl<K: Clone + Rank> OrderedSet<K> {
    /// Adds a key, if it is not there.
    pub(super) fn insert(&mut self, key: K) {
        self.0.insert(key, ());
    }

    /// Removes a key, if it is there.
    pub(super) fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// The keys after `start`, or all of them, in order.
    pub(super) fn after(&self, start: Option<K>) -> impl Iterator<Item = &K> {
        self.starting(start.map_or(Bound::Unbounded, Bound::Excluded))
    }

    /// The keys from `start` on, in order.
    pub(super) fn starting(&self, start: Bound<K>) -> impl Iterator<Item = &K> {
        self.0.starting(start).map(|(key, ())| key)
    }
}

impl<K> Clone for OrderedSet<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Clone + Rank> Default for OrderedSet<K> {
    fn default() -> Self {
        Self(OrderedMap::default())
    }
}
